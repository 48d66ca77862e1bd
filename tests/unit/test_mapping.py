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
from purchasely_clevertap.mapping.mapper import Mapped, Mapper
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.mapping.settings import parse
from purchasely_clevertap.outcome import Parked, ParkReason, Skipped, SkipReason
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import DATES, Event, read
from tests.unit.samples import DAY, EVENT_ID, MOMENT, PAYLOADS, TEXTS, body, dates, event, event_of, paid, payload

SECONDS = MOMENT // 1000
UUID_UPPER = "5D9A0C6F-2B1E-4C43-8E0B-0E7A3C1F9B21"
OBJECT_ID = "__4f0b6c1e7d3a4f629d5e0c9a1b2d3e4f"


def mapper(**document: Any) -> Mapper:
    return Mapper(parse(json.dumps(document)))


def result(of: Event, *, now: int = MOMENT, has_sandbox: bool = True, **document: Any) -> Mapped | Skipped | Parked:
    return mapper(**document).map(of, now_ms=now, has_sandbox_account=has_sandbox)


def mapped(of: Event, *, now: Any = MOMENT, **document: Any) -> Mapped:
    found = result(of, now=now, **document)
    assert isinstance(found, Mapped), found
    return found


def record(encoded: bytes | None) -> dict[str, Any]:
    assert encoded is not None
    found: dict[str, Any] = json.loads(encoded)
    return found


def properties(of: Event, *, now: int = MOMENT, **document: Any) -> dict[str, Any]:
    found: dict[str, Any] = record(mapped(of, now=now, **document).event)["evtData"]
    return found


def charged(of: Event, **document: Any) -> dict[str, Any] | None:
    encoded = mapped(of, **document).charged
    return None if encoded is None else record(encoded)["evtData"]


# Records


def test_an_event_record_is_as_documented() -> None:
    assert record(event_record(Identity("customer-7"), "Trial Started", SECONDS, {"plan": "premium"})) == {
        "type": "event",
        "identity": "customer-7",
        "ts": SECONDS,
        "evtName": "Trial Started",
        "evtData": {"plan": "premium"},
    }


def test_a_profile_record_is_as_documented() -> None:
    assert record(profile_record(Identity(object_id=OBJECT_ID), {"plan": "premium"})) == {
        "type": "profile",
        "objectId": OBJECT_ID,
        "profileData": {"plan": "premium"},
    }


def test_the_clevertap_id_comes_before_the_user_id() -> None:
    assert Identity("customer-7", OBJECT_ID).root == {"objectId": OBJECT_ID}


def test_a_person_without_any_id_makes_no_record() -> None:
    with pytest.raises(ValueError, match="user_id or an object_id"):
        event_record(Identity(), "Trial Started", SECONDS, {})


def test_records_keep_every_character() -> None:
    text = 'é😀\u2028\x00"\\/'
    assert record(event_record(Identity(text), text, 1, {text: text}))["evtData"] == {text: text}


# The event record


def test_a_renewal_becomes_its_users_event() -> None:
    found = record(mapped(event()).event)
    assert {key: found[key] for key in found if key != "evtData"} == {
        "type": "event",
        "identity": "customer-7",
        "ts": SECONDS,
        "evtName": "SUBSCRIPTION_RENEWED",
    }
    assert found["evtData"] == {
        "api_version": 3,
        "event_name": "SUBSCRIPTION_RENEWED",
        "event_id": EVENT_ID,
        "event_created_at": f"$D_{SECONDS}",
        "environment": "PRODUCTION",
        "user_id": "customer-7",
        "device_id": "5D9A0C6F-2B1E-4C43-8E0B-0E7A3C1F9B21",
        "purchasely_device_type": "PHONE",
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
        "purchased_at": f"$D_{SECONDS - 86_400}",
        "original_purchased_at": f"$D_{SECONDS - 31 * 86_400}",
        "next_renewal_at": f"$D_{SECONDS + 29 * 86_400}",
        "effective_next_renewal_at": f"$D_{SECONDS + 30 * 86_400}",
        "subscription_status": "AUTO_RENEWING",
        "offer_type": "NONE",
        "previous_offer_type": "FREE_TRIAL",
        "is_family_shared": False,
        "customer_currency": "EUR",
        "plan_price_in_customer_currency": 9.99,
        "plan_price_in_usd": 10.79,
        "cumulated_revenues_in_usd": 21.58,
    }
    assert mapped(event()).clipped == ()
    assert mapped(event()).charged is None


@pytest.mark.parametrize("name", sorted(CATALOGUE.keys() - {"ACTIVATE", "DEACTIVATE"}))
def test_events_keep_their_names_by_default(name: str) -> None:
    assert record(mapped(event(name)).event)["evtName"] == name


def test_an_event_can_have_another_name() -> None:
    found = record(mapped(event(), events={"SUBSCRIPTION_RENEWED": {"name": "Renewed"}}).event)
    assert found["evtName"] == "Renewed"
    assert found["evtData"]["event_name"] == "SUBSCRIPTION_RENEWED"


@pytest.mark.parametrize("name", ["ACTIVATE", "DEACTIVATE"])
def test_entitlement_events_are_off_by_default(name: str) -> None:
    assert result(event(name)) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert result(event(name), events={"*": {"send": True}}) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert record(mapped(event(name), events={name: {"send": True}}).event)["evtName"] == name


def test_with_all_off_only_named_events_are_sent() -> None:
    events = {"*": {"send": False}, "TRIAL_STARTED": {"send": True}}
    assert result(event(), events=events) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert result(event("NEW_ONE"), events=events) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert isinstance(result(event("TRIAL_STARTED"), events=events), Mapped)


def test_an_unknown_event_is_sent_with_all_it_has() -> None:
    found = mapped(event("LOYALTY_TIER_REACHED", tier="gold", points=12, ratio=0.5, new=True))
    data = record(found.event)["evtData"]
    assert record(found.event)["evtName"] == "LOYALTY_TIER_REACHED"
    assert {key: data[key] for key in ("tier", "points", "ratio", "new")} == {
        "tier": "gold",
        "points": 12,
        "ratio": 0.5,
        "new": True,
    }
    assert found.clipped == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("App Launched", 'reserved: "App Launched"'),
        ("notificationsent", 'reserved: "Notification Sent"'),
        ("Charged", 'reserved: "Charged"'),
        ("char ged", 'reserved: "Charged"'),
        ("TRIAL:STARTED", "has : in it"),
        (" ", "is empty"),
    ],
)
def test_an_unusable_name_waits_for_another(name: str, words: str) -> None:
    found = result(event(name))
    assert isinstance(found, Parked)
    assert found.reason is ParkReason.UNUSABLE_EVENT_NAME
    assert words in found.detail
    assert repr(name) in found.detail
    renamed = mapped(event(name), events={name: {"name": "Another"}})
    assert record(renamed.event)["evtName"] == "Another"


def test_a_thousand_names_do_not_confuse_the_first() -> None:
    many = mapper(events={"FIRST": {"name": "Renamed"}})
    for name in ["FIRST", *(f"NEW_{number}" for number in range(1200)), "FIRST", "App Launched"]:
        found = many.map(event(name), now_ms=MOMENT, has_sandbox_account=True)
        if name == "App Launched":
            assert isinstance(found, Parked)
        else:
            assert isinstance(found, Mapped)
            assert record(found.event)["evtName"] == ("Renamed" if name == "FIRST" else name)


def test_new_names_do_not_fill_the_memory() -> None:
    many = mapper()
    tracemalloc.start()
    try:
        for number in range(3000):
            many.map(event(f"{number:0500}"), now_ms=MOMENT, has_sandbox_account=True)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


# Dates


@pytest.mark.parametrize("key", DATES)
def test_a_date_is_sent_without_its_twin(key: str) -> None:
    found = properties(event(**dates(key, MOMENT)))
    assert found[key] == f"$D_{SECONDS}"
    assert f"{key}_ms" not in found


@pytest.mark.parametrize("key", sorted(set(DATES) - {"event_created_at"}))
def test_either_twin_alone_makes_the_date(key: str) -> None:
    for twin in dates(key, MOMENT):
        absent: dict[str, Any] = dict.fromkeys(dates(key, MOMENT), ...)
        assert properties(event(**(absent | {twin: dates(key, MOMENT)[twin]})))[key] == f"$D_{SECONDS}"


def test_a_date_that_is_none_is_sent_as_it_came() -> None:
    found = properties(event(purchased_at="yesterday", purchased_at_ms="soon", auto_resume_at="0001-01-01T00:00:00Z"))
    assert found["purchased_at"] == "yesterday"
    assert found["auto_resume_at"] == "0001-01-01T00:00:00Z"
    assert "purchased_at_ms" not in found
    assert "purchased_at_ms" not in properties(event(purchased_at_ms="soon"))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-02-02T02:40:00.123Z", "$D_1770000000"),
        ("2026-02-02T03:40:00+01:00", "$D_1770000000"),
        ("2026-02-02T02:40:00", "$D_1770000000"),
        ("2026-02-02", "$D_1769990400"),
        ("1770000000", "$D_1770000000"),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:59"),
        ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59-23:59"),
        ("soon", "soon"),
        ("", ""),
        (12, 12),
    ],
)
def test_a_new_key_with_a_date_in_it_is_sent_as_a_date(given: Any, sent: Any) -> None:
    assert properties(event(loyal_since_at=given))["loyal_since_at"] == sent


def test_only_the_twin_of_a_date_is_dropped() -> None:
    found = mapped(event(loyal_at="2026-02-02T02:40:00Z", loyal_at_ms=MOMENT, delay_ms=250, null_at=None, null_at_ms=1))
    data = record(found.event)["evtData"]
    assert "loyal_at_ms" not in data
    assert (data["delay_ms"], data["null_at_ms"]) == (250, 1)
    assert found.clipped == ()


@pytest.mark.parametrize("twin", [999, 7_258_118_400_000, 2**63])
@pytest.mark.parametrize(("text", "sent"), [("2026-02-02", "$D_1769990400"), ("soon", "soon")])
def test_a_twin_out_of_range_leaves_the_date_text(twin: int, text: str, sent: str) -> None:
    assert properties(event(purchased_at=text, purchased_at_ms=twin))["purchased_at"] == sent
    assert "purchased_at" not in properties(event(purchased_at=..., purchased_at_ms=twin))


def test_dates_reach_from_1970_to_2199() -> None:
    found = properties(event(purchased_at=..., purchased_at_ms=1000, auto_resume_at_ms=7_258_118_399_999))
    assert (found["purchased_at"], found["auto_resume_at"]) == ("$D_1", "$D_7258118399")


# Properties


def test_the_device_type_has_a_name_of_its_own() -> None:
    for value in ("PHONE", True, ["PHONE"]):
        found = properties(event(device_type=value))
        assert "device_type" not in found
        assert found.get("purchasely_device_type") == (None if isinstance(value, list) else value)
    assert mapped(event(device_type=True)).clipped == ()


def test_the_device_type_can_be_renamed_like_any_other() -> None:
    found = properties(event(), event_properties={"rename": {"device_type": "Device"}})
    assert found["Device"] == "PHONE"
    assert not {"device_type", "purchasely_device_type"} & found.keys()


def test_the_purchase_token_is_left_out_by_default() -> None:
    for token in ("secret-token", ["secret-token"], {"t": "secret-token"}, 7):
        found = mapped(event_of(paid(9.99, purchase_token=token)))
        assert "purchase_token" not in record(found.event)["evtData"]
        assert b"secret-token" not in (found.event or b"") + (found.charged or b"")
        assert found.clipped == ()


def test_the_purchase_token_can_be_sent() -> None:
    assert properties(event(purchase_token="t"), event_properties={"omit": []})["purchase_token"] == "t"


def test_properties_are_renamed() -> None:
    rename = {"plan": "Plan", "purchased_at": "Bought", "amount_in_usd": "Amount USD", "tier": "Tier"}
    found = properties(event(tier="gold", amount_in_usd="1.5"), event_properties={"rename": rename})
    assert (found["Plan"], found["Bought"]) == ("premium-monthly", f"$D_{SECONDS - 86_400}")
    assert (found["Amount USD"], found["Tier"]) == (1.5, "gold")
    assert not rename.keys() & found.keys()
    assert mapped(event(tier="gold"), event_properties={"rename": rename}).clipped == ()


def test_properties_are_left_out() -> None:
    omit = ["plan", "purchased_at", "cumulated_revenues_in_usd", "tier", "loyal_at"]
    found = mapped(event(tier="gold", loyal_at="2026-02-02T02:40:00Z", loyal_at_ms=1), event_properties={"omit": omit})
    data = record(found.event)["evtData"]
    assert not {*omit, "purchased_at_ms", "loyal_at_ms"} & data.keys()
    assert found.clipped == ()


def test_what_events_omit_charged_omits_too() -> None:
    found = charged(event_of(paid(9.99)), event_properties={"omit": ["product", "store_country"]})
    assert found is not None
    assert not {"product", "store_country"} & (found.keys() | found["Items"][0].keys())
    assert found["plan"] == found["Items"][0]["plan"] == "premium-monthly"


def test_charged_without_item_facts_has_no_items() -> None:
    keys = ("product", "plan", "store_product_id", "purchase_type", "offer_type")
    found = charged(event_of(paid(9.99, **dict.fromkeys(keys, ...))))
    assert found is not None
    assert "Items" not in found


@pytest.mark.parametrize("value", [["a"], {"a": 1}, [], {}, [[]]])
@pytest.mark.parametrize("key", ["perks", "plan"])
def test_nothing_nested_is_sent_and_it_is_counted(key: str, value: Any) -> None:
    found = mapped(event(**{key: value}))
    assert key not in record(found.event)["evtData"]
    assert found.clipped == (key,)


@pytest.mark.parametrize("key", ["store_country", "plan", "a_new_key", "amount_in_usd"])
def test_null_is_not_sent_and_nothing_is_lost_with_it(key: str) -> None:
    found = mapped(event(**{key: None}))
    assert key not in record(found.event)["evtData"]
    assert found.clipped == ()


@pytest.mark.parametrize(("given", "sent"), [(2**63 - 1, int), (-(2**63) + 1, int), (2**63, float), (2**64 - 1, float)])
def test_an_integer_beyond_63_bits_is_sent_as_a_float(given: int, sent: type) -> None:
    found = properties(event(big=given))["big"]
    assert (type(found), found) == (sent, sent(given))


@pytest.mark.parametrize("kind", ["amount", "plan_price", "cumulated_revenues"])
def test_money_written_as_text_is_sent_as_a_number(kind: str) -> None:
    assert properties(event(**{f"{kind}_in_eur": "9.99"}))[f"{kind}_in_eur"] == 9.99
    assert properties(event(plan_price_in_customer_currency="9.99"))["plan_price_in_customer_currency"] == 9.99


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a" * 512, "a" * 512),
        ("a" * 513, "a" * 512),
        ("é" * 256, "é" * 256),
        ("é" * 257, "é" * 256),
        ("aé" * 200, ("aé" * 200)[:341]),
        ("😀" * 128, "😀" * 128),
        ("😀" * 129, "😀" * 128),
        ("a" + "😀" * 128, "a" + "😀" * 127),
    ],
)
@pytest.mark.parametrize("key", ["plan", "a_new_key", "loyal_at", "amount_in_eur"])
def test_a_text_is_cut_at_512_bytes_and_counted(key: str, text: str, sent: str) -> None:
    found = mapped(event(**{key: text}))
    assert record(found.event)["evtData"][key] == sent
    assert found.clipped == ((key,) if sent != text else ())


def test_a_key_is_cut_at_120_characters_and_counted() -> None:
    found = mapped(event(**{"k" * 120: 1, "l" * 121: 2, "é" * 130: 3}))
    data = record(found.event)["evtData"]
    assert (data["k" * 120], data["l" * 120], data["é" * 120]) == (1, 2, 3)
    assert found.clipped == ("l" * 121, "é" * 130)


@pytest.mark.parametrize("character", list("%><!|&.:;$'\"\\"))
def test_a_prohibited_character_is_replaced_in_a_key(character: str) -> None:
    key = f"loyalty{character}tier"
    found = mapped(event(**{key: "gold"}))
    data = record(found.event)["evtData"]
    assert data["loyalty_tier"] == "gold"
    assert not any(character in name for name in data)
    assert found.clipped == (key,)


@pytest.mark.parametrize("key", ["", " ", "\t\n", " " * 130, " " * 130 + "a"])
def test_a_key_of_nothing_becomes_an_underscore(key: str) -> None:
    found = mapped(event(**{key: "gold"}))
    assert record(found.event)["evtData"]["_"] == "gold"
    assert found.clipped == (key,)


def test_the_first_of_two_equal_keys_is_sent() -> None:
    found = mapped(event(**{"a.b": 1, "a:b": 2, "k" * 121: 3, "k" * 122: 4}))
    data = record(found.event)["evtData"]
    assert (data["a_b"], data["k" * 120]) == (1, 3)
    assert found.clipped == ("a.b", "a:b", "k" * 121, "k" * 122)


def test_a_new_key_takes_no_documented_place() -> None:
    found = mapped(
        event(purchasely_device_type="mine", **{"pl!an": "mine"}), event_properties={"rename": {"plan": "pl_an"}}
    )
    data = record(found.event)["evtData"]
    assert (data["purchasely_device_type"], data["pl_an"]) == ("PHONE", "premium-monthly")
    assert found.clipped == ("purchasely_device_type", "pl!an")


@given(st.integers(0, 300), st.booleans())
def test_an_event_has_at_most_100_properties(count: int, late: bool) -> None:
    new = {f"new_{number}": number for number in range(count)}
    now = MOMENT + DAY if late else MOMENT
    found = mapped(event_of(payload() | new), now=now, late_events={"action": "flag"})
    data = record(found.event)["evtData"]
    assert len(data) <= 100
    assert data.get("is_late", False) is late
    assert properties(event()).items() <= data.items(), "documented properties come first"
    sent = {key for key in new if key in data}
    assert [*sorted(sent, key=lambda key: new[key]), *found.clipped] == list(new)
    assert len(data) >= 99 or found.clipped == ()


def test_a_thousand_new_keys_leave_the_omitted_out() -> None:
    many = mapper(event_properties={"omit": ["secret"], "rename": {"first": "First"}})
    for number in range(1200):
        many.map(event(**{f"new_{number}": 1, "secret": "s"}), now_ms=MOMENT, has_sandbox_account=True)
    found = many.map(event(secret="s", first=1), now_ms=MOMENT, has_sandbox_account=True)
    assert isinstance(found, Mapped)
    data = record(found.event)["evtData"]
    assert "secret" not in data
    assert data["First"] == 1


# Who it is about


def identity(of: Event, **document: Any) -> Identity | Skipped | Parked:
    return mapper(**document).identity(of)


def nobody(**known: Any) -> Event:
    return event(**({"user_id": ..., "anonymous_user_id": ..., "clevertap_id": ...} | known))


def test_the_user_id_is_the_identity() -> None:
    assert identity(event()) == Identity("customer-7")
    assert record(mapped(event(anonymous_user_id="a")).event)["identity"] == "customer-7"


def test_the_clevertap_id_alone_is_the_object_id() -> None:
    for anonymous in (..., "anon-1"):
        assert identity(nobody(clevertap_id=OBJECT_ID, anonymous_user_id=anonymous)) == Identity(object_id=OBJECT_ID)
    assert record(mapped(nobody(clevertap_id=OBJECT_ID)).event)["objectId"] == OBJECT_ID


def test_both_ids_are_linked() -> None:
    found = mapped(event(clevertap_id=OBJECT_ID))
    assert found.identity == Identity("customer-7", OBJECT_ID)
    assert record(found.event)["objectId"] == OBJECT_ID
    assert "identity" not in record(found.event)


def test_without_profiles_the_user_id_alone_is_used() -> None:
    assert identity(event(clevertap_id=OBJECT_ID), profile={"send": False}) == Identity("customer-7")


@pytest.mark.parametrize(
    "clevertap_id", ["", "a b", "é", "a" * 65, "__h" + "a" * 65, "a/b", "a.b", f"{OBJECT_ID}\n", [1]]
)
def test_a_clevertap_id_that_is_none_is_not_used(clevertap_id: Any) -> None:
    assert identity(event(clevertap_id=clevertap_id)) == Identity("customer-7")
    found = identity(nobody(clevertap_id=clevertap_id))
    assert isinstance(found, Parked)
    assert found.reason is ParkReason.NO_USER


@pytest.mark.parametrize("clevertap_id", ["a" * 64, "__h" + "a" * 64, "-h" + "a" * 64, "(A)!:@$_-"])
def test_every_form_of_a_clevertap_id_is_used(clevertap_id: str) -> None:
    assert identity(nobody(clevertap_id=clevertap_id)) == Identity(object_id=clevertap_id)


@pytest.mark.parametrize("blank", [..., None, "", " ", "\t\n"])
def test_an_event_that_names_nobody_waits_for_a_person(blank: Any) -> None:
    for anonymous in ("skip", "identity", "custom_id"):
        found = result(nobody(user_id=blank, anonymous_user_id=blank), identity={"anonymous": anonymous})
        assert isinstance(found, Parked)
        assert found.reason is ParkReason.NO_USER


def test_a_blank_user_id_gives_way_to_the_anonymous() -> None:
    assert identity(nobody(user_id=" ", anonymous_user_id="a"), identity={"anonymous": "identity"}) == Identity("a")


def test_an_anonymous_user_is_skipped_by_default() -> None:
    assert result(nobody(anonymous_user_id="a")) == Skipped(SkipReason.ANONYMOUS_USER)


def test_an_anonymous_id_can_be_the_identity() -> None:
    found = mapped(nobody(anonymous_user_id=UUID_UPPER), identity={"anonymous": "identity"})
    assert found.identity == Identity(UUID_UPPER)


@pytest.mark.parametrize(
    ("store", "anonymous", "object_id"),
    [
        ("APPLE_APP_STORE", UUID_UPPER, f"-h{UUID_UPPER}"),
        ("APPLE_APP_STORE", UUID_UPPER.lower(), f"-h{UUID_UPPER.lower()}"),
        ("GOOGLE_PLAY_STORE", UUID_UPPER.lower(), f"__h{UUID_UPPER.lower()}"),
        ("GOOGLE_PLAY_STORE", UUID_UPPER, f"__h{UUID_UPPER}"),
        ("AMAZON_APPSTORE", UUID_UPPER, f"__h{UUID_UPPER}"),
        ("AMAZON_APP_STORE", UUID_UPPER, f"__h{UUID_UPPER}"),
        ("HUAWEI_APPGALLERY", UUID_UPPER, f"__h{UUID_UPPER}"),
        ("HUAWEI_APP_GALLERY", UUID_UPPER, f"__h{UUID_UPPER}"),
        ("STRIPE", UUID_UPPER, f"-h{UUID_UPPER}"),
        ("STRIPE", UUID_UPPER.lower(), f"__h{UUID_UPPER.lower()}"),
        (..., UUID_UPPER, f"-h{UUID_UPPER}"),
        (..., UUID_UPPER.lower(), f"__h{UUID_UPPER.lower()}"),
        ("APPLE_APP_STORE", "a" * 64, "-h" + "a" * 64),
    ],
)
def test_a_custom_id_has_the_prefix_of_its_sdk(store: Any, anonymous: str, object_id: str) -> None:
    found = identity(nobody(store=store, anonymous_user_id=anonymous), identity={"anonymous": "custom_id"})
    assert found == Identity(object_id=object_id)


@pytest.mark.parametrize("anonymous", ["a b", "é", "a" * 65, "a/b", "a.b", "{a}", "a\n"])
def test_an_unusable_custom_id_waits_for_a_person(anonymous: str) -> None:
    found = result(nobody(anonymous_user_id=anonymous), identity={"anonymous": "custom_id"})
    assert isinstance(found, Parked)
    assert found.reason is ParkReason.UNUSABLE_IDENTITY
    assert "anonymous_user_id" in found.detail
    assert anonymous not in found.detail


@pytest.mark.parametrize("key", ["user_id", "anonymous_user_id"])
@pytest.mark.parametrize(
    ("text", "fits"), [("a" * 512, True), ("a" * 513, False), ("é" * 256, True), ("é" * 257, False)]
)
def test_a_too_long_identity_is_not_cut(key: str, text: str, *, fits: bool) -> None:
    found = identity(nobody(**{key: text}), identity={"anonymous": "identity"})
    if fits:
        assert found == Identity(text)
    else:
        assert isinstance(found, Parked)
        assert found.reason is ParkReason.UNUSABLE_IDENTITY
        assert f"{key} has {len(text.encode())} bytes" in found.detail
        assert text not in found.detail


# Where it goes


@pytest.mark.parametrize("setting", ["separate", "skip", "mix"])
@pytest.mark.parametrize("has_account", [True, False])
def test_production_goes_to_the_production_account(setting: str, *, has_account: bool) -> None:
    found = result(event(), has_sandbox=has_account, sandbox=setting)
    assert isinstance(found, Mapped)
    assert found.environment is Environment.PRODUCTION


@pytest.mark.parametrize(
    ("setting", "has_account", "expected"),
    [
        ("separate", True, Environment.SANDBOX),
        ("separate", False, Skipped(SkipReason.NO_SANDBOX_ACCOUNT)),
        ("skip", True, Skipped(SkipReason.SANDBOX_SWITCHED_OFF)),
        ("skip", False, Skipped(SkipReason.SANDBOX_SWITCHED_OFF)),
        ("mix", True, Environment.PRODUCTION),
        ("mix", False, Environment.PRODUCTION),
    ],
)
def test_sandbox_events_go_where_the_setting_says(setting: str, expected: Any, *, has_account: bool) -> None:
    found = result(event(environment="SANDBOX"), has_sandbox=has_account, sandbox=setting)
    assert (found.environment if isinstance(found, Mapped) else found) == expected


# Late events

LIMIT = 110 * 60_000


@pytest.mark.parametrize("action", ["send", "flag", "profile_only", "skip"])
def test_an_event_of_exactly_the_limit_is_not_late(action: str) -> None:
    found = mapped(event_of(paid(9.99)), now=MOMENT + LIMIT, late_events={"action": action})
    assert found.event is not None
    assert found.charged is not None
    assert "is_late" not in record(found.event)["evtData"]


def test_a_late_event_keeps_its_own_time() -> None:
    found = mapped(event(), now=MOMENT + LIMIT + 1)
    assert record(found.event) == record(mapped(event()).event)


def test_a_late_event_can_be_flagged() -> None:
    found = mapped(event_of(paid(9.99)), now=MOMENT + LIMIT + 1, late_events={"action": "flag"})
    assert record(found.event)["evtData"]["is_late"] is True
    assert record(found.event)["ts"] == SECONDS
    assert found.charged is not None


def test_a_late_event_can_change_the_profile_only() -> None:
    found = mapped(event_of(paid(9.99)), now=MOMENT + LIMIT + 1, late_events={"action": "profile_only"})
    assert (found.event, found.charged, found.profile) == (None, None, True)
    late_events = {"action": "profile_only"}
    assert mapped(event(), now=MOMENT + DAY, late_events=late_events, profile={"send": False}).profile is False


def test_a_late_event_can_be_skipped() -> None:
    found = result(event(), now=MOMENT + LIMIT + 1, late_events={"action": "skip"})
    assert found == Skipped(SkipReason.LATE)


def test_the_limit_is_a_setting() -> None:
    late_events = {"after_minutes": 1, "action": "skip"}
    assert isinstance(result(event(), now=MOMENT + 60_000, late_events=late_events), Mapped)
    assert result(event(), now=MOMENT + 60_001, late_events=late_events) == Skipped(SkipReason.LATE)


def test_an_event_from_the_future_is_not_late() -> None:
    assert isinstance(result(event(), now=MOMENT - DAY, late_events={"action": "skip"}), Mapped)


@pytest.mark.parametrize("send", [True, False])
def test_the_profile_follows_unless_it_is_switched_off(*, send: bool) -> None:
    assert mapped(event(), profile={"send": send}).profile is send


# Money


def test_a_payment_becomes_charged() -> None:
    found = record(mapped(event_of(paid(9.99, 10.79))).charged)
    assert found == {
        "type": "event",
        "identity": "customer-7",
        "ts": SECONDS,
        "evtName": "Charged",
        "evtData": {
            "Amount": 9.99,
            "Currency": "EUR",
            "Charged ID": "2000000137582598",
            "Items": [
                {
                    "product": "premium",
                    "plan": "premium-monthly",
                    "store_product_id": "com.example.premium.month",
                    "purchase_type": "RENEWING_SUBSCRIPTION",
                    "offer_type": "NONE",
                }
            ],
            "event_id": EVENT_ID,
            "source_event_name": "SUBSCRIPTION_RENEWED",
            "product": "premium",
            "plan": "premium-monthly",
            "store": "APPLE_APP_STORE",
            "store_country": "FR",
            "environment": "PRODUCTION",
        },
    }


def test_charged_is_for_the_same_person_as_its_event() -> None:
    found = mapped(event_of(paid(9.99, clevertap_id=OBJECT_ID)))
    assert record(found.charged)["objectId"] == record(found.event)["objectId"] == OBJECT_ID


@pytest.mark.parametrize("amount", [-9.99, "-9.99", 0, 0.0, "0", -0.01])
@pytest.mark.parametrize("currency", ["customer", "integration"])
def test_a_refund_stays_a_negative_amount_on_its_event(amount: Any, currency: str) -> None:
    found = mapped(event_of(paid(amount, amount)), revenue={"currency": currency})
    data = record(found.event)["evtData"]
    assert data["amount_in_customer_currency"] == data["amount_in_usd"] == float(amount)
    assert found.charged is None


@given(st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9), st.sampled_from(sorted(CATALOGUE)), st.booleans())
def test_only_a_positive_transaction_is_charged(amount: float, name: str, as_text: bool) -> None:
    written = repr(amount) if as_text else amount
    sent = {"ACTIVATE": {"send": True}, "DEACTIVATE": {"send": True}}
    for currency in ("customer", "integration"):
        found = charged(
            event_of(paid(written, written) | {"event_name": name}), revenue={"currency": currency}, events=sent
        )
        if name == "TRANSACTION_PROCESSED" and amount > 0:
            assert found is not None
            assert found["Amount"] == amount
        else:
            assert found is None


@pytest.mark.parametrize(
    ("setting", "amounts", "expected"),
    [
        ("customer", (9.99, 10.79), (9.99, "EUR")),
        ("integration", (9.99, 10.79), (10.79, "USD")),
        ("customer", ("9.99", "10.79"), (9.99, "EUR")),
        ("integration", ("9.99", "10.79"), (10.79, "USD")),
        ("customer", (..., 10.79), (10.79, "USD")),
        ("integration", (9.99, ...), (9.99, "EUR")),
        ("customer", (None, 10.79), (10.79, "USD")),
        ("integration", (9.99, None), (9.99, "EUR")),
        ("customer", (-9.99, 10.79), None),
        ("integration", (9.99, -10.79), None),
        ("customer", (..., ...), None),
    ],
)
def test_charged_has_the_currency_of_its_amount(
    setting: str, amounts: tuple[Any, Any], expected: tuple[float, str] | None
) -> None:
    found = charged(event_of(paid(*amounts)), revenue={"currency": setting})
    assert (None if found is None else (found["Amount"], found["Currency"])) == expected


@pytest.mark.parametrize("currency", [..., None, "", "€", "E" * 600])
def test_an_amount_without_currency_gives_way(currency: Any) -> None:
    found = charged(event_of(paid(9.99, 10.79, customer_currency=currency)))
    assert found is not None
    assert (found["Amount"], found["Currency"]) == (10.79, "USD")


def test_the_texts_of_charged_are_cut_at_512_bytes_too() -> None:
    texts = dict.fromkeys(("store_transaction_id", "product", "plan", "store", "source_event_name"), "é" * 300)
    found = charged(event_of(paid(9.99, **texts)))
    assert found is not None
    assert found["Charged ID"] == found["product"] == found["plan"] == found["store"] == "é" * 256
    assert found["Items"][0]["product"] == found["Items"][0]["plan"] == "é" * 256


def test_charged_has_no_empty_text() -> None:
    found = charged(event_of(paid(9.99, plan="", store="", store_transaction_id="")))
    assert found is not None
    assert not {"plan", "store"} & found.keys()
    assert "plan" not in found["Items"][0]
    assert found["Charged ID"] == EVENT_ID


def test_charged_can_be_switched_off() -> None:
    found = mapped(event_of(paid(9.99)), revenue={"charged": False})
    assert found.charged is None
    assert record(found.event)["evtData"]["amount_in_customer_currency"] == 9.99


def test_a_payment_without_an_id_has_its_events() -> None:
    found = charged(event_of(paid(9.99, store_transaction_id=...)))
    assert found is not None
    assert found["Charged ID"] == EVENT_ID


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
        given = {key: value for key, value in found["profileData"].items() if value != {"$delete": 1}}
        yield from flat_faults(given, most=256)


def event_faults(found: Mapping[str, Any]) -> Iterator[str]:
    name, seconds = found["evtName"], found["ts"]
    if found.keys() - PERSON != {"type", "ts", "evtName", "evtData"}:
        yield f"keys {list(found)}"
    if type(seconds) is not int or not 0 < seconds < 10**10:
        yield f"ts {seconds!r}"
    if not (isinstance(name, str) and name.strip() and len(name) <= 512) or PROHIBITED & set(name):
        yield f"event name {name!r}"
    if "".join(name.split()).casefold() in RESERVED:
        yield f"reserved event name {name!r}"
    data = dict(found["evtData"])
    if "".join(name.split()).casefold() == "charged":
        items = data.pop("Items", [])
        if not isinstance(items, list) or len(items) > 50 or not all(items):
            yield f"Items {items!r}"
        for item in items:
            yield from flat_faults(item, most=100)
        if type(data["Amount"]) not in (int, float) or data["Amount"] <= 0:
            yield f"Amount {data['Amount']!r}"
        if not re.fullmatch(r"[A-Z]{3}", data["Currency"]):
            yield f"Currency {data['Currency']!r}"
    yield from flat_faults(data, most=100)
    for key in DATES:
        if str(data.get(key)).startswith("$D_") and not re.fullmatch(r"\$D_[0-9]{1,10}", data[key]):
            yield f"date {data[key]!r}"


def flat_faults(given: Mapping[str, Any], *, most: int) -> Iterator[str]:
    if len(given) > most:
        yield f"{len(given)} properties"
    for key, value in given.items():
        if not key.strip() or len(key) > 120 or PROHIBITED & set(key):
            yield f"key {key!r}"
        if not isinstance(value, str | bool | int | float):
            yield f"{key} is {value!r}"
        if isinstance(value, str) and len(value.encode()) > 512:
            yield f"{key} has {len(value.encode())} bytes"


SETTINGS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    identity=st.builds(dict, anonymous=st.sampled_from(["skip", "identity", "custom_id"])),
    revenue=st.builds(dict, currency=st.sampled_from(["customer", "integration"])),
    sandbox=st.sampled_from(["separate", "mix"]),
    late_events=st.builds(dict, action=st.sampled_from(["send", "flag", "profile_only"])),
    profile=st.sampled_from([{}, {"send": False}, {"rename": {"plan": "P" * 120}, "omit": ["product"]}]),
    event_properties=st.sampled_from(
        [
            {},
            {"omit": []},
            {"rename": {"plan": "é" * 120, "amount_in_usd": "Dollars", "": "Nothing"}, "omit": ["product"]},
        ]
    ),
)


@settings(max_examples=300, deadline=None)
@given(PAYLOADS, SETTINGS, st.integers(0, 7_258_118_400_000))
def test_any_event_keeps_to_clevertaps_limits(given: dict[str, Any], document: dict[str, Any], now: int) -> None:
    of = read(body(given))
    if not isinstance(of, Event):
        return
    uses = mapper(**document)
    found = uses.map(of, now_ms=now, has_sandbox_account=True)
    if not isinstance(found, Mapped):
        return
    known = ProfileState().apply([of])
    update = uses.profile_update(found.identity, known) if found.profile else None
    records = [found.event, found.charged, update.record if update else None]
    assert [fault for encoded in records if encoded is not None for fault in faults(encoded)] == []
    if update is not None:
        gone = uses.profile_update(found.identity, ProfileState().accepted(update.properties, update.link))
        assert gone is None or list(faults(gone.record)) == []


@given(PAYLOADS)
def test_most_of_these_payloads_can_be_read_and_mapped(given: dict[str, Any]) -> None:
    of = read(body(given | {"event_name": "TRIAL_STARTED", "user_id": "customer-7"}))
    assert isinstance(of, Event)
    assert isinstance(result(of), Mapped)


@given(PAYLOADS)
def test_mapping_twice_gives_the_same_records(given: dict[str, Any]) -> None:
    of = event_of(given | {"event_name": "TRIAL_STARTED", "user_id": "customer-7"})
    uses = mapper()
    first, again = (uses.map(of, now_ms=MOMENT, has_sandbox_account=True) for _ in range(2))
    assert first == again == result(of)


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=5))
def test_nothing_is_dropped_that_fits(new: dict[str, str]) -> None:
    found = mapped(event_of(payload() | {f"new_{number}": text for number, text in enumerate(new.values())}))
    assert [record(found.event)["evtData"][f"new_{number}"] for number in range(len(new))] == list(new.values())
    assert found.clipped == ()


def test_a_long_text_leaves_the_dates_beside_it_dates() -> None:
    found = properties(event(audience="x" * 600, loyal_since_at="2026-02-02T02:40:00Z"))
    assert found["audience"] == "x" * 512
    assert found["loyal_since_at"] == "$D_1770000000"
    assert found["purchased_at"].startswith("$D_")


def test_null_values_and_twins_are_no_properties() -> None:
    found = properties(event(store_country=None, purchased_at=None, loyal_since_at=None, loyal_since_at_ms=MOMENT))
    assert "store_country" not in found
    assert found["purchased_at"].startswith("$D_")
    assert found["loyal_since_at_ms"] == MOMENT
    assert [name for name in found if name.endswith("_ms")] == ["loyal_since_at_ms"]


@pytest.mark.parametrize("given", [["an", "id"], True, {"id": 1}, 7, "no id!", None, ...])
def test_a_made_event_id_is_in_every_record(given: Any) -> None:
    of = event_of(paid(9.99, event_id=given))
    assert of.event_id.startswith("sha256-")
    assert properties(of)["event_id"] == of.event_id
    assert (charged(of) or {})["event_id"] == of.event_id


def test_money_has_its_place_among_too_many_new_keys() -> None:
    new = {f"new_{number}": number for number in range(120)}
    found = properties(event_of(new | paid(9.99, 10.79)))
    assert found["amount_in_usd"] == 10.79
    assert len(found) == 99
