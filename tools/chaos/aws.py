"""AWS as the bridge sees it, in ledger and in virtual time: every call takes a moment, and any call may go wrong.

The bridge's own botocore clients are used, down to the check of their parameters; what they would send is answered
here instead. One set of clients serves the whole process, as making one costs more than a thousand calls.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from purchasely_clevertap.aws.build import Connections
from purchasely_clevertap.aws.clients import Clients

from . import dynamodb
from .partiql import parsed
from .queue import MOST_HIDDEN, InvalidMessage, Queue
from .simulation import Simulation

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

CONDITION_FAILED = "ConditionalCheckFailed"
DELIVERIES, SUBSCRIBERS = "deliveries", "subscribers"
_KEYS: Mapping[str, str] = {DELIVERIES: "event", SUBSCRIBERS: "subscriber"}


@dataclass(frozen=True, slots=True)
class Refuse:
    """AWS answers with this error; nothing was done."""

    code: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection: nothing was done."""


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer until the caller gives up; nothing was done."""


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """Done, and then the answer does not arrive."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A transaction is cancelled for `code`, which `share` of its items are to blame for; of statements, those alone
    are refused. Elsewhere no fault."""

    code: str
    share: float


@dataclass(frozen=True, slots=True)
class Part:
    """A batch call is done for `share` of its entries only. Elsewhere no fault."""

    share: float


@dataclass(frozen=True, slots=True)
class Repeated:
    """Done, the answer is lost, botocore repeats the call, and that one is answered."""


@dataclass(frozen=True, slots=True)
class Hot:
    """The items of `keys` have more traffic than their partition takes, or somebody else's transaction is at them.

    A transaction is cancelled for them alone; with `reads`, a batch read leaves them unread. Elsewhere no fault.
    """

    keys: frozenset[str]
    code: str
    reads: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer takes so many seconds more."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Die:
    """The caller is killed, before AWS has the call or with the answer on its way."""

    after: bool


type CallFault = Refuse | Unreachable | Hang | AnswerLost | Cancel | Part | Repeated | Hot | Slow | Die


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a client waits, with all its attempts, for a connection and for an answer, in seconds."""

    connect: float
    read: float

    @classmethod
    def of(cls, client: "BaseClient") -> "Timeouts":
        """That of a client, by its configuration."""
        config: Any = client.meta.config  # its attributes are made of its options
        attempts = config.retries["total_max_attempts"]
        return cls(config.connect_timeout * attempts, config.read_timeout * attempts)


class Aws:
    """The stack's queues, tables, secrets and parameters, as template.yaml makes them.

    `fault` is asked for each call of a task, by its operation, what happens to it.
    """

    def __init__(
        self,
        simulation: Simulation,
        fault: Callable[[str], CallFault | None],
        *,
        most_receives: int = 1000,
        most_hidden: int = MOST_HIDDEN,
        is_fair: bool = False,
    ) -> None:
        self._simulation = simulation
        self._fault = fault
        seconds, random = simulation.seconds, simulation.random
        self.parked = Queue("parked", seconds=seconds, random=random)
        self.dead_letters = Queue("dead-letters", seconds=seconds, random=random, visibility=420)
        self.events = Queue(
            "events",
            seconds=seconds,
            random=random,
            visibility=420,
            dead_letters=self.dead_letters,
            most_receives=most_receives,
            most_hidden=most_hidden,
            is_fair=is_fair,
        )
        self.tables = dynamodb.Tables(_KEYS, index=(DELIVERIES, "held", "held_for"), seconds=seconds)
        self.webhooks = 0  # that ingest has put on the queue
        self.secrets: dict[str, str] = {}
        self.parameters: dict[str, list[str]] = {}
        self._queues = {queue.url: queue for queue in (self.events, self.parked, self.dead_letters)}

    def call(
        self, operation: str, given: Mapping[str, Any], timeouts: Timeouts
    ) -> tuple[SimpleNamespace, dict[str, Any]]:
        """What botocore gets for a call: the HTTP status and the parsed answer."""
        random = self._simulation.random
        fault = self._fault(operation) if self._simulation.current is not None else None
        self._simulation.sleep(random.uniform(0.001, 0.02))
        match fault:
            case Unreachable():
                self._simulation.sleep(timeouts.connect)
                raise ConnectTimeoutError(endpoint_url=operation)
            case Hang():
                self._simulation.sleep(timeouts.read)
                raise ReadTimeoutError(endpoint_url=operation)
            case Refuse(code):
                return _error(code)
            case Cancel() if operation == "TransactWriteItems" and (blamed := self._blamed(fault, given)):
                reasons = [{"Code": fault.code if each else "None"} for each in blamed]
                return _error("TransactionCanceledException", CancellationReasons=reasons)
            case Hot(keys, code, _) if operation == "TransactWriteItems" and any(hot := _are_hot(keys, given)):
                reasons = [{"Code": code if each else "None"} for each in hot]
                return _error("TransactionCanceledException", CancellationReasons=reasons)
            case Hot(keys, code, _) if operation == "UpdateItem" and _key(given["Key"]) in keys:
                return _error(_ALONE[code])
            case Die(after=False):
                self._simulation.die()
        try:
            if isinstance(fault, Repeated):
                self._answer(operation, given, None)
                self._simulation.sleep(5)
            answer = self._answer(operation, given, fault)
        except dynamodb.Refused as refused:
            return _error(refused.code, **refused.more)
        match fault:
            case AnswerLost():
                self._simulation.sleep(timeouts.read)
                raise ReadTimeoutError(endpoint_url=operation)
            case Die(after=True):
                self._simulation.die()
            case Slow(seconds):
                self._simulation.sleep(seconds)
        self._simulation.sleep(random.uniform(0.001, 0.02))
        return SimpleNamespace(status_code=200), answer

    def _blamed(self, fault: Cancel, given: Mapping[str, Any]) -> list[bool]:
        """Which items of a transaction are to blame for its end; empty when none can be."""
        random, conditional = self._simulation.random, fault.code == CONDITION_FAILED
        can_be = [not conditional or "ConditionExpression" in each["Update"] for each in given["TransactItems"]]
        if not any(can_be):
            return []
        one = random.choice([index for index, yes in enumerate(can_be) if yes])
        return [yes and (index == one or random.random() < fault.share) for index, yes in enumerate(can_be)]

    def _answer(self, operation: str, given: Mapping[str, Any], fault: CallFault | None) -> dict[str, Any]:
        part = fault if isinstance(fault, Part) else None
        match operation:
            case "GetSecretValue":
                return {"SecretString": self._secret(given["SecretId"])}
            case "GetParameter":
                return {"Parameter": self._parameter(given["Name"])}
            case "SendMessage":
                self.webhooks += "kind" not in given["MessageAttributes"]
                return {"MessageId": self._send(given["QueueUrl"], given)}
            case "SendMessageBatch":
                return self._send_batch(given["QueueUrl"], given["Entries"], part)
            case "ChangeMessageVisibilityBatch":
                return self._hide_batch(given["QueueUrl"], given["Entries"], part)
            case "ReceiveMessage":
                return self._receive(given)
            case "DeleteMessageBatch":
                return self._delete_batch(given["QueueUrl"], given["Entries"])
            case "GetQueueAttributes":
                return {"Attributes": self._counts(self._queues[given["QueueUrl"]])}
            case "BatchGetItem":
                return self._get_batch(given, fault)
            case "BatchExecuteStatement":
                return self._execute(given["Statements"], fault)
            case _:
                return self.tables.answer(operation, given)

    def _secret(self, name: str) -> str:
        if name not in self.secrets:
            # The functions may read the secrets of apps that exist. Of any other AWS does not say that it is missing.
            denied = f"not authorized to perform: secretsmanager:GetSecretValue on resource: {name}"
            raise dynamodb.Refused("AccessDeniedException", Error={"Message": denied})
        return self.secrets[name]

    def _parameter(self, name: str) -> dict[str, Any]:
        name, _, version = name.partition(":")
        versions = self.parameters.get(name)
        if not versions:
            raise dynamodb.Refused("ParameterNotFound")
        number = int(version) if version else len(versions)
        if not 1 <= number <= len(versions):
            raise dynamodb.Refused("ParameterVersionNotFound")
        return {"Name": name, "Version": number, "Value": versions[number - 1]}

    def _send(self, url: str, entry: Mapping[str, Any]) -> str:
        try:
            return self._queues[url].send(
                entry["MessageBody"],
                entry["MessageAttributes"],
                delay=entry.get("DelaySeconds", 0),
                group=entry.get("MessageGroupId"),
            )
        except InvalidMessage as error:
            raise dynamodb.Refused("InvalidMessageContents") from error

    def _send_batch(self, url: str, entries: Sequence[Mapping[str, Any]], part: Part | None) -> dict[str, Any]:
        taken, left = self._parted(entries, part)
        return {
            "Successful": [{"Id": entry["Id"], "MessageId": self._send(url, entry)} for entry in taken],
            "Failed": [{"Id": entry["Id"], "Code": "ServiceUnavailable", "SenderFault": False} for entry in left],
        }

    def _hide_batch(self, url: str, entries: Sequence[Mapping[str, Any]], part: Part | None) -> dict[str, Any]:
        taken, left = self._parted(entries, part)
        hidden = {
            entry["Id"]: self._queues[url].hide(entry["ReceiptHandle"], entry["VisibilityTimeout"]) for entry in taken
        }
        failed = [name for name, done in hidden.items() if not done] + [entry["Id"] for entry in left]
        return {
            "Successful": [{"Id": name} for name, done in hidden.items() if done],
            "Failed": [{"Id": name, "Code": "ReceiptHandleIsInvalid", "SenderFault": True} for name in failed],
        }

    def _receive(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """As a person's command receives, not as Lambda does."""
        received = self._queues[given["QueueUrl"]].receive(given["MaxNumberOfMessages"])
        found = []
        for message, handle in received:
            message.visible_at = self._simulation.now + given["VisibilityTimeout"]
            found.append(
                {
                    "MessageId": message.id,
                    "ReceiptHandle": handle,
                    "Body": message.body,
                    "MessageAttributes": message.attributes,
                    "Attributes": {"SentTimestamp": str(int(message.sent_at * 1000))},
                }
            )
        return {"Messages": found}

    def _delete_batch(self, url: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        for entry in entries:
            self._queues[url].delete(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def _counts(self, queue: Queue) -> dict[str, str]:
        hidden = sum(message.visible_at > self._simulation.now for message in queue.messages)
        return {
            "ApproximateNumberOfMessages": str(len(queue) - hidden),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
            "ApproximateNumberOfMessagesDelayed": "0",
        }

    def _get_batch(self, given: Mapping[str, Any], fault: CallFault | None) -> dict[str, Any]:
        keys = [(table, key) for table, asked in given["RequestItems"].items() for key in asked["Keys"]]
        if isinstance(fault, Hot) and fault.reads:
            taken, left = (
                [each for each in keys if (_key(each[1]) in fault.keys) is is_hot] for is_hot in (False, True)
            )
        else:
            taken, left = self._parted(keys, fault if isinstance(fault, Part) else None)
        answer: dict[str, Any] = {"Responses": {}}
        if taken:
            answer = self.tables.answer("BatchGetItem", {**given, "RequestItems": _by_table(taken)})
        return {**answer, "UnprocessedKeys": _by_table(left)}

    def _execute(self, statements: Sequence[Mapping[str, Any]], fault: CallFault | None) -> dict[str, Any]:
        random = self._simulation.random
        refused: dict[int, str] = {}
        match fault:
            case Cancel(code, share):
                one = random.randrange(len(statements))
                refused = {n: code for n in range(len(statements)) if n == one or random.random() < share}
            case Hot(keys, code, _):
                hot = (_key(parsed(each, _KEYS).update["Key"]) in keys for each in statements)
                refused = {n: code for n, is_hot in enumerate(hot) if is_hot}
            case Part(share):
                refused = {n: "ThrottlingError" for n in range(len(statements)) if random.random() >= share}
        taken = [each for number, each in enumerate(statements) if number not in refused]
        answer = self.tables.answer("BatchExecuteStatement", {"Statements": taken}) if taken else {"Responses": []}
        made = iter(answer["Responses"])
        return {
            "Responses": [
                {"Error": {"Code": refused[number]}} if number in refused else next(made)
                for number in range(len(statements))
            ]
        }

    def _parted[T](self, entries: Sequence[T], part: Part | None) -> tuple[list[T], list[T]]:
        if part is None:
            return list(entries), []
        done = [self._simulation.random.random() < part.share for _ in entries]
        return (
            [entry for entry, yes in zip(entries, done, strict=True) if yes],
            [entry for entry, yes in zip(entries, done, strict=True) if not yes],
        )


def _by_table(keys: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for table, key in keys:
        found.setdefault(table, {"Keys": []})["Keys"].append(key)
    return found


class FakedClients:
    """The AWS clients of both functions, as they make them; `aws` is what answers them."""

    def __init__(self) -> None:
        ingest, forwarder = Clients.of_ingest(), Clients.of_forwarder()
        self.aws: Aws | None = None
        self.ingest = Connections(
            self._connected(ingest.sqs()),
            self._connected(ingest.dynamodb_for_notes()),
            self._connected(ingest.secretsmanager()),
        )
        self.dynamodb: DynamoDBClient = self._connected(forwarder.dynamodb_for_batches())
        self.sqs: SQSClient = self._connected(forwarder.sqs())
        self.forwarder = Connections(
            self.sqs, self.dynamodb, self._connected(forwarder.secretsmanager()), self._connected(forwarder.ssm())
        )

    def _connected(self, client: Any) -> Any:
        client.meta.events.register("before-parameter-build", self._given)
        client.meta.events.register("before-call", partial(self._call, Timeouts.of(client)))
        return client

    def _given(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["given"] = dict(params)

    def _call(
        self, timeouts: Timeouts, model: Any, context: dict[str, Any], **_: Any
    ) -> tuple[SimpleNamespace, dict[str, Any]]:
        if self.aws is None:
            raise RuntimeError("no AWS is connected")
        return self.aws.call(model.name, context["given"], timeouts)


@cache
def connections() -> FakedClients:
    """Those of this process."""
    return FakedClients()


def error_codes(random: Random) -> str:
    """A code that AWS answers with when it cannot serve for a while."""
    return random.choice(("InternalServerError", "ServiceUnavailable", "ThrottlingException", "RequestTimeout"))


# What a single write is refused with, by the cause of a cancelled transaction.
_ALONE = {
    "ThrottlingError": "ThrottlingException",
    "ProvisionedThroughputExceeded": "ProvisionedThroughputExceededException",
    "TransactionConflict": "TransactionConflictException",
}


def _are_hot(keys: frozenset[str], given: Mapping[str, Any]) -> list[bool]:
    """Of each change of a transaction, whether its item is hot."""
    return [_key(each["Update"]["Key"]) in keys for each in given["TransactItems"]]


def _key(key: Mapping[str, Mapping[str, str]]) -> str:
    ((_, value),) = key.items()
    return value["S"]


def _error(code: str, **more: Any) -> tuple[SimpleNamespace, dict[str, Any]]:
    error = {"Code": code, "Message": "scripted"} | more.pop("Error", {})
    return SimpleNamespace(status_code=400), {"Error": error, **more}
