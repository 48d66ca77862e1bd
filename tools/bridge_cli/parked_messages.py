"""The messages of the parked queue: held while they are looked at, sent back, removed.

Those of the dead-letter queue are taken in the same way; ingest has sent them, so they have fewer attributes.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from bridge_cli.account import Account, is_denied
from bridge_cli.cli_error import CliError
from bridge_cli.deliveries import EventKey
from bridge_cli.output import working
from bridge_cli.queues import count
from purchasely_clevertap.aws.queues import grouped
from purchasely_clevertap.delivery.message import ABOUT_PERSONS, decode_body, kind_of
from purchasely_clevertap.purchasely.event_id import event_id as id_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        MessageAttributeValueOutputTypeDef,
        MessageAttributeValueTypeDef,
        MessageTypeDef,
    )

HOLD_SECONDS: Final = 900
"""For how long a held message is hidden from everybody else, should the command die with it."""

WAIT_SECONDS = 1
"""For how long an empty queue is waited at: any time makes SQS ask all its servers, not some."""

UNKNOWN: Final = "unknown"

_AT_ONCE: Final = 10  # SQS: messages a call
_BYTES_AT_ONCE: Final = 1024 * 1024  # SQS: bytes of a SendMessageBatch, attributes included
_ATTRIBUTE_BYTES: Final = 16 * 1024
_CALLS_AT_ONCE: Final = 8
_EMPTY_ROUNDS: Final = 3  # SQS may have nothing to give though there is something
_SAFETY_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A message of the parked queue, its body as SQS has it. Times are epoch milliseconds.

    A message that somebody put there by hand has no attributes; then the body says what it can.
    """

    id: str
    receipt_handle: str = field(repr=False)
    text: str = field(repr=False)
    attributes: "Mapping[str, MessageAttributeValueOutputTypeDef]"
    sent_at: int

    @classmethod
    def received(cls, message: "MessageTypeDef") -> Self:
        """The message as ReceiveMessage has it."""
        return cls(
            id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            text=message["Body"],
            attributes=message.get("MessageAttributes", {}),
            sent_at=int(message["Attributes"]["SentTimestamp"]),
        )

    @property
    def body(self) -> bytes:
        """The webhook's exact body."""
        return decode_body(self.text)

    @property
    def key(self) -> EventKey:
        """The app and the event id."""
        return self.app, self.event_id

    @property
    def app(self) -> str:
        return self._given("app") or ""

    @property
    def event_id(self) -> str:
        return self._given("event_id") or id_of(self.body)

    @property
    def reason(self) -> str:
        return self._given("reason") or UNKNOWN

    @property
    def detail(self) -> str | None:
        return self._given("detail")

    @property
    def code(self) -> int | None:
        return self._number("code")

    @property
    def event_name(self) -> str | None:
        return self._given("event_name")

    @property
    def received_at(self) -> int | None:
        return self._number("received_at")

    @property
    def parked_at(self) -> int:
        return self._number("parked_at") or self.sent_at

    @property
    def message_id(self) -> str | None:
        """The id under which the webhook was accepted."""
        is_webhook = "received_at" in self.attributes and "parked_at" not in self.attributes and self.is_event
        return self._given("message_id") or (self.id if is_webhook and not self._given("kind") else None)

    @property
    def is_event(self) -> bool:
        """Whether it is an event, and no news of a person, of which there is no entry."""
        given = {name: value.get("StringValue", "") for name, value in self.attributes.items()}
        return kind_of(given) not in ABOUT_PERSONS

    @property
    def accepted(self) -> frozenset[str]:
        """The kinds of record that CleverTap has of it."""
        return frozenset(filter(None, (self._given("accepted") or "").split(",")))

    def _given(self, name: str) -> str | None:
        return self.attributes[name].get("StringValue") if name in self.attributes else None

    def _number(self, name: str) -> int | None:
        text = self._given(name) or ""
        return int(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event and its messages, the newest first: SQS, or a worker that died, may have parked it twice."""

    messages: tuple[ParkedMessage, ...]

    @property
    def newest(self) -> ParkedMessage:
        """What is sent back."""
        return self.messages[0]

    @property
    def key(self) -> EventKey:
        return self.newest.key

    @property
    def accepted(self) -> frozenset[str]:
        """What any of its messages says that CleverTap has."""
        return frozenset().union(*(message.accepted for message in self.messages))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which parked events are meant: those for which everything given holds. Times are epoch milliseconds."""

    event_ids: frozenset[str] = frozenset()
    app: str | None = None
    reason: str | None = None
    event_name: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is given."""
        return self == Choice()

    def of(self, messages: Iterable[ParkedMessage]) -> list[ParkedEvent]:
        """The chosen events, oldest first, each with all its messages.

        An event is chosen when its newest message is: the earlier ones say how it was parked before.
        """
        by_event: dict[EventKey, list[ParkedMessage]] = {}
        for message in messages:
            by_event.setdefault(message.key, []).append(message)
        events = [
            ParkedEvent(tuple(sorted(copies, key=lambda message: (message.parked_at, message.id), reverse=True)))
            for copies in by_event.values()
        ]
        chosen = (event for event in events if self.means(event.newest))
        return sorted(chosen, key=lambda event: (event.newest.parked_at, event.key))

    def means(self, message: ParkedMessage) -> bool:
        """Whether everything given holds for the message."""
        return (
            (not self.event_ids or message.event_id in self.event_ids)
            and self.app in (None, message.app)
            and self.reason in (None, message.reason)
            and self.event_name in (None, message.event_name)
            and (self.since is None or message.parked_at >= self.since)
            and (self.until is None or message.parked_at < self.until)
        )


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of events that were to be sent back."""

    sent: tuple[EventKey, ...]
    failed: Mapping[EventKey, str]
    """Not sent, and why; still parked."""
    kept: tuple[EventKey, ...]
    """Sent, but their message could not be removed: sent again, they are duplicates."""


class TakenMessages:
    """The messages of the parked queue that this command has taken; nobody else sees them before they are released.

    `elsewhere` counts those that another command has.
    """

    def __init__(self, sqs: "SQSClient", queue_url: str, *, clock: Callable[[], float]) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._clock = clock
        self._until = clock() + HOLD_SECONDS - _SAFETY_SECONDS
        self._held: dict[str, ParkedMessage] = {}
        self.elsewhere = 0

    @property
    def messages(self) -> Collection[ParkedMessage]:
        """What is held."""
        return self._held.values()

    def take(self) -> None:
        """Receives everything that stands on the queue."""
        waiting = count(self._sqs, self._queue_url)
        self.elsewhere = waiting.hidden
        empty_rounds = 0
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as calls:
            while empty_rounds < (1 if len(self._held) >= waiting.visible else _EMPTY_ROUNDS):
                left = max(waiting.visible - len(self._held), 1)
                rounds = calls.map(self._receive, range(min(_CALLS_AT_ONCE, math.ceil(left / _AT_ONCE))))
                received = [ParkedMessage.received(each) for listed in rounds for each in listed]
                empty_rounds = 0 if received else empty_rounds + 1
                # One that comes twice has a new receipt handle, and only that one counts.
                self._held.update((message.id, message) for message in received)
                self._in_time()

    def redrive(self, events: Sequence[ParkedEvent], *, to: str) -> Redriven:
        """Sends the events to the queue `to`, then removes their messages: at no time is an event on neither."""
        sent: list[EventKey] = []
        failed: dict[EventKey, str] = {}
        kept: list[EventKey] = []
        for together in _batches(events):
            self._in_time()
            errors = self._send(together, to)
            failed.update((event.key, error) for event, error in zip(together, errors, strict=True) if error)
            gone = [event for event in together if event.key not in failed]
            left = self.remove([message for event in gone for message in event.messages])
            sent += [event.key for event in gone]
            kept += [event.key for event in gone if any(message.id in left for message in event.messages)]
        return Redriven(tuple(sent), failed, tuple(kept))

    def remove(self, messages: Sequence[ParkedMessage]) -> set[str]:
        """Deletes the messages for good; the ids of those that could not be deleted."""
        left = {message.id for message in messages}
        for start in range(0, len(messages), _AT_ONCE):
            together = messages[start : start + _AT_ONCE]
            try:
                answer = self._sqs.delete_message_batch(
                    QueueUrl=self._queue_url,
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": message.receipt_handle}
                        for index, message in enumerate(together)
                    ],
                )
            except (ClientError, BotoCoreError):
                continue
            for deleted in answer.get("Successful", ()):
                message = together[int(deleted["Id"])]
                left.discard(message.id)
                self._held.pop(message.id, None)
        return left

    def release(self) -> None:
        """Gives back what is still held. What cannot be given back comes by itself when the hold is over."""
        messages = list(self._held.values())
        self._held.clear()
        batches = [messages[start : start + _AT_ONCE] for start in range(0, len(messages), _AT_ONCE)]
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as calls:
            list(calls.map(self._show_again, batches))

    def _receive(self, _call: int) -> "list[MessageTypeDef]":
        return self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=_AT_ONCE,
            VisibilityTimeout=HOLD_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", [])

    def _send(self, events: Sequence[ParkedEvent], queue_url: str) -> list[str | None]:
        """For each of the events None when the queue has taken it, else what is said against it."""
        try:
            answer = self._sqs.send_message_batch(
                QueueUrl=queue_url,
                Entries=[
                    grouped(
                        {"Id": str(index), "MessageBody": event.newest.text, "MessageAttributes": _attributes(event)},
                        event.newest.app,
                    )
                    for index, event in enumerate(events)
                ],
            )
        except ClientError as error:
            if is_denied(error):  # so are all others
                raise
            return [error.response["Error"]["Code"]] * len(events)
        except BotoCoreError as error:
            return [type(error).__name__] * len(events)
        errors: list[str | None] = ["unanswered"] * len(events)
        for refused in answer.get("Failed", ()):
            errors[int(refused["Id"])] = refused["Code"]
        for taken in answer.get("Successful", ()):
            errors[int(taken["Id"])] = None
        return errors

    def _show_again(self, messages: Sequence[ParkedMessage]) -> None:
        try:
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message.receipt_handle, "VisibilityTimeout": 0}
                    for index, message in enumerate(messages)
                ],
            )
        except (ClientError, BotoCoreError):
            return

    def _in_time(self) -> None:
        if self._clock() > self._until:
            raise CliError(
                f"this took longer than the {HOLD_SECONDS // 60} minutes for which messages are held, so nothing more "
                "was done; what was not sent back or removed is still parked"
            )


@contextmanager
def taken(account: Account, *, dead_letters: bool = False) -> Iterator[TakenMessages]:
    """Everything on the parked queue, or on the dead-letter queue, hidden from everybody else until the block ends."""
    queue, output = ("dead-letter", "DeadLetterQueueUrl") if dead_letters else ("parked", "ParkedQueueUrl")
    messages = TakenMessages(account.client("sqs"), account.output(output), clock=time.monotonic)
    try:
        with working(f"Reading the {queue} queue …"):
            messages.take()
        yield messages
    finally:
        messages.release()


def _attributes(event: ParkedEvent) -> "dict[str, MessageAttributeValueTypeDef]":
    """Those of the newest message, with what CleverTap has by any of them."""
    attributes: dict[str, Any] = {
        name: {"DataType": value["DataType"], "StringValue": value["StringValue"]}
        for name, value in event.newest.attributes.items()
        if "StringValue" in value
    }
    # By this one the forwarder knows that the event is redriven.
    attributes.setdefault("parked_at", {"DataType": "Number", "StringValue": str(event.newest.parked_at)})
    if event.accepted:
        attributes["accepted"] = {"DataType": "String", "StringValue": ",".join(sorted(event.accepted))}
    return attributes


def _batches(events: Sequence[ParkedEvent]) -> Iterator[list[ParkedEvent]]:
    together: list[ParkedEvent] = []
    size = 0
    for event in events:
        bytes_of_event = len(event.newest.text.encode()) + _ATTRIBUTE_BYTES
        if together and (len(together) == _AT_ONCE or size + bytes_of_event > _BYTES_AT_ONCE):
            yield together
            together, size = [], 0
        together.append(event)
        size += bytes_of_event
    if together:
        yield together
