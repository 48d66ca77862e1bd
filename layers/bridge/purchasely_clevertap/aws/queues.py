"""The queues: what is sent to the parked queue or back to the events queue, and the delay before a retry."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.delivery.entry import Hold
from purchasely_clevertap.delivery.keys import APP
from purchasely_clevertap.delivery.message import (
    Message,
    MessageKind,
    archive_attributes,
    attributes,
    encode_body,
    parked_attributes,
)
from purchasely_clevertap.delivery.result import MessageResult
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.outcome import BUSY, BackfillMode, Parked, Retried

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

_CHANGED_TOGETHER: Final = 10  # SQS, ChangeMessageVisibilityBatch
_SENT_TOGETHER: Final = 10  # SQS, SendMessageBatch: 10 messages and 1 MiB
_BYTES_TOGETHER: Final = 1024 * 1024
_ATTRIBUTE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ParkRequest:
    """An event to be parked: its message as it came, why, and what CleverTap already has of it.

    Without `parked` it goes back to the events queue at once, as a redrive would send it.
    """

    message: Message
    parked: Parked | None
    event_id: str
    event_name: str | None
    accepted: frozenset[str]


class SendQueue:
    """Sends to one queue: the parked queue, or the events queue once more."""

    def __init__(self, sqs: "SQSClient", *, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def send(self, requests: Sequence[ParkRequest], *, now_ms: int) -> list[str | None]:
        """For each of `requests` None when the queue has taken it, else the error's code."""
        return self._send([_entry(index, request, now_ms) for index, request in enumerate(requests)])

    def send_held(self, app: str, held: Sequence[Hold]) -> list[str | None]:
        """Sends events on that waited for a login: the same for each of `held`."""
        return self._send(
            [
                grouped(
                    {
                        "Id": str(index),
                        "MessageBody": hold.body,
                        "MessageAttributes": attributes(app, hold.received_at, MessageKind.HELD),
                    },
                    app,
                )
                for index, hold in enumerate(held)
            ]
        )

    def send_backfill(self, app: str, bodies: Sequence[bytes], mode: BackfillMode, *, now_ms: int) -> list[str | None]:
        """Sends events of a backfill: the same for each of `bodies`."""
        return self._send(
            [
                grouped(
                    {
                        "Id": str(index),
                        "MessageBody": encode_body(body),
                        "MessageAttributes": attributes(app, now_ms, backfill=mode),
                    },
                    app,
                )
                for index, body in enumerate(bodies)
            ]
        )

    def send_lapses(self, app: str, person_keys: Sequence[str], *, now_ms: int) -> list[str | None]:
        """Has the dates of these persons looked at: the same for each of them."""
        return self._send_keys(app, person_keys, MessageKind.LAPSE, now_ms)

    def send_release(self, app: str, person_key: str, *, now_ms: int, delay_seconds: int) -> str | None:
        """Has what waits for this person looked for once more, after so many seconds."""
        return self._send_keys(app, [person_key], MessageKind.RELEASE, now_ms, delay_seconds)[0]

    def send_archive(self, bodies: Sequence[tuple[str, str]], *, now_ms: int) -> list[str | None]:
        """Has what the archive did not take archived later: the same for each of `bodies`, a text with the key of the
        object that it is to become, or with none if it is lines."""
        return self._send(
            [
                {"Id": str(index), "MessageBody": text, "MessageAttributes": archive_attributes(now_ms, object_key)}
                for index, (text, object_key) in enumerate(bodies)
            ]
        )

    def _send_keys(
        self, app: str, person_keys: Sequence[str], kind: MessageKind, now_ms: int, delay_seconds: int = 0
    ) -> list[str | None]:
        return self._send(
            [
                grouped(
                    {
                        "Id": str(index),
                        "MessageBody": encode_body(key.encode()),
                        "MessageAttributes": attributes(app, now_ms, kind),
                        "DelaySeconds": delay_seconds,
                    },
                    app,
                )
                for index, key in enumerate(person_keys)
            ]
        )

    def _send(self, entries: "Sequence[SendMessageBatchRequestEntryTypeDef]") -> list[str | None]:
        errors: list[str | None] = [None] * len(entries)
        for together in _batches(entries):
            try:
                answer = self._sqs.send_message_batch(QueueUrl=self._queue_url, Entries=together)
                # Taken is only what the answer says is taken.
                failed = {entry["Id"]: "unanswered" for entry in together}
                failed |= {entry["Id"]: entry["Code"] for entry in answer.get("Failed", ())}
                for sent in answer.get("Successful", ()):
                    del failed[sent["Id"]]
            except ClientError as error:
                failed = dict.fromkeys((entry["Id"] for entry in together), error.response["Error"]["Code"])
            except BotoCoreError as error:
                failed = dict.fromkeys((entry["Id"] for entry in together), type(error).__name__)
            for index, code in failed.items():
                errors[int(index)] = code
        return errors


class RetryDelays:
    """Delays the retry of messages of the events queue. `chance` gives a random number from 0 to 1."""

    def __init__(
        self, sqs: "SQSClient", *, queue_url: str, retry_policy: RetryPolicy, chance: Callable[[], float]
    ) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._retry_policy = retry_policy
        self._chance = chance

    def delay_retries(self, results: Iterable[MessageResult]) -> list[dict[str, str]]:
        """Hides every retried message for its wait; the answer names them, as ReportBatchItemFailures wants.

        A message that cannot be hidden, and one of the dead-letter queue, comes again after the queue's own
        visibility timeout.
        """
        retried = [each for each in results if isinstance(each.outcome, Retried)]
        hidden = [each for each in retried if not each.message.dead_letter]
        for start in range(0, len(hidden), _CHANGED_TOGETHER):
            self._change(hidden[start : start + _CHANGED_TOGETHER])
        return [{"itemIdentifier": each.message.id} for each in retried]

    def _change(self, together: Sequence[MessageResult]) -> None:
        # Left to the visibility timeout if it fails: the message is safe on the queue either way.
        with suppress(ClientError, BotoCoreError):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": each.message.receipt_handle,
                        "VisibilityTimeout": self._wait(each),
                    }
                    for index, each in enumerate(together)
                ],
            )

    def _wait(self, result: MessageResult) -> int:
        if result.outcome == BUSY:
            return self._retry_policy.wait_while_busy(self._chance)
        if result.message.kind is MessageKind.ARCHIVE:
            return self._retry_policy.wait_to_archive(result.message.receives, self._chance)
        return self._retry_policy.wait(result.message.receives, self._chance)


def grouped(entry: "SendMessageBatchRequestEntryTypeDef", app: str) -> "SendMessageBatchRequestEntryTypeDef":
    """`entry` as one of the messages of `app`: the queue then gives those of other apps first while this app has many
    in flight (SQS, fair queues). A name that no app can have, as somebody put it on a queue by hand, makes no group."""
    return {**entry, "MessageGroupId": app} if APP.fullmatch(app) else entry


def _entry(index: int, request: ParkRequest, now_ms: int) -> "SendMessageBatchRequestEntryTypeDef":
    parked = request.parked
    entry: SendMessageBatchRequestEntryTypeDef = {
        "Id": str(index),
        "MessageBody": encode_body(request.message.body),
        "MessageAttributes": parked_attributes(
            request.message,
            reason=parked.reason if parked else "",
            detail=parked.detail if parked else "",
            code=parked.code if parked else None,
            event_id=request.event_id,
            event_name=request.event_name,
            parked_at=now_ms,
            # What is only to be settled later goes on waiting from where it was.
            first_sent_at=None if parked else request.message.sent_at,
            accepted=request.accepted,
        ),
    }
    # Nobody waits for the parked queue, so there fairness would only cost.
    return entry if parked else grouped(entry, request.message.app)


def _batches(
    entries: "Sequence[SendMessageBatchRequestEntryTypeDef]",
) -> "Iterator[list[SendMessageBatchRequestEntryTypeDef]]":
    together: list[SendMessageBatchRequestEntryTypeDef] = []
    size = 0
    for entry in entries:
        bytes_of_entry = len(entry["MessageBody"].encode()) + _ATTRIBUTE_BYTES
        if together and (len(together) == _SENT_TOGETHER or size + bytes_of_entry > _BYTES_TOGETHER):
            yield together
            together, size = [], 0
        together.append(entry)
        size += bytes_of_entry
    if together:
        yield together
