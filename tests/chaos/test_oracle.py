"""The oracle's rules, one by one. Its answers here are worked out by hand."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chaos.oracle import Association, Expected, Policy, Record, expect
from purchasely_sender import LIFECYCLES

MOMENT = 1_770_000_000_000
DAY = 86_400_000
APP = "default"
POLICIES = {
    APP: Policy("P", "S"),
    "all": Policy("A", "A", switched_off=frozenset()),
    "custom": Policy("C", None, anonymous="custom_id"),
    "identity": Policy("I", None, anonymous="identity"),
    "skip": Policy("K", None, anonymous="skip"),
}

type Told = tuple[str, dict[str, Any]]


def event(name: str, at: int = 0, *, app: str = APP, **more: Any) -> Told:
    """An event `at` milliseconds after MOMENT; facts that are None are left out."""
    fields: dict[str, Any] = {
        "event_name": name,
        "event_id": f"{name}-{at}-{more.get('purchasely_subscription_id', '')}{more.get('user_id', '')}",
        "event_created_at_ms": MOMENT + at,
        "environment": "PRODUCTION",
        "user_id": "u",
        "purchase_type": "RENEWING_SUBSCRIPTION",
        "purchasely_subscription_id": "subs_1",
        "subscription_status": "AUTO_RENEWING",
        "plan": "monthly",
    }
    return app, {key: value for key, value in (fields | more).items() if value is not None}


def visit(name: str, at: int = 0, **more: Any) -> Told:
    """An event of an anonymous user."""
    return event(name, at, user_id=None, anonymous_user_id="v", **more)


def purchase(name: str, at: int = 0, **more: Any) -> Told:
    """An event of a one-time purchase of 5 EUR."""
    usual = {
        "purchase_type": "NON_CONSUMABLE",
        "purchasely_subscription_id": None,
        "subscription_status": None,
        "product": "book",
        "store_transaction_id": "t",
        "plan_price_in_eur": 5.0,
    }
    return event(name, at, **(usual | more))


def told(*events: Told, **more: Any) -> Expected:
    """What follows from the events in whatever order."""
    expected = expect(events, POLICIES, **more)
    assert expect(reversed(events), POLICIES, **more) == expected
    return expected


def profile(*events: Told, person: str = "u", account: str = "P", **more: Any) -> dict[str, Any]:
    return told(*events, **more).profiles[account, person]


def outcome(given: Told, **more: Any) -> str:
    expected = told(given, **more)
    [[key, found]] = expected.outcomes.items()
    return " ".join([found, *([expected.reasons[key]] if key in expected.reasons else [])])


# Reading


@pytest.mark.parametrize(
    ("name", "status", "right", "state"),
    [
        ("GRACE_PERIOD_TERMINATED", "IN_GRACE_PERIOD", "DEACTIVATED", "expired"),
        ("FAMILY_SHARED_REVOKED", "AUTO_RENEWING", "DEACTIVATED", "expired"),
        ("PROMO_CODE_NOT_CONVERTED", None, "DEACTIVATED", "expired"),
        ("PROMOTIONAL_OFFER_NOT_CONVERTED", "RUNNING", "DEACTIVATED", "expired"),
    ],
)
def test_an_ending_wins_over_its_status(name: str, status: str | None, right: str, state: str) -> None:
    found = profile(event("SUBSCRIPTION_STARTED"), event(name, 1, subscription_status=status))
    assert (found["subscription_status"], found["subscriber_state"]) == (right, state)


@pytest.mark.parametrize(
    "name",
    [
        *("ACTIVATE", "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY", "SUBSCRIPTION_WILL_NOT_PAUSE"),
        *("SUBSCRIPTION_DEFERRED", "SUBSCRIPTION_UPGRADED", "SUBSCRIPTION_DOWNGRADED", "SUBSCRIPTION_CROSSGRADED"),
        *("SUBSCRIPTION_RECEIVED", "INSTALLMENT_PAID", "INSTALLMENT_REFUNDED"),
        *(f"{offer}_STARTED" for offer in ("TRIAL", "INTRO_OFFER", "PROMO_CODE", "PROMOTIONAL_OFFER")),
        *(f"{offer}_CONVERTED" for offer in ("TRIAL", "INTRO_OFFER", "PROMO_CODE", "PROMOTIONAL_OFFER")),
    ],
)
def test_a_name_decides_without_a_known_status(name: str) -> None:
    assert profile(event(name, subscription_status="RUNNING"))["subscription_status"] == "AUTO_RENEWING"


def test_a_refunded_instalment_ends_nothing() -> None:
    refunded = event("INSTALLMENT_REFUNDED", 1, subscription_status="REVOKED")
    assert profile(event("SUBSCRIPTION_STARTED"), refunded)["has_active_subscription"] is True


@pytest.mark.parametrize(
    ("key", "seen", "right"),
    [
        ("store", "AMAZON_APP_STORE", "AMAZON_APPSTORE"),
        ("store", "huawei_app_gallery", "HUAWEI_APPGALLERY"),
        ("store", " stripe ", "STRIPE"),
        ("store", "NEW_STORE", "NEW_STORE"),
        ("subscription_status", "auto_renewing_cancelled", "AUTO_RENEWING_CANCELED"),
        ("subscription_status", "CANCELED", "AUTO_RENEWING_CANCELED"),
        ("subscription_status", "CANCELLED", "AUTO_RENEWING_CANCELED"),
        ("subscription_status", "In_Grace_Period", "IN_GRACE_PERIOD"),
        ("environment", "production", "PRODUCTION"),
        ("plan", " Plus ", "Plus"),
    ],
)
def test_spellings(key: str, seen: str, right: str) -> None:
    fact: dict[str, Any] = {key: seen}
    assert profile(event("SUBSCRIPTION_STARTED", **fact))[key] == right


@pytest.mark.parametrize("kind", ["consumable", "Non_Consumable", "NON_RENEWING_SUBSCRIPTION"])
def test_kinds_of_one_time_purchases(kind: str) -> None:
    assert ("P", "ACTIVATE-0-None", "ONE_TIME_PURCHASE_ACTIVATED") in told(
        purchase("ACTIVATE", purchase_type=kind)
    ).records


def test_one_time_purchase_by_its_id_alone() -> None:
    bought = purchase("DEACTIVATE", purchase_type=None, purchasely_one_time_purchase_id="otp_1")
    assert {name for _, _, name in told(bought).records} == {"ONE_TIME_PURCHASE_DEACTIVATED"}


@pytest.mark.parametrize(
    "given",
    [
        purchase("SOMETHING_NEW", purchase_type=None, purchasely_one_time_purchase_id="otp_1"),
        purchase("ONE_TIME_PURCHASE_RECEIVED", purchase_type=None),
        purchase("TRANSACTION_PROCESSED", purchase_type="CONSUMABLE"),
        purchase("SOMETHING_NEW"),
    ],
)
def test_a_one_time_purchase_is_no_subscription(given: Told) -> None:
    assert "has_active_subscription" not in profile(given)


def test_a_subscription_without_a_name() -> None:
    events = [event(name, purchasely_subscription_id=None) for name in ("SUBSCRIPTION_STARTED", "RENEWAL_DISABLED")]
    assert profile(*events)["active_subscriptions"] == 1


@pytest.mark.parametrize(
    ("ms", "iso", "right"),
    [
        (MOMENT, "2026-01-01T00:00:00Z", "$D_1770000000"),
        (MOMENT // 1000, "2026-01-01t00:00:00z", "$D_1767225600"),
        (None, "2026-01-01 00:00:00+00:00", "$D_1767225600"),
        (None, "2026-01-01T00:00:00 utc", "$D_1767225600"),
        (None, "2025-12-31T23:59:60Z", "$D_1767225600"),
        (None, "2026-01-01T00:00:00", "$D_1767225600"),
        (None, "9999-12-31T00:00:00Z", None),
        (7_958_044_800_000, None, None),
        (1_199_145_599_999, None, None),
        (1_199_145_600_000, None, "$D_1199145600"),
        (None, "soon", None),
        (None, None, None),
    ],
)
def test_dates(ms: int | None, iso: str | None, right: str | None) -> None:
    found = profile(event("SUBSCRIPTION_STARTED", auto_resume_at=iso, auto_resume_at_ms=ms))
    assert found.get("auto_resume_at") == right


@pytest.mark.parametrize(("early", "at"), [(300_000, 300), (300_001, 0)])
def test_an_event_from_the_future(early: int, at: int) -> None:
    started = event("SUBSCRIPTION_STARTED", early)
    [record] = told(started, received=MOMENT).records.values()
    assert record.at == MOMENT // 1000 + at


@pytest.mark.parametrize(
    ("key", "value"),
    [("api_version", 2), *((key, None) for key in ("environment", "event_name", "event_id", "event_created_at_ms"))],
)
def test_unreadable(key: str, value: Any) -> None:
    expected = told(event("SUBSCRIPTION_STARTED", **{key: value}))
    assert (list(expected.outcomes.values()), list(expected.reasons.values())) == (["parked"], ["unreadable"])
    assert not expected.profiles


def test_one_id_for_two_events() -> None:
    expected = told(
        event("SUBSCRIPTION_STARTED", event_id="e"),
        event("SUBSCRIPTION_STARTED", event_id="e", environment="SANDBOX"),
        event("ACTIVATE", event_id="e"),
    )
    assert expected.outcomes == {
        (APP, "e#PRODUCTION#SUBSCRIPTION_STARTED"): "delivered",
        (APP, "e#SANDBOX#SUBSCRIPTION_STARTED"): "delivered",
        (APP, "e#PRODUCTION#ACTIVATE"): "skipped",
    }


# Who has the last word


@pytest.mark.parametrize(
    ("last", "others"),
    [
        ("SUBSCRIPTION_RENEWED", ["TRIAL_CONVERTED", "TRANSACTION_PROCESSED", "ACTIVATE", "DEACTIVATE"]),
        ("TRIAL_CONVERTED", ["TRANSACTION_PROCESSED", "ACTIVATE", "DEACTIVATE"]),
        ("PROMO_CODE_STARTED", ["TRANSACTION_PROCESSED", "ACTIVATE"]),
        ("TRANSACTION_PROCESSED", ["ACTIVATE", "DEACTIVATE"]),
        ("SUBSCRIPTION_TRANSFERRED", ["SUBSCRIPTION_RENEWED", "UNKNOWN_TO_ALL"]),
        ("UNKNOWN_TO_ALL", ["TRIAL_CONVERTED", "TRANSACTION_PROCESSED"]),
    ],
)
@pytest.mark.parametrize("greater", [True, False])
def test_last_word_within_a_moment(last: str, others: list[str], greater: bool) -> None:
    mine, theirs = ("z", "a") if greater else ("a", "z")
    found = profile(
        event(last, app="all", placement=mine),
        *(event(name, app="all", placement=theirs) for name in others),
        account="A",
    )
    assert (found["last_event"], found["placement"]) == (last, mine)


def test_greater_text_within_a_rank() -> None:
    events = [event("RENEWAL_ENABLED", plan="a"), event("SUBSCRIPTION_STARTED", plan="b")]
    assert profile(*events)["plan"] == "b"


def test_later_wins_over_rank() -> None:
    events = [event("SUBSCRIPTION_STARTED", plan="z"), event("TRANSACTION_PROCESSED", 1, plan="a", amount_in_eur=1)]
    assert profile(*events)["plan"] == "a"


def test_ending_entitlement_of_a_moment_is_overruled() -> None:
    found = profile(event("DEACTIVATE"), event("SUBSCRIPTION_RENEWED"))
    assert found["has_active_subscription"] is True


def test_silence_replaces_nothing() -> None:
    found = profile(
        event("SUBSCRIPTION_STARTED", audience="gold", auto_resume_at_ms=MOMENT),
        event("SUBSCRIPTION_RENEWED", 1, audience=None, plan=" "),
    )
    assert (found["audience"], found["plan"], found["auto_resume_at"]) == ("gold", "monthly", "$D_1770000000")


# People


def test_every_text_of_the_described() -> None:
    keys = [
        *("product", "plan", "previous_plan", "store_country", "store_product_id", "offer_type", "content_id"),
        *("presentation", "placement", "audience", "ab_test", "ab_test_variant", "channel"),
    ]
    texts = {key: f"my {key}" for key in keys} | {"store": "STRIPE", "anonymous_user_id": "v"}
    told_of: dict[str, Any] = texts | {"attribution": {"utm_source": "a", "utm_campaign": "b", "ref": "c"}}
    found = profile(event("SUBSCRIPTION_STARTED", **told_of))
    marks = {"attribution_utm_source": "a", "attribution_utm_campaign": "b"}
    assert {key: found[key] for key in texts | marks} == texts | marks
    assert "attribution_ref" not in found


@pytest.mark.parametrize(
    "name",
    [
        *("subscription_started_at", "purchased_at", "effective_next_renewal_at", "grace_period_expires_at"),
        *("auto_resume_at", "commitment_ends_at"),
    ],
)
def test_every_date_of_the_described(name: str) -> None:
    key = {"subscription_started_at": "original_purchased_at"}.get(name, name)
    fact: dict[str, Any] = {f"{key}_ms": MOMENT + 7000}
    assert profile(event("SUBSCRIPTION_STARTED", **fact))[name] == "$D_1770000007"


def test_a_profile_in_full() -> None:
    started = event(
        "SUBSCRIPTION_STARTED",
        original_purchased_at_ms=MOMENT - 5000,
        purchased_at_ms=MOMENT - 4000,
        effective_next_renewal_at_ms=MOMENT + 10_000,
        cumulated_revenues_in_eur=9.99,
        store="AMAZON_APP_STORE",
        is_family_shared=False,
    )
    assert profile(started) == {
        "user_id": "u",
        "environment": "PRODUCTION",
        "has_active_subscription": True,
        "subscriber_state": "active",
        "active_plans": "monthly",
        "active_subscriptions": 1,
        "has_access": True,
        "plan": "monthly",
        "store": "AMAZON_APPSTORE",
        "subscription_status": "AUTO_RENEWING",
        "is_family_shared": False,
        "subscription_started_at": "$D_1769999995",
        "purchased_at": "$D_1769999996",
        "effective_next_renewal_at": "$D_1770000010",
        "lifetime_revenue": 9.99,
        "lifetime_revenue_currency": "EUR",
        "last_event": "SUBSCRIPTION_STARTED",
        "last_event_at": "$D_1770000000",
    }


@pytest.mark.parametrize(
    "user",
    [
        *("null", "UNDEFINED", "None", "nil", "NaN", "0", "-1", "(null)", "[object Object]", "Optional(7)"),
        *("00000000-0000-0000-0000-000000000000", "anonymous", "Guest", "unknown", " null ", "\u200b", " "),
    ],
)
def test_ids_of_nobody(user: str) -> None:
    assert outcome(event("SUBSCRIPTION_STARTED", user_id=user)) == "parked unusable_identity"
    assert outcome(event("SUBSCRIPTION_STARTED", user_id=None, anonymous_user_id=user)) == "parked unusable_identity"


@pytest.mark.parametrize("user", ["nullable", "10", "guest-7", " u", "optional"])
def test_ids_of_somebody(user: str) -> None:
    assert profile(event("SUBSCRIPTION_STARTED", user_id=user), person=user)["user_id"] == user


def test_no_id_at_all() -> None:
    assert outcome(event("SUBSCRIPTION_STARTED", user_id="")) == "parked no_user"


@pytest.mark.parametrize(
    ("app", "right"),
    [
        (APP, "held"),
        ("custom", "delivered"),
        ("identity", "delivered"),
        ("skip", "skipped anonymous_user"),
    ],
)
def test_anonymous_in_every_mode(app: str, right: str) -> None:
    assert outcome(visit("SUBSCRIPTION_STARTED", app=app)) == right
    assert outcome(visit("SUBSCRIPTION_STARTED", app=app, clevertap_id="c")) == "delivered"
    gone = visit("SUBSCRIPTION_TRANSFERRED", app=app, transferred_to_user_id="u")
    assert outcome(gone) == "skipped became_known"


@pytest.mark.parametrize(
    "more", [{"transferred_to_anonymous_user_id": "w"}, {"transferred_to_user_id": "null"}, {"user_id": "w"}]
)
def test_transfers_that_are_no_logins(more: dict[str, Any]) -> None:
    gone = event("SUBSCRIPTION_TRANSFERRED", **({"user_id": None, "anonymous_user_id": "v"} | more))
    assert outcome(gone) in ("held", "delivered")


@pytest.mark.parametrize(
    ("visitor", "store", "right"),
    [
        ("v", "GOOGLE_PLAY_STORE", "__hv"),
        ("V", "AMAZON_APPSTORE", "__hV"),
        ("V", "HUAWEI_APPGALLERY", "__hV"),
        ("v", "APPLE_APP_STORE", "-hv"),
        ("V", "STRIPE", "-hV"),
        ("v", None, "__hv"),
    ],
)
def test_custom_clevertap_ids(visitor: str, store: str | None, right: str) -> None:
    started = event("SUBSCRIPTION_STARTED", app="custom", user_id=None, anonymous_user_id=visitor, store=store)
    assert told(started).records["C", "SUBSCRIPTION_STARTED-0-None", "SUBSCRIPTION_STARTED"].person == right


@pytest.mark.parametrize(
    ("name", "is_named"),
    [("SUBSCRIPTION_RECEIVED", True), ("ONE_TIME_PURCHASE_RECEIVED", True), ("SUBSCRIPTION_RENEWED", False)],
)
def test_received_names_the_visitor(name: str, is_named: bool) -> None:
    expected = told(visit("SUBSCRIPTION_STARTED"), event(name, DAY, transferred_from_anonymous_user_id="v"))
    assert expected.outcomes[APP, "SUBSCRIPTION_STARTED-0-None"] == ("delivered" if is_named else "held")
    record = expected.records.get(("P", "SUBSCRIPTION_STARTED-0-None", "SUBSCRIPTION_STARTED"))
    assert record == (Record("u", MOMENT // 1000, was_anonymous=True) if is_named else None)


@pytest.mark.parametrize(("days", "right"), [(29, "held"), (30, "skipped anonymous_user")])
def test_how_long_a_visitor_is_held(days: int, right: str) -> None:
    assert outcome(visit("SUBSCRIPTION_STARTED"), now=MOMENT + days * DAY) == right


@pytest.mark.parametrize(("days", "right"), [(30, "delivered"), (31, "skipped")])
def test_how_late_a_visitor_is_released(days: int, right: str) -> None:
    received = event("SUBSCRIPTION_RECEIVED", days * DAY, transferred_from_anonymous_user_id="v")
    expected = told(visit("SUBSCRIPTION_STARTED", plan="a", audience="gold"), received)
    assert expected.outcomes[APP, "SUBSCRIPTION_STARTED-0-None"] == right
    assert ("audience" in expected.profiles["P", "u"]) is (right == "delivered")


def test_an_association_releases_before_a_late_login() -> None:
    login = event("SUBSCRIPTION_RECEIVED", 60 * DAY, transferred_from_anonymous_user_id="v")
    associated = [Association(APP, "c", MOMENT + DAY, anonymous_user_id="v")]
    expected = told(visit("SUBSCRIPTION_STARTED"), login, associations=associated)
    assert {record.person for record in expected.records.values()} == {"u"}
    assert expected.ids == {("P", "u"): {"u", "c"}}


def test_holding_counts_from_the_receipt() -> None:
    received = event("SUBSCRIPTION_RECEIVED", 90 * DAY, transferred_from_anonymous_user_id="v")
    expected = told(visit("SUBSCRIPTION_STARTED"), received, received=MOMENT + 100 * DAY)
    assert set(expected.outcomes.values()) == {"delivered"}


@pytest.mark.parametrize(
    "later",
    [
        event("RENEWAL_ENABLED", 1, clevertap_id="c"),
        event("SUBSCRIPTION_RECEIVED", 1, transferred_from_anonymous_user_id="v"),
    ],
    ids=["by the device", "by the visitor"],
)
def test_a_device_becomes_its_visitors_user(later: Told) -> None:
    expected = told(visit("SUBSCRIPTION_STARTED", clevertap_id="c"), later)
    assert expected.profiles.keys() == {("P", "u")}
    assert expected.ids == {("P", "u"): {"u", "c"}}


@pytest.mark.parametrize("app", [APP, "custom", "identity", "skip"])
def test_an_association_of_a_visitor(app: str) -> None:
    associated = [Association(app, "c", MOMENT + 1, anonymous_user_id="v")]
    expected = told(visit("SUBSCRIPTION_STARTED", 2, app=app), associations=associated)
    assert {person for _, person in expected.profiles} == {"c"}


def test_an_association_of_a_user_comes_first() -> None:
    associated = [Association(APP, "c", MOMENT, user_id="w")]
    started = event("SUBSCRIPTION_STARTED", 1, clevertap_id="c")
    expected = told(started, event("SUBSCRIPTION_STARTED", 2, user_id="w"), associations=associated)
    assert expected.ids == {("P", "w"): {"w", "c"}}
    assert expected.profiles.keys() == {("P", "u"), ("P", "w")}


def test_associations_are_of_one_app() -> None:
    associated = [Association("all", "c", MOMENT, user_id="u")]
    assert not told(event("SUBSCRIPTION_STARTED"), associations=associated).ids.get(("P", "u"))


@pytest.mark.parametrize("who", ["u", "v"])
def test_suppressed_people(who: str) -> None:
    policies = {APP: Policy("P", "S", suppressed=frozenset({who}))}
    events = [visit("SUBSCRIPTION_STARTED"), event("SUBSCRIPTION_RECEIVED", 1, transferred_from_anonymous_user_id="v")]
    expected = expect(events, policies)
    assert expected.reasons[APP, "SUBSCRIPTION_STARTED-0-None"] == "suppressed"
    assert (expected.outcomes[APP, "SUBSCRIPTION_RECEIVED-1-"] == "delivered") is (who == "v")
    assert bool(expected.profiles) is bool(expected.records) is (who == "v")


def test_nothing_ends_by_a_login_in_any_mode() -> None:
    ended = visit("DEACTIVATE", 1, app="identity", subscription_status="DEACTIVATED")
    gone = visit("SUBSCRIPTION_TRANSFERRED", 1, app="identity", transferred_to_user_id="u")
    started = visit("SUBSCRIPTION_STARTED", app="identity")
    assert profile(started, ended, gone, person="v", account="I")["has_active_subscription"] is True
    assert profile(started, ended, person="v", account="I")["has_active_subscription"] is False


# Subscriptions


def test_a_store_name_is_of_its_time() -> None:
    store: dict[str, Any] = {"store_original_transaction_id": "o"}
    events = [
        event("SUBSCRIPTION_STARTED", **store),
        event("RENEWAL_DISABLED", 5, purchasely_subscription_id=None, audience="a", **store),
        event(
            "SUBSCRIPTION_STARTED", 9, purchasely_subscription_id="subs_2", plan="yearly", plan_price_in_eur=9, **store
        ),
        event("RENEWAL_ENABLED", 12, purchasely_subscription_id=None, audience="b", **store),
    ]
    assert profile(*events)["audience"] == "b"
    assert profile(*events)["active_subscriptions"] == 2
    assert profile(*events[:3])["audience"] == "NONE"


@pytest.mark.parametrize(
    ("other", "right"),
    [
        ({"is_family_shared": True, "plan_price_in_eur": 99}, "monthly"),
        ({"plan_price_in_eur": 5.01}, "other"),
        ({"plan_price_in_eur": 4.99}, "monthly"),
        ({"plan_price_in_eur": 5, "original_purchased_at_ms": MOMENT - 2}, "other"),
        ({"plan_price_in_eur": 5, "original_purchased_at_ms": MOMENT}, "monthly"),
        ({"plan_price_in_eur": 99, "subscription_status": "PAUSED"}, "monthly"),
        ({"plan_price_in_eur": None, "plan_price_in_customer_currency": 6}, "other"),
    ],
)
def test_which_subscription_is_described(other: dict[str, Any], right: str) -> None:
    mine = event("SUBSCRIPTION_STARTED", plan_price_in_eur=5, original_purchased_at_ms=MOMENT - 1)
    second = event("SUBSCRIPTION_STARTED", 1, purchasely_subscription_id="subs_2", plan="other", **other)
    assert profile(mine, second)["plan"] == right


def test_a_replaced_subscription_is_not_described() -> None:
    upgraded: dict[str, Any] = {"purchasely_subscription_id": "subs_2", "plan": "yearly"}
    found = profile(
        event("SUBSCRIPTION_STARTED"),
        event("SUBSCRIPTION_UPGRADED", 1, from_purchasely_subscription_id="subs_1", **upgraded),
        event("SUBSCRIPTION_TERMINATED", 2, **upgraded),
        event("TRANSACTION_PROCESSED", 3, amount_in_eur=-1.0),
    )
    assert (found["plan"], found["has_active_subscription"]) == ("yearly", False)


@pytest.mark.parametrize(
    ("name", "right"),
    [("DEACTIVATE", False), ("TRANSACTION_PROCESSED", False), ("SUBSCRIPTION_RECEIVED", True), ("ACTIVATE", True)],
)
def test_what_brings_a_moved_subscription_back(name: str, right: bool) -> None:
    found = profile(
        event("SUBSCRIPTION_STARTED"),
        event("SUBSCRIPTION_TRANSFERRED", 1, transferred_to_user_id="w"),
        event(name, 2, amount_in_eur=1.0),
    )
    assert found["has_active_subscription"] is right
    assert (found["subscriber_state"] == "transferred") is not right


def test_a_moved_pass_does_not_come_back_by_its_end() -> None:
    a_pass: dict[str, Any] = {"purchase_type": "NON_RENEWING_SUBSCRIPTION", "store_original_transaction_id": "o"}
    found = profile(
        purchase("ACTIVATE", **a_pass),
        purchase("ONE_TIME_PURCHASE_TRANSFERRED", 1, **a_pass, transferred_to_user_id="w"),
        purchase("DEACTIVATE", 2, **a_pass),
    )
    assert (found["has_active_subscription"], found["subscriber_state"]) == (False, "transferred")


def test_a_replaced_subscription_alone_is_described() -> None:
    nameless: dict[str, Any] = {"purchasely_subscription_id": None, "purchase_type": "CONSUMABLE"}
    upgraded = event("SUBSCRIPTION_UPGRADED", 1, from_purchasely_subscription_id="subs_1", **nameless)
    assert profile(event("SUBSCRIPTION_STARTED"), upgraded)["plan"] == "monthly"


def test_a_pause_does_not_lapse() -> None:
    paused = event("SUBSCRIPTION_PAUSED", subscription_status="PAUSED", effective_next_renewal_at_ms=MOMENT)
    assert profile(paused, now=MOMENT + 900 * DAY)["subscriber_state"] == "paused"


def test_a_text_of_another_subscription_does_not_hold() -> None:
    first: dict[str, Any] = {"audience": "gold", "attribution": {"utm_source": "letter"}, "promotional_offer_id": "x"}
    found = profile(
        event("SUBSCRIPTION_STARTED", **first, auto_resume_at_ms=MOMENT, is_family_shared=True),
        event("SUBSCRIPTION_STARTED", 1, purchasely_subscription_id="subs_2"),
    )
    texts = ("audience", "attribution_utm_source", "promotional_offer_id")
    assert {key: found[key] for key in texts} == dict.fromkeys(texts, "NONE")
    assert found["is_family_shared"] is False
    assert "auto_resume_at" not in found


def test_a_date_of_another_subscription_may_stay() -> None:
    expected = told(
        event("SUBSCRIPTION_STARTED", auto_resume_at_ms=MOMENT),
        event("SUBSCRIPTION_STARTED", 1, purchasely_subscription_id="subs_2", plan_price_in_eur=5),
    )
    assert expected.may_stay == {("P", "u"): {"auto_resume_at": {"$D_1770000000"}}}


@pytest.mark.parametrize(
    ("name", "facts", "state"),
    [
        ("TRIAL_STARTED", {"offer_type": "FREE_TRIAL"}, "trial"),
        ("TRIAL_STARTED", {"offer_type": "INTRO_OFFER"}, "intro_offer"),
        ("TRIAL_STARTED", {"offer_type": "PROMO_CODE"}, "active"),
        ("TRIAL_STARTED", {"offer_type": "FREE_TRIAL", "subscription_status": "AUTO_RENEWING_CANCELED"}, "cancelled"),
        ("TRIAL_STARTED", {"offer_type": "FREE_TRIAL", "subscription_status": "IN_GRACE_PERIOD"}, "grace_period"),
        ("FAMILY_SHARED_REVOKED", {"subscription_status": "REVOKED", "is_family_shared": True}, "expired"),
    ],
)
def test_states_of_a_subscriber(name: str, facts: dict[str, Any], state: str) -> None:
    assert profile(event(name, **facts))["subscriber_state"] == state


@pytest.mark.parametrize(
    ("status", "more", "hours", "right"),
    [
        ("AUTO_RENEWING_CANCELED", {}, 47, True),
        ("AUTO_RENEWING_CANCELED", {}, 48, False),
        ("AUTO_RENEWING", {}, 335, True),
        ("AUTO_RENEWING", {}, 336, False),
        ("IN_GRACE_PERIOD", {}, 335, True),
        ("AUTO_RENEWING_CANCELED", {"commitment_ends_at_ms": MOMENT + DAY}, 71, True),
        ("AUTO_RENEWING_CANCELED", {"commitment_ends_at_ms": MOMENT + DAY}, 72, False),
        ("AUTO_RENEWING", {"purchase_type": "NON_RENEWING_SUBSCRIPTION"}, 48, False),
        ("AUTO_RENEWING_CANCELED", {"effective_next_renewal_at_ms": None, "next_renewal_at_ms": MOMENT}, 48, False),
        ("AUTO_RENEWING_CANCELED", {"effective_next_renewal_at_ms": None}, 9999, True),
    ],
)
def test_lapses(status: str, more: dict[str, Any], hours: int, right: bool) -> None:
    fields: dict[str, Any] = {"effective_next_renewal_at_ms": MOMENT, "subscription_status": status} | more
    found = profile(event("RENEWAL_DISABLED", -DAY, **fields), now=MOMENT + hours * 3_600_000)
    assert found["has_active_subscription"] is right
    assert (found["subscription_status"] == "DEACTIVATED") is not right


# One-time purchases and money


def test_owned_products_of_several_purchases() -> None:
    events = [
        purchase("ACTIVATE", store_transaction_id="1", product="b"),
        purchase("ACTIVATE", 1, store_transaction_id="2", product="a"),
        purchase("ACTIVATE", 2, store_transaction_id="3", product="a"),
        purchase("DEACTIVATE", 3, store_transaction_id="3", product="a"),
        purchase("ACTIVATE", 4, store_transaction_id="4", product="coins", purchase_type="CONSUMABLE", plan="coins"),
    ]
    found = profile(*events)
    assert (found["owned_products"], found["last_one_time_purchase"], found["has_access"]) == ("a, b", "coins", True)


def test_only_some_events_tell_who_owns() -> None:
    assert profile(purchase("ACTIVATE"), purchase("SOMETHING_NEW", 1))["owned_products"] == "book"
    assert "owned_products" not in profile(purchase("ACTIVATE", product=None))
    received = purchase("ONE_TIME_PURCHASE_RECEIVED", transferred_from_user_id="w")
    assert profile(received)["owned_products"] == "book"


def test_what_is_given_back_is_no_purchase() -> None:
    events = [purchase("ACTIVATE", plan="pen"), purchase("DEACTIVATE", 1, plan="ink")]
    assert profile(*events)["last_one_time_purchase"] == "pen"


def test_a_purchase_is_charged_once() -> None:
    again = purchase("ACTIVATE", DAY, user_id="w")
    expected = told(purchase("ACTIVATE"), again)
    charged = Record("u", MOMENT // 1000, 5.0, "EUR", "t")
    assert [record for (_, _, name), record in expected.records.items() if name == "Charged"] == [charged]
    assert expected.instead == {
        ("P", "ACTIVATE-0-None", "Charged"): {
            ("P", "ACTIVATE-86400000-Nonew", "Charged"): Record("w", MOMENT // 1000 + 86_400, 5.0, "EUR", "t")
        }
    }


@pytest.mark.parametrize(
    ("events", "refunds"),
    [
        ([purchase("ACTIVATE"), purchase("DEACTIVATE", 1)], 1),
        ([purchase("ACTIVATE"), purchase("DEACTIVATE", 1), purchase("DEACTIVATE", 2)], 1),
        ([purchase("DEACTIVATE", 1)], 0),
        ([purchase("ACTIVATE", plan_price_in_eur=0), purchase("DEACTIVATE", 1)], 0),
        ([purchase("ACTIVATE"), purchase("DEACTIVATE", 1), purchase("ONE_TIME_PURCHASE_TRANSFERRED", 1)], 0),
        ([purchase("ACTIVATE"), purchase("DEACTIVATE", 2), purchase("ONE_TIME_PURCHASE_TRANSFERRED", 1)], 1),
    ],
)
def test_what_is_refunded(events: list[Told], refunds: int) -> None:
    names = [name for _, _, name in told(*events).records]
    assert names.count("Refunded") == refunds


@pytest.mark.parametrize(
    ("money", "right"),
    [
        ({"amount_in_eur": "4.99"}, (4.99, "EUR")),
        ({"amount_in_eur": 4.99, "amount_in_usd": 5.4, "plan_price_in_eur": 1}, (4.99, "EUR")),
        ({"amount_in_eur": 4.99, "amount_in_usd": 5.4, "plan_price_in_usd": 1}, (5.4, "USD")),
        ({"amount_in_usd": 5.4, "cumulated_revenues_in_usd": 1, "amount_in_chf": 9}, (5.4, "USD")),
        ({"amount_in_customer_currency": 900, "customer_currency": "HUF", "plan_price_in_huf": 1}, (900.0, "HUF")),
        ({"amount_in_customer_currency": 900, "customer_currency": "HUF", "plan_price_in_eur": 1}, None),
        ({"amount_in_eur": True}, None),
        ({"amount_in_customer_currency": 9.0}, None),
        ({"customer_currency": "EUR"}, None),
        ({"plan_price_in_eur": 9.0}, None),
        ({"amount_in_eur": "much"}, None),
        ({"amount_in_eur": 0}, None),
    ],
)
def test_amounts(money: dict[str, Any], right: tuple[float, str] | None) -> None:
    records = told(event("TRANSACTION_PROCESSED", **money)).records
    charged = records.get(("P", "TRANSACTION_PROCESSED-0-", "Charged"))
    assert (charged and (charged.amount, charged.currency)) == right


def test_the_customers_currency_falls_back() -> None:
    policies = {APP: Policy("P", "S", currency="customer")}
    events = [event("TRANSACTION_PROCESSED", amount_in_eur=4.99, customer_currency="HUF")]
    charged = expect(events, policies).records["P", "TRANSACTION_PROCESSED-0-", "Charged"]
    assert (charged.amount, charged.currency) == (4.99, "EUR")


@pytest.mark.parametrize(
    ("switched_off", "right"),
    [
        ({"refunds": None}, {("ACTIVATE-0-None", "Charged"): 5.0, ("TRANSACTION_PROCESSED-0-", "Charged"): 4.99}),
        ({"charged": False}, {("TRANSACTION_PROCESSED-2-", "Refunded"): 4.99}),
    ],
    ids=["refunds", "charged"],
)
def test_money_that_is_switched_off(switched_off: dict[str, Any], right: dict[tuple[str, str], float]) -> None:
    events = [
        *(purchase("ACTIVATE"), purchase("DEACTIVATE", 1)),
        *(event("TRANSACTION_PROCESSED", at, amount_in_eur=amount) for at, amount in ((0, 4.99), (2, -4.99))),
    ]
    records = expect(events, {APP: Policy("P", "S", **switched_off)}).records
    assert {key[1:]: record.amount for key, record in records.items() if record.amount is not None} == right


@pytest.mark.parametrize(
    "given",
    [
        purchase("ACTIVATE", plan_price_in_eur=None),
        purchase("ACTIVATE", plan_price_in_eur=-5),
        purchase("ACTIVATE", plan_price_in_eur=None, plan_price_in_customer_currency=5),
        event("SUBSCRIPTION_RENEWED", amount_in_eur=4.99),
        event("ACTIVATE", plan_price_in_eur=4.99),
    ],
)
def test_what_is_not_charged(given: Told) -> None:
    assert "Charged" not in [name for _, _, name in told(given).records]


def test_purchases_without_a_transaction() -> None:
    unnamed = [purchase("ACTIVATE", at, store_transaction_id=None) for at in (0, 1)]
    named = [purchase("ACTIVATE", at, store_transaction_id=None, purchasely_one_time_purchase_id="o") for at in (2, 3)]
    names = [name for _, _, name in told(*unnamed, *named).records]
    assert names.count("Charged") == 3


# Settings


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, {"TRIAL_STARTED"}),
        ({"ACTIVATE": {"send": True}}, {"TRIAL_STARTED", "ACTIVATE"}),
        ({"ACTIVATE": {"name": "On"}}, {"TRIAL_STARTED"}),
        ({"*": {"send": True}}, {"TRIAL_STARTED"}),
        ({"*": {"send": False}}, set()),
        ({"*": {"send": False}, "TRIAL_STARTED": {"send": True}}, {"TRIAL_STARTED"}),
        ({"*": {"send": False}, "TRIAL_STARTED": {"name": "Trial"}}, set()),
        ({"TRIAL_STARTED": {"send": False}}, set()),
        ({"TRIAL_STARTED": {"name": "Trial"}}, {"Trial"}),
    ],
)
def test_which_events_are_sent(settings: dict[str, Any], sent: set[str]) -> None:
    policies = {APP: Policy.of({"events": settings}, "P", "S")}
    expected = expect([event("TRIAL_STARTED"), event("ACTIVATE")], policies)
    assert {name for _, _, name in expected.records} == sent


@pytest.mark.parametrize(
    ("mode", "sandbox", "reason", "account"),
    [
        ("separate", "S", None, "S"),
        ("separate", None, "no_sandbox_account", None),
        ("skip", "S", "sandbox_switched_off", None),
        ("mix", None, None, "P"),
    ],
)
def test_where_test_purchases_go(mode: str, sandbox: str | None, reason: str | None, account: str | None) -> None:
    policies = {APP: Policy.of({"sandbox": mode}, "P", sandbox)}
    expected = expect([event("TRIAL_STARTED", environment="SANDBOX")], policies)
    assert list(expected.reasons.values()) == ([] if reason is None else [reason])
    assert [each for each, _ in expected.profiles] == [each for each, _, _ in expected.records]
    assert [each for each, _ in expected.profiles] == ([] if account is None else [account])


@pytest.mark.parametrize("name", LIFECYCLES)
def test_copies_change_nothing(name: str) -> None:
    for app in POLICIES:
        events = [(app, each) for each in LIFECYCLES[name](3, datetime(2026, 1, 1, tzinfo=UTC)).events]
        expected = expect(events, POLICIES)
        assert expect([*reversed(events), *events], POLICIES) == expected
        assert expected != Expected()
