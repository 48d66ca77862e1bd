"""What CleverTap's upload API takes and what it refuses. Pure: bytes and records in, verdicts out.

Sources: developer.clevertap.com (upload-events-api, upload-user-profiles-api, api-errors) and recorded answers.
Where the vendor is silent the stricter reading is taken, so that what passes here passes there.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clevertap_emulator.profile import change_fault, refusal_code
from clevertap_emulator.properties import Json, Object, allowed, fold, key_fault, number, value_fault

RECORDS = 1000
"""Records a request."""
DELETED = 100
"""Ids a request of the delete API (delete-user-profile-api)."""
EVENT_NAME_CHARACTERS = 512
"""The SDKs' limit; the server's is not documented."""
EVENT_PROPERTIES = 100
CHARGED_ITEMS = 50
FURTHEST_FUTURE_SECONDS = 366 * 86_400
"""A `ts` further ahead is taken for milliseconds. The server's limit is not documented."""

RESERVED = frozenset(
    fold(name)
    for name in (
        "Notification Sent",
        "Notification Viewed",
        "Notification Clicked",
        "Notification Delivered",
        "Notification Replied",
        "UTM Visited",
        "App Launched",
        "App Uninstalled",
        "App Version Changed",
        "Stayed",
        "Reply Sent",
        "Experiment Rendered",
        "Reachable By",
        "Identity Set",
        "Identity Reset",
        "Identity Error",
        "Web Page Viewed",
    )
)

MESSAGES: Mapping[int, str] = {
    509: "Event Name is incorrect. ErrorCode: 509 - Event name is mandatory.",
    512: "Event data is incorrect. ErrorCode: 512 - Invalid event structure.",
    513: "Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event.",
    514: "Profile data is incorrect. Gender is not valid.",
    515: "Profile data is incorrect. Email is not valid.",
    516: "Profile data is incorrect. Phone number is not valid.",
    517: "Profile data is incorrect. Employment status is not valid.",
    518: "Profile data is incorrect. Education status is not valid.",
    519: "Profile data is incorrect. Marital status is not valid.",
    520: "Profile data is incorrect. Age is not valid.",
    522: "Event data is incorrect. ErrorCode: 522 - Event properties limit exceeded.",
    523: "Identity is missing.",
    524: "Data is neither event nor profile.",
    525: "Timestamp should be present in the Unix Epoch format.",
    526: "objectId is not valid.",
    528: "Event Name is incorrect. ErrorCode: 528 - Discarded event is raised.",
    555: "Miscellaneous server error.",
}

_OBJECT_ID = re.compile(r"(?:__h|-h|__|-)?[A-Za-z0-9()!:@$_-]{1,64}")
"""A CleverTap id; the prefix is what an SDK puts before the 64 characters of a custom one."""
_ROOT_KEYS = frozenset({"type", "identity", "objectId", "ts"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that is not taken: an entry of `unprocessed`."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A record that is taken, in the form in which the real one keeps it.

    `violations` names what it drops without a word, or takes though nobody should send it, each with the reason
    (`evtData.price: null`). A good sender has none.
    """

    record: Object
    violations: tuple[str, ...]


def refusal(code: int) -> Refusal:
    return Refusal(code, MESSAGES.get(code, MESSAGES[555]))


def records(body: bytes) -> list[Json] | None:
    """The records of a request's body; None where the whole request is malformed (HTTP 400)."""
    try:
        request: Json = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    match request:
        case {"d": list(found)} if 0 < len(found) <= RECORDS:
            return found
        case _:
            return None


def deletion(body: bytes) -> tuple[str, tuple[str, ...]] | None:
    """What a request of the delete API names: `identity` or `objectId`, and the ids; None where it is malformed
    (HTTP 400), as with both keys, with neither, or with more than 100 ids.

    Source: developer.clevertap.com, delete-user-profile-api. A single id may be a text or a list of one.
    """
    try:
        request: Json = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    match request:
        case {"identity": ids, **more} if not more:
            kind = "identity"
        case {"guid": ids, **more} if not more:
            kind = "objectId"
        case _:
            return None
    named = [ids] if isinstance(ids, str) else ids
    if not isinstance(named, list) or not 0 < len(named) <= DELETED:
        return None
    texts = tuple(each for each in named if isinstance(each, str) and each.strip())
    if len(texts) < len(named) or (kind == "objectId" and not all(map(_OBJECT_ID.fullmatch, texts))):
        return None
    return kind, texts


def read(record: Json, now: float) -> Kept | Refusal:
    """The verdict on one record that arrives at `now` (epoch seconds)."""
    if not isinstance(record, dict):
        return refusal(524)
    match record.get("type"):
        case "event":
            code = _user_fault(record) or _ts_fault(record, now) or _event_fault(record)
            return refusal(code) if code else _kept_event(record)
        case "profile":
            code = _user_fault(record) or _ts_fault(record, now) or _profile_fault(record)
            return refusal(code) if code else _kept_profile(record)
        case _:
            return refusal(524)


def _finite(text: str) -> float:
    """Numbers as JSON has them: no NaN, and nothing too large for a float."""
    if math.isfinite(value := float(text)):
        return value
    raise ValueError


def _user_fault(record: Object) -> int | None:
    """Exactly one of identity and objectId. What the real one makes of both is not documented: refused here."""
    match record:
        case {"identity": _, "objectId": _}:
            return 523
        case {"objectId": object_id}:
            return None if isinstance(object_id, str) and _OBJECT_ID.fullmatch(object_id) else 526
        case {"identity": str(identity)} if identity.strip():
            return None
        case _:
            return 523


def _ts_fault(record: Object, now: float) -> int | None:
    ts = record.get("ts", 1)
    return None if type(ts) is int and 0 < ts <= now + FURTHEST_FUTURE_SECONDS else 525


def _event_fault(record: Object) -> int | None:
    name, data = record.get("evtName"), record.get("evtData", {})
    if not isinstance(name, str) or not name.strip():
        return 509
    if fold(name) in RESERVED:
        return 513
    if len(name) > EVENT_NAME_CHARACTERS or not allowed(name) or not isinstance(data, dict):
        return 512
    if not all(allowed(key) for part in (data, *_items(record)) for key in part):
        return 512
    return 522 if len(data) > EVENT_PROPERTIES else None


def _profile_fault(record: Object) -> int | None:
    data = record.get("profileData")
    if not isinstance(data, dict) or not all(map(allowed, data)):
        return 512
    identity = data.get("identity", "absent")
    return refusal_code(data) if isinstance(identity, str) and identity.strip() else 523


def _kept_event(record: Object) -> Kept:
    data, charged = _object(record.get("evtData")), _charged(record)
    faults = {
        key: key_fault(key) or (_items_fault(value) if charged and key == "Items" else value_fault(value))
        for key, value in data.items()
    }
    kept = _kept(record, {"evtName", "evtData"}, "evtData", faults)
    amount = data.get("Amount")
    if charged and not (number(amount) and amount >= 0):
        return replace(kept, violations=(*kept.violations, "evtData.Amount: Charged without an amount of 0 or more"))
    return kept


def _kept_profile(record: Object) -> Kept:
    faults = {key: change_fault(key, change) for key, change in _object(record["profileData"]).items()}
    return _kept(record, {"profileData"}, "profileData", faults)


def _kept(record: Object, own_keys: set[str], where: str, faults: Mapping[str, str | None]) -> Kept:
    """The record without unknown keys, and without the properties of `record[where]` that have a fault."""
    kept = {key: value for key, value in record.items() if key in _ROOT_KEYS | own_keys}
    if where in record:
        kept[where] = {key: value for key, value in _object(record[where]).items() if not faults[key]}
    unknown = [f"{key}: unknown key" for key in record if key not in kept]
    return Kept(kept, (*unknown, *(f"{where}.{key}: {fault}" for key, fault in faults.items() if fault)))


def _items_fault(items: Json) -> str | None:
    """Items of a Charged event: flat objects."""
    if not isinstance(items, list) or len(items) > CHARGED_ITEMS or not all(isinstance(item, dict) for item in items):
        return f"other than a list of at most {CHARGED_ITEMS} objects"
    properties = (pair for item in items for pair in _object(item).items())
    fault = next(filter(None, (key_fault(key) or value_fault(value) for key, value in properties)), None)
    return fault and f"item with {fault}"


def _items(record: Object) -> list[Object]:
    items = _object(record.get("evtData")).get("Items") if _charged(record) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _charged(record: Object) -> bool:
    return fold(str(record.get("evtName"))) == "charged"


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}
