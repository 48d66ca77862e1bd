import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purchasely_clevertap.clevertap.records import Identity
from purchasely_clevertap.mapping.mapper import Mapper, ProfileUpdate
from purchasely_clevertap.mapping.profile import PROFILE_PROPERTIES, ProfileState, chronology
from purchasely_clevertap.mapping.settings import parse
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import Event, Value, read
from tests.unit.samples import DAY, MOMENT, PAYLOADS, body, dates, event

SECONDS = MOMENT // 1000
PERSON = Identity("customer-7")
OBJECT_ID = "__4f0b6c1e7d3a4f629d5e0c9a1b2d3e4f"
BOUGHT_AT = dict.fromkeys(("presentation", "placement", "audience", "ab_test", "ab_test_variant", "channel"), "x")
SUBSCRIPTION = {"has_active_subscription", "subscriber_state", "active_plans", "active_subscriptions", "plan"}


def known(*events: Event) -> ProfileState:
    """The state once these events are known, learnt one by one."""
    state = ProfileState()
    for each in events:
        state = state.apply([each])
    return state


def profile(*events: Event) -> dict[str, Value]:
    return known(*events).profile()


def state_of(*events: Event) -> Value:
    return profile(*events)["subscriber_state"]


def news(name: str = "SUBSCRIPTION_RENEWED", /, **facts: Any) -> Event:
    """An event of a second, cheaper subscription."""
    second = {"purchasely_subscription_id": "subs_2", "store_original_transaction_id": "2", "plan": "news"}
    return event(name, **(second | {"plan_price_in_usd": 2.99} | facts))


def over(name: str = "SUBSCRIPTION_TERMINATED", /, *, at: int = MOMENT + 1, **facts: Any) -> Event:
    return event(name, at=at, **({"subscription_status": "DEACTIVATED"} | facts))


# The properties


def test_renewal_tells_of_all_that_it_has() -> None:
    rare = {"anonymous_user_id": "anon-7", "previous_plan": "basic", "content_id": "level-7", **BOUGHT_AT}
    told = event(**rare, **dates("commitment_ends_at", MOMENT + DAY), attribution={"utm_source": "newsletter"})
    person = {
        "user_id": "customer-7", "environment": "PRODUCTION", "lifetime_revenue": 21.58,
        "lifetime_revenue_currency": "USD", "last_event": "SUBSCRIPTION_RENEWED", "last_event_at": f"$D_{SECONDS}",
    }  # fmt: skip
    assert profile(told) == person | rare | {
        "has_active_subscription": True, "subscriber_state": "active", "active_plans": "premium-monthly",
        "active_subscriptions": 1, "has_access": True, "product": "premium", "plan": "premium-monthly",
        "store": "APPLE_APP_STORE", "store_country": "FR", "store_product_id": "com.example.premium.month",
        "subscription_status": "AUTO_RENEWING", "offer_type": "NONE", "is_family_shared": False,
        "subscription_started_at": f"$D_{SECONDS - 31 * 86_400}", "purchased_at": f"$D_{SECONDS - 86_400}",
        "effective_next_renewal_at": f"$D_{SECONDS + 30 * 86_400}", "commitment_ends_at": f"$D_{SECONDS + 86_400}",
        "attribution_utm_source": "newsletter",
    }  # fmt: skip
    nameless: dict[str, Any] = {"purchasely_subscription_id": ..., "store_original_transaction_id": ...}
    assert (ProfileState().profile(), profile(event(**nameless))) == ({}, person), "nothing of subscriptions"


def test_properties_are_those_of_the_contract() -> None:
    assert set(PROFILE_PROPERTIES) == {
        "has_active_subscription", "subscriber_state", "active_plans", "active_subscriptions", "owned_products",
        "last_one_time_purchase", "has_access", "product", "plan", "previous_plan", "store", "store_country",
        "store_product_id", "subscription_status", "offer_type", "promotional_offer_id", "is_family_shared",
        "content_id", "subscription_started_at", "purchased_at", "effective_next_renewal_at",
        "grace_period_expires_at", "auto_resume_at", "commitment_ends_at", "user_id", "anonymous_user_id",
        "environment", "lifetime_revenue", "lifetime_revenue_currency", "last_event", "last_event_at", *BOUGHT_AT,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "facts", "expected"),
    [
        ("TRIAL_STARTED", {"offer_type": "FREE_TRIAL"}, "trial"),
        ("INTRO_OFFER_STARTED", {"offer_type": "INTRO_OFFER"}, "intro_offer"),
        ("SUBSCRIPTION_RENEWED", {"offer_type": "PROMO_CODE"}, "active"),
        ("INSTALLMENT_PAID", {"subscription_status": ...}, "active"),
        ("INSTALLMENT_REFUNDED", {"subscription_status": ...}, "active"),
        ("RENEWAL_DISABLED", {"subscription_status": ...}, "cancelled"),
        ("RENEWAL_DISABLED", {"subscription_status": "CANCELLED", "offer_type": "FREE_TRIAL"}, "cancelled"),
        ("GRACE_PERIOD_STARTED", {"subscription_status": "IN_GRACE_PERIOD"}, "grace_period"),
        ("ENTERED_BILLING_RETRY", {}, "billing_retry"),
        ("SUBSCRIPTION_RENEWED", {"subscription_status": "UNPAID"}, "billing_retry"),
        ("SUBSCRIPTION_PAUSED", {}, "paused"),
        ("SUBSCRIPTION_TERMINATED", {}, "expired"),
        ("TRIAL_NOT_CONVERTED", {"offer_type": "FREE_TRIAL"}, "expired"),
        ("SUBSCRIPTION_REFUNDED_REVOKED", {}, "refunded"),
        ("SUBSCRIPTION_TRANSFERRED", {"transferred_to_user_id": "ben"}, "transferred"),
    ],
)
def test_subscriber_state_in_one_word(name: str, facts: dict[str, Any], expected: str) -> None:
    found = profile(event(at=MOMENT - 1), event(name, **facts))
    assert found["subscriber_state"] == expected
    is_active = expected in ("trial", "intro_offer", "active", "cancelled", "grace_period")
    assert found["has_active_subscription"] is found["has_access"] is is_active
    assert (found["active_subscriptions"], found["active_plans"]) == (
        (1, "premium-monthly") if is_active else (0, "NONE")
    )
    assert (found["subscription_status"] in ("AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD")) is is_active


# Told by their meaning in the catalogue: after these there is no access.
ENDS = {
    "SUBSCRIPTION_TERMINATED", "FAMILY_SHARED_REVOKED", "GRACE_PERIOD_TERMINATED", "ENTERED_BILLING_RETRY",
    "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD", "SUBSCRIPTION_REFUNDED_REVOKED", "SUBSCRIPTION_PAUSED",
    "SUBSCRIPTION_CANCELLED_DURING_PAUSE", "SUBSCRIPTION_EXPIRED", "SUBSCRIPTION_TRANSFERRED", "DEACTIVATE",
    "TRIAL_NOT_CONVERTED", "INTRO_OFFER_NOT_CONVERTED", "PROMO_CODE_NOT_CONVERTED", "PROMOTIONAL_OFFER_NOT_CONVERTED",
}  # fmt: skip
PURCHASES = {name for name in CATALOGUE if name.startswith("ONE_TIME_PURCHASE_")}


@pytest.mark.parametrize("status", ["A_NEW_ONE", "", ...])
@pytest.mark.parametrize("name", [*sorted(CATALOGUE.keys() - PURCHASES), "LOYALTY_TIER_REACHED"])
def test_name_tells_of_access_without_a_status(name: str, status: Any) -> None:
    told = event(name, subscription_status=status)
    assert profile(event(at=MOMENT - 1), told)["has_active_subscription"] is (name not in ENDS)
    if name in ("TRANSACTION_PROCESSED", "LOYALTY_TIER_REACHED", "RETENTION_MESSAGE_REQUESTED"):
        assert profile(over("SUBSCRIPTION_PAUSED", at=MOMENT - 1), told)["has_active_subscription"] is False


def test_last_event_is_one_that_is_sent() -> None:
    state = ProfileState().apply([event()])
    state = state.apply([over(plan="later")], is_sent=lambda each: each.event_name == "SUBSCRIPTION_RENEWED")
    assert state.profile().items() >= {
        ("last_event", "SUBSCRIPTION_RENEWED"),
        ("last_event_at", f"$D_{SECONDS}"),
        ("plan", "later"),
        ("has_active_subscription", False),
    }


# Several subscriptions


@pytest.mark.parametrize(
    ("facts", "described"),
    [
        ({"plan_price_in_usd": 99.99}, "news"),
        ({"plan_price_in_usd": 99.99, "is_family_shared": True}, "premium-monthly"),
        ({"plan_price_in_usd": 99.99, "subscription_status": "PAUSED"}, "premium-monthly"),
        ({"plan_price_in_usd": 10.79, **dates("original_purchased_at", MOMENT - 32 * DAY)}, "news"),
        ({"plan_price_in_usd": 10.79, **dates("original_purchased_at", MOMENT - 30 * DAY)}, "premium-monthly"),
    ],
)
def test_order_of_what_is_described(facts: dict[str, Any], described: str) -> None:
    for at in (MOMENT - DAY, MOMENT + DAY):
        assert profile(event(), news(at=at, **facts))["plan"] == described
    ended = news("SUBSCRIPTION_TERMINATED", at=MOMENT + 2, subscription_status="DEACTIVATED")
    assert profile(event(), ended, over())["plan"] == "news"
    assert profile(event(), ended, over(at=MOMENT + 3))["plan"] == "premium-monthly"
    assert profile(event(), news(**facts))["active_plans"] in ("news, premium-monthly", "premium-monthly")


def test_texts_that_hold_no_longer_are_none() -> None:
    offer = event(offer_type="PROMOTIONAL_OFFER", promotional_offer_id="stay")
    assert profile(offer)["promotional_offer_id"] == "stay"
    assert profile(offer, event(at=MOMENT + DAY))["promotional_offer_id"] == "NONE"
    found = profile(event(**BOUGHT_AT, attribution={"utm_source": "x"}), news(), over())
    assert found["plan"] == "news"
    assert {found[key] for key in (*BOUGHT_AT, "attribution_utm_source")} == {"NONE"}


def test_subscription_may_have_two_names() -> None:
    nameless: dict[str, Any] = {"purchasely_subscription_id": ...}
    ended = over(**nameless)
    for order in ([event(), ended], [ended, event()], [event(**nameless), event(), ended]):
        assert profile(*order).items() >= {("active_subscriptions", 0), ("has_active_subscription", False)}
    other = event(**nameless, store_original_transaction_id="other", plan="other")
    assert profile(event(), other, ended)["active_plans"] == "other"


# Time


def test_older_event_replaces_nothing_newer() -> None:
    newer = over(at=MOMENT + 5, plan="new", user_id="new", cumulated_revenues_in_usd=30)
    older = event(plan="old", user_id="old", previous_plan="basic", cumulated_revenues_in_usd=1)
    assert profile(newer, older) == profile(older, newer)
    assert profile(newer, older).items() >= {
        *(("plan", "new"), ("user_id", "new"), ("previous_plan", "basic"), ("lifetime_revenue", 30.0)),
        *(("has_active_subscription", False), ("last_event", "SUBSCRIPTION_TERMINATED")),
    }


@pytest.mark.parametrize("empty", [None, "", ...])
def test_absent_fact_replaces_no_known_one(empty: Any) -> None:
    gone = dict.fromkeys(("user_id", "plan", "store_country", "is_family_shared", "plan_price_in_usd"), empty)
    before, after = profile(event(at=MOMENT - 1)), profile(event(at=MOMENT - 1), event(**gone))
    assert {key for key in before | after if before.get(key) != after.get(key)} <= {"last_event_at"}


def test_event_that_says_most_is_the_last() -> None:
    names = ["ACTIVATE", "TRANSACTION_PROCESSED", "TRIAL_CONVERTED", "SUBSCRIPTION_RENEWED", "SUBSCRIPTION_TRANSFERRED"]
    for lesser, greater in pairwise([event(name) for name in names]):
        assert profile(greater, lesser)["last_event"] == profile(lesser, greater)["last_event"] == greater.event_name
        assert chronology(lesser) < chronology(greater)
    assert chronology(event("SUBSCRIPTION_TRANSFERRED")) < chronology(event("ACTIVATE", at=MOMENT + 1))
    assert chronology(event(event_id="a")) < chronology(event(event_id="b"))
    unknown = event("LOYALTY_TIER_REACHED")
    for known_one in (event("ACTIVATE"), event("TRIAL_STARTED")):
        assert profile(unknown, known_one)["last_event"] == "LOYALTY_TIER_REACHED"


# Transfers and plan changes


def test_giver_keeps_the_plan_without_access() -> None:
    moved = event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1, transferred_to_user_id="customer-8")
    assert profile(event(), moved).items() >= {
        *(("plan", "premium-monthly"), ("subscription_status", "DEACTIVATED"), ("subscriber_state", "transferred")),
        *(("has_active_subscription", False), ("active_plans", "NONE"), ("has_access", False)),
    }


@pytest.mark.parametrize("at", [MOMENT, MOMENT + 1, MOMENT + 2])
@pytest.mark.parametrize("name", ["DEACTIVATE", "TRANSACTION_PROCESSED"])
@pytest.mark.parametrize("status", ["AUTO_RENEWING", "DEACTIVATED", ...])
def test_transferred_subscription_stays_away(name: str, status: Any, at: int) -> None:
    started, moved = event(at=MOMENT - 9), event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1)
    beside = event(name, at=at, subscription_status=status)
    for order in ([started, moved, beside], [started, beside, moved], [beside, moved, started]):
        found = profile(*order)
        assert (found["has_active_subscription"], found["subscriber_state"]) == (False, "transferred")


def test_receiver_has_the_subscription() -> None:
    found = profile(event("SUBSCRIPTION_RECEIVED", transferred_from_user_id="customer-8"))
    assert (found["has_active_subscription"], found["plan"]) == (True, "premium-monthly")
    away, back = event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1), event("SUBSCRIPTION_RECEIVED", at=MOMENT + 2)
    assert state_of(event(), away, back) == state_of(back, away, event()) == "active"
    assert profile(news(), event(), away)["active_plans"] == "news"


CHANGES = ["SUBSCRIPTION_UPGRADED", "SUBSCRIPTION_DOWNGRADED", "SUBSCRIPTION_CROSSGRADED"]
NEW_PLAN: dict[str, Any] = {
    "purchasely_subscription_id": "subs_2",
    "from_purchasely_subscription_id": "subs_1",
    "plan": "premium-yearly",
    "previous_plan": "premium-monthly",
}
NEW_ENDED = over(at=MOMENT + 3, purchasely_subscription_id="subs_2")


@pytest.mark.parametrize("name", CHANGES)
def test_plan_change_replaces_the_subscription(name: str) -> None:
    changed = event(name, at=MOMENT + 1, **NEW_PLAN)
    for events in ([event(), changed], [changed, event()]):
        found = profile(*events)
        assert (found["plan"], found["previous_plan"]) == ("premium-yearly", "premium-monthly")
        assert (found["active_plans"], found["active_subscriptions"]) == ("premium-yearly", 1)
        assert profile(*events, NEW_ENDED)["has_active_subscription"] is False
    in_place = event(name, at=MOMENT + 1, from_purchasely_subscription_id="subs_1", plan="premium-yearly")
    assert profile(event(), in_place)["active_plans"] == "premium-yearly"


@pytest.mark.parametrize(
    ("beside", "after"),
    [
        *((name, 1) for name in ("DEACTIVATE", "TRANSACTION_PROCESSED", "RENEWAL_DISABLED", "SUBSCRIPTION_TERMINATED")),
        *(("TRANSACTION_PROCESSED", 2), ("DEACTIVATE", 2)),
    ],
)
@pytest.mark.parametrize("status", ["AUTO_RENEWING_CANCELED", "DEACTIVATED", ...])
def test_old_plan_is_not_revived_by_its_last_word(beside: str, after: int, status: Any) -> None:
    changed = event(CHANGES[0], at=MOMENT + 1, **NEW_PLAN)
    of_old = event(beside, at=MOMENT + after, subscription_status=status)
    for order in ([event(), changed, of_old, NEW_ENDED], [NEW_ENDED, of_old, changed, event()]):
        assert profile(*order)["has_active_subscription"] is False


# One-time purchases

ONCE: dict[str, Any] = {
    "purchase_type": "CONSUMABLE",
    "purchasely_one_time_purchase_id": "otp_1",
    "purchasely_subscription_id": ...,
    "subscription_status": ...,
    "plan": "coins",
}
LIFETIME = (
    ONCE | dates("purchased_at", MOMENT) | {"purchase_type": "NON_CONSUMABLE", "product": "forever", "plan": "lifetime"}
)


def test_coins_say_nothing_of_subscriptions() -> None:
    found = profile(event("ACTIVATE", **ONCE))
    assert found["last_one_time_purchase"] == "coins"
    assert not (SUBSCRIPTION | {"has_access", "owned_products"}) & found.keys()
    assert profile(event("ACTIVATE", **(ONCE | {"plan": ...})))["last_one_time_purchase"] == "premium"
    beside = profile(event(), event("ACTIVATE", at=MOMENT + 1, **ONCE))
    assert (beside["has_active_subscription"], beside["plan"]) == (True, "premium-monthly")


@pytest.mark.parametrize("name", ["DEACTIVATE", "ONE_TIME_PURCHASE_TRANSFERRED"])
def test_owned_products_shrink_when_one_goes(name: str) -> None:
    other = event("ACTIVATE", **(LIFETIME | {"purchasely_one_time_purchase_id": "otp_2", "product": "atlas"}))
    found = profile(event("ACTIVATE", **LIFETIME), other)
    assert (found["owned_products"], found["has_access"]) == ("atlas, forever", True)
    assert not SUBSCRIPTION & found.keys()
    gone = event(name, at=MOMENT + 2, **LIFETIME)
    assert profile(event("ACTIVATE", **LIFETIME), other, gone)["owned_products"] == "atlas"
    for order in ([event("ACTIVATE", **LIFETIME), gone], [gone, event("ACTIVATE", **LIFETIME)]):
        found = profile(*order)
        assert (found["owned_products"], found["has_access"]) == ("NONE", False)
        assert found["last_one_time_purchase"] == "lifetime"
    assert profile(event("ONE_TIME_PURCHASE_RECEIVED", **LIFETIME))["owned_products"] == "forever"


def test_pass_ends_by_its_date() -> None:
    months = dates("effective_next_renewal_at", MOMENT + 90 * DAY)
    state = known(event("ACTIVATE", **(ONCE | {"purchase_type": "NON_RENEWING_SUBSCRIPTION"} | months)))
    for days, is_over in ((89, False), (90, True)):
        found = state.lapse(MOMENT + days * DAY, cancelled_hours=None, renewing_hours=None).profile()
        assert (found["has_access"], found["last_one_time_purchase"]) == (not is_over, "coins")
    assert "owned_products" not in found
    assert profile(event("ACTIVATE", **(LIFETIME | {"purchase_type": "NON_RENEWING_SUBSCRIPTION"})))["has_access"]


# Lapses

HOURS = {"cancelled_hours": 48, "renewing_hours": 336}
END = SECONDS * 1000 + 30 * DAY


@pytest.mark.parametrize(
    ("status", "days"), [("AUTO_RENEWING_CANCELED", 2), ("AUTO_RENEWING", 14), ("IN_GRACE_PERIOD", 14)]
)
def test_subscription_lapses_after_its_date(status: str, days: int) -> None:
    state = known(event(subscription_status=status))
    assert state.ends_ms == END
    due = END + days * DAY
    assert state.lapse(due - 1, **HOURS) is state
    found = state.lapse(due, **HOURS).profile()
    assert found.items() >= {
        *(("has_active_subscription", False), ("subscriber_state", "expired"), ("subscription_status", "DEACTIVATED")),
        *(("has_access", False), ("active_plans", "NONE"), ("effective_next_renewal_at", f"$D_{END // 1000}")),
    }
    assert state.lapse(due, cancelled_hours=None, renewing_hours=None) is state
    assert (
        state.lapse(due, **HOURS).ends_ms
        is known(over()).ends_ms
        is known(event("ACTIVATE", **LIFETIME)).ends_ms
        is None
    )


def test_any_event_undoes_a_lapse() -> None:
    state = known(event()).lapse(END + 90 * DAY, **HOURS)
    for later in (event(at=MOMENT + DAY), event(at=MOMENT - DAY), event(purchasely_subscription_id=...)):
        assert state.apply([later]).profile()["has_active_subscription"] is True
    assert state.apply([news(at=END)]).profile()["active_plans"] == "news"
    assert ProfileState.decoded(state.encoded()) == state


def test_commitment_counts_by_its_own_end() -> None:
    state = known(event("INSTALLMENT_PAID", **dates("commitment_ends_at", MOMENT + 300 * DAY)))
    assert state.ends_ms == SECONDS * 1000 + 300 * DAY
    assert state.lapse(MOMENT + 299 * DAY, **HOURS).profile()["has_active_subscription"] is True
    assert state.lapse(MOMENT + 314 * DAY, **HOURS).profile()["has_active_subscription"] is False


# Logins


def test_joined_states_are_one_person() -> None:
    visit = event("TRIAL_STARTED", at=MOMENT - DAY, user_id=..., anonymous_user_id="anon", placement="onboarding")
    coins = event("ACTIVATE", at=MOMENT - DAY, user_id=..., anonymous_user_id="anon", **ONCE)
    before, after = known(visit, coins), known(event())
    joined = after.joined(before)
    assert joined.profile() == before.joined(after).profile() == profile(visit, coins, event())
    assert joined.profile().items() >= {
        *(("user_id", "customer-7"), ("anonymous_user_id", "anon"), ("placement", "onboarding")),
        *(("last_one_time_purchase", "coins"), ("active_subscriptions", 1)),
    }
    assert joined.charges.keys() == before.charges.keys() != set()
    left = event("DEACTIVATE", user_id=..., anonymous_user_id="anon")
    assert state_of(event(at=MOMENT - 1), left) == "active", "a login ends nothing"


# Any order

NAMES = [
    *("ACTIVATE", "DEACTIVATE", "TRANSACTION_PROCESSED", "SUBSCRIPTION_STARTED", "SUBSCRIPTION_RENEWED"),
    *("TRIAL_CONVERTED", "SUBSCRIPTION_TERMINATED", "SUBSCRIPTION_TRANSFERRED", "SUBSCRIPTION_RECEIVED"),
    *("ONE_TIME_PURCHASE_TRANSFERRED", "RENEWAL_DISABLED", "ENTERED_BILLING_RETRY", "LOYALTY_TIER_REACHED"),
]
STATUSES = ["AUTO_RENEWING", "CANCELED", "IN_GRACE_PERIOD", "ON_HOLD", "DEACTIVATED", ...]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events of one person about three subscriptions and some one-time purchases, many of the same moment."""
    moments = draw(st.lists(st.integers(0, 4), min_size=1, max_size=9))
    return [_told(draw, MOMENT + 1000 * moment, number) for number, moment in enumerate(moments)]


def _told(draw: st.DrawFn, at: int, number: int) -> Event:
    which = draw(st.integers(1, 3))
    keys: dict[str, Any] = {
        "event_id": f"event-{number}",
        "purchasely_subscription_id": draw(st.sampled_from([f"subs_{which}", f"subs_{which}", ...])),
        "store_original_transaction_id": draw(st.sampled_from([f"{which}", ...])),
        "store_transaction_id": f"{number}",
        "plan": draw(st.sampled_from(["basic", "premium", "yearly", ...])),
        "subscription_status": draw(st.sampled_from(STATUSES)),
        "promotional_offer_id": draw(st.sampled_from(["stay", "return", ..., ...])),
        "is_family_shared": draw(st.sampled_from([True, False, ...])),
        "cumulated_revenues_in_usd": draw(st.sampled_from([..., 0, 9.99, "10.5", 100])),
        "plan_price_in_usd": draw(st.sampled_from([..., 9.99, 2.99])),
        "attribution": draw(st.sampled_from([..., {"utm_source": "x"}])),
    }
    kind = draw(st.sampled_from(["told", "told", "told", "changed", "bought"]))
    if kind == "changed":
        former = draw(st.sampled_from(["subs_1", "subs_2", "subs_3"]))
        return event(draw(st.sampled_from(CHANGES)), at=at, **keys, from_purchasely_subscription_id=former)
    if kind == "bought":
        once = draw(st.sampled_from([ONCE, LIFETIME])) | {"plan": keys["plan"]}
        return event(draw(st.sampled_from(["ACTIVATE", "DEACTIVATE"])), at=at, **(keys | once))
    return event(draw(st.sampled_from(NAMES)), at=at, **keys)


@st.composite
def arrivals(draw: st.DrawFn, events: Sequence[Event]) -> list[list[Event]]:
    """The same events in any order, some of them twice, in batches of any size."""
    copies = draw(st.lists(st.sampled_from(list(events)), max_size=4))
    shuffled = draw(st.permutations([*events, *copies]))
    cuts = sorted(draw(st.sets(st.integers(0, len(shuffled)), max_size=4)))
    return [shuffled[start:end] for start, end in pairwise([0, *cuts, len(shuffled)])]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_arrival_ends_in_the_same_state(data: st.DataObject) -> None:
    events = data.draw(histories())
    state = ProfileState()
    for batch in data.draw(arrivals(events)):
        state = state.apply(batch)
        if data.draw(st.booleans()):
            state = ProfileState.decoded(state.encoded())
    expected = ProfileState().apply(events)
    assert state == expected
    assert state.profile() == expected.profile()


@settings(deadline=None)
@given(st.data())
def test_refused_updates_are_made_up_for(data: st.DataObject) -> None:
    state, clevertap = ProfileState(), dict[str, Any]()
    batches = data.draw(arrivals(data.draw(histories())))
    for number, batch in enumerate(batches):
        state = state.apply(batch)
        found = update(state)
        if found is None or (number < len(batches) - 1 and data.draw(st.booleans())):
            continue
        clevertap |= json.loads(found.records[0])["profileData"]
        state = state.accepted(found.properties, found.links)
    gone = {key: value for key, value in clevertap.items() if key not in state.profile()}
    assert {key: clevertap[key] for key in clevertap.keys() - gone.keys()} == state.profile()
    assert all(value in ("NONE", False, 0) or str(value).startswith("$D_") for value in gone.values())


# What is kept


@given(
    PAYLOADS,
    PAYLOADS,
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.booleans() | st.floats(0, 9)),
)
def test_state_survives_being_stored(one: dict[str, Any], other: dict[str, Any], sent: dict[str, Value]) -> None:
    events = [each for each in (read(body(one)), read(body(other))) if isinstance(each, Event)]
    state = ProfileState(known_as=frozenset({"a"}), unlinked=frozenset({"-hX"}), account_id="ID").apply(events)
    state = state.accepted(sent, [OBJECT_ID]).lapse(MOMENT, **HOURS)
    again = ProfileState.decoded(state.encoded())
    assert again == state
    assert again.profile() == state.profile()
    assert {type(value) for value in again.profile().values()} == {type(value) for value in state.profile().values()}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "7", '{"person":7}'])
def test_other_text_is_no_state(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ProfileState.decoded(text)


def test_state_of_a_busy_tester_stays_small() -> None:
    many = [
        (event if number in (3, 7) else over)(
            "SUBSCRIPTION_STARTED", at=MOMENT + number, **dict.fromkeys(IDS, f"{number}")
        )
        for number in range(250)
    ]
    coins = [
        event("ACTIVATE", at=MOMENT + number, **(LIFETIME | {"store_transaction_id": f"{number}"}))
        for number in range(250)
    ]
    state = ProfileState().apply(many + coins)
    assert {len(state.subscriptions), len(state.charges)} == {100}
    assert {"3", "7", "249"} <= state.subscriptions.keys(), "the active ones and the newest are kept"
    assert state.profile()["active_subscriptions"] == 2
    assert len(state.encoded()) < 200_000


IDS = ("purchasely_subscription_id", "store_original_transaction_id")


@pytest.mark.parametrize("text", ["a" * 900_000, "é" * 400_000, "\x00" * 100_000])
def test_state_of_long_texts_stays_small(text: str) -> None:
    keys = ("user_id", "anonymous_user_id", "product", "plan", "previous_plan", "store", "store_country", *IDS)
    told = event("SUBSCRIPTION_UPGRADED", **dict.fromkeys(keys, text), from_purchasely_subscription_id=f"b{text}")
    state = ProfileState().apply([told])
    assert len(state.encoded()) < 50_000
    assert state.profile()["has_active_subscription"] is True
    assert all(len(str(value).encode()) <= 512 for value in state.profile().values())


# What CleverTap is told


def update(state: ProfileState, *, links: tuple[str, ...] = (), **document: Any) -> ProfileUpdate | None:
    return Mapper(parse(json.dumps({"profile": document}))).profile_update(PERSON, state, links=links)


def told(state: ProfileState, **document: Any) -> dict[str, Any]:
    found = update(state, **document)
    assert found is not None
    [record] = map(json.loads, found.records)
    assert record | {"profileData": {}} == {"type": "profile", "identity": "customer-7", "profileData": {}}
    data: dict[str, Any] = record["profileData"]
    return data


def synced(state: ProfileState, **document: Any) -> ProfileState:
    found = update(state, **document)
    return state if found is None else state.accepted(found.properties, found.links)


def test_new_profile_is_told_whole_and_once() -> None:
    state = known(event())
    assert told(state) == told(state) == state.profile()
    state = synced(state)
    assert update(state) is update(state.apply([event()])) is update(ProfileState.decoded(state.encoded())) is None
    whole = Mapper(parse("{}")).profile_update(PERSON, state, whole=True)
    assert whole is not None
    assert json.loads(whole.records[0])["profileData"] == state.profile()


def test_only_what_changed_is_told() -> None:
    disabled = event("RENEWAL_DISABLED", at=MOMENT + DAY, subscription_status="AUTO_RENEWING_CANCELED")
    assert told(synced(known(event())).apply([disabled])) == {
        "subscription_status": "AUTO_RENEWING_CANCELED",
        "subscriber_state": "cancelled",
        "last_event": "RENEWAL_DISABLED",
        "last_event_at": f"$D_{SECONDS + 86_400}",
    }


def test_what_no_longer_holds_is_said_in_words() -> None:
    sent = known(event(is_family_shared=True, **BOUGHT_AT)).profile() | {"attribution_utm_source": "x"}
    state = ProfileState().accepted(sent)
    changes = told(state)
    assert not {key for key in changes if str(sent[key]).startswith("$D_")}, "dates stay"
    assert (changes["plan"], changes["placement"], changes["attribution_utm_source"]) == ("NONE", "NONE", "NONE")
    assert changes["has_active_subscription"] is changes["is_family_shared"] is False
    assert changes["active_subscriptions"] == changes["lifetime_revenue"] == 0
    assert {type(value) for value in changes.values()} == {str, bool, int, float}
    assert all(type(changes[key]) is type(sent[key]) for key in changes)
    assert update(synced(state)) is None


def test_one_is_not_true_but_is_one_point_zero() -> None:
    state = known(event(cumulated_revenues_in_usd=1))
    sent = state.profile()
    assert update(state.accepted(sent | {"lifetime_revenue": 1})) is None
    assert told(state.accepted(sent | {"lifetime_revenue": True})) == {"lifetime_revenue": 1.0}
    assert told(state.accepted(sent | {"has_active_subscription": 1})) == {"has_active_subscription": True}


def test_profile_properties_have_other_names() -> None:
    document: dict[str, Any] = {"rename": {"plan": "Plan"}, "omit": ["last_event", "last_event_at"], "prefix": "p_"}
    state = known(event(attribution={"utm_source": "x"}))
    names = {key: f"p_{key}" for key in state.profile()} | {"plan": "Plan"}
    expected = {names[key]: value for key, value in state.profile().items() if key not in document["omit"]}
    assert told(state, **document) == expected
    assert update(synced(state), omit=["plan"]) is None
    state = synced(state, **document)
    assert update(state.apply([event(at=MOMENT + 1)]), **document) is None
    assert told(ProfileState().accepted(state.sent), **document).items() >= {
        *(("Plan", "NONE"), ("p_has_active_subscription", False), ("p_attribution_utm_source", "NONE"))
    }


def test_clevertap_ids_are_tied_by_records() -> None:
    state, ids = known(event()), (OBJECT_ID, "-hSECOND")
    found = update(state, links=ids)
    assert found is not None
    assert found.links == ids
    ties = [{"type": "profile", "objectId": each, "profileData": {"identity": "customer-7"}} for each in ids]
    assert [json.loads(record) for record in found.records[:-1]] == ties
    state = state.accepted(found.properties, found.links)
    assert state.linked == {*ids}
    tie = update(state, links=("-hTHIRD",))
    assert tie is not None
    assert len(tie.records) == 1


def test_new_project_gets_the_whole_profile() -> None:
    state = synced(known(event()).for_project("FIRST")).accepted(known(event()).profile(), [OBJECT_ID])
    assert update(state.for_project("FIRST")) is None
    moved = ProfileState.decoded(state.encoded()).for_project("SECOND")
    assert told(moved) == state.profile()
    assert moved.linked == frozenset()
    assert update(synced(moved).for_project("SECOND")) is None


def test_a_state_is_never_larger_than_an_item_may_be() -> None:
    long = "é" * 200
    bought = {key: f"{key} {long}" for key in BOUGHT_AT}
    state = known(
        *(
            news(
                at=MOMENT + number, purchasely_subscription_id=f"subs_{number}", plan=f"plan {number} {long}", **bought
            )
            for number in range(100)
        )
    )
    text = state.encoded()
    assert len(text.encode()) <= 200_000
    kept = ProfileState.decoded(text)
    assert "subs_99" in kept.subscriptions, "the newest stay"
    assert kept.profile()["has_active_subscription"] is True
    many = frozenset(f"id-{number}" for number in range(10_000))
    crowd = state._replace(linked=many, unlinked=many, known_as=many)
    assert len(crowd.encoded().encode()) <= 200_000
