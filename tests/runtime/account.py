"""An AWS account with what the functions reach: MiniStack, with the template's queues and tables and no deployment."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from local_stack import sam
from local_stack.template import Template
from purchasely_clevertap.aws.user_hash_key import user_hash_key_name
from purchasely_clevertap.delivery.message import decode_body
from purchasely_sender.samples import SAMPLE_SECRET

STAGE = "runtime"
USER_KEY = "the-key-of-the-user-hashes"
DEAD_LETTERS = "arn:aws:sqs:eu-west-1:123456789012:purchasely-clevertap-dev-DeadLetterQueue"
"""The dead-letter queue of the sample events."""

PRODUCTION = {"account_id": "RUNTIME-PRODUCTION", "passcode": "passcode-of-runtime-production"}
SANDBOX = {"account_id": "RUNTIME-SANDBOX", "passcode": "passcode-of-runtime-sandbox"}
SECOND = {"account_id": "RUNTIME-SECOND", "passcode": "passcode-of-runtime-second"}
ACCOUNTS = {each["account_id"]: each["passcode"] for each in (PRODUCTION, SANDBOX, SECOND)}

_TABLES = {"DeliveriesTable": "event", "SubscribersTable": "subscriber"}


@dataclass(frozen=True, slots=True)
class Queued:
    """A message on a queue: its id, the body's exact bytes, the text of each attribute."""

    id: str
    body: bytes
    attributes: Mapping[str, str]


class Account:
    """The account behind the AWS that answers at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        session = boto3.Session(
            aws_access_key_id=sam.CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=sam.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=sam.REGION,
        )
        self._sqs = session.client("sqs", endpoint_url=url)
        self._dynamodb = session.client("dynamodb", endpoint_url=url)
        self._secrets = session.client("secretsmanager", endpoint_url=url)
        self._template = Template.load()
        self.queues = {name: self._queue(name) for name in ("EventsQueue", "ParkedQueue")}
        for table, key in _TABLES.items():
            self._dynamodb.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        session.client("firehose", endpoint_url=url).create_delivery_stream(DeliveryStreamName="ArchiveStream")
        self._secrets.create_secret(Name=user_hash_key_name(STAGE), SecretString=USER_KEY)
        self.put_secret("default", "purchasely", {"shared_secrets": [SAMPLE_SECRET]})
        self.put_secret("default", "clevertap", {"production": PRODUCTION, "sandbox": SANDBOX})
        self.put_secret("second-app", "clevertap", {"production": SECOND})

    def put_secret(self, app: str, name: str, value: object) -> None:
        self._secrets.create_secret(Name=f"purchasely-clevertap/{STAGE}/{app}/{name}", SecretString=json.dumps(value))

    def environment(self, function: str, **parameters: object) -> dict[str, str]:
        """What the template gives `function` when it is deployed with `parameters`, in this account."""
        template = Template.load(Stage=STAGE, **self.queues, **parameters)
        given = {**template.environment(function), "AWS_ENDPOINT_URL": self.url}
        return {name: DEAD_LETTERS if value == "DeadLetterQueue.Arn" else str(value) for name, value in given.items()}

    def timeout(self, function: str) -> int:
        """What the template gives `function`, in seconds."""
        seconds: int = self._template.properties(function)["Timeout"]
        return seconds

    def take(self, queue: str) -> list[Queued]:
        """What stands on the queue; afterwards it is empty."""
        found: list[Queued] = []
        while messages := self._sqs.receive_message(
            QueueUrl=self.queues[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                attributes = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
                found.append(Queued(message["MessageId"], decode_body(message["Body"]), attributes))
                self._sqs.delete_message(QueueUrl=self.queues[queue], ReceiptHandle=message["ReceiptHandle"])
        return found

    def delivery(self, event_id: str, app: str = "default") -> dict[str, Any]:
        """What is remembered of an event, as DynamoDB writes it; nothing when it was never heard of."""
        key = {"event": {"S": f"{app}#{event_id}"}}
        return dict(self._dynamodb.get_item(TableName="DeliveriesTable", Key=key, ConsistentRead=True).get("Item", {}))

    def forget(self) -> None:
        """Empties queues and tables."""
        for queue in self.queues:
            self.take(queue)
        for table, key in _TABLES.items():
            for item in self._dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]:
                self._dynamodb.delete_item(TableName=table, Key={key: item[key]})

    def _queue(self, name: str) -> str:
        size = str(self._template.properties(name)["MaximumMessageSize"])
        return self._sqs.create_queue(QueueName=name, Attributes={"MaximumMessageSize": size})["QueueUrl"]


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a host that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
