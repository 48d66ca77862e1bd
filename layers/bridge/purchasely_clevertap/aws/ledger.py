"""The ledger: what DynamoDB remembers of each event and of each person.

An **entry** is an event of an app: the messages that brought it, the claim of the worker that is at it, the kinds of
its records that CleverTap has, and in the end its outcome. It is forgotten after 30 days.
A **stored profile** is a person in one CleverTap project: the state that the profile follows from.

Every write is conditional, each for itself: CleverTap has no idempotency, so two workers must never both believe that
an event is theirs. Writes go out as statements, twenty-five to a call; what is no statement, or what DynamoDB does not
take as one, goes out in transactions.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum, auto
from itertools import batched
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.aws.changes import PACKING_KEY, Change, Changes
from purchasely_clevertap.aws.packing import stored_state
from purchasely_clevertap.delivery.entry import (
    Claim,
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
from purchasely_clevertap.delivery.suppression import Mark
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
_TOO_LARGE: Final = "ItemTooLarge"  # DynamoDB calls it a ValidationError and has the size in its message
_SIZE: Final = "Item size"
_REFUSED: Final = frozenset({"ConditionalCheckFailed", "ValidationError", "ValidationException", _TOO_LARGE})
_TOO_MUCH: Final = "ValidationException"  # for a whole transaction: one of its items, or 4 MB in all
_THROTTLED: Final = frozenset({"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"})
# Of a whole call: DynamoDB, or the rights of the function, know no such statements.
_NO_STATEMENTS: Final = frozenset({"ValidationException", "AccessDeniedException", "UnknownOperationException"})
_INVALID: Final = frozenset({"ValidationError", "AccessDenied"})
# Of one statement: it is no statement, its item would be too large, or there is an item where none was read.
_NOT_AS_STATEMENT: Final = frozenset({"DuplicateItem", *_INVALID, *_NO_STATEMENTS})
# So long after the first worker that can read packed states began, none is left, nor comes back by a rollback, that
# cannot: until then they are written as that one reads them.
_UNPACKED_MS: Final = 24 * 3600 * 1000
_ASK_AGAIN_MS: Final = 3600 * 1000

_UNTRIED: Final = "None"  # what a cancelled transaction says of an item that is not to blame

# An item has 400 KB at most, and a state 200 KB.
_MOST_BESIDE_STATE: Final = 190_000

HELD_INDEX: Final = "held"
"""The index of the deliveries table that has the events which wait, by their person."""

type TimeLeft = Callable[[], float]


class LedgerUnavailable(Exception):
    """DynamoDB does not answer, or not in the time that is left. Some of the call's changes may have been made."""


class _Written(Enum):
    """What became of a change."""

    MADE = auto()
    REFUSED = auto()  # its condition does not hold, or another worker is at the item
    TOO_LARGE = auto()  # its item has no room for it


_MADE: Final = _Written.MADE


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
        return self.read_suppressed(keys, (), time_left)[0]

    def read_suppressed(
        self, keys: Collection[str], marks: Collection[str], time_left: TimeLeft
    ) -> tuple[dict[str, Entry], list[Mark]]:
        """The entry of each event, and the marks of suppressed people in the items `marks`, by the same calls."""
        wanted = [*((self._deliveries, "event", key) for key in keys), *self._of_subscribers(marks)]
        found, unread = self._read_all(wanted, time_left)
        if any((self._subscribers, key) in unread for key in marks):
            raise LedgerUnavailable("DynamoDB leaves marks of suppressed people unprocessed")
        items = [found[self._subscribers, key] for key in marks if (self._subscribers, key) in found]
        entries = {
            key: _entry(found[self._deliveries, key])
            if (self._deliveries, key) in found
            else Entry(is_unread=(self._deliveries, key) in unread)
            for key in keys
        }
        return entries, [mark for item in items for mark in _marks(item)]

    def marks(self, keys: Collection[str], time_left: TimeLeft) -> list[Mark]:
        """The marks of suppressed people in the items `keys`."""
        return self.read_suppressed((), keys, time_left)[1]

    def suppress(self, marks: Collection[Mark], time_left: TimeLeft) -> None:
        """Adds marks of suppressed people."""
        self._change_marks(self._changes.suppress(marks), time_left)

    def unsuppress(self, marks: Collection[Mark], time_left: TimeLeft) -> None:
        """Takes marks of suppressed people away."""
        self._change_marks(self._changes.unsuppress(marks), time_left)

    def _change_marks(self, changes: Sequence[Change], time_left: TimeLeft) -> None:
        if any(written is not _MADE for written in self._write(changes, time_left)):
            raise LedgerUnavailable("the marks of suppressed people cannot be written")

    def _of_subscribers(self, keys: Collection[str]) -> list[tuple[str, str, str]]:
        return [(self._subscribers, "subscriber", key) for key in keys]

    def links(self, keys: Collection[str], time_left: TimeLeft) -> dict[str, Link]:
        """What each anonymous id or CleverTap id became; those that nothing is known of are left out."""
        found, unread = self._persons(keys, time_left)
        return {key: _link(item) for key, item in found.items()} | {key: Link(is_unread=True) for key in unread}

    def tie(self, ties: Sequence[Tie], time_left: TimeLeft, *, now_ms: int) -> dict[str, Tied]:
        """Ties anonymous ids and CleverTap ids to users, the first one named; says whose each is now, by its key."""
        made = self._write([self._changes.tie(tie, now_ms=now_ms) for tie in ties], time_left)
        full = {tie.key for tie, written in zip(ties, made, strict=True) if written is _Written.TOO_LARGE}
        keys = [tie.key for tie in ties]
        found, _ = self._persons(keys, time_left)  # one that is unread is nobody's yet, as if another worker were at it
        tied = {key: found.get(key, {}) for key in keys}
        return {
            key: Tied(_link(item).user_id, self._profile(item).state, _link(item).object_id, key in full)
            for key, item in tied.items()
        }

    def associate(self, key: str, object_id: str, time_left: TimeLeft, *, now_ms: int) -> bool:
        """Notes which CleverTap id the anonymous id of `key` has; false if its item has no room for that."""
        (written,) = self._write([self._changes.associate(key, object_id, now_ms=now_ms)], time_left)
        if written is _Written.REFUSED:
            raise LedgerUnavailable("another worker is at the person")
        return written is _MADE

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
        found, unread = self._persons([*keys, *([PACKING_KEY] if asks else [])], time_left)
        if asks and PACKING_KEY not in unread:
            self._asked_at = now_ms
            self._learn_packing(found.get(PACKING_KEY), time_left, now_ms=now_ms)
        return {
            key: self._profile(found[key]) if key in found else StoredProfile(is_unread=key in unread) for key in keys
        }

    def claim(
        self,
        groups: Sequence[ClaimGroup],
        time_left: TimeLeft,
        *,
        now_ms: int,
        profiles: Mapping[str, StoredProfile] = MappingProxyType({}),
    ) -> list[Grant]:
        """Claims the events and leases their profiles; an event is granted only together with its profile.

        What was claimed or leased in vain is given back at once. An event whose item has no room for the claim loses
        what its outcome does not need, and is claimed then. `profiles` are those of the groups, as they were read.
        """
        keys = [group.profile_key for group in groups if group.profile_key is not None]
        claims = [claim for group in groups for claim in group.claims if claim.seen.lease_until <= now_ms]
        changes = [self._changes.claim(claim, now_ms=now_ms) for claim in claims]
        leased = [key for key in keys if _can_be_leased(profiles[key], now_ms)]
        changes += [self._changes.lease(key, profiles[key], now_ms=now_ms) for key in leased]
        made = self._write(changes, time_left)
        crowded = [index for index, written in enumerate(made[: len(claims)]) if written is _Written.TOO_LARGE]
        self._make_room([claims[index] for index in crowded], time_left, is_claimed=False)
        for index, written in zip(crowded, self._write([changes[i] for i in crowded], time_left), strict=True):
            made[index] = written
        full = {claims[index].key for index in crowded}
        claimed = {claim.key for claim, written in zip(claims, made, strict=False) if written is _MADE}
        leases = dict(zip(leased, made[len(claims) :], strict=True))
        grants: list[Grant] = []
        in_vain: list[Change] = []
        for group in groups:
            key = group.profile_key
            mine = frozenset(claim.key for claim in group.claims if claim.key in claimed)
            fit, crammed = mine - full, mine & full
            # What is full, or another worker's, is not leased.
            lease = _MADE if key is None else leases.get(key, _not_leased(profiles[key]))
            if lease is _Written.TOO_LARGE:
                grants.append(Grant(fit, None, crammed, is_profile_full=True))
            elif lease is _MADE and (key is None or fit or not group.claims):
                grants.append(Grant(fit, None if key is None else profiles[key], crammed))
            else:
                grants.append(Grant(full_entries=crammed))
                in_vain += [self._changes.free(claim) for claim in group.claims if claim.key in fit]
                if lease is _MADE and key is not None:
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
        unsaved = {save.key for save, written in zip(saves, made, strict=True) if written is not _MADE}
        told = [
            each
            for each in settlements
            if (each.profile_key not in unsaved if each.is_claimed else each.claim.seen.lease_until <= now_ms)
        ]
        settled: set[str] = set()
        for has_room in (False, True):
            written = self._write([self._changes.settle(each, now_ms=now_ms) for each in told], time_left)
            settled |= {each.claim.key for each, made_of in zip(told, written, strict=True) if made_of is _MADE}
            told = [each for each, made_of in zip(told, written, strict=True) if made_of is _Written.TOO_LARGE]
            if not told or has_room:
                break
            for is_claimed in (False, True):
                crowded = [each.claim for each in told if each.is_claimed is is_claimed]
                self._make_room(crowded, time_left, is_claimed=is_claimed)
        return frozenset(settled)

    def note(self, messages: Mapping[str, Collection[str]], time_left: TimeLeft, *, now_ms: int) -> None:
        """Notes further messages that brought an event, by its key; noting one twice counts it once.

        Those for which an entry has no room are not noted: no later try could either, and the balance adds up.
        """
        changes = [self._changes.note(key, ids, now_ms=now_ms) for key, ids in messages.items()]
        if _Written.REFUSED in self._write(changes, time_left, most_tries=1):
            raise LedgerUnavailable("another worker is at an event of which a copy came")

    def _make_room(self, claims: Sequence[Claim], time_left: TimeLeft, *, is_claimed: bool) -> None:
        """Takes off the entries of these events what their outcomes do not need."""
        items, _ = self._read_all([(self._deliveries, "event", claim.key) for claim in claims], time_left)
        found = [
            self._changes.shed(claim, item, is_claimed=is_claimed)
            for claim in claims
            if (item := items.get((self._deliveries, claim.key))) is not None
        ]
        self._write([change for change in found if change is not None], time_left)

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
        beside = sum(len(str(value)) for name, value in item.items() if name not in ("facts", "packed"))
        return StoredProfile(
            state,
            int(item.get("version", {}).get("N", 0)),
            max(lease_until, 1) if is_doubtful else lease_until,
            beside > _MOST_BESIDE_STATE,
        )

    def _write(
        self, changes: Sequence[Change], time_left: TimeLeft, *, most_tries: int = _MOST_TRIES
    ) -> list[_Written]:
        """Makes the changes, at most one for each item; says what became of each.

        A change that DynamoDB can never make, as its item would be too large, is tried once. Throttling of all is
        waited out while `time_left` lasts. An item that is throttled alone, or that another worker is at, is tried
        `most_tries` times, while the others go on; then its change does not hold.
        """
        held: list[_Written] = [_MADE] * len(changes)
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
                invalid |= {index for index, cause in left if cause in _INVALID}
                left = [(index, cause) for index, cause in left if cause not in _NOT_AS_STATEMENT]
                pending.append((False, others))
            for index, cause in left:
                if cause in _REFUSED:
                    held[index] = _Written.TOO_LARGE if cause == _TOO_LARGE else _Written.REFUSED
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
                held[index] = _MADE if tries[index] < most_tries else _Written.REFUSED
            if again := [index for index in hot if held[index] is _MADE]:
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
            return [
                _TOO_LARGE if _SIZE in reason.get("Message", "") else reason["Code"]
                for reason in error.response["CancellationReasons"]
            ]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == _TOO_MUCH and len(changes) == 1 and _SIZE in error.response["Error"].get("Message", ""):
                return [_TOO_LARGE]
            if code in _THROTTLED or code == _TOO_MUCH:
                return [code] * len(changes)
            raise LedgerUnavailable(code) from error
        except BotoCoreError as error:
            raise LedgerUnavailable(type(error).__name__) from error
        return None

    def _persons(
        self, keys: Collection[str], time_left: TimeLeft
    ) -> tuple[dict[str, Mapping[str, Any]], frozenset[str]]:
        """The items of the subscribers table, and the keys of those that DynamoDB has not given."""
        found, unread = self._read_all(self._of_subscribers(keys), time_left)
        return {key: item for (_, key), item in found.items()}, frozenset(key for _, key in unread)

    def _read_all(
        self, wanted: Sequence[tuple[str, str, str]], time_left: TimeLeft
    ) -> tuple[dict[tuple[str, str], Mapping[str, Any]], set[tuple[str, str]]]:
        """The items by table and key, and which DynamoDB has not given. `wanted`: tables, their keys' names, and keys.

        While it gives none of several, that is waited out as long as `time_left` lasts. An item that is left although
        others are given, or that is the only one, is asked for `_MOST_TRIES` times.
        """
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        unread: set[tuple[str, str]] = set()
        names = {table: attribute for table, attribute, _ in wanted}
        tries: Counter[tuple[str, str]] = Counter()
        pending: list[tuple[str, Mapping[str, Any]]] = [(table, {name: {"S": key}}) for table, name, key in wanted]
        is_answered = len(pending) == 1
        while pending:
            together, pending = pending[:_READ_TOGETHER], pending[_READ_TOGETHER:]
            items, left = self._read_some(together)
            found.update(((table, item[names[table]]["S"]), item) for table, item in items)
            is_answered = is_answered or len(left) < len(together)
            if not left:
                continue
            if time_left() < 1:
                raise LedgerUnavailable("DynamoDB leaves keys unprocessed")
            places = [(table, key[names[table]]["S"]) for table, key in left]
            tries.update(places)
            self._pause(min(_PAUSE_SECONDS * 2 ** min(tries[places[0]] - 1, 5), _LONGEST_PAUSE_SECONDS))
            given_up = {place for place in places if is_answered and tries[place] >= _MOST_TRIES}
            unread |= given_up
            pending += [each for each, place in zip(left, places, strict=True) if place not in given_up]
        return found, unread

    def _read_some(
        self, keys: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> tuple[list[tuple[str, Mapping[str, Any]]], list[tuple[str, Mapping[str, Any]]]]:
        """The items with their tables, and the keys that DynamoDB has left for another call."""
        asked: dict[str, Any] = {}
        for table, key in keys:
            asked.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
        try:
            answer = self._dynamodb.batch_get_item(RequestItems=asked)
        except ClientError as error:
            raise LedgerUnavailable(error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise LedgerUnavailable(type(error).__name__) from error
        unprocessed = answer.get("UnprocessedKeys", {})
        return (
            [(table, item) for table, items in answer["Responses"].items() for item in items],
            [(table, key) for table, left in unprocessed.items() for key in left["Keys"]],
        )


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


def _marks(item: Mapping[str, Any]) -> list[Mark]:
    app = item["subscriber"]["S"].partition("#")[0]
    return [Mark.parse(app, text) for text in item.get("suppressed", {}).get("SS", ())]


def _can_be_leased(profile: StoredProfile, now_ms: int) -> bool:
    return profile.lease_until <= now_ms and not profile.is_full and not profile.is_unread


def _not_leased(profile: StoredProfile) -> _Written:
    return _Written.TOO_LARGE if profile.is_full else _Written.REFUSED


def held_event(item: Mapping[str, Any]) -> HeldEvent:
    """The event that waits, as its item in the deliveries table has it."""
    hold = Hold(item["held_for"]["S"], item["body"]["S"], int(item["held_at"]["N"]), int(item["hold_until"]["N"]))
    return HeldEvent(item["event"]["S"], hold)
