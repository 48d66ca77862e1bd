"""What is remembered between events, in DynamoDB: each delivery, and each subscriber.

A **delivery** is an event of an app (key `{app}#{event_id}`): the webhooks that brought it, the claim of the worker
that is at it, what CleverTap has taken of it, and in the end its outcome. It is forgotten after 30 days.
A **subscriber** is a person in one CleverTap account: the state that the profile follows from.

Every write is conditional, and writes go out a hundred to a transaction: CleverTap has no idempotency, so two
workers must never both believe that an event is theirs.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.mapping.profile import Subscriber

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

REMEMBERED_SECONDS: Final = 30 * 24 * 3600
# Longer than a worker can live (the forwarder's timeout is 60 s), so a lease that has run out is a dead worker's.
LEASE_MS: Final = 90_000

_READ_TOGETHER: Final = 100  # DynamoDB, BatchGetItem: 100 items
_WRITTEN_TOGETHER: Final = 100  # DynamoDB, TransactWriteItems: 100 items
_PAUSE_SECONDS: Final = 0.05


class LedgerUnavailable(Exception):
    """DynamoDB does not answer, or not in the time that is left. Nothing of the failed call is known."""


class Delivery(NamedTuple):
    """What is remembered of an event. Times are epoch milliseconds.

    `in_doubt` counts how often CleverTap may have taken records of it without the answer having been remembered.
    """

    messages: frozenset[str] = frozenset()
    outcome: str | None = None
    lease_until: int = 0
    attempts: int = 0
    accepted: frozenset[str] = frozenset()
    in_doubt: int = 0

    @property
    def abandoned(self) -> bool:
        """Whether the worker that last claimed it, when its lease is over, died with it."""
        return self.outcome is None and self.lease_until > 0


class Known(NamedTuple):
    """A subscriber as remembered. `version` counts the writes."""

    state: Subscriber = Subscriber()
    version: int = 0
    lease_until: int = 0

    @property
    def in_doubt(self) -> bool:
        """Whether CleverTap may have taken a profile that the state does not know of.

        Whoever has an answer ends the lease. One that was left to run out, by a worker that died or that never heard,
        says that a profile was under way.
        """
        return self.lease_until > 0


class Change(NamedTuple):
    """One conditional update of one item."""

    table: str
    key: Mapping[str, Any]
    update: str
    condition: str | None
    values: Mapping[str, Any]

    @property
    def update_item(self) -> "UpdateTypeDef":
        """The change as DynamoDB takes it."""
        item: UpdateTypeDef = {
            "TableName": self.table,
            "Key": self.key,
            "UpdateExpression": self.update,
            "ExpressionAttributeValues": self.values,
        }
        if self.condition is not None:
            item["ConditionExpression"] = self.condition
        return item


def delivery_key(app: str, event_id: str) -> str:
    """The key of an event in the deliveries table."""
    return f"{app}#{event_id}"


class Ledger:
    """The two tables. `pause` waits that many seconds; `time_left` says how many seconds a call may still take."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        *,
        deliveries: str,
        subscribers: str,
        pause: Callable[[float], object],
    ) -> None:
        self._dynamodb = dynamodb
        self._deliveries = deliveries
        self._subscribers = subscribers
        self._pause = pause

    def deliveries(self, keys: Collection[str], time_left: Callable[[], float]) -> dict[str, Delivery]:
        """What is remembered of each event; one never heard of is an empty `Delivery`.

        Raises `LedgerUnavailable`.
        """
        found = self._read(self._deliveries, "event", keys, time_left)
        return {key: _delivery(found[key]) if key in found else Delivery() for key in keys}

    def subscribers(self, keys: Collection[str], time_left: Callable[[], float]) -> dict[str, Known]:
        """What is known of each subscriber; of a new one, nothing. Raises `LedgerUnavailable`."""
        found = self._read(self._subscribers, "subscriber", keys, time_left)
        return {key: _known(found[key]) if key in found else Known() for key in keys}

    def claim(self, key: str, message_id: str | None, seen: Delivery, *, owner: str, now_ms: int) -> Change:
        """Makes the event `owner`'s until the lease is over. Holds only if nothing has changed since it was `seen`."""
        return self._delivery_change(
            key,
            "SET attempts = :attempts, lease_owner = :owner, lease_until = :until, expires_at = :expires "
            "REMOVE outcome",
            message_id,
            seen,
            now_ms,
            {
                ":attempts": _n(seen.attempts + 1),
                ":owner": _s(owner),
                ":until": _n(now_ms + LEASE_MS),
                ":expires": _n(now_ms // 1000 + REMEMBERED_SECONDS),
            },
        )

    def settle_unclaimed(
        self, key: str, message_id: str | None, seen: Delivery, *, now_ms: int, facts: Mapping[str, str | int | None]
    ) -> Change:
        """Gives an event that needs no upload its outcome. Holds only if nothing has changed since it was `seen`."""
        update, gone, values = _facts_update(facts)
        return self._delivery_change(
            key,
            f"SET attempts = :attempts, settled_at = :now, expires_at = :expires{update} "
            f"REMOVE lease_owner, lease_until{gone}",
            message_id,
            seen,
            now_ms,
            {
                ":attempts": _n(seen.attempts + 1),
                ":now": _n(now_ms),
                ":expires": _n(now_ms // 1000 + REMEMBERED_SECONDS),
                **values,
            },
        )

    def settle(
        self, key: str, *, owner: str, now_ms: int, accepted: Iterable[str], facts: Mapping[str, str | int | None]
    ) -> Change:
        """Gives a claimed event its outcome and what CleverTap has taken of it. Holds only while it is `owner`'s."""
        update, gone, values = _facts_update(facts)
        return self._release(
            key,
            owner,
            accepted,
            f"SET settled_at = :now, expires_at = :expires{update} REMOVE lease_owner, lease_until{gone}",
            {":now": _n(now_ms), ":expires": _n(now_ms // 1000 + REMEMBERED_SECONDS), **values},
        )

    def release(
        self, key: str, *, owner: str, accepted: Iterable[str], facts: Mapping[str, str | int | None]
    ) -> Change:
        """Gives up the claim of an event that comes again. Holds only while it is `owner`'s."""
        update, gone, values = _facts_update(facts)
        return self._release(
            key,
            owner,
            accepted,
            f"SET lease_until = :free{update} REMOVE lease_owner{gone}",
            {":free": _n(0), **values},
        )

    def add_messages(self, key: str, message_ids: Collection[str], *, now_ms: int) -> Change:
        """Notes further webhooks of an event that is known; noting one twice counts it once."""
        return Change(
            self._deliveries,
            {"event": _s(key)},
            "ADD messages :message SET expires_at = if_not_exists(expires_at, :expires)",
            None,
            {":message": {"SS": sorted(message_ids)}, ":expires": _n(now_ms // 1000 + REMEMBERED_SECONDS)},
        )

    def lease(self, key: str, seen: Known, *, owner: str, now_ms: int) -> Change:
        """Makes the subscriber `owner`'s until the lease is over. Holds only if it is as it was `seen`."""
        return Change(
            self._subscribers,
            {"subscriber": _s(key)},
            "SET version = :next, lease_owner = :owner, lease_until = :until",
            "(attribute_not_exists(version) OR version = :version) AND "
            "(attribute_not_exists(lease_until) OR lease_until <= :now)",
            {
                ":version": _n(seen.version),
                ":next": _n(seen.version + 1),
                ":owner": _s(owner),
                ":until": _n(now_ms + LEASE_MS),
                ":now": _n(now_ms),
            },
        )

    def save(self, key: str, state: Subscriber, *, owner: str, lease_until: int = 0) -> Change:
        """Keeps the state of a leased subscriber and ends the lease. Holds only while it is `owner`'s.

        With `lease_until` (epoch milliseconds) nobody gets the lease before then, and who does is told of the doubt.
        """
        return Change(
            self._subscribers,
            {"subscriber": _s(key)},
            # A new version: whoever has read the state that this one replaces must not get the lease with it.
            "SET facts = :facts, version = version + :one, lease_until = :free REMOVE lease_owner",
            "lease_owner = :owner",
            {":facts": _s(state.encoded()), ":one": _n(1), ":free": _n(lease_until), ":owner": _s(owner)},
        )

    def write(self, changes: Sequence[Change], time_left: Callable[[], float]) -> list[bool]:
        """Makes the changes, at most one for each item; says of each whether its condition held.

        A change that DynamoDB can never make, as its item would be too large, does not hold. Throttling and conflicts
        with another worker are waited out while `time_left` lasts. Raises `LedgerUnavailable` if DynamoDB does not
        answer: then some of the changes may have been made.
        """
        held: list[bool] = [True] * len(changes)
        pending = [
            list(range(start, min(start + _WRITTEN_TOGETHER, len(changes))))
            for start in range(0, len(changes), _WRITTEN_TOGETHER)
        ]
        while pending:
            together = pending.pop(0)
            causes = self._transact([changes[index] for index in together])
            if causes is None:
                continue
            if causes == [_TOO_MUCH] * len(together) and len(together) > 1:
                pending += [together[: len(together) // 2], together[len(together) // 2 :]]
                continue
            refused = {index for index, cause in zip(together, causes, strict=True) if cause in _REFUSED}
            for index in refused:
                held[index] = False
            again = [index for index in together if index not in refused]
            if not again:
                continue
            if not refused:  # throttled, or another worker's transaction was in the way
                if time_left() < 1:
                    raise LedgerUnavailable(f"DynamoDB still answers {sorted(set(causes) - {'None'})}")
                self._pause(_PAUSE_SECONDS)
            pending.append(again)
        return held

    def _transact(self, changes: Sequence[Change]) -> list[str] | None:
        """None when all changes were made; else, and then none was made, the cause for each."""
        try:
            self._dynamodb.transact_write_items(TransactItems=[{"Update": change.update_item} for change in changes])
        except self._dynamodb.exceptions.TransactionCanceledException as error:
            return [reason["Code"] for reason in error.response["CancellationReasons"]]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _THROTTLED or code == _TOO_MUCH:
                return [code] * len(changes)
            raise LedgerUnavailable(code) from error
        except BotoCoreError as error:
            raise LedgerUnavailable(type(error).__name__) from error
        return None

    def _read(
        self, table: str, attribute: str, keys: Collection[str], time_left: Callable[[], float]
    ) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        pending: list[Mapping[str, Any]] = [{attribute: _s(key)} for key in keys]
        while pending:
            together, pending = pending[:_READ_TOGETHER], pending[_READ_TOGETHER:]
            try:
                answer = self._dynamodb.batch_get_item(RequestItems={table: {"Keys": together, "ConsistentRead": True}})
            except ClientError as error:
                raise LedgerUnavailable(error.response["Error"]["Code"]) from error
            except BotoCoreError as error:
                raise LedgerUnavailable(type(error).__name__) from error
            found.update((item[attribute]["S"], item) for item in answer["Responses"].get(table, []))
            if left := answer.get("UnprocessedKeys", {}).get(table):
                if time_left() < 1:
                    raise LedgerUnavailable("DynamoDB leaves keys unprocessed")
                self._pause(_PAUSE_SECONDS)
                pending.extend(left["Keys"])
        return found

    def _delivery_change(
        self,
        key: str,
        update: str,
        message_id: str | None,
        seen: Delivery,
        now_ms: int,
        values: Mapping[str, Any],
    ) -> Change:
        message = {":message": {"SS": [message_id]}} if message_id else {}
        return Change(
            self._deliveries,
            {"event": _s(key)},
            f"{update} ADD messages :message" if message_id else update,
            # `attempts` counts the claims and the outcomes, so an item with the same count has not changed hands.
            "(attribute_not_exists(attempts) OR attempts = :seen) AND "
            "(attribute_not_exists(lease_until) OR lease_until <= :clock)",
            {**values, **message, ":seen": _n(seen.attempts), ":clock": _n(now_ms)},
        )

    def _release(self, key: str, owner: str, accepted: Iterable[str], update: str, values: Mapping[str, Any]) -> Change:
        kinds = sorted(accepted)
        return Change(
            self._deliveries,
            {"event": _s(key)},
            f"{update} ADD accepted :accepted" if kinds else update,
            "lease_owner = :owner",
            {**values, ":owner": _s(owner), **({":accepted": {"SS": kinds}} if kinds else {})},
        )


# A change that will not hold however often it is tried: by its condition, or because its item would be too large.
_REFUSED: Final = frozenset({"ConditionalCheckFailed", "ValidationError", "ValidationException"})
_TOO_MUCH: Final = "ValidationException"  # for a whole transaction: one of its items, or 4 MB in all
_THROTTLED: Final = frozenset({"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"})


def _facts_update(facts: Mapping[str, str | int | None]) -> tuple[str, str, dict[str, Any]]:
    """What to set, what to remove (a fact that is None: an earlier outcome may have left it), and the values."""
    given = {name: value for name, value in facts.items() if value is not None}
    update = "".join(f", {name} = :{name}" for name in given)
    gone = "".join(f", {name}" for name in facts if name not in given)
    values = {f":{name}": _s(value) if isinstance(value, str) else _n(value) for name, value in given.items()}
    return update, gone, values


def _delivery(item: Mapping[str, Any]) -> Delivery:
    return Delivery(
        messages=frozenset(item.get("messages", {}).get("SS", ())),
        outcome=item.get("outcome", {}).get("S"),
        lease_until=int(item.get("lease_until", {}).get("N", 0)),
        attempts=int(item.get("attempts", {}).get("N", 0)),
        accepted=frozenset(item.get("accepted", {}).get("SS", ())),
        in_doubt=int(item.get("in_doubt", {}).get("N", 0)),
    )


def _known(item: Mapping[str, Any]) -> Known:
    state = item.get("facts", {}).get("S")
    return Known(
        state=Subscriber.decoded(state) if state else Subscriber(),
        version=int(item["version"]["N"]),
        lease_until=int(item.get("lease_until", {}).get("N", 0)),
    )


def _s(value: str) -> dict[str, str]:
    return {"S": value}


def _n(value: int) -> dict[str, str]:
    return {"N": str(value)}
