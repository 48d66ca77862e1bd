"""The oracle says what CleverTap must have. Its answers here are worked out by hand."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chaos.former_oracle import Policy, expect
from chaos.oracle import Expected, Record
from purchasely_sender import LIFECYCLES

MOMENT = 1_770_000_000_000
POLICIES = {
    "default": Policy("P", "S"),
    "other": Policy("P2", "P2", switched_off=frozenset({"DEACTIVATE"}), anonymous_is_identity=True, charged=False),
}


def event(name: str, at: int = 0, *, app: str = "default", **more: Any) -> tuple[str, dict[str, Any]]:
    fields: dict[str, Any] = {
        "event_name": name,
        "event_id": f"{name}-{at}-{more.get('purchasely_subscription_id', '')}",
        "event_created_at_ms": MOMENT + at,
        "environment": "PRODUCTION",
        "user_id": "u",
        "purchase_type": "RENEWING_SUBSCRIPTION",
        "purchasely_subscription_id": "subs_1",
        "subscription_status": "AUTO_RENEWING",
        "plan": "monthly",
    }
    return app, fields | more


def profile(*events: tuple[str, dict[str, Any]], identity: str = "u", account: str = "P") -> dict[str, Any]:
    """What all orders of the events lead to."""
    expected = expect(events, POLICIES).profiles[account, identity]
    assert expect(reversed(events), POLICIES).profiles[account, identity] == expected
    return expected


def test_a_started_subscription() -> None:
    started = event(
        "SUBSCRIPTION_STARTED",
        original_purchased_at_ms=MOMENT - 5000,
        effective_next_renewal_at_ms=MOMENT + 10_000,
        cumulated_revenues_in_eur=9.99,
        store="AMAZON_APP_STORE",
    )
    assert profile(started) == {
        "user_id": "u",
        "environment": "PRODUCTION",
        "has_active_subscription": True,
        "plan": "monthly",
        "store": "AMAZON_APPSTORE",
        "subscription_status": "AUTO_RENEWING",
        "subscription_started_at": "$D_1769999995",
        "effective_next_renewal_at": "$D_1770000010",
        "lifetime_revenue": 9.99,
        "lifetime_revenue_currency": "EUR",
        "last_event": "SUBSCRIPTION_STARTED",
        "last_event_at": "$D_1770000000",
    }


def test_the_latest_event_has_the_last_word_and_what_it_does_not_tell_stays() -> None:
    found = profile(
        event("SUBSCRIPTION_STARTED", promotional_offer_id="comeback"),
        event("RENEWAL_DISABLED", 1000, subscription_status="AUTO_RENEWING_CANCELLED"),
        event("SUBSCRIPTION_TERMINATED", 2000, subscription_status="DEACTIVATED", plan="yearly"),
    )
    assert found["has_active_subscription"] is False
    assert (found["subscription_status"], found["plan"]) == ("DEACTIVATED", "yearly")
    assert (found["promotional_offer_id"], found["last_event"]) == ("comeback", "SUBSCRIPTION_TERMINATED")


def test_of_one_moment_the_lifecycle_has_the_last_word() -> None:
    names = ["ACTIVATE", "TRIAL_CONVERTED", "SUBSCRIPTION_RENEWED", "TRANSACTION_PROCESSED"]
    events = [event(name, app="other", subscription_status=name, amount_in_customer_currency=1.0) for name in names]
    found = profile(*events, account="P2")
    assert found["last_event"] == found["subscription_status"] == "SUBSCRIPTION_RENEWED"


def test_one_active_subscription_is_enough_and_is_the_one_shown() -> None:
    found = profile(
        event("SUBSCRIPTION_STARTED", purchasely_subscription_id="subs_1", plan="plus"),
        event("SUBSCRIPTION_TERMINATED", 1000, purchasely_subscription_id="subs_2", subscription_status="DEACTIVATED"),
    )
    assert (found["has_active_subscription"], found["plan"]) == (True, "plus")


def test_a_transferred_subscription_is_not_the_givers_any_more() -> None:
    found = profile(
        event("SUBSCRIPTION_STARTED"),
        event("DEACTIVATE", 1000, app="default"),
        event("SUBSCRIPTION_TRANSFERRED", 1000),
        event("SUBSCRIPTION_RECEIVED", 1000, user_id="v"),
    )
    assert found == {
        "user_id": "u",
        "environment": "PRODUCTION",
        "has_active_subscription": False,
        "last_event": "SUBSCRIPTION_TRANSFERRED",
        "last_event_at": "$D_1770000001",
    }


def test_a_change_of_plan_ends_the_former_subscription() -> None:
    found = profile(
        event("SUBSCRIPTION_STARTED", plan="basic"),
        event(
            "SUBSCRIPTION_UPGRADED",
            1000,
            purchasely_subscription_id="subs_2",
            from_purchasely_subscription_id="subs_1",
            plan="premium",
        ),
        event("TRANSACTION_PROCESSED", 2000, plan="basic", amount_in_customer_currency=-3.0),
    )
    assert (found["plan"], found["has_active_subscription"]) == ("premium", True)


def test_what_is_given_back_is_not_the_last_purchase() -> None:
    bought: dict[str, Any] = {
        "purchase_type": "CONSUMABLE",
        "purchasely_subscription_id": None,
        "subscription_status": None,
    }
    events = [
        event("ACTIVATE", app="other", **bought, plan="coins"),
        event("DEACTIVATE", 1000, app="other", **bought, plan="gems"),
    ]
    for _, fields in events:
        del fields["purchasely_subscription_id"], fields["subscription_status"]
    assert profile(*events, account="P2")["last_one_time_purchase"] == "coins"


@pytest.mark.parametrize(
    ("given", "outcome", "records"),
    [
        (event("ACTIVATE"), "skipped", set()),
        (event("ACTIVATE", app="other"), "delivered", {("P2", "ACTIVATE")}),
        (event("RENEWAL_ENABLED"), "delivered", {("P", "RENEWAL_ENABLED")}),
        (event("RENEWAL_ENABLED", environment="SANDBOX"), "delivered", {("S", "RENEWAL_ENABLED")}),
        (event("RENEWAL_ENABLED", user_id=None, anonymous_user_id="A"), "skipped", set()),
        (
            event("RENEWAL_ENABLED", app="other", user_id=None, anonymous_user_id="A"),
            "delivered",
            {("P2", "RENEWAL_ENABLED")},
        ),
        (
            event("TRANSACTION_PROCESSED", amount_in_customer_currency="4.99"),
            "delivered",
            {("P", "TRANSACTION_PROCESSED"), ("P", "Charged")},
        ),
        (
            event("TRANSACTION_PROCESSED", amount_in_customer_currency=-4.99),
            "delivered",
            {("P", "TRANSACTION_PROCESSED")},
        ),
        (
            event("TRANSACTION_PROCESSED", app="other", amount_in_customer_currency=4.99),
            "delivered",
            {("P2", "TRANSACTION_PROCESSED")},
        ),
    ],
)
def test_what_is_sent_where(given: tuple[str, dict[str, Any]], outcome: str, records: set[tuple[str, str]]) -> None:
    app, fields = given
    expected = expect([(app, {key: value for key, value in fields.items() if value is not None})], POLICIES)
    assert expected.outcomes == {(app, fields["event_id"]): outcome}
    assert {(account, name) for account, _, name in expected.records} == records


def test_a_record_is_expected_with_its_person_its_time_and_its_amount() -> None:
    app, fields = event("TRANSACTION_PROCESSED", 2500, amount_in_customer_currency=4.99)
    expected = expect([(app, fields)], POLICIES)
    assert expected.records["P", fields["event_id"], "Charged"] == Record("u", MOMENT // 1000 + 2, 4.99)
    assert expected.records["P", fields["event_id"], "TRANSACTION_PROCESSED"] == Record("u", MOMENT // 1000 + 2)


@pytest.mark.parametrize("name", LIFECYCLES)
def test_how_often_and_in_which_order_events_come_changes_nothing(name: str) -> None:
    events = [("other", each) for each in LIFECYCLES[name](3, datetime(2026, 1, 1, tzinfo=UTC)).events]
    expected = expect(events, POLICIES)
    assert expect([*reversed(events), *events], POLICIES) == expected
    assert expected != Expected()
