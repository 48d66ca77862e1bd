"""What the app's backend says of a person by `POST /identities/{app}`: the CleverTap id that they have.

The body has exactly these keys, `clevertap_id` and one of `user_id` and `anonymous_user_id`, so that no webhook passes
for one.
"""

import json
from typing import NamedTuple

from purchasely_clevertap.clevertap.limits import MAX_VALUE_BYTES, OBJECT_ID


class Association(NamedTuple):
    """A CleverTap id, and the user or the anonymous user that has it."""

    clevertap_id: str
    user_id: str | None = None
    anonymous_id: str | None = None


def parse_association(body: bytes) -> Association | None:
    """The association in `body`; None if it is none."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict) or not all(isinstance(value, str) and value.strip() for value in given.values()):
        return None
    clevertap_id = given.get("clevertap_id", "")
    if OBJECT_ID.fullmatch(clevertap_id) is None:
        return None
    person = given.keys() - {"clevertap_id"}
    if len(given) != 2 or len(person) != 1 or any(len(given[key].encode()) > MAX_VALUE_BYTES for key in person):
        return None
    if "user_id" in given:
        return Association(clevertap_id, user_id=given["user_id"])
    if "anonymous_user_id" in given:
        return Association(clevertap_id, anonymous_id=given["anonymous_user_id"])
    return None
