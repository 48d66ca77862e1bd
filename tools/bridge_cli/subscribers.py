"""Reads the subscribers table: what is known of each person in each CleverTap account."""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from purchasely_clevertap.aws.packing import stored_state
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.limits import ANDROID_ID_PREFIX, IOS_ID_PREFIX
from purchasely_clevertap.clevertap.records import Identity
from purchasely_clevertap.delivery.keys import anonymous_key, person_of
from purchasely_clevertap.mapping.profile import ProfileState, facts_of
from purchasely_clevertap.purchasely.event_id import lenient_json

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READ_TOGETHER: Final = 100  # DynamoDB, BatchGetItem: 100 items
_PREFIXES: Final = (ANDROID_ID_PREFIX, IOS_ID_PREFIX)
_ROUNDS: Final = 5
_LONG_ID: Final = 8


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept under an id: `kind` is user (`id` is the app's user id), anonymous (Purchasely's id of somebody who
    has not logged in) or object (a CleverTap id).

    `lease_until` is epoch milliseconds. `tied_user` is the user that an anonymous id or a CleverTap id became,
    `tied_object` the CleverTap id that the app's backend told of an anonymous id. `is_unreadable`: the state is not
    one of this version.
    """

    key: str
    app: str
    account: str
    kind: str
    id: str
    state: ProfileState
    lease_until: int
    tied_user: str | None = None
    tied_object: str | None = None
    is_unreadable: bool = False

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """The subscriber in an item of the table."""
        key = item["subscriber"]["S"]
        app, account, kind, id_ = key.split("#", 3)
        state, is_unreadable = ProfileState(), False
        try:
            state, _ = stored_state(item)
        except ValueError:
            is_unreadable = True
        return cls(
            key=key,
            app=app,
            account=account,
            kind=kind,
            id=id_,
            state=state,
            lease_until=int(item.get("lease_until", {}).get("N", 0)),
            tied_user=item.get("tied_user", {}).get("S"),
            tied_object=item.get("tied_object", {}).get("S"),
            is_unreadable=is_unreadable,
        )

    @property
    def ids(self) -> "Ids":
        """The ids of the person by what is kept here: before signing in, and as CleverTap knows them."""
        own = Ids.of_kind(self.kind, self.id)
        before = facts_of(self.state.person).get("anonymous_user_id")
        return Ids(
            own.users | ({self.tied_user} if self.tied_user is not None else set()),
            own.anonymous | self.state.known_as | ({str(before)} if before is not None else set()),
            own.objects | self.state.linked | ({self.tied_object} if self.tied_object is not None else set()),
        )


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of one person: user ids, anonymous ids of Purchasely's, CleverTap ids.

    The same text may be the user id of one person and the anonymous id of another.
    """

    users: frozenset[str] = frozenset()
    anonymous: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()

    @classmethod
    def of_kind(cls, kind: str, id: str) -> "Ids":
        """One id of that kind."""
        one = frozenset({id})
        return {"user": cls(users=one), "anonymous": cls(anonymous=one)}.get(kind, cls(objects=one))

    @property
    def at_clevertap(self) -> frozenset[str]:
        """The CleverTap ids, and those that an SDK makes of an id that the app has chosen."""
        return self.objects | {f"{prefix}{id_}" for id_ in self.objects | self.anonymous for prefix in _PREFIXES}

    def __or__(self, other: "Ids") -> "Ids":
        return Ids(self.users | other.users, self.anonymous | other.anonymous, self.objects | other.objects)

    def __sub__(self, other: "Ids") -> "Ids":
        return Ids(self.users - other.users, self.anonymous - other.anonymous, self.objects - other.objects)


def keys_of(app: str, ids: Ids) -> list[str]:
    """Every key under which a person with these ids may be kept, in both accounts."""
    return [
        f"{app}#{account}#{kind}#{id_}"
        for account in Environment
        for kind, named in (("user", ids.users), ("anonymous", ids.anonymous), ("object", ids.at_clevertap))
        for id_ in sorted(named)
    ]


def anonymous_keys(app: str, ids: Ids) -> list[str]:
    """The keys under which events of anonymous users with these ids wait for a login."""
    return [anonymous_key(app, account, id_) for id_ in sorted(ids.anonymous) for account in Environment]


def remembered(dynamodb: "DynamoDBClient", table: str, keys: Collection[str]) -> Iterator[Remembered]:
    """The subscribers of these keys, as far as there are any."""
    pending: list[Any] = [{"subscriber": {"S": key}} for key in dict.fromkeys(keys)]
    while pending:
        together, pending = pending[:_READ_TOGETHER], pending[_READ_TOGETHER:]
        answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": together, "ConsistentRead": True}})
        for item in answer["Responses"].get(table, []):
            yield Remembered.of(item)
        if unprocessed := answer.get("UnprocessedKeys", {}).get(table):
            pending += unprocessed["Keys"]


def person(dynamodb: "DynamoDBClient", table: str, *, app: str, id: str) -> tuple[list[Remembered], Ids]:
    """What is kept of the person `id`, and every id that they have by it: also what led to them before signing in.

    `id` is a user id; if no user has it, an anonymous id or a CleverTap id. What is tied to another user is theirs.
    """
    one = frozenset({id})
    found = {each.key: each for each in remembered(dynamodb, table, keys_of(app, Ids(users=one)))}
    ids = Ids(users=one) if found else Ids(anonymous=one, objects=one)
    anothers = Ids()
    looked_for: set[str] = set()
    for _ in range(_ROUNDS):
        keys = [key for key in keys_of(app, ids) if key not in looked_for]
        if not keys:
            break
        looked_for.update(keys)
        for each in remembered(dynamodb, table, keys):
            if each.tied_user is not None and ids.users and each.tied_user not in ids.users:
                anothers |= Ids.of_kind(each.kind, each.id)
            else:
                found[each.key] = each
                ids |= each.ids
    if not found:
        ids = Ids(one, one, one)
    return sorted(found.values(), key=lambda each: each.key), ids - anothers


def is_about(body: bytes, ids: Ids) -> bool:
    """Whether the message `body` is about the person; what can't be read is if it names one of the ids.

    A user id says whose it is: the CleverTap id is that of a device, which others may use.
    """
    payload = _payload(body)
    if payload is None:
        if (found := person_of(body.decode(errors="replace"))) is not None:
            return _is_person(found[1], ids)
        return any(_quotes(body, id_) for id_ in ids.users | ids.anonymous | ids.objects)
    if (user_id := _id(payload.get("user_id"))) is not None:
        return user_id in ids.users
    if (anonymous_id := _id(payload.get("anonymous_user_id"))) is not None:
        return anonymous_id in ids.anonymous
    return _id(payload.get("clevertap_id")) in ids.at_clevertap


def mentions(body: bytes, ids: Ids) -> bool:
    """Whether the webhook in `body` names the person as the other side of a transfer."""
    payload = _payload(body) or {}
    return any(
        _id(payload.get(f"transferred_{way}_{kind}")) in named
        for way in ("from", "to")
        for kind, named in (("user_id", ids.users), ("anonymous_user_id", ids.anonymous))
    )


def _is_person(named: Identity, ids: Ids) -> bool:
    """Whether news of a person, whose body is the key of the person, is of this one."""
    if named.anonymous_id is not None:
        return named.anonymous_id in ids.anonymous
    return named.user_id in ids.users or named.object_id in ids.at_clevertap


def _quotes(body: bytes, id_: str) -> bool:
    """Whether a body that is no JSON names an id: between quotes, or by itself if it is too long to be there by chance.

    An id that is only part of a longer one is not named.
    """
    spelled = {id_.encode(errors="replace"), json.dumps(id_)[1:-1].encode(), quote(id_, safe="").encode()}
    if any(b'"' + each + b'"' in body for each in spelled):
        return True
    return len(id_) >= _LONG_ID and any(
        re.search(rb"(?<![\w.@%+-])" + re.escape(each) + rb"(?![\w@%+-]|\.\w)", body) for each in spelled
    )


def _payload(body: bytes) -> dict[str, Any] | None:
    """The object in a body, read as the forwarder reads it; an empty one for other JSON, None for what can't be
    read."""
    try:
        payload = lenient_json(body)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else {}


def _id(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
