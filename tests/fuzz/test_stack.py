"""The same over HTTP to the deployed stack, in small numbers: its answers, and what comes through of signed bytes."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from hypothesis import given, settings
from schemathesis import GenerationMode

from local_stack import LocalStack
from local_stack.stack import STAGE
from purchasely_clevertap.delivery.message import decode_body
from tests.fuzz.page import IDENTITY, WEBHOOK, Operation, Request, Signed, cases, check_documented

APP, SECRET = "fuzzed", "the-secret-of-the-fuzzed-app"
LIMIT = 1024 * 1024 - 16 * 1024
TEXTS = [
    b"",
    b"   ",
    b"not json",
    b"[1,2]\r\n",
    "\ufeff{é☕😀".encode(),
    b"data:;base64,QQ==",
    b"\x00\x01",
    "\ufffe\uffff".encode(),
    b"x" * LIMIT,
]
BYTES = [b"\xff\xfe", b"\xed\xa0\x80", bytes(range(256)) * 3000]
ARRIVES_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """An app of the stack whose webhooks are all unreadable, so that they end on the parked queue as they came."""

    stack: LocalStack

    @property
    def url(self) -> str:
        return self.stack.webhook_url(APP)

    def parked(self) -> Iterator[bytes]:
        """What is parked of this app, as it comes, while there is time; it is taken off the queue."""
        sqs, queue_url = self.stack.client("sqs"), self.stack.outputs["ParkedQueueUrl"]
        end = time.monotonic() + ARRIVES_SECONDS
        while time.monotonic() < end:
            received = sqs.receive_message(
                QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["app"]
            )
            for message in received.get("Messages", []):
                handle = message["ReceiptHandle"]
                if message["MessageAttributes"]["app"]["StringValue"] == APP:
                    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=handle)
                    yield decode_body(message["Body"])
                else:
                    sqs.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=handle, VisibilityTimeout=0)

    def forget(self) -> None:
        """The stack is other tests' too."""
        dynamodb, table = self.stack.client("dynamodb"), self.stack.outputs["DeliveriesTableName"]
        for page in dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression="event"):
            for item in page["Items"]:
                if item["event"]["S"].startswith(f"{APP}#"):
                    dynamodb.delete_item(TableName=table, Key=item)


@pytest.fixture(scope="module")
def fuzzed(stack: LocalStack) -> Iterator[Fuzzed]:
    secrets = stack.client("secretsmanager")
    secret_id = f"purchasely-clevertap/{STAGE}/{APP}/purchasely"
    secrets.create_secret(Name=secret_id, SecretString=json.dumps({"shared_secrets": [SECRET]}))
    app = Fuzzed(stack)
    yield app
    secrets.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)
    app.forget()


@pytest.mark.parametrize("operation", [WEBHOOK, IDENTITY], ids=lambda operation: operation.path)
@pytest.mark.parametrize("mode", GenerationMode)
def test_unsigned_requests_get_401_or_404(
    stack: LocalStack, session: requests.Session, mode: GenerationMode, operation: Operation
) -> None:
    base_url = stack.webhook_url("").removesuffix("/webhooks/")

    @settings(max_examples=30, deadline=None)
    @given(case=cases(operation, mode))
    def check(case: Request) -> None:
        response = case.call(base_url, session)
        check_documented(case, response)
        assert response.status_code in (401, 404)

    check()


def test_signed_bytes_come_through_exactly(fuzzed: Fuzzed, session: requests.Session) -> None:
    types = {"application/json": TEXTS, "application/octet-stream": BYTES}
    sent = [(content_type, body) for content_type, bodies in types.items() for body in bodies]
    statuses = [
        session.post(
            fuzzed.url, data=body, headers={"Content-Type": content_type}, auth=Signed(SECRET, int(time.time()))
        ).status_code
        for content_type, body in sent
    ]
    assert statuses == [200] * len(sent)
    missing = {body for _, body in sent}
    for body in fuzzed.parked():
        missing.remove(body)
        if not missing:
            break
    assert missing == set()


@pytest.mark.parametrize("body", [b"x" * (LIMIT + 1), b"\xff" * LIMIT], ids=["text", "bytes"])
def test_a_body_beyond_the_queue_is_answered_413(fuzzed: Fuzzed, session: requests.Session, body: bytes) -> None:
    assert session.post(fuzzed.url, data=body, auth=Signed(SECRET, int(time.time()))).status_code == 413
