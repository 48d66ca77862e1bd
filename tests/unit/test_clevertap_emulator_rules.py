"""What the emulated CleverTap takes and refuses, record by record."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clevertap_emulator.properties import Json, Object
from clevertap_emulator.rules import MESSAGES, RESERVED, Kept, Refusal, read, records

NOW = 1_700_000_000.0
WITHOUT_AMOUNT = "evtData.Amount: Charged without an amount of 0 or more"


def event(**changes: Json) -> Object:
    return {"type": "event", "identity": "user-1", "ts": 1_699_999_000, "evtName": "Renewed", "evtData": {}, **changes}


def profile(data: Json, **changes: Json) -> Object:
    return {"type": "profile", "identity": "user-1", "profileData": data, **changes}


def without(record: Object, key: str) -> Object:
    return {name: value for name, value in record.items() if name != key}


def code(record: Json) -> int | None:
    verdict = read(record, NOW)
    return verdict.code if isinstance(verdict, Refusal) else None


def kept(record: Object) -> Kept:
    verdict = read(record, NOW)
    assert isinstance(verdict, Kept)
    return verdict


def test_a_good_event_is_kept_as_it_is() -> None:
    record = event(evtData={"plan": "yearly", "price": 9.99, "count": 3, "trial": False, "renews": "$D_1700000000"})
    assert kept(record) == Kept(record, ())


def test_a_good_profile_is_kept_as_it_is() -> None:
    data: Object = {
        "identity": "user-1",
        "Email": "a@b.example",
        "Phone": "+33612345678",
        "Gender": "F",
        "Employed": "Y",
        "Education": "Graduate",
        "Married": "N",
        "Age": 44,
        "plan": "yearly",
        "tags": {"$add": ["a", "b"]},
        "gone": {"$delete": 1},
        "count": {"$incr": 2},
        "left": {"$decr": 0.5},
        "old": {"$remove": ["c"]},
    }
    record = profile(data, ts=1_699_999_000)
    assert kept(record) == Kept(record, ())


YEAR = 366 * 86_400
MANY: Object = {f"p{number}": number for number in range(100)}


@pytest.mark.parametrize(
    "record",
    [
        *(
            without(event(objectId=f"{prefix}{'aZ0()!:@$_-':x<64}"), "identity")
            for prefix in ("", "__h", "-h", "__", "-")
        ),
        without(event(), "ts"),
        event(ts=1_700_000_000 + YEAR),
        event(evtName="n" * 512),
        event(evtData=MANY),
        *(event(evtName="Charged", evtData={"Amount": amount}) for amount in (0, 0.5, 10)),
        *(
            profile({key: {"$delete": 1}})
            for key in ("Gender", "Email", "Phone", "Employed", "Education", "Married", "Age")
        ),
    ],
)
def test_what_is_within_the_rules_is_kept(record: Object) -> None:
    assert kept(record) == Kept(record, ())


@pytest.mark.parametrize(
    "record",
    [None, 7, "event", [], {}, event(type="Event"), event(type=None), without(event(), "type"), event(type=["event"])],
)
def test_neither_event_nor_profile_is_524(record: Json) -> None:
    assert code(record) == 524


@pytest.mark.parametrize(
    "record",
    [
        without(event(), "identity"),
        event(identity=""),
        event(identity="  "),
        event(identity=None),
        event(identity=12),
        event(objectId="__h123"),
        profile({"identity": ""}),
        profile({"identity": None}),
        profile({"identity": 12}),
    ],
)
def test_without_exactly_one_identity_it_is_523(record: Json) -> None:
    assert code(record) == 523


@pytest.mark.parametrize("object_id", ["", "a b", "é", "a" * 65, "__h" + "a" * 65, "a/b", "id\n", None, 7, True])
def test_a_bad_object_id_is_526(object_id: Json) -> None:
    assert code(without(event(objectId=object_id), "identity")) == 526


@pytest.mark.parametrize("ts", [0, -1, 1.5, 1_699_999_000.0, "1699999000", None, True, 1_699_999_000_000, [1]])
def test_a_bad_ts_is_525(ts: Json) -> None:
    assert code(event(ts=ts)) == 525
    assert code(profile({}, ts=ts)) == 525


@pytest.mark.parametrize("name", [None, "", " ", 7, ["Renewed"]])
def test_without_an_event_name_it_is_509(name: Json) -> None:
    assert code(event(evtName=name)) == 509
    assert code(without(event(), "evtName")) == 509


@pytest.mark.parametrize("name", ["Notification Sent", "app launched", " UTM  VISITED ", "stayed", "WebPageViewed"])
def test_a_reserved_name_is_513_in_any_form(name: str) -> None:
    assert code(event(evtName=name)) == 513


def test_all_17_reserved_names_are_known() -> None:
    assert len(RESERVED) == 17


@pytest.mark.parametrize("character", "%><!|&.:;$'\"\\")
def test_a_prohibited_character_is_512(character: str) -> None:
    written = f"a{character}b"
    assert code(event(evtName=written)) == 512
    assert code(event(evtData={written: 1})) == 512
    assert code(event(evtName="Charged", evtData={"Amount": 1, "Items": [{written: 1}]})) == 512
    assert code(profile({written: 1})) == 512


@pytest.mark.parametrize("data", [None, [], "x", 1, {"": 1}, {" ": 1}])
def test_bad_data_is_512(data: Json) -> None:
    assert code(event(evtData=data)) == 512
    assert code(profile(data)) == 512
    assert code(without(profile(data), "profileData")) == 512


def test_too_much_of_an_event_is_refused() -> None:
    assert code(event(evtName="n" * 513)) == 512
    assert code(event(evtData=MANY | {"one more": 1})) == 522
    assert code(event(ts=1_700_000_001 + YEAR)) == 525


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("Gender", "X", 514),
        ("gender", "female", 514),
        ("Email", "not an address", 515),
        ("Email", "a@b", 515),
        ("EMAIL", None, 515),
        ("Email", {"$add": ["a@b.example"]}, 515),
        ("Phone", "0612345678", 516),
        ("Phone", 33612345678, 516),
        ("Employed", "yes", 517),
        ("Education", "PhD", 518),
        ("Married", True, 519),
        ("Age", 0, 520),
        ("Age", "44", 520),
        ("Age", True, 520),
    ],
)
def test_a_predefined_profile_value_is_checked(key: str, value: Json, expected: int) -> None:
    assert code(profile({key: value})) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null"),
        ([1, 2], "list"),
        ([], "list"),
        ({"a": 1}, "nested object"),
        ("x" * 513, "value longer than 512 bytes"),
        ("é" * 257, "value longer than 512 bytes"),
        ("$D_", "date other than $D_<epoch seconds>"),
        ("$D_2026-01-01", "date other than $D_<epoch seconds>"),
        ("$D_1700000000000", "date other than $D_<epoch seconds>"),
    ],
)
def test_what_is_dropped_in_silence_is_a_violation(value: Json, reason: str) -> None:
    assert kept(event(evtData={"good": 1, "bad": value})) == Kept(
        event(evtData={"good": 1}), (f"evtData.bad: {reason}",)
    )
    assert kept(profile({"good": 1, "bad": value})) == Kept(profile({"good": 1}), (f"profileData.bad: {reason}",))


@pytest.mark.parametrize("value", ["x" * 512, "é" * 256, "\ud800", "$D_0", "", 0, -1.5, True])
def test_what_is_within_the_limits_is_no_violation(value: Json) -> None:
    record = event(evtData={"k" * 120: value})
    assert kept(record) == Kept(record, ())


def test_a_key_over_120_characters_is_dropped() -> None:
    assert kept(event(evtData={"k" * 121: 1})).record["evtData"] == {}
    assert kept(profile({"k" * 121: {"$incr": 1}})).violations == (
        f"profileData.{'k' * 121}: key longer than 120 characters",
    )


def test_an_unknown_key_beside_the_data_is_dropped() -> None:
    assert kept(event(eventName="x", profileData={})) == Kept(
        event(), ("eventName: unknown key", "profileData: unknown key")
    )
    assert kept(profile({}, evtName="Charged")).violations == ("evtName: unknown key",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"$incr": "1"}, "$incr of other than a number"),
        ({"$decr": True}, "$decr of other than a number"),
        ({"$add": "a"}, "$add of other than a list of values"),
        ({"$remove": []}, "$remove of other than a list of values"),
        ({"$add": ["a", None]}, "$add with null"),
        ({"$add": [["a"]]}, "$add with list"),
        ({"$delete": 0}, "nested object"),
        ({"$push": 1}, "nested object"),
        ({"$incr": 1, "$add": ["a"]}, "nested object"),
        ({}, "nested object"),
    ],
)
def test_an_operator_that_cannot_work_is_dropped(change: Json, reason: str) -> None:
    assert kept(profile({"bad": change})) == Kept(profile({}), (f"profileData.bad: {reason}",))


def test_a_charged_event_may_have_50_flat_items() -> None:
    item: Object = {"product": "yearly", "price": 9.99}
    record = event(evtName="Charged", evtData={"Amount": 9.99, "Currency": "EUR", "Items": [item] * 50})
    assert kept(record) == Kept(record, ())


@pytest.mark.parametrize(
    "items", [[{"a": 1}] * 51, {"a": 1}, "x", None, [1], [{"a": 1}, None], [{"a": {}}], [{"a": None}], [{"k" * 121: 1}]]
)
def test_other_items_of_a_charged_event_are_dropped(items: Json) -> None:
    verdict = kept(event(evtName="Charged", evtData={"Amount": 1, "Items": items}))
    assert verdict.record["evtData"] == {"Amount": 1}
    assert len(verdict.violations) == 1


def test_items_of_any_other_event_are_dropped() -> None:
    assert kept(event(evtData={"Items": [{"a": 1}]})).violations == ("evtData.Items: list",)


@pytest.mark.parametrize("data", [{}, {"Amount": -0.01}, {"Amount": "9.99"}, {"Amount": True}, {"Amount": None}])
@pytest.mark.parametrize("name", ["Charged", "charged ", "CHARGED"])
def test_a_charged_event_needs_an_amount(name: str, data: Object) -> None:
    assert (
        "evtData.Amount: Charged without an amount of 0 or more" in kept(event(evtName=name, evtData=data)).violations
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"d":{}}',
        b'{"d":[]}',
        b'{"d":null}',
        b'{"d":[1],}',
        b'{"d":[NaN]}',
        b'{"d":[-Infinity]}',
        b'{"d":[1e999]}',
        b'{"d":["\xff"]}',
        b'\xef\xbb\xbf{"d":[1]}',
        '{"d":[1]}'.encode("utf-16"),
        b'{"d":[' + b"9" * 5000 + b"]}",
        b'{"d":' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_upload_is_malformed(body: bytes) -> None:
    assert records(body) is None


def test_a_request_may_have_1000_records() -> None:
    assert len(records(json.dumps({"d": [{}] * 1000}).encode()) or []) == 1000
    assert records(json.dumps({"d": [{}] * 1001}).encode()) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
VALUES = st.sampled_from(["", "user", "Charged", "$D_1", 0, 1, 1_699_999_000, -5, None]) | JSON
CHANGES = VALUES | st.dictionaries(
    st.sampled_from(["$add", "$remove", "$incr", "$decr", "$delete"]), VALUES | st.lists(VALUES, max_size=3), max_size=2
)
DATA = st.dictionaries(
    st.sampled_from(["Amount", "Items", "identity", "Email", "plan"]) | st.text(), CHANGES, max_size=5
)
RECORDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["event", "profile"])},
    optional={
        "identity": st.just("user-1") | VALUES,
        "objectId": VALUES,
        "ts": VALUES,
        "evtName": st.sampled_from(["Renewed", "Charged"]) | VALUES,
        "evtData": DATA | VALUES,
        "profileData": DATA | VALUES,
    },
)


@given(RECORDS)
def test_every_record_is_refused_or_kept(record: Object) -> None:
    verdict = read(record, NOW)
    if isinstance(verdict, Refusal):
        assert verdict.message == MESSAGES[verdict.code]
    else:
        again = read(verdict.record, NOW)
        assert isinstance(again, Kept)
        assert again.record == verdict.record
        assert set(again.violations) <= {WITHOUT_AMOUNT}
