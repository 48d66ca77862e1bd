"""The ingest function in this process, in an AWS by moto: what it answers to a request, queues and logs."""

import hashlib
import hmac
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from local_stack.template import Template
from purchasely_clevertap.delivery.message import decode_body

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

STAGE = "fuzz"
NOW = 1_770_000_000.25
"""When every request comes, in epoch seconds."""
TOLERANCE = 22 * 24 * 3600
SECRETS: Mapping[str, tuple[str, ...]] = {
    "default": ("the-current-secret", "the-previous-secret"),
    "a-2": ("geheim mit Größe",),
}
"""What each app's webhooks may be signed with."""
NOT_READY: Mapping[str, str] = {"placeholder": '{"shared_secrets": ["REPLACE_ME"]}', "rubbish": "{not json"}
"""Apps that are there, with a secret of no use."""

# SQS, SendMessage: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF, and at least one.
_SQS_TAKES = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+").fullmatch


@dataclass(frozen=True, slots=True)
class Queued:
    """A message of the events queue; `body` as the forwarder reads it."""

    app: str
    body: bytes
    received_at: int
    kind: str = "webhook"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request; `log` is every line that the function has written, metrics too."""

    status: int
    body: str
    queued: tuple[Queued, ...]
    log: tuple[Mapping[str, Any], ...]

    @property
    def reason(self) -> str | None:
        """The reason that the log has for a refusal."""
        return next((line["reason"] for line in self.log if line.get("message") == "refused"), None)


class Ingest:
    """The function, its clock standing at NOW."""

    def __init__(
        self, module: ModuleType, sqs: "SQSClient", queue_url: str, secretsmanager: "SecretsManagerClient"
    ) -> None:
        self._module = module
        self._sqs = sqs
        self._queue_url = queue_url
        self._secretsmanager = secretsmanager

    def keep(self, app: str, secret: str) -> None:
        """Makes the secret of a new app, from its text."""
        self._secretsmanager.create_secret(Name=f"purchasely-clevertap/{STAGE}/{app}/purchasely", SecretString=secret)

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Invokes the function with what the gateway hands over, and empties the queue."""
        raw = io.BytesIO()
        written = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)  # as strict as Lambda's
        with redirect_stdout(written):
            answer = self._module.handler(event, SimpleNamespace(aws_request_id="the-request"))
        assert answer.keys() == {"statusCode", "body"}
        log = tuple(json.loads(line) for line in raw.getvalue().decode().removesuffix("\n").split("\n"))
        return Answer(answer["statusCode"], answer["body"], tuple(self._taken()), log)

    def _taken(self) -> Iterator[Queued]:
        """What stands on the queue, and is gone then. A request puts one message there, so ten are all there are."""
        received = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in received.get("Messages", []):
            attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
            assert attributes.keys() - {"kind"} == {"app", "received_at"}
            assert _SQS_TAKES(message["Body"])  # moto takes any
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
            yield Queued(
                attributes["app"],
                decode_body(message["Body"]),
                int(attributes["received_at"]),
                attributes.get("kind", "webhook"),
            )


@contextmanager
def running() -> Iterator[Ingest]:
    """The function, its queue, its table and the secrets of its apps, for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        sqs = boto3.client("sqs")
        queue_url = sqs.create_queue(QueueName="events", Attributes={"MaximumMessageSize": "1048576"})["QueueUrl"]
        boto3.client("dynamodb").create_table(
            TableName="deliveries",
            KeySchema=[{"AttributeName": "event", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "event", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        made = {"STAGE": STAGE, "EVENTS_QUEUE_URL": queue_url, "DELIVERIES_TABLE": "deliveries"}
        for name, value in {**Template.load().environment("IngestFunction"), **made}.items():
            patch.setenv(name, str(value))
        module = _module()
        patch.setattr(module, "time", SimpleNamespace(time=lambda: NOW, time_ns=lambda: int(NOW * 1e9)))
        ingest = Ingest(module, sqs, queue_url, boto3.client("secretsmanager"))
        usable = {app: json.dumps({"shared_secrets": listed}) for app, listed in SECRETS.items()}
        for app, text in {**usable, **NOT_READY}.items():
            ingest.keep(app, text)
        yield ingest


def _module() -> ModuleType:
    """The function's own, as Lambda has it after a cold start."""
    spec = spec_from_file_location("app", Path(__file__).parents[2] / "functions" / "ingest" / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What Purchasely's documentation says, said once more: nothing here leans on the code under test."""
    key, second = (text.encode("utf-8", "surrogatepass") for text in (secret, timestamp))
    return hmac.new(key, second + body, hashlib.sha256).hexdigest()
