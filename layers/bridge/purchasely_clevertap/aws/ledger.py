"""The ledger: what DynamoDB remembers of each event and of each person.

An **entry** is an event of an app: the messages that brought it, the claim of the worker that is at it, the kinds of
its records that CleverTap has, and in the end its outcome. It is forgotten after 30 days.
A **stored profile** is a person in one CleverTap project: the state that the profile follows from.

Every write is conditional, each for itself: CleverTap has no idempotency, so two workers must never both believe that
an event is theirs. Writes go out as statements, twenty-five to a call; what is no statement, or what DynamoDB does not
take as one, goes out in transactions.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import batched
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.aws.changes import PACKING_KEY, Change, Changes
from purchasely_clevertap.aws.packing import stored_state
from purchasely_clevertap.delivery.entry import (
    ClaimGroup,
    Entry,
    Grant,
    HeldEvent,
    Hold,
    ProfileSave,
    Settlement,
    StoredProfile,
    Tie,
    Tied,
)
from purchasely_clevertap.mapping.identity import Link
from purchasely_clevertap.mapping.profile import ProfileState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

_READ_TOGETHER: Final = 100  # DynamoDB, BatchGetItem: 100 items
_STATEMENTS_TOGETHER: Final = 25  # DynamoDB, BatchExecuteStatement
_TRANSACTED_TOGETHER: Final = 100  # DynamoDB, TransactWriteItems
_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 0.5
_MOST_TRIES: Final = 10  # some 3 s for an item that is hot, of the 60 s of a batch

# A change that will not hold however often it is tried: by its condition, or because its item would be too large.
_REFUSED: Final = frozenset({"ConditionalCheckFailed", "ValidationError", "ValidationException"})
_TOO_MUCH: Final = "ValidationException"  # for a whole transaction: one of its items, or 4 MB in all
_THROTTLED: Final = frozenset({"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"})
# Of a whole call: DynamoDB, or the rights of the function, know no such statements.
_NO_STATEMENTS: Final = frozenset({"ValidationException", "AccessDeniedException", "UnknownOperationException"})
_INVALID: Final = "ValidationError"
# Of one statement: it is no statement, its item would be too large, or there is an item where none was read.
_NOT_AS_STATEMENT: Final = frozenset({_INVALID, "AccessDenied", "DuplicateItem", *_NO_STATEMENTS})
# So long after the first worker that can read packed states began, none is left, nor comes back by a rollback, that
# cannot: until then they are written as that one reads them.
_UNPACKED_MS: Final = 24 * 3600 * 1000
_ASK_AGAIN_MS: Final = 3600 * 1000

_UNTRIED: Final = "None"  # what a cancelled transaction says of an item that is not to blame

HELD_INDEX: Final = "held"
"""The index of the deliveries table that has the events which wait, by their person."""

type TimeLeft = Callable[[], float]


class LedgerUnavailable(Exception):
    """DynamoDB does not answer, or not in the time that is left. Some of the call's changes may have been made."""


class Ledger:
    """The two tables, for the worker `owner`.

    `pause` waits that many seconds; `unreadable` hears of a person whose row cannot be read, `statement_refused` that
    DynamoDB takes no statements, once. `time_left` says how many seconds a call may still take. All times are epoch
    milliseconds. Every verb raises `LedgerUnavailable`.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        *,
        deliveries: str,
        subscribers: str,
        owner: str,
        pause: Callable[[float], object],
        unreadable: Callable[[], object] = lambda: None,
        statement_refused: Callable[[str], object] = lambda _: None,
        subscriber_days: int = 0,
    ) -> None:
        self._dynamodb = dynamodb
        self._deliveries = deliveries
        self._subscribers = subscribers
        self._changes = Changes(deliveries, subscribers, owner, subscriber_days * 24 * 3600)
        self._pause = pause
        self._unreadable = unreadable
        self._statement_refused = statement_refused
        self._takes_statements = True
        self._packs = False
        self._asked_at = 0

    def read(self, keys: Collection[str], time_left: TimeLeft) -> dict[str, Entry]:
        """The entry of each event; an event never heard of has an empty one."""
        found = self._read(self._deliveries, "event", keys, time_left)
        return {key: _entry(found[key]) if key in found else Entry() for key in keys}

    def links(self, keys: Collection[str], time_left: TimeLeft) -> dict[str, Link]:
        """What each anonymous id or CleverTap id became; those that nothing is known of are left out."""
        found = self._read(self._subscribers, "subscriber", keys, time_left) if keys else {}
        return {key: _link(item) for key, item in found.items()}

    def tie(self, ties: Sequence[Tie], time_left: TimeLeft, *, now_ms: int) -> dict[str, Tied]:
        """Ties anonymous ids and CleverTap ids to users, the first one named; says whose each is now, by its key."""
        self._write([self._changes.tie(tie, now_ms=now_ms) for tie in ties], time_left)
        keys = [tie.key for tie in ties]
        found = self._read(self._subscribers, "subscriber", keys, time_left) if keys else {}
        tied = {key: found.get(key, {}) for key in keys}
        return {
            key: Tied(_link(item).user_id, self._profile(item).state, _link(item).object_id)
            for key, item in tied.items()
        }

    def associate(self, key: str, object_id: str, time_left: TimeLeft, *, now_ms: int) -> None:
        """Notes which CleverTap id the anonymous id of `key` has."""
        if not all(self._write([self._changes.associate(key, object_id, now_ms=now_ms)], time_left)):
            raise LedgerUnavailable("another worker is at the person")

    def held(self, person_key: str) -> Iterator[HeldEvent]:
        """The events that wait for the login of this person. One that began to wait just now may be missing."""
        start: Mapping[str, Any] | None = None
        while True:
            try:
                asked: QueryInputTypeDef = {
                    "TableName": self._deliveries,
                    "IndexName": HELD_INDEX,
                    "KeyConditionExpression": "held_for = :person",
                    "ExpressionAttributeValues": {":person": {"S": person_key}},
                }
                if start:
                    asked["ExclusiveStartKey"] = start
                page = self._dynamodb.query(**asked)
            except ClientError as error:
                raise LedgerUnavailable(error.response["Error"]["Code"]) from error
            except BotoCoreError as error:
                raise LedgerUnavailable(type(error).__name__) from error
            yield from (held_event(item) for item in page["Items"])
            start = page.get("LastEvaluatedKey")
            if not start:
                return

    def profiles(self, keys: Collection[str], time_left: TimeLeft, *, now_ms: int) -> dict[str, StoredProfile]:
        """What is known of each person; of somebody never heard of, nothing."""
        if not keys:
            return {}
        asks = not self._packs and now_ms >= self._asked_at + _ASK_AGAIN_MS
        found = self._read(self._subscribers, "subscriber", [*keys, *([PACKING_KEY] if asks else [])], time_left)
        if asks:
            self._asked_at = now_ms
            self._learn_packing(found.get(PACKING_KEY), time_left, now_ms=now_ms)
        return {key: self._profile(found[key]) if key in found else StoredProfile() for key in keys}

    def claim(
        self,
        groups: Sequence[ClaimGroup],
        time_left: TimeLeft,
        *,
        now_ms: int,
        profiles: Mapping[str, StoredProfile] = MappingProxyType({}),
    ) -> list[Grant]:
        """Claims the events and leases their profiles; an event is granted only together with its profile.

        `profiles` are those of the groups, as they were read. What was claimed or leased in vain is given back at once.
        """
        keys = [group.profile_key for group in groups if group.profile_key is not None]
        claims = [claim for group in groups for claim in group.claims if claim.seen.lease_until <= now_ms]
        free = [key for key in keys if profiles[key].lease_until <= now_ms]
        changes = [self._changes.claim(claim, now_ms=now_ms) for claim in claims]
        changes += [self._changes.lease(key, profiles[key], now_ms=now_ms) for key in free]
        made = self._write(changes, time_left)
        claimed = {claim.key for claim, yes in zip(claims, made, strict=False) if yes}
        leased = {key for key, yes in zip(free, made[len(claims) :], strict=True) if yes}
        grants: list[Grant] = []
        in_vain: list[Change] = []
        for group in groups:
            mine, key = [claim for claim in group.claims if claim.key in claimed], group.profile_key
            if key is None:
                grants.append(Grant(frozenset(claim.key for claim in mine)))
            elif key in leased and (mine or not group.claims):
                grants.append(Grant(frozenset(claim.key for claim in mine), profiles[key]))
            else:
                grants.append(Grant())
                in_vain += [self._changes.free(claim) for claim in mine]
                if key in leased:
                    uncertain_since = now_ms if profiles[key].is_uncertain else 0
                    in_vain.append(self._save(ProfileSave(key, profiles[key].state, uncertain_since), now_ms=now_ms))
        self._write(in_vain, time_left)
        return grants

    def settle(
        self, settlements: Sequence[Settlement], saves: Sequence[ProfileSave], time_left: TimeLeft, *, now_ms: int
    ) -> frozenset[str]:
        """Saves the profiles, then writes the outcomes; the keys of the events whose outcome is written.

        The profiles come first: once an event has its outcome, nobody asks it again what it says of its person.
        """
        made = self._write([self._save(save, now_ms=now_ms) for save in saves], time_left)
        unsaved = {save.key for save, yes in zip(saves, made, strict=True) if not yes}
        told = [
            each
            for each in settlements
            if (each.profile_key not in unsaved if each.is_claimed else each.claim.seen.lease_until <= now_ms)
        ]
        written = self._write([self._changes.settle(each, now_ms=now_ms) for each in told], time_left)
        return frozenset(each.claim.key for each, yes in zip(told, written, strict=True) if yes)

    def note(self, messages: Mapping[str, Collection[str]], time_left: TimeLeft, *, now_ms: int) -> None:
        """Notes further messages that brought an event, by its key; noting one twice counts it once."""
        changes = [self._changes.note(key, ids, now_ms=now_ms) for key, ids in messages.items()]
        if not all(self._write(changes, time_left, most_tries=1)):
            raise LedgerUnavailable("another worker is at an event of which a copy came")

    def _save(self, save: ProfileSave, *, now_ms: int) -> Change:
        return self._changes.save(save, now_ms=now_ms, packs=self._packs)

    def _learn_packing(self, item: Mapping[str, Any] | None, time_left: TimeLeft, *, now_ms: int) -> None:
        """Whether states may be packed by now; the first worker that asks says from when on."""
        if item is None:
            self._write([self._changes.announce_packing(from_ms=now_ms + _UNPACKED_MS)], time_left, most_tries=1)
        else:
            self._packs = now_ms >= int(item["packed_from"]["N"])

    def _profile(self, item: Mapping[str, Any]) -> StoredProfile:
        lease_until = int(item.get("lease_until", {}).get("N", 0))
        try:
            state, is_doubtful = stored_state(item)
        except ValueError:
            # Nothing is known then, and the whole profile is told.
            self._unreadable()
            state, is_doubtful = ProfileState(), True
        return StoredProfile(
            state, int(item.get("version", {}).get("N", 0)), max(lease_until, 1) if is_doubtful else lease_until
        )

    def _write(self, changes: Sequence[Change], time_left: TimeLeft, *, most_tries: int = _MOST_TRIES) -> list[bool]:
        """Makes the changes, at most one for each item; says of each whether its condition held.

        A change that DynamoDB can never make, as its item would be too large, does not hold. Throttling of all is
        waited out while `time_left` lasts. An item that is throttled alone, or that another worker is at, is tried
        `most_tries` times, while the others go on; then its change does not hold.
        """
        held: list[bool] = [True] * len(changes)
        tries = [0] * len(changes)
        pending = self._calls(changes)
        invalid: set[int] = set()
        while pending:
            as_statements, together = pending.pop(0)
            given = [changes[index] for index in together]
            causes = self._execute(given) if as_statements else self._transact(given)
            if causes is None:
                if not as_statements and not invalid.isdisjoint(together):
                    self._end_statements("DynamoDB takes as a transaction what it refused as a statement")
                continue
            if causes == [_TOO_MUCH] * len(together) and not as_statements and len(together) > 1:
                pending += [(False, together[: len(together) // 2]), (False, together[len(together) // 2 :])]
                continue
            left = [(index, cause) for index, cause in zip(together, causes, strict=True) if cause is not None]
            if as_statements and (others := [index for index, cause in left if cause in _NOT_AS_STATEMENT]):
                invalid |= {index for index, cause in left if cause == _INVALID}
                left = [(index, cause) for index, cause in left if cause not in _NOT_AS_STATEMENT]
                pending.append((False, others))
            for index in [index for index, cause in left if cause in _REFUSED]:
                held[index] = False
            if untried := [index for index, cause in left if cause == _UNTRIED]:
                pending.insert(0, (as_statements, untried))
            hot = [index for index, cause in left if cause not in _REFUSED and cause != _UNTRIED]
            if not hot:
                continue
            if {cause for _, cause in left} <= _THROTTLED:
                if time_left() < 1:
                    raise LedgerUnavailable(f"DynamoDB still answers {sorted({cause for _, cause in left})}")
                self._pause(_PAUSE_SECONDS)
                pending.append((as_statements, hot))
                continue
            for index in hot:
                tries[index] += 1
                held[index] = tries[index] < most_tries
            if again := [index for index in hot if held[index]]:
                self._pause(min(_PAUSE_SECONDS * 2 ** min(tries[again[0]], 5), _LONGEST_PAUSE_SECONDS))
                pending.append((as_statements, again))
        return held

    def _calls(self, changes: Sequence[Change]) -> list[tuple[bool, list[int]]]:
        """The changes of each call, by their places: whether as statements, and which."""
        takes = self._takes_statements
        stated = [index for index, change in enumerate(changes) if takes and change.is_statement]
        others = [index for index, change in enumerate(changes) if not (takes and change.is_statement)]
        return [
            *((True, list(together)) for together in batched(stated, _STATEMENTS_TOGETHER, strict=False)),
            *((False, list(together)) for together in batched(others, _TRANSACTED_TOGETHER, strict=False)),
        ]

    def _end_statements(self, why: str) -> None:
        """From now on this worker writes by transactions alone."""
        if self._takes_statements:
            self._takes_statements = False
            self._statement_refused(why)

    def _execute(self, changes: Sequence[Change]) -> list[str | None] | None:
        """None when all changes were made; else for each the cause why not, or None."""
        try:
            answer = self._dynamodb.batch_execute_statement(Statements=[change.statement for change in changes])
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _NO_STATEMENTS:
                self._end_statements(f"{code}: {error.response['Error'].get('Message', '')}")
                return [code] * len(changes)
            if code in _THROTTLED:
                return [code] * len(changes)
            raise LedgerUnavailable(code) from error
        except BotoCoreError as error:
            raise LedgerUnavailable(type(error).__name__) from error
        errors = [each.get("Error") for each in answer["Responses"]]
        if not any(errors):
            return None
        return [
            # A call that botocore repeats, as its answer was lost, finds what the first one has done.
            None if error is None or change.is_made(error.get("Item", {})) else error["Code"]
            for change, error in zip(changes, errors, strict=True)
        ]

    def _transact(self, changes: Sequence[Change]) -> list[str | None] | None:
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
        self, table: str, attribute: str, keys: Collection[str], time_left: TimeLeft
    ) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        pending: list[Mapping[str, Any]] = [{attribute: {"S": key}} for key in keys]
        while pending:
            together, pending = pending[:_READ_TOGETHER], pending[_READ_TOGETHER:]
            items, left = self._read_some(table, together)
            found.update((item[attribute]["S"], item) for item in items)
            if left:
                if time_left() < 1:
                    raise LedgerUnavailable("DynamoDB leaves keys unprocessed")
                self._pause(_PAUSE_SECONDS)
                pending.extend(left)
        return found

    def _read_some(
        self, table: str, keys: Sequence[Mapping[str, Any]]
    ) -> tuple[Iterator[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """The items, and the keys that DynamoDB has left for another call."""
        try:
            answer = self._dynamodb.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        except ClientError as error:
            raise LedgerUnavailable(error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise LedgerUnavailable(type(error).__name__) from error
        left = answer.get("UnprocessedKeys", {}).get(table)
        return iter(answer["Responses"].get(table, [])), left["Keys"] if left else ()


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(
        messages=frozenset(item.get("messages", {}).get("SS", ())),
        outcome=item.get("outcome", {}).get("S"),
        lease_until=int(item.get("lease_until", {}).get("N", 0)),
        attempts=int(item.get("attempts", {}).get("N", 0)),
        accepted=frozenset(item.get("accepted", {}).get("SS", ())),
        unconfirmed_sends=int(item.get("unconfirmed_sends", {}).get("N", 0)),
        about=item.get("about", {}).get("S"),
        is_stored=True,
    )


def _link(item: Mapping[str, Any]) -> Link:
    return Link(item.get("tied_user", {}).get("S"), item.get("tied_object", {}).get("S"))


def held_event(item: Mapping[str, Any]) -> HeldEvent:
    """The event that waits, as its item in the deliveries table has it."""
    hold = Hold(item["held_for"]["S"], item["body"]["S"], int(item["held_at"]["N"]), int(item["hold_until"]["N"]))
    return HeldEvent(item["event"]["S"], hold)
