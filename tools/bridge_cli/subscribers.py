"""Reads the subscribers table: what is known of each person in each CleverTap account."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.limits import ANDROID_ID_PREFIX, IOS_ID_PREFIX
from purchasely_clevertap.mapping.profile import ProfileState, facts_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READ_TOGETHER: Final = 100  # DynamoDB, BatchGetItem: 100 items
_PREFIXES: Final = (ANDROID_ID_PREFIX, IOS_ID_PREFIX)
_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Remembered:
    """A subscriber: `kind` is user (`id` is the app's user id, or an anonymous one that stands for it) or object
    (`id` is a CleverTap id). `lease_until` is epoch milliseconds."""

    key: str
    app: str
    account: str
    kind: str
    id: str
    state: ProfileState
    lease_until: int

    @classmethod
    def of(cls, item: dict[str, Any]) -> Self:
        """The subscriber in an item of the table."""
        key = item["subscriber"]["S"]
        app, account, kind, id_ = key.split("#", 3)
        facts = item.get("facts", {}).get("S")
        return cls(
            key=key,
            app=app,
            account=account,
            kind=kind,
            id=id_,
            state=ProfileState.decoded(facts) if facts else ProfileState(),
            lease_until=int(item.get("lease_until", {}).get("N", 0)),
        )

    @property
    def other_ids(self) -> frozenset[str]:
        """The ids under which the same person may be kept as well: before signing in, and as CleverTap knows them."""
        anonymous = facts_of(self.state.person).get("anonymous_user_id")
        return self.state.linked | ({str(anonymous)} if anonymous else set())


def keys_of(app: str, ids: Iterable[str]) -> list[str]:
    """Every key under which a person with one of `ids` may be kept: in both accounts, as user and as CleverTap id."""
    return [
        f"{app}#{account}#{kind}#{prefix}{id_}"
        for id_ in ids
        for account in Environment
        for kind, prefix in (("user", ""), ("object", ""), *(("object", prefix) for prefix in _PREFIXES))
    ]


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
