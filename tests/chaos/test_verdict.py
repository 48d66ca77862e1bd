"""The counting can fail: whatever is planted is found, under its own heading."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chaos.oracle import Expected, Record
from chaos.verdict import Copy, Entry, Person, Reached, Remembered, Verdict, judge, reached
from clevertap_emulator import Profile, Stored, Violation

APP_EVENT = ("default", "e-1")
EXPECTED = Expected(
    records={
        ("P", "e-1", "TRANSACTION_PROCESSED"): Record("u", 7),
        ("P", "e-1", "Charged"): Record("u", 7, 9.99, "EUR"),
    },
    profiles={("P", "u"): {"plan": "yearly", "has_active_subscription": True}},
    outcomes={APP_EVENT: "delivered"},
)
EVENT = Copy("P", "e-1", "TRANSACTION_PROCESSED", "u", 7, None, answer_lost=False)
CHARGED = replace(EVENT, name="Charged", amount=9.99, currency="EUR")
PERSON = Person("P", frozenset({"u"}), {"plan": "yearly", "has_active_subscription": True})
RIGHT = Reached([EVENT, CHARGED], [PERSON])
REMEMBERED = Remembered({APP_EVENT: Entry("delivered", 1)}, (), 1)


def counts(verdict: Verdict) -> tuple[int, int, int, int]:
    return len(verdict.lost), len(verdict.doubled), len(verdict.stale), verdict.doubled_lost_answer


def test_what_is_right_is_found_right() -> None:
    verdict = judge(EXPECTED, RIGHT, REMEMBERED)
    assert (counts(verdict), verdict.events, verdict.findings) == ((0, 0, 0, 0), 1, [])


LOST = (1, 0, 0, 0)
DOUBLED = (0, 1, 0, 0)
STALE = (0, 0, 1, 0)
UNAVOIDABLE = (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("copies", "found"),
    [
        ([EVENT], LOST),
        ([EVENT, replace(CHARGED, amount=9.98)], LOST),
        ([EVENT, replace(CHARGED, identity="another")], LOST),
        ([EVENT, replace(CHARGED, at=8)], LOST),
        ([EVENT, replace(CHARGED, currency="USD")], LOST),
        ([EVENT, CHARGED, CHARGED], DOUBLED),
        ([EVENT, CHARGED, replace(CHARGED, account="S")], DOUBLED),
        ([EVENT, CHARGED, replace(EVENT, event_id="e-2")], DOUBLED),
        ([EVENT, EVENT, CHARGED, CHARGED], (0, 2, 0, 0)),
        ([], (2, 0, 0, 0)),
    ],
)
def test_a_record_that_is_missing_wrong_or_too_many(copies: list[Copy], found: tuple[int, ...]) -> None:
    assert counts(judge(EXPECTED, replace(RIGHT, copies=copies), REMEMBERED)) == found


@pytest.mark.parametrize(
    ("lost_answers", "counted", "found"),
    [
        (1, ["e-1"], UNAVOIDABLE),
        (2, ["e-1"], UNAVOIDABLE),
        (1, [], DOUBLED),
        (0, ["e-1"], DOUBLED),
    ],
)
def test_a_counted_lost_answer_excuses_a_double(lost_answers: int, counted: list[str], found: tuple[int, ...]) -> None:
    copies = [EVENT, *(replace(CHARGED, answer_lost=number < lost_answers) for number in range(2))]
    assert counts(judge(EXPECTED, replace(RIGHT, copies=copies), replace(REMEMBERED, counted=counted))) == found


def test_the_table_counts_as_well_as_the_log() -> None:
    copies = [EVENT, CHARGED, replace(CHARGED, answer_lost=True)]
    remembered = replace(REMEMBERED, entries={APP_EVENT: Entry("delivered", 1, unconfirmed_sends=1)})
    assert counts(judge(EXPECTED, replace(RIGHT, copies=copies), remembered)) == UNAVOIDABLE


def test_each_copy_needs_a_lost_answer_of_its_own() -> None:
    copies = [EVENT, CHARGED, CHARGED, replace(CHARGED, answer_lost=True)]
    assert counts(judge(EXPECTED, replace(RIGHT, copies=copies), replace(REMEMBERED, counted=["e-1"]))) == DOUBLED


@pytest.mark.parametrize(
    "people",
    [
        [replace(PERSON, properties={"plan": "monthly", "has_active_subscription": True})],
        [replace(PERSON, properties={"plan": "yearly"})],
        [replace(PERSON, properties={"plan": "yearly", "has_active_subscription": True, "store": "STRIPE"})],
        [],
        [PERSON, replace(PERSON, ids=frozenset({"stranger"}))],
        [PERSON, replace(PERSON, account="S")],
        [PERSON, PERSON],
    ],
)
def test_a_wrong_profile(people: list[Person]) -> None:
    assert counts(judge(EXPECTED, replace(RIGHT, people=people), REMEMBERED)) == STALE


SHARED = replace(
    EXPECTED,
    profiles=EXPECTED.profiles | {("P", "v"): {"plan": "monthly"}},
    ids={("P", "u"): frozenset({"u", "device"})},
)
ADA = replace(PERSON, ids=frozenset({"u", "device"}))
BEN = Person("P", frozenset({"v"}), {"plan": "monthly"})


@pytest.mark.parametrize(
    ("people", "right"),
    [
        ([ADA, BEN], True),
        ([PERSON, BEN], False),
        ([PERSON, replace(PERSON, ids=frozenset({"device"})), BEN], False),
        ([replace(ADA, ids=frozenset({"u", "v", "device"}))], False),
        ([PERSON, replace(BEN, ids=frozenset({"v", "device"}))], False),
    ],
)
def test_who_is_one_person(people: list[Person], right: bool) -> None:
    assert (judge(SHARED, replace(RIGHT, people=people), REMEMBERED).findings == []) is right


def test_record_under_another_id_of_the_person() -> None:
    copies = [replace(EVENT, identity="device"), CHARGED]
    assert judge(SHARED, replace(RIGHT, copies=copies, people=[ADA, BEN]), REMEMBERED).findings == []


@pytest.mark.parametrize(("date", "found"), [("$D_7", 0), (None, 0), ("$D_8", 1)])
def test_a_date_that_may_stay(date: str | None, found: int) -> None:
    expected = replace(EXPECTED, may_stay={("P", "u"): {"auto_resume_at": frozenset({"$D_7"})}})
    properties = dict(PERSON.properties) | ({} if date is None else {"auto_resume_at": date})
    verdict = judge(expected, replace(RIGHT, people=[replace(PERSON, properties=properties)]), REMEMBERED)
    assert len(verdict.stale) == found


@pytest.mark.parametrize(("copies", "doubled", "lost"), [(["e-2"], 0, 0), (["e-1", "e-2"], 1, 0), ([], 0, 1)])
def test_a_charge_made_by_another_event(copies: list[str], doubled: int, lost: int) -> None:
    instead = {("P", "e-1", "Charged"): {("P", "e-2", "Charged"): Record("u", 9, 9.99, "EUR")}}
    at = {"e-1": 7, "e-2": 9}
    charged = [replace(CHARGED, event_id=each, at=at[each]) for each in copies]
    verdict = judge(replace(EXPECTED, instead=instead), replace(RIGHT, copies=[EVENT, *charged]), REMEMBERED)
    assert (len(verdict.doubled), len(verdict.lost)) == (doubled, lost)


def test_replays_beyond_those_known_by_id_may_go_uncounted() -> None:
    entries = {APP_EVENT: Entry("delivered", 50)}
    assert counts(judge(EXPECTED, RIGHT, Remembered(entries, (), 60))) == (0, 0, 0, 0)
    assert counts(judge(EXPECTED, RIGHT, Remembered(entries, (), 49))) == LOST


@pytest.mark.parametrize(
    ("entries", "webhooks"),
    [
        ({APP_EVENT: Entry(None, 1)}, 1),
        ({APP_EVENT: Entry("parked", 1)}, 1),
        ({APP_EVENT: Entry("delivered", 1)}, 2),
        ({APP_EVENT: Entry("delivered", 2)}, 1),
        ({APP_EVENT: Entry("delivered", 1), ("default", "e-9"): Entry("delivered", 0)}, 1),
        ({}, 0),
    ],
)
def test_an_event_that_is_not_accounted_for(entries: Mapping[tuple[str, str], Entry], webhooks: int) -> None:
    assert counts(judge(EXPECTED, RIGHT, Remembered(entries, (), webhooks))) == LOST


def test_what_clevertap_dropped() -> None:
    dropped = replace(RIGHT, violations=[Violation("P", 1, 1, "evtData.plan: null")])
    assert counts(judge(EXPECTED, dropped, REMEMBERED)) == LOST


def record(kind: str = "event", **more: Any) -> dict[str, Any]:
    data = {"event_id": "e-1", "Currency": "EUR"} | more
    return {"type": kind, "identity": "u", "ts": 7, "evtName": "Charged", "evtData": data}


@pytest.mark.parametrize(
    ("stored", "excused", "lost"),
    [
        (Stored(3, 2, 0.0, record(Amount=9.99), answer_lost=False), set(), False),
        (Stored(3, 2, 0.0, record(Amount=9.99), answer_lost=True), set(), True),
        (Stored(3, 2, 0.0, record(Amount=9.99), answer_lost=False), {(3, 2)}, True),
        (Stored(3, 2, 0.0, record(Amount=9.99), answer_lost=False), {(3, 1), (2, 2)}, False),
    ],
)
def test_what_the_emulated_clevertap_holds(stored: Stored, excused: set[tuple[int, int]], lost: bool) -> None:
    people = [Profile(("u", "v"), ("__hx",), {"plan": "yearly"})]
    found = reached({"P": [stored, replace(stored, record={"type": "profile"})]}, {"P": people}, [], excused)
    assert found.copies == [replace(CHARGED, answer_lost=lost)]
    assert found.people == [Person("P", frozenset({"u", "v", "__hx"}), {"plan": "yearly"})]


def test_an_entry_of_the_table() -> None:
    item: dict[str, Any] = {"event": {"S": "default#e-1"}, "messages": {"SS": ["m-1", "m-2"]}}
    assert Entry.of(item) == Entry(None, 2)
    assert Entry.of(item | {"outcome": {"S": "delivered"}, "unconfirmed_sends": {"N": "3"}}) == Entry("delivered", 2, 3)
