"""The note of a received webhook in the ledger, made by ingest: the balance then has a witness beside the forwarder."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.delivery.keys import RETENTION_SECONDS, entry_key
from purchasely_clevertap.purchasely.event_id import event_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ReceivedNotes:
    """Writes to the deliveries table."""

    def __init__(self, dynamodb: "DynamoDBClient", *, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def note(self, app: str, body: bytes, message_id: str, *, now_ms: int) -> bool:
        """Notes that the SQS message `message_id` brought the event in `body`; false if DynamoDB refused the note.

        The queue has the event by then and the forwarder makes the same note, so a failure loses nothing.
        """
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"event": {"S": entry_key(app, event_id(body))}},
                UpdateExpression="ADD messages :message "
                "SET received_at = if_not_exists(received_at, :now), expires_at = if_not_exists(expires_at, :expires)",
                ExpressionAttributeValues={
                    ":message": {"SS": [message_id]},
                    ":now": {"N": str(now_ms)},
                    ":expires": {"N": str(now_ms // 1000 + RETENTION_SECONDS)},
                },
            )
        except (ClientError, BotoCoreError):
            return False
        return True
