"""The former contract: what must have reached CleverTap, told from the webhooks alone.

This shares no code with the bridge and works in another way: it folds nothing step by step, but looks at all events at
once and asks for each property which of them has the last word. Rules: docs/settings.md (what is sent),
docs/decisions.md (each fact keeps the time of its event), and for events of one millisecond: what ends a subscription's
stay with a user over the lifecycle, that over the offer, that over the money, that over the entitlement; then the
greater text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .oracle import Expected, Record

type Payload = Mapping[str, Any]
type Properties = dict[str, Any]

_ACTIVE = {"AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD"}
_ONE_TIME = {"CONSUMABLE", "NON_CONSUMABLE"}
_MOVED_AWAY = {"SUBSCRIPTION_TRANSFERRED", "ONE_TIME_PURCHASE_TRANSFERRED"}
_ENTITLEMENTS = {"ACTIVATE", "DEACTIVATE"}
_PAYMENT = "TRANSACTION_PROCESSED"
_OFFERS = ("TRIAL", "INTRO_OFFER", "PROMO_CODE", "PROMOTIONAL_OFFER")
_OFFER_EVENTS = {f"{offer}_{end}" for offer in _OFFERS for end in ("STARTED", "CONVERTED", "NOT_CONVERTED")}
_SPELLINGS = {
    "AMAZON_APP_STORE": "AMAZON_APPSTORE",
    "HUAWEI_APP_GALLERY": "HUAWEI_APPGALLERY",
    "AUTO_RENEWING_CANCELLED": "AUTO_RENEWING_CANCELED",
}
_OF_A_SUBSCRIPTION = (
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


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of an app, as far as they decide what is sent, and the accounts that it has."""

    production: str
    sandbox: str
    switched_off: frozenset[str] = frozenset(_ENTITLEMENTS)
    anonymous_is_identity: bool = False
    charged: bool = True


def expect(events: Iterable[tuple[str, Payload]], policies: Mapping[str, Policy]) -> Expected:
    """What follows from `events`, each with its app, in whatever order and however often they come."""
    expected = Expected()
    told: dict[tuple[str, str], dict[str, Payload]] = {}
    for app, event in events:
        policy = policies[app]
        identity = _identity(event, policy)
        sent = identity is not None and event["event_name"] not in policy.switched_off
        expected.outcomes[app, event["event_id"]] = "delivered" if sent else "skipped"
        if identity is None or not sent:
            continue
        account = policy.production if event["environment"] == "PRODUCTION" else policy.sandbox
        told.setdefault((account, identity), {})[event["event_id"]] = event
        at = event["event_created_at_ms"] // 1000
        expected.records[account, event["event_id"], event["event_name"]] = Record(identity, at)
        if policy.charged and (amount := _paid(event)) > 0:
            expected.records[account, event["event_id"], "Charged"] = Record(identity, at, amount)
    for person, of_person in told.items():
        expected.profiles[person] = _profile(list(of_person.values()))
    return expected


def _identity(event: Payload, policy: Policy) -> str | None:
    identity: str | None = event.get("user_id")
    if identity is None and policy.anonymous_is_identity:
        identity = event["anonymous_user_id"]
    return identity


def _paid(event: Payload) -> float:
    return float(event["amount_in_customer_currency"]) if event["event_name"] == _PAYMENT else 0.0


def _profile(events: Sequence[Payload]) -> Properties:
    """The profile of the person that all of `events` are about."""
    properties: Properties = {
        "last_event": _last((event, event["event_name"]) for event in events),
        "last_event_at": _last((event, f"$D_{event['event_created_at_ms'] // 1000}") for event in events),
        "lifetime_revenue": _last(_revenues(events)),
        "lifetime_revenue_currency": _last(
            (event, key[-3:].upper()) for event in events for key in _revenue_keys(event)
        ),
        "last_one_time_purchase": _last((event, event["plan"]) for event in events if _is_kept_purchase(event)),
    }
    for key in ("user_id", "anonymous_user_id", "environment"):
        properties[key] = _last((event, event[key]) for event in events if key in event)
    subscriptions = {event["purchasely_subscription_id"] for event in events if "purchasely_subscription_id" in event}
    held = [each for each in subscriptions if _is_held(each, events)]
    properties["has_active_subscription"] = any(_is_active(each, events) for each in held)
    if held:
        shown = max(held, key=lambda each: (_is_active(each, events), _last_heard_of(each, events), each))
        properties |= _subscription(shown, events)
    return {key: value for key, value in properties.items() if value is not None}


def _subscription(subscription: str, events: Sequence[Payload]) -> Properties:
    about = [event for event in events if event.get("purchasely_subscription_id") == subscription]
    properties: Properties = {
        key: _last((event, _spelled(event[key])) for event in about if event.get(key) is not None)
        for key in _OF_A_SUBSCRIPTION
    }
    for name, key in (
        ("subscription_started_at", "original_purchased_at_ms"),
        ("effective_next_renewal_at", "effective_next_renewal_at_ms"),
    ):
        properties[name] = _last((event, f"$D_{event[key] // 1000}") for event in about if key in event)
    return properties


def _is_held(subscription: str, events: Sequence[Payload]) -> bool:
    said = [
        (_moment(event), event["event_name"] not in _MOVED_AWAY)
        for event in events
        if event.get("purchasely_subscription_id") == subscription
        and event["event_name"] not in ("DEACTIVATE", _PAYMENT)
    ]
    return _last_said([*said, *_replaced(subscription, events)], otherwise=True)


def _is_active(subscription: str, events: Sequence[Payload]) -> bool:
    said = [
        (_moment(event), event["event_name"] != "DEACTIVATE" and _spelled(event["subscription_status"]) in _ACTIVE)
        for event in events
        if event.get("purchasely_subscription_id") == subscription
    ]
    return _last_said([*said, *_replaced(subscription, events)], otherwise=False)


def _replaced(subscription: str, events: Sequence[Payload]) -> Iterator[tuple[tuple[int, int], bool]]:
    """A change to another plan ends the subscription to the old one."""
    for event in events:
        if event.get("from_purchasely_subscription_id") == subscription:
            yield (event["event_created_at_ms"], 4), False


def _last_heard_of(subscription: str, events: Sequence[Payload]) -> int:
    keys = ("purchasely_subscription_id", "from_purchasely_subscription_id")
    return max(int(event["event_created_at_ms"]) for event in events if subscription in map(event.get, keys))


def _last_said(said: Sequence[tuple[tuple[int, int], bool]], *, otherwise: bool) -> bool:
    return max(said)[1] if said else otherwise


def _last(told: Iterable[tuple[Payload, Any]]) -> Any:
    """The value that the last event tells; None if none tells any."""
    values = [(_moment(event), str(value), value) for event, value in told]
    return max(values, key=lambda each: each[:2])[2] if values else None


def _moment(event: Payload) -> tuple[int, int]:
    name = event["event_name"]
    if name in _MOVED_AWAY:
        weight = 4
    elif name in _ENTITLEMENTS:
        weight = 0
    elif name == _PAYMENT:
        weight = 1
    else:
        weight = 2 if name in _OFFER_EVENTS else 3
    return event["event_created_at_ms"], weight


def _revenue_keys(event: Payload) -> list[str]:
    return [key for key in event if key.startswith("cumulated_revenues_in_")]


def _revenues(events: Iterable[Payload]) -> Iterator[tuple[Payload, float]]:
    for event in events:
        for key in _revenue_keys(event):
            yield event, event[key]


def _is_kept_purchase(event: Payload) -> bool:
    return event["purchase_type"] in _ONE_TIME and event["event_name"] not in _MOVED_AWAY | {"DEACTIVATE"}


def _spelled(value: Any) -> Any:
    return _SPELLINGS.get(value, value) if isinstance(value, str) else value
