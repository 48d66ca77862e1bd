"""Uploads records to CleverTap and brings back one receipt for each.

Source: https://developer.clevertap.com/docs/upload-events-api (request, dryRun), /docs/api-request-limit.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from purchasely_clevertap.clevertap.http import Connection, Reply
from purchasely_clevertap.clevertap.limits import MAX_RECORDS
from purchasely_clevertap.clevertap.response import (
    Malformed,
    Receipt,
    Refused,
    Retry,
    SetupFault,
    Unknown,
    read,
)

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 20.0

# Beyond the longest exchange: looking up the host's name, and settling what came back.
MARGIN_SECONDS = 2.0

USER_AGENT = "purchasely-clevertap/1.0.0"

_CHECK_RECORD = (
    b'{"type":"profile","identity":"purchasely-clevertap-check","profileData":{"purchasely_clevertap_check":true}}'
)


@dataclass(frozen=True, slots=True)
class Account:
    """A CleverTap account; `endpoint` is the base URL of its region. White space around the values is ignored."""

    account_id: str
    passcode: str = field(repr=False)
    endpoint: str


@dataclass(frozen=True, slots=True)
class Upload:
    """What came of an upload: one receipt for each record, in their order; the requests made; the time they took."""

    receipts: tuple[Receipt, ...]
    requests: int
    seconds: float


class Client:
    """Uploads to any account, one request at a time; keeps its connections for the next call."""

    def __init__(
        self, *, connect_timeout: float = CONNECT_TIMEOUT_SECONDS, read_timeout: float = READ_TIMEOUT_SECONDS
    ) -> None:
        self._connection = Connection(connect_timeout=connect_timeout, read_timeout=read_timeout)

    def upload(self, account: Account, records: Sequence[bytes], *, time_left: Callable[[], float]) -> Upload:
        """Uploads `records`, each an encoded JSON object, in requests of at most 1000. Never raises.

        A request that CleverTap finds malformed is halved until the record to blame stands alone, which takes
        O(k log n) requests for k of n records; what one half delivered is not sent again with the other.
        No request is begun unless `time_left()` exceeds the longest it can take, nor after an answer that the next
        one would only repeat: records that were not sent because of it get a receipt of their own.
        """
        started = time.monotonic()
        requests = 0
        receipts: list[Receipt] = [Retry("not_sent")] * len(records)
        # A stack: the first records are on top.
        parts = [range(len(records))[start : start + MAX_RECORDS] for start in range(0, len(records), MAX_RECORDS)]
        parts.reverse()
        unsent: Receipt | None = None
        while parts:
            part = parts.pop()
            if unsent is None and time_left() <= self._connection.seconds + MARGIN_SECONDS:
                unsent = Retry("no_time_left")
            if unsent is not None:
                receipts[part.start : part.stop] = [unsent] * len(part)
                continue
            requests += 1
            answer = self._send(account, records[part.start : part.stop])
            if not isinstance(answer, Malformed):
                receipts[part.start : part.stop] = answer
                unsent = _unsent(answer[0])
            elif len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                receipts[part.start] = Refused(answer.status, answer.message)
        return Upload(tuple(receipts), requests, time.monotonic() - started)

    def check(self, account: Account) -> Receipt:
        """Has CleverTap validate, but not store, one record: Accepted when id, passcode and region fit together."""
        answer = self._send(account, [_CHECK_RECORD], query="?dryRun=1")
        return Refused(answer.status, answer.message) if isinstance(answer, Malformed) else answer[0]

    def _send(self, account: Account, records: Sequence[bytes], *, query: str = "") -> tuple[Receipt, ...] | Malformed:
        reply = self._connection.post(
            f"{account.endpoint.strip().rstrip('/')}/1/upload{query}",
            {
                # Bytes: http.client would raise for what is not Latin-1, and quote it.
                "X-CleverTap-Account-Id": account.account_id.strip().encode(errors="replace"),
                "X-CleverTap-Passcode": account.passcode.strip().encode(errors="replace"),
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": USER_AGENT,
            },
            b'{"d":[' + b",".join(records) + b"]}",
        )
        if isinstance(reply, Reply):
            return read(reply.status, reply.body, len(records))
        return (reply,) * len(records)


def _unsent(receipt: Receipt) -> Receipt | None:
    """The receipt of the records still to be sent, when what the last request met would only meet them too."""
    match receipt:
        case SetupFault() | Retry(reason="throttled" | "connect"):
            return receipt
        case Unknown(reason="timeout" | "connection_lost" | "gateway" | "not_json"):
            # Going on could leave more records in doubt; these are in none.
            return Retry("not_sent")
        case _:
            return None
