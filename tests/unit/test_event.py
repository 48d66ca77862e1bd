import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import DATES, KEYS, Event, Money, Unreadable, money_key, number, read
from purchasely_clevertap.purchasely.event_id import event_id
from purchasely_clevertap.purchasely.version_2 import upgraded
from tests.unit.samples import (
    DAY,
    EVENT_ID,
    JSON,
    MOMENT,
    PAYLOADS,
    TEXTS,
    body,
    dates,
    event,
    event_of,
    iso,
    paid,
    payload,
)

# What docs.purchasely.com, server-events-attributes, documents beyond the sample payload.
RARE = {
    "anonymous_user_id": "5D9A0C6F-2B1E-4C43-8E0B-0E7A3C1F9B21",
    "clevertap_id": "__4f0b6c1e7d3a4f629d5e0c9a1b2d3e4f",
    "purchase_token": "abc.def",
    "previous_plan": "basic-monthly",
    "content_id": "level-7",
    "from_purchasely_subscription_id": "subs_0",
    "purchasely_one_time_purchase_id": "otp_1",
    **dates("grace_period_expires_at", MOMENT + 45 * DAY),
    **dates("defer_end_at", MOMENT + 44 * DAY),
    **dates("auto_resume_at", MOMENT + 60 * DAY),
    "offer_identifier": "stay",
    "offer_code_ref_name": "SPRING",
    "promotional_offer_id": "stay-30",
    "amount_in_customer_currency": -4.5,
    "source_event_name": "SUBSCRIPTION_RENEWED",
    "presentation": "paywall",
    "placement": "onboarding",
    "audience": "everyone",
    "ab_test": "price",
    "ab_test_variant": "B",
    "transferred_from_user_id": "customer-1",
    "transferred_from_anonymous_user_id": "ANON-1",
    "transferred_to_user_id": "customer-2",
    "transferred_to_anonymous_user_id": "ANON-2",
}
IN_CURRENCY = {"plan_price_in_usd": 10.79, "cumulated_revenues_in_usd": 21.58}
FULL = payload() | RARE


def unreadable(given: dict[str, Any] | bytes) -> Unreadable:
    found = read(given if isinstance(given, bytes) else body(given))
    assert isinstance(found, Unreadable), found
    return found


def values(given: Event) -> dict[str, Any]:
    return {key: value for key, value in given.values.items() if value is not None}


# What is in an event


def test_fields_are_the_documented_keys() -> None:
    assert FULL.keys() - IN_CURRENCY.keys() == KEYS.keys()


def test_every_documented_key_keeps_its_value() -> None:
    found = values(event_of(FULL))
    assert found == FULL


def test_every_date_is_documented_with_its_twin() -> None:
    assert {f"{key}_ms" for key in DATES} == {key for key in KEYS if key.endswith("_ms")}
    assert set(DATES) == {key for key in FULL if f"{key}_ms" in FULL}


@given(st.sets(st.sampled_from(sorted(FULL.keys() - {"event_name", "environment", "event_created_at_ms"}))))
def test_null_is_as_good_as_absent(keys: set[str]) -> None:
    null, absent = event_of(FULL | dict.fromkeys(keys)), event_of({k: v for k, v in FULL.items() if k not in keys})
    if "event_id" in keys:  # made of the body, which is another
        null, absent = (each._replace(values={**each.values, "event_id": ""}) for each in (null, absent))
    assert values(null) == values(absent)


@pytest.mark.parametrize("name", ["LOYALTY_TIER_REACHED", "subscription renewed", "é", "x" * 512])
def test_an_unknown_event_name_is_kept(name: str) -> None:
    assert (event(name).event_name, event(name).is_known) == (name, False)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_event_of_the_catalogue_is_known(name: str) -> None:
    assert (event(name).event_name, event(name).is_known) == (name, True)


@given(st.dictionaries(TEXTS.filter(lambda key: key not in KEYS), JSON, max_size=5))
def test_unknown_keys_are_kept_with_their_values(unknown: dict[str, Any]) -> None:
    assert event_of(payload() | unknown).values == payload() | unknown


@pytest.mark.parametrize(
    "key", ["values", "is_known", "created_ms", "money", "model_config", "model_fields", "__dict__"]
)
def test_an_unknown_key_may_have_any_name(key: str) -> None:
    found = event(**{key: "value"})
    assert found.values[key] == "value"
    assert (found.created_ms, found.is_known) == (MOMENT, True)


@pytest.mark.parametrize(
    ("key", "given", "read_as"),
    [
        ("store", "AMAZON_APP_STORE", "AMAZON_APPSTORE"),
        ("store", "AMAZON_APPSTORE", "AMAZON_APPSTORE"),
        ("store", "HUAWEI_APP_GALLERY", "HUAWEI_APPGALLERY"),
        ("store", "HUAWEI_APPGALLERY", "HUAWEI_APPGALLERY"),
        ("store", "ANOTHER_STORE", "ANOTHER_STORE"),
        ("subscription_status", "AUTO_RENEWING_CANCELLED", "AUTO_RENEWING_CANCELED"),
        ("subscription_status", "AUTO_RENEWING_CANCELED", "AUTO_RENEWING_CANCELED"),
        ("subscription_status", "CANCELED", "AUTO_RENEWING_CANCELED"),
        ("subscription_status", "CANCELLED", "AUTO_RENEWING_CANCELED"),
        ("subscription_status", "ON_HOLD", "ON_HOLD"),
        ("environment", "sandbox", "SANDBOX"),
        ("environment", "Production", "PRODUCTION"),
        ("user_id", 12, "12"),
        ("is_family_shared", "true", True),
        ("api_version", "3", 3),
        ("amount_in_customer_currency", "-4.50", -4.5),
        ("amount_in_customer_currency", 5, 5.0),
        ("purchased_at_ms", str(MOMENT), MOMENT),
        ("purchased_at_ms", str(2**63 - 1), 2**63 - 1),
        ("purchased_at_ms", str(-(2**63)), -(2**63)),
    ],
)
@pytest.mark.parametrize("odd", [{}, {"plan": ["a"]}], ids=["alone", "beside a value to be kept aside"])
def test_another_spelling_is_read_as_documented(key: str, given: Any, read_as: Any, odd: dict[str, Any]) -> None:
    found = event(**odd | {key: given})
    assert found.values[key] == read_as
    assert dict(found.payload)[key] == read_as


def test_an_event_is_shown_without_its_values() -> None:
    assert "customer-7" not in repr(event()) + str(event())


# Values of an unexpected type


@pytest.mark.parametrize("key", sorted(KEYS.keys() - {"event_name", "event_id", "environment", "event_created_at_ms"}))
@pytest.mark.parametrize("value", [["a"], {"a": 1}], ids=["list", "object"])
def test_an_unexpected_type_is_kept_aside(key: str, value: Any) -> None:
    found = event(**{key: value})
    assert found.payload == event(**{key: ...}).payload
    assert found.values == {**found.payload, key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("is_family_shared", "perhaps"),
        ("plan", True),
        ("purchased_at", True),
        ("purchased_at_ms", "soon"),
        ("purchased_at_ms", str(2**63)),
        ("purchased_at_ms", str(-(2**63) - 1)),
        ("plan_price_in_customer_currency", True),
        ("plan_price_in_customer_currency", "1e400"),
    ],
)
def test_a_value_out_of_reach_is_kept_aside_too(key: str, value: Any) -> None:
    found = event(**{key: value})
    assert found.values[key] == value
    assert key not in found.payload


# Dates


@pytest.mark.parametrize(
    "given",
    [
        *("yesterday", "", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "99999999999999999999"),
        *("1970-01-01T00:00:00.999Z", "2200-01-01T00:00:00Z"),
    ],
)
def test_a_text_out_of_our_time_tells_no_moment(given: str) -> None:
    found = event(purchased_at=given, purchased_at_ms=...)
    assert found.moment("purchased_at") is None
    assert found.payload.get("purchased_at") == given


@given(st.integers(1000, 7_258_118_399_999))
def test_a_date_and_its_twin_tell_the_same_millisecond(moment: int) -> None:
    from_twin = event(event_created_at=..., event_created_at_ms=moment)
    from_date = event(event_created_at=iso(moment), event_created_at_ms=...)
    assert from_twin.created_ms == from_date.created_ms == moment


@pytest.mark.parametrize(
    "given",
    [
        *("2026-02-02T02:40:00Z", "2026-02-02T03:40:00+01:00", "2026-02-02T02:40:00.000000Z", "2026-02-02 02:40:00Z"),
        *("2026-02-02T02:40:00", 1_770_000_000, 1_770_000_000_000, "1770000000"),
    ],
)
def test_a_date_may_come_in_any_usual_form(given: Any) -> None:
    assert event(event_created_at=given, event_created_at_ms=...).created_ms == 1_770_000_000_000


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_a_date_without_a_zone_is_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        found = event(event_created_at="2026-02-02T02:40:00", event_created_at_ms=...)
        assert found.created_ms == 1_770_000_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_twin_decides_when_both_are_there() -> None:
    found = event(event_created_at=iso(MOMENT), event_created_at_ms=MOMENT + 7)
    assert found.created_ms == MOMENT + 7


@pytest.mark.parametrize("bad", ["event_created_at", "event_created_at_ms"])
@pytest.mark.parametrize("value", ["soon", [], True, 10**30, None, ...])
def test_one_good_date_of_the_two_is_enough(bad: str, value: Any) -> None:
    assert event(**{bad: value}).created_ms == MOMENT


@pytest.mark.parametrize("bad", [999, 7_258_118_400_000, -1, 2**63])
def test_a_twin_out_of_range_gives_way_to_its_date(bad: int) -> None:
    assert event(event_created_at_ms=bad).created_ms == MOMENT
    assert event(purchased_at=..., purchased_at_ms=bad).moment("purchased_at") is None


def test_a_date_that_is_not_there_has_no_moment() -> None:
    found = event(purchased_at=..., purchased_at_ms=...)
    assert (found.moment("purchased_at"), found.moment("next_renewal_at")) == (None, MOMENT + 29 * DAY)


# Money


@given(st.from_regex(r"[a-z]{3}", fullmatch=True), st.floats(-1e6, 1e6))
def test_money_is_found_in_any_currency(currency: str, amount: float) -> None:
    found = event_of(
        paid(..., plan_price_in_usd=..., cumulated_revenues_in_usd=...)
        | {
            f"amount_in_{currency}": amount,
            f"plan_price_in_{currency}": amount,
            f"cumulated_revenues_in_{currency}": amount,
        }
    )
    assert found.money("amount") == Money(amount, currency.upper())
    assert found.money("plan_price") == Money(amount, currency.upper())
    assert found.money("cumulated_revenues") == Money(amount, currency.upper())


def test_kinds_of_money_are_told_apart() -> None:
    found = event_of(paid(9.99, 10.79, plan_price_in_usd=1, cumulated_revenues_in_usd="21.58"))
    assert found.money("amount") == Money(10.79, "USD")
    assert found.money("plan_price") == Money(1.0, "USD")
    assert found.money("cumulated_revenues") == Money(21.58, "USD")
    assert event(plan_price_in_usd=...).money("plan_price") is None


def test_the_customers_amount_has_its_own_currency() -> None:
    assert event_of(paid("9.99", customer_currency="eur")).customer_amount() == Money(9.99, "EUR")
    assert event_of(paid(-9.99)).customer_amount() == Money(-9.99, "EUR")
    assert event_of(paid(...)).customer_amount() is None


@pytest.mark.parametrize("currency", [None, ..., "", "€", "EURO", "E R", "ÉUR", "E" * 600])
def test_an_amount_needs_a_currency_code(currency: Any) -> None:
    assert event_of(paid(9.99, customer_currency=currency)).customer_amount() is None


@pytest.mark.parametrize(
    ("given", "found"), [(1, 1.0), ("1.5", 1.5), ("-2", -2.0), (0, 0.0), (-1.5, -1.5), ("1e3", 1000.0)]
)
def test_a_number_may_be_written_as_text(given: Any, found: float) -> None:
    assert number(given) == found


@pytest.mark.parametrize("given", [None, True, "", "nine", "1,5", "nan", "inf", "-Infinity", [], {}, 10**400, "1e999"])
def test_nothing_else_is_a_number(given: Any) -> None:
    assert number(given) is None


@pytest.mark.parametrize("key", ["amount_in_usd", "plan_price_in_eur", "cumulated_revenues_in_jpy"])
def test_a_key_in_a_currency_is_known_by_its_end(key: str) -> None:
    assert money_key(key) is not None


@pytest.mark.parametrize(
    "key", ["amount_in_customer_currency", "amount_in_USD", "amount_in_us", "x_amount_in_usd", "amount_in_usd\n"]
)
def test_no_other_key_is_in_a_currency(key: str) -> None:
    assert money_key(key) is None


# Bodies that no event can be made of


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | PAYLOADS.map(body))
def test_any_bytes_are_an_event_or_have_a_reason(given: bytes) -> None:
    found = read(given)
    if isinstance(found, Event):
        assert found.payload["environment"] in ("SANDBOX", "PRODUCTION")
        assert 1 <= len(found.event_name) <= 512
        assert 1 <= found.created_ms // 1000 < 7_258_118_400
        for key in DATES:
            assert 1000 <= (found.moment(key) or 1000) < 7_258_118_400_000
    else:
        assert found.detail
        assert found.event_name is None or len(found.event_name) <= 512
    assert found.event_id == event_id(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"event_name":NaN}', "not JSON"),
        (b"[]", "a JSON list, not an object"),
        (b'"text"', "a JSON str, not an object"),
        (b"null", "a JSON NoneType, not an object"),
        (b"{}", "event_name is missing"),
    ],
)
def test_a_body_that_is_no_json_object_is_unreadable(given: bytes, words: str) -> None:
    assert words in unreadable(given).detail


A_DATE = "an ISO 8601 date from 1970 to 2199, or its epoch milliseconds as event_created_at_ms"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"event_name": ...}, "event_name is missing; allowed: text of 1 to 512 characters"),
        ({"event_name": ""}, "event_name is ''; allowed: text of 1 to 512 characters"),
        ({"event_name": "x" * 513}, f"event_name is '{'x' * 99}; allowed: text of 1 to 512 characters"),
        ({"event_name": True}, "event_name is True; allowed: text of 1 to 512 characters"),
        ({"event_name": None}, "event_name is None; allowed: text of 1 to 512 characters"),
        ({"environment": ...}, "environment is missing; allowed: SANDBOX or PRODUCTION"),
        ({"environment": "STAGING"}, "environment is 'STAGING'; allowed: SANDBOX or PRODUCTION"),
        ({"environment": None}, "environment is None; allowed: SANDBOX or PRODUCTION"),
        (
            {"event_created_at": "soon", "event_created_at_ms": ...},
            f"event_created_at is 'soon'; allowed: {A_DATE}",
        ),
        (
            {"event_created_at": ..., "event_created_at_ms": 0},
            f"event_created_at_ms is 0; allowed: {A_DATE}",
        ),
        (
            {"event_created_at": ..., "event_created_at_ms": ...},
            f"event_created_at is missing; allowed: {A_DATE}",
        ),
    ],
)
def test_an_unreadable_event_says_what_is_allowed(changes: dict[str, Any], detail: str) -> None:
    assert unreadable(payload(**changes)).detail == detail


def test_an_unreadable_event_names_every_key_at_fault() -> None:
    found = unreadable(payload(event_name=7.5, environment="x", event_id="mine"))
    assert found.detail == "environment is 'x'; allowed: SANDBOX or PRODUCTION"
    found = unreadable(payload(event_name=[], environment="x", event_id="mine"))
    assert found.detail == (
        "event_name is []; allowed: text of 1 to 512 characters; environment is 'x'; allowed: SANDBOX or PRODUCTION"
    )
    assert found.event_id == "mine"


@pytest.mark.parametrize("key", ["event_name", "environment", "event_created_at"])
def test_an_unreadable_event_stays_short(key: str) -> None:
    found = unreadable(payload(**{"event_created_at_ms": ..., key: "x" * 100_000}))
    assert len(found.detail) < 300
    assert len(found.event_name or "") <= 512


def test_an_unreadable_event_keeps_its_name() -> None:
    assert unreadable(payload("TRIAL_STARTED", environment="x")).event_name == "TRIAL_STARTED"
    assert (
        unreadable(payload("TRIAL_STARTED", event_created_at="x", event_created_at_ms=...)).event_name
        == "TRIAL_STARTED"
    )
    assert unreadable(payload(event_name=[])).event_name is None


@pytest.mark.parametrize("key", ["amount_in_customer_currency", "amount_in_usd", "amount_in_jpy"])
@pytest.mark.parametrize("value", ["nine", True, [9.99], {"value": 9.99}, "", "1e400"])
def test_money_that_is_no_number_is_unreadable(key: str, value: Any) -> None:
    found = unreadable(paid(9.99) | {key: value})
    assert found.detail == f"{key} is {value!r}; allowed: a number"
    assert found.event_name == "TRANSACTION_PROCESSED"


@pytest.mark.parametrize("key", ["amount_in_customer_currency", "amount_in_usd"])
def test_money_that_is_null_is_absent(key: str) -> None:
    found = event_of(paid(9.99, 10.79) | {key: None})
    amounts = {"amount_in_customer_currency": found.customer_amount(), "amount_in_usd": found.money("amount")}
    assert [name for name, amount in amounts.items() if amount is None] == [key]


def test_a_key_that_looks_like_money_does_not_fail() -> None:
    assert event_of(paid(9.99, amount_in_words="nine ninety-nine")).values["amount_in_words"] == "nine ninety-nine"


def test_money_is_looked_at_in_transactions_only() -> None:
    assert event(amount_in_usd="nine").values["amount_in_usd"] == "nine"


# api_version 2


def legacy(**changes: Any) -> dict[str, Any]:
    given = {
        "api_version": 2,
        "name": "SUBSCRIPTION_STARTED",
        "received_at": iso(MOMENT),
        "environment": "PRODUCTION",
        "user": {"vendor_id": "customer-7", "anonymous_id": "ANON-7"},
        "properties": {
            "expires_at": iso(MOMENT + DAY),
            "period_type": "NORMAL",
            "product": {"vendor_id": "premium", "type": "x"},
            "plan": {"vendor_id": "premium-monthly"},
            "store": "GOOGLE_PLAY_STORE",
            "novelty": 7,
        },
        "another": "kept",
    } | changes
    return {key: value for key, value in given.items() if value is not ...}


@pytest.mark.parametrize("version", [2, "2", ..., None, 1])
def test_a_nested_event_of_version_2_is_read(version: Any) -> None:
    found = event_of(legacy(api_version=version))
    assert found.event_name == "SUBSCRIPTION_STARTED"
    assert found.created_ms == MOMENT
    assert (found.payload.get("user_id"), found.payload.get("anonymous_user_id")) == ("customer-7", "ANON-7")
    assert found.moment("effective_next_renewal_at") == MOMENT + DAY
    assert found.payload.get("offer_type") == "NONE"
    assert (found.payload.get("product"), found.payload.get("plan"), found.payload.get("store")) == (
        "premium",
        "premium-monthly",
        "GOOGLE_PLAY_STORE",
    )
    assert (found.values["novelty"], found.values["another"]) == (7, "kept")


def test_a_period_type_of_version_2_is_the_offer() -> None:
    given = legacy()
    given["properties"]["period_type"] = "FREE_TRIAL"
    assert event_of(given).payload.get("offer_type") == "FREE_TRIAL"


def test_a_plan_within_the_product_is_found_too() -> None:
    given = legacy()
    given["properties"] |= {"product": {"vendor_id": "premium", "plan": given["properties"].pop("plan")}}
    found = event_of(given)
    assert (found.payload.get("product"), found.payload.get("plan")) == ("premium", "premium-monthly")


@pytest.mark.parametrize("key", ["user", "properties"])
@pytest.mark.parametrize("value", [None, "text", [], 7, ...])
def test_a_part_of_version_2_may_be_missing_or_odd(key: str, value: Any) -> None:
    found = event_of(legacy(**{key: value}))
    assert found.event_name == "SUBSCRIPTION_STARTED"
    assert (found.payload.get("user_id") is None) is (key == "user")


@pytest.mark.parametrize("version", [2, ..., None, "3"])
def test_a_flat_event_is_flat_in_any_version(version: Any) -> None:
    found = event(api_version=version, name="Premium", user={"vendor_id": "another"})
    assert (found.event_name, found.payload.get("user_id")) == ("SUBSCRIPTION_RENEWED", "customer-7")


def test_a_name_alone_is_none_in_version_3() -> None:
    assert unreadable(payload(event_name=..., name="SUBSCRIPTION_STARTED")).detail.startswith("event_name is missing")


def test_a_nested_event_has_the_id_of_its_body() -> None:
    given = legacy(event_id=EVENT_ID)
    given["properties"]["event_id"] = "inner"
    assert event_of(given).event_id == EVENT_ID
    del given["event_id"]
    assert event_of(given).event_id == event_id(body(given)) != "inner"


def test_upgrading_leaves_what_it_was_given_alone() -> None:
    given = legacy()
    before = json.dumps(given)
    upgraded(given)
    assert json.dumps(given) == before
    flat = payload()
    assert upgraded(flat) is flat
