import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purchasely_clevertap.clevertap.records import Identity
from purchasely_clevertap.mapping.mapper import Mapper, ProfileUpdate
from purchasely_clevertap.mapping.profile import PROFILE_PROPERTIES, ProfileState, Value, chronology
from purchasely_clevertap.mapping.settings import parse
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import Event, read
from tests.unit.samples import DAY, MOMENT, PAYLOADS, body, event

SECONDS = MOMENT // 1000
PERSON = Identity("customer-7")
OBJECT_ID = "__4f0b6c1e7d3a4f629d5e0c9a1b2d3e4f"


def profile(*events: Event) -> dict[str, Value]:
    """The profile once these events are known, learnt one by one."""
    state = ProfileState()
    for each in events:
        state = state.apply([each])
    return state.profile()


# The profile


def test_a_renewal_tells_every_published_property() -> None:
    assert profile(event(anonymous_user_id="anon-7", promotional_offer_id="stay", previous_plan="basic")) == {
        "user_id": "customer-7",
        "anonymous_user_id": "anon-7",
        "environment": "PRODUCTION",
        "has_active_subscription": True,
        "product": "premium",
        "plan": "premium-monthly",
        "previous_plan": "basic",
        "store": "APPLE_APP_STORE",
        "store_country": "FR",
        "subscription_status": "AUTO_RENEWING",
        "offer_type": "NONE",
        "promotional_offer_id": "stay",
        "is_family_shared": False,
        "subscription_started_at": f"$D_{SECONDS - 31 * 86_400}",
        "effective_next_renewal_at": f"$D_{SECONDS + 30 * 86_400}",
        "lifetime_revenue": 21.58,
        "lifetime_revenue_currency": "USD",
        "last_event": "SUBSCRIPTION_RENEWED",
        "last_event_at": f"$D_{SECONDS}",
    }


def test_the_twelve_published_properties_are_there() -> None:
    published = {
        "anonymous_user_id", "user_id", "has_active_subscription", "store", "store_country", "plan",
        "subscription_status", "offer_type", "is_family_shared", "subscription_started_at",
        "effective_next_renewal_at", "promotional_offer_id",
    }  # fmt: skip
    assert published <= set(PROFILE_PROPERTIES)


def test_of_a_stranger_there_is_no_subscription() -> None:
    assert ProfileState().profile() == {"has_active_subscription": False}


@pytest.mark.parametrize(
    ("status", "active"),
    [
        ("AUTO_RENEWING", True),
        ("AUTO_RENEWING_CANCELED", True),
        ("AUTO_RENEWING_CANCELLED", True),
        ("CANCELED", True),
        ("IN_GRACE_PERIOD", True),
        ("ON_HOLD", False),
        ("PAUSED", False),
        ("DEACTIVATED", False),
        ("REVOKED", False),
        ("UNPAID", False),
        ("A_NEW_ONE", False),
    ],
)
def test_three_statuses_are_active(status: str, *, active: bool) -> None:
    assert profile(event(subscription_status=status))["has_active_subscription"] is active


# Told by their meaning in the catalogue: after these there is no access.
ENDS = {
    "SUBSCRIPTION_TERMINATED", "FAMILY_SHARED_REVOKED", "GRACE_PERIOD_TERMINATED", "ENTERED_BILLING_RETRY",
    "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD", "SUBSCRIPTION_REFUNDED_REVOKED", "SUBSCRIPTION_PAUSED",
    "SUBSCRIPTION_CANCELLED_DURING_PAUSE", "SUBSCRIPTION_EXPIRED", "SUBSCRIPTION_TRANSFERRED", "DEACTIVATE",
    "ONE_TIME_PURCHASE_TRANSFERRED", "TRIAL_NOT_CONVERTED", "INTRO_OFFER_NOT_CONVERTED", "PROMO_CODE_NOT_CONVERTED",
    "PROMOTIONAL_OFFER_NOT_CONVERTED",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CATALOGUE.keys() - {"TRANSACTION_PROCESSED"}))
def test_without_a_status_the_name_tells_of_access(name: str) -> None:
    found = profile(event(at=MOMENT - 1), event(name, subscription_status=...))
    assert found["has_active_subscription"] is (name not in ENDS)


@pytest.mark.parametrize("name", ["TRANSACTION_PROCESSED", "LOYALTY_TIER_REACHED"])
@pytest.mark.parametrize("active", [True, False])
def test_money_and_unknown_events_leave_access_alone(name: str, *, active: bool) -> None:
    before = event(subscription_status="AUTO_RENEWING" if active else "PAUSED", at=MOMENT - 1)
    assert profile(before, event(name, subscription_status=...))["has_active_subscription"] is active
    assert profile(event(name, subscription_status=...))["has_active_subscription"] is False


@pytest.mark.parametrize("name", ["ACTIVATE", "TRANSACTION_PROCESSED", "TRIAL_STARTED"])
def test_an_unknown_event_ranks_as_a_lifecycle_event(name: str) -> None:
    known, unknown = event(name), event("LOYALTY_TIER_REACHED")
    assert profile(known, unknown)["last_event"] == profile(unknown, known)["last_event"] == "LOYALTY_TIER_REACHED"


def test_a_fact_that_is_null_is_not_told() -> None:
    known = event(at=MOMENT - 1)
    assert profile(known, event(store_country=None, user_id=None, is_family_shared=None)).items() >= {
        ("store_country", "FR"),
        ("user_id", "customer-7"),
        ("is_family_shared", False),
    }
    assert "store_country" not in profile(event(store_country=None))


def test_one_active_subscription_of_several_is_enough() -> None:
    plus, news = event(at=MOMENT), event(at=MOMENT + 1, purchasely_subscription_id="subs_2", plan="news")
    ended = event("SUBSCRIPTION_TERMINATED", at=MOMENT + 2, subscription_status="DEACTIVATED")
    both_ended = event(
        "SUBSCRIPTION_TERMINATED",
        at=MOMENT + 3,
        subscription_status="UNPAID",
        purchasely_subscription_id="subs_2",
        plan="news",
    )
    assert profile(plus, news)["plan"] == "news"
    found = profile(plus, news, ended)
    assert (found["has_active_subscription"], found["plan"], found["last_event"]) == (
        True,
        "news",
        "SUBSCRIPTION_TERMINATED",
    )
    assert found["subscription_status"] == "AUTO_RENEWING"
    found = profile(plus, news, ended, both_ended)
    assert (found["has_active_subscription"], found["subscription_status"]) == (False, "UNPAID")


def test_the_newest_active_subscription_is_shown() -> None:
    plus, news = event(at=MOMENT), event(at=MOMENT + 1, purchasely_subscription_id="subs_2", plan="news")
    assert profile(plus, news, event("RENEWAL_DISABLED", at=MOMENT + 2))["plan"] == "premium-monthly"


def test_a_subscription_may_go_by_its_transaction() -> None:
    first = event(purchasely_subscription_id=..., store_original_transaction_id="1")
    other = event(purchasely_subscription_id=..., store_original_transaction_id="2", plan="news", at=MOMENT + 1)
    ended = event(
        "SUBSCRIPTION_EXPIRED",
        purchasely_subscription_id=...,
        store_original_transaction_id="2",
        subscription_status=...,
        at=MOMENT + 2,
    )
    assert profile(first, other, ended)["plan"] == "premium-monthly"


def test_money_may_be_all_of_a_subscription() -> None:
    bare = ("product", "plan", "store", "store_country", "offer_type", "is_family_shared", "subscription_status")
    absent: dict[str, Any] = dict.fromkeys(bare, ...)
    for key in ("original_purchased_at", "effective_next_renewal_at"):
        absent |= {key: ..., f"{key}_ms": ...}
    bare_money = event("TRANSACTION_PROCESSED", at=MOMENT + 1, **absent)
    assert profile(bare_money)["has_active_subscription"] is False
    other = event(purchasely_subscription_id="subs_2")
    assert profile(bare_money, other)["plan"] == profile(other, bare_money)["plan"] == "premium-monthly"


def test_an_event_without_subscription_tells_the_person() -> None:
    found = profile(event(purchasely_subscription_id=..., store_original_transaction_id=..., plan="premium-monthly"))
    assert (found["user_id"], found["last_event"]) == ("customer-7", "SUBSCRIPTION_RENEWED")
    assert not {"plan", "last_one_time_purchase"} & found.keys()


# Time


def test_an_older_event_never_overwrites_a_newer_one() -> None:
    newer = event(
        "SUBSCRIPTION_TERMINATED", at=MOMENT + 5, subscription_status="DEACTIVATED", plan="new", user_id="new"
    )
    older = event(at=MOMENT, plan="old", user_id="old", cumulated_revenues_in_usd=1)
    assert profile(newer, older) == profile(older, newer)
    found = profile(newer, older)
    assert (found["plan"], found["user_id"], found["last_event"]) == ("new", "new", "SUBSCRIPTION_TERMINATED")
    assert found["has_active_subscription"] is False


def test_an_older_event_fills_what_is_missing() -> None:
    newer = event(at=MOMENT + 5, promotional_offer_id=..., previous_plan=...)
    older = event("SUBSCRIPTION_UPGRADED", at=MOMENT, promotional_offer_id="stay", previous_plan="basic")
    found = profile(newer, older)
    assert (found["promotional_offer_id"], found["previous_plan"]) == ("stay", "basic")


def test_a_blank_id_replaces_no_known_one() -> None:
    known, blank = event(user_id="customer-7"), event(at=MOMENT + 1, user_id="", anonymous_user_id="")
    found = profile(known, blank)
    assert found["user_id"] == "customer-7"
    assert "anonymous_user_id" not in found


def test_the_event_that_says_most_is_the_last() -> None:
    names = ["ACTIVATE", "TRANSACTION_PROCESSED", "TRIAL_CONVERTED", "SUBSCRIPTION_RENEWED", "SUBSCRIPTION_TRANSFERRED"]
    events = [event(name) for name in names]
    for lesser, greater in pairwise(events):
        assert profile(greater, lesser)["last_event"] == profile(lesser, greater)["last_event"] == greater.event_name
        assert chronology(lesser) < chronology(greater)


def test_chronology_is_by_time_first_and_by_id_last() -> None:
    assert chronology(event("SUBSCRIPTION_TRANSFERRED", at=MOMENT)) < chronology(event("ACTIVATE", at=MOMENT + 1))
    assert chronology(event(event_id="a")) < chronology(event(event_id="b"))


# Transfers and plan changes


def test_a_transfer_clears_the_former_owner() -> None:
    found = profile(event(), event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1, transferred_to_user_id="customer-8"))
    assert found["has_active_subscription"] is False
    assert found.keys() == {
        "user_id", "environment", "has_active_subscription", "lifetime_revenue", "lifetime_revenue_currency",
        "last_event", "last_event_at",
    }  # fmt: skip


@pytest.mark.parametrize("at", [MOMENT, MOMENT + 1, MOMENT + 2])
@pytest.mark.parametrize("name", ["DEACTIVATE", "TRANSACTION_PROCESSED"])
@pytest.mark.parametrize("status", ["AUTO_RENEWING", "DEACTIVATED", ...])
def test_a_transferred_subscription_stays_away(name: str, status: Any, at: int) -> None:
    started, moved = event(at=MOMENT - 9), event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1)
    beside = event(name, at=at, subscription_status=status)
    for order in ([started, moved, beside], [started, beside, moved], [beside, moved, started]):
        found = profile(*order)
        assert found["has_active_subscription"] is False
        assert "plan" not in found


def test_the_new_owner_has_the_subscription() -> None:
    found = profile(event("SUBSCRIPTION_RECEIVED", transferred_from_user_id="customer-8"))
    assert (found["has_active_subscription"], found["plan"]) == (True, "premium-monthly")


def test_a_subscription_can_come_back() -> None:
    away, back = event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1), event("SUBSCRIPTION_RECEIVED", at=MOMENT + 2)
    assert profile(event(), away, back)["has_active_subscription"] is True
    assert profile(back, away, event())["has_active_subscription"] is True


def test_other_subscriptions_stay_with_their_owner() -> None:
    other = event(purchasely_subscription_id="subs_2", plan="news")
    found = profile(other, event(), event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1))
    assert (found["has_active_subscription"], found["plan"]) == (True, "news")


CHANGES = ["SUBSCRIPTION_UPGRADED", "SUBSCRIPTION_DOWNGRADED", "SUBSCRIPTION_CROSSGRADED"]
NEW_PLAN: dict[str, Any] = {
    "purchasely_subscription_id": "subs_2",
    "from_purchasely_subscription_id": "subs_1",
    "plan": "premium-yearly",
    "previous_plan": "premium-monthly",
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_plan_change_replaces_the_old_subscription(name: str) -> None:
    changed = event(name, at=MOMENT + 1, **NEW_PLAN)
    ended = event(
        "SUBSCRIPTION_TERMINATED", at=MOMENT + 2, subscription_status="DEACTIVATED", purchasely_subscription_id="subs_2"
    )
    for events in ([event(), changed], [changed, event()]):
        found = profile(*events)
        assert (found["plan"], found["previous_plan"]) == ("premium-yearly", "premium-monthly")
        assert found["has_active_subscription"] is True
        assert profile(*events, ended)["has_active_subscription"] is False


@pytest.mark.parametrize(
    "beside", ["DEACTIVATE", "TRANSACTION_PROCESSED", "RENEWAL_DISABLED", "SUBSCRIPTION_TERMINATED"]
)
@pytest.mark.parametrize("status", ["AUTO_RENEWING_CANCELED", "DEACTIVATED", ...])
def test_the_old_plans_last_word_does_not_revive_it(beside: str, status: Any) -> None:
    changed, of_old = (
        event(CHANGES[0], at=MOMENT + 1, **NEW_PLAN),
        event(beside, at=MOMENT + 1, subscription_status=status),
    )
    ended = event(
        "SUBSCRIPTION_TERMINATED", at=MOMENT + 2, subscription_status="DEACTIVATED", purchasely_subscription_id="subs_2"
    )
    for order in ([event(), changed, of_old, ended], [ended, of_old, changed, event()]):
        assert profile(*order)["has_active_subscription"] is False


@pytest.mark.parametrize("status", ["AUTO_RENEWING", "DEACTIVATED", ...])
def test_a_refund_does_not_revive_the_old_plan(status: Any) -> None:
    refund = event("TRANSACTION_PROCESSED", at=MOMENT + 2, subscription_status=status)
    ended = event(
        "SUBSCRIPTION_TERMINATED", at=MOMENT + 3, subscription_status="DEACTIVATED", purchasely_subscription_id="subs_2"
    )
    found = profile(event(), event(CHANGES[0], at=MOMENT + 1, **NEW_PLAN), refund, ended)
    assert (found["has_active_subscription"], found["plan"]) == (False, "premium-monthly")
    assert found["subscription_status"] == "DEACTIVATED"


def test_silence_on_access_does_not_revive_the_old_plan() -> None:
    changed, unknown = (
        event(CHANGES[0], at=MOMENT + 1, **NEW_PLAN),
        event("NEW", at=MOMENT + 2, subscription_status=...),
    )
    ended = event(
        "SUBSCRIPTION_TERMINATED", at=MOMENT + 3, subscription_status="DEACTIVATED", purchasely_subscription_id="subs_2"
    )
    assert profile(event(), changed, unknown, ended)["has_active_subscription"] is False


def test_a_plan_change_in_place_stays_in_place() -> None:
    changed = event(CHANGES[0], at=MOMENT + 1, from_purchasely_subscription_id="subs_1", plan="premium-yearly")
    assert profile(event(), changed)["plan"] == "premium-yearly"


# One-time purchases

ONCE: dict[str, Any] = {
    "purchase_type": "CONSUMABLE",
    "purchasely_one_time_purchase_id": "otp_1",
    "purchasely_subscription_id": ...,
    "subscription_status": ...,
    "plan": "coins",
}


def test_a_one_time_purchase_is_no_subscription() -> None:
    found = profile(event("ACTIVATE", **ONCE))
    assert (found["has_active_subscription"], found["last_one_time_purchase"]) == (False, "coins")
    assert "plan" not in found


@pytest.mark.parametrize("known_by", ["purchase_type", "purchasely_one_time_purchase_id"])
def test_a_one_time_purchase_has_a_type_or_an_id(known_by: str) -> None:
    found = profile(event("ACTIVATE", **(ONCE | {known_by: ...})))
    assert found["last_one_time_purchase"] == "coins"


def test_a_one_time_purchase_changes_no_subscription() -> None:
    found = profile(event(), event("ACTIVATE", at=MOMENT + 1, **ONCE))
    assert (found["has_active_subscription"], found["plan"]) == (True, "premium-monthly")
    assert profile(event("ACTIVATE", **(ONCE | {"plan": ...})))["last_one_time_purchase"] == "premium"


@pytest.mark.parametrize("name", ["DEACTIVATE", "ONE_TIME_PURCHASE_TRANSFERRED"])
def test_a_purchase_given_up_is_not_the_last_one(name: str) -> None:
    bought, later = event("ACTIVATE", **ONCE), event("ACTIVATE", at=MOMENT + 1, **(ONCE | {"plan": "gems"}))
    assert profile(bought, later, event(name, at=MOMENT + 2, **ONCE))["last_one_time_purchase"] == "gems"


# Any order

NAMES = [
    *(
        "ACTIVATE",
        "DEACTIVATE",
        "TRANSACTION_PROCESSED",
        "SUBSCRIPTION_STARTED",
        "SUBSCRIPTION_RENEWED",
        "TRIAL_CONVERTED",
    ),
    *("SUBSCRIPTION_TERMINATED", "SUBSCRIPTION_TRANSFERRED", "SUBSCRIPTION_RECEIVED", "ONE_TIME_PURCHASE_TRANSFERRED"),
    *("RENEWAL_DISABLED", "LOYALTY_TIER_REACHED"),
]
STATUSES = ["AUTO_RENEWING", "CANCELED", "IN_GRACE_PERIOD", "ON_HOLD", "DEACTIVATED", ...]


@st.composite
def histories(draw: st.DrawFn, *, ties: bool) -> list[Event]:
    """Events of one person about three subscriptions and some one-time purchases."""
    count = draw(st.integers(1, 9))
    moments = draw(st.lists(st.integers(0, 2 if ties else 50), min_size=count, max_size=count, unique=not ties))
    return [_told(draw, MOMENT + 1000 * moment, number) for number, moment in enumerate(moments)]


def _told(draw: st.DrawFn, at: int, number: int) -> Event:
    subscription = draw(st.sampled_from(["subs_1", "subs_2", "subs_3"]))
    keys: dict[str, Any] = {
        "event_id": f"event-{number}",
        "purchasely_subscription_id": subscription,
        "plan": draw(st.sampled_from(["basic", "premium", "yearly", ...])),
        "subscription_status": draw(st.sampled_from(STATUSES)),
        "promotional_offer_id": draw(st.sampled_from(["stay", "return", ..., ...])),
        "is_family_shared": draw(st.sampled_from([True, False, ...])),
        "cumulated_revenues_in_usd": draw(st.sampled_from([..., 0, 9.99, "10.5", 100])),
    }
    kind = draw(st.sampled_from(["told", "told", "told", "changed", "bought"]))
    if kind == "changed":
        former = draw(st.sampled_from(["subs_1", "subs_2", "subs_3"]))
        return event(draw(st.sampled_from(CHANGES)), at=at, **keys, from_purchasely_subscription_id=former)
    if kind == "bought":
        return event(draw(st.sampled_from(["ACTIVATE", "DEACTIVATE"])), at=at, **(keys | ONCE | {"plan": keys["plan"]}))
    return event(draw(st.sampled_from(NAMES)), at=at, **keys)


@st.composite
def arrivals(draw: st.DrawFn, events: Sequence[Event]) -> list[list[Event]]:
    """The same events in any order, some of them twice, in batches of any size."""
    copies = draw(st.lists(st.sampled_from(list(events)), max_size=4))
    shuffled = draw(st.permutations([*events, *copies]))
    cuts = sorted(draw(st.sets(st.integers(0, len(shuffled)), max_size=4)))
    return [shuffled[start:end] for start, end in pairwise([0, *cuts, len(shuffled)])]


@settings(max_examples=300, deadline=None)
@given(st.data(), st.booleans())
def test_any_arrival_ends_in_the_same_state(data: st.DataObject, ties: bool) -> None:
    events = data.draw(histories(ties=ties))
    state = ProfileState()
    for batch in data.draw(arrivals(events)):
        state = state.apply(batch)
        if data.draw(st.booleans()):
            state = ProfileState.decoded(state.encoded())
    expected = ProfileState().apply(events)
    assert state == expected
    assert state.profile() == expected.profile()


def told_in_order(events: Sequence[Event]) -> dict[str, Value]:
    """The profile as a person would work it out who reads the events one after the other, no two of one time."""
    person: dict[str, Any] = {}
    subscriptions: dict[str, dict[str, Any]] = {}
    for each in sorted(events, key=lambda each: each.created_ms):
        at, name = each.created_ms, each.event_name
        person |= {"user_id": "customer-7", "environment": "PRODUCTION"}
        person |= {"last_event": name, "last_event_at": f"$D_{at // 1000}"}
        if "cumulated_revenues_in_usd" in each.values:
            revenue = float(each.values["cumulated_revenues_in_usd"])
            person |= {"lifetime_revenue": revenue, "lifetime_revenue_currency": "USD"}
        if each.payload.get("purchase_type") == "CONSUMABLE":
            if name == "ACTIVATE":
                person["last_one_time_purchase"] = each.payload.get("plan") or each.payload.get("product")
            continue
        new = {"held": True, "active": False, "shown": {}}
        known = subscriptions.setdefault(str(each.payload.get("purchasely_subscription_id")), new)
        known["at"] = at
        if name in ("SUBSCRIPTION_TRANSFERRED", "ONE_TIME_PURCHASE_TRANSFERRED"):
            known["held"] = False
        elif name not in ("DEACTIVATE", "TRANSACTION_PROCESSED"):
            known["held"] = True
        if name == "DEACTIVATE":
            known["active"] = False
        elif each.payload.get("subscription_status"):
            known["active"] = each.payload.get("subscription_status") in (
                "AUTO_RENEWING",
                "AUTO_RENEWING_CANCELED",
                "IN_GRACE_PERIOD",
            )
        elif name in CATALOGUE and name != "TRANSACTION_PROCESSED":
            known["active"] = name not in ENDS
        for key in (
            "product",
            "plan",
            "store",
            "store_country",
            "subscription_status",
            "offer_type",
            "is_family_shared",
        ):
            known["shown"] |= {} if each.values.get(key) is None else {key: each.values[key]}
        if each.payload.get("promotional_offer_id"):
            known["shown"]["promotional_offer_id"] = each.payload.get("promotional_offer_id")
        known["shown"]["subscription_started_at"] = f"$D_{SECONDS - 31 * 86_400}"
        known["shown"]["effective_next_renewal_at"] = f"$D_{SECONDS + 30 * 86_400}"
        former = each.payload.get("from_purchasely_subscription_id")
        if former and former != each.payload.get("purchasely_subscription_id"):
            subscriptions.setdefault(former, {"shown": {}}).update(held=False, active=False, at=at)
    held = sorted(
        (each for each in subscriptions.values() if each["held"]), key=lambda each: (each["active"], each["at"])
    )
    return (
        person | {"has_active_subscription": any(each["active"] for each in held)} | (held[-1]["shown"] if held else {})
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_profile_follows_the_order_of_events(data: st.DataObject) -> None:
    events = data.draw(histories(ties=False))
    state = ProfileState()
    for batch in data.draw(arrivals(events)):
        state = state.apply(batch)
    assert state.profile() == told_in_order(events)


# What is kept


@given(
    PAYLOADS,
    PAYLOADS,
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.booleans() | st.floats(0, 9)),
)
def test_the_state_survives_being_stored(one: dict[str, Any], other: dict[str, Any], sent: dict[str, Value]) -> None:
    events = [each for each in (read(body(one)), read(body(other))) if isinstance(each, Event)]
    state = ProfileState().apply(events).accepted(sent, OBJECT_ID)
    again = ProfileState.decoded(state.encoded())
    assert again == state
    assert again.apply(events) == state
    assert again.profile() == state.profile()
    assert {type(value) for value in again.profile().values()} == {type(value) for value in state.profile().values()}


def test_the_order_of_links_changes_nothing_stored() -> None:
    ids = [f"__{number}" for number in range(20)]
    states = []
    for order in (ids, ids[::-1]):
        state = ProfileState()
        for object_id in order:
            state = state.accepted({}, object_id)
        states.append(state)
    assert states[0].encoded() == states[1].encoded()


def test_the_state_of_a_busy_tester_stays_small() -> None:
    many = [
        event(
            "SUBSCRIPTION_STARTED" if number in (3, 7) else "SUBSCRIPTION_TERMINATED",
            at=MOMENT + number,
            purchasely_subscription_id=f"subs_{number}",
            subscription_status="AUTO_RENEWING" if number in (3, 7) else "DEACTIVATED",
        )
        for number in range(250)
    ]
    state = ProfileState().apply(many)
    assert len(state.subscriptions) == 100
    assert {"subs_3", "subs_7", "subs_249"} <= state.subscriptions.keys(), "the active ones and the newest are kept"
    assert state.profile()["has_active_subscription"] is True
    assert len(state.encoded()) < 200_000


@pytest.mark.parametrize("text", ["a" * 900_000, "é" * 400_000, "\x00" * 100_000])
def test_the_state_of_long_texts_stays_small(text: str) -> None:
    texts = dict.fromkeys(
        ("user_id", "anonymous_user_id", "product", "plan", "previous_plan", "store", "store_country", "offer_type"),
        text,
    )
    ids = {"purchasely_subscription_id": text, "from_purchasely_subscription_id": f"b{text}"}
    state = ProfileState().apply([event("SUBSCRIPTION_UPGRADED", **texts, **ids)])
    assert len(state.encoded()) < 50_000
    assert state.profile()["has_active_subscription"] is True
    for value in state.profile().values():
        assert len(str(value).encode()) <= 512


# What CleverTap is told


def update(state: ProfileState, identity: Identity = PERSON, **document: Any) -> ProfileUpdate | None:
    return Mapper(parse(json.dumps({"profile": document}))).profile_update(identity, state)


def told(state: ProfileState, identity: Identity = PERSON, **document: Any) -> dict[str, Any]:
    found = update(state, identity, **document)
    assert found is not None
    data: dict[str, Any] = json.loads(found.record)["profileData"]
    return data


def synced(state: ProfileState, identity: Identity = PERSON, **document: Any) -> ProfileState:
    found = update(state, identity, **document)
    return state if found is None else state.accepted(found.properties, found.link)


def test_a_new_profile_is_told_whole() -> None:
    state = ProfileState().apply([event()])
    assert told(state) == state.profile()
    found = update(state)
    assert found is not None
    assert json.loads(found.record) | {"profileData": {}} == {
        "type": "profile",
        "identity": "customer-7",
        "profileData": {},
    }


def test_what_clevertap_knows_is_not_told_again() -> None:
    state = synced(ProfileState().apply([event()]))
    assert update(state) is None
    assert update(state.apply([event()])) is None
    assert update(ProfileState.decoded(state.encoded())) is None


def test_only_what_changed_is_told() -> None:
    state = synced(ProfileState().apply([event()]))
    disabled = event("RENEWAL_DISABLED", at=MOMENT + DAY, subscription_status="AUTO_RENEWING_CANCELED")
    assert told(state.apply([disabled])) == {
        "subscription_status": "AUTO_RENEWING_CANCELED",
        "last_event": "RENEWAL_DISABLED",
        "last_event_at": f"$D_{SECONDS + 86_400}",
    }


def test_an_update_that_was_not_accepted_is_told_again() -> None:
    state = ProfileState().apply([event()])
    assert told(state) == told(state)


def test_what_no_longer_holds_is_deleted() -> None:
    state = synced(ProfileState().apply([event()])).apply([event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1)])
    changes = told(state)
    assert changes["has_active_subscription"] is False
    gone = {key for key, value in changes.items() if value == {"$delete": 1}}
    assert gone == {
        "product", "plan", "store", "store_country", "subscription_status", "offer_type", "is_family_shared",
        "subscription_started_at", "effective_next_renewal_at",
    }  # fmt: skip
    assert update(synced(state)) is None


def test_one_is_not_true_but_is_one_point_zero() -> None:
    state = ProfileState().apply([event(cumulated_revenues_in_usd=1)])
    sent = state.profile()
    assert update(state.accepted(sent | {"lifetime_revenue": 1}, None)) is None
    assert told(state.accepted(sent | {"lifetime_revenue": True}, None)) == {"lifetime_revenue": 1.0}
    assert told(state.accepted(sent | {"has_active_subscription": 1}, None)) == {"has_active_subscription": True}


def test_profile_properties_are_renamed_and_omitted() -> None:
    document: dict[str, Any] = {"rename": {"plan": "Plan"}, "omit": ["last_event", "last_event_at"]}
    state = ProfileState().apply([event()])
    changes = told(state, **document)
    assert changes["Plan"] == "premium-monthly"
    assert not {"plan", "last_event", "last_event_at"} & changes.keys()
    state = synced(state, **document)
    assert update(state.apply([event(at=MOMENT + 1)]), **document) is None
    moved = state.apply([event("SUBSCRIPTION_TRANSFERRED", at=MOMENT + 1)])
    assert told(moved, **document)["Plan"] == {"$delete": 1}


def test_an_omitted_property_stays_at_clevertap() -> None:
    state = synced(ProfileState().apply([event()]))
    assert update(state, omit=["plan"]) is None


def test_a_clevertap_id_is_linked_once() -> None:
    both = Identity("customer-7", OBJECT_ID)
    state = ProfileState().apply([event()])
    found = update(state, both)
    assert found is not None
    assert found.link == OBJECT_ID
    assert json.loads(found.record)["objectId"] == OBJECT_ID
    assert told(state, both)["identity"] == "customer-7"
    state = synced(state, both)
    assert update(state, both) is None
    assert update(ProfileState.decoded(state.encoded()), both) is None
    again = told(state.apply([event(at=MOMENT + DAY)]), both)
    assert "identity" not in again


def test_each_device_of_a_user_is_linked() -> None:
    state = synced(ProfileState().apply([event()]), Identity("customer-7", OBJECT_ID))
    other = Identity("customer-7", "-hSECOND")
    assert told(state, other) == {"identity": "customer-7"}
    state = synced(state, other)
    assert update(state, other) is None
    assert update(state, Identity("customer-7", OBJECT_ID)) is None


@pytest.mark.parametrize("person", [PERSON, Identity(object_id=OBJECT_ID)])
def test_a_person_known_by_one_id_is_not_linked(person: Identity) -> None:
    found = update(ProfileState().apply([event()]), person)
    assert found is not None
    assert found.link is None
    assert "identity" not in json.loads(found.record)["profileData"]


@settings(deadline=None)
@given(st.data())
def test_refused_updates_are_made_up_for(
    data: st.DataObject,
) -> None:
    events = data.draw(histories(ties=True))
    state = ProfileState()
    clevertap: dict[str, Any] = {}
    batches = data.draw(arrivals(events))
    for number, batch in enumerate(batches):
        state = state.apply(batch)
        found = update(state)
        if found is None or (number < len(batches) - 1 and data.draw(st.booleans())):
            continue
        clevertap |= json.loads(found.record)["profileData"]
        clevertap = {key: value for key, value in clevertap.items() if value != {"$delete": 1}}
        state = state.accepted(found.properties, found.link)
    assert clevertap == state.profile()


def test_a_new_project_gets_the_whole_profile() -> None:
    known = synced(ProfileState(account_id="FIRST").apply([event()]), Identity("customer-7", OBJECT_ID))
    assert update(known.for_project("FIRST"), Identity("customer-7", OBJECT_ID)) is None
    moved = ProfileState.decoded(known.encoded()).for_project("SECOND")
    assert told(moved) == known.profile()
    assert moved.linked == frozenset()
    assert update(synced(moved).for_project("SECOND")) is None
