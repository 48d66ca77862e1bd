"""Reads the subscribers table: what is known of each person in each CleverTap account."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.limits import ANDROID_ID_PREFIX, IOS_ID_PREFIX
from purchasely_clevertap.delivery.keys import anonymous_key
from purchasely_clevertap.mapping.profile import ProfileState, facts_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READ_TOGETHER: Final = 100  # DynamoDB, BatchGetItem: 100 items
_PREFIXES: Final = (ANDROID_ID_PREFIX, IOS_ID_PREFIX)
_ROUNDS: Final = 5


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
        facts = item.get("facts", {}).get("S")
        state, is_unreadable = ProfileState(), False
        try:
            state = ProfileState.decoded(facts) if facts else state
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
    def other_ids(self) -> frozenset[str]:
        """The ids under which the same person may be kept as well: before signing in, and as CleverTap knows them."""
        named = (facts_of(self.state.person).get("anonymous_user_id"), self.tied_user, self.tied_object)
        return self.state.linked | self.state.known_as | {str(each) for each in named if each is not None}


def keys_of(app: str, ids: Iterable[str]) -> list[str]:
    """Every key under which a person with one of `ids` may be kept: in both accounts, as user, as anonymous user and as
    CleverTap id."""
    return [
        f"{app}#{account}#{kind}#{prefix}{id_}"
        for id_ in ids
        for account in Environment
        for kind, prefix in (("user", ""), ("anonymous", ""), ("object", ""), *(("object", each) for each in _PREFIXES))
    ]


def anonymous_keys(app: str, ids: Iterable[str]) -> list[str]:
    """The keys under which events of anonymous users with one of `ids` wait for a login."""
    return [anonymous_key(app, account, id_) for id_ in ids for account in Environment]


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


def person(dynamodb: "DynamoDBClient", table: str, *, app: str, id: str) -> tuple[list[Remembered], frozenset[str]]:
    """What is kept of the person `id`, and every id that they have by it: also what led to them before signing in."""
    ids, new = frozenset({id}), frozenset({id})
    found: dict[str, Remembered] = {}
    for _ in range(_ROUNDS):
        for each in remembered(dynamodb, table, keys_of(app, new)):
            found[each.key] = each
        new = frozenset().union(*(each.other_ids for each in found.values())) - ids
        if not new:
            break
        ids |= new
    return sorted(found.values(), key=lambda each: each.key), ids
