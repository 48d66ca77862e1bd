"""The bodies CleverTap answers with, as documented and as recorded from public API traffic."""

from collections.abc import Sequence

from clevertap_emulator.properties import Json, Object
from clevertap_emulator.rules import Refusal

FAIL_EMPTY: Object = {"status": "fail", "processed": 0, "unprocessed": []}
"""Seen in traffic: everything refused, nothing said of it."""


_FAILURES = {400: "Malformed request", 401: "Account ID is not valid", 429: "Too many requests"}


def failure(status: int) -> Object:
    """The body that goes with an HTTP status other than 200. That of a 429 or 5xx is not documented."""
    return {"status": "fail", "error": _FAILURES.get(status, "Request failed"), "code": status}


def outcome(records: Sequence[Json], refusals: Sequence[Refusal | None]) -> Object:
    """The 200 body for records and their refusals, in the same order."""
    unprocessed: list[Json] = [
        _unprocessed(position, record, refusal)
        for position, (record, refusal) in enumerate(zip(records, refusals, strict=True), start=1)
        if refusal
    ]
    processed = len(records) - len(unprocessed)
    status = "success" if not unprocessed else "partial" if processed else "fail"
    return {"status": status, "processed": processed, "unprocessed": unprocessed}


def _unprocessed(position: int, record: Json, refusal: Refusal) -> Object:
    """The position is told in the text alone, 1-based, and its spaces come and go as in the real answers."""
    space = "" if 514 <= refusal.code <= 520 else " "
    colon = ":" if position % 3 == 0 else " :"
    error = f"{refusal.message}{space}Skipped record number{colon} {position}"
    return {"status": "fail", "code": refusal.code, "error": error, "record": _echo(record)}


def _echo(record: Json) -> Object:
    """The record as the real one returns it: an object, its types changed, not for reading anything from."""
    if not isinstance(record, dict):
        return {}
    return {
        key: {name: _retyped(item) for name, item in value.items()} if isinstance(value, dict) else _retyped(value)
        for key, value in record.items()
    }


def _retyped(value: Json) -> Json:
    match value:
        case bool() | None:
            return str(value).lower()
        case int() | float():
            return str(value)
        case str() if value.isascii() and value.isdecimal() and len(value) < 16:
            return int(value)
        case str():
            return value
        case _:
            return {}
