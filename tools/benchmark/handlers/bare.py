"""What any function that answers and queues costs at least: boto3 as the runtime has it, one client, one message.

Runs in Lambda's runtime, where the benchmark starts it beside the bridge's own functions.
"""

import os
from typing import Any

import boto3

_sqs = boto3.client("sqs")


def handler(event: dict[str, Any], context: object) -> dict[str, int]:  # noqa: ARG001 - Lambda's signature
    """Sends the event's body."""
    _sqs.send_message(QueueUrl=os.environ["EVENTS_QUEUE_URL"], MessageBody=event["body"])
    return {"statusCode": 200}
