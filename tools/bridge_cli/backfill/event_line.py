"""A line of a backfill as an event: checked by the event model, and as the body that its webhook would have had."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

import orjson

from bridge_cli.backfill.source import Fault, Row, shown
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES, encode_body
from purchasely_clevertap.purchasely import event_id as event_ids
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import (
    KEYS,
    VERSION_2,
    Event,
    Unreadable,
    allowed,
    money_key,
    read,
)

_ID_LENGTH: Final = 64
_AHEAD: Final = Fault("event_created_at", "a date in the future", "a date that is past")


class EventLine(NamedTuple):
    """A line that can be sent: its event, and the body of its message."""

    event: Event
    body: bytes


def event_line(row: Row, *, now_ms: int, names: Mapping[str, object]) -> EventLine | list[Fault]:
    """The event of a line, or all that is wrong with it. `names` are the names that the settings have of their own."""
    if row.payload is None:
        return [row.fault] if row.fault is not None else []
    payload = {key: value for key, value in row.payload.items() if value not in (None, "", {})}
    faults = [*_faults(payload, names)]
    if faults:
        return faults
    if "event_id" not in payload:
        # From what the line says, in whatever order and file: the same event has the same id.
        payload["event_id"] = event_ids.of(None, orjson.dumps(payload, option=orjson.OPT_SORT_KEYS))
    try:
        body = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        return [Fault("", "what JSON cannot hold", "whole characters, and numbers of 64 bits")]
    size = len(encode_body(body).encode())
    if size > MAX_BODY_BYTES:
        return [Fault("", f"an event of {size} bytes", f"at most {MAX_BODY_BYTES}")]
    event = read(body, now_ms)
    if isinstance(event, Unreadable):
        return [Fault("", shown(event.detail), "an event that the bridge can read")]
    return [_AHEAD] if event.is_ahead else EventLine(event, body)


def unknown_keys(payload: Mapping[str, Any]) -> list[str]:
    """The keys that no webhook is documented to have."""
    return [key for key in payload if key not in KEYS and money_key(key) is None]


def _faults(payload: Mapping[str, Any], names: Mapping[str, object]) -> list[Fault]:
    if payload.get("api_version") in (2, "2"):
        return [Fault("api_version", "2", VERSION_2)]
    faults: list[Fault] = []
    for key, value in payload.items():
        inner = value.items() if isinstance(value, dict) else ()
        for name, each in inner:
            if isinstance(each, dict):
                faults.append(Fault(f"{key}.{name}", "an object", "a value: one level of objects is read"))
        if not isinstance(value, dict) and (must := allowed(key, value)) is not None:
            faults.append(Fault(key, shown(value), must))
    wrong = {fault.column for fault in faults}
    if "event_name" not in wrong:
        faults += _name_faults(payload.get("event_name"), names)
    if "environment" not in payload:
        faults.append(Fault("environment", "nothing", "PRODUCTION or SANDBOX"))
    if not {"event_created_at", "event_created_at_ms"} & payload.keys():
        faults.append(Fault("event_created_at", "nothing", "an ISO 8601 date, or event_created_at_ms"))
    if not {"user_id", "anonymous_user_id"} & payload.keys():
        faults.append(Fault("user_id", "nothing", "a user id, or anonymous_user_id"))
    if "event_id" not in wrong and (given := payload.get("event_id")) is not None and not _is_id(given):
        faults.append(Fault("event_id", shown(given), f"1 to {_ID_LENGTH} of A-Z a-z 0-9 _ . : -, or nothing"))
    return faults


def _name_faults(name: object, names: Mapping[str, object]) -> list[Fault]:
    if name is None:
        return [Fault("event_name", "nothing", "a name of Purchasely's catalogue, such as SUBSCRIPTION_RENEWED")]
    if name in CATALOGUE or name in names:
        return []
    nearest = get_close_matches(str(name).strip().upper(), list(CATALOGUE), 1)
    hint = f"; do you mean {nearest[0]}?" if nearest else ""
    return [Fault("event_name", shown(name), f"a name of Purchasely's catalogue, or of the setting events{hint}")]


def _is_id(given: object) -> bool:
    return event_ids.of(given, b"") == given
