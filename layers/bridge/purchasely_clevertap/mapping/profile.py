"""What is known of one subscriber, and the profile that follows from it.

Each fact is kept with the time of the event that told it, and only a later event replaces it. That makes the
state independent of the order in which events arrive: late, retried, redriven and shuffled events all end in
the same state, and the profile, derived from the state, never goes backwards. As an event tells most facts anew,
they are kept together, one `EventFacts` for each event of which something still holds.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Self

import orjson

from purchasely_clevertap.clevertap.limits import SAFE_CHARACTERS, clip_text
from purchasely_clevertap.purchasely.catalogue import CATALOGUE, Group
from purchasely_clevertap.purchasely.event import KEYS, TRANSACTION, Event, Shape

Value = str | bool | int | float


# What still holds of one event: its time (epoch ms), its rank among those of the same millisecond, its facts.
type EventFacts = tuple[int, int, Mapping[str, Value]]

# The newest first; no fact stands in two of them.
type FactHistory = tuple[EventFacts, ...]

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
_REPLACED: Mapping[str, Value] = {"held": False, "active": False}
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
_UNKNOWN = _GROUP_RANK[Group.LIFECYCLE]

_SUBSCRIPTION_FACTS = (
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
_SUBSCRIPTION_DATES = (
    ("subscription_started_at", "original_purchased_at"),
    ("effective_next_renewal_at", "effective_next_renewal_at"),
)
_PERSON_FACTS = ("user_id", "anonymous_user_id", "environment")

# Every property that a profile may have, under its own name.
PROFILE_PROPERTIES = (
    *_PERSON_FACTS,
    "has_active_subscription",
    *_SUBSCRIPTION_FACTS,
    *(fact for fact, _ in _SUBSCRIPTION_DATES),
    "lifetime_revenue",
    "lifetime_revenue_currency",
    "last_one_time_purchase",
    "last_event",
    "last_event_at",
)

# More than any person has; it keeps the stored state far below DynamoDB's 400 KB an item for a tester who
# buys every few minutes.
_MOST_SUBSCRIPTIONS = 100


class ProfileState(NamedTuple):
    """The state of one subscriber, in production or in the sandbox.

    `sent` is what CleverTap has accepted of the profile, under CleverTap's names; `linked` are the CleverTap ids
    that were tied to the user id; `account_id` is the CleverTap project of which both hold.
    """

    person: FactHistory = ()
    subscriptions: Mapping[str, FactHistory] = MappingProxyType({})
    sent: Mapping[str, Value] = MappingProxyType({})
    linked: frozenset[str] = frozenset()
    account_id: str = ""

    def apply(self, events: Iterable[Event]) -> Self:
        """The state once `events`, in any order, are known too."""
        person, subscriptions = self.person, dict(self.subscriptions)
        for event in events:
            at, rank = event.created_ms, _RANK.get(event.event_name, _UNKNOWN)
            is_one_time = _is_one_time(event)
            person = _merged(person, at, rank, _told_of_person(event, is_one_time=is_one_time))
            key = None if is_one_time else _subscription_key(event)
            if key is None:
                continue
            if facts := _told_of_subscription(event):
                subscriptions[key] = _merged(subscriptions.get(key, ()), at, rank, facts)
            replaced = event.payload.get("from_purchasely_subscription_id")
            if replaced and (replaced := clip_text(replaced)) != key:
                subscriptions[replaced] = _merged(subscriptions.get(replaced, ()), at, _OVER_ALL, _REPLACED)
        return type(self)(person, _newest(subscriptions), self.sent, self.linked, self.account_id)

    def profile(self) -> dict[str, Value]:
        """The profile properties, each under its own name; dates as CleverTap's `$D_<epoch seconds>`.

        `has_active_subscription` is true while any subscription held is active; what describes a subscription
        comes from the active one, the one last heard of if there are several.
        """
        properties = facts_of(self.person)
        properties["has_active_subscription"] = False
        shown: tuple[bool, int, str] | None = None
        for key, history in self.subscriptions.items():
            facts = facts_of(history)
            if facts.pop("held", True):
                active = facts.pop("active", False) is True
                prominence = (active, history[0][0], key)
                if shown is None or prominence > shown:
                    shown, described = prominence, facts
        if shown is not None:
            properties["has_active_subscription"] = shown[0]
            properties |= described
        return properties

    def for_project(self, account_id: str) -> Self:
        """The state to send to this project; to a new one nothing was sent yet, so the full profile goes out."""
        if account_id == self.account_id:
            return self
        return type(self)(self.person, self.subscriptions, account_id=account_id)

    def accepted(self, properties: Mapping[str, Value], link: str | None) -> Self:
        """The state once CleverTap has taken the profile `properties` and tied the CleverTap id `link`."""
        return self._replace(sent=dict(properties), linked=self.linked | {link} if link else self.linked)

    def encoded(self) -> str:
        """The state as JSON, to be kept."""
        state = {
            "person": self.person,
            "subscriptions": dict(self.subscriptions),
            "sent": dict(self.sent),
            "linked": sorted(self.linked),
            "account_id": self.account_id,
        }
        return orjson.dumps(state).decode()

    @classmethod
    def decoded(cls, text: str) -> Self:
        """The state that `encoded` wrote."""
        state = orjson.loads(text)
        return cls(
            person=_history(state["person"]),
            subscriptions={key: _history(told) for key, told in state["subscriptions"].items()},
            sent=state["sent"],
            linked=frozenset(state["linked"]),
            account_id=state["account_id"],
        )


def chronology(event: Event) -> tuple[int, int, str]:
    """What events are ordered by: their time, then how much they say of the fact they share it with, then their id."""
    return event.created_ms, _RANK.get(event.event_name, _UNKNOWN), event.event_id


def facts_of(history: FactHistory) -> dict[str, Value]:
    """All facts that hold."""
    facts: dict[str, Value] = {}
    for _, _, told in history:
        facts |= told
    return facts


def _history(stored: Iterable[tuple[int, int, dict[str, Value]]]) -> FactHistory:
    return tuple((at, rank, facts) for at, rank, facts in stored)


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
    """What `history` say beside `facts`."""
    return [
        (at, rank, {name: value for name, value in told.items() if name not in facts})
        for at, rank, told in history
        if not told.keys() <= facts.keys()
    ]


def _newest(subscriptions: dict[str, FactHistory]) -> dict[str, FactHistory]:
    if len(subscriptions) <= _MOST_SUBSCRIPTIONS:
        return subscriptions

    def prominence(item: tuple[str, FactHistory]) -> tuple[bool, int, str]:
        key, history = item
        return facts_of(history).get("active") is True, history[0][0], key

    return dict(sorted(subscriptions.items(), key=prominence)[-_MOST_SUBSCRIPTIONS:])


def _is_one_time(event: Event) -> bool:
    payload = event.payload
    return payload.get("purchase_type") in _ONE_TIME or bool(payload.get("purchasely_one_time_purchase_id"))


def _subscription_key(event: Event) -> str | None:
    payload = event.payload
    key = payload.get("purchasely_subscription_id") or payload.get("store_original_transaction_id")
    return clip_text(key) if key else None


def _told_of_subscription(event: Event) -> dict[str, Value]:
    values, name = event.values, event.event_name
    told: dict[str, Value] = {key: values[key] for key in _facts(event.shape)[1]}
    if event.longest > SAFE_CHARACTERS:
        told = _clipped(told)
    if name not in _SILENT_ON_HOLDING:
        told["held"] = name not in _TRANSFERRED_AWAY
    if name == _DEACTIVATE:  # in a transfer the status is that of the subscription, which goes on elsewhere
        told["active"] = False
    elif (status := told.get("subscription_status")) is not None:
        told["active"] = status in ACTIVE_STATUSES
    elif name != TRANSACTION and event.is_known:
        told["active"] = name not in _ENDING
    for fact, date in _SUBSCRIPTION_DATES:
        if (moment := event.moment(date)) is not None:
            told[fact] = f"$D_{moment // 1000}"
    return told


def _told_of_person(event: Event, *, is_one_time: bool) -> dict[str, Value]:
    values, name = event.values, event.event_name
    told: dict[str, Value] = {key: value for key in _facts(event.shape)[0] if (value := values[key])}
    told["last_event"] = name
    told["last_event_at"] = f"$D_{event.created_ms // 1000}"
    # Purchasely cumulates per user, not per subscription: the latest is the whole.
    if revenue := event.money("cumulated_revenues"):
        told["lifetime_revenue"], told["lifetime_revenue_currency"] = revenue
    if is_one_time and name not in _GIVEN_UP:
        bought = event.payload.get("plan") or event.payload.get("product")
        if bought:
            told["last_one_time_purchase"] = bought
    return told if event.longest <= SAFE_CHARACTERS else _clipped(told)


@lru_cache(1000)
def _facts(shape: Shape) -> tuple[list[str], list[str]]:
    """The facts of the person, and those of the subscription, that an event of this shape names itself."""
    given = {key for key, kind in shape.types.items() if kind is KEYS.get(key)}
    return [key for key in _PERSON_FACTS if key in given], [key for key in _SUBSCRIPTION_FACTS if key in given]


def _clipped(told: Mapping[str, Value]) -> dict[str, Value]:
    """The facts with texts cut to what CleverTap takes."""
    return {key: clip_text(value) if isinstance(value, str) else value for key, value in told.items()}
