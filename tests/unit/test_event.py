import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import (
    DATES,
    EARLIEST_MS,
    KEYS,
    TEXTS,
    USER_IDS,
    VERSION_2,
    Event,
    Money,
    Unreadable,
    money_key,
    number,
    read,
)
from purchasely_clevertap.purchasely.event_id import event_id
from tests.unit.samples import (
    DAY,
    EVENT_ID,
    JSON,
    MOMENT,
    PAYLOADS,
    body,
    dates,
    event,
    event_of,
    iso,
    paid,
    payload,
)
from tests.unit.samples import TEXTS as ANY_TEXT

# What docs.purchasely.com, server-events-attributes, documents beyond the sample payload.
RARE = {
    "anonymous_user_id": "5D9A0C6F-2B1E-4C43-8E0B-0E7A3C1F9B21",
    "clevertap_id": "__4f0b6c1e7d3a4f629d5e0c9a1b2d3e4f", "purchase_token": "abc.def", "previous_plan": "basic-monthly",
    "content_id": "level-7", "from_purchasely_subscription_id": "subs_0", "purchasely_one_time_purchase_id": "otp_1",
    **dates("grace_period_expires_at", MOMENT + 45 * DAY), **dates("defer_end_at", MOMENT + 44 * DAY),
    **dates("auto_resume_at", MOMENT + 60 * DAY), **dates("commitment_started_at", MOMENT - 30 * DAY),
    **dates("commitment_ends_at", MOMENT + 335 * DAY), "offer_identifier": "stay", "offer_code_ref_name": "SPRING",
    "promotional_offer_id": "stay-30", "amount_in_customer_currency": -4.5, "source_event_name": "SUBSCRIPTION_RENEWED",
    "presentation": "paywall", "placement": "onboarding", "audience": "everyone", "ab_test": "price",
    "ab_test_variant": "B", "channel": "web2app", "provider": "purchasely",
    "attribution": {"utm_source": "newsletter", "utm_campaign": "spring"},
    "transferred_from_user_id": "customer-1", "transferred_from_anonymous_user_id": "ANON-1",
    "transferred_to_user_id": "customer-2", "transferred_to_anonymous_user_id": "ANON-2",
}  # fmt: skip
IN_CURRENCY = {"plan_price_in_usd", "cumulated_revenues_in_usd"}
FULL = payload() | RARE
NEEDED = {"event_name", "environment", "event_created_at_ms"}
NOON = "2026-02-02T02:40:00Z"
NOON_MS = 1_770_000_000_000


def unreadable(given: dict[str, Any] | bytes) -> Unreadable:
    found = read(given if isinstance(given, bytes) else body(given))
    assert isinstance(found, Unreadable), found
    return found


def raw(literal: str, key: str = "tier") -> Event:
    """The event with a value that is written like this."""
    found = read(body(payload(**{key: "VALUE"})).replace(b'"VALUE"', literal.encode()))
    assert isinstance(found, Event), found
    return found


# Keys and values


def test_every_documented_key_keeps_its_value() -> None:
    assert FULL.keys() - IN_CURRENCY == KEYS
    found = event_of(FULL)
    utm = {"attribution_utm_source": "newsletter", "attribution_utm_campaign": "spring"}
    no_values = {"attribution", *DATES, *(f"{key}_ms" for key in DATES)}
    assert found.values == {key: value for key, value in FULL.items() if key not in no_values} | utm
    assert found.moments == {key: FULL[f"{key}_ms"] for key in FULL if f"{key}_ms" in FULL}
    assert (found.left_out, found.is_ahead) == ((), False)


@given(st.sets(st.sampled_from(sorted(FULL.keys() - NEEDED))))
def test_null_is_as_good_as_absent(keys: set[str]) -> None:
    null, absent = event_of(FULL | dict.fromkeys(keys)), event_of({k: v for k, v in FULL.items() if k not in keys})
    for each in (null, absent):  # without one it is made of the body, which is another
        assert isinstance(each.values, dict)
        each.values["event_id"] = ""
    assert (null.values, null.moments, null.left_out) == (absent.values, absent.moments, absent.left_out)


def test_white_space_around_a_text_is_cut() -> None:
    for key in {*TEXTS} - NEEDED - {"event_id"}:
        assert event(**{key: " \tgold \n"}).values[key] == "gold"
    for key in USER_IDS:
        assert event(**{key: " ada "}).values[key] == " ada ", "to the letter"
    money = ("plan_price_in_usd", "amount_in_eur", "amount_in_customer_currency")
    for key in ({*TEXTS, *money, *DATES, "purchased_at_ms", "tier"} - NEEDED) - {"event_id", "event_created_at"}:
        for empty in ("", " \n"):
            found = event(**{f"{key}_ms": ..., key: empty})
            assert key not in {*found.values, *found.moments}
            assert found.left_out == ()


@pytest.mark.parametrize("name", ["LOYALTY_TIER_REACHED", "subscription renewed", "é", "x" * 512, *CATALOGUE])
def test_any_event_name_is_kept(name: str) -> None:
    assert (event(name).event_name, event(name).is_known) == (name, name in CATALOGUE)


@given(
    st.dictionaries(
        st.from_regex("[a-z]{1,9}", fullmatch=True).filter(lambda key: key not in KEYS),
        ANY_TEXT.map(str.strip).filter(bool) | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(-9, 9),
        max_size=5,
    )
)
def test_unknown_keys_keep_their_values(unknown: dict[str, Any]) -> None:
    assert event_of(payload() | unknown).values.items() >= unknown.items()


@pytest.mark.parametrize(
    ("key", "read_as", "spellings"),
    [
        ("store", "AMAZON_APPSTORE", ["AMAZON_APP_STORE", "Amazon Appstore", " AMAZON_APPSTORE"]),
        ("store", "HUAWEI_APPGALLERY", ["HUAWEI_APP_GALLERY", "huawei_appgallery"]),
        ("store", "Épicerie", ["Épicerie", " Épicerie"]),
        ("subscription_status", "AUTO_RENEWING_CANCELED", ["auto_renewing_cancelled", "CANCELED", "Cancelled"]),
        ("subscription_status", "ON_HOLD", ["on_hold", "On Hold"]),
        ("environment", "SANDBOX", ["sandbox", " Sandbox "]),
        ("environment", "PRODUCTION", ["Production", "production"]),
        ("purchase_type", "NON_CONSUMABLE", ["non_consumable", "NON CONSUMABLE", "nonConsumable"]),
        ("offer_type", "FREE_TRIAL", ["free_trial", "FREE TRIAL"]),
        ("user_id", "12", [12]),
        ("is_family_shared", True, ["true", "TRUE", 1, "1"]),
        ("is_family_shared", False, ["false", 0]),
        ("amount_in_customer_currency", -4.0, ["-4.00", -4, " -4 "]),
        ("plan_price_in_usd", 10.0, [10, "10", 10.0]),
        ("tier", str(2**63), [2**63]),
        ("tier", 2**63 - 1, [2**63 - 1]),
    ],
)
def test_other_spelling_is_read_as_documented(key: str, read_as: Any, spellings: list[Any]) -> None:
    found = [event(**{key: each}).values[key] for each in spellings]
    assert found == [read_as] * len(found)
    assert {type(each) for each in found} == {type(read_as)}


def test_events_of_one_id_are_told_apart() -> None:
    about = {event().about, event(environment="SANDBOX").about, event("TRIAL_STARTED").about}
    assert len(about) == 3
    assert event(environment="production", plan="other").about == event().about
    assert "customer-7" not in repr(event()) + str(event())


# Odd values


def test_object_is_flattened_by_one_level() -> None:
    attribution = {"utm_source": " x ", "utm_tags": ["a", 1], "share": 0.5, "utm_term": "", "none": None, "deep": {}}
    found = event(attribution=attribution)
    assert {key: value for key, value in found.values.items() if key.startswith("attribution")} == {
        "attribution_utm_source": "x",
        "attribution_utm_tags": "a, 1",
        "attribution_share": 0.5,
    }
    assert found.left_out == ("attribution_deep",)


@pytest.mark.parametrize("key", ["perks", "plan"])
def test_list_of_scalars_becomes_one_text(key: str) -> None:
    assert event(**{key: ["a ", 1, 2.5]}).values[key] == "a, 1, 2.5"
    for nested in ([["a"]], [{"a": 1}], []):
        found = event(**{key: nested})
        assert key not in found.values
        assert found.left_out == (key,)


@pytest.mark.parametrize("key", ["tier", "store_country", "plan_price_in_usd", "purchased_at_ms", "is_family_shared"])
def test_number_without_a_value_is_left_out(key: str) -> None:
    for literal in ("NaN", "Infinity", "-Infinity", "1e400"):
        found = raw(literal, key)
        assert key not in found.values
        assert (found.event_id, found.event_name) == (EVENT_ID, "SUBSCRIPTION_RENEWED")
    assert event(is_family_shared="perhaps").left_out == ("is_family_shared",)


def test_half_characters_and_odd_bytes_are_repaired() -> None:
    for key in ("plan", "user_id", "tier"):
        text = raw('"a\\ud83d"', key).values[key]
        assert str(text).startswith("a")
        assert str(text).encode()
    assert raw('"\\ud83d\\ude00"').values["tier"] == "😀"
    found = read(b"\xef\xbb\xbf" + body(payload(plan="VALUE")).replace(b"VALUE", b"a\xff\n"))
    assert isinstance(found, Event)
    assert str(found.values["plan"]).startswith("a")


@pytest.mark.parametrize("key", sorted(KEYS - NEEDED - {"event_id"}))
@pytest.mark.parametrize("value", [["a"], [["a"]], {"a": {}}, True, -1, 1e300], ids=repr)
def test_no_odd_value_costs_the_event(key: str, value: Any) -> None:
    found = event(**{key: value})
    assert (found.event_name, found.created_ms) == ("SUBSCRIPTION_RENEWED", MOMENT)
    assert all(isinstance(each, str | bool | int | float) for each in found.values.values())


# Statuses

ENDINGS = {
    "SUBSCRIPTION_TERMINATED": "DEACTIVATED", "SUBSCRIPTION_EXPIRED": "DEACTIVATED",
    "SUBSCRIPTION_REFUNDED_REVOKED": "REVOKED", "SUBSCRIPTION_PAUSED": "PAUSED", "ENTERED_BILLING_RETRY": "ON_HOLD",
    "GRACE_PERIOD_TERMINATED": "DEACTIVATED", "TRIAL_NOT_CONVERTED": "DEACTIVATED",
    "FAMILY_SHARED_REVOKED": "DEACTIVATED",
}  # fmt: skip


@pytest.mark.parametrize(("name", "status"), ENDINGS.items())
def test_ending_event_beats_a_stale_status(name: str, status: str) -> None:
    for told in ("AUTO_RENEWING", "canceled", "IN_GRACE_PERIOD", "ON_HOLD", "UNPAID", "REVOKED", "DEACTIVATED"):
        found = event(name, subscription_status=told)
        ended = told in ("ON_HOLD", "UNPAID", "REVOKED", "DEACTIVATED")
        assert found.status == found.values["subscription_status"] == (told if ended else status)


@pytest.mark.parametrize("given", ["A_NEW_ONE", "", None, ...])
def test_name_decides_without_a_known_status(given: Any) -> None:
    implied = {"RENEWAL_DISABLED": "AUTO_RENEWING_CANCELED", "GRACE_PERIOD_STARTED": "IN_GRACE_PERIOD"}
    implied |= dict.fromkeys(("SUBSCRIPTION_RENEWED", "ACTIVATE", "TRIAL_STARTED"), "AUTO_RENEWING")
    silent = dict.fromkeys(("TRANSACTION_PROCESSED", "LOYALTY_TIER_REACHED"))
    for name, status in (ENDINGS | implied | silent).items():
        assert event(name, subscription_status=given).status == status


# One-time purchases


def test_one_time_purchase_has_events_of_its_own() -> None:
    kinds: list[dict[str, Any]] = [{"purchase_type": ..., "purchasely_one_time_purchase_id": "otp_1"}]
    kinds += [{"purchase_type": kind} for kind in ("CONSUMABLE", "non_consumable", "NON_RENEWING_SUBSCRIPTION")]
    for name in ("ACTIVATE", "DEACTIVATE"):
        for told in kinds:
            found = event(name, **told)
            assert found.event_name == found.values["event_name"] == f"ONE_TIME_PURCHASE_{name}D"
            assert found.is_one_time
        for kind in ("RENEWING_SUBSCRIPTION", "A_NEW_ONE", ...):
            assert event(name, purchase_type=kind).event_name == name
    assert event(**kinds[0]).event_name == "SUBSCRIPTION_RENEWED"


# Dates


@pytest.mark.parametrize(
    "given",
    [
        *(NOON, "2026-02-02T03:40:00+01:00", "2026-02-02T02:40:00.000000Z", "2026-02-02 02:40:00Z", "2026-02-02T02:40"),
        *("2026-02-02t02:40:00z", "2026-02-02 02:40:00 UTC", "2026-02-02T02:40:00+0000", "2026-02-02T02:39:60Z"),
        *("2026-02-02T02:39:60.000+0000", " 2026-02-02T02:40:00Z ", NOON_MS, NOON_MS // 1000, str(NOON_MS // 1000)),
    ],
)
@pytest.mark.parametrize("key", ["event_created_at", "loyal_since_at"])
def test_date_may_come_in_any_usual_form(key: str, given: Any) -> None:
    assert event(**{key: given, f"{key}_ms": ...}).moments[key] == NOON_MS


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_date_without_a_zone_is_in_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert event(event_created_at="2026-02-02T02:40:00", event_created_at_ms=...).created_ms == NOON_MS
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("key", ["event_created_at", "purchased_at"])
def test_plausible_one_of_date_and_twin_is_read(key: str) -> None:
    texts: tuple[Any, ...] = ("soon", "", [], {}, True, "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", None, ...)
    twins: tuple[Any, ...] = (NOON_MS // 1000, 0, -1, 999, 2**62, 9_999_999_999_999, "soon", [], True, 1.5, None, ...)

    def moment(text: Any, twin: Any) -> int | None:
        return event(**{key: text, f"{key}_ms": twin}).moments.get(key)

    assert moment(NOON, NOON_MS + 7) == NOON_MS + 7
    for bad in twins:
        assert moment(NOON, bad) == NOON_MS
    for text in texts:
        assert moment(text, NOON_MS) == NOON_MS


@pytest.mark.parametrize("key", ["effective_next_renewal_at", "loyal_since_at"])
def test_date_that_means_never_is_no_date(key: str) -> None:
    def found(text: str) -> Event:
        given = read(body(payload(**{key: text, f"{key}_ms": ...})), MOMENT)
        assert isinstance(given, Event)
        return given

    last = MOMENT + 50 * 365 * DAY
    assert found(iso(last)).moments[key] == last
    for never in (
        *(iso(last + 1), "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"),
        *("2007-12-31T23:59:59Z", "never", "yesterday", "99999999999999999999"),
    ):
        assert key not in {*found(never).moments, *found(never).values}
        assert found(never).left_out == (key,)


@pytest.mark.parametrize(("ahead_ms", "is_ahead"), [(-DAY, False), (0, False), (300_000, False), (300_001, True)])
def test_clock_ahead_gives_way_to_the_receipt(ahead_ms: int, *, is_ahead: bool) -> None:
    found = read(body(payload()), MOMENT - ahead_ms)
    assert isinstance(found, Event)
    assert (found.created_ms, found.is_ahead) == (MOMENT - ahead_ms if is_ahead else MOMENT, is_ahead)


# Money


@given(st.from_regex(r"[a-z]{3}", fullmatch=True), st.floats(-1e6, 1e6))
def test_money_is_found_in_any_currency(currency: str, amount: float) -> None:
    kinds = ("amount", "plan_price", "cumulated_revenues")
    given = paid(..., plan_price_in_usd=..., cumulated_revenues_in_usd=...)
    found = event_of(given | {f"{kind}_in_{currency}": amount for kind in kinds})
    assert found.currency == currency.upper()
    assert [found.money(kind) for kind in kinds] == [Money(amount, currency.upper())] * 3


def test_currency_is_that_of_the_plans_price() -> None:
    found = event_of(paid(9.99, 10.79, amount_in_eur=9.99, plan_price_in_usd=..., plan_price_in_eur=9.99))
    assert (found.currency, found.money("amount")) == ("EUR", Money(9.99, "EUR"))
    assert money_key("amount_in_usd") == ("amount", "USD")
    for key in ("amount_in_customer_currency", "amount_in_USD", "amount_in_us", "x_amount_in_usd", "amount_in_usd\n"):
        assert money_key(key) is None


def test_customers_money_needs_a_currency_code() -> None:
    assert event_of(paid("9.99", customer_currency=" eur ")).customer_money("amount") == Money(9.99, "EUR")
    assert event().customer_money("plan_price") == Money(9.99, "EUR")
    for currency in (None, ..., "", "€", "EURO", "E R", "ÉUR", "E" * 600):
        assert event_of(paid(9.99, customer_currency=currency)).customer_money("amount") is None


def test_number_may_be_written_as_text() -> None:
    assert [number(each) for each in (1, "1.5", "-2", 0, "1e3")] == [1.0, 1.5, -2.0, 0.0, 1000.0]
    nothing: tuple[Any, ...] = (None, True, "", "nine", "1,5", "nan", "inf", "-Infinity", [], {}, 10**400, "1e999")
    assert [number(each) for each in nothing] == [None] * len(nothing)


@pytest.mark.parametrize("key", ["amount_in_customer_currency", "amount_in_usd", "amount_in_jpy"])
@pytest.mark.parametrize("value", ["nine", True, [9.99], "1e400"])
def test_only_amount_must_be_a_number(key: str, value: Any) -> None:
    found = unreadable(paid(...) | {key: value})
    assert found.detail == f"{key} is {value!r}; allowed: a number"
    assert found.event_name == "TRANSACTION_PROCESSED"
    assert event(**{key: value}).left_out == (key,), "no transaction"


@pytest.mark.parametrize(
    ("value", "lost"), [("", ()), (" ", ()), (None, ()), ("nine", ("amount_in_customer_currency",))]
)
def test_one_good_amount_is_enough(value: Any, lost: tuple[str, ...]) -> None:
    found = event_of(paid(value, 10.79))
    assert (found.customer_money("amount"), found.money("amount")) == (None, Money(10.79, "USD"))
    assert found.left_out == lost


# Bodies that no event can be made of


@given(
    st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | PAYLOADS.map(body), st.none() | st.just(MOMENT)
)
def test_any_bytes_are_an_event_or_have_a_reason(given: bytes, received_ms: int | None) -> None:
    found = read(given, received_ms)
    if isinstance(found, Event):
        assert found.environment in ("SANDBOX", "PRODUCTION")
        assert 1 <= len(found.event_name) <= 512
        assert all(moment >= EARLIEST_MS for moment in (found.created_ms, *found.moments.values()))
        assert all(isinstance(value, str | bool | int | float) for value in found.values.values())
        json.dumps(dict(found.values), allow_nan=False)
    else:
        assert found.detail
        assert len(found.event_name or "") <= 512
    assert found.event_id == event_id(given)


def test_body_without_an_object_is_unreadable() -> None:
    words = {b"[]": "a JSON list, not an object", b'"a"': "a JSON str, not an object", b"{}": "event_name is missing"}
    words |= dict.fromkeys((b"", b"{", b"\xff", b"[" * 100_000), "not JSON")
    for bytes_, expected in words.items():
        assert expected in unreadable(bytes_).detail


A_DATE = "an ISO 8601 date from 2008 on, or its epoch milliseconds as event_created_at_ms"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        *(
            ({"event_name": given}, f"event_name is {shown}; allowed: text of 1 to 512 characters")
            for given, shown in ((..., "missing"), (" ", "' '"), ("x" * 513, f"'{'x' * 99}"), (True, "True"))
        ),
        ({"environment": ...}, "environment is missing; allowed: SANDBOX or PRODUCTION"),
        ({"environment": "STAGING"}, "environment is 'STAGING'; allowed: SANDBOX or PRODUCTION"),
        ({"event_created_at": "soon", "event_created_at_ms": ...}, f"event_created_at is 'soon'; allowed: {A_DATE}"),
        ({"event_created_at": ..., "event_created_at_ms": 0}, f"event_created_at_ms is 0; allowed: {A_DATE}"),
        ({"event_created_at": ..., "event_created_at_ms": ...}, f"event_created_at is missing; allowed: {A_DATE}"),
    ],
)
def test_unreadable_event_says_what_is_allowed(changes: dict[str, Any], detail: str) -> None:
    found = unreadable(payload(**changes))
    assert (found.detail, found.event_id) == (detail, EVENT_ID)
    assert found.event_name == (None if "event_name" in changes else "SUBSCRIPTION_RENEWED")
    assert len(unreadable(payload(**{"event_name": "x" * 9999} | changes)).detail) < 500
    both = unreadable(payload(**({"event_name": [], "environment": "x"} | changes)))
    assert ";" in both.detail.partition("; allowed:")[2], "each key at fault"


# Version 2


@pytest.mark.parametrize("version", [2, "2", ..., None])
def test_event_of_version_2_is_parked(version: Any) -> None:
    nested = {"name": "SUBSCRIPTION_STARTED", "received_at": iso(MOMENT), "user": {"vendor_id": "customer-7"}}
    found = unreadable(nested if version is ... else nested | {"api_version": version})
    assert (found.detail, found.event_name) == (VERSION_2, "SUBSCRIPTION_STARTED")
    assert VERSION_2 == "version 2: choose version 3 in Purchasely's webhook settings"
    for other in (3, "3", ..., None, 4):
        flat = event(api_version=other, name="Premium", user={"vendor_id": "another"})
        assert (flat.event_name, flat.text("user_id")) == ("SUBSCRIPTION_RENEWED", "customer-7")
    if version in (2, "2"):
        assert unreadable(payload(api_version=version)).detail == VERSION_2
