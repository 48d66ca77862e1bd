"""The queue of scripted faults, and its steps as JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clevertap_emulator.faults import (
    NAMES,
    Cut,
    Delay,
    FailEmpty,
    Faults,
    Hang,
    LostAnswer,
    NotJson,
    Ok,
    Refuse,
    Status,
    Step,
    Truncated,
    parse,
)
from clevertap_emulator.properties import Json
from clevertap_emulator.rules import Refusal, refusal


def test_an_empty_queue_gives_ok() -> None:
    assert Faults().take()[0] == Ok()


def test_steps_come_in_order_each_as_often_as_asked() -> None:
    faults = Faults()
    faults.add(Status(500), Ok(), times=2)
    faults.add(Status(503))
    taken = [faults.take()[0] for _ in range(6)]
    assert taken == [Status(500), Status(500), Ok(), Ok(), Status(503), Ok()]


def test_a_step_without_end_lasts_until_cleared() -> None:
    faults = Faults()
    faults.add(Status(503), times=None)
    assert [faults.take()[0] for _ in range(50)] == [Status(503)] * 50
    faults.clear()
    assert faults.take()[0] == Ok()


def test_clearing_ends_earlier_waits_alone() -> None:
    faults = Faults()
    _, before = faults.take()
    faults.clear()
    _, after = faults.take()
    assert (before.is_set(), after.is_set()) == (True, False)


def test_refuse_takes_every_record_by_default() -> None:
    assert Refuse(555).refusals([{}, 7]) == {1: refusal(555), 2: refusal(555)}


def test_refuse_takes_what_fits_every_condition() -> None:
    records: list[Json] = [
        {"evtName": "Renewed", "identity": "a"},
        {"evtName": "Renewed", "identity": "b"},
        {"evtName": "Charged", "identity": "a"},
        None,
    ]
    assert set(Refuse(512, event_name="Renewed").refusals(records)) == {1, 2}
    assert set(Refuse(512, identity="a").refusals(records)) == {1, 3}
    assert set(Refuse(512, positions=[2, 3, 9]).refusals(records)) == {2, 3}
    assert set(Refuse(512, positions=[1, 3], event_name="Charged", identity="a").refusals(records)) == {3}


def test_refuse_may_bring_its_own_message() -> None:
    assert Refuse(999, message="Out of order.").refusals([{}]) == {1: Refusal(999, "Out of order.")}


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ({"fault": "ok"}, Ok()),
        ({"fault": "delay", "seconds": 0.5}, Delay(0.5)),
        (
            {"fault": "refuse", "code": 512, "positions": [1, 3], "event_name": "Renewed", "identity": "a"},
            Refuse(512, positions=[1, 3], event_name="Renewed", identity="a"),
        ),
        ({"fault": "fail_empty"}, FailEmpty()),
        ({"fault": "status", "status": 503, "body": "", "taken": True}, Status(503, "", taken=True)),
        ({"fault": "not_json"}, NotJson()),
        ({"fault": "truncated", "taken": True}, Truncated(taken=True)),
        ({"fault": "cut", "taken": False}, Cut()),
        ({"fault": "hang", "seconds": 30, "taken": True}, Hang(30, taken=True)),
        ({"fault": "lost_answer"}, LostAnswer()),
    ],
)
def test_every_step_can_be_written_as_json(value: dict[str, Json], step: Step) -> None:
    assert parse(value) == [(step, 1)]
    assert parse([value, value | {"times": 3}, value | {"times": None}]) == [(step, 1), (step, 3), (step, None)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "a step is an object"),
        ([[]], "a step is an object"),
        ({}, "fault must be one of ok, delay, interim, refuse, fail_empty, status"),
        ({"fault": "explode"}, "fault must be one of ok"),
        ({"fault": ["ok"]}, "fault must be one of ok"),
        ({"fault": "status"}, "status needs status"),
        ({"fault": "hang"}, "hang needs seconds"),
        ({"fault": "status", "status": 600}, "status is 600, must be a status from 200 to 599"),
        ({"fault": "status", "status": 204}, "must be a status from 200 to 599 with a body"),
        (
            {"fault": "status", "status": 503, "seconds": 1},
            "seconds is unknown; status takes status, body, taken, times",
        ),
        ({"fault": "lost_answer", "taken": False}, "taken is unknown; lost_answer takes times"),
        ({"fault": "cut", "taken": 1}, "taken is 1, must be true or false"),
        ({"fault": "hang", "seconds": "5"}, "seconds is '5', must be a number from 0 to 3600"),
        ({"fault": "hang", "seconds": True}, "must be a number"),
        ({"fault": "refuse", "code": "512"}, "code is '512', must be one of CleverTap's codes"),
        ({"fault": "refuse", "code": 512, "positions": [0]}, "must be a list of positions, the first record being 1"),
        ({"fault": "refuse", "code": 512, "event_name": 7}, "event_name is 7, must be a text"),
        ({"fault": "ok", "times": 0}, "times is 0, must be a whole number from 1"),
    ],
)
def test_a_bad_step_is_refused_with_what_is_allowed(value: Json, message: str) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        parse(value)
    assert message in str(refused.value)


@given(
    st.fixed_dictionaries(
        {"fault": st.sampled_from(sorted(NAMES.values()))},
        optional={
            name: st.none() | st.booleans() | st.integers(-1, 700) | st.text(max_size=3) | st.lists(st.integers(0, 3))
            for name in ("times", "seconds", "status", "body", "taken", "positions", "code", "event_name", "times")
        },
    )
)
def test_a_step_is_either_read_or_refused(value: dict[str, Json]) -> None:
    try:
        [(step, _)] = parse(value)
    except ValueError:
        return
    assert NAMES[type(step)] == value["fault"]
