"""What the release before statements and packed states wrote: a stack is upgraded while it works, and rolled back.

A record of what was, so it follows no change of the bridge. Its claims, leases and settlements must keep out those of
the present release, and be kept out by them.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from purchasely_clevertap.aws.changes import Change, Changes
from purchasely_clevertap.delivery.entry import LEASE_MS, Claim, ProfileSave, Settlement, StoredProfile, Tie
from purchasely_clevertap.delivery.keys import MOST_MESSAGES, RETENTION_SECONDS
from purchasely_clevertap.outcome import Parked, Retried, Skipped


class FormerChange(NamedTuple):
    """One conditional update of one item, as the former release wrote it."""

    table: str
    key: Mapping[str, Any]
    update: str
    condition: str | None
    values: Mapping[str, Any]

    @property
    def is_statement(self) -> bool:
        """Never: it knew transactions alone."""
        return False

    @property
    def update_item(self) -> Mapping[str, Any]:
        """The change as an item of a transaction."""
        item: dict[str, Any] = {
            "TableName": self.table,
            "Key": self.key,
            "UpdateExpression": self.update,
            "ExpressionAttributeValues": self.values,
        }
        return item if self.condition is None else item | {"ConditionExpression": self.condition}


class FormerChanges(NamedTuple):
    """What its workers wrote of events and persons."""

    deliveries: str
    subscribers: str
    owner: str
    subscriber_seconds: int = 0

    def claim(self, claim: Claim, *, now_ms: int) -> FormerChange:
        """Makes the event this worker's until the lease expires."""
        return self._if_as_seen(
            claim,
            "SET attempts = :attempts, lease_owner = :owner, lease_until = :until, expires_at = :expires, "
            "about = :about REMOVE outcome",
            now_ms,
            {":owner": _s(self.owner), ":until": _n(now_ms + LEASE_MS), ":about": _s(claim.about or "")},
        )

    def settle(self, settlement: Settlement, *, now_ms: int) -> FormerChange:
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

    def free(self, claim: Claim, settlement: Settlement | None = None) -> FormerChange:
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

    def lease(self, key: str, seen: StoredProfile, *, now_ms: int) -> FormerChange:
        """Makes the profile this worker's until the lease expires. Holds only if it is as it was read."""
        return FormerChange(
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

    def save(self, save: ProfileSave, *, now_ms: int, packs: bool) -> FormerChange:
        """Keeps the state and ends the lease. Holds only while the lease is this worker's. It never packed."""
        if packs:
            raise AssertionError("a former worker is at work although states are packed by now")
        ends = save.state.ends_ms
        return FormerChange(
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

    def note(self, key: str, messages: Collection[str], *, now_ms: int) -> Change:
        """As it is written today."""
        return Changes(*self).note(key, messages, now_ms=now_ms)

    def tie(self, tie: Tie, *, now_ms: int) -> Change:
        """As it is written today."""
        return Changes(*self).tie(tie, now_ms=now_ms)

    def associate(self, key: str, object_id: str, *, now_ms: int) -> Change:
        """As it is written today."""
        return Changes(*self).associate(key, object_id, now_ms=now_ms)

    def announce_packing(self, *, from_ms: int) -> Change:
        """It announced nothing: the present release has then."""
        return Changes(*self).announce_packing(from_ms=from_ms)

    @property
    def _until(self) -> str:
        return ", expires_at = :expires" if self.subscriber_seconds else ""

    def _expires(self, now_ms: int) -> dict[str, Any]:
        """When a person is forgotten who was heard of now."""
        return {":expires": _n(now_ms // 1000 + self.subscriber_seconds)} if self.subscriber_seconds else {}

    def _if_as_seen(self, claim: Claim, update: str, now_ms: int, values: Mapping[str, Any]) -> FormerChange:
        """A change that holds only if nothing has changed since the entry was read, and that counts as one itself."""
        message_id = claim.message_id if len(claim.seen.messages) < MOST_MESSAGES else None
        return self._entry_change(
            claim.key,
            f"{update} ADD messages :message" if message_id else update,
            "(attribute_not_exists(attempts) OR attempts = :seen) AND "
            "(attribute_not_exists(lease_until) OR lease_until <= :clock)",
            {
                **values,
                **({":message": {"SS": [message_id]}} if message_id else {}),
                ":attempts": _n(claim.seen.attempts + 1),
                ":seen": _n(claim.seen.attempts),
                ":clock": _n(now_ms),
                **({} if ":expires_at" in values else {":expires": _n(now_ms // 1000 + RETENTION_SECONDS)}),
            },
        )

    def _if_mine(self, key: str, update: str, accepted: Iterable[str], values: Mapping[str, Any]) -> FormerChange:
        """A change that holds only while the claim is this worker's."""
        kinds = sorted(accepted)
        return self._entry_change(
            key,
            f"{update} ADD accepted :accepted" if kinds else update,
            "lease_owner = :owner",
            {**values, ":owner": _s(self.owner), **({":accepted": {"SS": kinds}} if kinds else {})},
        )

    def _entry_change(self, key: str, update: str, condition: str | None, values: Mapping[str, Any]) -> FormerChange:
        return FormerChange(self.deliveries, {"event": _s(key)}, update, condition, values)


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
