"""The note that a webhook was accepted, made at ingest, so that the balance does not rest on the forwarder's word."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.purchasely.event_id import event_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REMEMBERED_SECONDS = 30 * 24 * 3600


class Receipts:
    """Writes to the deliveries table."""

    def __init__(self, dynamodb: "DynamoDBClient", *, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def note(self, app: str, body: bytes, message_id: str, *, now_ms: int) -> bool:
        """Notes that `message_id` brought the event in `body`; false if DynamoDB did not take the note.

        The event is on the queue by then and the forwarder makes the same note, so a failure loses nothing.
        """
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"event": {"S": f"{app}#{event_id(body)}"}},
                UpdateExpression="ADD messages :message "
                "SET received_at = if_not_exists(received_at, :now), expires_at = if_not_exists(expires_at, :expires)",
                ExpressionAttributeValues={
                    ":message": {"SS": [message_id]},
                    ":now": {"N": str(now_ms)},
                    ":expires": {"N": str(now_ms // 1000 + REMEMBERED_SECONDS)},
                },
            )
        except (ClientError, BotoCoreError):
            return False
        return True
