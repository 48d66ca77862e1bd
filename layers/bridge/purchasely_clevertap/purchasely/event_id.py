"""The id under which an event is remembered, from its body alone.

Both functions must name an event alike, also one that cannot be read, so the rule stands here once and
needs nothing but the standard library.
"""

import hashlib
import json
import re
from typing import Any

PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"
_USABLE = re.compile(PATTERN.strip("^$")).fullmatch
INTEGER_BITS = 63  # beyond, JSON writers and readers disagree
_INTEGER_DIGITS = 20  # with a sign


def event_id(body: bytes) -> str:
    """Purchasely's `event_id`, its documented idempotency key, when the body has a usable one.

    Otherwise (a few old samples have none; a body may not be JSON) an id made from the bytes, so that the same
    body sent again is still known: `sha256-` and 40 hex digits.
    """
    try:
        payload = lenient_json(body)
    except (ValueError, RecursionError):
        payload = None
    return of(payload.get("event_id") if isinstance(payload, dict) else None, body)


def lenient_json(body: bytes) -> Any:
    """The JSON in a body. What Python's reader can forgive loses no event: half a character, NaN, a byte order mark,
    bytes that are not UTF-8, control characters, a number of any length. Raises ValueError and RecursionError."""
    return json.loads(body.decode("utf-8-sig", errors="replace"), strict=False, parse_int=_integer)


def _integer(digits: str) -> int | str:
    """The number, or its digits where no reader of JSON would take it."""
    if len(digits) > _INTEGER_DIGITS:
        return digits
    number = int(digits)
    return number if number.bit_length() <= INTEGER_BITS else digits


def of(given: object, body: bytes) -> str:
    """`given` when it can serve as an id, else the one made from `body`."""
    if isinstance(given, str) and _USABLE(given):
        return given
    return f"sha256-{hashlib.sha256(body).hexdigest()[:40]}"
