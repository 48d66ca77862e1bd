"""The console script `bridge`, run in this process on the stack that the cloud of a test stands for."""

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from bridge_cli import prompts
from bridge_cli.__main__ import bridge
from bridge_cli.account import Account
from purchasely_clevertap.aws.queues import ParkRequest, SendQueue
from purchasely_clevertap.delivery.message import Message, from_lambda
from purchasely_clevertap.outcome import Parked, ParkReason
from tests.integration.cloud import DELIVERIES, STAGE, SUBSCRIBERS, SUPPRESSION_KEY, Calls, Cloud, Worker
from tests.integration.webhook import Payload, message

ORDERS = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that are no text: controls, formats, halves, separators of lines."""
HOSTILE = "\x1b[2J\x9b31m\u202e\u200b\rForged"
"""What a stranger may write into any text."""

OUTPUTS = {
    "WebhookUrl": "https://abc123.execute-api.eu-west-1.amazonaws.com/webhooks/default",
    "ApiId": "abc123",
    "IngestFunctionName": "ingest",
    "ForwarderFunctionName": "forwarder",
    "SweepFunctionName": "sweep",
    "DeliveriesTableName": DELIVERIES,
    "SubscribersTableName": SUBSCRIBERS,
    "IngestLogGroup": f"/purchasely-clevertap/{STAGE}/ingest",
    "ForwarderLogGroup": f"/purchasely-clevertap/{STAGE}/forwarder",
}


class Cli:
    """Runs commands on a stack whose outputs name what is in the cloud: moto can't describe stacks."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        queues = {
            "EventsQueueUrl": cloud.events_url,
            "ParkedQueueUrl": cloud.parked_url,
            "DeadLetterQueueUrl": cloud.dead_letters_url,
        }
        monkeypatch.setattr(Account, "outputs", OUTPUTS | queues)
        monkeypatch.setattr(Account, "suppression_key", SUPPRESSION_KEY)
        # An empty queue need not be waited for.
        monkeypatch.setattr("bridge_cli.parked_messages.WAIT_SECONDS", 0)

    def answer_questions(self) -> None:
        """From now on a person sits at the terminal."""
        self._monkeypatch.setattr(prompts, "at_terminal", lambda: True)

    def deny(self, *operations: str) -> None:
        """From now on the person has no right to these calls."""
        calls, client = Calls(), Account.client
        for operation in operations:
            calls.always(operation, "AccessDeniedException")
        self._monkeypatch.setattr(Account, "client", lambda account, service: calls.watch(client(account, service)))

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        """Runs `bridge` with these arguments; `typed` is what the person answers. Whatever it raises, the test sees."""
        result = CliRunner().invoke(bridge, [*arguments, "--stage", STAGE], input=typed, prog_name="bridge")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        # No command gives an order to the terminal, whoever wrote what it shows.
        orders = [each for each in result.output if each != "\n" and unicodedata.category(each) in ORDERS]
        assert orders == [], result.output
        return result

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """The document that a command writes."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)


def park(
    cloud: Cloud,
    *messages: Message,
    reason: ParkReason = ParkReason.UNREADABLE,
    event_name: str | None = "ACTIVATE",
    accepted: Sequence[str] = (),
    ids: Sequence[str] | None = None,
) -> None:
    """Puts messages on the parked queue as the forwarder does, under the ids e-<their own id> unless given."""
    queue = SendQueue(cloud.sqs, queue_url=cloud.parked_url)
    requests = [
        ParkRequest(each, Parked(reason, "why"), event_id, event_name, frozenset(accepted))
        for each, event_id in zip(messages, ids or [f"e-{each.id}" for each in messages], strict=True)
    ]
    assert queue.send(requests, now_ms=cloud.clock()) == [None] * len(requests)


def messages_of(cloud: Cloud, queue_url: str) -> list[Message]:
    """What stands on a queue, as Lambda hands it over; afterwards it is empty."""
    found: list[Message] = []
    while received := cloud.sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    ).get("Messages"):
        for each in received:
            cloud.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"])
            given = each.get("MessageAttributes", {})
            record = {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "attributes": each["Attributes"],
                "messageAttributes": {name: {"stringValue": value["StringValue"]} for name, value in given.items()},
                "eventSourceARN": "arn:of:the:events:queue",
            }
            found.append(from_lambda(record, dead_letter_arn=""))
    return found


def count(cloud: Cloud, queue_url: str) -> tuple[int, int]:
    """Visible and hidden messages."""
    counts = cloud.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    return int(counts["ApproximateNumberOfMessages"]), int(counts["ApproximateNumberOfMessagesNotVisible"])


def log(output: str, at: int, lines: Sequence[Any]) -> None:
    """Puts lines into a log group of the stack."""
    logs, group = boto3.client("logs"), OUTPUTS[output]
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="stream")
    logs.put_log_events(
        logGroupName=group,
        logStreamName="stream",
        logEvents=[
            {"timestamp": at + number, "message": line if isinstance(line, str) else json.dumps(line)}
            for number, line in enumerate(lines)
        ],
    )


def forward(worker: Worker, cloud: Cloud, *payloads: Payload) -> None:
    """Forwards the events one after the other, two minutes apart."""
    for payload in payloads:
        worker.outcome(message(payload, sent_at=cloud.clock()))
        cloud.clock.advance(120)


def tables(cloud: Cloud) -> str:
    """All that the two tables hold."""
    return str([cloud.dynamodb.scan(TableName=table)["Items"] for table in (DELIVERIES, SUBSCRIBERS)])
