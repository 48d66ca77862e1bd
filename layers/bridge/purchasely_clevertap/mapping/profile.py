"""What is known of one person, and the profile that follows from it.

Each fact is kept with the time of the event that told it, and only a later event replaces it. That makes the
state independent of the order in which events arrive: late, retried, redriven and shuffled events all end in
the same state, and the profile, derived from the state, never goes backwards. As an event tells most facts anew,
they are kept together, one `EventFacts` for each event of which something still holds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import orjson

from purchasely_clevertap.clevertap.limits import SAFE_CHARACTERS, clip_text, property_key_problem
from purchasely_clevertap.purchasely.catalogue import CATALOGUE, Group
from purchasely_clevertap.purchasely.event import (
    ACTIVE_STATUSES,
    DEACTIVATE,
    PURCHASE_ACTIVATED,
    PURCHASE_DEACTIVATED,
    STATUSES,
    TRANSACTION,
    Event,
    Money,
    Value,
)

# What still holds of one event: its time (epoch ms), its rank among those of the same millisecond, its facts.
type EventFacts = tuple[int, int, Mapping[str, Value]]

# A last-writer-wins map: the newest first; no fact stands in two of them.
type FactHistory = tuple[EventFacts, ...]

NONE: Final = "NONE"
"""What a text says that no longer holds: CleverTap cannot delete a property of a profile."""

_HOUR_MS: Final = 3_600_000

_TRANSFERRED_AWAY = frozenset({"SUBSCRIPTION_TRANSFERRED", "ONE_TIME_PURCHASE_TRANSFERRED"})
_RECEIVED_PURCHASE = "ONE_TIME_PURCHASE_RECEIVED"
_MOVES = frozenset({"ONE_TIME_PURCHASE_TRANSFERRED", _RECEIVED_PURCHASE})
_PURCHASE_EVENTS = frozenset(
    {PURCHASE_ACTIVATED, PURCHASE_DEACTIVATED, _RECEIVED_PURCHASE, "ONE_TIME_PURCHASE_TRANSFERRED"}
)
# A plan change ends the subscription to the former plan.
_REPLACED: Mapping[str, Value] = {"theirs": False, "active": False}
# After a transfer or a plan change these may still come for the former owner or the former plan: the access lost,
# the money given back. They do not say that the subscription is theirs again.
_SILENT_ON_OWNER = frozenset({DEACTIVATE, TRANSACTION})
# Without a status these do not say whether the subscription is active.
_SILENT_ON_STATE = frozenset({TRANSACTION, "RETENTION_MESSAGE_REQUESTED"})
_FOR_GOOD = frozenset(
    {
        "SUBSCRIPTION_TERMINATED",
        "SUBSCRIPTION_EXPIRED",
        "SUBSCRIPTION_CANCELLED_DURING_PAUSE",
        "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD",
        "TRIAL_NOT_CONVERTED",
        "INTRO_OFFER_NOT_CONVERTED",
        "PROMO_CODE_NOT_CONVERTED",
        "PROMOTIONAL_OFFER_NOT_CONVERTED",
    }
)

# Several events of one business fact share their millisecond. The one that says most about it wins: the
# lifecycle event over the offer, the offer over the money, the money over the entitlement. An unknown event
# ranks as a lifecycle event; a transfer and a plan change, which end what the others describe, over all.
_GROUP_RANK = {Group.ENTITLEMENT: 0, Group.TRANSACTIONAL: 1, Group.OFFER: 2, Group.LIFECYCLE: 3}
_OVER_ALL = 4
_RANK = {name: _GROUP_RANK[kind.group] for name, kind in CATALOGUE.items()}
_RANK |= dict.fromkeys(_TRANSFERRED_AWAY, _OVER_ALL)
_UNKNOWN = _GROUP_RANK[Group.LIFECYCLE]

_SUBSCRIPTION_TEXTS = (
    "product",
    "plan",
    "previous_plan",
    "store",
    "store_country",
    "store_product_id",
    "subscription_status",
    "offer_type",
    "promotional_offer_id",
    "is_family_shared",
    "content_id",
    "presentation",
    "placement",
    "audience",
    "ab_test",
    "ab_test_variant",
    "channel",
)
_SUBSCRIPTION_DATES = (
    ("subscription_started_at", "original_purchased_at"),
    ("purchased_at", "purchased_at"),
    ("effective_next_renewal_at", "effective_next_renewal_at"),
    ("grace_period_expires_at", "grace_period_expires_at"),
    ("auto_resume_at", "auto_resume_at"),
    ("commitment_ends_at", "commitment_ends_at"),
)
_DATE_FACTS = tuple(fact for fact, _ in _SUBSCRIPTION_DATES)
_PERSON_TEXTS = ("user_id", "anonymous_user_id", "environment")
_ATTRIBUTION: Final = "attribution_"
_NON_CONSUMABLE: Final = "NON_CONSUMABLE"
_NON_RENEWING: Final = "NON_RENEWING_SUBSCRIPTION"

PROFILE_PROPERTIES = (
    *_PERSON_TEXTS,
    "has_active_subscription",
    "subscriber_state",
    "active_plans",
    "active_subscriptions",
    "has_access",
    "owned_products",
    *_SUBSCRIPTION_TEXTS,
    *_DATE_FACTS,
    "lifetime_revenue",
    "lifetime_revenue_currency",
    "last_one_time_purchase",
    "last_event",
    "last_event_at",
)
"""Every property that a profile may have, under its own name; `attribution_utm_*` come beside these."""

# More than any person has. They keep the stored state far below DynamoDB's 400 KB an item for a tester who buys every
# few minutes.
_MOST_SUBSCRIPTIONS = 100
_MOST_PURCHASES = 100
_MOST_ATTRIBUTION = 20
_MOST_IDS = 100
_MOST_BYTES = 200_000


class Charge(NamedTuple):
    """What is known of the money of a one-time purchase: the event that charges it and the one that takes it back.

    `refund` is the event that carries the refund's record: the later of the two to become known. `amount` and
    `currency` are those of the charge; `revoked_ms` and `moved_ms` when it was taken back and when it moved to somebody
    else (epoch milliseconds): what moves at that moment is not refunded.
    """

    charged_by: str | None = None
    revoked_by: str | None = None
    refund: str | None = None
    amount: float | None = None
    currency: str | None = None
    revoked_ms: int | None = None
    moved_ms: int | None = None

    @property
    def is_refunded(self) -> bool:
        """Whether money went back."""
        return self.refund is not None and self.revoked_ms != self.moved_ms

    def joined(self, other: "Charge") -> "Charge":
        """What is known of the charge once it is known what `other` says too."""
        return Charge(*(mine if mine is not None else theirs for mine, theirs in zip(self, other, strict=True)))  # type: ignore[arg-type]  # field by field


class ProfileState(NamedTuple):
    """The state of one person, in production or in the sandbox.

    `subscriptions` and `purchases` (one-time) are known by their ids; `charges` by the store's transaction. `lapsed`
    has the subscriptions that ended without an event, with the date (epoch ms) by which they did. `sent` is what
    CleverTap has accepted of the profile, under CleverTap's names; `linked` are the CleverTap ids that were tied to the
    user id, `unlinked` those that belong to somebody else; `known_as` the anonymous ids that became this user.
    `account_id` is the CleverTap project of which all that holds.
    """

    person: FactHistory = ()
    subscriptions: Mapping[str, FactHistory] = MappingProxyType({})
    purchases: Mapping[str, FactHistory] = MappingProxyType({})
    charges: Mapping[str, Charge] = MappingProxyType({})
    lapsed: Mapping[str, int] = MappingProxyType({})
    sent: Mapping[str, Value] = MappingProxyType({})
    linked: frozenset[str] = frozenset()
    unlinked: frozenset[str] = frozenset()
    known_as: frozenset[str] = frozenset()
    account_id: str = ""

    def apply(
        self,
        events: Iterable[Event],
        *,
        is_sent: Callable[[Event], bool] = lambda _: True,
        price_of: Callable[[Event], Money | None] = lambda event: event.money("plan_price"),
    ) -> Self:
        """The state once `events`, in any order, are known too.

        `is_sent` says which have a record of their own, `price_of` what a one-time purchase costs.
        """
        person, subscriptions, purchases = self.person, dict(self.subscriptions), dict(self.purchases)
        charges, lapsed = dict(self.charges), dict(self.lapsed)
        for event in events:
            at, rank = event.created_ms, _RANK.get(event.event_name, _UNKNOWN)
            person = _merged(person, at, rank, _person_facts(event, is_sent=is_sent(event)))
            if event.event_name in _PURCHASE_EVENTS or event.is_one_time:
                _purchase(event, price_of(event), purchases, charges)
                if event.text("purchase_type") != _NON_RENEWING:
                    continue
            key = subscription_key(event)
            if key is None:
                continue
            if facts := _subscription_facts(event):
                subscriptions[key] = _merged(subscriptions.get(key, ()), at, rank, facts)
                for name in _same(key, facts.get("store_original_transaction_id"), subscriptions):
                    lapsed.pop(name, None)
            replaced = event.text("from_purchasely_subscription_id")
            if replaced and (replaced := clip_text(replaced)) != key:
                subscriptions[replaced] = _merged(subscriptions.get(replaced, ()), at, _OVER_ALL, _REPLACED)
        return self._replace(
            person=person,
            subscriptions=_newest(subscriptions, _MOST_SUBSCRIPTIONS),
            purchases=_newest(purchases, _MOST_PURCHASES),
            charges=dict(list(charges.items())[-_MOST_PURCHASES:]),
            lapsed=lapsed,
        )

    def joined(self, other: "ProfileState") -> Self:
        """The state of this person once it is known that `other` is the same one, from before a login."""
        charges = dict(self.charges)
        for key, charge in other.charges.items():
            mine = charges.get(key, Charge())
            charges[key] = mine.joined(charge)
        return self._replace(
            person=_joined(self.person, other.person),
            subscriptions=_joined_all(self.subscriptions, other.subscriptions),
            purchases=_joined_all(self.purchases, other.purchases),
            charges=charges,
            lapsed=_lapsed_in_both(self, other),
            linked=self.linked | other.linked,
            known_as=self.known_as | other.known_as,
        )

    def lapse(self, now_ms: int, *, cancelled_hours: int | None, renewing_hours: int | None) -> Self:
        """The state once what its dates say is over has ended. Any later event of a subscription undoes that."""
        lapsed = dict(self.lapsed)
        for each in self.resolved():
            end = each.end_ms
            if not each.is_active or end is None:
                continue
            if each.facts.get("ends_by_date"):
                hours: int | None = 0
            elif each.facts.get("subscription_status") == "AUTO_RENEWING_CANCELED":
                hours = cancelled_hours
            else:
                hours = renewing_hours
            if hours is not None and end + hours * _HOUR_MS <= now_ms:
                lapsed[each.key] = end
        return self._replace(lapsed=lapsed) if lapsed != self.lapsed else self

    @property
    def ends_ms(self) -> int | None:
        """The earliest date (epoch ms) by which an active subscription is over, if nothing more is heard of it."""
        return min(
            (end for each in self.resolved() if each.is_active and (end := each.end_ms) is not None), default=None
        )

    def profile(self) -> dict[str, Value]:
        """The profile properties, each under its own name; dates as CleverTap's `$D_<epoch seconds>`.

        Of a kind of thing that nothing is known of, nothing is said.
        """
        properties = facts_of(self.person)
        resolved = self.resolved()
        owned: list[str] | None = None
        for history in self.purchases.values():
            facts = facts_of(history)
            if facts.get("type") == _NON_CONSUMABLE:
                owned = owned if owned is not None else []
                if facts.get("owned") is True and (name := facts.get("product") or facts.get("plan")):
                    owned.append(str(name))
        active = [each for each in resolved if each.is_active]
        if owned is not None:
            properties["owned_products"] = clip_text(", ".join(sorted(set(owned)))) or NONE
        if owned is not None or resolved:
            properties["has_access"] = bool(active or owned)
        if resolved:
            plans = {str(plan) for each in active if (plan := each.facts.get("plan") or each.facts.get("product"))}
            properties["has_active_subscription"] = bool(active)
            properties["active_subscriptions"] = len(active)
            properties["active_plans"] = clip_text(", ".join(sorted(plans))) or NONE
            described = max(resolved, key=_prominence).properties
            # What only another subscription has told does not hold of this one.
            for each in resolved:
                for key, value in each.facts.items():
                    if key not in described and (key in _TEXTS or key.startswith(_ATTRIBUTION)):
                        described[key] = False if isinstance(value, bool) else NONE
            properties |= described
        return properties

    def resolved(self) -> list["SubscriptionState"]:
        """The subscriptions, what is only known by the store's transaction joined with the one that it belongs to."""
        histories = dict(self.subscriptions)
        for key in [key for key in histories if key.startswith(_BY_STORE)]:
            others = _same(key, key.removeprefix(_BY_STORE), self.subscriptions)
            named = [other for other in others if not other.startswith(_BY_STORE)]
            if named:
                # Of several, as after a plan change, the one that began last.
                mine = max(named, key=lambda name: (_began(self.subscriptions[name]), name))
                histories[mine] = _joined(histories[mine], histories.pop(key))
        return [
            SubscriptionState(key, history[0][0], facts_of(history), key in self.lapsed)
            for key, history in histories.items()
            if history
        ]

    def for_project(self, account_id: str) -> Self:
        """The state to send to this project; to a new one nothing was sent yet, so the full profile goes out."""
        if account_id == self.account_id:
            return self
        empty = type(self)()
        return self._replace(sent=empty.sent, linked=empty.linked, unlinked=empty.unlinked, account_id=account_id)

    def accepted(self, properties: Mapping[str, Value], links: Iterable[str] = ()) -> Self:
        """The state once CleverTap has taken the profile `properties` and tied the CleverTap ids `links`."""
        return self._replace(sent=dict(properties), linked=self.linked.union(links))

    def encoded(self, most: int = _MOST_SUBSCRIPTIONS) -> str:
        """The state as JSON, to be kept; what is empty is left out.

        Of a person of whom more is known than an item of DynamoDB may hold, what is oldest is forgotten: of
        subscriptions and of purchases at most `most` are kept, and fewer if these are too large.
        """
        state: dict[str, Any] = {
            "person": self.person,
            "subscriptions": dict(self.subscriptions),
            "purchases": dict(self.purchases),
            "charges": {key: tuple(charge) for key, charge in self.charges.items()},
            "lapsed": dict(self.lapsed),
            "sent": dict(self.sent),
            "linked": sorted(self.linked)[:_MOST_IDS],
            "unlinked": sorted(self.unlinked)[:_MOST_IDS],
            "known_as": sorted(self.known_as)[:_MOST_IDS],
            "account_id": self.account_id,
        }
        encoded = orjson.dumps({key: value for key, value in state.items() if value})
        if len(encoded) <= _MOST_BYTES or most == 1:
            return encoded.decode()
        fewer = max(most // 4, 1)
        reduced = self._replace(
            subscriptions=_newest(dict(self.subscriptions), fewer),
            purchases=_newest(dict(self.purchases), fewer),
            charges=dict(list(self.charges.items())[-fewer:]),
        )
        return reduced.encoded(fewer)

    @classmethod
    def decoded(cls, text: str) -> Self:
        """The state that `encoded` wrote, also by an earlier version. Raises ValueError for anything else."""
        try:
            state = orjson.loads(text)
            return cls(
                person=_history(state.get("person", ())),
                subscriptions={key: _history(each) for key, each in state.get("subscriptions", {}).items()},
                purchases={key: _history(each) for key, each in state.get("purchases", {}).items()},
                charges={key: Charge(*each) for key, each in state.get("charges", {}).items()},
                lapsed=state.get("lapsed", {}),
                sent=state.get("sent", {}),
                linked=frozenset(state.get("linked", ())),
                unlinked=frozenset(state.get("unlinked", ())),
                known_as=frozenset(state.get("known_as", ())),
                account_id=state.get("account_id", ""),
            )
        except (AttributeError, TypeError, KeyError) as error:
            raise ValueError("no state of a person") from error


class SubscriptionState(NamedTuple):
    """One subscription as its facts say. `heard_ms`: the time of the last event about it."""

    key: str
    heard_ms: int
    facts: Mapping[str, Value]
    has_lapsed: bool = False

    @property
    def is_active(self) -> bool:
        """Whether it gives access to this person."""
        return self.facts.get("active") is True and self.facts.get("theirs", True) is True and not self.has_lapsed

    @property
    def state(self) -> str:
        """What the growth team calls it."""
        status = self.facts.get("subscription_status")
        if self.facts.get("moved") is True:
            return "transferred"
        if not self.is_active:
            if self.has_lapsed or self.facts.get("theirs", True) is not True or self.facts.get("is_over") is True:
                return "expired"
            if status == "REVOKED" and self.facts.get("is_family_shared") is True:
                return "expired"  # nothing was paid by this person, so nothing is refunded
            return {
                "REVOKED": "refunded",
                "PAUSED": "paused",
                "ON_HOLD": "billing_retry",
                "UNPAID": "billing_retry",
            }.get(str(status), "expired")
        if status == "IN_GRACE_PERIOD":
            return "grace_period"
        if status == "AUTO_RENEWING_CANCELED":
            return "cancelled"
        return {"FREE_TRIAL": "trial", "INTRO_OFFER": "intro_offer"}.get(str(self.facts.get("offer_type")), "active")

    @property
    def end_ms(self) -> int | None:
        """When it is over if nothing more is heard: at the renewal, or at the end of a commitment that is later."""
        ends = [self.facts.get("effective_next_renewal_at"), self.facts.get("commitment_ends_at")]
        return max((seconds * 1000 for end in ends if (seconds := _seconds(end)) is not None), default=None)

    @property
    def properties(self) -> dict[str, Value]:
        """What the profile says of it."""
        told: dict[str, Value] = {
            key: value for key, value in self.facts.items() if key in _DESCRIBED or key.startswith(_ATTRIBUTION)
        }
        if told.get("offer_type") != "PROMOTIONAL_OFFER":
            told.pop("promotional_offer_id", None)
        if not self.is_active and told.get("subscription_status") in ACTIVE_STATUSES:
            told["subscription_status"] = "DEACTIVATED"
        told["subscriber_state"] = self.state
        return told


_TEXTS = frozenset(_SUBSCRIPTION_TEXTS)
_DESCRIBED = frozenset({*_SUBSCRIPTION_TEXTS, *_DATE_FACTS})
_BY_STORE: Final = "store:"  # no id of Purchasely's begins like this


def chronology(event: Event) -> tuple[int, int, str]:
    """What events are ordered by: their time, then how much they say of the fact they share it with, then their id."""
    return event.created_ms, _RANK.get(event.event_name, _UNKNOWN), event.event_id


def facts_of(history: FactHistory) -> dict[str, Value]:
    """All facts that hold."""
    facts: dict[str, Value] = {}
    for _, _, told in history:
        facts |= told
    return facts


def subscription_key(event: Event) -> str | None:
    """The id of the subscription that an event is about; the store's, when Purchasely's is not told."""
    if key := event.text("purchasely_subscription_id"):
        return clip_text(key)
    if event.is_one_time and (key := event.text("purchasely_one_time_purchase_id")):
        return clip_text(key)
    if key := event.text("store_original_transaction_id"):
        return clip_text(f"{_BY_STORE}{key}")
    return None


def purchase_key(event: Event) -> str | None:
    """The id of the one-time purchase that an event is about."""
    for key in ("purchasely_one_time_purchase_id", "store_transaction_id", "store_original_transaction_id", "product"):
        if name := event.text(key):
            return clip_text(name)
    return None


def charge_key(event: Event) -> str | None:
    """What a one-time purchase is charged under: the store's transaction."""
    key = event.text("store_transaction_id") or event.text("purchasely_one_time_purchase_id")
    return clip_text(key) if key else None


def is_payment(event: Event) -> bool:
    """Whether the event is the purchase itself. A restore, or an ACTIVATE of a transfer, comes a day later or more."""
    paid_at = event.moments.get("purchased_at")
    return event.event_name == PURCHASE_ACTIVATED and (
        paid_at is None or event.created_ms - paid_at < _PAYMENT_HOURS * _HOUR_MS
    )


_PAYMENT_HOURS: Final = 24


def _purchase(event: Event, price: Money | None, purchases: dict[str, FactHistory], charges: dict[str, Charge]) -> None:
    """Learns from an event of a one-time purchase."""
    name, key = event.event_name, purchase_key(event)
    if key is not None:
        facts: dict[str, Value] = {}
        for fact, told in (("type", "purchase_type"), ("product", "product"), ("plan", "plan")):
            if (text := event.text(told)) is not None:
                facts[fact] = text
        if name in (PURCHASE_ACTIVATED, _RECEIVED_PURCHASE):
            facts["owned"] = True
        elif name == PURCHASE_DEACTIVATED or name in _TRANSFERRED_AWAY:
            facts["owned"] = False
        rank = _RANK.get(name, _UNKNOWN)
        purchases[key] = _merged(purchases.get(key, ()), event.created_ms, rank, _clipped(facts))
    transaction = charge_key(event)
    if transaction is None or (name == PURCHASE_ACTIVATED and not is_payment(event)):
        return
    known = charges.get(transaction, Charge())
    if name in _MOVES:
        known = known._replace(moved_ms=event.created_ms)
    elif name == PURCHASE_DEACTIVATED and known.revoked_by is None:
        known = known._replace(revoked_by=event.event_id, revoked_ms=event.created_ms)
    elif name == PURCHASE_ACTIVATED and known.charged_by is None and price is not None and price.amount > 0:
        known = known._replace(charged_by=event.event_id, amount=price.amount, currency=price.currency)
    if known.charged_by and known.revoked_by and known.refund is None:
        known = known._replace(refund=event.event_id)
    if known != Charge():
        charges[transaction] = known


def _history(stored: Iterable[Sequence[Any]]) -> FactHistory:
    return tuple((at, rank, facts) for at, rank, facts in stored)


def _joined(one: FactHistory, other: FactHistory) -> FactHistory:
    for at, rank, facts in other:
        one = _merged(one, at, rank, facts)
    return one


def _lapsed_in_both(one: ProfileState, other: ProfileState) -> dict[str, int]:
    """The subscriptions that have lapsed, and of which the other state has heard nothing that the one did not know."""
    found: dict[str, int] = {}
    for mine, theirs in ((one, other), (other, one)):
        for key, at in mine.lapsed.items():
            heard = theirs.subscriptions.get(key, ())
            known = mine.subscriptions.get(key, ())
            if key in theirs.lapsed or not heard or (known and heard[0][:2] <= known[0][:2]):
                found[key] = at
    return found


def _joined_all(one: Mapping[str, FactHistory], other: Mapping[str, FactHistory]) -> dict[str, FactHistory]:
    return {key: _joined(one.get(key, ()), other.get(key, ())) for key in {**one, **other}}


def _merged(history: FactHistory, at: int, rank: int, facts: Mapping[str, Value]) -> FactHistory:
    """`history` once `facts` are known too: those of a later event, or of a higher rank, hold."""
    if not history:
        return ((at, rank, facts),)
    stamp = (at, rank)
    newest_at, newest_rank, known = history[0]
    if at > newest_at or (at == newest_at and rank > newest_rank):  # the usual case
        if len(history) == 1 and known.keys() <= facts.keys():
            return ((at, rank, facts),)
        return ((at, rank, facts), *_without(facts, history))
    later = [told for told in history if told[:2] > stamp]
    for told in later:
        facts = {name: value for name, value in facts.items() if name not in told[2]}
    earlier = history[len(later) :]
    if earlier and earlier[0][:2] == stamp:
        same = earlier[0][2]
        # The value itself settles what time and rank leave open, so that no order of arrival matters.
        facts = {**facts, **{name: max(value, facts.get(name, value), key=str) for name, value in same.items()}}
        earlier = earlier[1:]
    return (*later, (at, rank, facts), *_without(facts, earlier)) if facts else (*later, *earlier)


def _without(facts: Mapping[str, Value], history: FactHistory) -> list[EventFacts]:
    """What `history` says beside `facts`."""
    return [
        (at, rank, {name: value for name, value in told.items() if name not in facts})
        for at, rank, told in history
        if not told.keys() <= facts.keys()
    ]


def _newest(histories: dict[str, FactHistory], most: int) -> dict[str, FactHistory]:
    if len(histories) <= most:
        return histories

    def prominence(item: tuple[str, FactHistory]) -> tuple[bool, int, str]:
        key, history = item
        facts = facts_of(history)
        return facts.get("active") is True or facts.get("owned") is True, history[0][0], key

    return dict(sorted(histories.items(), key=prominence)[-most:])


def _same(key: str, original: Value | None, subscriptions: Mapping[str, FactHistory]) -> list[str]:
    """The subscriptions that have this key, or the same first transaction at the store."""
    if original is None:
        return [key]
    by_store = f"{_BY_STORE}{original}"
    return [
        name
        for name, history in subscriptions.items()
        if name in (key, by_store)
        or any(told.get("store_original_transaction_id") == original for _, _, told in history)
    ]


def _began(history: FactHistory) -> int:
    """The time of the first event that is still known."""
    return history[-1][0]


def _prominence(each: SubscriptionState) -> tuple[Any, ...]:
    """Which subscription is described: an active one, paid by themselves, the dearest, the one that started first; of
    inactive ones the one last heard of."""
    if not each.is_active:
        return (0, each.heard_ms, each.key)
    price = each.facts.get("plan_price")
    started = _seconds(each.facts.get("subscription_started_at"))
    return (
        1,
        each.facts.get("is_family_shared") is not True,
        float(price) if isinstance(price, (int, float)) else 0.0,
        -(started if started is not None else each.heard_ms // 1000),
        each.key,
    )


def _seconds(date: Value | None) -> int | None:
    return int(date[3:]) if isinstance(date, str) and date.startswith("$D_") else None


def _subscription_facts(event: Event) -> dict[str, Value]:
    values, name = event.values, event.event_name
    told: dict[str, Value] = {key: values[key] for key in _SUBSCRIPTION_TEXTS if key in values}
    campaign = (key for key in values if key.startswith(_ATTRIBUTION) and property_key_problem(key) is None)
    told |= {key: values[key] for key in islice(campaign, _MOST_ATTRIBUTION)}
    if (original := event.text("store_original_transaction_id")) is not None:
        told["store_original_transaction_id"] = original
    if (price := event.money("plan_price")) is not None:
        told["plan_price"] = price.amount
    status = event.status
    if name == DEACTIVATE and "user_id" not in values and told.get("subscription_status") in ACTIVE_STATUSES:
        return {}  # an anonymous user logged in: the subscription goes on under the user id
    if status is None or status not in STATUSES:
        told.pop("subscription_status", None)
    else:
        told["subscription_status"] = status
    if name not in _SILENT_ON_OWNER:
        told["theirs"] = name not in _TRANSFERRED_AWAY
        told["moved"] = name in _TRANSFERRED_AWAY
    if name in (DEACTIVATE, PURCHASE_DEACTIVATED) or name in _TRANSFERRED_AWAY:
        # In a transfer the status is that of the subscription, which goes on elsewhere.
        told["active"] = False
        if told.get("subscription_status", "DEACTIVATED") in ACTIVE_STATUSES:
            told["subscription_status"] = "DEACTIVATED"
    elif status is not None:
        told["active"] = status in ACTIVE_STATUSES
    elif name not in _SILENT_ON_STATE and event.is_known:
        told["active"] = True
    if "active" in told:
        # Some events end a subscription for good, whatever the store still tries.
        told["is_over"] = name in _FOR_GOOD and status in ("UNPAID", "ON_HOLD", "PAUSED")
    if event.text("purchase_type") == _NON_RENEWING:
        told["ends_by_date"] = True
    for fact, date in _SUBSCRIPTION_DATES:
        if (moment := event.moments.get(date)) is not None:
            told[fact] = f"$D_{moment // 1000}"
    if "effective_next_renewal_at" not in told and (moment := event.moments.get("next_renewal_at")) is not None:
        told["effective_next_renewal_at"] = f"$D_{moment // 1000}"
    return _clipped(told)


def _person_facts(event: Event, *, is_sent: bool) -> dict[str, Value]:
    values, name = event.values, event.event_name
    told: dict[str, Value] = {key: values[key] for key in _PERSON_TEXTS if key in values}
    if is_sent:
        told["last_event"] = name
        told["last_event_at"] = f"$D_{event.created_ms // 1000}"
    # Purchasely cumulates per user, not per subscription: the latest is the whole.
    if revenue := event.money("cumulated_revenues"):
        told["lifetime_revenue"], told["lifetime_revenue_currency"] = revenue
    if name in (PURCHASE_ACTIVATED, _RECEIVED_PURCHASE):
        bought = event.text("plan") or event.text("product")
        if bought:
            told["last_one_time_purchase"] = bought
    return _clipped(told)


def _clipped(told: dict[str, Value]) -> dict[str, Value]:
    """The facts with texts cut to what CleverTap takes."""
    for key, value in told.items():
        if type(value) is str and len(value) > SAFE_CHARACTERS:
            told[key] = clip_text(value)
    return told
