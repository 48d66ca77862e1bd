"""Whom an event is about, and what CleverTap knows them by."""

import unicodedata
from typing import Final, NamedTuple

from purchasely_clevertap.clevertap.limits import (
    ANDROID_ID_PREFIX,
    CUSTOM_ID,
    IOS_ID_PREFIX,
    MAX_VALUE_BYTES,
    OBJECT_ID,
)
from purchasely_clevertap.clevertap.records import Identity
from purchasely_clevertap.mapping.settings import Anonymous, IdentitySettings
from purchasely_clevertap.outcome import Parked, ParkReason, Skipped, SkipReason
from purchasely_clevertap.purchasely.event import Event

_NO_IDS: Final = frozenset(
    {
        "null",
        "undefined",
        "none",
        "nil",
        "nan",
        "0",
        "-1",
        "(null)",
        "<null>",
        "[object object]",
        "00000000-0000-0000-0000-000000000000",
        "anonymous",
        "guest",
        "unknown",
    }
)
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"})
_WEB: Final = "web2app"


class Link(NamedTuple):
    """What the ledger knows of an anonymous id or a CleverTap id: the user that it became, and its CleverTap id.

    `is_unread`: DynamoDB has not given it in time.
    """

    user_id: str | None = None
    object_id: str | None = None
    is_unread: bool = False


class Names(NamedTuple):
    """What an event calls its person."""

    user_id: str | None
    clevertap_id: str | None
    anonymous_id: str | None


class Wait(NamedTuple):
    """The event waits until its anonymous user logs in."""

    anonymous_id: str


def names(event: Event, settings: IdentitySettings) -> Names | Parked:
    """The ids of the event's person, or why one of them is none."""
    user_id, anonymous_id = event.text("user_id"), event.text("anonymous_user_id")
    if user_id is not None and anonymous_id is not None and _is_none(anonymous_id):
        anonymous_id = None  # the user id says who it is
    if user_id is not None and (problem := id_problem("user_id", user_id, settings)):
        return problem
    if anonymous_id is not None and (problem := id_problem("anonymous_user_id", anonymous_id, settings)):
        return problem
    clevertap_id = None
    for key in settings.clevertap_id_keys:
        given = event.text(key)
        if given is not None and OBJECT_ID.fullmatch(given) and not _is_none(given):
            clevertap_id = given
            break
    return Names(user_id, clevertap_id, anonymous_id)


def identity(event: Event, of: Names, link: Link, settings: IdentitySettings) -> Identity | Wait | Skipped | Parked:
    """The person at CleverTap. `link` is what is known of the anonymous id or the CleverTap id of an event without a
    user id."""
    if of.user_id is not None:
        return Identity(of.user_id, of.clevertap_id)
    if of.clevertap_id is not None:
        return Identity(link.user_id, of.clevertap_id, of.anonymous_id)
    anonymous_id = of.anonymous_id
    if anonymous_id is None:
        return Parked(ParkReason.NO_USER, "neither user_id nor anonymous_user_id nor a CleverTap id names a person")
    if waits_for_login(event, settings):
        if link == Link():
            return Wait(anonymous_id)
        return Identity(link.user_id, link.object_id, anonymous_id)
    match settings.anonymous:
        case Anonymous.IDENTITY:
            return Identity(anonymous_id, anonymous_id=anonymous_id)
        case Anonymous.CUSTOM_ID:
            if CUSTOM_ID.fullmatch(anonymous_id) is None:
                return Parked(
                    ParkReason.UNUSABLE_IDENTITY,
                    "anonymous_user_id cannot be a custom CleverTap id: 1 to 64 of A-Z a-z 0-9 ( ) ! : @ $ _ -",
                )
            return Identity(link.user_id, sdk_id(event, anonymous_id), anonymous_id)
        case _:
            return Skipped(SkipReason.ANONYMOUS_USER)


def waits_for_login(event: Event, settings: IdentitySettings) -> bool:
    """Whether an event of an anonymous user waits until it is known who that is."""
    if settings.anonymous is Anonymous.CUSTOM_ID:
        return event.text("channel") == _WEB  # no SDK of CleverTap's has such a visitor's id
    return settings.anonymous is Anonymous.HOLD


def joins_logins(settings: IdentitySettings) -> bool:
    """Whether what is known of an anonymous user becomes the user's at the login."""
    return settings.anonymous in (Anonymous.HOLD, Anonymous.CUSTOM_ID)


def became_known(event: Event) -> bool:
    """Whether the event only says that an anonymous user logged in: no transfer, and nothing is over."""
    return (
        event.event_name in ("SUBSCRIPTION_TRANSFERRED", "ONE_TIME_PURCHASE_TRANSFERRED")
        and event.text("user_id") is None
        and event.text("anonymous_user_id") is not None
        and event.text("transferred_to_user_id") is not None
    )


def known_as(event: Event) -> str | None:
    """The anonymous id of which a user's event says that it was this user's."""
    if event.event_name in ("SUBSCRIPTION_RECEIVED", "ONE_TIME_PURCHASE_RECEIVED"):
        return event.text("transferred_from_anonymous_user_id") or event.text("anonymous_user_id")
    return event.text("anonymous_user_id")


def id_problem(key: str, given: str, settings: IdentitySettings) -> Parked | None:
    """Why an id, the value of `key`, is nobody's; None if it is somebody's."""
    size = len(given) if given.isascii() else len(given.encode())
    if size > MAX_VALUE_BYTES:
        detail = f"{key} has {size} bytes; at most {MAX_VALUE_BYTES} are allowed"
    elif _is_none(given):
        detail = f"{key} is a word for no id"
    elif settings.refuse and given.strip().casefold() in {each.strip().casefold() for each in settings.refuse}:
        detail = f"{key} is one that the setting identity.refuse refuses"
    else:
        return None
    return Parked(ParkReason.UNUSABLE_IDENTITY, detail)


def _is_none(given: str) -> bool:
    word = given
    if not (given.isascii() and given.isprintable()):
        word = "".join(letter for letter in given if unicodedata.category(letter) not in _INVISIBLE or letter == " ")
    word = word.strip().casefold()
    return not word or word in _NO_IDS or (word.startswith("optional(") and word.endswith(")"))


def sdk_id(event: Event, anonymous_id: str) -> str:
    """The CleverTap id that the SDK makes of an anonymous id: by the store; else by its case, as iOS writes a UUID in
    upper case."""
    store = event.text("store")
    if store == "APPLE_APP_STORE":
        return IOS_ID_PREFIX + anonymous_id
    if store in ("GOOGLE_PLAY_STORE", "AMAZON_APPSTORE", "HUAWEI_APPGALLERY"):
        return ANDROID_ID_PREFIX + anonymous_id
    return (IOS_ID_PREFIX if anonymous_id.isupper() else ANDROID_ID_PREFIX) + anonymous_id
