"""The bridge, put together as its two functions do it (functions/*/app.py), on virtual time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from purchasely_clevertap.aws.build import Clock, Resources, build_forwarder, build_receiver
from purchasely_clevertap.aws.queues import RetryDelays, SendQueue
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.delivery.message import from_lambda
from purchasely_clevertap.delivery.result import BatchResult
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.ingest import Request
from purchasely_clevertap.sweep import Sweep
from purchasely_sender import Webhook

from .aws import DELIVERIES, SUBSCRIBERS, Aws, connections
from .former_release import FormerChanges
from .queue import Queue, QueuedMessage
from .simulation import Simulation

STAGE = "chaos"
FORWARDER_TIMEOUT_SECONDS = 60.0
INGEST_TIMEOUT_SECONDS = 8.0


def resources(aws: Aws) -> Resources:
    """What the simulated stack is made of."""
    return Resources(
        stage=STAGE,
        events_queue_url=aws.events.url,
        deliveries_table=DELIVERIES,
        subscribers_table=SUBSCRIBERS,
        parked_queue_url=aws.parked.url,
    )


class Ingest:
    """One execution environment of the ingest function."""

    def __init__(self, simulation: Simulation, aws: Aws) -> None:
        self._simulation = simulation
        self._receiver = build_receiver(
            connections().ingest, resources(aws), tolerance=1_900_800, seconds=simulation.seconds
        )

    def handle(self, app: str, webhook: Webhook, *, route: str = "POST /webhooks/{app}") -> int:
        """The HTTP status of the answer."""
        now = self._simulation.now
        request = Request.from_gateway(
            {
                "routeKey": route,
                "pathParameters": {"app": app},
                "headers": {name.lower(): value for name, value in webhook.headers.items()},
                "body": webhook.body.decode(),
            }
        )
        return self._receiver.receive(request, now=now).status


def build_sweep(simulation: Simulation, aws: Aws) -> Sweep:
    """The daily sweep."""
    clients = connections()
    return Sweep(
        clients.dynamodb,
        SendQueue(clients.sqs, queue_url=aws.events.url),
        deliveries=DELIVERIES,
        subscribers=SUBSCRIBERS,
        clock=simulation.now_ms,
    )


class ForwarderEnvironment:
    """One execution environment of the forwarder function. `heard` gets what became of each batch.

    `is_former`: of the release before, as far as it wrote the ledger in another way.
    """

    def __init__(
        self,
        simulation: Simulation,
        aws: Aws,
        client: Client,
        *,
        endpoint: str,
        heard: Callable[[BatchResult], None],
        is_former: bool = False,
    ) -> None:
        self.is_former = is_former
        retry_policy = RetryPolicy(30, 3600)
        owner = f"{simulation.random.getrandbits(128):032x}"
        self._simulation = simulation
        self._heard = heard
        self._dead_letter_arn = aws.dead_letters.arn
        self._delays = RetryDelays(
            connections().sqs, queue_url=aws.events.url, retry_policy=retry_policy, chance=simulation.random.random
        )
        self._forwarder = build_forwarder(
            connections().forwarder,
            resources(aws),
            Clock(simulation.seconds, simulation.now_ms, simulation.sleep),
            client=client,
            endpoint=endpoint,
            owner=owner,
            retry_policy=retry_policy,
            settings_refused=lambda _app, _version, _problems: None,
        )
        if is_former:
            self._forwarder._ledger._changes = FormerChanges(DELIVERIES, SUBSCRIBERS, owner)  # type: ignore[assignment]  # noqa: SLF001

    def handle(self, queue: Queue, received: Sequence[tuple[QueuedMessage, str]], *, ends_at: float) -> set[str]:
        """Forwards the messages, each with its result handle; the ids of those that come again."""
        messages = [
            from_lambda(_record(queue, message, handle), dead_letter_arn=self._dead_letter_arn)
            for message, handle in received
        ]
        forwarded = self._forwarder.forward(messages, lambda: ends_at - self._simulation.now)
        self._heard(forwarded)
        return {failure["itemIdentifier"] for failure in self._delays.delay_retries(forwarded.messages)}


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
