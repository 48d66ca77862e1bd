"""What CleverTap must have of Purchasely's events, worked out from the events alone and from what both sides document.

It shares no code with the bridge, and knows the default settings only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from purchasely_sender import Payload

ACTIVE = ("AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD")

type Properties = Mapping[str, Any]


def is_sent(event: Payload) -> bool:
    """Whether CleverTap gets the event: the entitlement events double the others, and a visitor has no user id."""
    return event["event_name"] not in ("ACTIVATE", "DEACTIVATE") and "user_id" in event


def event_record(event: Payload) -> Properties:
    """The record of the event itself."""
    return {
        "type": "event",
        "evtName": event["event_name"],
        "identity": event["user_id"],
        "ts": event["event_created_at_ms"] // 1000,
        "evtData": {
            "purchasely_device_type" if key == "device_type" else key: _property(event, key)
            for key, value in event.items()
            if value is not None
            and not isinstance(value, list | dict)
            and not key.endswith("_ms")
            and key != "purchase_token"
        },
    }


def charge(event: Payload) -> Properties | None:
    """What stands in the Charged record of the event, among other things; None for what is no payment."""
    if event["event_name"] != "TRANSACTION_PROCESSED" or event["amount_in_customer_currency"] <= 0:
        return None
    return {
        "Amount": event["amount_in_customer_currency"],
        "Currency": event["customer_currency"],
        "Charged ID": event["store_transaction_id"],
        "event_id": event["event_id"],
    }


def profile(events: Sequence[Payload], last_event: str) -> Properties:
    """The profile of a user whose one subscription, or whose one that is active, told these events, in their order.

    `last_event` is the one that says most of those at the end, which share their instant.
    """
    last = [event for event in events if is_sent(event)][-1]
    plans = [event["previous_plan"] for event in events if "previous_plan" in event]
    return {
        **{key: last[key] for key in ("user_id", "environment", "product", "plan", "store", "store_country")},
        **{key: last[key] for key in ("subscription_status", "offer_type", "is_family_shared")},
        **({"previous_plan": plans[-1]} if plans else {}),
        "has_active_subscription": last["subscription_status"] in ACTIVE,
        "subscription_started_at": _property(last, "original_purchased_at"),
        "effective_next_renewal_at": _property(last, "effective_next_renewal_at"),
        "lifetime_revenue": last["cumulated_revenues_in_usd"],
        "lifetime_revenue_currency": "USD",
        "last_event": last_event,
        "last_event_at": _property(last, "event_created_at"),
    }


def _property(event: Payload, key: str) -> Any:
    """The value as CleverTap keeps it: dates as `$D_` and epoch seconds."""
    return f"$D_{event[f'{key}_ms'] // 1000}" if f"{key}_ms" in event else event[key]
