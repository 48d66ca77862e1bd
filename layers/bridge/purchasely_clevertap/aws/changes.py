"""The changes that the ledger makes, each of one item, in both forms in which DynamoDB takes them. Pure.

A change of an item that is known to be there, or not to be there, is a PartiQL statement: twenty-five go in a call,
each with a condition and a result of its own, for one write unit a KB. Any change is an item of a transaction, too: a
hundred go in a call, for twice the price.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from purchasely_clevertap.aws.packing import packed
from purchasely_clevertap.delivery.entry import LEASE_MS, Claim, Entry, ProfileSave, Settlement, StoredProfile, Tie
from purchasely_clevertap.delivery.keys import MOST_MESSAGES, RETENTION_SECONDS
from purchasely_clevertap.delivery.suppression import Mark
from purchasely_clevertap.outcome import Parked, Retried, Skipped

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef, UpdateTypeDef

PACKING_KEY: Final = "#packing"
"""The item of the subscribers table that says from when on states may be packed. It is no person's."""

type Value = Mapping[str, Any]
"""A value as DynamoDB writes it: its type and its text."""


class Place(Enum):
    """Whether the item of a change is there, as far as the ledger has read."""

    STORED = "stored"
    NEW = "new"
    UNKNOWN = "unknown"


class Condition(NamedTuple):
    """What an attribute must be for a change to hold; with no `value` it must be missing."""

    attribute: str
    value: Value | None = None
    operator: str = "="
    or_missing: bool = False


class Change(NamedTuple):
    """One conditional change of one item: attributes to `put`, to `remove`, to `add` to (a set, a number), and sets to
    `take` members from.

    All of the `conditions` must hold. What `begin` says is put only where there is nothing yet. `proof` is what else
    the item must have for this change to be the one that was made.
    """

    table: str
    key_name: str
    key: str
    place: Place
    put: Mapping[str, Value]
    remove: tuple[str, ...] = ()
    add: Mapping[str, Value] = {}
    conditions: tuple[Condition, ...] = ()
    begin: Mapping[str, Value] = {}
    proof: Mapping[str, Value] = {}
    take: Mapping[str, Value] = {}

    @property
    def is_statement(self) -> bool:
        """Whether PartiQL has a statement for it: an UPDATE creates no item, and no set."""
        return self.place is not Place.UNKNOWN and all("N" in value for value in self.add.values())

    @property
    def statement(self) -> "BatchStatementRequestTypeDef":
        """The change as a statement, if it is one."""
        key = _s(self.key)
        if self.place is Place.NEW:
            return {
                "Statement": _insert(self.table, (self.key_name, *self.put, *self.add)),
                "Parameters": [key, *self.put.values(), *self.add.values()],
            }
        wanted = tuple((each.attribute, each.operator, each.value is None, each.or_missing) for each in self.conditions)
        return {
            "Statement": _update(self.table, self.key_name, tuple(self.put), tuple(self.add), self.remove, wanted),
            "Parameters": [
                *self.put.values(),
                *self.add.values(),
                key,
                *(each.value for each in self.conditions if each.value is not None),
            ],
            # Costs nothing, and tells a change that another worker has made from one that this worker's first try has.
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    @property
    def update_item(self) -> "UpdateTypeDef":
        """The change as an item of a transaction."""
        puts = [
            *(f"{name} = :{name}" for name in self.put),
            *(f"{name} = if_not_exists({name}, :{name})" for name in self.begin),
        ]
        clauses = [
            f"SET {', '.join(puts)}" if puts else "",
            f"REMOVE {', '.join(f'#{number}' for number in range(len(self.remove)))}" if self.remove else "",
            f"ADD {', '.join(f'{name} :{name}' for name in self.add)}" if self.add else "",
            f"DELETE {', '.join(f'{name} :{name}' for name in self.take)}" if self.take else "",
        ]
        given = (self.put, self.begin, self.add, self.take)
        values = {f":{name}": value for each in given for name, value in each.items()}
        conditions: list[str] = []
        for number, each in enumerate(self.conditions):
            if each.value is None:
                conditions.append(f"attribute_not_exists({each.attribute})")
                continue
            values[f":if{number}"] = each.value
            holds = f"{each.attribute} {each.operator} :if{number}"
            conditions.append(f"(attribute_not_exists({each.attribute}) OR {holds})" if each.or_missing else holds)
        item: UpdateTypeDef = {
            "TableName": self.table,
            "Key": {self.key_name: _s(self.key)},
            "UpdateExpression": " ".join(clause for clause in clauses if clause),
            "ExpressionAttributeValues": values,
        }
        if self.remove:  # among them may be names that others chose
            item["ExpressionAttributeNames"] = {f"#{number}": name for number, name in enumerate(self.remove)}
        if conditions:
            item["ConditionExpression"] = " AND ".join(conditions)
        return item

    def is_made(self, item: Mapping[str, Value]) -> bool:
        """Whether the item is as this change leaves it."""
        return all(_same(item.get(name), value) for name, value in (*self.put.items(), *self.proof.items()))


class Changes(NamedTuple):
    """What the worker `owner` writes to the two tables. Times are epoch milliseconds.

    A person of whom nothing is heard for `subscriber_seconds` is forgotten; 0 stands for never.
    """

    deliveries: str
    subscribers: str
    owner: str
    subscriber_seconds: int = 0

    def claim(self, claim: Claim, *, now_ms: int) -> Change:
        """Makes the event this worker's until the lease expires."""
        return self._if_as_seen(
            claim,
            {
                "attempts": _n(claim.seen.attempts + 1),
                "lease_owner": _s(self.owner),
                "lease_until": _n(now_ms + LEASE_MS),
                "expires_at": _n(now_ms // 1000 + RETENTION_SECONDS),
                "about": _s(claim.about or ""),
            },
            ("outcome",) if claim.seen.outcome is not None else (),
        )

    def settle(self, settlement: Settlement, *, now_ms: int) -> Change:
        """Gives the event its outcome, or frees its claim if it comes again."""
        claim = settlement.claim
        if isinstance(settlement.outcome, Retried):
            return self.free(claim, settlement)
        facts = _facts(settlement)
        put = {
            "settled_at": _n(now_ms),
            "expires_at": _n(now_ms // 1000 + RETENTION_SECONDS),
            **{name: _typed(value) for name, value in facts.items() if value is not None},
        }
        gone = tuple(name for name, value in facts.items() if value is None) if _had_facts(claim.seen) else ()
        if not settlement.is_claimed:
            freed = ("lease_owner", "lease_until") if claim.seen.lease_until else ()
            change = self._if_as_seen(claim, {"attempts": _n(claim.seen.attempts + 1), **put}, (*freed, *gone))
            is_large = settlement.hold is not None and len(settlement.hold.body) > _LARGEST_STATED
            return change._replace(place=Place.UNKNOWN) if is_large else change
        return self._if_mine(claim, put, ("lease_owner", "lease_until", *gone), settlement.accepted)

    def free(self, claim: Claim, settlement: Settlement | None = None) -> Change:
        """Gives up the claim of an event that comes again."""
        facts: dict[str, str | int | None] = {}
        if settlement is not None and isinstance(settlement.outcome, Retried):
            facts["reason"] = settlement.outcome.shown_reason
            facts["event_name"] = settlement.event_name
            facts["unconfirmed_sends"] = settlement.unconfirmed_sends or None
        else:
            facts["unconfirmed_sends"] = (claim.seen.unconfirmed_sends + claim.seen.is_abandoned) or None
        put = {name: _typed(value) for name, value in facts.items() if value is not None}
        gone = tuple(name for name, value in facts.items() if value is None) if _had_facts(claim.seen) else ()
        accepted = settlement.accepted if settlement is not None else frozenset[str]()
        return self._if_mine(claim, {"lease_until": _n(0), **put}, ("lease_owner", *gone), accepted)

    def shed(self, claim: Claim, item: Mapping[str, Value], *, is_claimed: bool) -> Change | None:
        """Takes off `item`, the entry of an event, whatever its outcome does not need; the messages stay counted.

        Holds while the entry is as it was seen, or this worker's if it is claimed. None if there is nothing to take.
        """
        names = tuple(sorted(item.keys() - _KEPT))
        if not names:
            return None
        messages = len(item.get("messages", {}).get("SS", ()))
        conditions = self._mine if is_claimed else _as_seen(claim.seen)
        return Change(
            self.deliveries,
            "event",
            claim.key,
            Place.UNKNOWN,
            {},
            names,
            {"further_messages": _n(messages)},
            conditions,
        )

    def tie(self, tie: Tie, *, now_ms: int) -> Change:
        """Says whose an anonymous id or a CleverTap id is. The first user has it; nobody while it is leased."""
        return self._person_change(
            tie.key,
            Place.UNKNOWN,
            {"tied_user": _s(tie.user_id), **self._expires(now_ms)},
            conditions=(
                Condition("tied_user", _s(tie.user_id), or_missing=True),
                Condition("lease_until", _n(now_ms), "<=", or_missing=True),
            ),
        )

    def associate(self, key: str, object_id: str, *, now_ms: int) -> Change:
        """Says which CleverTap id an anonymous id has."""
        return self._person_change(key, Place.UNKNOWN, {"tied_object": _s(object_id), **self._expires(now_ms)})

    def suppress(self, marks: Iterable[Mark]) -> list[Change]:
        """Adds marks of suppressed people. They never expire."""
        return [self._mark(key)._replace(add=texts) for key, texts in _by_item(marks).items()]

    def unsuppress(self, marks: Iterable[Mark]) -> list[Change]:
        """Takes marks of suppressed people away."""
        return [self._mark(key)._replace(take=texts) for key, texts in _by_item(marks).items()]

    def _mark(self, key: str) -> Change:
        return Change(self.subscribers, "subscriber", key, Place.UNKNOWN, {})

    def note(self, key: str, messages: Collection[str], *, now_ms: int) -> Change:
        """Notes further messages that brought an event; noting one twice counts it once."""
        return Change(
            self.deliveries,
            "event",
            key,
            Place.UNKNOWN,
            {},
            add={"messages": {"SS": sorted(messages)}},
            begin={"expires_at": _n(now_ms // 1000 + RETENTION_SECONDS)},
        )

    def lease(self, key: str, seen: StoredProfile, *, now_ms: int) -> Change:
        """Makes the profile this worker's until the lease expires. Holds only if it is as it was read."""
        return self._person_change(
            key,
            Place.STORED if seen.version else Place.NEW,
            {"lease_owner": _s(self.owner), "lease_until": _n(now_ms + LEASE_MS)},
            # Every change of a person counts up the version.
            conditions=(Condition("version", _n(seen.version) if seen.version else None), Condition("tied_user")),
        )

    def save(self, save: ProfileSave, *, now_ms: int, packs: bool = True) -> Change:
        """Keeps the state and ends the lease. Holds only while the lease is this worker's. `packs`: in which layout."""
        ends, state = save.state.ends_ms, save.state.encoded()
        return self._person_change(
            save.key,
            Place.STORED,
            {
                **({"packed": _s(packed(state))} if packs else {"facts": _s(state)}),
                "lease_until": _n(save.lease_until),
                **({"ends_at": _n(ends)} if ends is not None else {}),
                **self._expires(now_ms),
            },
            ("lease_owner", "facts" if packs else "packed", *(("ends_at",) if ends is None else ())),
            conditions=self._mine,
        )

    def announce_packing(self, *, from_ms: int) -> Change:
        """Says from when on states may be packed, if nobody has said so."""
        begin = {"packed_from": _n(from_ms)}
        return Change(self.subscribers, "subscriber", PACKING_KEY, Place.UNKNOWN, {}, begin=begin)

    def _expires(self, now_ms: int) -> dict[str, Value]:
        """When a person is forgotten who was heard of now."""
        return {"expires_at": _n(now_ms // 1000 + self.subscriber_seconds)} if self.subscriber_seconds else {}

    def _person_change(
        self,
        key: str,
        place: Place,
        put: Mapping[str, Value],
        remove: tuple[str, ...] = (),
        conditions: tuple[Condition, ...] = (),
    ) -> Change:
        """A change of a person. It counts up the version: whoever has read the person before gets no lease any more."""
        return Change(self.subscribers, "subscriber", key, place, put, remove, {"version": _n(1)}, conditions)

    def _if_as_seen(self, claim: Claim, put: Mapping[str, Value], remove: tuple[str, ...]) -> Change:
        """A change that holds only if nothing has changed since the entry was read, and that counts as one itself."""
        seen = claim.seen
        is_noted = claim.message_id is None or claim.message_id in seen.messages or len(seen.messages) >= MOST_MESSAGES
        return Change(
            self.deliveries,
            "event",
            claim.key,
            Place.STORED if seen.is_stored else Place.UNKNOWN,
            put,
            remove,
            {} if is_noted else {"messages": {"SS": [claim.message_id]}},
            _as_seen(seen),
        )

    @property
    def _mine(self) -> tuple[Condition, ...]:
        """That the claim or the lease is this worker's."""
        return (Condition("lease_owner", _s(self.owner)),)

    def _if_mine(
        self, claim: Claim, put: Mapping[str, Value], remove: tuple[str, ...], accepted: Iterable[str]
    ) -> Change:
        """A change that holds only while the claim is this worker's."""
        kinds = sorted({*claim.seen.accepted, *accepted})  # nobody else adds any meanwhile
        return Change(
            self.deliveries,
            "event",
            claim.key,
            Place.STORED,
            {**put, "accepted": {"SS": kinds}} if kinds else put,
            remove,
            conditions=self._mine,
            proof={"attempts": _n(claim.seen.attempts + 1)},
        )


# What an entry keeps when it has no room: all that says whose it is and what became of it.
_KEPT: Final = frozenset(
    {
        "event",
        "about",
        "accepted",
        "attempts",
        "expires_at",
        "further_messages",
        "lease_owner",
        "lease_until",
        "outcome",
        "received_at",
        "unconfirmed_sends",
    }
)


def _as_seen(seen: Entry) -> tuple[Condition, ...]:
    """That nothing has changed since the entry was read."""
    return (
        Condition("attempts", _n(seen.attempts) if seen.attempts else None),
        Condition("outcome", _s(seen.outcome) if seen.outcome is not None else None),
    )


def _by_item(marks: Iterable[Mark]) -> dict[str, dict[str, Value]]:
    """The marks by the keys of their items, each item's as the set that it has."""
    found: dict[str, list[str]] = {}
    for mark in marks:
        found.setdefault(mark.key, []).append(mark.text)
    return {key: {"suppressed": {"SS": sorted(set(texts))}} for key, texts in found.items()}


# AWS names no limit for a call's statements. So twenty-five stay within a megabyte; a transaction may have four.
_LARGEST_STATED: Final = 40_000

# What is kept of an event that waits, and gone with any other outcome.
_HOLD: Final = ("held_for", "body", "held_at", "hold_until")
_HOLD_MARGIN_SECONDS: Final = 7 * 24 * 3600


def _facts(settlement: Settlement) -> dict[str, str | int | None]:
    """What the entry says of an event along with its outcome; what is None says it no longer."""
    outcome = settlement.outcome
    verdict: dict[str, str | int | None] = {
        "outcome": outcome.name,
        "reason": outcome.reason if isinstance(outcome, Skipped | Parked) else None,
        "code": outcome.code if isinstance(outcome, Parked) else None,
    }
    if settlement.keeps_facts:
        return verdict | dict.fromkeys(_HOLD)
    hold = settlement.hold
    held: dict[str, str | int | None] = dict.fromkeys(_HOLD)
    if hold is not None:
        held = {
            "held_for": hold.person_key,
            "body": hold.body,
            "held_at": hold.received_at,
            "hold_until": hold.until,
            "expires_at": hold.until // 1000 + _HOLD_MARGIN_SECONDS,
        }
    return (
        verdict
        | held
        | {
            "about": settlement.claim.about,
            "event_name": settlement.event_name,
            "event_at": settlement.event_at,
            "account": settlement.environment,
            "subscriber": settlement.profile_key,
            "unconfirmed_sends": settlement.unconfirmed_sends or None,
        }
    )


def _had_facts(seen: Entry) -> bool:
    """Whether an earlier attempt or outcome may have left something in the entry."""
    return seen.attempts > 0 or seen.outcome is not None


@lru_cache(maxsize=256)
def _insert(table: str, names: tuple[str, ...]) -> str:
    return f"""INSERT INTO "{table}" VALUE {{{", ".join(f"'{name}': ?" for name in names)}}}"""


@lru_cache(maxsize=256)
def _update(
    table: str,
    key_name: str,
    put: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    conditions: tuple[tuple[str, str, bool, bool], ...],
) -> str:
    clauses = [
        *(f'SET "{name}" = ?' for name in put),
        *(f'SET "{name}" = "{name}" + ?' for name in add),
        *(f'REMOVE "{name}"' for name in remove),
    ]
    wanted = [f'"{key_name}" = ?']
    for attribute, operator, is_missing, or_missing in conditions:
        holds = f'"{attribute}" IS MISSING' if is_missing else f'"{attribute}" {operator} ?'
        wanted.append(f'("{attribute}" IS MISSING OR {holds})' if or_missing else holds)
    return f'UPDATE "{table}" {" ".join(clauses)} WHERE {" AND ".join(wanted)}'


def _same(one: Value | None, other: Value) -> bool:
    """Whether two values are equal; the members of a set have no order."""
    if one is None or one.keys() != other.keys():
        return False
    return sorted(one["SS"]) == sorted(other["SS"]) if "SS" in other else one == other


def _typed(value: str | int) -> Value:
    return _s(value) if isinstance(value, str) else _n(value)


def _s(value: str) -> dict[str, str]:
    return {"S": value}


def _n(value: int) -> dict[str, str]:
    return {"N": str(value)}
