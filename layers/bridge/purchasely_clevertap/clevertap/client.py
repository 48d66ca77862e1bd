"""Uploads records to CleverTap and brings back one result for each.

Source: https://developer.clevertap.com/docs/upload-events-api (request, dryRun), /docs/api-request-limit.
"""

import time
from collections.abc import Callable, Sequence

from purchasely_clevertap import __version__
from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.http import HttpConnector, HttpResponse
from purchasely_clevertap.clevertap.limits import MAX_RECORDS
from purchasely_clevertap.clevertap.response import (
    Malformed,
    NotTaken,
    RecordResult,
    Rejected,
    SetupFault,
    Unknown,
    Upload,
    read,
)
from purchasely_clevertap.outcome import RetryReason

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 20.0

# Beyond the longest exchange: looking up the host's name, and settling what came back.
MARGIN_SECONDS = 2.0

# A request, its half and a quarter.
_REFUSALS = 3
_FIREWALL = 403

USER_AGENT = f"purchasely-clevertap/{__version__}"

_CHECK_RECORD = (
    b'{"type":"profile","identity":"purchasely-clevertap-check","profileData":{"purchasely_clevertap_check":true}}'
)


class Client:
    """Uploads to any account, one request at a time; keeps its connections for the next call."""

    def __init__(
        self, *, connect_timeout: float = CONNECT_TIMEOUT_SECONDS, read_timeout: float = READ_TIMEOUT_SECONDS
    ) -> None:
        self._connection = HttpConnector(connect_timeout=connect_timeout, read_timeout=read_timeout)

    def upload(self, credentials: Credentials, records: Sequence[bytes], *, time_left: Callable[[], float]) -> Upload:
        """Uploads `records`, each an encoded JSON object, in requests of at most 1000. Never raises.

        A request that CleverTap finds malformed is halved until the record to blame stands alone, which takes
        O(k log n) requests for k of n records; what one half delivered is not sent again with the other. If nothing
        but refusals come, a dry run with a record of our own tells whether the records are to blame; if it is refused
        too, they all wait.
        No request is begun unless `time_left()` exceeds the longest it can take, nor after an answer that the next
        one would only repeat: records that were not sent because of it get a result of their own.
        """
        started = time.monotonic()
        requests = 0
        results: list[RecordResult] = [NotTaken(RetryReason.NOT_SENT)] * len(records)
        # A stack: the first records are on top.
        parts = [range(len(records))[start : start + MAX_RECORDS] for start in range(0, len(records), MAX_RECORDS)]
        parts.reverse()
        unsent: RecordResult | None = None
        refusals_in_a_row = 0
        is_asked = False
        while parts:
            part = parts.pop()
            if unsent is None and time_left() <= self._connection.seconds + MARGIN_SECONDS:
                unsent = NotTaken(RetryReason.NO_TIME_LEFT)
            if unsent is not None:
                results[part.start : part.stop] = [unsent] * len(part)
                continue
            requests += 1
            answer = self._send(credentials, records[part.start : part.stop])
            if not isinstance(answer, Malformed):
                results[part.start : part.stop] = answer
                unsent = _unsent(answer[0])
                refusals_in_a_row = 0
                continue
            refusals_in_a_row += 1
            # A firewall may refuse one record, or everybody: of a single record nothing else tells.
            if not is_asked and (refusals_in_a_row == _REFUSALS or (len(part) == 1 and answer.status == _FIREWALL)):
                is_asked = True
                requests += 1
                probe = self.check(credentials)
                refused = NotTaken(RetryReason.REQUEST_REFUSED, answer.status)
                unsent = refused if isinstance(probe, Rejected) else _unsent(probe)
                if unsent is not None:
                    parts.append(part)
                    continue
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                results[part.start] = Rejected(answer.status, answer.message)
        return Upload(tuple(results), requests, time.monotonic() - started)

    def check(self, credentials: Credentials) -> RecordResult:
        """Has CleverTap validate, but not store, one record: Accepted when id, passcode and region fit together."""
        answer = self._send(credentials, [_CHECK_RECORD], query="?dryRun=1")
        return Rejected(answer.status, answer.message) if isinstance(answer, Malformed) else answer[0]

    def _send(
        self, credentials: Credentials, records: Sequence[bytes], *, query: str = ""
    ) -> tuple[RecordResult, ...] | Malformed:
        response = self._connection.post(
            f"{credentials.endpoint.strip().rstrip('/')}/1/upload{query}",
            {
                # Bytes: http.client would raise for what is not Latin-1, and quote it.
                "X-CleverTap-Account-Id": credentials.account_id.strip().encode(errors="replace"),
                "X-CleverTap-Passcode": credentials.passcode.strip().encode(errors="replace"),
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": USER_AGENT,
            },
            b'{"d":[' + b",".join(records) + b"]}",
        )
        if isinstance(response, HttpResponse):
            return read(response.status, response.body, len(records), location=response.location)
        return (response,) * len(records)


def _unsent(result: RecordResult) -> RecordResult | None:
    """The result of the records still to be sent, when what the last request met would only meet them too."""
    match result:
        case SetupFault() | NotTaken(reason=RetryReason.THROTTLED | RetryReason.CONNECT):
            return result
        case Unknown(
            reason=RetryReason.TIMEOUT | RetryReason.CONNECTION_LOST | RetryReason.GATEWAY | RetryReason.NOT_JSON
        ):
            # Going on could leave more records unconfirmed; CleverTap has none of these.
            return NotTaken(RetryReason.NOT_SENT)
        case _:
            return None
