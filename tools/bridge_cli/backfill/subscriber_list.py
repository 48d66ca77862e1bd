"""A plain list of subscribers as events: what each line says of a subscription, as of its date.

A line becomes ACTIVATE or DEACTIVATE, the events that say least: whatever Purchasely tells of the same moment wins.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bridge_cli.backfill.source import Fault, Row, shown
from bridge_cli.times import iso
from purchasely_clevertap.purchasely.event import ACTIVE_STATUSES, STATUSES

COLUMNS: Final[Mapping[str, str]] = {
    "user_id": "user_id",
    "anonymous_user_id": "anonymous_user_id",
    "clevertap_id": "clevertap_id",
    "subscription_id": "purchasely_subscription_id",
    "plan": "plan",
    "product": "product",
    "store": "store",
    "store_country": "store_country",
    "offer_type": "offer_type",
    "environment": "environment",
    "started_at": "original_purchased_at",
    "purchased_at": "purchased_at",
    "renews_at": "effective_next_renewal_at",
    "updated_at": "event_created_at",
}
"""The columns beside `status`, and the webhook's keys that they become."""

_WORDS: Final[Mapping[str, tuple[str, str | None]]] = {
    "trial": ("AUTO_RENEWING", "FREE_TRIAL"),
    "intro_offer": ("AUTO_RENEWING", "INTRO_OFFER"),
    "active": ("AUTO_RENEWING", None),
    "cancelled": ("AUTO_RENEWING_CANCELED", None),
    "grace_period": ("IN_GRACE_PERIOD", None),
    "billing_retry": ("ON_HOLD", None),
    "paused": ("PAUSED", None),
    "expired": ("DEACTIVATED", None),
    "refunded": ("REVOKED", None),
    **{status.lower(): (status, None) for status in STATUSES},
}
"""A subscription's status: the words of the profile's `subscriber_state`, or Purchasely's own."""


def as_event(row: Row, *, as_of: int | None) -> Row:
    """The event that a line of the list stands for. A line without `updated_at` holds `as_of` (epoch milliseconds)."""
    given = row.payload
    if given is None:
        return row
    for column in given:
        if column not in COLUMNS and column != "status":
            return _wrong(row, column, "a column", f"status, {', '.join(COLUMNS)}")
    status = given.get("status")
    word = _WORDS.get(str(status).strip().lower())
    if word is None:
        return _wrong(row, "status", shown(status) if status else "nothing", ", ".join(sorted(_WORDS)))
    if not given.get("subscription_id"):
        return _wrong(row, "subscription_id", "nothing", "what tells the subscription from others")
    if not given.get("updated_at") and as_of is None:
        return _wrong(row, "updated_at", "nothing", "the date of which the line is true, or give --as-of DATE")
    told, offer = word
    payload: dict[str, Any] = {COLUMNS[column]: value for column, value in given.items() if column in COLUMNS}
    payload.setdefault("event_created_at", iso(as_of))
    payload.setdefault("environment", "PRODUCTION")
    if offer is not None:
        payload.setdefault("offer_type", offer)
    payload |= {
        "event_name": "ACTIVATE" if told in ACTIVE_STATUSES else "DEACTIVATE",
        "subscription_status": told,
        "purchase_type": "RENEWING_SUBSCRIPTION",
    }
    return replace(row, payload=payload)


def _wrong(row: Row, column: str, found: str, allowed: str) -> Row:
    return replace(row, payload=None, fault=Fault(column, found, allowed))
