"""The records of CleverTap's upload API (developer.clevertap.com, upload-events-api and upload-user-profiles-api)."""

from enum import StrEnum
from typing import Any, NamedTuple

import orjson


class Kind(StrEnum):
    """What a record of ours is; one event makes at most one of each."""

    PROFILE = "profile"
    EVENT = "event"
    CHARGED = "charged"
    REFUNDED = "refunded"


class Identity(NamedTuple):
    """The person a record is about: the app's `user_id`, or a CleverTap `object_id` while no user is known.

    With both, `object_id` is to be tied to the user. `anonymous_id` is Purchasely's for the person before a login.
    """

    user_id: str | None = None
    object_id: str | None = None
    anonymous_id: str | None = None

    @property
    def root(self) -> tuple[str, str]:
        """The key that every record of this person carries, and its value."""
        if self.user_id is not None:
            return "identity", self.user_id
        if self.object_id is not None:
            return "objectId", self.object_id
        raise ValueError("an identity has a user_id or an object_id")


def event_record(identity: Identity, name: str, seconds: int, properties: dict[str, Any]) -> bytes:
    """An event record as JSON; `seconds` is the epoch time of the event."""
    root, person = identity.root
    return orjson.dumps({"type": "event", root: person, "ts": seconds, "evtName": name, "evtData": properties})


def profile_record(identity: Identity, properties: dict[str, Any]) -> bytes:
    """A profile record as JSON."""
    root, person = identity.root
    return orjson.dumps({"type": "profile", root: person, "profileData": properties})
