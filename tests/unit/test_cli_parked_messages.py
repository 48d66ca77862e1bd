"""Which parked events a choice means, and what a message of the parked queue says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_cli.parked_messages import Choice, ParkedMessage
from purchasely_clevertap.delivery.message import encode_body
from purchasely_clevertap.purchasely.event_id import event_id

AT = 1_770_000_000_000


def parked(number: int = 1, *, body: bytes = b"{}", attributes: dict[str, str] | None = None) -> ParkedMessage:
    return ParkedMessage(
        id=f"message-{number}",
        receipt_handle=f"handle-{number}",
        text=encode_body(body),
        attributes={name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()},
        sent_at=AT,
    )


def full(number: int, changes: dict[str, str] | None = None) -> ParkedMessage:
    known = {"app": "default", "reason": "unreadable", "event_id": f"e-{number}", "event_name": "ACTIVATE"}
    return parked(number, attributes=known | {"parked_at": str(AT + number)} | (changes or {}))


def chosen(choice: Choice, *messages: ParkedMessage) -> list[str]:
    return [event.newest.event_id for event in choice.of(messages)]


def test_a_message_says_what_it_was_parked_with() -> None:
    attributes = {
        "app": "default",
        "reason": "refused_by_clevertap",
        "detail": "Event name is reserved",
        "code": "513",
        "event_id": "e-1",
        "event_name": "ACTIVATE",
        "received_at": str(AT),
        "parked_at": str(AT + 5),
        "message_id": "m-1",
        "accepted": "charged,event",
    }
    message = parked(body=b"\xff", attributes=attributes)
    assert message.key == ("default", "e-1")
    assert (message.reason, message.detail, message.code) == ("refused_by_clevertap", "Event name is reserved", 513)
    assert (message.received_at, message.parked_at, message.message_id) == (AT, AT + 5, "m-1")
    assert (message.event_name, message.accepted) == ("ACTIVATE", frozenset({"charged", "event"}))
    assert message.body == b"\xff"


def test_a_message_by_hand_says_what_its_body_can() -> None:
    body = b'{"event_id": "e-9"}'
    message = parked(body=body, attributes={"parked_at": "today", "code": "-"})
    assert message.key == ("", "e-9")
    assert (message.reason, message.code, message.parked_at, message.accepted) == ("unknown", None, AT, frozenset())
    assert parked(body=b"rubbish").event_id == event_id(b"rubbish")


def test_a_message_never_shows_its_body_by_itself() -> None:
    assert "customer-7" not in repr(parked(body=b'{"user_id": "customer-7"}'))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), ["e-1", "e-2", "e-3"]),
        (Choice(event_ids=frozenset({"e-3", "e-1", "e-7"})), ["e-1", "e-3"]),
        (Choice(app="second"), ["e-2"]),
        (Choice(reason="no_user"), ["e-3"]),
        (Choice(event_name="OTHER"), ["e-2"]),
        (Choice(since=AT + 2), ["e-2", "e-3"]),
        (Choice(until=AT + 2), ["e-1"]),
        (Choice(since=AT + 2, until=AT + 3), ["e-2"]),
        (Choice(app="default", reason="unreadable"), ["e-1"]),
        (Choice(app="second", reason="no_user"), []),
    ],
)
def test_an_event_must_match_all_that_is_given(choice: Choice, expected: list[str]) -> None:
    messages = [full(3, {"reason": "no_user"}), full(1), full(2, {"app": "second", "event_name": "OTHER"})]
    assert chosen(choice, *messages) == expected


def test_only_a_choice_of_nothing_is_everything() -> None:
    assert Choice().is_everything
    assert not Choice(since=0).is_everything
    assert not Choice(event_ids=frozenset({"e-1"})).is_everything


def test_an_event_parked_twice_is_one_event() -> None:
    again = {"event_id": "e-1", "reason": "no_user", "accepted": "event"}
    first, second = full(1, {"accepted": "charged"}), full(2, again)
    (event,) = Choice().of([first, second])
    assert event.messages == (second, first)
    assert event.accepted == {"charged", "event"}
    assert chosen(Choice(reason="no_user"), first, second) == ["e-1"]
    assert chosen(Choice(reason="unreadable"), first, second) == []


def test_two_apps_may_have_an_event_of_the_same_id() -> None:
    assert len(Choice().of([full(1), full(1, {"app": "second"})])) == 2


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9), st.sampled_from("ab")), max_size=12))
def test_no_message_is_lost_or_chosen_twice(drawn: list[tuple[int, int, str]]) -> None:
    messages = [
        full(number, {"event_id": f"e-{event}", "parked_at": str(AT + at), "app": app})
        for number, (event, at, app) in enumerate(drawn)
    ]
    events = Choice().of(messages)
    assert sorted(message.id for event in events for message in event.messages) == sorted(each.id for each in messages)
    assert len({event.key for event in events}) == len(events)
    times = [event.newest.parked_at for event in events]
    assert times == sorted(times)
    for event in events:
        assert event.newest.parked_at == max(message.parked_at for message in event.messages)
        assert {message.key for message in event.messages} == {event.key}
