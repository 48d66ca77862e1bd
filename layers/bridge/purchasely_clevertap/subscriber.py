"""What is known of one subscriber, and the profile that follows from it.

Each fact is kept with the time of the event that told it, and only a later event replaces it. That makes the
state independent of the order in which events arrive: late, retried, redriven and shuffled events all end in
the same state, and the profile, derived from the state, never goes backwards. As an event tells most facts anew,
they are kept together, one `Told` for each event of which something still holds.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Self

import orjson

from .clevertap.limits import SAFE_CHARACTERS, clip_text
from .purchasely.catalogue import CATALOGUE, Group
from .purchasely.event import TRANSACTION, Event

Value = str | bool | int | float


class Told(NamedTuple):
    """What still holds of one event: its time (epoch ms), its rank among those of the same millisecond, its facts."""

    at: int
    rank: int
    facts: Mapping[str, Value]


# The newest first; no fact stands in two of them.
Tellings = tuple[Told, ...]

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


class Subscriber(NamedTuple):
    """The state of one subscriber in one CleverTap account.

    `sent` is what CleverTap has accepted of the profile, under CleverTap's names; `linked` are the CleverTap ids
    that were tied to the user id.
    """

    person: Tellings = ()
    subscriptions: Mapping[str, Tellings] = MappingProxyType({})
    sent: Mapping[str, Value] = MappingProxyType({})
    linked: frozenset[str] = frozenset()

    def after(self, events: Iterable[Event]) -> Self:
        """The state once `events`, in any order, are known too."""
        person, subscriptions = self.person, dict(self.subscriptions)
        for event in events:
            at, rank, _ = chronology(event)
            person = _merged(person, Told(at, rank, _told_of_person(event, at)))
            key = _subscription_key(event)
            if key is None:
                continue
            if facts := _told_of_subscription(event):
                subscriptions[key] = _merged(subscriptions.get(key, ()), Told(at, rank, facts))
            if (replaced := event.from_purchasely_subscription_id) and clip_text(replaced) != key:
                ended = Told(at, _OVER_ALL, {"held": False, "active": False})
                subscriptions[clip_text(replaced)] = _merged(subscriptions.get(clip_text(replaced), ()), ended)
        return self._replace(person=person, subscriptions=_newest(subscriptions))

    def profile(self) -> dict[str, Value]:
        """The profile properties, each under its own name; dates as CleverTap's `$D_<epoch seconds>`.

        `has_active_subscription` is true while any subscription held is active; what describes a subscription
        comes from the active one, the one last heard of if there are several.
        """
        properties = facts_of(self.person)
        properties["has_active_subscription"] = False
        shown: tuple[bool, int, str] | None = None
        for key, tellings in self.subscriptions.items():
            facts = facts_of(tellings)
            if facts.pop("held", True):
                active = facts.pop("active", False) is True
                prominence = (active, tellings[0].at, key)
                if shown is None or prominence > shown:
                    shown, described = prominence, facts
        if shown is not None:
            properties["has_active_subscription"] = shown[0]
            properties |= described
        return properties

    def accepted(self, properties: Mapping[str, Value], link: str | None) -> Self:
        """The state once CleverTap has taken the profile `properties` and tied the CleverTap id `link`."""
        return self._replace(sent=dict(properties), linked=self.linked | {link} if link else self.linked)

    def encoded(self) -> str:
        """The state as JSON, to be kept."""
        state = {
            "person": _plain(self.person),
            "subscriptions": {key: _plain(tellings) for key, tellings in self.subscriptions.items()},
            "sent": dict(self.sent),
            "linked": sorted(self.linked),
        }
        return orjson.dumps(state).decode()

    @classmethod
    def decoded(cls, text: str) -> Self:
        """The state that `encoded` wrote."""
        state = orjson.loads(text)
        return cls(
            person=_tellings(state["person"]),
            subscriptions={key: _tellings(told) for key, told in state["subscriptions"].items()},
            sent=state["sent"],
            linked=frozenset(state["linked"]),
        )


def chronology(event: Event) -> tuple[int, int, str]:
    """What events are ordered by: their time, then how much they say of the fact they share it with, then their id."""
    return event.created_ms, _RANK.get(event.event_name, 3), event.event_id


def facts_of(tellings: Tellings) -> dict[str, Value]:
    """All facts that hold."""
    facts: dict[str, Value] = {}
    for told in tellings:
        facts |= told.facts
    return facts


def _tellings(stored: Iterable[tuple[int, int, dict[str, Value]]]) -> Tellings:
    return tuple(Told(at, rank, facts) for at, rank, facts in stored)


def _plain(tellings: Tellings) -> list[tuple[int, int, Mapping[str, Value]]]:
    return [(told.at, told.rank, told.facts) for told in tellings]


def _merged(tellings: Tellings, new: Told) -> Tellings:
    """`tellings` once the `new` one is known too: a fact of a later event, or of a higher rank, holds."""
    if not tellings:
        return (new,)
    stamp = (new.at, new.rank)
    later = [told for told in tellings if (told.at, told.rank) > stamp]
    holds = dict(new.facts)
    for told in later:
        holds = {name: value for name, value in holds.items() if name not in told.facts}
    earlier: list[Told] = []
    for told in tellings[len(later) :]:
        if (told.at, told.rank) == stamp:
            # The value itself settles what time and rank leave open, so that no order of arrival matters.
            holds |= {name: max(value, holds.get(name, value), key=str) for name, value in told.facts.items()}
        elif left := {name: value for name, value in told.facts.items() if name not in new.facts}:
            earlier.append(Told(told.at, told.rank, left))
    return (*later, Told(*stamp, holds), *earlier) if holds else (*later, *earlier)


def _newest(subscriptions: dict[str, Tellings]) -> dict[str, Tellings]:
    if len(subscriptions) <= _MOST_SUBSCRIPTIONS:
        return subscriptions

    def prominence(item: tuple[str, Tellings]) -> tuple[bool, int, str]:
        key, tellings = item
        return facts_of(tellings).get("active") is True, tellings[0].at, key

    return dict(sorted(subscriptions.items(), key=prominence)[-_MOST_SUBSCRIPTIONS:])


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
    return _short(told)


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
    return _short(told)


def _short(told: dict[str, Value]) -> dict[str, Value]:
    """`told` with its texts cut to what CleverTap takes, which hardly ever changes them."""
    for name, value in told.items():
        if type(value) is str and len(value) > SAFE_CHARACTERS:
            told[name] = clip_text(value)
    return told
