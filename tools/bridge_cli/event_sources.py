"""What takes the messages of the queues: Lambda's event source mappings of the forwarder."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from bridge_cli.account import Account
from bridge_cli.cli_error import CliError
from bridge_cli.probe import Stopwatch

_IN_USE: Final = "ResourceInUseException"  # Lambda is at another change of the mapping
_SWITCH_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 2.0

QUEUES: Final = {"events": "EventsQueueUrl", "dead letters": "DeadLetterQueueUrl"}
"""The queues that the forwarder takes messages from, each with the output that has its URL."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """An event source mapping: which queue's messages it hands over, its id, and Lambda's word for its state."""

    queue: str
    id: str
    state: str

    @property
    def is_paused(self) -> bool:
        """Whether it hands over nothing, or will not in a moment."""
        return self.state in ("Disabled", "Disabling")

    @property
    def is_running(self) -> bool:
        """Whether it hands over messages, or will in a moment."""
        return self.state in ("Enabled", "Enabling")

    @property
    def document(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def event_sources(account: Account, queue: str) -> list[EventSource]:
    """The mappings of one of `QUEUES`. Raises ClientError."""
    attributes = account.client("sqs").get_queue_attributes(
        QueueUrl=account.output(QUEUES[queue]), AttributeNames=["QueueArn"]
    )["Attributes"]
    mappings = account.client("lambda").list_event_source_mappings(EventSourceArn=attributes["QueueArn"])
    return [EventSource(queue, each["UUID"], each["State"]) for each in mappings["EventSourceMappings"]]


def all_sources(account: Account) -> list[EventSource]:
    """The mappings of both queues. CliError when one of the queues has none. Raises ClientError."""
    found: list[EventSource] = []
    for queue in QUEUES:
        theirs = event_sources(account, queue)
        if not theirs:
            raise CliError(f"nothing takes {queue}: the event source mapping is gone; deploy again")
        found += theirs
    return found


def is_paused(account: Account) -> bool | None:
    """Whether the forwarder is paused; None for somebody who may not look."""
    try:
        return all(source.is_paused for source in event_sources(account, "events"))
    except ClientError:
        return None


def switch(account: Account, sources: Iterable[EventSource], *, enabled: bool, clock: Stopwatch) -> list[EventSource]:
    """Enables or disables the mappings, and waits until Lambda has done it. CliError when it takes too long; raises
    ClientError. What is done may be done again."""
    ends = clock.now() + _SWITCH_SECONDS
    for source in sources:
        while not _switched(account, source, enabled=enabled):
            _wait(clock, ends)
    while True:
        now = all_sources(account)
        if all(source.state == ("Enabled" if enabled else "Disabled") for source in now):
            return now
        _wait(clock, ends)


def _switched(account: Account, source: EventSource, *, enabled: bool) -> bool:
    try:
        account.client("lambda").update_event_source_mapping(UUID=source.id, Enabled=enabled)
    except ClientError as error:
        if error.response["Error"]["Code"] != _IN_USE:
            raise
        return False
    return True


def _wait(clock: Stopwatch, ends: float) -> None:
    if clock.now() + _PAUSE_SECONDS > ends:
        raise CliError("Lambda is still at it: `bridge check` says how far it is; then the same command once more")
    clock.wait(_PAUSE_SECONDS)
