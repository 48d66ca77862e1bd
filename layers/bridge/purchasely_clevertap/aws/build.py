"""Puts the two use cases together: the functions, the chaos kit and the tests build them here and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from purchasely_clevertap.aws.received import ReceivedNotes
from purchasely_clevertap.aws.secrets import Secrets
from purchasely_clevertap.ingest import WebhookReceiver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_firehose import FirehoseClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

    from purchasely_clevertap.clevertap.client import Client
    from purchasely_clevertap.delivery.retry import RetryPolicy
    from purchasely_clevertap.forwarder import Forwarder

# A project that fails is left alone for five minutes at most: its recovery is noticed soon.
_MOST_COOL_DOWN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Connections:
    """The AWS clients of a function; ingest has no SSM, and only a forwarder with an archive has the last two. That
    of S3 is made when it is needed, as its description is large."""

    sqs: "SQSClient"
    dynamodb: "DynamoDBClient"
    secretsmanager: "SecretsManagerClient"
    ssm: "SSMClient | None" = None
    firehose: "FirehoseClient | None" = None
    s3: "Callable[[], S3Client] | None" = None


@dataclass(frozen=True, slots=True)
class Resources:
    """The names of what the stack is made of.

    A person of whom nothing is heard is remembered for `subscriber_days`; 0 stands for ever. `suppression_key` keys the
    hashes that stand for suppressed people. Without a stream there is no archive.
    """

    stage: str
    events_queue_url: str
    deliveries_table: str
    subscribers_table: str = ""
    parked_queue_url: str = ""
    subscriber_days: int = 0
    suppression_key: str = ""
    archive_stream: str = ""
    archive_bucket: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, as the code is to see it: seconds that only grow, epoch milliseconds, and a wait of some seconds."""

    seconds: Callable[[], float]
    epoch_ms: Callable[[], int]
    sleep: Callable[[float], object]


def build_receiver(
    connections: Connections, resources: Resources, *, tolerance: float, seconds: Callable[[], float]
) -> WebhookReceiver:
    """The ingest use case. `tolerance`: how many seconds old a signed timestamp may be."""
    return WebhookReceiver(
        Secrets(connections.secretsmanager, stage=resources.stage, name="purchasely", clock=seconds),
        connections.sqs,
        ReceivedNotes(connections.dynamodb, table=resources.deliveries_table, clock=seconds),
        queue_url=resources.events_queue_url,
        tolerance=tolerance,
    )


def build_forwarder(
    connections: Connections,
    resources: Resources,
    clock: Clock,
    *,
    client: "Client",
    endpoint: str,
    owner: str,
    retry_policy: "RetryPolicy",
    settings_refused: Callable[[str, int, tuple[str, ...]], None],
    profile_unreadable: Callable[[], object] = lambda: None,
    statement_refused: Callable[[str], object] = lambda _: None,
) -> "Forwarder":
    """The forwarder use case. `owner` names this worker and no other; `endpoint` replaces CleverTap's, if not empty."""
    # Ingest has no need of these, and loads none of them.
    from purchasely_clevertap.aws.archive import Archive
    from purchasely_clevertap.aws.credentials import CredentialsStore
    from purchasely_clevertap.aws.ledger import Ledger
    from purchasely_clevertap.aws.queues import SendQueue
    from purchasely_clevertap.aws.settings_store import SettingsStore
    from purchasely_clevertap.delivery.circuit_breaker import CircuitBreaker
    from purchasely_clevertap.forwarder import Forwarder
    from purchasely_clevertap.uploader import Uploader

    if connections.ssm is None:
        raise ValueError("the forwarder needs a client of SSM")
    credentials = CredentialsStore(
        Secrets(connections.secretsmanager, stage=resources.stage, name="clevertap", clock=clock.seconds)
    )
    breaker = CircuitBreaker(
        base=retry_policy.base, most=min(retry_policy.most, _MOST_COOL_DOWN_SECONDS), clock=clock.seconds
    )
    events = SendQueue(connections.sqs, queue_url=resources.events_queue_url)
    archive = None
    if resources.archive_stream and connections.firehose is not None and connections.s3 is not None:
        archive = Archive(
            connections.firehose,
            connections.s3,
            events,
            stream=resources.archive_stream,
            bucket=resources.archive_bucket,
            seconds=clock.seconds,
        )
    return Forwarder(
        ledger=Ledger(
            connections.dynamodb,
            deliveries=resources.deliveries_table,
            subscribers=resources.subscribers_table,
            owner=owner,
            pause=clock.sleep,
            unreadable=profile_unreadable,
            statement_refused=statement_refused,
            subscriber_days=resources.subscriber_days,
        ),
        uploader=Uploader(client, credentials, breaker, endpoint=endpoint),
        settings=SettingsStore(connections.ssm, stage=resources.stage, clock=clock.seconds, refused=settings_refused),
        credentials=credentials,
        parked=SendQueue(connections.sqs, queue_url=resources.parked_queue_url),
        events=events,
        retry_policy=retry_policy,
        clock=clock.epoch_ms,
        suppression_key=resources.suppression_key,
        archive=archive,
    )
