"""A Purchasely event: the v3 webhook payload, typed, and how a body becomes one.

The keys are those of docs.purchasely.com, server-events-attributes. A key that does not apply is absent; new
keys and event names may appear at any time and are kept.
"""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from . import event_id as event_ids
from .catalogue import CATALOGUE
from .legacy import upgraded

_STORES = {"AMAZON_APP_STORE": "AMAZON_APPSTORE", "HUAWEI_APP_GALLERY": "HUAWEI_APPGALLERY"}
_STATUSES = {"AUTO_RENEWING_CANCELLED": "AUTO_RENEWING_CANCELED", "CANCELED": "AUTO_RENEWING_CANCELED"}
_STATUSES["CANCELLED"] = _STATUSES["CANCELED"]

# From the first whole second, as CleverTap takes no 0, to the year 2200: what is beyond is not in milliseconds.
_EARLIEST_MS, _LATEST_MS = 1000, 7_258_118_400_000
_EPOCH, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# No event has a longer name, and what is remembered and logged of one stays small.
_NAME_CHARACTERS = 512


# Strict, so that a well-formed payload is checked without a line of Python; `_mended` helps the others.
Amount = Annotated[float, Field(strict=True)]
Date = Annotated[AwareDatetime, Field(ge=_EPOCH + timedelta(milliseconds=_EARLIEST_MS), lt=_END)]
Milliseconds = Annotated[int, Field(ge=_EARLIEST_MS, lt=_LATEST_MS)]

TRANSACTION = "TRANSACTION_PROCESSED"
# The same few keys stand in every event of an app.
_IN_CURRENCY = lru_cache(1024)(re.compile(r"(amount|plan_price|cumulated_revenues)_in_([a-z]{3})").fullmatch)
_AMOUNT = re.compile(r"amount_in_([a-z]{3}|customer_currency)").fullmatch
_CURRENCY = re.compile(r"[A-Za-z]{3}").fullmatch
_NEEDED = {"event_name": f"text of 1 to {_NAME_CHARACTERS} characters", "environment": "SANDBOX or PRODUCTION"}
_SHOWN = 100  # characters of a wrong value that a message repeats


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency's own unit (9.99, not 999) and its ISO 4217 code in upper case."""

    amount: float
    currency: str


class Event(BaseModel):
    """One server event. Dates are aware; the `_ms` twins are epoch milliseconds.

    `extra` holds every key not named here, as JSON has it, among them the keys that end in the console's default
    currency (read those with `money`) and the known keys whose value has an unexpected type.
    """

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)

    api_version: Annotated[int, Field(ge=1, lt=1000)] = 3
    event_name: Annotated[str, Field(min_length=1, max_length=_NAME_CHARACTERS)]
    event_id: Annotated[str, Field(strict=True, pattern=event_ids.PATTERN)]
    event_created_at: Date | None = None
    event_created_at_ms: Milliseconds | None = None
    environment: Literal["SANDBOX", "PRODUCTION"]

    user_id: str | None = None
    anonymous_user_id: str | None = None
    clevertap_id: str | None = None
    device_id: str | None = None
    device_type: str | None = None

    store: str | None = None
    store_app_bundle_id: str | None = None
    store_product_id: str | None = None
    store_country: str | None = None
    store_transaction_id: str | None = None
    store_original_transaction_id: str | None = None
    purchase_token: str | None = None
    purchase_type: str | None = None
    product: str | None = None
    plan: str | None = None
    previous_plan: str | None = None
    content_id: str | None = None
    purchasely_subscription_id: str | None = None
    from_purchasely_subscription_id: str | None = None
    purchasely_one_time_purchase_id: str | None = None

    purchased_at: Date | None = None
    purchased_at_ms: Milliseconds | None = None
    original_purchased_at: Date | None = None
    original_purchased_at_ms: Milliseconds | None = None
    next_renewal_at: Date | None = None
    next_renewal_at_ms: Milliseconds | None = None
    effective_next_renewal_at: Date | None = None
    effective_next_renewal_at_ms: Milliseconds | None = None
    grace_period_expires_at: Date | None = None
    grace_period_expires_at_ms: Milliseconds | None = None
    defer_end_at: Date | None = None
    defer_end_at_ms: Milliseconds | None = None
    auto_resume_at: Date | None = None
    auto_resume_at_ms: Milliseconds | None = None

    subscription_status: str | None = None
    offer_type: str | None = None
    previous_offer_type: str | None = None
    offer_identifier: str | None = None
    offer_code_ref_name: str | None = None
    promotional_offer_id: str | None = None
    is_family_shared: bool | None = None

    customer_currency: str | None = None
    plan_price_in_customer_currency: Amount | None = None
    amount_in_customer_currency: Amount | None = None
    source_event_name: str | None = None

    presentation: str | None = None
    placement: str | None = None
    audience: str | None = None
    ab_test: str | None = None
    ab_test_variant: str | None = None

    transferred_from_user_id: str | None = None
    transferred_from_anonymous_user_id: str | None = None
    transferred_to_user_id: str | None = None
    transferred_to_anonymous_user_id: str | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """The unknown keys."""
        return {} if self.__pydantic_extra__ is None else self.__pydantic_extra__

    @property
    def is_known(self) -> bool:
        """Whether the catalogue has the event's name."""
        return self.event_name in CATALOGUE

    @property
    def created_ms(self) -> int:
        """When Purchasely first sent the event; unchanged on its retries."""
        created = self.event_created_at_ms or self.moment("event_created_at")
        if created is None:  # `read` lets no such event through
            raise ValueError("an event needs event_created_at or event_created_at_ms")
        return created

    def moment(self, key: str) -> int | None:
        """The date `key` in epoch milliseconds, from its `_ms` twin if there is one."""
        values = self.__dict__
        milliseconds: int | None = values[key + "_ms"]
        if milliseconds is None and (date := values[key]) is not None:
            since: timedelta = date - _EPOCH
            return since // timedelta(milliseconds=1)
        return milliseconds

    def money(self, kind: Literal["amount", "plan_price", "cumulated_revenues"]) -> Money | None:
        """`{kind}_in_xxx`, in the default currency of Purchasely's console, whatever that is."""
        for key, value in self.extra.items():
            found = _IN_CURRENCY(key)
            if found is not None and found[1] == kind and (amount := number(value)) is not None:
                return Money(amount, found[2].upper())
        return None

    def unreadable_amount(self) -> str | None:
        """The first key `amount_in_…` of a currency whose value is no number. Null is as good as absent."""
        for key, value in self.extra.items():
            if value is not None and _AMOUNT(key) and number(value) is None:
                return key
        return None

    def customer_amount(self) -> Money | None:
        """What the customer paid, in the customer's currency; negative for a refund. None without an ISO 4217 code."""
        if self.amount_in_customer_currency is None or not _CURRENCY(self.customer_currency or ""):
            return None
        return Money(self.amount_in_customer_currency, str(self.customer_currency).upper())


DATES = tuple(key for key, field in Event.model_fields.items() if field.annotation == Date | None)
_AMOUNTS = frozenset(key for key, field in Event.model_fields.items() if field.annotation == Amount | None)
MILLISECONDS = frozenset(f"{key}_ms" for key in DATES)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that no event can be made of, and for a person what is wrong with it."""

    event_id: str
    detail: str
    event_name: str | None = None


def is_in_currency(key: str) -> bool:
    """Whether `key` is one of the dynamic keys that end in a currency code."""
    return _IN_CURRENCY(key) is not None


def number(value: object) -> float | None:
    """A finite number that JSON has as a number or, as Purchasely's documentation also says, as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def read(body: bytes) -> Event | Unreadable:
    """The event in `body`.

    What decides where an event goes, when it was and what it is worth must be right, else it is `Unreadable` and
    says why. A known key with a value of an unexpected type is kept among the unknown ones instead.
    """
    try:
        event = Event.model_validate_json(body)
    except ValidationError:
        return _read_with_care(body)
    return _checked(event)


def _read_with_care(body: bytes) -> Event | Unreadable:
    """As `read`, for a body that is not plainly an event of version 3."""
    try:
        payload = orjson.loads(body)
    except ValueError as error:
        return Unreadable(event_ids.event_id(body), f"the body is not JSON: {error}")
    if not isinstance(payload, dict):
        return Unreadable(event_ids.event_id(body), f"the body is a JSON {type(payload).__name__}, not an object")
    event_id = event_ids.of(payload.get("event_id"), body)
    if payload.get("api_version") != 3:
        payload = upgraded(payload)
    mended = {key: _mended(key, value) for key, value in payload.items()} | {"event_id": event_id}
    aside: dict[str, object] = {}
    try:
        event = Event.model_validate(mended)
    except ValidationError as error:
        unexpected = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors(include_url=False))
        if needed := [key for key in _NEEDED if key in unexpected]:
            name = payload.get("event_name")
            return Unreadable(
                event_id,
                "; ".join(f"{key} is {_found(payload, key)}; allowed: {_NEEDED[key]}" for key in needed),
                name[:_NAME_CHARACTERS] if isinstance(name, str) else None,
            )
        aside = {key: payload[key] for key in unexpected}
        event = Event.model_validate({key: value for key, value in mended.items() if key not in unexpected})
    event.extra.update((key, value) for key, value in aside.items() if value is not None)
    return _checked(event)


def _mended(key: str, value: Any) -> Any:
    """`value` as the model wants it, where Purchasely or its documentation is known to write it otherwise."""
    if not isinstance(value, str):
        return value
    if key == "environment":
        return value.upper()
    if key in _AMOUNTS:
        found = number(value)
        return value if found is None else found
    if key in DATES:
        with suppress(ValueError):
            date = datetime.fromisoformat(value)
            return date.replace(tzinfo=UTC) if date.tzinfo is None else date  # Purchasely's are in UTC
    return value


def _checked(event: Event) -> Event | Unreadable:
    if event.event_created_at_ms is None and event.event_created_at is None:
        key = "event_created_at_ms" if "event_created_at_ms" in event.extra else "event_created_at"
        allowed = "an ISO 8601 date from 1970 to 2199, or its epoch milliseconds as event_created_at_ms"
    elif event.event_name == TRANSACTION and (wrong := event.unreadable_amount()):
        key, allowed = wrong, "a number"
    elif event.store in _STORES or event.subscription_status in _STATUSES:
        store, status = event.store, event.subscription_status
        spelling = {
            "store": _STORES.get(store or "", store),
            "subscription_status": _STATUSES.get(status or "", status),
        }
        return event.model_copy(update=spelling)
    else:
        return event
    return Unreadable(event.event_id, f"{key} is {_found(event.extra, key)}; allowed: {allowed}", event.event_name)


def _found(values: Mapping[str, object], key: str) -> str:
    return repr(values[key])[:_SHOWN] if key in values else "missing"
