"""The imitated lifecycles: what is true of every payload, and what single lifecycles tell."""

import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby, islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import purchasely_sender
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_sender.lifecycles import LIFECYCLES, Lifecycle, Scenario, many
from purchasely_sender.names import EVENT_NAMES, ONE_TIME_NAMES, UNKNOWN_EVENT
from purchasely_sender.payload import Payload, moved
from purchasely_sender.shop import convert

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 2, 2, 10, tzinfo=UTC)

MANDATORY = {
    *("api_version", "event_name", "event_id", "event_created_at", "event_created_at_ms", "environment"),
    *("store_app_bundle_id", "store_product_id", "store_country", "store_transaction_id"),
    *("store_original_transaction_id", "purchase_type", "product", "purchased_at", "purchased_at_ms"),
    *("original_purchased_at", "original_purchased_at_ms", "offer_type"),
}
MONEY = {"amount_in_customer_currency", "amount_in_usd", "amount_in_eur", "source_event_name"}
PLAN_CHANGES = {"SUBSCRIPTION_UPGRADED", "SUBSCRIPTION_DOWNGRADED", "SUBSCRIPTION_CROSSGRADED"}
ACTIVE = {"AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD"}
TRANSACTION_IDS = {
    "APPLE_APP_STORE": r"2\d{15}",
    "GOOGLE_PLAY_STORE": r"GPA\.\d{4}-\d{4}-\d{4}-\d{5}(\.\.\d+)?",
    "AMAZON_APPSTORE": r"\w{44}:3:\d+",
    "HUAWEI_APPGALLERY": r"\d{13}\.\d{6}",
    "STRIPE": r"in_1\w{23}",
}

lifecycles = st.builds(
    lambda scenario, seed, start, currency: scenario(seed, EPOCH + timedelta(milliseconds=start), currency),
    scenario=st.sampled_from(list(LIFECYCLES.values())),
    seed=st.integers(),
    start=st.integers(1_420_000_000_000, 4_100_000_000_000),  # 2015 to 2099
    currency=st.sampled_from(("usd", "eur")),
)
every_lifecycle = pytest.mark.parametrize("scenario", LIFECYCLES.values(), ids=lambda scenario: scenario.name)


def told(name: str, seed: int = 1) -> Lifecycle:
    return LIFECYCLES[name](seed, START)


def facts(lifecycle: Lifecycle) -> list[list[Payload]]:
    """The events that share their instant, together."""
    return [list(events) for _, events in groupby(lifecycle.events, key=lambda event: event["event_created_at_ms"])]


def names(events: list[Payload]) -> list[str]:
    return [event["event_name"] for event in events]


def fact(lifecycle: Lifecycle, name: str) -> list[Payload]:
    return next(events for events in facts(lifecycle) if name in names(events))


def user(event: Payload) -> str:
    return str(event.get("user_id") or event["anonymous_user_id"])


@given(lifecycles)
@settings(max_examples=120)
def test_every_date_has_a_twin(lifecycle: Lifecycle) -> None:
    for event in lifecycle.events:
        dates = {key for key in event if key.endswith("_at")}
        assert {f"{key}_ms" for key in dates} == {key for key in event if key.endswith("_ms")}
        for key in dates:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event[key])
            instant = datetime.fromisoformat(event[key]) - EPOCH
            assert instant // timedelta(milliseconds=1) == event[f"{key}_ms"]


@given(lifecycles)
@settings(max_examples=120)
def test_every_payload_is_complete(lifecycle: Lifecycle) -> None:
    for event in lifecycle.events:
        assert event.keys() >= MANDATORY
        assert event["api_version"] == 3
        assert {key for key, value in event.items() if value is None} <= {"store_country", "loyalty_since"}
        assert ("user_id" in event) != ("anonymous_user_id" in event)
        assert ("purchasely_subscription_id" in event) != ("purchasely_one_time_purchase_id" in event)
        assert ("subscription_status" in event) == ("purchasely_subscription_id" in event)
        assert ("purchase_token" in event) == (event["store"] == "GOOGLE_PLAY_STORE")
        assert json.loads(purchasely_sender.encode(event)) == event


@given(lifecycles)
@settings(max_examples=120)
def test_ids_are_lower_case_uuids_and_never_repeat(lifecycle: Lifecycle) -> None:
    ids = [event["event_id"] for event in lifecycle.events]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event_id) for event_id in ids)


@given(lifecycles)
@settings(max_examples=120)
def test_money_stands_only_on_transactions(lifecycle: Lifecycle) -> None:
    for events in facts(lifecycle):
        for event in events:
            if event["event_name"] == "TRANSACTION_PROCESSED":
                assert len(event.keys() & MONEY) == 3
                assert float(event["amount_in_customer_currency"]) != 0
                assert event["source_event_name"] in names(events)
            else:
                assert not event.keys() & MONEY


@given(lifecycles)
@settings(max_examples=120)
def test_cumulated_revenues_are_the_users_sum(lifecycle: Lifecycle) -> None:
    earned: dict[str, float] = defaultdict(float)
    for events in facts(lifecycle):
        for event in events:
            if event["event_name"] == "TRANSACTION_PROCESSED":
                (amount,) = (event[key] for key in ("amount_in_usd", "amount_in_eur") if key in event)
                earned[user(event)] += float(amount)
        # A fact with two transactions (an upgrade) tells them one after the other: the last event has both.
        last = events[-1]
        (revenues,) = (value for key, value in last.items() if key.startswith("cumulated_revenues_in_"))
        assert revenues == pytest.approx(earned[user(last)], abs=0.001)


@given(lifecycles)
@settings(max_examples=120)
def test_time_goes_forward(lifecycle: Lifecycle) -> None:
    assert all(one["event_created_at_ms"] <= two["event_created_at_ms"] for one, two in pairwise(lifecycle.events))
    originals: dict[str, int] = {}
    for event in lifecycle.events:
        first = originals.setdefault(event["store_original_transaction_id"], event["original_purchased_at_ms"])
        assert event["original_purchased_at_ms"] == first <= event["purchased_at_ms"]
        assert event["original_purchased_at_ms"] <= event["event_created_at_ms"]
        assert event["purchased_at_ms"] % 1000 == 0


@given(lifecycles)
@settings(max_examples=120)
def test_keys_of_single_events_stand_on_no_other(lifecycle: Lifecycle) -> None:
    for event in lifecycle.events:
        name = event["event_name"]
        assert ("previous_plan" in event) == ("from_purchasely_subscription_id" in event) == (name in PLAN_CHANGES)
        assert any(key.startswith("transferred_from_") for key in event) == name.endswith("_RECEIVED")
        assert any(key.startswith("transferred_to_") for key in event) == name.endswith("_TRANSFERRED")
        assert ("offer_identifier" in event) == name.startswith("PROMO")
        assert ("offer_code_ref_name" in event) == name.startswith("PROMO_CODE_")
        assert ("promotional_offer_id" in event) == name.startswith("PROMOTIONAL_OFFER_")


@given(lifecycles)
@settings(max_examples=120)
def test_access_follows_the_status(lifecycle: Lifecycle) -> None:
    for events in facts(lifecycle):
        moved_away = any(name.endswith("_TRANSFERRED") for name in names(events))
        for event in events:
            if "subscription_status" in event and not moved_away:
                active = event["subscription_status"].replace("CANCELLED", "CANCELED") in ACTIVE
                assert active or event["event_name"] != "ACTIVATE"
                assert not active or event["event_name"] != "DEACTIVATE"


@given(st.sampled_from(list(LIFECYCLES.values())), st.integers())
@settings(max_examples=60)
def test_transactions_look_like_those_of_their_store(scenario: Scenario, seed: int) -> None:
    for event in scenario(seed, START).events:
        store = event["store"].replace("APP_STORE", "APPSTORE").replace("APP_GALLERY", "APPGALLERY")
        pattern = TRANSACTION_IDS[store.replace("APPLE_APPSTORE", "APPLE_APP_STORE")]
        assert re.fullmatch(pattern, event["store_transaction_id"])
        assert re.fullmatch(pattern, event["store_original_transaction_id"])


@every_lifecycle
def test_the_same_seed_and_start_tell_the_same(scenario: Scenario) -> None:
    assert scenario(7, START) == scenario(7, START)
    assert scenario(7, START) != scenario(8, START)
    assert scenario(7, START).user.id != scenario(8, START).user.id


@every_lifecycle
def test_a_lifecycle_may_end_at_a_given_time(scenario: Scenario) -> None:
    last = scenario.ending(3, START).events[-1]["event_created_at_ms"]
    assert 0 <= START.timestamp() * 1000 - last <= 2000


@every_lifecycle
def test_a_lifecycle_says_of_whom_it_tells(scenario: Scenario) -> None:
    assert scenario(1, START).name == scenario.name
    assert user(scenario(1, START).events[0]) == scenario(1, START).user.id


@given(st.integers())
@settings(max_examples=10)
def test_together_they_hold_every_event(seed: int) -> None:
    found = {event["event_name"] for scenario in LIFECYCLES.values() for event in scenario(seed, START).events}
    assert found == {*EVENT_NAMES, UNKNOWN_EVENT}


def test_the_catalogue_has_the_senders_names() -> None:
    assert list(EVENT_NAMES) == [name for name in CATALOGUE if name not in ONE_TIME_NAMES]
    assert set(ONE_TIME_NAMES) <= set(CATALOGUE)
    assert UNKNOWN_EVENT not in CATALOGUE


def test_the_sender_shares_no_code_with_the_receiver() -> None:
    for module in Path(purchasely_sender.__file__).parent.glob("*.py"):
        assert "purchasely_clevertap" not in module.read_text(encoding="utf-8"), module.name


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        LIFECYCLES["renewals"](1, START.replace(tzinfo=None))


def test_the_zone_of_the_start_does_not_matter() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=9)))
    assert LIFECYCLES["renewals"](1, elsewhere) == LIFECYCLES["renewals"](1, START)


def test_the_console_currency_names_the_keys() -> None:
    event = LIFECYCLES["renewals"](1, START, "eur").events[2]
    assert {key for key in event if key.endswith("_eur")} == {
        "amount_in_eur",
        "plan_price_in_eur",
        "cumulated_revenues_in_eur",
    }
    assert not any(key.endswith("_usd") for key in event)


def test_an_amount_is_converted() -> None:
    assert convert(10.0, "EUR", "USD") == 10.8
    assert convert(1000.0, "JPY", "USD") == 6.7
    assert convert(10.8, "USD", "EUR") == convert(10.0, "EUR", "EUR") == 10.0


def test_a_renewal_is_three_events_of_one_instant() -> None:
    assert [names(events) for events in facts(told("renewals"))] == [
        ["ACTIVATE", "SUBSCRIPTION_STARTED", "TRANSACTION_PROCESSED"],
        *[["ACTIVATE", "SUBSCRIPTION_RENEWED", "TRANSACTION_PROCESSED"]] * 3,
    ]


def test_only_first_events_have_no_previous_offer() -> None:
    events = told("trial_converts").events
    assert [event["event_name"] for event in events if "previous_offer_type" not in event] == [
        "ACTIVATE",
        "SUBSCRIPTION_STARTED",
    ]
    converted = next(event for event in events if event["event_name"] == "TRIAL_CONVERTED")
    assert (converted["previous_offer_type"], converted["offer_type"]) == ("FREE_TRIAL", "NONE")


def test_a_trial_costs_nothing() -> None:
    start = fact(told("trial_converts"), "TRIAL_STARTED")
    assert names(start) == ["ACTIVATE", "SUBSCRIPTION_STARTED", "TRIAL_STARTED"]
    assert {event["plan_price_in_customer_currency"] for event in start} == {0.0}


def test_a_refund_is_the_last_payment_with_a_minus() -> None:
    *_, paid, refunded = (event for event in told("refund").events if event["event_name"] == "TRANSACTION_PROCESSED")
    assert refunded["source_event_name"] == "SUBSCRIPTION_REFUNDED_REVOKED"
    assert refunded["amount_in_customer_currency"] == -paid["amount_in_customer_currency"]
    assert refunded["subscription_status"] == "REVOKED"


def test_an_upgrade_gives_back_in_part() -> None:
    old, refunded, new, upgraded, paid = fact(told("upgrade"), "SUBSCRIPTION_UPGRADED")
    assert names([old, refunded, new, paid]) == [
        *("DEACTIVATE", "TRANSACTION_PROCESSED", "ACTIVATE", "TRANSACTION_PROCESSED")
    ]
    assert upgraded["previous_plan"] == old["plan"] == "basic_monthly"
    assert upgraded["plan"] == new["plan"] == "premium_monthly"
    assert upgraded["from_purchasely_subscription_id"] == old["purchasely_subscription_id"]
    assert upgraded["purchasely_subscription_id"] == new["purchasely_subscription_id"]
    assert upgraded["purchasely_subscription_id"] != old["purchasely_subscription_id"]
    assert -old["plan_price_in_customer_currency"] < refunded["amount_in_customer_currency"] < 0
    assert paid["amount_in_customer_currency"] == new["plan_price_in_customer_currency"]


@pytest.mark.parametrize("name", ["downgrade", "crossgrade"])
def test_other_plan_changes_wait_for_the_renewal(name: str) -> None:
    before, changed, *_ = facts(told(name))
    assert names(changed) == ["DEACTIVATE", "ACTIVATE", f"SUBSCRIPTION_{name.upper()}D", "TRANSACTION_PROCESSED"]
    assert changed[0]["event_created_at_ms"] >= before[-1]["next_renewal_at_ms"]
    assert changed[-1]["amount_in_customer_currency"] > 0


def test_a_transfer_takes_and_gives() -> None:
    lifecycle = told("transfer")
    taken, given_, transferred, received = fact(lifecycle, "SUBSCRIPTION_TRANSFERRED")
    assert names([taken, given_, transferred, received]) == [
        *("DEACTIVATE", "ACTIVATE", "SUBSCRIPTION_TRANSFERRED", "SUBSCRIPTION_RECEIVED")
    ]
    assert taken["user_id"] == transferred["user_id"] == received["transferred_from_user_id"] == lifecycle.user.id
    assert given_["user_id"] == received["user_id"] == transferred["transferred_to_user_id"] != lifecycle.user.id
    assert len({event["purchasely_subscription_id"] for event in lifecycle.events}) == 1
    assert lifecycle.events[-1]["user_id"] == received["user_id"]


def test_an_anonymous_user_becomes_known() -> None:
    lifecycle = told("anonymous_becomes_known")
    *_, transferred, received = fact(lifecycle, "SUBSCRIPTION_RECEIVED")
    assert received["transferred_from_anonymous_user_id"] == transferred["anonymous_user_id"] == lifecycle.user.id
    assert transferred["transferred_to_user_id"] == received["user_id"]
    assert len({event["device_id"] for event in lifecycle.events}) == 1


def test_the_sdk_makes_upper_case_ids_on_ios_only() -> None:
    for seed in range(20):
        event = told("anonymous", seed).events[0]
        upper = event["store"] == "APPLE_APP_STORE"
        assert event["anonymous_user_id"].isupper() == upper
        assert event["anonymous_user_id"].islower() != upper


def test_a_grace_period_keeps_access_until_it_is_lost() -> None:
    _, grace, lost, ended = facts(told("grace_period_lost"))
    assert names(grace) == ["GRACE_PERIOD_STARTED"]
    assert grace[0]["subscription_status"] == "IN_GRACE_PERIOD"
    assert grace[0]["effective_next_renewal_at"] == grace[0]["grace_period_expires_at"] > grace[0]["next_renewal_at"]
    assert names(lost) == ["DEACTIVATE", "GRACE_PERIOD_TERMINATED", "ENTERED_BILLING_RETRY"]
    assert lost[0]["event_created_at_ms"] >= grace[0]["grace_period_expires_at_ms"]
    assert {event["subscription_status"] for event in lost} == {"ON_HOLD"}
    assert "grace_period_expires_at" not in lost[0]
    assert names(ended) == ["SUBSCRIPTION_TERMINATED"]


def test_a_pause_says_when_it_ends() -> None:
    _, announced, paused, resumed, _ = facts(told("pause"))
    assert announced[0]["subscription_status"] == "AUTO_RENEWING"
    assert paused[0]["subscription_status"] == "PAUSED"
    assert announced[0]["auto_resume_at_ms"] == paused[0]["auto_resume_at_ms"] <= resumed[0]["event_created_at_ms"]
    assert "auto_resume_at" not in resumed[0]


def test_a_deferred_subscription_renews_later() -> None:
    _, (deferred,), (renewed, *_) = facts(told("deferred"))
    assert deferred["effective_next_renewal_at"] == deferred["defer_end_at"] > deferred["next_renewal_at"]
    assert renewed["purchased_at"] == deferred["defer_end_at"]


def test_apple_charges_before_the_renewal_date() -> None:
    lifecycle = next(found for seed in range(99) if (found := told("renewals", seed)).events[0]["store"][:5] == "APPLE")
    renewed = fact(lifecycle, "SUBSCRIPTION_RENEWED")[0]
    assert 0 < renewed["purchased_at_ms"] - renewed["event_created_at_ms"] < 6 * 3_600_000


def test_a_one_time_purchase_has_no_renewal() -> None:
    events = told("one_time_purchase").events
    assert [event["event_name"] for event in events] == ["ACTIVATE", "ACTIVATE", "DEACTIVATE"]
    assert [event["content_id"] for event in events] == ["level-7", "level-8", "level-8"]
    assert not any("renewal" in key or "status" in key for event in events for key in event)
    assert {event["purchase_type"] for event in events} == {"CONSUMABLE"}


def test_a_one_time_purchase_can_be_transferred() -> None:
    *_, transferred, received = told("one_time_purchase_transfer").events
    assert transferred["event_name"] == "ONE_TIME_PURCHASE_TRANSFERRED"
    assert received["event_name"] == "ONE_TIME_PURCHASE_RECEIVED"
    assert transferred["transferred_to_user_id"] == received["user_id"]
    assert transferred["purchase_type"] == "NON_CONSUMABLE"


def test_a_family_member_pays_nothing() -> None:
    events = told("family_sharing").events
    assert {event["is_family_shared"] for event in events} == {True}
    assert "TRANSACTION_PROCESSED" not in {event["event_name"] for event in events}


def test_a_return_after_a_trial_is_no_conversion() -> None:
    came_back = fact(told("reactivated"), "SUBSCRIPTION_REACTIVATED")
    assert names(came_back) == ["ACTIVATE", "SUBSCRIPTION_REACTIVATED", "TRANSACTION_PROCESSED"]
    assert came_back[0]["previous_offer_type"] == "FREE_TRIAL"


def test_who_is_won_back_begins_with_an_offer() -> None:
    came_back = fact(told("winback"), "SUBSCRIPTION_REACTIVATED")
    assert names(came_back) == [
        *("ACTIVATE", "SUBSCRIPTION_REACTIVATED", "PROMOTIONAL_OFFER_STARTED", "TRANSACTION_PROCESSED")
    ]


def test_a_sandbox_month_takes_five_minutes() -> None:
    events = told("sandbox").events
    assert {event["environment"] for event in events} == {"SANDBOX"}
    renewed = events[-1]
    assert renewed["next_renewal_at_ms"] - renewed["purchased_at_ms"] == 300_000


def test_one_of_two_subscriptions_goes_on() -> None:
    lifecycle = told("two_subscriptions")
    last = {event["purchasely_subscription_id"]: event["subscription_status"] for event in lifecycle.events}
    assert sorted(last.values()) == ["AUTO_RENEWING", "DEACTIVATED"]
    assert {event["user_id"] for event in lifecycle.events} == {lifecycle.user.id}


def test_other_spellings_are_those_of_older_documents() -> None:
    events = told("other_spellings").events
    assert {event["store"] for event in events} <= {"AMAZON_APP_STORE", "HUAWEI_APP_GALLERY"}
    assert "AUTO_RENEWING_CANCELLED" in {event["subscription_status"] for event in events}
    assert all(isinstance(value, str) for event in events for key, value in event.items() if key in MONEY)


def test_the_unknown_event_has_keys_of_every_json_type() -> None:
    event = next(event for event in told("unknown_event").events if event["event_name"] == UNKNOWN_EVENT)
    novel = {type(value) for key, value in event.items() if key.startswith("loyalty_")}
    assert novel == {str, int, float, bool, type(None), list, dict}


def test_an_old_subscription_has_no_country() -> None:
    assert {event["store_country"] for event in told("expired").events} == {None}


@given(lifecycles, st.integers(-(10**10), 10**10))
@settings(max_examples=40)
def test_a_moved_event_differs_only_in_its_dates(lifecycle: Lifecycle, by: int) -> None:
    event = lifecycle.events[-1]
    later = moved(event, by)
    assert moved(later, -by) == event
    assert later["event_created_at_ms"] == event["event_created_at_ms"] + by
    assert {key for key in event if later[key] != event[key]} <= {key for key in event if re.search("_at(_ms)?$", key)}


def test_traffic_is_endless_ordered_and_repeatable() -> None:
    events = list(islice(many(5, 20, START), 2000))
    assert events == list(islice(many(5, 20, START), 2000))
    assert events != list(islice(many(6, 20, START), 2000))
    assert all(one["event_created_at_ms"] <= two["event_created_at_ms"] for one, two in pairwise(events))
    assert len({event["event_id"] for event in events}) == 2000


def test_traffic_is_a_mix_of_many_users_at_once() -> None:
    events = list(islice(many(5, 20, START), 2000))
    assert len({user(event) for event in events[:100]}) >= 15
    assert Counter(event["environment"] for event in events)["SANDBOX"] > 20
    assert len({event["event_name"] for event in events}) > 35
    assert {event["store"] for event in events} >= TRANSACTION_IDS.keys()


def test_traffic_of_no_users_is_nothing() -> None:
    assert list(many(1, 0, START)) == []
