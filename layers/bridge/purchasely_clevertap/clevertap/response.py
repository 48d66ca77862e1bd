"""What CleverTap's answer to an upload says about each of its records.

Records that fail are reported under HTTP 200, and which record one of the errors means stands only in its text, as
"Skipped record number : N", counted from 1. Whatever the answer looks like, every record gets exactly one result.

Sources: https://developer.clevertap.com/docs/upload-events-api, /docs/upload-user-profiles-api and /docs/api-errors.
"""

import json
import re
from dataclasses import dataclass

from purchasely_clevertap.outcome import RetryReason

MESSAGE_CHARACTERS = 300
_CODE_DIGITS = 9

# "Miscellaneous server error": the only code of a record that is not the record's own fault.
_SERVER_ERROR = 555

# The space before the colon is sometimes missing.
_POSITION = re.compile(r"Skipped record number\s*:\s*([0-9]{1,9})\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Accepted:
    """CleverTap has the record."""

    name = "accepted"


@dataclass(frozen=True, slots=True)
class Rejected:
    """CleverTap will never take this record.

    `code`: CleverTap's code (509-528), 400 or 413 when the record alone makes a request malformed, None when not given.
    `message`: CleverTap's words, one line of at most 300 characters, maybe empty.
    """

    code: int | None
    message: str
    name = "rejected"


@dataclass(frozen=True, slots=True)
class NotTaken:
    """CleverTap certainly did not take the record, and may later. `status` is the HTTP status, if that is why."""

    reason: RetryReason
    status: int | None = None
    name = "not_taken"


@dataclass(frozen=True, slots=True)
class Unknown:
    """CleverTap may have taken the record: nobody can tell."""

    reason: RetryReason
    name = "unknown"


@dataclass(frozen=True, slots=True)
class SetupFault:
    """The account id, the passcode, the region or the endpoint is wrong; nothing is wrong with the record.

    `status`: 401, 402, 403, 404, 405 or a redirect's; 0 when they did not even make a request. `message`: as in
    `Rejected`.
    """

    status: int
    message: str
    name = "setup_fault"


RecordResult = Accepted | Rejected | NotTaken | Unknown | SetupFault


@dataclass(frozen=True, slots=True)
class Upload:
    """What came of an upload: one result for each record, in their order; the requests made; the time they took."""

    results: tuple[RecordResult, ...]
    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Malformed:
    """The request as a whole was refused (HTTP 400 or 413, or 403 by a firewall), and which record is to blame is not
    said."""

    status: int
    message: str


def read(status: int, body: bytes, count: int, *, location: str = "") -> tuple[RecordResult, ...] | Malformed:
    """The results, in the order of the `count` records that were sent, or Malformed. Never raises.

    `location` is where a redirect leads.
    """
    if 200 <= status < 300:
        return _receipts(_parse(body), count)
    # Only CleverTap's own answer says that credentials are wrong; a firewall before it refuses what a record holds.
    if status in (400, 413) or (status == 403 and not _is_clevertaps(body)):
        return Malformed(status, _message(body, status))
    result: RecordResult
    if status in (401, 402, 403, 404, 405):
        result = SetupFault(status, _message(body, status))
    elif 300 <= status < 400:
        result = SetupFault(
            status, _line(f"HTTP {status}, to {location.partition('?')[0]}") if location else f"HTTP {status}"
        )
    elif status == 429:
        result = NotTaken(RetryReason.THROTTLED, status)
    elif status in (502, 504):
        # From a gateway in front of CleverTap, which may have taken the records and not have been heard (RFC 9110).
        result = Unknown(RetryReason.GATEWAY)
    elif 500 <= status < 600:
        result = NotTaken(RetryReason.SERVER_ERROR, status)
    else:
        result = NotTaken(RetryReason.UNEXPECTED_STATUS, status)
    return (result,) * count


def _receipts(answer: object, count: int) -> tuple[RecordResult, ...]:
    if not isinstance(answer, dict):
        return (Unknown(RetryReason.NOT_JSON),) * count
    outcome, processed, entries = answer.get("status"), answer.get("processed"), answer.get("unprocessed") or []
    if outcome not in ("success", "partial", "fail") or type(processed) is not int or not isinstance(entries, list):
        return (Unknown(RetryReason.NOT_JSON),) * count

    named: dict[int, RecordResult] = {}
    unplaced = 0
    for entry in entries:
        position, result = _entry(entry)
        if count == 1:
            position = 1
        if position is not None and 1 <= position <= count:
            named.setdefault(position, result)
        else:
            unplaced += 1

    rest: RecordResult
    if outcome == "fail" and processed == 0:
        # Also seen with an empty list: no record was taken, and nothing is wrong with those that are not named.
        rest = NotTaken(RetryReason.NOT_PROCESSED)
    elif outcome != "fail" and not unplaced and processed + len(named) == count:
        rest = Accepted()
    else:
        # An answer that does not add up proves nothing about the records that it does not name.
        rest = Unknown(RetryReason.COUNT_MISMATCH)
    return tuple(named.get(position, rest) for position in range(1, count + 1))


def _entry(entry: object) -> tuple[int | None, RecordResult]:
    """Position (from 1) and result that an entry of `unprocessed` stands for. Its echo of the record is ignored: the
    types of what is echoed differ from what was sent."""
    if not isinstance(entry, dict):
        return None, Rejected(None, "")
    error, code = entry.get("error"), _code(entry.get("code"))
    text = error if isinstance(error, str) else ""
    position = None
    # The last one: what stands before it may quote the record.
    for match in _POSITION.finditer(text):
        position = match
    if position:
        text = text[: position.start()] + text[position.end() :]
    if code == _SERVER_ERROR:
        result: RecordResult = NotTaken(RetryReason.RECORD_ERROR)
    else:
        result = Rejected(code, _line(text))
    return int(position[1]) if position else None, result


def _code(given: object) -> int | None:
    """A code, a number or the digits of one."""
    if isinstance(given, str) and given.strip().isascii() and given.strip().isdigit():
        given = int(given.strip()[:_CODE_DIGITS])
    return given if type(given) is int else None


def _is_clevertaps(body: bytes) -> bool:
    """Whether it is an answer as CleverTap gives them."""
    match _parse(body):
        case {"status": str()} | {"error": str()} | {"code": int() | str()}:
            return True
        case _:
            return False


def _message(body: bytes, status: int) -> str:
    match _parse(body):
        case {"error": str(error)}:
            return _line(error)
        case _:
            return f"HTTP {status}"


def _line(text: str) -> str:
    """Fit for a log and a queue: no control characters or lone surrogates, one line, clipped."""
    start = text[: 4 * MESSAGE_CHARACTERS]
    return " ".join("".join(c if c.isprintable() else " " for c in start).split())[:MESSAGE_CHARACTERS]


def _parse(body: bytes) -> object:
    """The JSON of the body, None when it is none. Forgiving about bytes and control characters inside of strings:
    they can only come from an echoed record, and must not cost the results of the others."""
    try:
        return json.loads(body.decode("utf-8-sig", errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return None
