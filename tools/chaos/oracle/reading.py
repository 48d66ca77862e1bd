"""Reading: what one webhook says, in the documented spelling, each value only if it is one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .policy import ENTITLEMENTS

type Payload = Mapping[str, Any]

DAY = 86_400_000
PAYMENT = "TRANSACTION_PROCESSED"
BOUGHT, GIVEN_BACK = "ONE_TIME_PURCHASE_ACTIVATED", "ONE_TIME_PURCHASE_DEACTIVATED"
MOVED_AWAY = {"SUBSCRIPTION_TRANSFERRED", "ONE_TIME_PURCHASE_TRANSFERRED"}
RECEIVED = {"SUBSCRIPTION_RECEIVED", "ONE_TIME_PURCHASE_RECEIVED"}
ACTIVE = {"AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD"}

_ONE_TIME = {"CONSUMABLE", "NON_CONSUMABLE", "NON_RENEWING_SUBSCRIPTION"}
_OFFERS = ("TRIAL", "INTRO_OFFER", "PROMO_CODE", "PROMOTIONAL_OFFER")
_OFFER_EVENTS = {f"{offer}_{end}" for offer in _OFFERS for end in ("STARTED", "CONVERTED", "NOT_CONVERTED")}
# The status that an ending event implies, and that wins over an active one told with it.
_ENDINGS = {
    "DEACTIVATE": "DEACTIVATED",
    GIVEN_BACK: "DEACTIVATED",
    "SUBSCRIPTION_TERMINATED": "DEACTIVATED",
    "SUBSCRIPTION_EXPIRED": "DEACTIVATED",
    "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD": "DEACTIVATED",
    "SUBSCRIPTION_CANCELLED_DURING_PAUSE": "DEACTIVATED",
    "SUBSCRIPTION_REFUNDED_REVOKED": "REVOKED",
    "FAMILY_SHARED_REVOKED": "DEACTIVATED",
    "GRACE_PERIOD_TERMINATED": "DEACTIVATED",
    "ENTERED_BILLING_RETRY": "ON_HOLD",
    "SUBSCRIPTION_PAUSED": "PAUSED",
} | {f"{offer}_NOT_CONVERTED": "DEACTIVATED" for offer in _OFFERS}
# The status that the name of any other known event implies, when none is told.
_GOING_ON = {
    "ACTIVATE",
    BOUGHT,
    "RENEWAL_ENABLED",
    "INSTALLMENT_PAID",
    "INSTALLMENT_REFUNDED",
    "SUBSCRIPTION_CROSSGRADED",
    "SUBSCRIPTION_DEFERRED",
    "SUBSCRIPTION_DOWNGRADED",
    "SUBSCRIPTION_REACTIVATED",
    "SUBSCRIPTION_RECEIVED",
    "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY",
    "SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD",
    "SUBSCRIPTION_RENEWED",
    "SUBSCRIPTION_STARTED",
    "SUBSCRIPTION_UNPAUSED",
    "SUBSCRIPTION_UPGRADED",
    "SUBSCRIPTION_WILL_NOT_PAUSE",
    "SUBSCRIPTION_WILL_PAUSE",
} | {f"{offer}_{end}" for offer in _OFFERS for end in ("STARTED", "CONVERTED")}
_IMPLIED = (
    dict.fromkeys(_GOING_ON, "AUTO_RENEWING")
    | {"RENEWAL_DISABLED": "AUTO_RENEWING_CANCELED", "GRACE_PERIOD_STARTED": "IN_GRACE_PERIOD"}
    | _ENDINGS
)
_DOCUMENTED = {
    "subscription_status": {*ACTIVE, "ON_HOLD", "PAUSED", "DEACTIVATED", "REVOKED", "UNPAID"},
    "environment": {"PRODUCTION", "SANDBOX"},
    "purchase_type": {*_ONE_TIME, "RENEWING_SUBSCRIPTION"},
    "store": {"APPLE_APP_STORE", "GOOGLE_PLAY_STORE", "AMAZON_APPSTORE", "HUAWEI_APPGALLERY", "STRIPE"},
}
_ALSO_SEEN = {
    "AMAZON_APP_STORE": "AMAZON_APPSTORE",
    "HUAWEI_APP_GALLERY": "HUAWEI_APPGALLERY",
    "AUTO_RENEWING_CANCELLED": "AUTO_RENEWING_CANCELED",
    "CANCELLED": "AUTO_RENEWING_CANCELED",
    "CANCELED": "AUTO_RENEWING_CANCELED",
}
_NO_IDS = {
    "null",
    "undefined",
    "none",
    "nil",
    "nan",
    "0",
    "-1",
    "(null)",
    "[object object]",
    "anonymous",
    "guest",
    "unknown",
    "00000000-0000-0000-0000-000000000000",
}
_EARLIEST = 1_199_145_600_000  # 2008, when the App Store opened
_FIFTY_YEARS = 50 * 365 * DAY
_SKEW = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Event:
    """One readable event. `at` is its moment in epoch milliseconds; `received` the moment of its first receipt."""

    app: str
    id: str
    name: str
    at: int
    received: int
    facts: Payload

    @property
    def rank(self) -> tuple[int, int]:
        """Of two events the one with the greater rank has the last word."""
        if self.name in MOVED_AWAY:
            weight = 4
        elif self.name in ENTITLEMENTS or self.name in (BOUGHT, GIVEN_BACK):
            weight = 0
        elif self.name == PAYMENT:
            weight = 1
        else:
            weight = 2 if self.name in _OFFER_EVENTS else 3
        return self.at, weight

    def text(self, key: str) -> str | None:
        """A fact as text; None if the webhook does not tell it."""
        value = self.facts.get(key)
        return value if isinstance(value, str) else None

    @property
    def user(self) -> str | None:
        """The user id, to the letter."""
        return self.text("user_id")

    @property
    def visitor(self) -> str | None:
        """The anonymous id of an event that has no user id."""
        return None if self.user is not None else self.text("anonymous_user_id")

    @property
    def is_login(self) -> bool:
        """An anonymous user turns out to be a known one: no transfer of anything between two people."""
        to = self.text("transferred_to_user_id")
        return self.name in MOVED_AWAY and self.visitor is not None and to is not None and is_id(to)

    @property
    def status(self) -> str | None:
        """The status that the event tells or implies; None if it says nothing of it."""
        told = self.text("subscription_status")
        if told is not None and not (told in ACTIVE and self.name in _ENDINGS):
            return told if told in ACTIVE or self.name != "INSTALLMENT_REFUNDED" else None
        return _IMPLIED.get(self.name)

    @property
    def currency(self) -> str | None:
        """The console's currency, lower case: the one in which the webhook gives the plan's price."""
        for kind in ("plan_price_in_", "cumulated_revenues_in_", "amount_in_"):
            codes = sorted(key.removeprefix(kind) for key in self.facts if key.startswith(kind))
            if codes := [code for code in codes if len(code) == 3]:
                return codes[0]
        return None

    def money(self, kind: str) -> float | None:
        """`kind` in the console's currency."""
        return number(self.facts.get(f"{kind}_in_{self.currency}"))

    def date(self, key: str) -> int | None:
        """A date in epoch milliseconds: the plausible one of the twins, `_ms` if both are."""
        latest = self.received + _FIFTY_YEARS
        both = (self.facts.get(f"{key}_ms"), _iso(self.facts.get(key)))
        return next((each for each in both if isinstance(each, int) and _EARLIEST <= each <= latest), None)


def read(app: str, payload: Payload, received: int | None) -> Event | None:
    """The event that a webhook tells; None if nothing can be read of it.

    `received` is in epoch milliseconds; None: the moment at which the event was made.
    """
    facts: dict[str, object] = {}
    for key, value in payload.items():
        facts |= _flat(key, value)
    name, event_id = facts.get("event_name"), facts.get("event_id")
    if facts.get("api_version", 3) != 3 or "environment" not in facts or not isinstance(name, str):
        return None
    one_time = facts.get("purchase_type") in _ONE_TIME or "purchasely_one_time_purchase_id" in facts
    if one_time and name in ENTITLEMENTS:
        name = BOUGHT if name == "ACTIVATE" else GIVEN_BACK
    # A date can only be judged from a moment, so the event's own is read as of a late one.
    at = Event(app, "", name, 0, received or 4_000_000_000_000, facts).date("event_created_at")
    if at is None or not isinstance(event_id, str):
        return None
    received = at if received is None else received
    return Event(app, event_id, name, received if at > received + _SKEW else at, received, facts)


def is_id(value: str) -> bool:
    """Whether a user id names anybody."""
    folded = value.strip().lower()
    return folded.isprintable() and folded not in _NO_IDS and folded != "" and not folded.startswith("optional(")


def number(value: object) -> float | None:
    """A number, also one that is told as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def last[T](told: Iterable[tuple[Event, T | None]]) -> T | None:
    """What the event with the last word tells; of one rank the greater text. None if none tells anything."""
    values = [(event.rank, str(value), value) for event, value in told if value is not None]
    return max(values, key=lambda each: each[:2])[2] if values else None


def _flat(key: str, value: object) -> dict[str, object]:
    """The facts under `key`: an object gives one for each of its values that is no object itself."""
    if isinstance(value, Mapping):
        told = {f"{key}_{name}": _value(key, inner) for name, inner in value.items() if not isinstance(inner, Mapping)}
    else:
        told = {key: _value(key, value)}
    return {name: each for name, each in told.items() if each is not None}


def _value(key: str, value: object) -> object:
    if not isinstance(value, str) or key in ("user_id", "anonymous_user_id"):
        return None if value == "" else value
    text: str | None = value.strip() or None
    if text is not None and key in _DOCUMENTED:
        text = text.upper()
        text = _ALSO_SEEN.get(text, text)
        if key == "subscription_status" and text not in _DOCUMENTED[key]:
            text = None
    return text


def _iso(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    text = value.strip().upper().removesuffix(" UTC").removesuffix("UTC")
    whole = re.sub(r"(:\d\d):60", r"\1:59", text)  # a leap second
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return int(moment.timestamp() * 1000) + (1000 if whole != text else 0)
