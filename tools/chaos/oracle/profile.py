"""The profile of one person: every property of the contract, from all that the person's events say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from .policy import Policy
from .reading import BOUGHT, GIVEN_BACK, MOVED_AWAY, RECEIVED, Event, last
from .subscriptions import Subscription, described, subscriptions

type Properties = dict[str, Any]

NONE = "NONE"
_TEXTS = (
    "product",
    "plan",
    "previous_plan",
    "store",
    "store_country",
    "store_product_id",
    "offer_type",
    "content_id",
    "presentation",
    "placement",
    "audience",
    "ab_test",
    "ab_test_variant",
    "channel",
)
_DATES = {
    "subscription_started_at": "original_purchased_at",
    "purchased_at": "purchased_at",
    "effective_next_renewal_at": "effective_next_renewal_at",
    "grace_period_expires_at": "grace_period_expires_at",
    "auto_resume_at": "auto_resume_at",
    "commitment_ends_at": "commitment_ends_at",
}


def profile(
    learned: Sequence[Event], sent: Sequence[Event], policy: Policy, now: int | None
) -> tuple[Properties, dict[str, frozenset[str]]]:
    """The properties, and the dates that may be there or not: those of a subscription that was described before.

    `learned` are the events that say something of the person, `sent` those whose records CleverTap gets.
    """
    known = subscriptions(learned, policy.lapse_after_hours, now)
    properties = _of_the_person(learned, sent) | _of_purchases(learned, known) | _of_all(known)
    shown = described(known)
    if shown is not None:
        properties |= _of(shown, known)
    properties = {key: value for key, value in properties.items() if value is not None}
    may_stay = {key: values for key in _DATES if key not in properties and (values := _dates_of(known, key))}

    def named[T](values: Mapping[str, T]) -> dict[str, T]:
        kept = {key: value for key, value in values.items() if key not in policy.profile_omits}
        return {policy.profile_names.get(key, f"{policy.prefix}{key}"): value for key, value in kept.items()}

    return named(properties), named(may_stay)


def _of_the_person(learned: Sequence[Event], sent: Sequence[Event]) -> Properties:
    properties: Properties = {
        key: last((event, event.text(key)) for event in learned)
        for key in ("user_id", "anonymous_user_id", "environment")
    }
    revenues = [(event, event.money("cumulated_revenues")) for event in learned]
    properties["lifetime_revenue"] = last(revenues)
    properties["lifetime_revenue_currency"] = last(
        (event, (event.currency or "").upper() or None) for event, revenue in revenues if revenue is not None
    )
    properties["last_event"] = last((event, event.name) for event in sent)
    properties["last_event_at"] = last((event, _date(event.at)) for event in sent)
    return properties


def _of_purchases(learned: Sequence[Event], known: Sequence[Subscription]) -> Properties:
    bought = [event for event in learned if event.name == BOUGHT or event.name == "ONE_TIME_PURCHASE_RECEIVED"]
    properties: Properties = {
        "last_one_time_purchase": last((event, event.text("plan") or event.text("product")) for event in bought)
    }
    said: dict[tuple[str, str], list[tuple[Event, bool]]] = {}
    for event in learned:
        kind, product = event.text("purchase_type"), event.text("product")
        if (
            kind == "NON_CONSUMABLE"
            and product is not None
            and event.name in {BOUGHT, GIVEN_BACK} | RECEIVED | MOVED_AWAY
        ):
            purchase = event.text("store_transaction_id") or event.text("purchasely_one_time_purchase_id") or product
            owns = event.name == BOUGHT or event.name in RECEIVED
            said.setdefault((product, purchase), []).append((event, owns))
    owned = {product for (product, _), words in said.items() if last(words)}
    if said:
        properties["owned_products"] = ", ".join(sorted(owned)) or NONE
    if said or known:
        properties["has_access"] = bool(owned) or any(each.is_active for each in known)
    return properties


def _of_all(known: Sequence[Subscription]) -> Properties:
    if not known:
        return {}
    active = [each for each in known if each.is_active]
    plans = {plan for each in active if (plan := each.text("plan")) is not None}
    return {
        "has_active_subscription": bool(active),
        "active_subscriptions": len(active),
        "active_plans": ", ".join(sorted(plans)) or NONE,
    }


def _of(shown: Subscription, known: Sequence[Subscription]) -> Properties:
    """What describes `shown`. A text that only another one has told does not hold: NONE."""
    marks = {
        key for each in known for event in each.events for key in event.facts if key.startswith("attribution_utm_")
    }
    properties: Properties = {
        key: _text(shown, known, partial(Subscription.text, key=key)) for key in (*_TEXTS, *sorted(marks))
    }
    properties["subscription_status"] = _text(shown, known, lambda each: each.status)
    properties["subscriber_state"] = shown.state
    offers = any(each.text("promotional_offer_id") for each in known)
    offered = shown.text("promotional_offer_id") if shown.text("offer_type") == "PROMOTIONAL_OFFER" else None
    properties["promotional_offer_id"] = offered or (NONE if offers else None)
    if any("is_family_shared" in event.facts for each in known for event in each.events):
        properties["is_family_shared"] = shown.is_shared
    for name, key in _DATES.items():
        date = shown.date(key)
        properties[name] = None if date is None else _date(date)
    return properties


def _text(shown: Subscription, known: Iterable[Subscription], of: Callable[[Subscription], str | None]) -> str | None:
    return of(shown) or (NONE if any(of(each) for each in known) else None)


def _dates_of(known: Iterable[Subscription], name: str) -> frozenset[str]:
    dates = (event.date(_DATES[name]) for each in known for event in each.events)
    return frozenset(_date(date) for date in dates if date is not None)


def _date(milliseconds: int) -> str:
    return f"$D_{milliseconds // 1000}"
