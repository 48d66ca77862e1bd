import base64
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from purchasely_clevertap.delivery.message import (
    MAX_BODY_BYTES,
    Message,
    MessageKind,
    Redrive,
    archive_attributes,
    attributes,
    decode_body,
    encode_body,
    from_lambda,
    parked_attributes,
)
from tests.unit.samples import EVENT_ID, MOMENT, PAYLOADS, TEXTS, body

# What SQS takes, as its documentation of SendMessage has it:
# #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF
TAKEN = re.compile(r"[\x09\x0A\x0D\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]+")
DEAD_LETTERS = "arn:aws:sqs:eu-west-1:123456789012:dead-letters"
EVENTS = "arn:aws:sqs:eu-west-1:123456789012:events"

WEBHOOKS = (
    st.binary()
    | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)
    | st.builds(lambda rest: b"data:;base64," + rest, st.binary() | st.binary().map(base64.b64encode))
    | PAYLOADS.map(body)
)


# The body


@given(WEBHOOKS)
@example(b"")
@example(b"\x00")
@example(b"\xff")
@example(b"\xed\xa0\x80")
@example("\ufffe".encode())
@example("\uffff".encode())
@example("\ufeff{}".encode())
@example("\U0010ffff".encode())
@example(b"\x7f\x0b")
@example(b"data:")
@example(b"data:;base64,")
@example(b"data:;base64,QQ==")
@example(b"\r\n")
def test_any_body_survives_the_queue(given: bytes) -> None:
    text = encode_body(given)
    assert decode_body(text) == given
    assert TAKEN.fullmatch(text)


@given(PAYLOADS.filter(lambda given: TAKEN.fullmatch(body(given).decode()) is not None))
def test_an_ordinary_body_stays_readable_in_the_queue(given: dict[str, Any]) -> None:
    assert encode_body(body(given)) == body(given).decode()


@pytest.mark.parametrize("text", ["{}", " {}\r\n\t", "é😀\x7f\x85", "date:", "Data:;base64,QQ==", " data:;base64,QQ=="])
def test_a_text_that_sqs_can_carry_is_carried_as_it_is(text: str) -> None:
    assert encode_body(text.encode()) == text


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["data:;base64,", "data:", ""]))
@example("é", "data:;base64,")
@example("QQ=", "data:;base64,")
@example("Q Q==", "data:;base64,")
@example("=QQ=", "data:;base64,")
def test_any_text_put_on_by_hand_is_some_body(text: str, start: str) -> None:
    assert isinstance(decode_body(start + text), bytes)


@pytest.mark.parametrize(
    "text",
    [
        "data:;base64,é",
        "data:;base64,QQ=",
        "data:;base64,Q Q==",
        "data:;base64,QQ==!",
        "data:text/plain,a",
        "data:;base64",
        "{}",
    ],
)
def test_a_data_url_that_is_not_ours_is_text(text: str) -> None:
    assert decode_body(text) == text.encode()


# The attributes


def sent(found: Any) -> dict[str, str]:
    """Attributes as they were sent, checked against what SQS takes."""
    assert len(found) <= 10
    for attribute in found.values():
        assert attribute.keys() == {"DataType", "StringValue"}
        assert TAKEN.fullmatch(attribute["StringValue"])
        if attribute["DataType"] == "Number":
            assert int(attribute["StringValue"]) >= 0
        else:
            assert attribute["DataType"] == "String"
    return {name: attribute["StringValue"] for name, attribute in found.items()}


def in_lambda(given: dict[str, str], **changes: Any) -> dict[str, Any]:
    """A record of an SQS event with the attributes `given`."""
    return {
        "messageId": "message-2",
        "receiptHandle": "handle",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": str(MOMENT + 50)},
        "messageAttributes": {
            name: {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
            for name, value in given.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": EVENTS,
        "awsRegion": "eu-west-1",
    } | changes


def received(record: dict[str, Any]) -> Message:
    return from_lambda(record, dead_letter_arn=DEAD_LETTERS)


def parked(message: Message, **changes: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "reason": "refused_by_clevertap",
        "detail": "Email is not valid.",
        "code": 515,
        "event_id": EVENT_ID,
        "event_name": "TRIAL_STARTED",
        "parked_at": MOMENT + 99,
        "accepted": {"event", "charged"},
    } | changes
    return sent(parked_attributes(message, **given))


MESSAGE = Message("message-1", "default", b"{}", MOMENT)


def test_a_webhook_has_its_app_and_time_beside_it() -> None:
    assert sent(attributes("my-app", MOMENT)) == {"app": "my-app", "received_at": str(MOMENT)}


def test_a_message_is_what_was_sent() -> None:
    record = in_lambda(sent(attributes("my-app", MOMENT)), body=encode_body(b"\x00"))
    assert received(record) == Message(
        id="message-2",
        app="my-app",
        body=b"\x00",
        received_at=MOMENT,
        sent_at=MOMENT + 50,
        receives=3,
        receipt_handle="handle",
        text="data:;base64,AA==",
    )


def test_what_only_archives_tells_of_itself() -> None:
    lines = received(in_lambda(sent(archive_attributes(MOMENT)), body="{}\n"))
    assert (lines.kind, lines.body, lines.object_key) == (MessageKind.ARCHIVE, b"{}\n", "")
    body = received(in_lambda(sent(archive_attributes(MOMENT, "v1/large/m-1.gz"))))
    assert (body.kind, body.object_key) == (MessageKind.ARCHIVE, "v1/large/m-1.gz")


def test_a_dead_letter_is_known_as_such() -> None:
    assert received(in_lambda({}, eventSourceARN=DEAD_LETTERS)).dead_letter is True
    assert received(in_lambda({})).dead_letter is False


@pytest.mark.parametrize("given", [None, "", "soon", "1.5e12", "-1", " 7", "٧", "9" * 400])
def test_a_message_put_on_by_hand_has_its_sent_time(given: str | None) -> None:
    found = received(in_lambda({} if given is None else {"received_at": given}))
    assert (found.app, found.received_at) == ("", MOMENT + 50)


def test_an_attribute_of_bytes_is_as_good_as_none() -> None:
    record = in_lambda({})
    record["messageAttributes"]["app"] = {"binaryValue": "QQ==", "dataType": "Binary"}
    assert received(record).app == ""


def test_a_parked_event_says_why_and_what_was_accepted() -> None:
    assert parked(MESSAGE) == {
        "app": "default",
        "received_at": str(MOMENT),
        "reason": "refused_by_clevertap",
        "detail": "Email is not valid.",
        "code": "515",
        "event_id": EVENT_ID,
        "event_name": "TRIAL_STARTED",
        "parked_at": str(MOMENT + 99),
        "message_id": "message-1",
        "accepted": "charged,event",
    }


def test_a_parked_event_leaves_out_what_is_unknown() -> None:
    found = parked(Message("message-1", "", b"{}", MOMENT), detail="", code=None, event_name=None, accepted=())
    assert found.keys() == {"received_at", "reason", "event_id", "parked_at", "message_id"}
    assert parked(MESSAGE, code=0)["code"] == "0"


@pytest.mark.parametrize("accepted", [frozenset({"event", "charged"}), frozenset()], ids=["both", "nothing"])
def test_a_redriven_event_is_known_by_its_webhook(accepted: frozenset[str]) -> None:
    found = received(in_lambda(parked(MESSAGE, accepted=accepted)))
    assert found.redrive == Redrive("message-1", accepted)
    assert (found.app, found.received_at, found.id) == ("default", MOMENT, "message-2")
    assert parked(found)["message_id"] == "message-1", "when it is parked again"


@given(
    st.builds(
        Message, st.uuids().map(str), st.from_regex(r"[a-z0-9-]{0,40}", fullmatch=True), st.binary(), st.just(MOMENT)
    ),
    TEXTS | st.builds(lambda text: text * 50, TEXTS),
    st.none() | st.integers(0, 999),
    st.none() | TEXTS | st.text(min_size=1),
)
@example(MESSAGE, "\x00\ud800\ufffe" * 30_000, 7, "\x00" * 3000)
@example(MESSAGE, "😀" * 30_000, 7, "😀" * 3000)
def test_a_parked_message_always_fits_the_queue(
    message: Message, detail: str, code: int | None, name: str | None
) -> None:
    found = parked(message, detail=detail, code=code, event_name=name)
    size = sum(len(key.encode()) + len("Number") + len(value.encode()) for key, value in found.items())
    assert size + MAX_BODY_BYTES <= 1024 * 1024


def test_the_largest_body_fits_with_its_attributes() -> None:
    assert len(encode_body(b" " * MAX_BODY_BYTES).encode()) == MAX_BODY_BYTES
    assert MAX_BODY_BYTES > 1_000_000
