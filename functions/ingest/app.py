"""The ingest function: API Gateway's request in, Purchasely's answer out."""

import os
import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from purchasely_clevertap.clients import Clients
from purchasely_clevertap.door import Door, Refused, Request
from purchasely_clevertap.receipt import Receipts
from purchasely_clevertap.secret import Secrets

logger = Logger()
metrics = Metrics()

# Purchasely waits 10 s for an answer: whatever does not answer by then must have failed before.
_clients = Clients(connect_timeout=1, read_timeout=2, attempts=2)

_door = Door(
    Secrets(
        _clients.secretsmanager(),
        stage=os.environ["STAGE"],
        name="purchasely",
        clock=time.monotonic,
    ),
    _clients.sqs(),
    queue_url=os.environ["EVENTS_QUEUE_URL"],
    tolerance=float(os.environ["SIGNATURE_TOLERANCE_SECONDS"]),
)
_receipts = Receipts(_clients.dynamodb(), table=os.environ["DELIVERIES_TABLE"])


@metrics.log_metrics
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answers 200 once the queue has the webhook, else what design decision 1 says."""
    now = time.time()
    request = Request.from_gateway(event)
    answer = _door.receive(request, now=now)
    metrics.add_dimension("stage", os.environ["STAGE"])
    if isinstance(answer, Refused):
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        metrics.add_metadata("reason", answer.reason)
        logger.warning("refused", app=request.app, reason=answer.reason, status=answer.status, detail=answer.detail)
        return {"statusCode": answer.status, "body": ""}
    metrics.add_metric("Accepted", MetricUnit.Count, 1)
    noted = _receipts.note(request.app, answer.body, answer.message_id, now_ms=int(now * 1000))
    if not noted:
        metrics.add_metric("UnnotedReceipts", MetricUnit.Count, 1)
    logger.info("accepted", app=request.app, message_id=answer.message_id, bytes=len(answer.body), noted=noted)
    return {"statusCode": 200, "body": ""}
