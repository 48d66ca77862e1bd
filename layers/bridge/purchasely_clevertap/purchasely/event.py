"""A Purchasely event: the v3 webhook payload, and how a body becomes one.

The keys are those of docs.purchasely.com, server-events-attributes. A key that does not apply is absent, null or empty;
new keys and event names may appear at any time and are kept. What is written oddly is read as it is meant; one value
that cannot be read is left out, and never costs the event.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from purchasely_clevertap.purchasely import event_id as event_ids
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.sized_cache import SizedCache, size_of_names

type Value = str | bool | int | float

_DAY_MS: Final = 86_400_000
EARLIEST_MS: Final = 1_199_145_600_000
"""2008, the year of the first app store: no moment of a purchase is before it (a value in seconds is)."""
_AHEAD_MS: Final = 50 * 365 * _DAY_MS
"""A date further ahead than 50 years means "never"."""
_LATEST_MS: Final = 4_102_444_800_000  # 2100, when nobody says when the body was received
AHEAD_TOLERANCE_MS: Final = 5 * 60_000
"""How far the sender's clock may be ahead of ours."""

_NAME_CHARACTERS: Final = 512  # no event has a longer name, and what is kept and logged of one stays small
_SHOWN: Final = 100  # characters of a wrong value that a message repeats

TRANSACTION: Final = "TRANSACTION_PROCESSED"
ACTIVATE: Final = "ACTIVATE"
DEACTIVATE: Final = "DEACTIVATE"
PURCHASE_ACTIVATED: Final = "ONE_TIME_PURCHASE_ACTIVATED"
PURCHASE_DEACTIVATED: Final = "ONE_TIME_PURCHASE_DEACTIVATED"

_ENTITLEMENT: Final = frozenset({ACTIVATE, DEACTIVATE})

VERSION_2: Final = "version 2: choose version 3 in Purchasely's webhook settings"

ACTIVE_STATUSES: Final = frozenset({"AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD"})
STATUSES: Final = ACTIVE_STATUSES | {"ON_HOLD", "PAUSED", "DEACTIVATED", "REVOKED", "UNPAID"}
ONE_TIME_TYPES: Final = frozenset({"CONSUMABLE", "NON_CONSUMABLE", "NON_RENEWING_SUBSCRIPTION"})

# What an event without a status, with an unknown one or with a stale one implies.
_IMPLIED_ENDING: Final[Mapping[str, str]] = {
    "SUBSCRIPTION_TERMINATED": "DEACTIVATED",
    "SUBSCRIPTION_EXPIRED": "DEACTIVATED",
    "SUBSCRIPTION_REFUNDED_REVOKED": "REVOKED",
    "SUBSCRIPTION_PAUSED": "PAUSED",
    "SUBSCRIPTION_CANCELLED_DURING_PAUSE": "DEACTIVATED",
    "GRACE_PERIOD_TERMINATED": "DEACTIVATED",
    "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD": "DEACTIVATED",
    "ENTERED_BILLING_RETRY": "ON_HOLD",
    "FAMILY_SHARED_REVOKED": "DEACTIVATED",
    "TRIAL_NOT_CONVERTED": "DEACTIVATED",
    "INTRO_OFFER_NOT_CONVERTED": "DEACTIVATED",
    "PROMO_CODE_NOT_CONVERTED": "DEACTIVATED",
    "PROMOTIONAL_OFFER_NOT_CONVERTED": "DEACTIVATED",
}
ENVIRONMENTS: Final = ("PRODUCTION", "SANDBOX")
"""Where an event may come from: real purchases, and the stores' test purchases."""
_IMPLIED: Final[Mapping[str, str]] = {
    **_IMPLIED_ENDING,
    DEACTIVATE: "DEACTIVATED",
    "RENEWAL_DISABLED": "AUTO_RENEWING_CANCELED",
    "GRACE_PERIOD_STARTED": "IN_GRACE_PERIOD",
    **dict.fromkeys(
        (
            ACTIVATE,
            "SUBSCRIPTION_STARTED",
            "SUBSCRIPTION_RENEWED",
            "SUBSCRIPTION_REACTIVATED",
            "SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD",
            "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY",
            "SUBSCRIPTION_CROSSGRADED",
            "SUBSCRIPTION_DOWNGRADED",
            "SUBSCRIPTION_UPGRADED",
            "SUBSCRIPTION_UNPAUSED",
            "RENEWAL_ENABLED",
            *(
                f"{offer}_{end}"
                for offer in ("TRIAL", "INTRO_OFFER", "PROMO_CODE", "PROMOTIONAL_OFFER")
                for end in ("STARTED", "CONVERTED")
            ),
        ),
        "AUTO_RENEWING",
    ),
}

USER_IDS: Final = frozenset(
    {
        "user_id",
        "anonymous_user_id",
        "transferred_from_user_id",
        "transferred_from_anonymous_user_id",
        "transferred_to_user_id",
        "transferred_to_anonymous_user_id",
    }
)
"""Keys whose values are kept to the letter: white space may be part of an id."""

DATES: Final = (
    "event_created_at",
    "purchased_at",
    "original_purchased_at",
    "next_renewal_at",
    "effective_next_renewal_at",
    "grace_period_expires_at",
    "defer_end_at",
    "auto_resume_at",
    "commitment_started_at",
    "commitment_ends_at",
)
"""Dates, ISO 8601 text; each may have a twin in epoch milliseconds, the same key with `_ms`."""

TEXTS: Final = (
    "event_name",
    "event_id",
    "environment",
    "clevertap_id",
    "device_id",
    "device_type",
    "store",
    "store_app_bundle_id",
    "store_product_id",
    "store_country",
    "store_transaction_id",
    "store_original_transaction_id",
    "purchase_token",
    "purchase_type",
    "product",
    "plan",
    "previous_plan",
    "content_id",
    "purchasely_subscription_id",
    "from_purchasely_subscription_id",
    "purchasely_one_time_purchase_id",
    "subscription_status",
    "offer_type",
    "previous_offer_type",
    "offer_identifier",
    "offer_code_ref_name",
    "promotional_offer_id",
    "customer_currency",
    "source_event_name",
    "presentation",
    "placement",
    "audience",
    "ab_test",
    "ab_test_variant",
    "channel",
    "provider",
)

KEYS: Final = frozenset(
    {
        "api_version",
        "is_family_shared",
        "attribution",
        "plan_price_in_customer_currency",
        "amount_in_customer_currency",
        *USER_IDS,
        *TEXTS,
        *DATES,
        *(f"{key}_ms" for key in DATES),
    }
)
"""The documented keys, beside those that end in a currency."""

_IN_CURRENCY = re.compile(r"(amount|plan_price|cumulated_revenues)_in_([a-z]{3})").fullmatch
_CURRENCY = re.compile(r"[A-Za-z]{3}").fullmatch
_EPOCH_TIME = re.compile(r"[0-9]{10}|[0-9]{13}").fullmatch
_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")
_LEAP_SECOND = re.compile(r"[^:]*:\d{2}:60").match
_LONG_NUMBER = re.compile(rb"(?<![\w.\-+\"])-?[0-9]{19,}(?![0-9.eE])").search
_NULLABLE: Final = "store_country"  # the one key that is documented to be null
_HALF = re.compile("[\ud800-\udfff]")
_NOT_LETTERS = re.compile(r"[^A-Z0-9]+")


class _Kind(Enum):
    """How the value of a key is read."""

    TEXT = auto()
    ID = auto()
    DATE = auto()
    DATE_MS = auto()
    MONEY = auto()
    FLAG = auto()
    ENUM = auto()
    ANY = auto()


def _spellings(*names: str, **more: str) -> dict[str, str]:
    """How a documented value may be written: its letters alone, in upper case."""
    return {_letters(name): name for name in names} | more


def _letters(text: str) -> str:
    return _NOT_LETTERS.sub("", text.upper())


_ENUMS: Final[Mapping[str, Mapping[str, str]]] = {
    "environment": _spellings(*ENVIRONMENTS, PROD="PRODUCTION"),
    "store": _spellings(
        "APPLE_APP_STORE", "GOOGLE_PLAY_STORE", "AMAZON_APPSTORE", "HUAWEI_APPGALLERY", "STRIPE", "WINDOWS_STORE"
    ),
    "purchase_type": _spellings(*ONE_TIME_TYPES, "RENEWING_SUBSCRIPTION"),
    "subscription_status": _spellings(
        *STATUSES,
        AUTORENEWINGCANCELLED="AUTO_RENEWING_CANCELED",
        CANCELED="AUTO_RENEWING_CANCELED",
        CANCELLED="AUTO_RENEWING_CANCELED",
    ),
    "offer_type": _spellings("NONE", "FREE_TRIAL", "INTRO_OFFER", "PROMO_CODE", "PROMOTIONAL_OFFER"),
}
_KNOWN: Final = {key: frozenset(spellings.values()) for key, spellings in _ENUMS.items()}
_FLAGS: Final[Mapping[object, bool]] = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}

_KINDS: Final[dict[str, _Kind]] = {
    **dict.fromkeys(TEXTS, _Kind.TEXT),
    **dict.fromkeys(USER_IDS, _Kind.ID),
    **dict.fromkeys(DATES, _Kind.DATE),
    **{f"{key}_ms": _Kind.DATE_MS for key in DATES},
    **dict.fromkeys(_ENUMS, _Kind.ENUM),
    "is_family_shared": _Kind.FLAG,
    "plan_price_in_customer_currency": _Kind.MONEY,
    "amount_in_customer_currency": _Kind.MONEY,
}


@dataclass(frozen=True, slots=True, eq=False)
class EventKeys:
    """Which values and dates an event has; `currencies` are the keys of its amounts that end in a currency.

    Many events have the same, and what follows from it is worked out once. So it is compared by identity.
    """

    values: tuple[str, ...]
    dates: tuple[str, ...]
    currencies: tuple[str, ...]


class Money(NamedTuple):
    """An amount in the currency's own unit (9.99, not 999) and its ISO 4217 code in upper case."""

    amount: float
    currency: str


class Event(NamedTuple):
    """One server event.

    `created_ms`: when Purchasely first sent it, in epoch milliseconds; unchanged on retries. `values` are all values
    but dates, flat and as documented; `moments` the dates, in epoch milliseconds; `left_out` the keys whose values
    could not be read. `is_ahead`: the sender's clock was, so `created_ms` is when the webhook was received.
    """

    event_id: str
    event_name: str
    environment: str
    created_ms: int
    values: Mapping[str, Value]
    moments: Mapping[str, int]
    keys: EventKeys
    left_out: tuple[str, ...] = ()
    is_ahead: bool = False

    def __repr__(self) -> str:
        return f"Event({self.event_id!r}, {self.event_name!r})"  # nothing personal

    @property
    def is_known(self) -> bool:
        """Whether the catalogue has the event's name."""
        return self.event_name in CATALOGUE

    @property
    def about(self) -> str:
        """What tells two events of one id apart: their environment and name."""
        return f"{self.environment}/{self.event_name}"

    def text(self, key: str) -> str | None:
        """The value of a documented text; None if it is absent."""
        value = self.values.get(key)
        return value if type(value) is str else None

    @property
    def is_one_time(self) -> bool:
        """Whether it tells of a one-time purchase, non-renewing subscriptions among them."""
        return self.text("purchase_type") in ONE_TIME_TYPES or "purchasely_one_time_purchase_id" in self.values

    @property
    def status(self) -> str | None:
        """The subscription's status: what an ending event implies, else the one told, else what the event implies."""
        told = self.text("subscription_status")
        if told is not None and told not in STATUSES:
            told = None
        ending = _IMPLIED_ENDING.get(self.event_name)
        if ending is not None and (told is None or told in ACTIVE_STATUSES):
            return ending
        return told or _IMPLIED.get(self.event_name)

    @property
    def currency(self) -> str | None:
        """The default currency of Purchasely's console, ISO 4217 in upper case: the one that the plan's price is in."""
        for kind in ("plan_price_in_", "cumulated_revenues_in_", "amount_in_"):
            for key in self.keys.currencies:
                if key.startswith(kind):
                    return key[-3:].upper()
        return None

    def money(self, kind: str) -> Money | None:
        """`amount`, `plan_price` or `cumulated_revenues`, in the console's currency."""
        currency = self.currency
        if currency is None:
            return None
        if (amount := self.values.get(f"{kind}_in_{currency.lower()}")) is not None:
            return Money(float(amount), currency)
        for key in self.keys.currencies:  # in another currency, if that is all there is
            if key.startswith(f"{kind}_in_") and (amount := self.values.get(key)) is not None:
                return Money(float(amount), key[-3:].upper())
        return None

    def customer_money(self, kind: str) -> Money | None:
        """The same in the customer's currency. None without an ISO 4217 code."""
        amount, currency = self.values.get(f"{kind}_in_customer_currency"), self.text("customer_currency")
        if amount is None or currency is None or not _CURRENCY(currency):
            return None
        return Money(float(amount), currency.upper())


UNREADABLE: Final = "unreadable"
"""What a body is about that no event can be made of."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that no event can be made of, and for a person what is wrong with it."""

    event_id: str
    detail: str
    event_name: str | None = None

    @property
    def about(self) -> str:
        """What tells it apart from a readable event of its id: Purchasely may have mended the body."""
        return UNREADABLE


def money_key(key: str) -> tuple[str, str] | None:
    """The kind and the ISO 4217 code of `key`, if it is one of the dynamic keys that end in a currency code."""
    found = _IN_CURRENCY(key)
    return (found[1], found[2].upper()) if found else None


def number(value: object) -> float | None:
    """A finite number that JSON has as a number or, as Purchasely's documentation also says, as text."""
    if type(value) not in (float, int, str):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def epoch_ms(text: str) -> int | None:
    """A date in epoch milliseconds: ISO 8601 in any of its spellings, or the digits of epoch seconds or milliseconds.

    A date without a time zone is in UTC, as Purchasely's are.
    """
    if _EPOCH_TIME(text):
        return int(text) * (1 if len(text) == 13 else 1000)
    try:
        return _milliseconds(text)
    except (ValueError, OverflowError):
        pass
    text = text.strip().upper().removesuffix("UTC").removesuffix("GMT").strip()
    text = _OFFSET.sub(r"\1:\2", text)
    leap_ms = 0
    if _LEAP_SECOND(text):  # it is the first second of the next minute
        text, leap_ms = text.replace(":60", ":59", 1), 1000
    try:
        return _milliseconds(text) + leap_ms
    except (ValueError, OverflowError):
        return None


def _milliseconds(text: str) -> int:
    date = datetime.fromisoformat(text)
    return round((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)


def read(body: bytes, received_ms: int | None = None) -> Event | Unreadable:
    """The event in `body`, received at `received_ms` (epoch milliseconds).

    What decides where an event goes, when it was and what it is worth must be right, else it is `Unreadable` and
    says why.
    """
    payload, is_plain = _parsed(body)
    if isinstance(payload, str):
        return Unreadable(event_ids.event_id(body), payload)
    event_id = event_ids.of(payload.get("event_id"), body)
    if _is_version_2(payload):
        name = payload.get("name") or payload.get("event_name")
        return Unreadable(event_id, VERSION_2, name[:_NAME_CHARACTERS] if type(name) is str else None)
    payload["event_id"] = event_id
    reading = _Reading(received_ms)
    reading.read(payload)
    if reading.may_be_rounded and is_plain and _LONG_NUMBER(body):
        # orjson makes floats of integers beyond 64 bits.
        is_plain, reading = False, _Reading(received_ms)
        reading.read({**event_ids.lenient_json(body), "event_id": event_id})
    if not is_plain or b"\\" in body:  # half a character can only come as an escape
        reading.repair()
    return _event(event_id, payload, reading, received_ms)


def _parsed(body: bytes) -> tuple[dict[str, Any] | str, bool]:
    """The JSON object of the body, or what is wrong with it; and whether it is JSON as every reader takes it."""
    payload: Any
    is_plain = True
    try:
        payload = orjson.loads(body)
    except ValueError as error:
        is_plain = False
        try:
            payload = event_ids.lenient_json(body)
        except (ValueError, RecursionError):
            return f"the body is not JSON: {error}", False
    if type(payload) is not dict:
        return f"the body is a JSON {type(payload).__name__}, not an object", is_plain
    return payload, is_plain


def _is_version_2(payload: Mapping[str, Any]) -> bool:
    return payload.get("api_version") in (2, "2") or ("event_name" not in payload and "name" in payload)


class _Layout(NamedTuple):
    """The keys of a payload by how their values are read.

    A sender has some dozens of layouts. Each is worked out once, and the values of a kind are read together. `keys` are
    those of the event if nothing is left out.
    """

    texts: tuple[str, ...]
    text_values: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    ids: tuple[str, ...]
    enums: tuple[tuple[str, frozenset[str]], ...]
    flags: tuple[str, ...]
    money: tuple[str, ...]
    dates: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    keys: EventKeys


def _laid_out(keys: tuple[str, ...]) -> _Layout:
    found: dict[_Kind, list[str]] = {kind: [] for kind in _Kind}
    for key in keys:
        found[_kind(key)].append(key)
    texts, ids, flags = (*found[_Kind.TEXT], *found[_Kind.ENUM]), tuple(found[_Kind.ID]), tuple(found[_Kind.FLAG])
    money, others = tuple(found[_Kind.MONEY]), tuple(found[_Kind.ANY])
    dates = tuple(dict.fromkeys((*found[_Kind.DATE], *(key.removesuffix("_ms") for key in found[_Kind.DATE_MS]))))
    return _Layout(
        texts,
        itemgetter(*texts) if len(texts) > 1 else lambda payload: tuple(payload[key] for key in texts),
        ids,
        tuple((key, _KNOWN[key]) for key in found[_Kind.ENUM]),
        flags,
        money,
        tuple((key, f"{key}_ms") for key in dates),
        others,
        _KEYS[(*texts, *ids, *flags, *money, *others), dates],
    )


def _event_keys(keys: tuple[tuple[str, ...], tuple[str, ...]]) -> EventKeys:
    values, dates = keys
    return EventKeys(values, dates, tuple(filter(_IN_CURRENCY, values)))


_KEYS: Final = SizedCache(_event_keys, lambda keys: size_of_names(keys[0]) + size_of_names(keys[1]))
_LAYOUTS: Final = SizedCache(_laid_out, size_of_names)


class _Reading:
    """Takes a payload apart into values, dates and what cannot be read."""

    __slots__ = ("_has_new_keys", "_latest_ms", "_layout", "left_out", "may_be_rounded", "moments", "values")

    def __init__(self, received_ms: int | None) -> None:
        self._latest_ms = _LATEST_MS if received_ms is None else received_ms + _AHEAD_MS
        self._has_new_keys = False
        self.values: dict[str, Value] = {}
        self.moments: dict[str, int] = {}
        self.left_out: list[str] = []
        self.may_be_rounded = False

    def read(self, payload: dict[str, Any]) -> None:
        if payload.get(_NULLABLE, "") is None:
            del payload[_NULLABLE]
        self._layout = layout = _LAYOUTS[tuple(payload)]
        try:
            texts = [*map(str.strip, layout.text_values(payload))]
        except TypeError:  # one of them is something else
            for key in layout.texts:
                self._flat(key, payload[key], _as_text)
        else:
            self.values = dict(zip(layout.texts, texts, strict=True))
            if not all(texts):
                self.values = {key: text for key, text in self.values.items() if text}
        values = self.values
        for key, known in layout.enums:
            if (text := values.get(key)) is not None and text not in known:
                values[key] = _ENUMS[key].get(_letters(str(text)), str(text))
        for key in layout.ids:
            if (value := payload[key]).__class__ is not str:
                self._flat(key, value, _as_text)
            elif value:
                values[key] = value
        for key in layout.money:
            if (value := payload[key]).__class__ is float and math.isfinite(value):
                values[key] = value
            else:
                self._value(key, value, number)
        for key in layout.flags:
            if (value := payload[key]).__class__ is bool:
                values[key] = value
            else:
                self._value(key, value, _flag)
        for key in layout.others:
            if (value := payload[key]).__class__ is int and value.bit_length() <= event_ids.INTEGER_BITS:
                values[key] = value
            else:
                self._flat(key, value, _scalar)
        earliest_ms, latest_ms = EARLIEST_MS, self._latest_ms
        for key, twin_key in layout.dates:
            twin = payload.get(twin_key)
            if twin.__class__ is int and earliest_ms <= twin <= latest_ms:
                self.moments[key] = twin
            else:
                self._date(key, payload.get(key), twin)

    def keys(self) -> EventKeys:
        """Which values and dates there are."""
        values, moments, keys = self.values, self.moments, self._layout.keys
        if self._has_new_keys or len(values) != len(keys.values) or len(moments) != len(keys.dates):
            return _KEYS[tuple(values), tuple(moments)]
        return keys

    def repair(self) -> None:
        """Puts a sign in place of each half of a character, which has no encoding."""
        self._has_new_keys = True
        self.moments = {_whole(key): moment for key, moment in self.moments.items()}
        self.values = {
            _whole(key): _whole(value) if isinstance(value, str) else value for key, value in self.values.items()
        }
        self.left_out = [_whole(key) for key in self.left_out]

    def _value(self, key: str, value: Any, reader: Callable[[Any], Value | None]) -> None:
        """One value, by the reader of its kind."""
        if value.__class__ is str:
            value = value.strip()
        elif value.__class__ is float or value.__class__ is list:
            self.may_be_rounded |= any(map(_may_be_rounded, value if isinstance(value, list) else (value,)))
        if value is not None and value != "":
            self._put(key, reader(value))

    def _flat(self, key: str, value: Any, reader: Callable[[Any], Value | None]) -> None:
        """One value, or those of an object, each under a key of its own."""
        if isinstance(value, dict):
            self._object(key, value)
        else:
            self._value(key, value, reader)

    def _put(self, key: str, value: Value | None) -> None:
        if value is None:
            self.left_out.append(key)
        else:
            self.values[key] = value

    def _object(self, key: str, value: Mapping[str, Any]) -> None:
        self._has_new_keys = True
        for name, within in value.items():
            flat = f"{key}_{name}"
            if flat in _KINDS or _IN_CURRENCY(flat):
                self.left_out.append(flat)  # a documented key says who or what it is about: nothing else may
            elif isinstance(within, dict):
                self.left_out.append(flat)
            else:
                self._value(flat, within, _scalar)

    def _date(self, key: str, text: Any, twin: Any) -> None:
        """The plausible one of a date and its twin in milliseconds; of two plausible ones the twin."""
        text, twin = (each.strip() or None if isinstance(each, str) else each for each in (text, twin))
        if text is None and twin is None:
            return
        if isinstance(twin, str) and _EPOCH_TIME(twin):
            twin = int(twin)
        if isinstance(twin, float) and twin.is_integer():
            twin = int(twin)
        if type(twin) is int and EARLIEST_MS <= twin <= self._latest_ms:
            self.moments[key] = twin
            return
        moment = epoch_ms(str(text)) if text is not None else None
        if moment is None and type(twin) is int:
            moment = twin * 1000  # seconds, if that is plausible
        if moment is not None and EARLIEST_MS <= moment <= self._latest_ms:
            self.moments[key] = moment
        else:
            self.left_out.append(key)


def allowed(key: str, value: object) -> str | None:
    """What a value of `key` must be, if this one is not read as it stands; None if it is. An object's own values are
    asked for under their flat keys.

    A webhook's odd value is left out, as the sender can't be asked. Whoever brings a file can be.
    """
    if value is None or value == "":
        return None
    match _kind(key):
        case _Kind.TEXT | _Kind.ID:
            return "text" if _as_text(value) is None else None
        case _Kind.ENUM:
            known = _KNOWN[key]
            return None if _ENUMS[key].get(_letters(str(value))) else ", ".join(sorted(known))
        case _Kind.FLAG:
            return "true or false" if _flag(value) is None else None
        case _Kind.MONEY:
            return "a number such as 9.99" if number(value) is None else None
        case _Kind.DATE | _Kind.DATE_MS as kind:
            found = epoch_ms(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
            if found is not None and found >= EARLIEST_MS:
                return None
            if kind is _Kind.DATE:
                return "an ISO 8601 date from 2008 on, such as 2026-02-02T02:40:00Z"
            return "epoch milliseconds from 2008 on, such as 1770000000000"
        case _:
            return "a text, a number, true or false, or a list of these" if _scalar(value) is None else None


def typed(key: str, cell: str) -> Value:
    """The value of `key` that a cell of a table stands for; the cell itself if it stands for none."""
    found: Value | None = None
    match _kind(key):
        case _Kind.FLAG:
            found = _flag(cell)
        case _Kind.MONEY:
            found = number(cell)
        case _Kind.DATE_MS:
            found = int(cell) if _EPOCH_TIME(cell) else None
    return cell if found is None else found


def _kind(key: str) -> _Kind:
    """How the value of a key is read; one that is not documented by its name."""
    if key in _KINDS:
        return _KINDS[key]
    if _IN_CURRENCY(key):
        return _Kind.MONEY
    if key.endswith("_at"):
        return _Kind.DATE
    if key.endswith("_at_ms"):
        return _Kind.DATE_MS
    return _Kind.ANY


def _flag(value: Any) -> bool | None:
    """Whether a yes or no is yes; None if it is neither."""
    if type(value) is bool:
        return value
    return _FLAGS.get(value.lower() if isinstance(value, str) else value) if isinstance(value, (str, int)) else None


def _may_be_rounded(value: Any) -> bool:
    """Whether it may be an integer with more bits than a float has."""
    return isinstance(value, float) and abs(value) >= 1 << event_ids.INTEGER_BITS


def _as_text(value: Any) -> str | None:
    """A text, or the digits of a number; None for what is neither."""
    read = None if isinstance(value, bool) else _scalar(value)
    return None if read is None else str(read)


def _scalar(value: Any) -> Value | None:
    """A text, a flag, or a number as every reader of JSON takes it: beyond 64 bits its digits as text. A list of these
    is one text. None for what has no value."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= event_ids.INTEGER_BITS else str(value)
    if isinstance(value, list):
        return _joined(value)
    return value if isinstance(value, float) and math.isfinite(value) else None


def _whole(text: str) -> str:
    """The text without halves of characters, which have no encoding."""
    return _HALF.sub("\ufffd", text)


def _joined(values: list[Any]) -> str | None:
    """A list of scalars as one text; None if there is something else in it, or nothing."""
    if not values or not all(isinstance(each, (str, int, float)) for each in values):
        return None
    return ", ".join(str(each).strip() for each in values) or None


def _event(event_id: str, payload: Mapping[str, Any], reading: _Reading, received_ms: int | None) -> Event | Unreadable:
    values, moments = reading.values, reading.moments
    name, environment = values.get("event_name"), values.get("environment")
    problems: list[tuple[str, str]] = []
    if type(name) is not str or len(name) > _NAME_CHARACTERS:
        problems.append(("event_name", f"text of 1 to {_NAME_CHARACTERS} characters"))
        name = None
    if environment not in ENVIRONMENTS:
        problems.append(("environment", "SANDBOX or PRODUCTION"))
    created_ms = moments.get("event_created_at")
    if created_ms is None:
        key = "event_created_at_ms" if payload.get("event_created_at_ms") is not None else "event_created_at"
        problems.append((key, "an ISO 8601 date from 2008 on, or its epoch milliseconds as event_created_at_ms"))
    if name == TRANSACTION and (lost := _lost_amount(values, reading.left_out)):
        problems.append((lost, "a number"))
    if problems or created_ms is None or name is None or environment is None:
        detail = "; ".join(
            f"{key} is {repr(payload[key])[:_SHOWN] if payload.get(key) is not None else 'missing'}; allowed: {allowed}"
            for key, allowed in problems
        )
        return Unreadable(event_id, detail, name if type(name) is str else None)
    if name in _ENTITLEMENT and (
        values.get("purchase_type") in ONE_TIME_TYPES or "purchasely_one_time_purchase_id" in values
    ):
        name = values["event_name"] = PURCHASE_ACTIVATED if name == ACTIVATE else PURCHASE_DEACTIVATED
    is_ahead = received_ms is not None and created_ms > received_ms + AHEAD_TOLERANCE_MS
    event = Event(
        event_id,
        name,
        str(environment),
        received_ms if is_ahead and received_ms is not None else created_ms,
        values,
        moments,
        reading.keys(),
        tuple(reading.left_out),
        is_ahead,
    )
    if name in _IMPLIED_ENDING and "subscription_status" in values and (status := event.status) in STATUSES:
        values["subscription_status"] = status
    return event


def _lost_amount(values: Mapping[str, Value], left_out: list[str]) -> str | None:
    """The key of an amount that could not be read, if no other tells what was paid."""
    lost = [key for key in left_out if key.startswith("amount_in_")]
    return lost[0] if lost and not any(key.startswith("amount_in_") for key in values) else None
