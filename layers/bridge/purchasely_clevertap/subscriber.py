"""What is known of one subscriber, and the profile that follows from it.

Each fact is kept with the time of the event that told it, and only a later event replaces it. That makes the
state independent of the order in which events arrive: late, retried, redriven and shuffled events all end in
the same state, and the profile, derived from the state, never goes backwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import orjson

from .clevertap.limits import clip_text
from .purchasely.catalogue import CATALOGUE, Group
from .purchasely.event import TRANSACTION, Event

Value = str | bool | int | float
# The value, the time of its event (epoch ms), the rank of its event among those of the same millisecond.
Fact = tuple[Value, int, int]
Facts = dict[str, Fact]

ACTIVE_STATUSES = frozenset({"AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD"})
_DEACTIVATE = "DEACTIVATE"
# The events after which there is no access, should they carry no status.
_ENDING = frozenset(
    {
        "SUBSCRIPTION_TERMINATED",
        "SUBSCRIPTION_EXPIRED",
        "SUBSCRIPTION_REFUNDED_REVOKED",
        "SUBSCRIPTION_PAUSED",
        "SUBSCRIPTION_CANCELLED_DURING_PAUSE",
        "GRACE_PERIOD_TERMINATED",
        "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD",
        "ENTERED_BILLING_RETRY",
        "FAMILY_SHARED_REVOKED",
        "TRIAL_NOT_CONVERTED",
        "INTRO_OFFER_NOT_CONVERTED",
        "PROMO_CODE_NOT_CONVERTED",
        "PROMOTIONAL_OFFER_NOT_CONVERTED",
    }
)
_ONE_TIME = frozenset({"CONSUMABLE", "NON_CONSUMABLE"})
_TRANSFERRED_AWAY = frozenset({"SUBSCRIPTION_TRANSFERRED", "ONE_TIME_PURCHASE_TRANSFERRED"})
_GIVEN_UP = _TRANSFERRED_AWAY | {_DEACTIVATE}
# After a transfer or a plan change these may still come for the former owner or the former plan: the access lost,
# the money given back. They do not say that the subscription is held again.
_SILENT_ON_HOLDING = frozenset({_DEACTIVATE, TRANSACTION})

# Several events of one business fact share their millisecond. The one that says most about it wins: the
# lifecycle event over the offer, the offer over the money, the money over the entitlement. An unknown event
# ranks as a lifecycle event; a transfer and a plan change, which end what the others describe, over all.
_GROUP_RANK = {Group.ENTITLEMENT: 0, Group.TRANSACTIONAL: 1, Group.OFFER: 2, Group.LIFECYCLE: 3}
_OVER_ALL = 4
_RANK = {name: _GROUP_RANK[kind.group] for name, kind in CATALOGUE.items()}
_RANK |= dict.fromkeys(_TRANSFERRED_AWAY, _OVER_ALL)

_SUBSCRIPTION_TEXTS = (
    "product",
    "plan",
    "previous_plan",
    "store",
    "store_country",
    "subscription_status",
    "offer_type",
    "promotional_offer_id",
    "is_family_shared",
)
_SUBSCRIPTION_DATES = {
    "subscription_started_at": "original_purchased_at",
    "effective_next_renewal_at": "effective_next_renewal_at",
}
_PERSON_TEXTS = ("user_id", "anonymous_user_id", "environment")

# Every property that a profile may have, under its own name.
PROFILE_PROPERTIES = (
    *_PERSON_TEXTS,
    "has_active_subscription",
    *_SUBSCRIPTION_TEXTS,
    *_SUBSCRIPTION_DATES,
    "lifetime_revenue",
    "lifetime_revenue_currency",
    "last_one_time_purchase",
    "last_event",
    "last_event_at",
)

# More than any person has; it keeps the stored state far below DynamoDB's 400 KB an item for a tester who
# buys every few minutes.
_MOST_SUBSCRIPTIONS = 100


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The state of one subscriber in one CleverTap account.

    `sent` is what CleverTap has accepted of the profile, under CleverTap's names; `linked` are the CleverTap ids
    that were tied to the user id.
    """

    person: Facts = field(default_factory=dict)
    subscriptions: Mapping[str, Facts] = field(default_factory=dict)
    sent: Mapping[str, Value] = field(default_factory=dict)
    linked: frozenset[str] = frozenset()

    def after(self, events: Iterable[Event]) -> Self:
        """The state once `events`, in any order, are known too."""
        person, subscriptions = dict(self.person), dict(self.subscriptions)
        for event in events:
            at, rank, _ = chronology(event)
            _learn(person, _told_of_person(event, at), at, rank)
            key = _subscription_key(event)
            if key is None:
                continue
            facts = subscriptions[key] = dict(subscriptions.get(key, {}))
            _learn(facts, _told_of_subscription(event), at, rank)
            if (replaced := event.from_purchasely_subscription_id) and clip_text(replaced) != key:
                former = subscriptions[clip_text(replaced)] = dict(subscriptions.get(clip_text(replaced), {}))
                _learn(former, {"held": False, "active": False}, at, _OVER_ALL)
        return replace(self, person=person, subscriptions=_newest(subscriptions))

    def profile(self) -> dict[str, Value]:
        """The profile properties, each under its own name; dates as CleverTap's `$D_<epoch seconds>`.

        `has_active_subscription` is true while any subscription held is active; what describes a subscription
        comes from the active one, the one last heard of if there are several.
        """
        held = {key: facts for key, facts in self.subscriptions.items() if _is(facts, "held", unknown=True)}
        properties = {name: fact[0] for name, fact in self.person.items()}
        properties["has_active_subscription"] = any(_is(facts, "active") for facts in held.values())
        if held:
            shown = max(held, key=lambda key: _prominence(key, held[key]))
            for name, fact in held[shown].items():
                if name not in ("held", "active"):
                    properties[name] = fact[0]
        return properties

    def accepted(self, properties: Mapping[str, Value], link: str | None) -> Self:
        """The state once CleverTap has taken the profile `properties` and tied the CleverTap id `link`."""
        return replace(self, sent=dict(properties), linked=self.linked | {link} if link else self.linked)

    def encoded(self) -> str:
        """The state as JSON, to be kept."""
        state = {
            "person": self.person,
            "subscriptions": self.subscriptions,
            "sent": self.sent,
            "linked": sorted(self.linked),
        }
        return orjson.dumps(state).decode()

    @classmethod
    def decoded(cls, text: str) -> Self:
        """The state that `encoded` wrote."""
        state = orjson.loads(text)
        return cls(
            person=_facts(state["person"]),
            subscriptions={key: _facts(facts) for key, facts in state["subscriptions"].items()},
            sent=state["sent"],
            linked=frozenset(state["linked"]),
        )


def chronology(event: Event) -> tuple[int, int, str]:
    """What events are ordered by: their time, then how much they say of the fact they share it with, then their id."""
    return event.created_ms, _RANK.get(event.event_name, 3), event.event_id


def _facts(stored: Mapping[str, list[Value]]) -> Facts:
    return {name: (value, int(at), int(rank)) for name, (value, at, rank) in stored.items()}


def _learn(facts: Facts, told: Mapping[str, Value], at: int, rank: int) -> None:
    for name, given in told.items():
        value = clip_text(given) if type(given) is str else given
        known = facts.get(name)
        # The value itself settles what time and rank leave open, so that no order of arrival matters.
        if known is None or at > known[1] or (at, rank, str(value)) > (known[1], known[2], str(known[0])):
            facts[name] = (value, at, rank)


def _is(facts: Facts, name: str, *, unknown: bool = False) -> bool:
    return facts[name][0] is True if name in facts else unknown


def _prominence(key: str, facts: Facts) -> tuple[bool, int, str]:
    """What subscriptions are ordered by: active ones last, then by when they were last heard of."""
    return _is(facts, "active"), max((at for _, at, _ in facts.values()), default=0), key


def _newest(subscriptions: dict[str, Facts]) -> dict[str, Facts]:
    if len(subscriptions) <= _MOST_SUBSCRIPTIONS:
        return subscriptions
    by_prominence = sorted(subscriptions.items(), key=lambda item: _prominence(*item))
    return dict(by_prominence[-_MOST_SUBSCRIPTIONS:])


def _is_one_time(event: Event) -> bool:
    return event.purchase_type in _ONE_TIME or bool(event.purchasely_one_time_purchase_id)


def _subscription_key(event: Event) -> str | None:
    if _is_one_time(event):
        return None
    key = event.purchasely_subscription_id or event.store_original_transaction_id
    return clip_text(key) if key else None


def _told_of_subscription(event: Event) -> dict[str, Value]:
    values, name = event.__dict__, event.event_name
    told: dict[str, Value] = {key: value for key in _SUBSCRIPTION_TEXTS if (value := values[key]) is not None}
    if name not in _SILENT_ON_HOLDING:
        told["held"] = name not in _TRANSFERRED_AWAY
    if name == _DEACTIVATE:  # in a transfer the status is that of the subscription, which goes on elsewhere
        told["active"] = False
    elif (status := event.subscription_status) is not None:
        told["active"] = status in ACTIVE_STATUSES
    elif event.is_known and name != TRANSACTION:
        told["active"] = name not in _ENDING
    for key, date in _SUBSCRIPTION_DATES.items():
        if (moment := event.moment(date)) is not None:
            told[key] = f"$D_{moment // 1000}"
    return told


def _told_of_person(event: Event, at: int) -> dict[str, Value]:
    values = event.__dict__
    told: dict[str, Value] = {name: value for name in _PERSON_TEXTS if (value := values[name])}
    told["last_event"] = event.event_name
    told["last_event_at"] = f"$D_{at // 1000}"
    # Purchasely cumulates per user, not per subscription: the latest is the whole.
    if revenue := event.money("cumulated_revenues"):
        told["lifetime_revenue"] = revenue.amount
        told["lifetime_revenue_currency"] = revenue.currency
    if _is_one_time(event) and event.event_name not in _GIVEN_UP and (bought := event.plan or event.product):
        told["last_one_time_purchase"] = bought
    return told
