"""The id under which an event is remembered, from its body alone.

Both functions must name an event alike, also one that cannot be read, so the rule stands here once and
needs nothing but the standard library.
"""

import hashlib
import json
import re

PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"
_USABLE = re.compile(PATTERN.strip("^$")).fullmatch


def event_id(body: bytes) -> str:
    """Purchasely's `event_id`, its documented idempotency key, when the body has a usable one.

    Otherwise (a few old samples have none; a body may not be JSON) an id made from the bytes, so that the same
    body sent again is still known: `sha256-` and 40 hex digits.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    return of(payload.get("event_id") if isinstance(payload, dict) else None, body)


def of(given: object, body: bytes) -> str:
    """`given` when it can serve as an id, else the one made from `body`."""
    if isinstance(given, str) and _USABLE(given):
        return given
    return f"sha256-{hashlib.sha256(body).hexdigest()[:40]}"
