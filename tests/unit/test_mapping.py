import json
import re
import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.records import Identity, event_record, profile_record
from purchasely_clevertap.mapping.identity import Link, Wait
from purchasely_clevertap.mapping.mapper import Mapped, Mapper
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.mapping.settings import parse
from purchasely_clevertap.outcome import Parked, ParkReason, Skipped, SkipReason
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import DATES, EARLIEST_MS, Event, read
from tests.unit.samples import DAY, EVENT_ID, LATEST_MS, MOMENT, PAYLOADS, body, dates, event, event_of, paid, payload

SECONDS = MOMENT // 1000
ADA = Identity("customer-7")
OBJECT_ID = "__4f0b6c1e7d3a4f629d5e0c9a1b2d3e4f"
PURCHASE: dict[str, Any] = {
    "purchase_type": "NON_CONSUMABLE",
    "purchasely_one_time_purchase_id": "otp_1",
    "purchasely_subscription_id": ...,
    "subscription_status": ...,
    "event_id": "bought",
    **dates("purchased_at", MOMENT - 1000),
}


def mapper(**document: Any) -> Mapper:
    return Mapper(parse(json.dumps(document)))


def result(
    of: Event, *, now: int = MOMENT, has_sandbox: bool = True, **document: Any
) -> Mapped | Wait | Skipped | Parked:
    return mapper(**document).map(of, now_ms=now, has_sandbox_account=has_sandbox)


def mapped(of: Event, *, now: int = MOMENT, **document: Any) -> Mapped:
    found = result(of, now=now, **document)
    assert isinstance(found, Mapped), found
    return found


def records(of: Event, *, now: int = MOMENT, **document: Any) -> dict[str, Any]:
    """The records by their kind."""
    found = mapped(of, now=now, **document).records
    assert len({kind for kind, _ in found}) == len(found)
    return {str(kind): json.loads(encoded) for kind, encoded in found}


def properties(of: Event, *, now: int = MOMENT, **document: Any) -> dict[str, Any]:
    found: dict[str, Any] = records(of, now=now, **document)["event"]["evtData"]
    return found


def money(of: Event, kind: str = "charged", **document: Any) -> dict[str, Any] | None:
    """The properties of Charged or of the refund, if there is one."""
    found = records(of, **document).get(kind)
    return None if found is None else found["evtData"]


# Records


# The event record


def test_renewal_becomes_the_event_of_its_user() -> None:
    data = payload() | {key: f"$D_{payload()[f'{key}_ms'] // 1000}" for key in DATES if key in payload()}
    data["purchasely_device_type"] = data.pop("device_type")
    data = {key: value for key, value in data.items() if not key.endswith("_ms")}
    record = {"type": "event", "identity": "customer-7", "ts": SECONDS, "evtName": "SUBSCRIPTION_RENEWED"}
    assert records(event()) == {"event": record | {"evtData": data}}
    assert mapped(event()) == Mapped(Environment.PRODUCTION, ADA, mapped(event()).records, profile=True)
    assert records(event(clevertap_id=OBJECT_ID))["event"]["identity"] == "customer-7"
    assert records(event(clevertap_id=OBJECT_ID, user_id=...))["event"]["objectId"] == OBJECT_ID
    assert json.loads(profile_record(ADA, {"plan": "a"})) == {
        "type": "profile",
        "identity": "customer-7",
        "profileData": {"plan": "a"},
    }
    with pytest.raises(ValueError, match="user_id or an object_id"):
        event_record(Identity(), "Trial Started", SECONDS, {})


@pytest.mark.parametrize("name", sorted(CATALOGUE.keys() - {"ACTIVATE", "DEACTIVATE"}))
def test_events_keep_their_names_by_default(name: str) -> None:
    assert records(event(name))["event"]["evtName"] == name


def test_events_can_have_another_name_and_share_it() -> None:
    events = {name: {"name": "Bought"} for name in ("TRIAL_CONVERTED", "SUBSCRIPTION_STARTED")}
    for name in events:
        found = records(event(name), events=events)["event"]
        assert (found["evtName"], found["evtData"]["event_name"]) == ("Bought", name)


@pytest.mark.parametrize("name", ["ACTIVATE", "DEACTIVATE"])
def test_entitlement_events_are_off_by_default(name: str) -> None:
    for events in ({}, {"*": {"send": True}}):
        found = mapped(event(name), events=events)
        assert (found.records, found.kept_back, found.profile) == ((), Skipped(SkipReason.EVENT_SWITCHED_OFF), True)
    assert records(event(name), events={name: {"send": True}})["event"]["evtName"] == name
    assert records(event(name, **PURCHASE))["event"]["evtName"] == f"ONE_TIME_PURCHASE_{name}D"


def test_profile_learns_from_what_is_not_sent() -> None:
    events = {"*": {"send": False}, "TRIAL_STARTED": {"send": True}}
    for name in ("SUBSCRIPTION_RENEWED", "NEW_ONE", "Charged"):
        found = mapped(event(name), events=events)
        assert (found.records, found.kept_back, found.profile) == ((), Skipped(SkipReason.EVENT_SWITCHED_OFF), True)
    assert mapped(event("TRIAL_STARTED"), events=events).kept_back is None
    switched_off = result(event(), events=events, profile={"send": False})
    assert switched_off == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert mapped(event(), profile={"send": False}).profile is False


def test_where_filters_the_event_record_alone() -> None:
    apple = ["APPLE_APP_STORE"]
    cases: list[tuple[dict[str, Any], dict[str, list[str]], bool]] = [
        ({}, {"store": [*apple, "STRIPE"], "product": ["premium"]}, True),
        ({}, {"store": apple, "product": ["basic"]}, False),
        ({"store": "apple app store"}, {"store": apple}, True),
        ({"store": ...}, {"store": apple}, False),
        ({"is_family_shared": True, "tier": 7}, {"is_family_shared": ["true"], "tier": ["7"]}, True),
        ({"attribution": {"utm_source": "x"}}, {"attribution_utm_source": ["x"]}, True),
    ]
    for facts, where, is_sent in cases:
        of = event_of(paid(9.99, 10.79, **facts))
        found = mapped(of, events={"TRANSACTION_PROCESSED": {"where": where}})
        assert found.kept_back == (None if is_sent else Skipped(SkipReason.FILTERED))
        assert [str(kind) for kind, _ in found.records] == (["event"] if is_sent else []) + ["charged"]
        assert found.profile


def test_unusable_name_waits_for_another() -> None:
    words = {"App Launched": 'reserved: "App Launched"', "char ged": 'reserved: "Charged"', "TRIAL:A": "has : in it"}
    for name, expected in words.items():
        found = mapped(event(name))
        assert (found.records, found.profile) == ((), True), "the profile learns all the same"
        parked = found.kept_back
        assert parked == result(event(name), profile={"send": False})
        assert isinstance(parked, Parked)
        assert parked.reason is ParkReason.UNUSABLE_EVENT_NAME
        assert expected in parked.detail
        assert repr(name) in parked.detail
        assert records(event(name), events={name: {"name": "Another"}})["event"]["evtName"] == "Another"


def test_thousand_names_do_not_confuse_the_first() -> None:
    many = mapper(events={"FIRST": {"name": "Renamed"}}, event_properties={"omit": ["secret"], "rename": {"a": "A"}})
    for name in ["FIRST", *(f"NEW_{number}" for number in range(1200)), "FIRST"]:
        of = event(name, **{f"{name}_key": 1, "secret": "s", "a": 1})
        found = many.map(of, now_ms=MOMENT, has_sandbox_account=True)
        assert isinstance(found, Mapped)
        record = json.loads(found.records[0][1])
        assert record["evtName"] == ("Renamed" if name == "FIRST" else name)
        assert "secret" not in record["evtData"]
        assert record["evtData"]["A"] == record["evtData"][f"{name}_key"] == 1


def test_new_names_do_not_fill_the_memory() -> None:
    many = mapper()
    tracemalloc.start()
    try:
        for number in range(3000):
            many.map(event(f"{number:0500}"), now_ms=MOMENT, has_sandbox_account=True)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


# Properties


def test_dates_are_sent_without_their_twins() -> None:
    for key in (*DATES, "loyal_since_at"):
        for twin in ({}, {f"{key}_ms": ...}, {key: ...}):
            if key != "event_created_at" or not twin:
                found = properties(event(**(dates(key, MOMENT) | twin)))
                assert found[key] == f"$D_{SECONDS}"
                assert f"{key}_ms" not in found


@pytest.mark.parametrize("never", ["9999-12-31T23:59:59Z", "soon", "0001-01-01T00:00:00Z", None])
@pytest.mark.parametrize("key", ["next_renewal_at", "loyal_since_at"])
def test_date_that_is_none_is_not_sent(key: str, never: Any) -> None:
    found = mapped(event(**{key: never, f"{key}_ms": ...}))
    assert key not in json.loads(found.records[0][1])["evtData"]
    assert found.left_out == (() if never is None else (key,))


@pytest.mark.parametrize("document", [{}, {"omit": []}, {"omit": ["plan"]}, {"only": ["plan"]}])
def test_purchase_token_goes_out_if_only_names_it(document: Any) -> None:
    for token in ("secret-token", ["secret-token"], 7):
        found = mapped(event_of(paid(9.99, 10.79, purchase_token=token)), event_properties=document)
        assert not any(b"purchase_token" in encoded for _, encoded in found.records)
        assert found.left_out == ()
    of, only = event(purchase_token="t"), {"only": ["purchase_token"]}
    assert properties(of, event_properties=only) == {"purchase_token": "t"}
    assert properties(of, events={of.event_name: only}) == {"purchase_token": "t"}


def test_only_what_is_named_is_sent() -> None:
    of = event(tier="gold")
    only = {"only": ["plan", "purchased_at", "tier", "promotional_offer_id"]}
    few = {"plan": "premium-monthly", "purchased_at": f"$D_{SECONDS - 86_400}", "tier": "gold"}
    assert properties(of, event_properties=only) == few
    own = {of.event_name: {"only": ["store"]}, "TRIAL_STARTED": {"only": []}}
    assert properties(of, event_properties=only, events=own) == {"store": "APPLE_APP_STORE"}
    assert properties(event("TRIAL_STARTED"), event_properties=only, events=own) == {}
    assert mapped(of, event_properties=only).left_out == ()
    late = {"event_properties": only, "late_events": {"action": "flag"}}
    assert properties(of, now=MOMENT + DAY, **late) == few | {"is_late": True}


def test_properties_are_renamed() -> None:
    rename = {
        "device_type": "Device",
        "plan": "Plan",
        "purchased_at": "Bought",
        "amount_in_usd": "Amount USD",
        "tier": "Tier",
    }
    found = properties(event(tier="gold", amount_in_usd="1.5"), event_properties={"rename": rename})
    assert (found["Plan"], found["Bought"]) == ("premium-monthly", f"$D_{SECONDS - 86_400}")
    assert (found["Amount USD"], found["Tier"]) == (1.5, "gold")
    assert not rename.keys() & found.keys()


def test_properties_are_left_out_of_every_record() -> None:
    omit = ["plan", "purchased_at", "cumulated_revenues_in_usd", "tier", "product", "attribution_utm_source"]
    of = event_of(paid(9.99, 10.79, tier="gold", attribution={"utm_source": "x"}))
    found = records(of, event_properties={"omit": omit})
    for data in (found["event"]["evtData"], found["charged"]["evtData"], found["charged"]["evtData"]["Items"][0]):
        assert not set(omit) & data.keys()
    assert mapped(of, event_properties={"omit": omit}).left_out == ()


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        *(("k" * 120, "k" * 120), ("l" * 121, "l" * 120), ("é" * 130, "é" * 120)),
        *((f"loyalty{character}tier", "loyalty_tier") for character in "%><!|&.:;$'\"\\"),
        *((key, "_") for key in ("", " ", "\t\n", " " * 130, " " * 130 + "a")),
    ],
)
def test_key_and_text_are_made_usable_and_counted(key: str, sent: str) -> None:
    found = mapped(event(**{key: "gold", "audience": "é" * 300, "perks": [[1]], "store_country": None}))
    data = json.loads(found.records[0][1])["evtData"]
    assert (data[sent], data["audience"]) == ("gold", "é" * 256)
    assert not {"perks", "store_country"} & data.keys()
    assert {*found.left_out} == {"audience", "perks"} | ({key} if key != sent else set())


def test_first_of_two_equal_keys_is_sent() -> None:
    new: dict[str, Any] = {"a.b": 1, "a:b": 2, "k" * 121: 3, "k" * 122: 4, "purchasely_device_type": 5, "pl!an": 6}
    found = mapped(event_of(new | payload()), event_properties={"rename": {"plan": "pl_an"}})
    data = json.loads(found.records[0][1])["evtData"]
    assert (data["a_b"], data["k" * 120]) == (1, 3)
    assert (data["purchasely_device_type"], data["pl_an"]) == ("PHONE", "premium-monthly"), "documented ones first"
    assert found.left_out == tuple(new)


@given(st.integers(0, 300), st.booleans())
def test_event_has_at_most_100_properties(count: int, late: bool) -> None:
    new = {f"new_{number}": number for number in range(count)}
    of, now = event_of(new | paid(9.99, 10.79)), MOMENT + DAY if late else MOMENT
    found = mapped(of, now=now, late_events={"action": "flag"})
    data = json.loads(found.records[0][1])["evtData"]
    assert len(data) <= 100
    assert data.get("is_late", False) is late
    assert properties(event_of(paid(9.99, 10.79))).items() <= data.items(), "documented properties come first"
    assert [*(key for key in new if key in data), *found.left_out] == list(new)
    assert len(data) >= 97 or found.left_out == ()


@pytest.mark.parametrize("given", [["an", "id"], True, {"id": 1}, 7, "no id!", None, ...])
def test_made_event_id_is_in_every_record(given: Any) -> None:
    of = event_of(paid(9.99, 10.79, event_id=given, store_transaction_id=...))
    assert of.event_id.startswith("sha256-")
    data = money(of) or {}
    assert properties(of)["event_id"] == data["event_id"] == data["Charged ID"] == of.event_id


# Whose, and where


def test_anonymous_user_waits_and_is_marked() -> None:
    visitor: dict[str, Any] = {"user_id": ..., "anonymous_user_id": "anon-1"}
    visit = event_of(paid(9.99, 10.79, **visitor))
    assert result(visit) == Wait("anon-1")
    found = mapper().map(visit, now_ms=MOMENT, has_sandbox_account=True, link=Link("ada"))
    assert isinstance(found, Mapped)
    assert len(found.records) == 2
    for record in [json.loads(encoded) for _, encoded in found.records]:
        assert (record["identity"], record["ts"], record["evtData"]["was_anonymous"]) == ("ada", SECONDS, True)
    gone = event("SUBSCRIPTION_TRANSFERRED", **visitor, transferred_to_user_id="customer-7")
    for mode in ("hold", "skip", "identity", "custom_id"):
        assert result(gone, identity={"anonymous": mode}) == Skipped(SkipReason.BECAME_KNOWN)
        if mode in ("identity", "custom_id"):
            assert "was_anonymous" not in properties(visit, identity={"anonymous": mode})


def test_environment_is_that_of_the_setting() -> None:
    off, nowhere = Skipped(SkipReason.SANDBOX_SWITCHED_OFF), Skipped(SkipReason.NO_SANDBOX_ACCOUNT)
    sandbox, production = Environment.SANDBOX, Environment.PRODUCTION
    right = {"separate": (sandbox, nowhere), "skip": (off, off), "mix": (production, production)}
    for setting, expected in right.items():
        for has_sandbox, where in zip((True, False), expected, strict=True):
            found = result(event(environment="SANDBOX"), has_sandbox=has_sandbox, sandbox=setting)
            assert (found.environment if isinstance(found, Mapped) else found) == where
            real = result(event(), has_sandbox=has_sandbox, sandbox=setting)
            assert isinstance(real, Mapped)
            assert real.environment is production


# Late events

LIMIT = 110 * 60_000


@pytest.mark.parametrize("action", ["send", "flag", "profile_only", "skip"])
def test_event_of_exactly_the_limit_is_not_late(action: str) -> None:
    of = event_of(paid(9.99, 10.79))
    for now in (MOMENT - DAY, MOMENT + LIMIT):
        assert mapped(of, now=now, late_events={"action": action}) == mapped(of)
    assert mapped(of, now=MOMENT + LIMIT + 1) == mapped(of)
    found = records(of, now=MOMENT + LIMIT + 1, late_events={"action": "flag"})
    assert (found["event"]["evtData"]["is_late"], found["event"]["ts"]) == (True, SECONDS)
    assert found["charged"]["evtData"]["Amount"] == 10.79


@pytest.mark.parametrize("action", ["profile_only", "skip"])
def test_late_event_loses_its_own_record_alone(action: str) -> None:
    late: dict[str, Any] = {"after_minutes": 1, "action": action}
    found = mapped(event_of(paid(9.99, 10.79)), now=MOMENT + 60_001, late_events=late)
    assert ([str(kind) for kind, _ in found.records], found.kept_back) == (["charged"], Skipped(SkipReason.LATE))
    assert found.profile
    without = result(event(), now=MOMENT + 60_001, late_events=late, profile={"send": False})
    assert without == Skipped(SkipReason.LATE)


# Money


def test_payment_becomes_charged() -> None:
    where = dict.fromkeys(("presentation", "placement", "audience", "ab_test", "ab_test_variant"), "x")
    where |= {"channel": "web2app", "provider": "external"}
    item = {"product": "premium", "plan": "premium-monthly", "offer_type": "NONE"}
    given = paid(9.99, 10.79, **where, attribution={"utm_source": "newsletter"})
    found = records(event_of(given))["charged"]
    assert (found["evtName"], found["identity"], found["ts"]) == ("Charged", "customer-7", SECONDS)
    assert found["evtData"] == {
        "Amount": 10.79,
        "Currency": "USD",
        "Charged ID": "2000000137582598",
        "Items": [item | {"store_product_id": "com.example.premium.month", "purchase_type": "RENEWING_SUBSCRIPTION"}],
        "event_id": EVENT_ID,
        "source_event_name": "SUBSCRIPTION_RENEWED",
        "store": "APPLE_APP_STORE",
        "store_country": "FR",
        "environment": "PRODUCTION",
        "attribution_utm_source": "newsletter",
        **item,
        **where,
    }


@given(st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9), st.sampled_from(sorted(CATALOGUE)), st.booleans())
def test_sign_of_a_transaction_decides(amount: float, name: str, as_text: bool) -> None:
    written = repr(amount) if as_text else amount
    of = event_of(paid(written, written) | {"event_name": name})
    for currency in ("customer", "integration"):
        document = {"revenue": {"currency": currency}, "events": {name: {"send": True}}}
        for kind, expected in (("charged", amount), ("refunded", -amount)):
            found = money(of, kind, **document)
            if name == "TRANSACTION_PROCESSED" and expected > 0:
                assert found is not None
                assert (found["Amount"], type(found["Amount"])) == (expected, float)
            else:
                assert found is None


def test_negative_amount_becomes_a_refund() -> None:
    of = event_of(paid(-9.25, -9.99))
    found = records(of)
    assert set(found) == {"event", "refunded"}
    assert found["event"]["evtData"]["amount_in_usd"] == -9.99
    refund = found["refunded"]
    assert (refund["evtName"], refund["evtData"]["Amount"], refund["evtData"]["Currency"]) == ("Refunded", 9.99, "USD")
    assert refund["evtData"]["Charged ID"] == "2000000137582598"
    assert "Items" not in refund["evtData"]
    assert records(of, revenue={"refunds": {"name": "Money Back"}})["refunded"]["evtName"] == "Money Back"
    assert set(records(of, revenue={"refunds": {"send": False}})) == {"event"}
    assert set(records(of, revenue={"charged": False})) == {"event", "refunded"}


@pytest.mark.parametrize(
    ("setting", "facts", "expected"),
    [
        ("integration", {}, (10.79, "USD")),
        ("customer", {}, (9.99, "EUR")),
        *(("customer", {"amount_in_customer_currency": each}, (10.79, "USD")) for each in (..., None, "")),
        *(("customer", {"customer_currency": each}, (10.79, "USD")) for each in (..., None, "€", "E" * 600)),
        ("integration", {"amount_in_usd": None}, None),
        *(
            (
                "integration",
                {"amount_in_usd": ..., "plan_price_in_usd": ..., "cumulated_revenues_in_usd": ..., **more},
                (9.99, "EUR"),
            )
            for more in ({}, {"plan_price_in_eur": 9.99})
        ),
    ],
)
def test_charged_has_the_currency_of_its_amount(setting: str, facts: dict[str, Any], expected: Any) -> None:
    found = money(event_of(paid(9.99, **{"amount_in_usd": 10.79} | facts)), revenue={"currency": setting})
    assert (None if found is None else (found["Amount"], found["Currency"])) == expected


def test_proceeds_are_a_share_of_the_amount() -> None:
    shares = {"STRIPE": 0.5, "AMAZON_APPSTORE": 0, "*": 1}
    for store, expected in (("STRIPE", 5.0), ("AMAZON_APP_STORE", 0.0), ("APPLE_APP_STORE", 10.0), (..., 10.0)):
        for kind, amount in (("charged", 10), ("refunded", -10)):
            found = money(event_of(paid(amount, amount, store=store)), kind, revenue={"proceeds": shares}) or {}
            assert (found["Amount"], found["Proceeds"], type(found["Proceeds"])) == (10.0, expected, float)
    for proceeds in (None, {"STRIPE": 0.5}):
        assert "Proceeds" not in (money(event_of(paid(10, 10)), revenue={"proceeds": proceeds}) or {})


def test_charged_needs_no_event_record() -> None:
    assert set(records(event_of(paid(9.99, 10.79)), events={"*": {"send": False}})) == {"charged"}
    assert set(records(event_of(paid(9.99, 10.79)), profile={"send": False})) == {"event", "charged"}
    assert set(records(event_of(paid(9.99, 10.79)), revenue={"charged": False})) == {"event"}


def test_texts_of_charged_are_cut_or_absent() -> None:
    keys = ("store_transaction_id", "product", "plan", "store", "store_product_id")
    found = money(event_of(paid(9.99, 10.79, **dict.fromkeys(keys, "é" * 300)))) or {}
    assert found["Charged ID"] == found["product"] == found["store"] == found["Items"][0]["plan"] == "é" * 256
    gone = dict.fromkeys((*keys, "purchase_type", "offer_type"), "")
    found = money(event_of(paid(9.99, 10.79, **gone))) or {}
    assert not {"plan", "store", "Items"} & found.keys()
    assert found["Charged ID"] == EVENT_ID


# The money of one-time purchases


def bought(at: int = MOMENT, **facts: Any) -> Event:
    return event("ACTIVATE", at=at, **(PURCHASE | facts))


def revoked(at: int = MOMENT + DAY, **facts: Any) -> Event:
    return event("DEACTIVATE", at=at, **(PURCHASE | {"event_id": "revoked"} | facts))


def paid_for(*events: Event, **document: Any) -> list[tuple[str, float, str]]:
    """The kind, the amount and the event of each money record, the events known one by one."""
    uses, state, found = mapper(**document), ProfileState(), []
    for of in events:
        state = state.apply([of], price_of=uses.price)
        found += [
            (str(kind), json.loads(encoded)["evtData"]) for kind, encoded in uses.purchase_records(of, ADA, state)
        ]
    assert all(data["Charged ID"] == "2000000137582598" for _, data in found)
    return [(kind, data["Amount"], data["event_id"]) for kind, data in found]


CHARGED, REFUNDED = ("charged", 10.79, "bought"), ("refunded", 10.79, "revoked")


def test_purchase_is_charged_by_its_price() -> None:
    assert paid_for(bought()) == [CHARGED]
    assert paid_for(bought(), revenue={"currency": "customer"}) == [("charged", 9.99, "bought")]
    assert paid_for(bought(plan_price_in_usd=0)) == []
    assert paid_for(bought(), revenue={"charged": False}) == []
    assert paid_for(event("ACTIVATE")) == [], "a subscription"
    assert "charged" not in records(bought())


def test_repeated_activation_charges_once() -> None:
    again = bought(MOMENT + 1000, event_id="again")
    assert paid_for(bought(MOMENT + 9 * DAY)) == [], "a restore"
    for name in ("ONE_TIME_PURCHASE_RECEIVED", "ONE_TIME_PURCHASE_TRANSFERRED"):
        moved = event(name, at=MOMENT + DAY, **PURCHASE)
        assert paid_for(moved) == []
        assert paid_for(bought(), moved, revoked()) == [CHARGED], "no refund"
    assert paid_for(bought(), again) == [CHARGED]
    assert paid_for(again, bought()) == [("charged", 10.79, "again")]
    assert len(paid_for(bought(), bought(store_transaction_id="2000000137582598", event_id="b"), again)) == 1


def test_revoked_purchase_is_refunded_if_charged() -> None:
    assert paid_for(bought(), revoked()) == [CHARGED, REFUNDED]
    assert paid_for(revoked()) == []
    assert sorted(paid_for(revoked(), bought())) == [CHARGED, REFUNDED]
    assert paid_for(bought(), revoked(), revoked(MOMENT + 2 * DAY, event_id="again")) == [CHARGED, REFUNDED]
    assert paid_for(bought(), revoked(), revenue={"refunds": {"send": False}}) == [CHARGED]
    assert paid_for(bought(), revoked(), revenue={"charged": False}) == []


def test_lost_purchase_waits_for_what_comes_beside() -> None:
    uses, state = mapper(), ProfileState().apply([bought(), revoked()])
    ages = (0, 19_999, 20_000)
    assert [uses.is_too_early(revoked(), state, age_ms=age) for age in ages] == [True, True, False]
    assert not uses.is_too_early(bought(), state, age_ms=0)
    assert not uses.is_too_early(revoked(), ProfileState().apply([revoked()]), age_ms=0)


# Whatever comes: what CleverTap documents as its limits, written down here once more and apart from the product.

PROHIBITED = set("%><!|&.:;$'\"\\")
RESERVED = {
    "notificationsent", "notificationviewed", "notificationclicked", "notificationdelivered", "notificationreplied",
    "utmvisited", "applaunched", "appuninstalled", "appversionchanged", "stayed", "replysent", "experimentrendered",
    "reachableby", "identityset", "identityreset", "identityerror", "webpageviewed",
}  # fmt: skip
PERSON = {"identity", "objectId"}


def faults(encoded: bytes) -> Iterator[str]:
    """Everything about a record that CleverTap would refuse or drop."""
    found = json.loads(encoded.decode(), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    if len(PERSON & found.keys()) != 1:
        yield "not exactly one of identity and objectId"
    who = found.get("identity")
    if "identity" in found and not (isinstance(who, str) and who.strip() and len(who.encode()) <= 512):
        yield f"identity {who!r}"
    if "objectId" in found and not re.fullmatch(r"(__h|-h)?[A-Za-z0-9()!:@$_-]{1,64}", found["objectId"]):
        yield f"objectId {found['objectId']!r}"
    if found["type"] == "event":
        yield from event_faults(found)
    else:
        if found.keys() - PERSON != {"type", "profileData"} or found["type"] != "profile":
            yield f"keys {list(found)}"
        yield from flat_faults(found["profileData"], most=256)


def event_faults(found: Mapping[str, Any]) -> Iterator[str]:
    name, seconds = found["evtName"], found["ts"]
    form = "".join(name.split()).casefold()
    if found.keys() - PERSON != {"type", "ts", "evtName", "evtData"}:
        yield f"keys {list(found)}"
    if type(seconds) is not int or not 0 < seconds < 10**10:
        yield f"ts {seconds!r}"
    if not name.strip() or len(name) > 512 or PROHIBITED & set(name) or form in RESERVED:
        yield f"event name {name!r}"
    data = dict(found["evtData"])
    if form in ("charged", "refunded"):
        items = data.pop("Items", [])
        if not isinstance(items, list) or len(items) > 50 or not all(items):
            yield f"Items {items!r}"
        for item in items:
            yield from flat_faults(item, most=100)
        if type(data["Amount"]) is not float or data["Amount"] <= 0:
            yield f"Amount {data['Amount']!r}"
        if not re.fullmatch(r"[A-Z]{3}", data["Currency"]):
            yield f"Currency {data['Currency']!r}"
    yield from flat_faults(data, most=100)
    for key in DATES:
        if key in data and not re.fullmatch(r"\$D_[0-9]{1,10}", data[key]):
            yield f"date {data[key]!r}"


def flat_faults(given: Mapping[str, Any], *, most: int) -> Iterator[str]:
    if len(given) > most:
        yield f"{len(given)} properties"
    for key, value in given.items():
        if not key.strip() or len(key) > 120 or PROHIBITED & set(key):
            yield f"key {key!r}"
        if not isinstance(value, str | bool | int | float):
            yield f"{key} is {value!r}"
        if type(value) is int and not -(2**63) <= value < 2**63:
            yield f"{key} is {value}"
        if isinstance(value, str) and len(value.encode()) > 512:
            yield f"{key} has {len(value.encode())} bytes"


SETTINGS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    identity=st.builds(dict, anonymous=st.sampled_from(["hold", "skip", "identity", "custom_id"])),
    revenue=st.sampled_from([{}, {"currency": "customer"}, {"proceeds": {"*": 0.85}}]),
    sandbox=st.sampled_from(["separate", "mix"]),
    late_events=st.builds(dict, action=st.sampled_from(["send", "flag", "profile_only"])),
    profile=st.sampled_from([{}, {"prefix": "p_"}, {"rename": {"plan": "P" * 120}, "omit": ["product"]}]),
    event_properties=st.sampled_from(
        [{}, {"only": ["plan", ""]}, {"rename": {"plan": "é" * 120, "amount_in_usd": "Dollars"}, "omit": ["product"]}]
    ),
)
LINKS = st.sampled_from([Link(), Link("ada"), Link(None, OBJECT_ID), Link("ada", OBJECT_ID)])


@settings(max_examples=300, deadline=None)
@given(PAYLOADS, SETTINGS, LINKS, st.integers(EARLIEST_MS, LATEST_MS))
def test_any_event_keeps_to_the_limits(given: dict[str, Any], document: dict[str, Any], link: Link, now: int) -> None:
    of, uses = read(body(given), now), mapper(**document)
    if not isinstance(of, Event):
        return
    found = uses.map(of, now_ms=now, has_sandbox_account=True, link=link)
    if not isinstance(found, Mapped):
        return
    revoke = of._replace(event_name="ONE_TIME_PURCHASE_DEACTIVATED", event_id="another", created_ms=of.created_ms + 1)
    state, sent = ProfileState(), [encoded for _, encoded in found.records]
    for each in (of, revoke) if of.event_name == "ONE_TIME_PURCHASE_ACTIVATED" else (of,):
        state = state.apply([each], price_of=uses.price)
        sent += [encoded for _, encoded in uses.purchase_records(each, found.identity, state)]
    update = uses.profile_update(found.identity, state, links=(OBJECT_ID,) if found.identity.user_id else ())
    assert update is not None
    gone = uses.profile_update(found.identity, ProfileState().accepted(update.properties))
    sent += [*update.records, *(gone.records if gone is not None else ())]
    assert [fault for encoded in sent for fault in faults(encoded)] == []


@given(PAYLOADS)
def test_most_of_these_payloads_can_be_mapped(given: dict[str, Any]) -> None:
    of = event_of(given | {"event_name": "TRIAL_STARTED", "user_id": "customer-7", "anonymous_user_id": None})
    uses = mapper()
    first, again = (uses.map(of, now_ms=MOMENT, has_sandbox_account=True) for _ in range(2))
    assert isinstance(first, Mapped)
    assert first == again == result(of)
