"""Ingest: what is answered to a webhook, and what is on the queue by then."""

import base64

import pytest

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


def refusal(ingest: WebhookReceiver, sent: Request) -> tuple[object, int]:
    """Why it is refused, and with which status."""
    answer = ingest.receive(sent, now=NOW)
    assert isinstance(answer, Refused)
    return answer.reason, answer.status


def reads(cloud: Cloud) -> int:
    """How often Secrets Manager was asked."""
    return len(cloud.calls.of("GetSecretValue"))


# 200


def test_a_genuine_webhook_is_queued_with_app_and_time(cloud: Cloud, ingest: WebhookReceiver) -> None:
    body = encoded(event())
    answer = ingest.receive(request(body), now=NOW + 0.25)
    assert isinstance(answer, Queued)
    assert answer.status == 200
    (queued,) = cloud.drain(cloud.events_url)
    assert queued.body == body
    assert queued.attributes == {"app": "default", "received_at": str(NOW_MS + 250)}


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b"\xff\xfe", b"null"])
def test_a_useless_but_genuine_body_is_answered_200(cloud: Cloud, ingest: WebhookReceiver, body: bytes) -> None:
    assert status(ingest, request(body)) == 200
    assert [queued.body for queued in cloud.drain(cloud.events_url)] == [body]


# 401


def _without(name: str) -> dict[str, str]:
    return {key: value for key, value in signed(BODY).items() if key != name}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, SignatureProblem.MISSING_SIGNATURE),
        (_without("x-purchasely-timestamp"), SignatureProblem.MISSING_TIMESTAMP),
        (signed(BODY, timestamp="1.77e9"), SignatureProblem.BAD_TIMESTAMP),
        (signed(BODY, timestamp=str(int(NOW) - TOLERANCE - 1)), SignatureProblem.TIMESTAMP_OUTSIDE_TOLERANCE),
        (signed(BODY, secret="another"), SignatureProblem.WRONG_SIGNATURE),
    ],
)
def test_what_purchasely_did_not_sign_is_answered_401(
    cloud: Cloud, ingest: WebhookReceiver, headers: dict[str, str], reason: SignatureProblem
) -> None:
    is_verified = False if reason is SignatureProblem.WRONG_SIGNATURE else None  # the others cost no look at a secret
    refused = Refused(reason, 401, is_verified=is_verified)
    assert ingest.receive(Request("default", headers, BODY), now=NOW) == refused
    assert cloud.drain(cloud.events_url) == []


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


@pytest.mark.parametrize(("missing", "answered"), [("body", 401), ("headers", 401), ("pathParameters", 404)])
def test_a_request_without_a_part_is_refused(ingest: WebhookReceiver, missing: str, answered: int) -> None:
    handed = gateway_event(BODY, signed(BODY))
    del handed[missing]
    assert status(ingest, Request.from_gateway(handed)) == answered


# 404


@pytest.mark.parametrize("app", ["", "UPPER", "a_b", "a" * 41, "ä", "a/b", "..", "a\n", "%2e", "*", "a b"])
def test_an_impossible_app_name_reads_no_secret(cloud: Cloud, ingest: WebhookReceiver, app: str) -> None:
    assert ingest.receive(request(app=app), now=NOW) == Refused(RefusalReason.UNKNOWN_APP, 404)
    assert reads(cloud) == 0


@pytest.mark.parametrize("app", ["a", "9", "-", "my-app-2", "a" * 40])
def test_an_app_is_served_once_it_has_a_secret(cloud: Cloud, ingest: WebhookReceiver, app: str) -> None:
    assert ingest.receive(request(app=app), now=NOW) == Refused(RefusalReason.UNKNOWN_APP, 404)
    cloud.put_secret("purchasely", {"shared_secrets": ["its-own"]}, app=app)
    cloud.clock.advance(31)
    assert status(ingest, request(app=app, secret="its-own")) == 200
    assert status(ingest, request(app=app, secret=SECRET)) == 401


# 413


def test_the_largest_body_leaves_room_to_park_it(cloud: Cloud, ingest: WebhookReceiver) -> None:
    body = b"x" * MAX_BODY_BYTES
    assert status(ingest, request(body)) == 200
    assert [queued.body for queued in cloud.drain(cloud.events_url)] == [body]
    assert MAX_BODY_BYTES + 16 * 1024 <= 1024 * 1024


def test_base64_that_outgrows_the_queue_is_413(cloud: Cloud, ingest: WebhookReceiver) -> None:
    assert status(ingest, request(b"\xff" * (MAX_BODY_BYTES * 3 // 4 + 1))) == 413
    assert cloud.drain(cloud.events_url) == []


def test_a_stranger_does_not_learn_the_size_limit(ingest: WebhookReceiver) -> None:
    assert status(ingest, request(b"x" * (MAX_BODY_BYTES + 1), secret="another")) == 401


# 503


@pytest.mark.parametrize(
    "secret",
    [
        "not json",
        "{}",
        '{"shared_secrets": "a-shared-secret"}',
        '{"shared_secrets": [17]}',
        '{"shared_secrets": ["a-shared-secret", null]}',
    ],
)
def test_a_malformed_secret_is_503_and_never_quoted(cloud: Cloud, ingest: WebhookReceiver, secret: str) -> None:
    cloud.put_secret("purchasely", secret)
    answer = ingest.receive(request(), now=NOW)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.status) == (RefusalReason.SECRET_UNAVAILABLE, 503)
    assert SECRET not in (answer.detail or SECRET)
    assert cloud.drain(cloud.events_url) == []


@pytest.mark.parametrize("listed", [["REPLACE_ME"], ["REPLACE_ME", "REPLACE_ME"], [""], []])
def test_a_placeholder_secret_is_answered_404(cloud: Cloud, ingest: WebhookReceiver, listed: list[str]) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": listed})
    for secret in ("REPLACE_ME", "", SECRET):
        assert refusal(ingest, request(secret=secret)) == (RefusalReason.SECRET_IS_PLACEHOLDER, 404)
    assert cloud.drain(cloud.events_url) == []


@pytest.mark.parametrize("before", ['{"shared_secrets": ["REPLACE_ME"]}', '{"shared_secrets": "oops"}'])
def test_a_mended_secret_serves_after_10_seconds(cloud: Cloud, ingest: WebhookReceiver, before: str) -> None:
    cloud.put_secret("purchasely", before)
    assert status(ingest, request()) in (404, 503)
    cloud.put_secret("purchasely", {"shared_secrets": [SECRET]})
    cloud.clock.advance(10)
    assert status(ingest, request()) == 200


@pytest.mark.parametrize("unusable", ["REPLACE_ME", ""])
def test_a_placeholder_signs_nothing(cloud: Cloud, ingest: WebhookReceiver, unusable: str) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": [unusable, SECRET]})
    assert status(ingest, request(secret=unusable)) == 401
    assert status(ingest, request()) == 200


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("AccessDeniedException", "AccessDeniedException"),  # not for want of the right to read: to decrypt, say
        ("DecryptionFailure", "DecryptionFailure"),
        (unreachable(), "ConnectTimeoutError"),
    ],
)
def test_an_unreadable_secret_is_503_until_mended(cloud: Cloud, ingest: WebhookReceiver, fault: str, code: str) -> None:
    cloud.calls.next("GetSecretValue", fault)
    answer = ingest.receive(request(), now=NOW)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.status) == (RefusalReason.SECRET_UNAVAILABLE, 503)
    assert code in (answer.detail or "")
    assert cloud.drain(cloud.events_url) == []
    cloud.clock.advance(10)
    assert status(ingest, request()) == 200


@pytest.mark.parametrize("fault", ["InternalError", "AWS.SimpleQueueService.NonExistentQueue", unreachable()])
def test_a_queue_that_fails_is_answered_503(cloud: Cloud, ingest: WebhookReceiver, fault: str) -> None:
    cloud.calls.next("SendMessage", fault)
    assert refusal(ingest, request()) == (RefusalReason.QUEUE_UNAVAILABLE, 503)
    assert status(ingest, request()) == 200
    assert len(cloud.drain(cloud.events_url)) == 1


# Secrets change


def test_wrong_signatures_cost_one_read_in_10_seconds(cloud: Cloud, ingest: WebhookReceiver) -> None:
    assert status(ingest, request()) == 200
    for _ in range(40):
        assert status(ingest, request(secret="guess")) == 401
        cloud.clock.advance(1)
    assert reads(cloud) == 1 + 4


@pytest.mark.parametrize("headers", [{}, _without("x-purchasely-timestamp"), signed(BODY, timestamp="0")])
def test_only_a_wrong_signature_rereads_the_secret(
    cloud: Cloud, ingest: WebhookReceiver, headers: dict[str, str]
) -> None:
    assert status(ingest, request()) == 200
    cloud.clock.advance(60)
    assert status(ingest, Request("default", headers, BODY)) == 401
    assert reads(cloud) == 1


@pytest.mark.parametrize("fault", ["ThrottlingException", "InternalServiceError", unreachable()])
def test_an_unread_new_secret_is_not_a_wrong_one(cloud: Cloud, ingest: WebhookReceiver, fault: str) -> None:
    assert status(ingest, request()) == 200
    cloud.put_secret("purchasely", {"shared_secrets": ["new", SECRET]})
    cloud.clock.advance(15)
    cloud.calls.next("GetSecretValue", fault)
    for _ in range(9):
        assert refusal(ingest, request(secret="new")) == (RefusalReason.SECRET_UNAVAILABLE, 503)
        assert status(ingest, request()) == 200
        cloud.clock.advance(1)
    assert reads(cloud) == 2
    cloud.clock.advance(1)
    assert status(ingest, request(secret="new")) == 200


def test_a_new_secret_serves_at_once(cloud: Cloud, ingest: WebhookReceiver) -> None:
    assert status(ingest, request()) == 200
    cloud.put_secret("purchasely", {"shared_secrets": ["new", SECRET]})
    assert status(ingest, request(secret="new")) == 200
    assert status(ingest, request()) == 200
    assert reads(cloud) == 2


@pytest.mark.parametrize(
    ("becomes", "reason", "answered"),
    [
        ({"shared_secrets": ["REPLACE_ME"]}, RefusalReason.SECRET_IS_PLACEHOLDER, 404),
        ("no json", RefusalReason.SECRET_UNAVAILABLE, 503),
        ({"shared_secrets": "new"}, RefusalReason.SECRET_UNAVAILABLE, 503),
        (None, RefusalReason.UNKNOWN_APP, 404),
    ],
)
def test_a_withdrawn_secret_calls_no_signature_wrong(
    cloud: Cloud, ingest: WebhookReceiver, becomes: object, reason: RefusalReason, answered: int
) -> None:
    assert status(ingest, request()) == 200
    if becomes is None:
        cloud.delete_secret("purchasely")
    else:
        cloud.put_secret("purchasely", becomes)
    cloud.clock.advance(10)
    assert refusal(ingest, request(secret="new")) == (reason, answered)


def test_each_app_has_secrets_of_its_own(cloud: Cloud, ingest: WebhookReceiver) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["its-own"]}, app="second")
    assert status(ingest, request(app="second", secret="its-own")) == 200
    assert status(ingest, request(app="second")) == 401
    assert status(ingest, request(secret="its-own")) == 401
    (queued,) = cloud.drain(cloud.events_url)
    assert queued.attributes["app"] == "second"


def test_only_the_apps_own_secret_is_read(cloud: Cloud, ingest: WebhookReceiver) -> None:
    assert status(ingest, request()) == 200
    assert cloud.calls.of("GetSecretValue") == [{"SecretId": "purchasely-clevertap/test/default/purchasely"}]
