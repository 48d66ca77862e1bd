"""The queue of events that wait for a person: what a parked message says, and what becomes of a failure."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchasely_clevertap.aws.queues import ParkRequest, SendQueue
from purchasely_clevertap.delivery import message as messages
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES, Message
from purchasely_clevertap.outcome import Parked, ParkReason
from tests.integration.cloud import Answered, Cloud, unreachable
from tests.integration.webhook import NOW_MS, encoded, event, message

REFUSED = Parked(ParkReason.REFUSED_BY_CLEVERTAP, "Event name is reserved", 513)
PARKED_AT = NOW_MS + 77
HALF_A_CALL = 512 * 1024 - 16 * 1024  # bytes of a body; SQS counts its attributes too


@pytest.fixture
def queue(cloud: Cloud) -> SendQueue:
    return SendQueue(cloud.sqs, queue_url=cloud.parked_url)


def parking(
    sent: Message,
    parked: Parked = REFUSED,
    *,
    event_id: str = "e-1",
    event_name: str | None = "ACTIVATE",
    accepted: frozenset[str] = frozenset(),
) -> ParkRequest:
    return ParkRequest(sent, parked, event_id, event_name, accepted)


def test_a_parked_message_has_all_there_is_to_know(cloud: Cloud, queue: SendQueue) -> None:
    body = encoded(event(user="Zoë"))
    sent = parking(message(body, id="m-1", sent_at=NOW_MS), accepted=frozenset({"event", "charged"}))
    assert queue.send([sent], now_ms=PARKED_AT) == [None]
    (parked,) = cloud.parked()
    assert parked.body == body
    assert parked.attributes == {
        "app": "default",
        "received_at": str(NOW_MS),
        "reason": "refused_by_clevertap",
        "detail": "Event name is reserved",
        "code": "513",
        "event_id": "e-1",
        "event_name": "ACTIVATE",
        "parked_at": str(PARKED_AT),
        "message_id": "m-1",
        "accepted": "charged,event",
    }


def test_what_is_not_known_is_left_out(cloud: Cloud, queue: SendQueue) -> None:
    sent = parking(message(b"", app=""), Parked(ParkReason.UNREADABLE, ""), event_name=None)
    assert queue.send([sent], now_ms=PARKED_AT) == [None]
    (parked,) = cloud.parked()
    assert set(parked.attributes) == {"received_at", "reason", "event_id", "parked_at", "message_id"}


def test_a_message_parked_again_keeps_its_webhook(cloud: Cloud, queue: SendQueue) -> None:
    redriven = message(event(), id="m-2", redrive=messages.Redrive("m-1", frozenset()))
    assert queue.send([parking(redriven)], now_ms=PARKED_AT) == [None]
    (parked,) = cloud.parked()
    assert parked.attributes["message_id"] == "m-1"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=100), detail=st.text(max_size=60), name=st.none() | st.text(max_size=40))
def test_sqs_can_take_any_parked_event(
    cloud: Cloud, queue: SendQueue, body: bytes, detail: str, name: str | None
) -> None:
    cloud.calls.made.clear()
    sent = parking(message(body), Parked(ParkReason.UNREADABLE, detail), event_name=name)
    assert queue.send([sent], now_ms=PARKED_AT) == [None]
    assert [parked.body for parked in cloud.parked()] == [body]
    ((entry,),) = (call["Entries"] for call in cloud.calls.of("SendMessageBatch"))
    assert 1 <= len(entry["MessageAttributes"]) <= 10
    for text in (entry["MessageBody"], *(value["StringValue"] for value in entry["MessageAttributes"].values())):
        assert text
        for character in map(ord, text):
            assert (
                character in (9, 10, 13)
                or 0x20 <= character <= 0xD7FF
                or 0xE000 <= character <= 0xFFFD
                or character > 0xFFFF
            )


def test_the_largest_message_fits_when_parked(cloud: Cloud, queue: SendQueue) -> None:
    sent = parking(
        message(b"x" * MAX_BODY_BYTES, app="a" * 40),
        Parked(ParkReason.UNUSABLE_EVENT_NAME, "\U0001f600" * 5000, 513),
        event_id="e" * 64,
        event_name="\U0001f600" * 5000,
        accepted=frozenset({"event", "charged"}),
    )
    assert queue.send([sent], now_ms=PARKED_AT) == [None]
    ((entry,),) = (call["Entries"] for call in cloud.calls.of("SendMessageBatch"))
    size = len(entry["MessageBody"].encode()) + sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"].encode())
        for name, value in entry["MessageAttributes"].items()
    )
    assert size <= 1024 * 1024


def test_messages_go_out_ten_at_a_time(cloud: Cloud, queue: SendQueue) -> None:
    assert queue.send([parking(message(event())) for _ in range(25)], now_ms=PARKED_AT) == [None] * 25
    assert [len(call["Entries"]) for call in cloud.calls.of("SendMessageBatch")] == [10, 10, 5]
    assert len(cloud.parked()) == 25


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        (b"x" * HALF_A_CALL, [2, 2, 1]),
        (b"x" * (HALF_A_CALL + 1), [1] * 5),
        ("é".encode() * (HALF_A_CALL // 2), [2, 2, 1]),
        ("é".encode() * (HALF_A_CALL // 2 + 1), [1] * 5),
    ],
    ids=["ascii", "ascii, too large", "not ascii", "not ascii, too large"],
)
def test_a_call_carries_at_most_1_mib(cloud: Cloud, queue: SendQueue, body: bytes, calls: list[int]) -> None:
    assert queue.send([parking(message(body)) for _ in range(5)], now_ms=PARKED_AT) == [None] * 5
    assert [len(call["Entries"]) for call in cloud.calls.of("SendMessageBatch")] == calls
    assert len(cloud.parked()) == 5


def test_nothing_to_park_is_no_call(cloud: Cloud, queue: SendQueue) -> None:
    assert queue.send([], now_ms=PARKED_AT) == []
    assert cloud.calls.made == []


@pytest.mark.parametrize(
    ("fault", "code"), [("InternalError", "InternalError"), (unreachable(), "ConnectTimeoutError")]
)
def test_a_call_that_fails_costs_only_its_own_messages(cloud: Cloud, queue: SendQueue, fault: str, code: str) -> None:
    cloud.calls.next("SendMessageBatch", lambda: None, fault)
    sent = [parking(message(event(), id=f"m-{number}")) for number in range(25)]
    assert queue.send(sent, now_ms=PARKED_AT) == [None] * 10 + [code] * 10 + [None] * 5
    assert len(cloud.parked()) == 15


def test_a_refused_message_costs_only_itself(cloud: Cloud, queue: SendQueue) -> None:
    partly = {"Successful": [{"Id": "0"}, {"Id": "2"}], "Failed": [{"Id": "1", "Code": "InternalError"}]}
    cloud.calls.next("SendMessageBatch", Answered(partly))
    assert queue.send([parking(message(event())) for _ in range(3)], now_ms=PARKED_AT) == [None, "InternalError", None]


def test_an_empty_answer_parks_nothing(cloud: Cloud, queue: SendQueue) -> None:
    cloud.calls.next("SendMessageBatch", Answered({}))
    assert queue.send([parking(message(event()))], now_ms=PARKED_AT) == ["unanswered"]
