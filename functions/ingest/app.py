"""The ingest function: API Gateway's request in, Purchasely's answer out."""

import os
import time
from typing import Any

from purchasely_clevertap import startup
from purchasely_clevertap.aws.clients import Clients
from purchasely_clevertap.aws.lambda_context import Invocation
from purchasely_clevertap.aws.received import Receipts
from purchasely_clevertap.aws.secrets import Secrets
from purchasely_clevertap.ingest import Refused, Request, WebhookReceiver
from purchasely_clevertap.purchasely.signature import Refusal
from purchasely_clevertap.telemetry.logger import Level, Logger
from purchasely_clevertap.telemetry.metrics import Metric

_logger = Logger(service="ingest", stage=os.environ["STAGE"], least=os.environ["LOG_LEVEL"])

# Purchasely waits 10 s for an answer: whatever does not answer by then must have failed before.
_clients = Clients(connect_timeout=1, read_timeout=2, attempts=2)

_ingest = WebhookReceiver(
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
startup.ended()


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    """Answers 200 once the queue has the webhook, else what design decision 1 says."""
    _logger.start_request(context.aws_request_id)
    now = time.time()
    request = Request.from_gateway(event)
    answer = _ingest.receive(request, now=now)
    if isinstance(answer, Refused):
        _logger.log(
            Level.WARNING,
            "refused",
            app=request.named_app,
            reason=answer.reason,
            status=answer.status,
            detail=answer.detail,
        )
        _logger.add_metrics({Metric.REFUSED: 1}, reason=answer.reason)
        if isinstance(answer.reason, Refusal):
            _logger.add_metrics({Metric.BAD_SIGNATURES: 1})
        return {"statusCode": answer.status, "body": ""}
    noted = _receipts.note(request.app, answer.body, answer.message_id, now_ms=int(now * 1000))
    _logger.log(
        Level.INFO,
        "accepted",
        app=request.app,
        message_id=answer.message_id,
        bytes=len(answer.body),
        noted=noted,
        signed_with="former" if answer.former_secret else None,
    )
    _logger.add_metrics({Metric.ACCEPTED: 1})
    if not noted:
        _logger.add_metrics({Metric.UNNOTED_RECEIPTS: 1})
    return {"statusCode": 200, "body": ""}
