"""Names and values of properties: which ones CleverTap takes, and which it drops without a word.

Source: developer.clevertap.com, upload-events-api and upload-user-profiles-api.
"""

import re
from typing import TypeGuard

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type Object = dict[str, Json]

PROHIBITED = frozenset("%><!|&.:;$'\"\\")
"""In event names and keys."""
KEY_CHARACTERS = 120
VALUE_BYTES = 512

_DATE = re.compile(r"\$D_[0-9]{1,11}")


def fold(name: str) -> str:
    """The form in which two names are one: CleverTap ignores case and spaces."""
    return "".join(name.split()).casefold()


def allowed(name: str) -> bool:
    """Whether an event name or a key may be written so."""
    return bool(name.strip()) and PROHIBITED.isdisjoint(name)


def number(value: Json) -> TypeGuard[int | float]:
    """A number of JSON: not true and false, which Python counts among its integers."""
    return type(value) in (int, float)


def type_of(value: Json) -> str | None:
    """The type that the account's schema has for such a value; None for what is no value, an operator for one.

    The schema tells integers and floats apart.
    """
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "float"
        case str():
            return "date" if _DATE.fullmatch(value) else "string"
        case _:
            return None


def value_fault(value: Json) -> str | None:
    """Why a value is dropped, or None. It must be a string, a boolean, a number or a date `$D_<epoch seconds>`."""
    match value:
        case None:
            return "null"
        case list():
            return "list"
        case dict():
            return "nested object"
        case str() if len(value.encode(errors="surrogatepass")) > VALUE_BYTES:
            return f"value longer than {VALUE_BYTES} bytes"
        case str() if value.startswith("$D_") and not _DATE.fullmatch(value):
            return "date other than $D_<epoch seconds>"
        case _:
            return None


def key_fault(key: str) -> str | None:
    """Why a property is dropped for its key, or None."""
    return f"key longer than {KEY_CHARACTERS} characters" if len(key) > KEY_CHARACTERS else None
