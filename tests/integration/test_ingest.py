"""Ingest: what is answered to a webhook, and what is on the queue by then."""

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchasely_clevertap.delivery.message import MAX_BODY_BYTES
from purchasely_clevertap.ingest import Queued, RefusalReason, Refused, Request, WebhookReceiver
from purchasely_clevertap.purchasely.signature import SignatureProblem
from tests.integration.cloud import Clock, Cloud, unreachable
from tests.integration.webhook import NOW_MS, SECRET, encoded, event, gateway_event, signed

NOW = NOW_MS / 1000
DAY = 24 * 3600
TOLERANCE = 22 * DAY
BODY = b'{"event_id":"e-1"}'


@pytest.fixture
def ingest(cloud: Cloud) -> WebhookReceiver:
    return cloud.receiver(tolerance=TOLERANCE)


def request(body: bytes = BODY, *, app: str = "default", secret: str = SECRET, at: float = NOW) -> Request:
    return Request(app, signed(body, secret=secret, timestamp=str(int(at))), body)


def status(ingest: WebhookReceiver, sent: Request, clock: Clock | None = None) -> int:
    return ingest.receive(sent, now=clock.seconds() if clock else NOW).status


def reads(cloud: Cloud) -> int:
    """How often Secrets Manager was asked."""
    return len(cloud.calls.of("GetSecretValue"))


# 200


def test_a_genuine_webhook_is_answered_200_and_is_on_the_queue_with_its_app_and_the_time(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    body = encoded(event())
    answer = ingest.receive(request(body), now=NOW + 0.25)
    assert isinstance(answer, Queued)
    assert answer.status == 200
    (queued,) = cloud.drain(cloud.events_url)
    assert queued.body == body
    assert queued.attributes == {"app": "default", "received_at": str(NOW_MS + 250)}


def test_the_vector_of_purchaselys_documentation_is_accepted(cloud: Cloud, ingest: WebhookReceiver) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["foobar"]})
    headers = {
        "X-PURCHASELY-REQUEST-SIGNATURE": "f3c2a452e9ea72f41107321aeaf7999f1054148866a710c9b23f9f501785e2a4",
        "X-PURCHASELY-TIMESTAMP": "1698322022",
    }
    sent = Request("default", headers, b'{"a_random_key":"a_random_value_ad"}')
    assert ingest.receive(sent, now=1698322030).status == 200


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b"\xff\xfe", b"null"])
def test_what_can_never_be_used_is_answered_200_all_the_same_as_it_is_genuine(
    cloud: Cloud, ingest: WebhookReceiver, body: bytes
) -> None:
    assert status(ingest, request(body)) == 200
    assert [queued.body for queued in cloud.drain(cloud.events_url)] == [body]


@pytest.mark.parametrize("spell", [str.upper, str.lower, str.title])
def test_the_case_of_header_names_does_not_matter(ingest: WebhookReceiver, spell: Callable[[str], str]) -> None:
    headers = {spell(name): value for name, value in signed(BODY).items()}
    assert status(ingest, Request("default", headers, BODY)) == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))))
def test_the_queue_has_the_very_bytes_that_were_sent_in_characters_that_sqs_takes(
    cloud: Cloud, ingest: WebhookReceiver, body: bytes
) -> None:
    cloud.calls.made.clear()
    sent = Request.from_gateway(gateway_event(body, signed(body), as_base64=True))
    assert status(ingest, sent) == 200
    (queued,) = cloud.drain(cloud.events_url)
    assert queued.body == body
    (call,) = cloud.calls.of("SendMessage")
    assert call["MessageBody"]
    # The set of SQS's documentation: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF
    for character in map(ord, call["MessageBody"]):
        assert (
            character in (9, 10, 13)
            or 0x20 <= character <= 0xD7FF
            or 0xE000 <= character <= 0xFFFD
            or character > 0xFFFF
        )


@pytest.mark.parametrize("body", [b"data:;base64,", b"data:;base64,QQ==", b"data:;base64,?", b"data:,", b"\x00"])
def test_a_body_that_looks_like_the_queues_own_encoding_comes_back_as_it_was(
    cloud: Cloud, ingest: WebhookReceiver, body: bytes
) -> None:
    assert status(ingest, request(body)) == 200
    assert [queued.body for queued in cloud.drain(cloud.events_url)] == [body]


def test_a_text_body_reads_as_text_on_the_queue(cloud: Cloud, ingest: WebhookReceiver) -> None:
    body = '{"product":"Café ☕"}'.encode()
    assert status(ingest, request(body)) == 200
    (call,) = cloud.calls.of("SendMessage")
    assert call["MessageBody"] == body.decode()


@pytest.mark.parametrize("as_base64", [False, True])
def test_the_gateway_may_hand_the_body_over_as_text_or_in_base64(
    cloud: Cloud, ingest: WebhookReceiver, as_base64: bool
) -> None:
    body = '{"product":"Café"}'.encode()
    sent = Request.from_gateway(gateway_event(body, signed(body), as_base64=as_base64))
    assert status(ingest, sent) == 200
    assert [queued.body for queued in cloud.drain(cloud.events_url)] == [body]


# 401


def _without(name: str) -> dict[str, str]:
    return {key: value for key, value in signed(BODY).items() if key != name}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, SignatureProblem.MISSING_SIGNATURE),
        (_without("x-purchasely-request-signature"), SignatureProblem.MISSING_SIGNATURE),
        (_without("x-purchasely-timestamp"), SignatureProblem.MISSING_TIMESTAMP),
        (signed(BODY, timestamp="-1770000000"), SignatureProblem.BAD_TIMESTAMP),
        (signed(BODY, timestamp="1.77e9"), SignatureProblem.BAD_TIMESTAMP),
        (signed(BODY, timestamp="١٧٧٠٠٠٠٠٠٠"), SignatureProblem.BAD_TIMESTAMP),
        (signed(BODY, timestamp="9" * 13), SignatureProblem.BAD_TIMESTAMP),
        (signed(BODY, timestamp=str(int(NOW) - TOLERANCE - 1)), SignatureProblem.TIMESTAMP_OUTSIDE_TOLERANCE),
        (signed(BODY, timestamp=str(int(NOW) + TOLERANCE + 1)), SignatureProblem.TIMESTAMP_OUTSIDE_TOLERANCE),
        (signed(BODY, secret="another"), SignatureProblem.WRONG_SIGNATURE),
        (signed(BODY + b" "), SignatureProblem.WRONG_SIGNATURE),
        (signed(BODY) | {"x-purchasely-timestamp": str(int(NOW) + 1)}, SignatureProblem.WRONG_SIGNATURE),
        (signed(BODY) | {"x-purchasely-request-signature": "é"}, SignatureProblem.WRONG_SIGNATURE),
        # The deprecated signature does not cover the body: sha256 HMAC of secret and timestamp.
        (
            {"x-purchasely-timestamp": "1580909929", "x-purchasely-signature": "ea909b88098b63ef93711cd14542403e"},
            SignatureProblem.MISSING_SIGNATURE,
        ),
    ],
)
def test_what_purchasely_did_not_sign_in_time_is_answered_401_and_not_queued(
    cloud: Cloud, ingest: WebhookReceiver, headers: dict[str, str], reason: SignatureProblem
) -> None:
    assert ingest.receive(Request("default", headers, BODY), now=NOW) == Refused(reason, 401)
    assert cloud.drain(cloud.events_url) == []


@pytest.mark.parametrize("offset", [-TOLERANCE, TOLERANCE, -20 * DAY - 10 * 3600])
def test_a_timestamp_just_within_the_tolerance_is_accepted(ingest: WebhookReceiver, offset: float) -> None:
    assert status(ingest, request(at=NOW + offset)) == 200


@pytest.mark.parametrize("text", ["***", "QQ", "QQ=", "Ü", f"*{base64.b64encode(BODY).decode()}"])
@pytest.mark.parametrize("body", [BODY, b""])
def test_base64_that_is_none_is_answered_401(cloud: Cloud, ingest: WebhookReceiver, text: str, body: bytes) -> None:
    handed = gateway_event(BODY, signed(body)) | {"body": text, "isBase64Encoded": True}
    assert status(ingest, Request.from_gateway(handed)) == 401
    assert cloud.drain(cloud.events_url) == []


def test_the_base64_text_itself_is_not_what_is_signed(ingest: WebhookReceiver) -> None:
    text = base64.b64encode(BODY)
    handed = gateway_event(BODY, signed(text), as_base64=True)
    assert status(ingest, Request.from_gateway(handed)) == 401


@pytest.mark.parametrize("missing", ["body", "headers"])
def test_a_request_without_body_or_headers_is_answered_401(ingest: WebhookReceiver, missing: str) -> None:
    handed = gateway_event(BODY, signed(BODY))
    del handed[missing]
    assert status(ingest, Request.from_gateway(handed)) == 401


# 404


@pytest.mark.parametrize("app", ["", "UPPER", "a_b", "a" * 41, "ä", "a/b", "..", "a\n", "%2e", "*", "a b"])
def test_a_name_that_no_app_can_have_is_answered_404_without_a_look_at_secrets(
    cloud: Cloud, ingest: WebhookReceiver, app: str
) -> None:
    assert ingest.receive(request(app=app), now=NOW) == Refused(RefusalReason.UNKNOWN_APP, 404)
    assert reads(cloud) == 0


def test_a_request_without_an_app_in_its_path_is_answered_404(ingest: WebhookReceiver) -> None:
    handed = gateway_event(BODY, signed(BODY))
    del handed["pathParameters"]
    assert status(ingest, Request.from_gateway(handed)) == 404


@pytest.mark.parametrize("app", ["a", "9", "-", "my-app-2", "a" * 40])
def test_an_app_without_a_secret_is_answered_404_and_with_one_it_is_served(
    cloud: Cloud, ingest: WebhookReceiver, app: str
) -> None:
    assert ingest.receive(request(app=app), now=NOW) == Refused(RefusalReason.UNKNOWN_APP, 404)
    cloud.put_secret("purchasely", {"shared_secrets": ["its-own"]}, app=app)
    cloud.clock.advance(31)
    assert status(ingest, request(app=app, secret="its-own")) == 200
    assert status(ingest, request(app=app, secret=SECRET)) == 401


def test_an_unknown_app_is_looked_up_once_in_30_seconds(cloud: Cloud, ingest: WebhookReceiver) -> None:
    for _ in range(5):
        assert status(ingest, request(app="guessed")) == 404
        cloud.clock.advance(5)
    assert reads(cloud) == 1
    cloud.clock.advance(5)
    assert status(ingest, request(app="guessed")) == 404
    assert reads(cloud) == 2


# 413


def test_a_body_that_the_queue_cannot_hold_is_answered_413_and_not_queued(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    answer = ingest.receive(request(b"x" * (MAX_BODY_BYTES + 1)), now=NOW)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.status) == (RefusalReason.TOO_LARGE, 413)
    assert cloud.drain(cloud.events_url) == []


def test_the_largest_body_is_accepted_and_leaves_room_for_what_parking_adds(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    body = b"x" * MAX_BODY_BYTES
    assert status(ingest, request(body)) == 200
    assert [queued.body for queued in cloud.drain(cloud.events_url)] == [body]
    assert MAX_BODY_BYTES + 16 * 1024 <= 1024 * 1024


def test_bytes_that_outgrow_the_queue_only_in_base64_are_answered_413(cloud: Cloud, ingest: WebhookReceiver) -> None:
    assert status(ingest, request(b"\xff" * (MAX_BODY_BYTES * 3 // 4 + 1))) == 413
    assert cloud.drain(cloud.events_url) == []


def test_how_large_a_body_may_be_is_told_only_to_purchasely(ingest: WebhookReceiver) -> None:
    assert status(ingest, request(b"x" * (MAX_BODY_BYTES + 1), secret="another")) == 401


# 503


@pytest.mark.parametrize(
    "secret",
    [
        "not json",
        "[]",
        '"text"',
        "{}",
        '{"shared_secrets": "a-shared-secret"}',
        '{"shared_secrets": [17]}',
        '{"shared_secrets": ["a-shared-secret", null]}',
        '{"shared_secrets": {"a-shared-secret": 1}}',
        '{"secrets": ["a-shared-secret"]}',
    ],
)
def test_a_secret_that_is_not_what_it_should_be_is_answered_503_and_never_quoted(
    cloud: Cloud, ingest: WebhookReceiver, secret: str
) -> None:
    cloud.put_secret("purchasely", secret)
    answer = ingest.receive(request(), now=NOW)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.status) == (RefusalReason.SECRET_UNAVAILABLE, 503)
    assert SECRET not in (answer.detail or SECRET)
    assert cloud.drain(cloud.events_url) == []


@pytest.mark.parametrize("listed", [["REPLACE_ME"], ["REPLACE_ME", "REPLACE_ME"], [""], []])
def test_while_the_secret_is_a_placeholder_the_answer_is_503(
    cloud: Cloud, ingest: WebhookReceiver, listed: list[str]
) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": listed})
    for secret in ("REPLACE_ME", "", SECRET):
        answer = ingest.receive(request(secret=secret), now=NOW)
        assert isinstance(answer, Refused)
        assert (answer.reason, answer.status) == (RefusalReason.SECRET_IS_PLACEHOLDER, 503)
    assert cloud.drain(cloud.events_url) == []


@pytest.mark.parametrize("before", ['{"shared_secrets": ["REPLACE_ME"]}', '{"shared_secrets": "oops"}'])
def test_a_secret_that_takes_the_place_of_an_unusable_one_serves_after_10_seconds(
    cloud: Cloud, ingest: WebhookReceiver, before: str
) -> None:
    cloud.put_secret("purchasely", before)
    assert status(ingest, request()) == 503
    cloud.put_secret("purchasely", {"shared_secrets": [SECRET]})
    cloud.clock.advance(10)
    assert status(ingest, request()) == 200


@pytest.mark.parametrize("unusable", ["REPLACE_ME", ""])
def test_a_placeholder_beside_a_real_secret_signs_nothing(cloud: Cloud, ingest: WebhookReceiver, unusable: str) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": [unusable, SECRET]})
    assert status(ingest, request(secret=unusable)) == 401
    assert status(ingest, request()) == 200


@pytest.mark.parametrize("code", ["InternalServiceError", "AccessDeniedException", "DecryptionFailure"])
def test_a_secret_that_cannot_be_read_is_answered_503_until_it_can(
    cloud: Cloud, ingest: WebhookReceiver, code: str
) -> None:
    cloud.calls.next("GetSecretValue", code)
    answer = ingest.receive(request(), now=NOW)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.status) == (RefusalReason.SECRET_UNAVAILABLE, 503)
    assert code in (answer.detail or "")
    assert cloud.drain(cloud.events_url) == []
    cloud.clock.advance(10)
    assert status(ingest, request()) == 200


def test_secrets_manager_out_of_reach_is_answered_503(cloud: Cloud, ingest: WebhookReceiver) -> None:
    cloud.calls.next("GetSecretValue", unreachable())
    assert status(ingest, request()) == 503
    cloud.clock.advance(10)
    assert status(ingest, request()) == 200


def test_while_secrets_manager_is_out_of_reach_it_is_not_asked_for_every_webhook(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    cloud.calls.always("GetSecretValue", unreachable())
    for _ in range(20):
        assert status(ingest, request()) == 503
    assert reads(cloud) == 1


@pytest.mark.parametrize("fault", ["InternalError", "AWS.SimpleQueueService.NonExistentQueue", unreachable()])
def test_a_queue_that_does_not_take_the_body_is_answered_503(cloud: Cloud, ingest: WebhookReceiver, fault: str) -> None:
    cloud.calls.next("SendMessage", fault)
    answer = ingest.receive(request(), now=NOW)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.status) == (RefusalReason.QUEUE_UNAVAILABLE, 503)
    assert status(ingest, request()) == 200
    assert len(cloud.drain(cloud.events_url)) == 1


# Secrets change


def test_every_listed_secret_signs(cloud: Cloud, ingest: WebhookReceiver) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["current", "previous", "the-one-before"]})
    assert [status(ingest, request(secret=secret)) for secret in ("current", "previous", "the-one-before")] == [200] * 3


def test_wrong_signatures_have_the_secret_read_at_most_once_in_10_seconds(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    assert status(ingest, request()) == 200
    for _ in range(40):
        assert status(ingest, request(secret="guess")) == 401
        cloud.clock.advance(1)
    assert reads(cloud) == 1 + 4


@pytest.mark.parametrize("headers", [{}, _without("x-purchasely-timestamp"), signed(BODY, timestamp="0")])
def test_only_a_wrong_signature_has_the_secret_read_again(
    cloud: Cloud, ingest: WebhookReceiver, headers: dict[str, str]
) -> None:
    assert status(ingest, request()) == 200
    cloud.clock.advance(60)
    assert status(ingest, Request("default", headers, BODY)) == 401
    assert reads(cloud) == 1


def test_a_secret_that_is_no_longer_listed_is_refused_within_5_minutes(cloud: Cloud, ingest: WebhookReceiver) -> None:
    assert status(ingest, request()) == 200
    cloud.put_secret("purchasely", {"shared_secrets": ["new"]})
    cloud.clock.advance(300)
    assert status(ingest, request()) == 401
    assert status(ingest, request(secret="new")) == 200


@pytest.mark.parametrize("fault", ["InternalServiceError", unreachable()])
def test_a_secret_once_read_serves_while_secrets_manager_is_down(
    cloud: Cloud, ingest: WebhookReceiver, fault: str
) -> None:
    assert status(ingest, request()) == 200
    cloud.calls.always("GetSecretValue", fault)
    for _ in range(10):
        cloud.clock.advance(600)
        assert status(ingest, request()) == 200
        assert status(ingest, request(secret="guess")) == 503


@pytest.mark.parametrize("fault", ["ThrottlingException", "InternalServiceError", unreachable()])
def test_a_new_secret_that_can_not_be_read_yet_is_not_called_a_wrong_signature(
    cloud: Cloud, ingest: WebhookReceiver, fault: str
) -> None:
    assert status(ingest, request()) == 200
    cloud.put_secret("purchasely", {"shared_secrets": ["new", SECRET]})
    cloud.clock.advance(15)
    cloud.calls.next("GetSecretValue", fault)
    for _ in range(9):
        answer = ingest.receive(request(secret="new"), now=NOW)
        assert isinstance(answer, Refused)
        assert (answer.reason, answer.status) == (RefusalReason.SECRET_UNAVAILABLE, 503)
        assert status(ingest, request()) == 200
        cloud.clock.advance(1)
    assert reads(cloud) == 2
    cloud.clock.advance(1)
    assert status(ingest, request(secret="new")) == 200


def test_a_new_secret_that_is_used_at_once_is_not_refused_for_the_ingest_having_just_read_the_former(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    assert status(ingest, request()) == 200
    cloud.put_secret("purchasely", {"shared_secrets": ["new", SECRET]})
    assert status(ingest, request(secret="new")) == 200
    assert status(ingest, request()) == 200
    assert reads(cloud) == 2


def test_a_slow_read_that_began_before_the_new_secret_was_written_does_not_have_it_refused_later(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    # The wait of `bridge rotate` counts from the writing, so ingest's has to count from before it.
    cloud.calls.next("GetSecretValue", lambda: cloud.clock.advance(6))
    assert status(ingest, request()) == 200
    cloud.put_secret("purchasely", {"shared_secrets": ["new", SECRET]})
    cloud.clock.advance(4)
    assert status(ingest, request(secret="new")) == 200


def test_somebody_who_has_the_secret_read_all_the_time_does_not_have_the_new_one_refused_for_longer_than_10_seconds(
    cloud: Cloud, ingest: WebhookReceiver
) -> None:
    for second in range(45):
        if second == 21:
            cloud.put_secret("purchasely", {"shared_secrets": ["new", SECRET]})
        assert status(ingest, request(secret="guess")) == 401
        assert status(ingest, request()) == 200
        if second >= 31:
            assert status(ingest, request(secret="new")) == 200
        cloud.clock.advance(1)
    assert reads(cloud) == 6


@pytest.mark.parametrize(
    ("becomes", "reason", "answered"),
    [
        ({"shared_secrets": ["REPLACE_ME"]}, RefusalReason.SECRET_IS_PLACEHOLDER, 503),
        ("no json", RefusalReason.SECRET_UNAVAILABLE, 503),
        ({"shared_secrets": "new"}, RefusalReason.SECRET_UNAVAILABLE, 503),
        (None, RefusalReason.UNKNOWN_APP, 404),
    ],
)
def test_a_signature_is_not_called_wrong_by_a_secret_that_is_no_longer_there(
    cloud: Cloud, ingest: WebhookReceiver, becomes: object, reason: RefusalReason, answered: int
) -> None:
    assert status(ingest, request()) == 200
    if becomes is None:
        cloud.delete_secret("purchasely")
    else:
        cloud.put_secret("purchasely", becomes)
    cloud.clock.advance(10)
    answer = ingest.receive(request(secret="new"), now=NOW)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.status) == (reason, answered)


def test_the_ingest_tells_which_webhooks_a_former_secret_has_signed(cloud: Cloud, ingest: WebhookReceiver) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["current", "previous", "the-one-before"]})
    answers = [ingest.receive(request(secret=secret), now=NOW) for secret in ("current", "previous", "the-one-before")]
    assert [isinstance(answer, Queued) and answer.by_former_secret for answer in answers] == [False, True, True]


def test_each_app_has_secrets_of_its_own(cloud: Cloud, ingest: WebhookReceiver) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["its-own"]}, app="second")
    assert status(ingest, request(app="second", secret="its-own")) == 200
    assert status(ingest, request(app="second")) == 401
    assert status(ingest, request(secret="its-own")) == 401
    (queued,) = cloud.drain(cloud.events_url)
    assert queued.attributes["app"] == "second"


def test_only_the_secret_of_this_stage_and_name_is_read(cloud: Cloud, ingest: WebhookReceiver) -> None:
    assert status(ingest, request()) == 200
    assert cloud.calls.of("GetSecretValue") == [{"SecretId": "purchasely-clevertap/test/default/purchasely"}]


def test_a_refusal_tells_nothing_of_the_request(cloud: Cloud, ingest: WebhookReceiver) -> None:
    cloud.calls.always("SendMessage", "InternalError")
    body = encoded(event(user="somebody@example.com"))
    for answer in (ingest.receive(request(body), now=NOW), ingest.receive(request(body, secret="guess"), now=NOW)):
        told = json.dumps(repr(answer))
        assert "somebody" not in told
        assert SECRET not in told
