"""The changes that the ledger makes, each one conditional update of one item, as DynamoDB takes them. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from purchasely_clevertap.delivery.entry import LEASE_MS, Claim, ProfileSave, Settlement, StoredProfile, Tie
from purchasely_clevertap.delivery.keys import MOST_MESSAGES, RETENTION_SECONDS
from purchasely_clevertap.delivery.suppression import Mark
from purchasely_clevertap.outcome import Parked, Retried, Skipped

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef


class Change(NamedTuple):
    """One conditional update of one item."""

    table: str
    key: Mapping[str, Any]
    update: str
    condition: str | None
    values: Mapping[str, Any]
    names: Mapping[str, str] = {}

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
        if self.names:
            item["ExpressionAttributeNames"] = self.names
        return item


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
            "SET attempts = :attempts, lease_owner = :owner, lease_until = :until, expires_at = :expires, "
            "about = :about REMOVE outcome",
            now_ms,
            {":owner": _s(self.owner), ":until": _n(now_ms + LEASE_MS), ":about": _s(claim.about or "")},
        )

    def settle(self, settlement: Settlement, *, now_ms: int) -> Change:
        """Gives the event its outcome, or frees its claim if it comes again."""
        claim = settlement.claim
        if isinstance(settlement.outcome, Retried):
            return self.free(claim, settlement)
        update, gone, values = _facts_update(_facts(settlement))
        if not settlement.is_claimed:
            return self._if_as_seen(
                claim,
                f"SET attempts = :attempts, settled_at = :now{_expiry(values)}{update} "
                f"REMOVE lease_owner, lease_until{gone}",
                now_ms,
                {":now": _n(now_ms), **values},
            )
        expires = _n(now_ms // 1000 + RETENTION_SECONDS)
        return self._if_mine(
            claim.key,
            f"SET settled_at = :now{_expiry(values)}{update} REMOVE lease_owner, lease_until{gone}",
            settlement.accepted,
            {":now": _n(now_ms), **({} if ":expires_at" in values else {":expires": expires}), **values},
        )

    def free(self, claim: Claim, settlement: Settlement | None = None) -> Change:
        """Gives up the claim of an event that comes again."""
        facts: dict[str, str | int | None] = {}
        if settlement is not None and isinstance(settlement.outcome, Retried):
            facts["reason"] = settlement.outcome.shown_reason
            facts["event_name"] = settlement.event_name
            facts["unconfirmed_sends"] = settlement.unconfirmed_sends or None
        else:
            facts["unconfirmed_sends"] = (claim.seen.unconfirmed_sends + claim.seen.is_abandoned) or None
        update, gone, values = _facts_update(facts)
        accepted = settlement.accepted if settlement is not None else frozenset[str]()
        return self._if_mine(
            claim.key, f"SET lease_until = :free{update} REMOVE lease_owner{gone}", accepted, {":free": _n(0), **values}
        )

    def shed(self, claim: Claim, item: Mapping[str, Any], *, is_claimed: bool, now_ms: int) -> Change | None:
        """Takes off `item`, the entry of an event, whatever its outcome does not need; the messages stay counted.

        Holds while the entry is as it was seen, or this worker's if it is claimed. None if there is nothing to take.
        """
        names = {f"#shed{number}": name for number, name in enumerate(sorted(item.keys() - _KEPT))}
        if not names:
            return None
        condition, values = (
            ("lease_owner = :owner", {":owner": _s(self.owner)}) if is_claimed else _as_seen(claim, now_ms)
        )
        return Change(
            self.deliveries,
            {"event": _s(claim.key)},
            f"REMOVE {', '.join(names)} SET further_messages = if_not_exists(further_messages, :none) + :messages",
            condition,
            {**values, ":none": _n(0), ":messages": _n(len(item.get("messages", {}).get("SS", ())))},
            names,
        )

    def tie(self, tie: Tie, *, now_ms: int) -> Change:
        """Says whose an anonymous id or a CleverTap id is. The first user has it; nobody while it is leased."""
        return Change(
            self.subscribers,
            {"subscriber": _s(tie.key)},
            f"SET tied_user = :user, version = if_not_exists(version, :zero) + :one{self._until}",
            "(attribute_not_exists(tied_user) OR tied_user = :user) AND "
            "(attribute_not_exists(lease_until) OR lease_until <= :now)",
            {":user": _s(tie.user_id), ":zero": _n(0), ":one": _n(1), ":now": _n(now_ms), **self._expires(now_ms)},
        )

    def associate(self, key: str, object_id: str, *, now_ms: int) -> Change:
        """Says which CleverTap id an anonymous id has."""
        return Change(
            self.subscribers,
            {"subscriber": _s(key)},
            f"SET tied_object = :object, version = if_not_exists(version, :zero) + :one{self._until}",
            None,
            {":object": _s(object_id), ":zero": _n(0), ":one": _n(1), **self._expires(now_ms)},
        )

    def suppress(self, marks: Iterable[Mark]) -> list[Change]:
        """Adds marks of suppressed people. They never expire."""
        return self._marks("ADD suppressed :marks", marks)

    def unsuppress(self, marks: Iterable[Mark]) -> list[Change]:
        """Takes marks of suppressed people away."""
        return self._marks("DELETE suppressed :marks", marks)

    def _marks(self, update: str, marks: Iterable[Mark]) -> list[Change]:
        by_key: dict[str, list[str]] = {}
        for mark in marks:
            by_key.setdefault(mark.key, []).append(mark.text)
        return [
            Change(self.subscribers, {"subscriber": _s(key)}, update, None, {":marks": {"SS": sorted(set(texts))}})
            for key, texts in by_key.items()
        ]

    def note(self, key: str, messages: Collection[str], *, now_ms: int) -> Change:
        """Notes further messages that brought an event; noting one twice counts it once."""
        return self._entry_change(
            key,
            "ADD messages :message SET expires_at = if_not_exists(expires_at, :expires)",
            None,
            {":message": {"SS": sorted(messages)}, ":expires": _n(now_ms // 1000 + RETENTION_SECONDS)},
        )

    def lease(self, key: str, seen: StoredProfile, *, now_ms: int) -> Change:
        """Makes the profile this worker's until the lease expires. Holds only if it is as it was read."""
        return Change(
            self.subscribers,
            {"subscriber": _s(key)},
            "SET version = :next, lease_owner = :owner, lease_until = :until",
            "(attribute_not_exists(version) OR version = :version) AND "
            "(attribute_not_exists(lease_until) OR lease_until <= :now) AND attribute_not_exists(tied_user)",
            {
                ":version": _n(seen.version),
                ":next": _n(seen.version + 1),
                ":owner": _s(self.owner),
                ":until": _n(now_ms + LEASE_MS),
                ":now": _n(now_ms),
            },
        )

    def save(self, save: ProfileSave, *, now_ms: int) -> Change:
        """Keeps the state and ends the lease. Holds only while the lease is this worker's."""
        ends = save.state.ends_ms
        return Change(
            self.subscribers,
            {"subscriber": _s(save.key)},
            # A new version: a worker that has read the state which this one replaces must not get the lease with it.
            f"SET facts = :facts, version = version + :one, lease_until = :free{self._until}"
            + (", ends_at = :ends REMOVE lease_owner" if ends is not None else " REMOVE lease_owner, ends_at"),
            "lease_owner = :owner",
            {
                ":facts": _s(save.state.encoded()),
                ":one": _n(1),
                ":free": _n(save.lease_until),
                ":owner": _s(self.owner),
                **({":ends": _n(ends)} if ends is not None else {}),
                **self._expires(now_ms),
            },
        )

    @property
    def _until(self) -> str:
        return ", expires_at = :expires" if self.subscriber_seconds else ""

    def _expires(self, now_ms: int) -> dict[str, Any]:
        """When a person is forgotten who was heard of now."""
        return {":expires": _n(now_ms // 1000 + self.subscriber_seconds)} if self.subscriber_seconds else {}

    def _if_as_seen(self, claim: Claim, update: str, now_ms: int, values: Mapping[str, Any]) -> Change:
        """A change that holds only if nothing has changed since the entry was read, and that counts as one itself."""
        message_id = claim.message_id if len(claim.seen.messages) < MOST_MESSAGES else None
        condition, seen = _as_seen(claim, now_ms)
        return self._entry_change(
            claim.key,
            f"{update} ADD messages :message" if message_id else update,
            condition,
            {
                **values,
                **seen,
                **({":message": {"SS": [message_id]}} if message_id else {}),
                ":attempts": _n(claim.seen.attempts + 1),
                **({} if ":expires_at" in values else {":expires": _n(now_ms // 1000 + RETENTION_SECONDS)}),
            },
        )

    def _if_mine(self, key: str, update: str, accepted: Iterable[str], values: Mapping[str, Any]) -> Change:
        """A change that holds only while the claim is this worker's."""
        kinds = sorted(accepted)
        return self._entry_change(
            key,
            f"{update} ADD accepted :accepted" if kinds else update,
            "lease_owner = :owner",
            {**values, ":owner": _s(self.owner), **({":accepted": {"SS": kinds}} if kinds else {})},
        )

    def _entry_change(self, key: str, update: str, condition: str | None, values: Mapping[str, Any]) -> Change:
        return Change(self.deliveries, {"event": _s(key)}, update, condition, values)


def _as_seen(claim: Claim, now_ms: int) -> tuple[str, dict[str, Any]]:
    """That nothing has changed since the entry was read: the condition and its values."""
    condition = (
        "(attribute_not_exists(attempts) OR attempts = :seen) AND "
        "(attribute_not_exists(lease_until) OR lease_until <= :clock)"
    )
    return condition, {":seen": _n(claim.seen.attempts), ":clock": _n(now_ms)}


# What an entry needs lest its event is delivered, parked or counted twice. All else may go where there is no room.
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

# What is kept of an event that waits, and gone with any other outcome.
_HOLD: Final = ("held_for", "body", "held_at", "hold_until")
_HOLD_MARGIN_SECONDS: Final = 7 * 24 * 3600


def _facts(settlement: Settlement) -> dict[str, str | int | None]:
    """What the entry says of an event along with its outcome."""
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


def _expiry(values: Mapping[str, Any]) -> str:
    """How long the entry lives, unless the facts say so themselves."""
    return "" if ":expires_at" in values else ", expires_at = :expires"


def _facts_update(facts: Mapping[str, str | int | None]) -> tuple[str, str, dict[str, Any]]:
    """What to set, what to remove (a fact that is None: an earlier outcome may have left it), and the values."""
    given = {name: value for name, value in facts.items() if value is not None}
    update = "".join(f", {name} = :{name}" for name in given)
    gone = "".join(f", {name}" for name in facts if name not in given)
    values = {f":{name}": _s(value) if isinstance(value, str) else _n(value) for name, value in given.items()}
    return update, gone, values


def _s(value: str) -> dict[str, str]:
    return {"S": value}


def _n(value: int) -> dict[str, str]:
    return {"N": str(value)}
