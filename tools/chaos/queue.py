"""An SQS standard queue in ledger, with the things that a standard queue does to its users: any order, at least once.

Sources: docs.aws.amazon.com, SQS developer guide (visibility timeout, dead-letter queues, standard queues and their
quotas, fair queues) and SendMessage (what a message may hold).
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

_BYTES = 1024 * 1024
_RETENTION_SECONDS = 14 * 24 * 3600
_MOST_HIDDEN_SECONDS = 12 * 3600
_MOST_DELAYED_SECONDS = 900
_ATTRIBUTES = 10
_GROUP = re.compile(r"[!-~]{1,128}")
MOST_HIDDEN = 120_000  # SQS hands out nothing more while so many messages are received and not deleted
# Fair queues: a group is noisy that has more than this share of the hidden messages, and at least so many of them.
_NOISY_SHARE = 0.1
_NOISY_MESSAGES = 30
_NOT_CARRIED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class InvalidMessage(Exception):
    """SQS does not take a message like this."""


@dataclass(slots=True)
class QueuedMessage:
    """A message on a queue. Times are epoch seconds; `attributes` are the message attributes as they were sent."""

    id: str
    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    sent_at: float
    visible_at: float
    group: str | None = None
    receives: int = 0
    first_received_at: float = 0.0
    handles: set[str] = field(default_factory=set)


class Queue:
    """`dead_letters` takes what was received `most_receives` times. `seconds` is the clock.

    With `is_fair` the messages of groups that have many hidden ones come last. AWS names the thresholds and says that
    they are approximate, so the other runs do without.
    """

    def __init__(
        self,
        name: str,
        *,
        seconds: Callable[[], float],
        random: Random,
        visibility: float = 30.0,
        dead_letters: "Queue | None" = None,
        most_receives: int = 1000,
        most_hidden: int = MOST_HIDDEN,
        is_fair: bool = False,
    ) -> None:
        self.name = name
        self.url = f"https://sqs.eu-west-1.amazonaws.com/123456789012/{name}"
        self.arn = f"arn:aws:sqs:eu-west-1:123456789012:{name}"
        self.expired = 0
        self.hidden_at_once = 0
        self._seconds = seconds
        self._random = random
        self._visibility = visibility
        self._dead_letters = dead_letters
        self._most_receives = most_receives
        self._most_hidden = most_hidden
        self._is_fair = is_fair
        self._messages: dict[str, QueuedMessage] = {}

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> list[QueuedMessage]:
        """All that is on the queue, hidden or not."""
        return list(self._messages.values())

    @property
    def next_visible_at(self) -> float | None:
        """When the next message can be received; None for an empty queue."""
        return min((message.visible_at for message in self._messages.values()), default=None)

    def send(
        self, body: str, attributes: Mapping[str, Mapping[str, Any]], *, delay: int = 0, group: str | None = None
    ) -> str:
        """The id of the new message, which is hidden for `delay` seconds at first. Raises `InvalidMessage`."""
        size = len(body.encode()) + sum(
            len(name) + len(value["DataType"]) + len(value["StringValue"].encode())
            for name, value in attributes.items()
        )
        texts = [body, *(value["StringValue"] for value in attributes.values())]
        if (
            size > _BYTES
            or len(attributes) > _ATTRIBUTES
            or not all(texts)
            or any(map(_NOT_CARRIED.search, texts))
            or not 0 <= delay <= _MOST_DELAYED_SECONDS
            or (group is not None and not _GROUP.fullmatch(group))
        ):
            raise InvalidMessage
        message = QueuedMessage(self._id(), body, attributes, self._seconds(), self._seconds() + delay, group)
        self._messages[message.id] = message
        return message.id

    def receive(self, most: int, *, again: float = 0.0) -> list[tuple[QueuedMessage, str]]:
        """Up to `most` visible messages in any order, each with its receipt handle, hidden for the queue's time.

        `again` is the share of them that stays visible too: SQS may deliver a message more than once.
        """
        now = self._seconds()
        self._forget(now)
        received: list[tuple[QueuedMessage, str]] = []
        for message in self._chosen(most, now):
            if message.receives >= self._most_receives and self._dead_letters is not None:
                self._dead_letters.take(message, now)
                del self._messages[message.id]
                continue
            message.receives += 1
            message.first_received_at = message.first_received_at or now
            if self._random.random() >= again:
                message.visible_at = now + self._visibility
            handle = f"{message.id}/{message.receives}"
            message.handles.add(handle)
            received.append((message, handle))
        return received

    def _hidden(self, now: float) -> Counter[str]:
        """How many messages are received and not deleted, by group. What has none is a group of its own."""
        return Counter(
            message.group or message.id
            for message in self._messages.values()
            if message.receives and message.visible_at > now
        )

    def _chosen(self, most: int, now: float) -> list[QueuedMessage]:
        hidden = self._hidden(now)
        all_hidden = hidden.total()
        self.hidden_at_once = max(self.hidden_at_once, all_hidden)
        room = min(most, self._most_hidden - all_hidden)
        if room <= 0:
            return []
        ranks: dict[int, list[QueuedMessage]] = {}
        for message in self._messages.values():
            if message.visible_at <= now:
                theirs = hidden[message.group or message.id] if self._is_fair else 0
                is_noisy = theirs >= _NOISY_MESSAGES and theirs > _NOISY_SHARE * all_hidden
                ranks.setdefault(theirs if is_noisy else 0, []).append(message)
        chosen: list[QueuedMessage] = []
        for _, messages in sorted(ranks.items()):
            chosen += self._random.sample(messages, min(max(room - len(chosen), 0), len(messages)))
        return chosen

    def take(self, message: QueuedMessage, now: float) -> None:
        """Takes over a message of another queue; it keeps its id and its age."""
        self._messages[message.id] = QueuedMessage(
            message.id, message.body, message.attributes, message.sent_at, now, message.group
        )

    def remove(self, message_id: str) -> None:
        """Removes a message, received or not."""
        del self._messages[message_id]

    def delete(self, handle: str, *, comes_again: bool = False) -> None:
        """Deletes the message of a receipt; if it is gone already nothing happens.

        `comes_again`: one of SQS's own copies missed the deletion, so the message is received once more.
        """
        message = self._held(handle)
        if message is not None and not comes_again:
            del self._messages[message.id]

    def hide(self, handle: str, seconds: float) -> bool:
        """Hides a received message for so long from now; false for a handle that SQS would refuse."""
        message = self._held(handle)
        if message is None or not 0 <= seconds <= _MOST_HIDDEN_SECONDS:
            return False
        message.visible_at = self._seconds() + seconds
        return True

    def _held(self, handle: str) -> QueuedMessage | None:
        message = self._messages.get(handle.partition("/")[0])
        return message if message is not None and handle in message.handles else None

    def _forget(self, now: float) -> None:
        for message in self.messages:
            if now - message.sent_at > _RETENTION_SECONDS:
                del self._messages[message.id]
                self.expired += 1

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))
