"""The counting can fail: whatever is planted is found, under its own heading."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chaos.oracle import Expected
from chaos.verdict import Copy, Entry, Reached, Remembered, Verdict, judge, reached
from clevertap_emulator import Profile, Stored, Violation

APP_EVENT = ("default", "e-1")
EXPECTED = Expected(
    records={("P", "e-1", "TRANSACTION_PROCESSED"): ("u", 7, None), ("P", "e-1", "Charged"): ("u", 7, 9.99)},
    profiles={("P", "u"): {"plan": "yearly", "has_active_subscription": True}},
    outcomes={APP_EVENT: "delivered"},
)
EVENT = Copy("P", "e-1", "TRANSACTION_PROCESSED", "u", 7, None, answer_lost=False)
CHARGED = replace(EVENT, name="Charged", amount=9.99)
RIGHT = Reached([EVENT, CHARGED], {("P", "u"): {"plan": "yearly", "has_active_subscription": True}})
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
def test_a_double_is_excused_by_a_lost_answer_that_was_counted(
    lost_answers: int, counted: list[str], found: tuple[int, ...]
) -> None:
    copies = [EVENT, *(replace(CHARGED, answer_lost=number < lost_answers) for number in range(2))]
    assert counts(judge(EXPECTED, replace(RIGHT, copies=copies), replace(REMEMBERED, counted=counted))) == found


def test_the_table_counts_as_well_as_the_log() -> None:
    copies = [EVENT, CHARGED, replace(CHARGED, answer_lost=True)]
    remembered = replace(REMEMBERED, entries={APP_EVENT: Entry("delivered", 1, unconfirmed_sends=1)})
    assert counts(judge(EXPECTED, replace(RIGHT, copies=copies), remembered)) == UNAVOIDABLE


def test_each_copy_but_the_last_needs_a_lost_answer_of_its_own() -> None:
    copies = [EVENT, CHARGED, CHARGED, replace(CHARGED, answer_lost=True)]
    assert counts(judge(EXPECTED, replace(RIGHT, copies=copies), replace(REMEMBERED, counted=["e-1"]))) == DOUBLED


@pytest.mark.parametrize(
    "profiles",
    [
        {("P", "u"): {"plan": "monthly", "has_active_subscription": True}},
        {("P", "u"): {"plan": "yearly"}},
        {("P", "u"): {"plan": "yearly", "has_active_subscription": True, "store": "STRIPE"}},
        {},
        {**RIGHT.profiles, ("P", "stranger"): {"plan": "yearly"}},
    ],
)
def test_a_profile_that_is_not_what_the_events_tell(profiles: Mapping[tuple[str, str], Mapping[str, object]]) -> None:
    assert counts(judge(EXPECTED, replace(RIGHT, profiles=profiles), REMEMBERED)) == STALE


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
    return {"type": kind, "identity": "u", "ts": 7, "evtName": "Charged", "evtData": {"event_id": "e-1"} | more}


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
    assert found.profiles == {("P", "u"): {"plan": "yearly"}, ("P", "v"): {"plan": "yearly"}}


def test_an_entry_of_the_table() -> None:
    item: dict[str, Any] = {"event": {"S": "default#e-1"}, "messages": {"SS": ["m-1", "m-2"]}}
    assert Entry.of(item) == Entry(None, 2)
    assert Entry.of(item | {"outcome": {"S": "delivered"}, "unconfirmed_sends": {"N": "3"}}) == Entry("delivered", 2, 3)
