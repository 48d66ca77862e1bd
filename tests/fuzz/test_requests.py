"""Whatever a stranger sends, only what an app's secret has signed in time is queued, and the answer is on the page."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.ingest import NOT_READY, SECRETS, TOLERANCE, Ingest
from tests.fuzz.promise import DATA_URL, LIMIT, check, is_plain
from tests.fuzz.stranger import (
    BODIES,
    SECOND,
    SIGNATURE,
    TIMESTAMP,
    Event,
    handed_over,
    is_text,
    odd_requests,
    requests,
    signed,
)

SOMEBODY = "somebody@example.com"


def test_each_odd_request_has_the_answer_of_the_page(ingest: Ingest) -> None:
    for event in odd_requests():
        check(event, ingest.handle(event))


@settings(max_examples=300, deadline=None)
@given(requests())
@example({})
def test_only_what_a_secret_has_signed_is_queued_and_every_request_has_the_answer_of_the_page(
    ingest: Ingest, event: Event
) -> None:
    check(event, ingest.handle(event))


@settings(max_examples=100, deadline=None)
@given(
    body=BODIES,
    app=st.sampled_from(sorted(SECRETS)),
    second=st.integers(SECOND - TOLERANCE + 1, SECOND),
    data=st.data(),
)
def test_whatever_is_signed_is_answered_200_and_arrives_to_the_byte(
    ingest: Ingest, body: bytes, app: str, second: int, data: st.DataObject
) -> None:
    secret = data.draw(st.sampled_from(SECRETS[app]))
    as_base64 = data.draw(st.booleans()) if is_text(body) else True
    event = handed_over(body, signed(body, secret, second), app=app, as_base64=as_base64)
    answer = ingest.handle(event)
    assert answer.status == 200
    check(event, answer)


@pytest.mark.parametrize("piece", [b"x", "é".encode(), "☕".encode(), "😀".encode(), b"\x00", b"\xff"])
def test_a_signed_body_that_just_fits_into_a_message_is_queued_and_a_larger_one_is_answered_413(
    ingest: Ingest, piece: bytes
) -> None:
    most = LIMIT if is_plain(piece) else (LIMIT - len(DATA_URL)) // 4 * 3
    for size, status in ((most, 200), (most + 1, 413)):
        body = (piece * (most // len(piece))).ljust(size, b"x")
        event = handed_over(body, signed(body))
        answer = ingest.handle(event)
        assert answer.status == status
        check(event, answer)


@settings(max_examples=100, deadline=None)
@given(
    app=st.sampled_from(["default", "no-such-app", *NOT_READY, SOMEBODY, f"\ud800{SOMEBODY}"]),
    names=st.lists(st.sampled_from([SIGNATURE, TIMESTAMP, "user-agent", SOMEBODY]), max_size=3),
    body=st.sampled_from([SOMEBODY.encode(), json.dumps({"event_id": SOMEBODY}).encode()]),
    is_genuine=st.booleans(),
)
def test_every_request_has_its_line_in_the_log_and_nothing_that_a_stranger_wrote_is_in_it(
    ingest: Ingest, app: str, names: list[str], body: bytes, is_genuine: bool
) -> None:
    headers = signed(body) if is_genuine else dict.fromkeys(names, SOMEBODY)
    answer = ingest.handle(handed_over(body, headers, app=app))
    said = "accepted" if answer.status == 200 else "refused"
    assert [line["message"] for line in answer.log if "message" in line] == [said]
    assert SOMEBODY not in repr(answer.log)


# What went wrong once.


def test_a_path_that_is_no_app_was_logged_as_it_came(ingest: Ingest) -> None:
    answer = ingest.handle(handed_over(b"{}", {}, app=SOMEBODY))
    assert (answer.status, answer.reason) == (404, "unknown_app")
    assert SOMEBODY not in repr(answer.log)


def test_a_path_with_half_a_character_was_missing_in_the_log(ingest: Ingest) -> None:
    assert ingest.handle(handed_over(b"{}", {}, app="\ud83d")).reason == "unknown_app"


def test_a_body_that_is_not_the_base64_it_should_be_passed_for_an_empty_one_that_was_signed(ingest: Ingest) -> None:
    answer = ingest.handle(handed_over(b"", signed(b"")) | {"body": "{not base64}"})
    assert (answer.status, answer.reason, answer.queued) == (401, "wrong_signature", ())
