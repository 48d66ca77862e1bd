"""Subscriptions of one person: which events belong together, which are active, which one is described."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .reading import ACTIVE, MOVED_AWAY, PAYMENT, Event, last, number

HOUR = 3_600_000
_NOT_OF_A_STAY = {"DEACTIVATE", "ONE_TIME_PURCHASE_DEACTIVATED", PAYMENT}


@dataclass(frozen=True, slots=True)
class Subscription:
    """What all events about it say together. `replaced` and `moved`: another plan or another person has it now."""

    name: str
    events: Sequence[Event]
    status: str | None
    replaced: bool
    moved: bool

    @property
    def is_active(self) -> bool:
        """Whether it gives access to its person."""
        return self.status in ACTIVE

    @property
    def state(self) -> str | None:
        """`subscriber_state` as it follows from this subscription."""
        if self.moved:
            return "transferred"
        if self.status == "REVOKED":
            return "expired" if self.is_shared else "refunded"
        if self.status == "AUTO_RENEWING":
            return {"FREE_TRIAL": "trial", "INTRO_OFFER": "intro_offer"}.get(self.text("offer_type") or "", "active")
        return {
            "AUTO_RENEWING_CANCELED": "cancelled",
            "IN_GRACE_PERIOD": "grace_period",
            "ON_HOLD": "billing_retry",
            "PAUSED": "paused",
            "DEACTIVATED": "expired",
            "UNPAID": "expired",
        }.get(self.status or "")

    @property
    def is_shared(self) -> bool:
        """Whether the family pays for it."""
        return bool(last((event, _flag(event, "is_family_shared")) for event in self.events))

    @property
    def last_heard_of(self) -> tuple[int, int]:
        """The rank of the last event about it."""
        return max(event.rank for event in self.events)

    def text(self, key: str) -> str | None:
        """A text fact of it."""
        return last((event, event.text(key)) for event in self.events)

    def date(self, key: str) -> int | None:
        """A date of it, in epoch milliseconds."""
        return last((event, event.date(key)) for event in self.events)

    @property
    def preference(self) -> tuple[bool, float, int, str]:
        """The least of the active ones is described: paid, dear, early, whichever."""
        price = last((event, event.money("plan_price")) for event in self.events)
        if price is None:
            price = last((event, number(event.facts.get("plan_price_in_customer_currency"))) for event in self.events)
        return self.is_shared, -(price or 0.0), self.date("original_purchased_at") or 1 << 62, self.name


def subscriptions(
    events: Sequence[Event], lapse_after_hours: Mapping[str, int | None], now: int | None
) -> list[Subscription]:
    """All subscriptions that `events` of one person are about, after a sweep at `now` (None: none has been)."""
    found: dict[str, list[Event]] = {}
    about = [event for event in events if _is_about_one(event)]
    for event in about:
        found.setdefault(_name(event, about), []).append(event)
    return [_subscription(name, of_it, events, lapse_after_hours, now) for name, of_it in found.items()]


def described(known: Sequence[Subscription]) -> Subscription | None:
    """The one that the profile describes; None if none is known."""
    if active := [each for each in known if each.is_active]:
        return min(active, key=lambda each: each.preference)
    candidates = [each for each in known if not each.replaced] or known
    return max(candidates, key=lambda each: (each.last_heard_of, each.name), default=None)


def _is_about_one(event: Event) -> bool:
    kind = event.text("purchase_type")
    one_time = kind in ("CONSUMABLE", "NON_CONSUMABLE") or (
        "purchasely_one_time_purchase_id" in event.facts or event.name.startswith("ONE_TIME_PURCHASE_")
    )
    return kind == "NON_RENEWING_SUBSCRIPTION" or not one_time


def _name(event: Event, about: Iterable[Event]) -> str:
    """Purchasely's name of the subscription; the store's for one that no event names otherwise."""
    own, store = event.text("purchasely_subscription_id"), event.text("store_original_transaction_id")
    if own is not None or store is None:
        return own or event.text("purchasely_one_time_purchase_id") or event.text("product") or ""
    # After a change of plan two subscriptions share the store's name: it then means the one of that time.
    named = [
        (other.at > event.at, abs(other.at - event.at), name)
        for other in about
        if other.text("store_original_transaction_id") == store
        and (name := other.text("purchasely_subscription_id")) is not None
    ]
    return min(named)[2] if named else store


def _subscription(
    name: str,
    of_it: Sequence[Event],
    events: Iterable[Event],
    lapse_after_hours: Mapping[str, int | None],
    now: int | None,
) -> Subscription:
    stays = [(event.rank, "moved" if event.name in MOVED_AWAY else "stays") for event in of_it]
    stays = [each for each, event in zip(stays, of_it, strict=True) if event.name not in _NOT_OF_A_STAY]
    # A change to another plan ends the subscription to the old one.
    stays += [((event.at, 4), "replaced") for event in events if event.text("from_purchasely_subscription_id") == name]
    stay = max(stays)[1] if stays else "stays"
    status = last((event, event.status) for event in of_it)
    told = Subscription(name, of_it, "DEACTIVATED", stay == "replaced", stay == "moved")
    if stay != "stays":
        return told
    lapsed = (
        status in ACTIVE
        and now is not None
        and _is_over(told, status == "AUTO_RENEWING_CANCELED", now, lapse_after_hours)
    )
    return Subscription(name, of_it, "DEACTIVATED" if lapsed else status, replaced=False, moved=False)


def _is_over(told: Subscription, cancelled: bool, now: int, lapse_after_hours: Mapping[str, int | None]) -> bool:
    ends_by_itself = cancelled or told.text("purchase_type") == "NON_RENEWING_SUBSCRIPTION"
    hours = lapse_after_hours["cancelled" if ends_by_itself else "renewing"]
    dates = [told.date("commitment_ends_at"), told.date("effective_next_renewal_at") or told.date("next_renewal_at")]
    end = max((date for date in dates if date is not None), default=None)
    return hours is not None and end is not None and now >= end + hours * HOUR


def _flag(event: Event, key: str) -> bool | None:
    value = event.facts.get(key)
    return value if isinstance(value, bool) else None
