"""The stack's AWS resources, in moto, with every call counted and any call open to a script."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ConnectTimeoutError

from purchasely_clevertap.aws.build import Clock as BridgeClock
from purchasely_clevertap.aws.build import Connections, Resources, build_forwarder, build_receiver
from purchasely_clevertap.aws.clients import Clients
from purchasely_clevertap.aws.ledger import HELD_INDEX, Ledger
from purchasely_clevertap.aws.queues import SendQueue
from purchasely_clevertap.aws.secrets import Secrets
from purchasely_clevertap.aws.user_hash_key import user_hash_key_name
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.delivery.message import Message, decode_body
from purchasely_clevertap.delivery.result import BatchResult
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.ingest import WebhookReceiver
from purchasely_clevertap.outcome import Outcome
from tests.integration.firehose import BUCKET, STREAM, Firehose
from tests.integration.statements import executed
from tests.integration.webhook import NOW_MS, SECRET

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from mypy_boto3_s3 import S3Client

STAGE = "test"
WRITES = "writes of the ledger"
_LEDGER_WRITES = ("BatchExecuteStatement", "TransactWriteItems")
SUPPRESSION_KEY = "0fd9e1c2-95a8-11f0-8de9-0242ac120002"
USER_KEY = "the-key-of-the-user-hashes"
DELIVERIES = "deliveries"
SUBSCRIBERS = "subscribers"
PRODUCTION = {"account_id": "PRODUCTION-ID", "passcode": "production-passcode"}
NOT_ALLOWED_TO_READ = (
    "User: arn:aws:sts::123456789012:assumed-role/function/function is not authorized to perform: "
    "secretsmanager:GetSecretValue on resource: the-secret because no identity-based policy allows the "
    "secretsmanager:GetSecretValue action"
)
SANDBOX = {"account_id": "SANDBOX-ID", "passcode": "sandbox-passcode"}


@dataclass(slots=True)
class Clock:
    """A clock that goes on only when told to: epoch milliseconds when called."""

    ms: int = NOW_MS

    def __call__(self) -> int:
        return self.ms

    def seconds(self) -> float:
        return self.ms / 1000

    def advance(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """DynamoDB cancels the transaction for these causes, one for each item; "None" is an item not to blame.

    Of statements only those are refused that have a cause. `message` is that of each item which is to blame.
    """

    causes: Sequence[str]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """AWS answers this, and nothing changes."""

    content: Mapping[str, Any] = field(default_factory=dict)


MADE: Mapping[str, Any] = {"Responses": [{}] * 25}
"""The answer to a call's statements, or to a transaction, when all is made."""

# What happens to a call: a fault (the code of an error; an error of the connection; a cancelled transaction), an
# answer, or something that happens meanwhile, and then what would have happened anyway.
type Step = str | BotoCoreError | Cancelled | Answered | Callable[[], object]


@cache
def _clients() -> Clients:
    """One for all tests, as it parses the descriptions of the services. With one attempt: a retry would wait."""
    return Clients(connect_timeout=1, read_timeout=1, attempts=1)


def as_function[C: BaseClient](client: C) -> C:
    """`client` with the rights of the functions, who may read `…/{app}/{name}-??????` and nothing else.

    A secret that does not exist has no such ARN, so AWS says that reading it is not allowed, not that it is missing.
    """

    def denied(parsed: dict[str, Any], **_: Any) -> None:
        if parsed.get("Error", {}).get("Code") == "ResourceNotFoundException":
            parsed["Error"] = {"Code": "AccessDeniedException", "Message": NOT_ALLOWED_TO_READ}

    client.meta.events.register("after-call.secrets-manager.GetSecretValue", denied)
    return client


def unreachable() -> BotoCoreError:
    """AWS does not answer."""
    return ConnectTimeoutError(endpoint_url="https://aws.invalid")


class Calls:
    """The calls of some AWS clients: what was asked, and a script for what is answered."""

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []
        self._script: defaultdict[str, deque[Step]] = defaultdict(deque)
        self._always: dict[str, Step] = {}

    def watch[C: BaseClient](self, client: C) -> C:
        """`client`, its calls counted and scripted here from now on."""
        client.meta.events.register("before-parameter-build", self._made)
        client.meta.events.register("before-call", self._answer)
        return client

    def next(self, operation: str, *steps: Step) -> None:
        """One step for each of the next calls of `operation`; `WRITES` are the ledger's."""
        self._script[operation].extend(steps)

    def always(self, operation: str, step: Step) -> None:
        """`step` for every call of `operation` that has no step of its own; `WRITES` are the ledger's."""
        self._always[operation] = step

    def mend(self) -> None:
        """From now on every call is answered as it should."""
        self._script.clear()
        self._always.clear()

    def of(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each call of `operation`."""
        return [parameters for name, parameters in self.made if name == operation]

    def _made(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.made.append((model.name, dict(params)))

    def _answer(self, model: Any, **_: Any) -> Any:
        names = [model.name, *([WRITES] if model.name in _LEDGER_WRITES else [])]
        steps = next((self._script[name] for name in names if self._script[name]), None)
        step = steps.popleft() if steps else next((self._always[name] for name in names if name in self._always), None)
        statements = self.made[-1][1].get("Statements", [])
        match step:
            case None:
                return None
            case str(code):
                return _refused(code)
            case BotoCoreError():
                raise step
            case Cancelled(causes) if statements:
                return SimpleNamespace(status_code=200), {"Responses": executed(statements, causes)}
            case Cancelled(causes, message):
                reasons = [{"Code": each, **({"Message": message} if each != "None" else {})} for each in causes]
                return _refused("TransactionCanceledException", CancellationReasons=reasons)
            case Answered(content):
                return SimpleNamespace(status_code=200), dict(content)
            case _:
                step()
                return None


def _refused(code: str, **more: Any) -> tuple[SimpleNamespace, dict[str, Any]]:
    return SimpleNamespace(status_code=400), {"Error": {"Code": code, "Message": "scripted"}, **more}


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A message of the parked queue, with the text of each of its attributes."""

    body: bytes
    attributes: Mapping[str, str]


class Cloud:
    """Queues, tables, secrets and settings as the template makes them; `calls` are those of every client from here."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = Calls()
        self._clients = _clients()
        self.sqs = self.calls.watch(self._clients.sqs())
        self.dynamodb = self.calls.watch(self._clients.dynamodb_for_batches())
        self.secretsmanager = self.calls.watch(self._clients.secretsmanager())
        self.ssm = self.calls.watch(self._clients.ssm())
        self._functions_secrets = self.calls.watch(as_function(self._clients.secretsmanager()))
        self.archive: Firehose | None = None
        self.events_url, self.parked_url, self.dead_letters_url = (
            self.sqs.create_queue(QueueName=name, Attributes={"MaximumMessageSize": "1048576"})["QueueUrl"]
            for name in ("events", "parked", "dead-letters")
        )
        self.dynamodb.create_table(
            TableName=DELIVERIES,
            KeySchema=[{"AttributeName": "event", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "event", "AttributeType": "S"},
                {"AttributeName": "held_for", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": HELD_INDEX,
                    "KeySchema": [{"AttributeName": "held_for", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.dynamodb.create_table(
            TableName=SUBSCRIBERS,
            KeySchema=[{"AttributeName": "subscriber", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "subscriber", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.put_secret("purchasely", {"shared_secrets": [SECRET]})
        self.put_secret("clevertap", {"production": PRODUCTION, "sandbox": SANDBOX})
        self.secretsmanager.create_secret(Name=user_hash_key_name(STAGE), SecretString=USER_KEY)
        self.calls.made.clear()

    def make_archive(self) -> Firehose:
        """From now on the stack has an archive, and so have the workers that begin; its stream."""
        self.archive = Firehose(self.s3, self.clock)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        return self.archive

    @cached_property
    def s3(self) -> "S3Client":
        return self._clients.s3_for_archive()

    def put_secret(self, name: str, value: object, *, app: str = "default") -> None:
        """Puts a secret of `app`: as JSON, or `value` itself when it is text."""
        text = value if isinstance(value, str) else json.dumps(value)
        secret_id = f"purchasely-clevertap/{STAGE}/{app}/{name}"
        try:
            self.secretsmanager.put_secret_value(SecretId=secret_id, SecretString=text)
        except self.secretsmanager.exceptions.ResourceNotFoundException:
            self.secretsmanager.create_secret(Name=secret_id, SecretString=text)

    def delete_secret(self, name: str, *, app: str = "default") -> None:
        secret_id = f"purchasely-clevertap/{STAGE}/{app}/{name}"
        self.secretsmanager.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)

    def put_settings(self, value: object, *, app: str = "default") -> int:
        """Puts the settings of `app`, as JSON or as the text they are; gives their version."""
        text = value if isinstance(value, str) else json.dumps(value)
        name = f"/purchasely-clevertap/{STAGE}/{app}/settings"
        return self.ssm.put_parameter(Name=name, Value=text, Type="String", Overwrite=True)["Version"]

    def drain(self, queue_url: str) -> list[ParkedMessage]:
        """What stands on a queue, in no order; afterwards it is empty."""
        found: list[ParkedMessage] = []
        while received := self.sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for each in received:
                attributes = {name: value["StringValue"] for name, value in each.get("MessageAttributes", {}).items()}
                found.append(ParkedMessage(decode_body(each["Body"]), attributes))
                self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"])
        return found

    def parked(self) -> list[ParkedMessage]:
        return self.drain(self.parked_url)

    def entry(self, event_id: str, *, app: str = "default") -> dict[str, Any]:
        """What the deliveries table has of an event, in Python's own types; empty when it has nothing."""
        item = self.dynamodb.get_item(
            TableName=DELIVERIES, Key={"event": {"S": f"{app}#{event_id}"}}, ConsistentRead=True
        )
        return {name: _plain(value) for name, value in item.get("Item", {}).items()}

    def subscriber(self, key: str) -> dict[str, Any]:
        """What the subscribers table has under `key`; empty when it has nothing."""
        item = self.dynamodb.get_item(TableName=SUBSCRIBERS, Key={"subscriber": {"S": key}}, ConsistentRead=True)
        return {name: _plain(value) for name, value in item.get("Item", {}).items()}

    @property
    def resources(self) -> Resources:
        """What the stack is made of."""
        return Resources(
            stage=STAGE,
            events_queue_url=self.events_url,
            deliveries_table=DELIVERIES,
            subscribers_table=SUBSCRIBERS,
            parked_queue_url=self.parked_url,
            subscriber_days=1100,
            suppression_key=SUPPRESSION_KEY,
            archive_stream=STREAM if self.archive else "",
            archive_bucket=BUCKET if self.archive else "",
        )

    def receiver(self, *, tolerance: float, seconds: Callable[[], float] | None = None) -> WebhookReceiver:
        """Ingest, with the connections of this cloud."""
        connections = Connections(self.sqs, self.dynamodb, self._functions_secrets)
        return build_receiver(connections, self.resources, tolerance=tolerance, seconds=seconds or self.clock.seconds)

    def secrets(self, name: str) -> Secrets:
        return Secrets(self._functions_secrets, stage=STAGE, name=name, clock=self.clock.seconds)

    def ledger(
        self,
        *,
        owner: str = "one",
        calls: Calls | None = None,
        pause: Callable[[float], object] = lambda _: None,
        statement_refused: Callable[[str], object] = lambda _: None,
    ) -> Ledger:
        """A worker's view of the two tables, through `calls` if they are given. It never waits."""
        dynamodb = self.dynamodb if calls is None else calls.watch(self._clients.dynamodb_for_batches())
        return Ledger(
            dynamodb,
            deliveries=DELIVERIES,
            subscribers=SUBSCRIBERS,
            owner=owner,
            pause=pause,
            statement_refused=statement_refused,
        )

    def worker(self, client: Client, *, name: str = "worker-1", endpoint: str = "") -> "Worker":
        """A forwarder with connections of its own, which uploads through `client`."""
        return Worker(self, self._clients, client, name, endpoint)


class Worker:
    """A forwarder at work; `calls` are the calls of its own clients."""

    def __init__(self, cloud: Cloud, clients: Clients, client: Client, name: str, endpoint: str) -> None:
        self.calls = Calls()
        self.refused_settings: list[tuple[str, int, tuple[str, ...]]] = []
        self.pauses: list[float] = []
        self._clock = cloud.clock
        self.events_queue = SendQueue(cloud.sqs, queue_url=cloud.events_url)
        self._forwarder = build_forwarder(
            Connections(
                self.calls.watch(clients.sqs()),
                self.calls.watch(clients.dynamodb_for_batches()),
                self.calls.watch(as_function(clients.secretsmanager())),
                self.calls.watch(clients.ssm()),
                cloud.archive.connect(self.calls.watch(clients.firehose_for_archive())) if cloud.archive else None,
                lambda: self.calls.watch(clients.s3_for_archive()),
            ),
            cloud.resources,
            BridgeClock(cloud.clock.seconds, cloud.clock, self.pauses.append),
            client=client,
            endpoint=endpoint,
            owner=name,
            retry_policy=RetryPolicy(),
            settings_refused=lambda *refused: self.refused_settings.append(refused),
        )

    def forward(self, *messages: Message, seconds_left: float = 60) -> BatchResult:
        """Forwards a batch; the function is stopped `seconds_left` after its beginning, by the clock."""
        ends = self._clock.seconds() + seconds_left
        return self._forwarder.forward(messages, lambda: ends - self._clock.seconds())

    def outcomes(self, *messages: Message, seconds_left: float = 60) -> list[Outcome]:
        """Forwards a batch; what becomes of each message, in their order."""
        found = {each.message.id: each.outcome for each in self.forward(*messages, seconds_left=seconds_left).messages}
        return [found[message.id] for message in messages]

    def outcome(self, message: Message, *, seconds_left: float = 60) -> Outcome:
        """Forwards a single message."""
        (outcome,) = self.outcomes(message, seconds_left=seconds_left)
        return outcome


def _plain(value: "AttributeValueTypeDef") -> Any:
    match value:
        case {"S": text}:
            return text
        case {"N": number}:
            return int(number)
        case {"SS": texts}:
            return set(texts)
        case _:
            raise ValueError(f"the tables hold no {value}")
