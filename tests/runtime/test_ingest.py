"""The ingest function, as it is packaged: what it answers to API Gateway, and what then stands on the queue."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest

from local_stack.background import free_port
from local_stack.lambda_function import LambdaFunction
from purchasely_clevertap.purchasely.event_id import event_id
from purchasely_sender import SPECIALS, Webhook, signed
from purchasely_sender.samples import SAMPLE_SECRET
from tests.runtime.account import Account, silent
from tests.runtime.conftest import Starting

type Request = dict[str, Any]


def decode_body(request: Request) -> bytes:
    text: str = request["body"]
    return base64.b64decode(text) if request["isBase64Encoded"] else text.encode()


def brought(request: Request, webhook: Webhook) -> Request:
    """The request, had it brought `webhook`; its body as base64 if the request's is."""
    headers = request["headers"] | {name.lower(): value for name, value in webhook.headers.items()}
    body = base64.b64encode(webhook.body) if request["isBase64Encoded"] else webhook.body
    return request | {"headers": headers, "body": body.decode()}


def signed_now(request: Request) -> Request:
    """The request, signed at this moment: the samples' own signatures are of a day that has passed."""
    return brought(request, signed(decode_body(request), SAMPLE_SECRET, int(time.time())))


@pytest.mark.parametrize("name", ["text_body", "base64_body"])
def test_a_signed_webhook_is_on_the_queue_byte_by_byte(
    ingest: LambdaFunction, aws: Account, sample: Callable[[str], Request], name: str
) -> None:
    request = signed_now(sample(f"ingest/{name}.json"))
    before = int(time.time() * 1000)

    assert ingest.invoke(request) == {"statusCode": 200, "body": ""}

    (queued,) = aws.take("EventsQueue")
    assert queued.body == decode_body(request)
    assert queued.attributes.keys() == {"app", "received_at"}
    assert queued.attributes["app"] == "default"
    assert before <= int(queued.attributes["received_at"]) <= int(time.time() * 1000)
    assert aws.delivery(event_id(queued.body))["messages"] == {"SS": [queued.id]}


def test_bytes_that_are_no_text_are_queued_as_they_are(
    ingest: LambdaFunction, aws: Account, sample: Callable[[str], Request]
) -> None:
    webhook = SPECIALS["not_utf8"](SAMPLE_SECRET, int(time.time()))

    assert ingest.invoke(brought(sample("ingest/base64_body.json"), webhook))["statusCode"] == 200
    assert [queued.body for queued in aws.take("EventsQueue")] == [webhook.body]


@pytest.mark.parametrize(
    ("name", "fresh", "status"),
    [
        ("bad_signature", False, 401),
        ("text_body", False, 401),  # as it is kept: rightly signed, long ago
        ("unknown_app", True, 404),
    ],
)
def test_a_forgery_is_refused_and_not_queued(
    ingest: LambdaFunction, aws: Account, sample: Callable[[str], Request], name: str, fresh: bool, status: int
) -> None:
    request = sample(f"ingest/{name}.json")

    assert ingest.invoke(signed_now(request) if fresh else request) == {"statusCode": status, "body": ""}
    assert aws.take("EventsQueue") == []
    assert aws.delivery(event_id(decode_body(request))) == {}


def test_a_placeholder_is_answered_404_and_logged(
    ingest: LambdaFunction, aws: Account, sample: Callable[[str], Request]
) -> None:
    aws.put_secret("new-app", "purchasely", {"shared_secrets": ["REPLACE_ME"]})
    request = signed_now(sample("ingest/text_body.json")) | {"pathParameters": {"app": "new-app"}}

    assert ingest.invoke(request) == {"statusCode": 404, "body": ""}
    assert "secret_is_placeholder" in {entry["reason"] for entry in ingest.entries("refused")}
    assert aws.take("EventsQueue") == []


@pytest.mark.parametrize(
    ("service", "reason"), [("SECRETS_MANAGER", "secret_unavailable"), ("SQS", "queue_unavailable")]
)
def test_what_cannot_be_reached_is_answered_503(
    starting: Starting, aws: Account, sample: Callable[[str], Request], service: str, reason: str
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    with starting("IngestFunction", **{f"AWS_ENDPOINT_URL_{service}": nobody}) as function:
        assert function.invoke(signed_now(sample("ingest/text_body.json"))) == {"statusCode": 503, "body": ""}
        (entry,) = function.entries("refused")

    assert entry["reason"] == reason
    assert aws.take("EventsQueue") == []


def test_a_note_that_hangs_ends_within_the_timeout(
    starting: Starting, aws: Account, sample: Callable[[str], Request]
) -> None:
    with silent() as nobody, starting("IngestFunction", AWS_ENDPOINT_URL_DYNAMODB=nobody) as function:
        answer = function.invoke(signed_now(sample("ingest/text_body.json")))

    assert answer == {"statusCode": 200, "body": ""}
    assert len(aws.take("EventsQueue")) == 1


def test_a_timeout_starts_the_next_one_anew(starting: Starting, aws: Account, sample: Callable[[str], Request]) -> None:
    request = signed_now(sample("ingest/text_body.json"))
    unknown = request | {"pathParameters": {"app": "No App"}}
    with silent() as nobody, starting("IngestFunction", timeout=2, AWS_ENDPOINT_URL_SQS=nobody) as function:
        assert function.invoke(request) == "Task timed out after 2.00 seconds"
        assert function.invoke(unknown)["statusCode"] == 404

    assert aws.take("EventsQueue") == []
