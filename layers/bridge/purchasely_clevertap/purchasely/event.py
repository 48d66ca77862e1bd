"""A Purchasely event: the v3 webhook payload, and how a body becomes one.

The keys are those of docs.purchasely.com, server-events-attributes. A key that does not apply is absent or null;
new keys and event names may appear at any time and are kept.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import itemgetter
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, TypedDict, get_type_hints

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from purchasely_clevertap.purchasely import event_id as event_ids
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.version_2 import upgraded

_STORES: Final = {"AMAZON_APP_STORE": "AMAZON_APPSTORE", "HUAWEI_APP_GALLERY": "HUAWEI_APPGALLERY"}
_STATUSES: Final = dict.fromkeys(("AUTO_RENEWING_CANCELLED", "CANCELED", "CANCELLED"), "AUTO_RENEWING_CANCELED")
_ENVIRONMENTS: Final = ("PRODUCTION", "SANDBOX")

# From the first whole second, as CleverTap takes no 0, to the year 2200: what is beyond is not in milliseconds.
EARLIEST_MS: Final = 1000
LATEST_MS: Final = 7_258_118_400_000
# No event has a longer name, and what is remembered and logged of one stays small.
_NAME_CHARACTERS: Final = 512

TRANSACTION: Final = "TRANSACTION_PROCESSED"
_IN_CURRENCY = re.compile(r"(amount|plan_price|cumulated_revenues)_in_([a-z]{3})").fullmatch
_AMOUNT = re.compile(r"amount_in_([a-z]{3}|customer_currency)").fullmatch
_NUMERIC: Final = frozenset({float, int, str})
_DIGITS_OF_SECONDS: Final = 10
_EPOCH_TIME = re.compile(r"[0-9]{10}|[0-9]{13}").fullmatch
_CURRENCY = re.compile(r"[A-Za-z]{3}").fullmatch
_NEEDED: Final = frozenset({"api_version", "event_id", "event_name", "environment"})
_SHOWN: Final = 100  # characters of a wrong value that a message repeats

Amount = Annotated[float, Field(strict=True)]
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what every reader of JSON can take


@with_config(ConfigDict(extra="allow", coerce_numbers_to_str=True))
class Payload(TypedDict, total=False):
    """The documented keys. Dates are ISO 8601; their `_ms` twins are epoch milliseconds."""

    api_version: Integer
    event_name: str
    event_id: str
    event_created_at: str
    event_created_at_ms: Integer
    environment: str

    user_id: str
    anonymous_user_id: str
    clevertap_id: str
    device_id: str
    device_type: str

    store: str
    store_app_bundle_id: str
    store_product_id: str
    store_country: str
    store_transaction_id: str
    store_original_transaction_id: str
    purchase_token: str
    purchase_type: str
    product: str
    plan: str
    previous_plan: str
    content_id: str
    purchasely_subscription_id: str
    from_purchasely_subscription_id: str
    purchasely_one_time_purchase_id: str

    purchased_at: str
    purchased_at_ms: Integer
    original_purchased_at: str
    original_purchased_at_ms: Integer
    next_renewal_at: str
    next_renewal_at_ms: Integer
    effective_next_renewal_at: str
    effective_next_renewal_at_ms: Integer
    grace_period_expires_at: str
    grace_period_expires_at_ms: Integer
    defer_end_at: str
    defer_end_at_ms: Integer
    auto_resume_at: str
    auto_resume_at_ms: Integer

    subscription_status: str
    offer_type: str
    previous_offer_type: str
    offer_identifier: str
    offer_code_ref_name: str
    promotional_offer_id: str
    is_family_shared: bool

    customer_currency: str
    plan_price_in_customer_currency: Amount
    amount_in_customer_currency: Amount
    source_event_name: str

    presentation: str
    placement: str
    audience: str
    ab_test: str
    ab_test_variant: str

    transferred_from_user_id: str
    transferred_from_anonymous_user_id: str
    transferred_to_user_id: str
    transferred_to_anonymous_user_id: str


KEYS: Final[Mapping[str, type]] = get_type_hints(Payload)
"""The documented keys, each with the type of its value."""

DATES: Final = tuple(key for key in KEYS if f"{key}_ms" in KEYS)


class Money(NamedTuple):
    """An amount in the currency's own unit (9.99, not 999) and its ISO 4217 code in upper case."""

    amount: float
    currency: str


type Kind = Literal["amount", "plan_price", "cumulated_revenues"]


class Shape:
    """What all payloads have in common that have the same keys with values of the same types.

    An app has some dozens of shapes, and what follows from one is worked out once. To read and map an event takes two
    thirds of the time that it took with a look at every key and value (1.02 and 1.5 times the trip through `json`).

    `types` are the types of the values; `texts` picks those that are text, of an event that has a name. `is_plain` says
    that the documented keys have values of their documented types, and that those are there which every event needs.
    `amounts` are the keys of what was paid; `money` has the keys of each kind of amount in the default currency of
    Purchasely's console, with that currency.
    """

    __slots__ = ("amounts", "is_plain", "money", "texts", "types")

    def __init__(self, types: Mapping[str, type]) -> None:
        self.types = types
        given = {key: kind for key, kind in types.items() if kind is not NoneType}
        self.is_plain = given.keys() >= _NEEDED and all(
            _is_of(kind, KEYS.get(key, kind)) for key, kind in given.items()
        )
        texts = [key for key, kind in given.items() if kind is str]
        # The name twice: of a single key, itemgetter would make no tuple.
        self.texts: Callable[[Mapping[str, Any]], tuple[str, ...]] = itemgetter("event_name", *texts)
        self.amounts = tuple(key for key in given if _AMOUNT(key))
        self.money: dict[str, list[tuple[str, str]]] = {}
        for key in given:
            if found := money_key(key):
                self.money.setdefault(found[0], []).append((key, found[1]))


def _is_of(kind: type, expected: type) -> bool:
    return kind is expected or (kind is int and expected is float)


@lru_cache(1000)
def _shape(keys: tuple[str, ...], types: tuple[type, ...]) -> Shape:
    return Shape(dict(zip(keys, types, strict=True)))


class Event(NamedTuple):
    """One server event. `created_ms` is when Purchasely first sent it, in epoch milliseconds; unchanged on retries.

    `payload` has the documented keys with values as documented, `values` all there is: documented keys whose values
    could not be read as documented have them as they came. `longest` is the number of characters of the longest text.
    """

    event_id: str
    event_name: str
    created_ms: int
    payload: Payload
    values: Mapping[str, Any]
    shape: Shape
    longest: int

    def __repr__(self) -> str:
        return f"Event({self.event_id!r}, {self.event_name!r})"  # nothing personal

    @property
    def is_known(self) -> bool:
        """Whether the catalogue has the event's name."""
        return self.event_name in CATALOGUE

    def moment(self, key: str) -> int | None:
        """The date `key` in epoch milliseconds, from its `_ms` twin if there is one."""
        return _moment(self.values, key)

    def money(self, kind: Kind) -> Money | None:
        """`{kind}_in_xxx`, in the default currency of Purchasely's console, whatever that is."""
        for key, currency in self.shape.money.get(kind, ()):
            if (amount := number(self.values[key])) is not None:
                return Money(amount, currency)
        return None

    def customer_amount(self) -> Money | None:
        """What the customer paid, in the customer's currency; negative for a refund. None without an ISO 4217 code."""
        amount = self.payload.get("amount_in_customer_currency")
        currency = self.payload.get("customer_currency")
        if amount is None or currency is None or not _CURRENCY(currency):
            return None
        return Money(amount, currency.upper())


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that no event can be made of, and for a person what is wrong with it."""

    event_id: str
    detail: str
    event_name: str | None = None


def money_key(key: str) -> tuple[str, str] | None:
    """The kind and the ISO 4217 code of `key`, if it is one of the dynamic keys that end in a currency code."""
    found = _IN_CURRENCY(key)
    return (found[1], found[2].upper()) if found else None


def number(value: object) -> float | None:
    """A finite number that JSON has as a number or, as Purchasely's documentation also says, as text."""
    if type(value) not in _NUMERIC:
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def epoch_ms(text: str) -> int | None:
    """A date of 1970 to 2199 in epoch milliseconds: ISO 8601, or the digits of epoch seconds or milliseconds.

    A date without a time zone is in UTC, as Purchasely's are.
    """
    try:
        if _EPOCH_TIME(text):
            milliseconds = int(text) * (1000 if len(text) == _DIGITS_OF_SECONDS else 1)
        else:
            date = datetime.fromisoformat(text)
            milliseconds = round((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return milliseconds if EARLIEST_MS <= milliseconds < LATEST_MS else None


def read(body: bytes) -> Event | Unreadable:
    """The event in `body`.

    What decides where an event goes, when it was and what it is worth must be right, else it is `Unreadable` and
    says why.
    """
    try:
        payload = orjson.loads(body)
    except ValueError as error:
        return Unreadable(event_ids.event_id(body), f"the body is not JSON: {error}")
    if type(payload) is not dict:
        return Unreadable(event_ids.event_id(body), f"the body is a JSON {type(payload).__name__}, not an object")
    shape = _shape_of(payload)
    if shape.is_plain and payload["api_version"] == 3 and payload["environment"] in _ENVIRONMENTS:
        payload["event_id"] = event_id = event_ids.of(payload["event_id"], body)
        values = payload
    else:
        event_id = event_ids.of(payload.get("event_id"), body)
        payload, aside = _mended(payload)
        payload["event_id"] = event_id
        values = aside | payload
        shape = _shape_of(values)
    if payload.get("store") in _STORES:
        payload["store"] = values["store"] = _STORES[payload["store"]]
    if payload.get("subscription_status") in _STATUSES:
        payload["subscription_status"] = values["subscription_status"] = _STATUSES[payload["subscription_status"]]
    return _event(event_id, payload, values, shape)


def _shape_of(values: Mapping[str, Any]) -> Shape:
    return _shape(tuple(values), tuple(map(type, values.values())))


def _event(event_id: str, payload: Payload, values: Mapping[str, Any], shape: Shape) -> Event | Unreadable:
    name: Any = values.get("event_name")
    created_ms = _moment(values, "event_created_at")
    if (
        type(name) is str
        and 0 < len(name) <= _NAME_CHARACTERS
        and values.get("environment") in _ENVIRONMENTS
        and created_ms is not None
        and (name != TRANSACTION or None not in [number(values[key]) for key in shape.amounts])
    ):
        return Event(event_id, name, created_ms, payload, values, shape, max(map(len, shape.texts(values))))
    detail = "; ".join(
        f"{key} is {repr(values[key])[:_SHOWN] if key in values else 'missing'}; allowed: {allowed}"
        for key, allowed in _problems(values, shape)
    )
    return Unreadable(event_id, detail, name[:_NAME_CHARACTERS] if type(name) is str else None)


def _problems(values: Mapping[str, Any], shape: Shape) -> Iterator[tuple[str, str]]:
    """The keys that keep a payload from being an event, and what is allowed for each."""
    name: Any = values.get("event_name")
    is_placed = True
    if type(name) is not str or not 0 < len(name) <= _NAME_CHARACTERS:
        is_placed = False
        yield "event_name", f"text of 1 to {_NAME_CHARACTERS} characters"
    if values.get("environment") not in _ENVIRONMENTS:
        is_placed = False
        yield "environment", "SANDBOX or PRODUCTION"
    if is_placed and _moment(values, "event_created_at") is None:
        key = "event_created_at_ms" if values.get("event_created_at_ms") is not None else "event_created_at"
        yield key, "an ISO 8601 date from 1970 to 2199, or its epoch milliseconds as event_created_at_ms"
    elif is_placed:
        yield next(key for key in shape.amounts if number(values[key]) is None), "a number"


def _mended(payload: dict[str, Any]) -> tuple[Payload, dict[str, Any]]:
    """`payload` flat and with its values as documented, wherever they are known to be written otherwise; and the rest.

    The rest are documented keys whose values cannot be read as documented.
    """
    if payload.get("api_version") != 3:
        payload = upgraded(payload)
    given = {key: _respelled(key, value) for key, value in payload.items()}
    try:
        return _schema().validate_python(given), {}
    except ValidationError as error:
        aside = {str(problem["loc"][0]) for problem in error.errors(include_url=False)}
    mended = _schema().validate_python({key: value for key, value in given.items() if key not in aside})
    return mended, {key: value for key, value in payload.items() if key in aside}


@cache  # most workers never need it
def _schema() -> TypeAdapter[Payload]:
    return TypeAdapter(Payload)


def _respelled(key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if key == "environment":
        return value.upper() if value.upper() in _ENVIRONMENTS else value
    if KEYS.get(key) is float:
        found = number(value)
        return value if found is None else found
    return value


def _moment(payload: Mapping[str, Any], key: str) -> int | None:
    milliseconds = payload.get(key + "_ms")
    if type(milliseconds) is int and EARLIEST_MS <= milliseconds < LATEST_MS:
        return milliseconds
    text = payload.get(key)
    return epoch_ms(text) if type(text) is str else None
