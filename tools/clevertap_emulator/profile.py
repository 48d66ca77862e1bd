"""A user's profile: the values CleverTap checks (codes 514 to 520) and the operators on what is stored.

Source: developer.clevertap.com, upload-user-profiles-api and api-errors; the formats are those its SDK pages show.
"""

import re
from collections.abc import Callable, Mapping

from clevertap_emulator.properties import Json, Object, fold, key_fault, number, value_fault

CUSTOM_KEYS = 256
"""Custom keys a profile."""

_PREDEFINED = frozenset(
    {"age", "dob", "education", "email", "employed", "gender", "married", "name", "phone", "photo", "tz"}
)
_DELETE: Json = {"$delete": 1}
_DELETABLE = frozenset({"name", "gender"})  # "applicable only to name and gender fields"


def _matches(pattern: str) -> Callable[[Json], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


_CHECKED: Mapping[str, tuple[int, Callable[[Json], bool]]] = {
    "gender": (514, _matches(r"[MF]")),
    "email": (515, _matches(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")),
    "phone": (516, _matches(r"\+[1-9][0-9]{5,14}")),
    "employed": (517, _matches(r"[YN]")),
    "education": (518, _matches(r"School|College|Graduate")),
    "married": (519, _matches(r"[YN]")),
    "age": (520, lambda value: type(value) is int and 0 < value < 150),
}


def refusal_code(changes: Object) -> int | None:
    """The code under which a profile record is refused for the value of a predefined key, or None."""
    for key, value in changes.items():
        if (checked := _CHECKED.get(fold(key))) and value != _DELETE and not checked[1](value):
            return checked[0]
    return None


def change_fault(key: str, change: Json) -> str | None:
    """Why a change is dropped, or None. It is a value as in events, or one operator such as `{"$incr": 1}`."""
    return key_fault(key) or (_operator_fault(change) if isinstance(change, dict) else value_fault(change))


def _operator_fault(change: Object) -> str | None:
    match list(change.items()):
        case [("$incr" | "$decr" as operator, operand)]:
            return None if number(operand) else f"{operator} of other than a number"
        case [("$add" | "$remove" as operator, list(items))] if items:
            fault = next(filter(None, map(value_fault, items)), None)
            return fault and f"{operator} with {fault}"
        case [("$add" | "$remove" as operator, _)]:
            return f"{operator} of other than a list of values"
        case [("$delete", 1)]:
            return None
        case _:
            return "nested object"


def merge(stored: Object, changes: Object) -> tuple[Object, list[str]]:
    """A profile after changes without a `change_fault`, and what could not be done: each key with the reason."""
    merged, violations = dict(stored), list[str]()
    for key, change in changes.items():
        current = merged.get(key)
        if key == "identity":
            continue
        if change == _DELETE and fold(key) not in _DELETABLE:
            violations.append(f"profileData.{key}: $delete of other than name and gender")
        elif _counts(change) and key in merged and not number(current):
            violations.append(f"profileData.{key}: counting on other than a number")
        elif key not in merged and _custom(key) and sum(map(_custom, merged)) >= CUSTOM_KEYS:
            violations.append(f"profileData.{key}: more than {CUSTOM_KEYS} custom keys")
        elif (value := _changed(current, change)) is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged, violations


def _changed(current: Json, change: Json) -> Json:
    """The value after the change; None where nothing is left of it."""
    held = current if isinstance(current, list) else [] if current is None else [current]
    match change:
        case {"$add": list(items)}:
            return list(dict.fromkeys([*held, *items]))
        case {"$remove": list(items)}:
            return [item for item in held if item not in items] or None
        case {"$incr": int() | float() as step}:
            return (current if number(current) else 0) + step
        case {"$decr": int() | float() as step}:
            return (current if number(current) else 0) - step
        case {"$delete": _}:
            return None
        case _:
            return change


def _counts(change: Json) -> bool:
    return isinstance(change, dict) and not change.keys().isdisjoint({"$incr", "$decr"})


def _custom(key: str) -> bool:
    return fold(key) not in _PREDEFINED and not fold(key).startswith("msg-")
