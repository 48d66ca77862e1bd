"""The queue of events that wait for a person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.delivery.message import Message, encode_body, parked_attributes
from purchasely_clevertap.outcome import Parked

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

_SENT_TOGETHER: Final = 10  # SQS, SendMessageBatch: 10 messages and 1 MiB
_BYTES_TOGETHER: Final = 1024 * 1024
_ATTRIBUTE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Parking:
    """An event to be parked: its message as it came, why, and what CleverTap already has of it.

    Without a reason it is not parked but goes back at once, as a redrive would send it.
    """

    message: Message
    parked: Parked | None
    event_id: str
    event_name: str | None
    accepted: frozenset[str]


class ParkedQueue:
    """Sends to the parked queue."""

    def __init__(self, sqs: "SQSClient", *, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def send(self, parkings: Sequence[Parking], *, now_ms: int) -> list[str | None]:
        """For each of `parkings` None when the queue has taken it, else the error's code."""
        errors: list[str | None] = [None] * len(parkings)
        for together in _batches([_entry(index, parking, now_ms) for index, parking in enumerate(parkings)]):
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


def _entry(index: int, parking: Parking, now_ms: int) -> "SendMessageBatchRequestEntryTypeDef":
    parked = parking.parked
    return {
        "Id": str(index),
        "MessageBody": encode_body(parking.message.body),
        "MessageAttributes": parked_attributes(
            parking.message,
            reason=parked.reason if parked else "",
            detail=parked.detail if parked else "",
            code=parked.code if parked else None,
            event_id=parking.event_id,
            event_name=parking.event_name,
            parked_at=now_ms,
            accepted=parking.accepted,
        ),
    }


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
