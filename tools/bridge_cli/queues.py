"""How many messages stand on the stack's queues."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge_cli.account import Account

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeFilterType

_VISIBLE: Final = "ApproximateNumberOfMessages"
_HIDDEN: Final = "ApproximateNumberOfMessagesNotVisible"
_DELAYED: Final = "ApproximateNumberOfMessagesDelayed"


@dataclass(frozen=True, slots=True)
class Count:
    """The messages of a queue. SQS counts approximately, and up to a minute late."""

    visible: int
    hidden: int

    @property
    def all(self) -> int:
        """Every message, whoever may see it."""
        return self.visible + self.hidden


@dataclass(frozen=True, slots=True)
class Queues:
    """The three queues of the stack."""

    events: Count
    dead_letters: Count
    parked: Count

    @property
    def on_the_way(self) -> int:
        """Messages that the forwarder will still get."""
        return self.events.all + self.dead_letters.all


def count(sqs: "SQSClient", queue_url: str) -> Count:
    """How many messages the queue holds."""
    names: list[QueueAttributeFilterType] = [_VISIBLE, _HIDDEN, _DELAYED]
    counts = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return Count(int(counts[_VISIBLE]), int(counts[_HIDDEN]) + int(counts.get(_DELAYED, 0)))


def counts(account: Account) -> Queues:
    """How many messages each queue holds."""
    sqs = account.client("sqs")
    return Queues(
        events=count(sqs, account.output("EventsQueueUrl")),
        dead_letters=count(sqs, account.output("DeadLetterQueueUrl")),
        parked=count(sqs, account.output("ParkedQueueUrl")),
    )
