"""The bridge, put together as its two functions do it (functions/*/app.py), on virtual time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from purchasely_clevertap.aws.credentials import CredentialsStore
from purchasely_clevertap.aws.ledger import Ledger
from purchasely_clevertap.aws.parked_queue import ParkedQueue
from purchasely_clevertap.aws.received import Receipts
from purchasely_clevertap.aws.returning import Returns
from purchasely_clevertap.aws.secrets import Secrets
from purchasely_clevertap.aws.settings_store import SettingsStore
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.delivery.circuit_breaker import CircuitBreaker
from purchasely_clevertap.delivery.message import from_lambda
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.forwarder import BatchResult, Forwarder
from purchasely_clevertap.ingest import Refused, Request, WebhookReceiver
from purchasely_sender import Webhook

from .aws import DELIVERIES, SUBSCRIBERS, Aws, connections
from .queue import Queue, QueuedMessage
from .simulation import Simulation

STAGE = "chaos"
FORWARDER_TIMEOUT_SECONDS = 60.0
INGEST_TIMEOUT_SECONDS = 8.0


class Ingest:
    """One execution environment of the ingest function."""

    def __init__(self, simulation: Simulation, aws: Aws) -> None:
        clients = connections()
        self._simulation = simulation
        self._ingest = WebhookReceiver(
            Secrets(clients.secretsmanager, stage=STAGE, name="purchasely", clock=simulation.seconds),
            clients.sqs,
            queue_url=aws.events.url,
            tolerance=1_900_800,
        )
        self._receipts = Receipts(clients.dynamodb, table=DELIVERIES)

    def handle(self, app: str, webhook: Webhook) -> int:
        """The HTTP status of the answer."""
        now = self._simulation.now
        request = Request.from_gateway(
            {
                "pathParameters": {"app": app},
                "headers": {name.lower(): value for name, value in webhook.headers.items()},
                "body": webhook.body.decode(),
            }
        )
        answer = self._ingest.receive(request, now=now)
        if not isinstance(answer, Refused):
            self._receipts.note(app, answer.body, answer.message_id, now_ms=int(now * 1000))
        return answer.status


class ForwarderEnvironment:
    """One execution environment of the forwarder function. `heard` gets what became of each batch."""

    def __init__(
        self, simulation: Simulation, aws: Aws, client: Client, *, endpoint: str, heard: Callable[[BatchResult], None]
    ) -> None:
        clients = connections()
        retry_policy = RetryPolicy(30, 3600)
        self._simulation = simulation
        self._heard = heard
        self._dead_letter_arn = aws.dead_letters.arn
        self._returns = Returns(
            clients.sqs, queue_url=aws.events.url, retry_policy=retry_policy, chance=simulation.random.random
        )
        self._forwarder = Forwarder(
            ledger=Ledger(clients.dynamodb, deliveries=DELIVERIES, subscribers=SUBSCRIBERS, pause=simulation.sleep),
            client=client,
            settings=SettingsStore(
                clients.ssm, stage=STAGE, clock=simulation.seconds, refused=lambda _app, _version, _problems: None
            ),
            credentials=CredentialsStore(
                Secrets(clients.secretsmanager, stage=STAGE, name="clevertap", clock=simulation.seconds),
                endpoint=endpoint,
            ),
            parked=ParkedQueue(clients.sqs, queue_url=aws.parked.url),
            events=ParkedQueue(clients.sqs, queue_url=aws.events.url),
            breaker=CircuitBreaker(base=retry_policy.base, most=min(retry_policy.most, 300), clock=simulation.seconds),
            retry_policy=retry_policy,
            clock=simulation.now_ms,
            owner=f"{simulation.random.getrandbits(128):032x}",
        )

    def handle(self, queue: Queue, received: Sequence[tuple[QueuedMessage, str]], *, ends_at: float) -> set[str]:
        """Forwards the messages, each with its receipt handle; the ids of those that come again."""
        messages = [
            from_lambda(_record(queue, message, handle), dead_letter_arn=self._dead_letter_arn)
            for message, handle in received
        ]
        forwarded = self._forwarder.forward(messages, lambda: ends_at - self._simulation.now)
        self._heard(forwarded)
        return {failure["itemIdentifier"] for failure in self._returns.hide(forwarded.handled)}


def _record(queue: Queue, message: QueuedMessage, handle: str) -> Mapping[str, Any]:
    """The message as Lambda hands it to the function."""
    return {
        "messageId": message.id,
        "receiptHandle": handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(int(message.sent_at * 1000)),
            "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
        },
        "messageAttributes": {
            name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
            for name, value in message.attributes.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
    }
