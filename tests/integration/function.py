"""The two functions as Lambda runs them: a module imported into an environment, then invoked."""

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from purchasely_clevertap.aws.clients import Clients
from purchasely_clevertap.telemetry.metrics import Metric
from tests.integration.cloud import DELIVERIES, STAGE, SUBSCRIBERS, SUPPRESSION_KEY, Calls, Cloud, as_function
from tests.integration.metric_format import Emitted, emitted

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

EVENTS_ARN = "arn:aws:sqs:eu-west-1:123456789012:events"
DEAD_LETTERS_ARN = "arn:aws:sqs:eu-west-1:123456789012:dead-letters"


@dataclass(frozen=True, slots=True)
class Context:
    """What the functions ask of Lambda's context."""

    left_ms: int = 60_000
    aws_request_id: str = "the-request"

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


class Function:
    """An execution environment of `name`; `calls` are those of its client of SQS."""

    def __init__(
        self,
        name: str,
        cloud: Cloud,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        **environment: str,
    ) -> None:
        variables = {
            "STAGE": STAGE,
            "EVENTS_QUEUE_URL": cloud.events_url,
            "DELIVERIES_TABLE": DELIVERIES,
            "SIGNATURE_TOLERANCE_SECONDS": "1900800",
            "PARKED_QUEUE_URL": cloud.parked_url,
            "DEAD_LETTER_QUEUE_ARN": DEAD_LETTERS_ARN,
            "SUBSCRIBERS_TABLE": SUBSCRIBERS,
            "SUBSCRIBER_RETENTION_DAYS": "1100",
            "CLEVERTAP_ENDPOINT": "",
            # The account is tried again at once: no test waits for the circuit to close.
            "RETRY_BASE_SECONDS": "0",
            "RETRY_MAX_SECONDS": "3600",
            "LOG_LEVEL": "INFO",
            "SUPPRESSION_KEY": SUPPRESSION_KEY,
            "ARCHIVE_STREAM": "",
            "ARCHIVE_BUCKET": "",
        }
        for key, value in (variables | environment).items():
            monkeypatch.setenv(key, value)
        self.calls = Calls()
        module = f"functions.{name}.app"
        monkeypatch.delitem(sys.modules, module, raising=False)
        sqs, secretsmanager = Clients.sqs, Clients.secretsmanager
        with monkeypatch.context() as patch:
            patch.setattr(Clients, "sqs", lambda clients: self.calls.watch(sqs(clients)))
            patch.setattr(Clients, "secretsmanager", lambda clients: as_function(secretsmanager(clients)))
            self._app = importlib.import_module(module)
        self._capsys = capsys

    def __call__(self, event: Mapping[str, Any], *, left_ms: int = 60_000) -> Any:
        """Invokes it. The answer has been through JSON, as Lambda's has."""
        return json.loads(json.dumps(self._app.handler(json.loads(json.dumps(event)), Context(left_ms))))

    def printed(self) -> str:
        """All it has printed since the last look."""
        return self._capsys.readouterr().out

    def told(self) -> tuple[list[dict[str, Any]], Emitted]:
        """The lines of its log, and its metrics but for the cold start, since the last look; each line must be JSON."""
        lines = [json.loads(line) for line in self.printed().split("\n")[:-1]]
        lines = [line for line in lines if Metric.COLD_START not in line]
        return [line for line in lines if "_aws" not in line], emitted(line for line in lines if "_aws" in line)


def received(cloud: Cloud, queue_url: str) -> "list[MessageTypeDef]":
    """Every message that a queue gives out now."""
    found: list[MessageTypeDef] = []
    while together := cloud.sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
    ).get("Messages"):
        found += together
    return found


def queue_event(messages: "Sequence[MessageTypeDef]", *, arn: str = EVENTS_ARN) -> dict[str, Any]:
    """What Lambda makes of the messages of a queue."""
    return {
        "Records": [
            {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "attributes": each["Attributes"],
                "messageAttributes": {
                    name: {
                        "stringValue": value["StringValue"],
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": value["DataType"],
                    }
                    for name, value in each.get("MessageAttributes", {}).items()
                },
                "md5OfBody": each["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": "eu-west-1",
            }
            for each in messages
        ]
    }
