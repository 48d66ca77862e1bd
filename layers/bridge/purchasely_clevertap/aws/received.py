"""The note of a received webhook in the ledger, made by ingest: the balance then has a witness beside the forwarder."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.delivery.keys import MOST_MESSAGES, RETENTION_SECONDS, entry_key
from purchasely_clevertap.purchasely.event_id import event_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


_REST_SECONDS: Final = 30.0


class ReceivedNotes:
    """Writes to the deliveries table. `clock` gives seconds.

    After a failure it rests for half a minute: a DynamoDB that hangs must not hold up one webhook after the other.
    """

    def __init__(self, dynamodb: "DynamoDBClient", *, table: str, clock: Callable[[], float]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._clock = clock
        self._failed_at = -math.inf

    def note(self, app: str, body: bytes, message_id: str, *, now_ms: int) -> bool:
        """Notes that the SQS message `message_id` brought the event in `body`; false if DynamoDB refused the note.

        The queue has the event by then and the forwarder makes the same note, so a failure loses nothing.
        """
        if self._clock() - self._failed_at < _REST_SECONDS:
            return False
        key = entry_key(app, event_id(body))
        try:
            return self._add_message(key, message_id, now_ms) or self._count(key)
        except (ClientError, BotoCoreError) as error:
            # An item without room says nothing of the others.
            if not (isinstance(error, ClientError) and error.response["Error"]["Code"] == "ValidationException"):
                self._failed_at = self._clock()
            return False

    def _add_message(self, key: str, message_id: str, now_ms: int) -> bool:
        """Whether the entry has room for one more message."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"event": {"S": key}},
                UpdateExpression="ADD messages :message "
                "SET received_at = if_not_exists(received_at, :now), expires_at = if_not_exists(expires_at, :expires)",
                ConditionExpression="attribute_not_exists(messages) OR size(messages) < :most",
                ExpressionAttributeValues={
                    ":message": {"SS": [message_id]},
                    ":now": {"N": str(now_ms)},
                    ":expires": {"N": str(now_ms // 1000 + RETENTION_SECONDS)},
                    ":most": {"N": str(MOST_MESSAGES)},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _count(self, key: str) -> bool:
        self._dynamodb.update_item(
            TableName=self._table,
            Key={"event": {"S": key}},
            UpdateExpression="ADD further_messages :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        return True
