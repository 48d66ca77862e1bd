"""What CleverTap takes: its documented limits, and whether a name or a value keeps to them.

Sources, named beside each limit: developer.clevertap.com "Upload Events API" [events], "Upload User Profiles API"
[profiles], "API Request Limit" [requests], "API Errors" [errors], "Set CleverTap ID" [id], "Events" [object], and
docs.clevertap.com "Platform Considerations" [platform].
"""

import re
from typing import Final

MAX_RECORDS: Final = 1000
"""Records in one request, events and profiles together [events]."""

MAX_CONCURRENT_REQUESTS: Final = 15
"""Requests under way at once for one account; above it the answer is HTTP 429 [requests]."""

MAX_EVENT_PROPERTIES: Final = 100
"""Properties of one event; older pages say 256 [platform]. Above it: code 522 [errors]."""

MAX_PROFILE_KEYS: Final = 256
"""Custom keys of one profile [profiles]."""

MAX_KEY_CHARACTERS: Final = 120
"""Characters of a property key, of an event or a profile [platform]."""

MAX_VALUE_BYTES: Final = 512
"""Bytes, in UTF-8, of a property value that is text [profiles]."""

SAFE_CHARACTERS: Final = MAX_VALUE_BYTES // 4
"""Characters that fit into a value whatever they are: none takes more than 4 bytes."""

MAX_EVENT_TYPES: Final = 512
"""Different event names in one account [platform]."""

MAX_NAME_CHARACTERS: Final = 512
"""Characters of an event name: the limit of the SDKs, as the server's is not documented [platform]."""

MAX_CHARGED_ITEMS: Final = 50
"""Objects in `Items` of a Charged event [object]."""

CAMPAIGN_MAX_AGE_SECONDS: Final = 2 * 60 * 60
"""An event older than this when it is uploaded triggers no live campaign [events]."""

CAMPAIGN_MAX_AHEAD_SECONDS: Final = 2 * 60
"""An event further in the future than this triggers no live campaign [events]."""

PROHIBITED_CHARACTERS: Final = frozenset("%><!|&.:;$'\"\\")
"""Characters that neither an event name nor a property key may hold [platform]."""

CHARGED: Final = "Charged"
"""CleverTap's own event for a purchase; the only one whose `Items` may be a list of objects [object]."""

RESERVED_EVENT_NAMES: Final = (
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
"""Names of CleverTap's own events; an upload of one is refused with code 513 [errors]."""

RESERVED_PROFILE_KEYS: Final = (
    "Identity",
    "objectId",
    "Email",
    "Phone",
    "Gender",
    "Age",
    "DOB",
    "Employed",
    "Education",
    "Married",
)
"""Profile keys that say who the user is [profiles], or whose value must have a form of its own: a wrong one has the
whole profile refused with codes 514 to 520 [errors]."""

CUSTOM_ID: Final = re.compile(r"[A-Za-z0-9()!:@$_-]{1,64}")
"""A CleverTap id that the app chooses, as the app gives it to the SDK [id]; for `fullmatch`."""

ANDROID_ID_PREFIX: Final = "__h"
"""What the Android SDK puts before a custom id to make the objectId [id]."""

IOS_ID_PREFIX: Final = "-h"
"""What the iOS SDK puts before a custom id to make the objectId [id]."""

OBJECT_ID: Final = re.compile(rf"(?:{ANDROID_ID_PREFIX}|{IOS_ID_PREFIX})?{CUSTOM_ID.pattern}")
"""An objectId: a CleverTap id exactly as the SDK returns it, with its prefix if the app chose the id [id]; for
`fullmatch`."""

_PROHIBITED = "".join(sorted(PROHIBITED_CHARACTERS))


def normalized(name: str) -> str:
    """The form in which CleverTap tells event names apart: case and spaces do not count [platform]."""
    return "".join(name.split()).casefold()


_RESERVED_EVENT_NAMES = {normalized(name): name for name in RESERVED_EVENT_NAMES}


def event_name_problem(name: str) -> str | None:
    """Why CleverTap would reject an event of this name, as the end of a sentence; None if it takes it."""
    if reserved := _RESERVED_EVENT_NAMES.get(form := normalized(name)):
        return f'is reserved: "{reserved}" is an event of CleverTap itself'
    return _text_problem(name, form, MAX_NAME_CHARACTERS)


def property_key_problem(key: str) -> str | None:
    """Why CleverTap would reject a property with this key, as the end of a sentence; None if it takes it."""
    if key.isidentifier() and len(key) <= MAX_KEY_CHARACTERS:  # every key Purchasely documents
        return None
    return _text_problem(key, key.strip(), MAX_KEY_CHARACTERS)


def clip_key(key: str) -> str:
    """`key`, cut to the characters that CleverTap takes."""
    return key[:MAX_KEY_CHARACTERS]


def clip_text(value: str) -> str:
    """`value`, cut to the bytes that CleverTap takes, never within a character."""
    if len(value) <= SAFE_CHARACTERS:
        return value
    if value.isascii():
        return value[:MAX_VALUE_BYTES]
    # Half a surrogate pair, which JSON can escape and UTF-8 cannot hold, is left out like half a character.
    return value.encode("utf-8", "surrogatepass")[:MAX_VALUE_BYTES].decode("utf-8", "ignore")


def _text_problem(text: str, content: str, most: int) -> str | None:
    if not content:
        return "is empty"
    if len(text) > most:
        return f"has {len(text)} characters, at most {most} are allowed"
    if not text.isidentifier() and (found := PROHIBITED_CHARACTERS.intersection(text)):
        return f"has {' '.join(sorted(found))} in it; CleverTap prohibits {' '.join(_PROHIBITED)}"
    return None
