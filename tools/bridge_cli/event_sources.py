"""What takes the messages of the queues: Lambda's event source mappings of the forwarder."""

from dataclasses import dataclass
from typing import Final

from bridge_cli.account import Account

QUEUES: Final = {"events": "EventsQueueUrl", "dead letters": "DeadLetterQueueUrl"}
"""The queues that the forwarder takes messages from, each with the output that has its URL."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """An event source mapping: which queue's messages it hands over, its id, and Lambda's word for its state."""

    queue: str
    id: str
    state: str


def event_sources(account: Account, queue: str) -> list[EventSource]:
    """The mappings of one of `QUEUES`. Raises ClientError."""
    attributes = account.client("sqs").get_queue_attributes(
        QueueUrl=account.output(QUEUES[queue]), AttributeNames=["QueueArn"]
    )["Attributes"]
    mappings = account.client("lambda").list_event_source_mappings(EventSourceArn=attributes["QueueArn"])
    return [EventSource(queue, each["UUID"], each["State"]) for each in mappings["EventSourceMappings"]]
