"""Events for tests: a payload with all that a renewal carries, changed by keyword; and JSON of any kind."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from purchasely_clevertap.purchasely.event import EARLIEST_MS, KEYS, Event, read

MOMENT = 1_770_000_000_123
"""When a sample event is first sent, in epoch milliseconds."""
EVENT_ID = "4f0b6c1e-7d3a-4f62-9d5e-0c9a1b2d3e4f"
DAY = 86_400_000
LATEST_MS = 4_102_444_800_000
"""2100: no date of an event may be later."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(milliseconds: int) -> str:
    """The form in which Purchasely writes dates: UTC, three decimals, Z."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dates(key: str, milliseconds: int) -> dict[str, Any]:
    """A date and its `_ms` twin."""
    return {key: iso(milliseconds), f"{key}_ms": milliseconds}


def payload(event_name: str = "SUBSCRIPTION_RENEWED", /, *, at: Any = MOMENT, **changes: Any) -> dict[str, Any]:
    """A v3 payload, sent `at` that many epoch milliseconds; a change to `...` takes the key away."""
    given = {
        "api_version": 3,
        "event_name": event_name,
        "event_id": EVENT_ID,
        **dates("event_created_at", at),
        "user_id": "customer-7",
        "device_id": "5D9A0C6F-2B1E-4C43-8E0B-0E7A3C1F9B21",
        "device_type": "PHONE",
        "environment": "PRODUCTION",
        "store": "APPLE_APP_STORE",
        "store_app_bundle_id": "com.example.app",
        "store_product_id": "com.example.premium.month",
        "store_country": "FR",
        "store_transaction_id": "2000000137582598",
        "store_original_transaction_id": "2000000130000001",
        "purchase_type": "RENEWING_SUBSCRIPTION",
        "product": "premium",
        "plan": "premium-monthly",
        "purchasely_subscription_id": "subs_1",
        **dates("purchased_at", MOMENT - DAY),
        **dates("original_purchased_at", MOMENT - 31 * DAY),
        **dates("next_renewal_at", MOMENT + 29 * DAY),
        **dates("effective_next_renewal_at", MOMENT + 30 * DAY),
        "subscription_status": "AUTO_RENEWING",
        "offer_type": "NONE",
        "previous_offer_type": "FREE_TRIAL",
        "is_family_shared": False,
        "customer_currency": "EUR",
        "plan_price_in_customer_currency": 9.99,
        "plan_price_in_usd": 10.79,
        "cumulated_revenues_in_usd": 21.58,
    } | changes
    return {key: value for key, value in given.items() if value is not ...}


def paid(amount: Any, in_usd: Any = ..., **changes: Any) -> dict[str, Any]:
    """The payload of a TRANSACTION_PROCESSED over `amount` EUR."""
    money = {
        "amount_in_customer_currency": amount,
        "amount_in_usd": in_usd,
        "source_event_name": "SUBSCRIPTION_RENEWED",
    }
    return payload("TRANSACTION_PROCESSED", **(money | changes))


def body(given: dict[str, Any]) -> bytes:
    """The payload as it is sent."""
    return json.dumps(given, ensure_ascii=False).encode()


def event_of(given: dict[str, Any]) -> Event:
    """The event in a payload that can be read."""
    event = read(body(given))
    assert isinstance(event, Event), event
    return event


def event(event_name: str = "SUBSCRIPTION_RENEWED", /, *, at: Any = MOMENT, **changes: Any) -> Event:
    """The event of `payload`."""
    return event_of(payload(event_name, at=at, **changes))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)

_LONG_TEXTS = st.builds(lambda text, times: text * times, TEXTS, st.integers(2, 40))
_KEYS = st.sampled_from(
    [
        *sorted(KEYS),
        "amount_in_usd",
        "amount_in_eur",
        "plan_price_in_usd",
        "cumulated_revenues_in_usd",
        "amount_in_points",
        "loyalty_since_at",
        "loyalty_since_at_ms",
        "is_late",
        "identity",
        "",
        " ",
    ]
)
_NEW_KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.builds(
    lambda start, letter: start + letter * 121,
    st.text("ab%><!|&.:;$'\"\\ é", max_size=3),
    st.sampled_from("ab.é😀"),
)
_VALUES = (
    JSON
    | _LONG_TEXTS
    | st.sampled_from(
        [
            "2026-02-02T02:40:00.123Z",
            "0001-01-01T00:00:00+00:00",
            "9999-12-31T23:59:59-23:59",
            "1969-12-31T23:59:59Z",
            "2026-02-02",
            "9.99",
            "-4.5",
            "1e400",
            "9" * 400,
            "nan",
            "",
            MOMENT,
            1,
        ]
    )
)

PAYLOADS = st.builds(
    lambda needed, known, new: known | new | needed,
    st.fixed_dictionaries(
        {
            "event_name": st.sampled_from(
                [
                    *("TRANSACTION_PROCESSED", "SUBSCRIPTION_RENEWED", "SUBSCRIPTION_TRANSFERRED", "ACTIVATE"),
                    *("DEACTIVATE", "App Launched", "charged"),
                ]
            )
            | TEXTS.filter(bool),
            "environment": st.sampled_from(["PRODUCTION", "SANDBOX", "sandbox"]),
            "event_created_at_ms": st.integers(EARLIEST_MS, LATEST_MS),
        },
        optional={
            "api_version": st.sampled_from([3, "3", None, "9" * 30]),
            "user_id": TEXTS | _LONG_TEXTS,
            "anonymous_user_id": TEXTS | st.uuids().map(str),
            "clevertap_id": st.text("Az09()!:@$_-", max_size=70),
            "amount_in_customer_currency": st.floats(allow_nan=False, allow_infinity=False) | st.just("9.99"),
            "amount_in_usd": st.floats(allow_nan=False, allow_infinity=False) | st.just("9.99"),
            "customer_currency": st.sampled_from(["EUR", "usd", "€", "", "EURO" * 200]),
            "purchase_type": st.sampled_from(
                ["RENEWING_SUBSCRIPTION", "CONSUMABLE", "NON_CONSUMABLE", "NON_RENEWING_SUBSCRIPTION"]
            ),
            "plan_price_in_usd": st.floats(0, 1e6),
            "store_transaction_id": TEXTS,
            "channel": st.sampled_from(["web2app", "in_app"]),
            "attribution": JSON,
        },
    ),
    st.dictionaries(_KEYS, _VALUES, max_size=12),
    st.dictionaries(_NEW_KEYS, _VALUES, max_size=6)
    | st.builds(lambda count: {f"k{i}": i for i in range(count)}, st.integers(60, 140)),
)
"""Payloads that mostly can be read, however odd what they hold."""
