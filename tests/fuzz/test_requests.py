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
def test_only_signed_requests_are_queued(ingest: Ingest, event: Event) -> None:
    check(event, ingest.handle(event))


@settings(max_examples=100, deadline=None)
@given(
    body=BODIES,
    app=st.sampled_from(sorted(SECRETS)),
    second=st.integers(SECOND - TOLERANCE + 1, SECOND),
    data=st.data(),
)
def test_what_is_signed_arrives_to_the_byte(
    ingest: Ingest, body: bytes, app: str, second: int, data: st.DataObject
) -> None:
    secret = data.draw(st.sampled_from(SECRETS[app]))
    as_base64 = data.draw(st.booleans()) if is_text(body) else True
    event = handed_over(body, signed(body, secret, second), app=app, as_base64=as_base64)
    answer = ingest.handle(event)
    assert answer.status == 200
    check(event, answer)


@pytest.mark.parametrize("piece", [b"x", "é".encode(), "☕".encode(), "😀".encode(), b"\x00", b"\xff"])
def test_the_limit_of_a_body_is_that_of_a_message(ingest: Ingest, piece: bytes) -> None:
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
def test_every_request_is_logged_without_its_content(
    ingest: Ingest, app: str, names: list[str], body: bytes, is_genuine: bool
) -> None:
    headers = signed(body) if is_genuine else dict.fromkeys(names, SOMEBODY)
    answer = ingest.handle(handed_over(body, headers, app=app))
    said = "accepted" if answer.status == 200 else "refused"
    assert [line["message"] for line in answer.log if "message" in line] == [said]
    assert SOMEBODY not in repr(answer.log)


# What went wrong once.


def test_a_path_that_is_no_app_was_logged_as_it_came(ingest: Ingest) -> None:
    answer = ingest.handle(handed_over(b"{}", signed(b"{}"), app=SOMEBODY))
    assert (answer.status, answer.reason) == (404, "unknown_app")
    assert SOMEBODY not in repr(answer.log)


def test_half_a_character_in_a_path_was_not_logged(ingest: Ingest) -> None:
    assert ingest.handle(handed_over(b"{}", signed(b"{}"), app="\ud83d")).reason == "unknown_app"


def test_broken_base64_passed_for_a_signed_empty_body(ingest: Ingest) -> None:
    answer = ingest.handle(handed_over(b"", signed(b"")) | {"body": "{not base64}"})
    assert (answer.status, answer.reason, answer.queued) == (401, "wrong_signature", ())
