"""The keys under which an app, an event and a person are known. Both functions use them, so they load nothing large."""

import hashlib
import re
from typing import Final

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.records import Identity

APP: Final = re.compile(r"[a-z0-9-]{1,40}")
"""What an app may be called, the last part of its webhook URL; for `fullmatch`."""

RETENTION_SECONDS: Final = 30 * 24 * 3600
"""How long the ledger remembers an event. Longer than a signed request is accepted (22 days)."""


_APART: Final = "~"  # in no event id


MOST_MESSAGES: Final = 50
"""So many messages that brought an event are known by their ids, more than Purchasely ever sends (26). The rest are
only counted, so that nobody can fill an entry by playing one request again and again."""


def entry_key(app: str, event_id: str) -> str:
    """The key of an event in the deliveries table."""
    return f"{app}#{event_id}"


def apart_key(key: str, about: str) -> str:
    """The key of an event whose id another event has already: `about` tells them apart."""
    return f"{key}{_APART}{hashlib.sha256(about.encode()).hexdigest()[:8]}"


_BACKFILL: Final = "backfill-"  # no id of SQS begins with it


def backfill_note(message_id: str) -> str:
    """What an entry notes of the message that brought a backfilled event. The balance knows by it: no webhook did."""
    return _BACKFILL + message_id


def is_backfill_note(message_id: str) -> bool:
    """Whether it is what `backfill_note` gave."""
    return message_id.startswith(_BACKFILL)


def profile_backfill_key(key: str) -> str:
    """The key of an event of a backfill that tells profiles alone. It is none of the event's own key: its webhook, or a
    backfill that sends more, is no copy of it."""
    return apart_key(key, "profile backfill")


def shared_event_id(event_id: str) -> str | None:
    """The id that an event shares with the one before it; None if it has its own."""
    shared, apart, _ = event_id.rpartition(_APART)
    return shared if apart else None


def profile_key(app: str, environment: Environment, person: Identity) -> str:
    """The key of a person in the subscribers table.

    By user id; by the anonymous id while that is all that names them; else by CleverTap id.
    """
    user_id, object_id, anonymous_id = person
    if anonymous_id is not None and (
        user_id == anonymous_id or (user_id is None and _is_made_of(object_id, anonymous_id))
    ):
        return anonymous_key(app, environment, anonymous_id)
    if user_id is not None:
        return f"{app}#{environment}#user#{user_id}"
    return object_key(app, environment, object_id or "")


def person_of(key: str) -> tuple[Environment, Identity] | None:
    """The person of a key of the subscribers table; None if it is no such key.

    Of an anonymous id alone nobody can tell here which CleverTap id was made of it.
    """
    parts = key.split("#", 3)
    if len(parts) != 4 or parts[1] not in tuple(Environment):
        return None
    environment, kind, name = Environment(parts[1]), parts[2], parts[3]
    match kind:
        case "user":
            return environment, Identity(name)
        case "object":
            return environment, Identity(object_id=name)
        case "anonymous":
            return environment, Identity(name, anonymous_id=name)
        case _:
            return None


def anonymous_key(app: str, environment: Environment, anonymous_id: str) -> str:
    """The key of what is known of an anonymous id: the person, or the user that it became."""
    return f"{app}#{environment}#anonymous#{anonymous_id}"


def object_key(app: str, environment: Environment, object_id: str) -> str:
    """The key of what is known of a CleverTap id: the person, or the user that it is tied to."""
    return f"{app}#{environment}#object#{object_id}"


def suppressed_key(app: str, hash: str) -> str:
    """The key of the marks of suppressed people whose hashes begin with the same digit; it is no person's key."""
    return f"{app}#suppressed#{hash[:1]}"


def suppressed_keys(app: str) -> list[str]:
    """The keys of all marks of an app."""
    return [suppressed_key(app, f"{digit:x}") for digit in range(16)]


def _is_made_of(object_id: str | None, anonymous_id: str) -> bool:
    """Whether the app started CleverTap's SDK with the anonymous id."""
    return object_id is not None and object_id.endswith(anonymous_id)
