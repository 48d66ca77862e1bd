"""What an account of the emulated CleverTap stores."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clevertap_emulator.account import Account, Profile, Stored, Violation
from clevertap_emulator.properties import Json, Object
from clevertap_emulator.rules import Refusal, refusal


def event(name: str = "Renewed", identity: str = "user-1", **data: Json) -> Object:
    return {"type": "event", "identity": identity, "evtName": name, "evtData": data}


def profile(data: Object, **ids: Json) -> Object:
    return {"type": "profile", "profileData": data, **(ids or {"identity": "user-1"})}


def take(account: Account, *records: Json, request: int = 1, store: bool = True) -> Sequence[Refusal | None]:
    return account.take(records, request=request, at=1_700_000_000.0, scripted={}, store=store)


def properties(*changes: Object) -> Object:
    account = Account("A")
    assert not any(take(account, *map(profile, changes)))
    return account.profiles()[0].properties


def reasons(account: Account) -> list[str]:
    return [violation.reason for violation in account.violations]


def test_records_are_stored_with_place_and_time() -> None:
    account = Account("A")
    assert take(account, event("One"), {}, event("Two")) == [None, refusal(524), None]
    assert take(account, event("Three"), request=2) == [None]
    assert account.records == [
        Stored(1, 1, 1_700_000_000.0, event("One"), False),
        Stored(1, 3, 1_700_000_000.0, event("Two"), False),
        Stored(2, 1, 1_700_000_000.0, event("Three"), False),
    ]


def test_a_violation_says_where_it_was() -> None:
    account = Account("A")
    take(account, event(), event(price=None), request=7)
    assert account.violations == [Violation("A", 7, 2, "evtData.price: null")]


def test_a_dry_run_judges_and_stores_nothing() -> None:
    account = Account("A")
    assert take(account, event(price=None), profile({"a": 1}), {}, store=False) == [None, None, refusal(524)]
    assert (account.records, account.violations, account.profiles()) == ([], [], [])


def test_scripted_refusals_come_on_top_of_the_rules() -> None:
    account = Account("A")
    scripted = {2: refusal(555)}
    outcome = account.take([event("One"), event("Two"), {}], request=1, at=0.0, scripted=scripted)
    assert outcome == [None, refusal(555), refusal(524)]
    assert [stored.record for stored in account.records] == [event("One")]


def test_the_513th_event_type_is_discarded() -> None:
    account = Account("A")
    assert not any(take(account, *(event(f"Event {number}") for number in range(512))))
    assert take(account, event("EVENT0"), event("One more"), event(" event 511")) == [None, refusal(528), None]
    assert take(account, event("One more"), store=False) == [refusal(528)]


@pytest.mark.parametrize(("identity", "store"), [("", True), ("user-1", False)], ids=["refused", "dry run"])
def test_what_is_not_stored_uses_up_no_event_type(identity: str, store: bool) -> None:
    account = Account("A")
    take(account, *(event(f"Event {number}", identity) for number in range(512)), store=store)
    assert take(account, event("Renewed")) == [None]


def device(device_id: str, **data: Json) -> Object:
    """A profile record by the id of a device."""
    return profile(data, objectId=device_id)


@pytest.mark.parametrize(
    ("records", "people"),
    [
        (
            [event(identity="user-1"), event(identity="user-2"), event(identity="user-1")],
            [Profile(("user-1",), (), {}), Profile(("user-2",), (), {})],
        ),
        (
            [device("__h1", identity="user-1", plan="yearly"), event(identity="user-1"), device("__h1", trial=True)],
            [Profile(("user-1",), ("__h1",), {"plan": "yearly", "trial": True})],
        ),
        (
            [
                *(device("__h1", plan="monthly", device="phone"), profile({"plan": "yearly"})),
                *(device("__h1", identity="user-1"), device("__h1", seen=1)),
            ],
            [Profile(("user-1",), ("__h1",), {"plan": "yearly", "device": "phone", "seen": 1})],
        ),
        (
            [device("__h1", identity="user-1", a=1), device("__h1", identity="user-2")],
            [Profile(("user-1", "user-2"), ("__h1",), {"a": 1})],
        ),
        (
            [
                *(device("__h1", identity="user-1"), device("__h2", identity="user-2")),
                *(device("__h2", identity="user-1"), profile({"plan": "yearly"}, identity="user-2")),
            ],
            [Profile(("user-1", "user-2"), ("__h1", "__h2"), {"plan": "yearly"})],
        ),
    ],
    ids=["an identity", "and a device", "the identity's values stay", "two of one device", "every id leads to them"],
)
def test_ids_that_belong_together_are_one_user(records: list[Json], people: list[Profile]) -> None:
    account = Account("A")
    take(account, *records)
    assert account.profiles() == people


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{"plan": "monthly", "a": 1}, {"plan": "yearly"}], {"plan": "yearly", "a": 1}),
        ([{"since": "$D_1700000000"}], {"since": "$D_1700000000"}),
        ([{"tags": {"$add": ["a", "b"]}}, {"tags": {"$add": ["b", "c"]}}], {"tags": ["a", "b", "c"]}),
        ([{"tags": {"$add": ["a", "b"]}}, {"tags": {"$remove": ["a", "x"]}}], {"tags": ["b"]}),
        ([{"tags": "a"}, {"tags": {"$add": ["b"]}}], {"tags": ["a", "b"]}),
        ([{"tags": {"$add": ["a"]}}, {"tags": {"$remove": ["a"]}}], {}),
        ([{"tags": {"$remove": ["a"]}}], {}),
        ([{"n": {"$incr": 2}}, {"n": {"$incr": 3}}, {"n": {"$decr": 1}}], {"n": 4}),
        ([{"n": {"$decr": 1.5}}], {"n": -1.5}),
        ([{"Name": "N", "gender": "F", "b": 2}, {"Name": {"$delete": 1}, "gender": {"$delete": True}}], {"b": 2}),
    ],
)
def test_changes_of_properties_follow_each_other(changes: list[Object], expected: Object) -> None:
    assert properties(*changes) == expected


@pytest.mark.parametrize("key", ["plan", "Email", "Phone"])
def test_no_other_property_is_ever_deleted(key: str) -> None:
    account, value = Account("A"), "+4917012345678" if key == "Phone" else "a@b.example"
    take(account, profile({key: value}), profile({key: {"$delete": 1}}))
    assert account.profiles()[0].properties == {key: value}
    assert reasons(account) == [f"profileData.{key}: $delete of other than name and gender"]


VALUES: dict[str, Json] = {
    "integer": 9,
    "float": 9.0,
    "boolean": True,
    "string": "9",
    "date": "$D_1700000000",
}


@pytest.mark.parametrize("second", VALUES)
@pytest.mark.parametrize("first", VALUES)
@pytest.mark.parametrize("where", ["profileData", "evtData"])
def test_a_property_keeps_the_type_that_it_had_first(where: str, first: str, second: str) -> None:
    account = Account("A")
    before, after = ({"price": VALUES[each]} for each in (first, second))
    if where == "profileData":
        take(account, profile(before), profile(after, identity="another"))
    else:
        take(account, event(price=before["price"]), event("Renewed", "another", price=after["price"]))
    is_kept = first == second
    assert account.records[1].record[where] == (after if is_kept else {})
    assert reasons(account) == ([] if is_kept else [f"{where}.price: {second} in a property of type {first}"])


def test_each_event_has_types_of_its_own() -> None:
    account = Account("A")
    take(account, event("One", price=1), event("Two", price=1.5), profile({"price": "much"}), event("O NE", Price=2.5))
    assert reasons(account) == ["evtData.Price: float in a property of type integer"]


def test_counting_on_a_text_is_a_violation() -> None:
    account = Account("A")
    take(account, profile({"n": ""}), profile({"n": {"$incr": 1}}))
    assert account.profiles()[0].properties == {"n": ""}
    assert reasons(account) == ["profileData.n: counting on other than a number"]


def test_a_profile_holds_256_custom_keys() -> None:
    account = Account("A")
    take(account, profile({f"k{number}": number for number in range(256)}))
    take(account, profile({"one more": 1, "k0": 1000, "Email": "a@b.example", "MSG-push": True}))
    held = account.profiles()[0].properties
    assert (len(held), held["k0"], held["Email"]) == (258, 1000, "a@b.example")
    assert reasons(account) == ["profileData.one more: more than 256 custom keys"]


def test_a_lost_answer_marks_its_request_alone() -> None:
    account = Account("A")
    take(account, event("One"), event("Two"), request=1)
    take(account, event("Three"), request=2)
    account.lose_answer(1)
    assert [stored.answer_lost for stored in account.records] == [True, True, False]


@given(st.lists(st.tuples(st.sampled_from(["$add", "$remove"]), st.lists(st.text(max_size=2), min_size=1, max_size=3))))
def test_several_values_are_a_set(changes: list[tuple[str, list[str]]]) -> None:
    expected: set[str] = set()
    for operator, items in changes:
        expected = expected | set(items) if operator == "$add" else expected - set(items)
    operations: list[Object] = [{"tags": {operator: [*items]}} for operator, items in changes]
    values = properties({}, *operations).get("tags", [])
    assert isinstance(values, list)
    assert len(values) == len(expected)
    assert set(map(str, values)) == expected
