"""The ingest function: API Gateway's request in, Purchasely's response out."""

import os
import time
from http import HTTPStatus
from typing import Any

from purchasely_clevertap import startup
from purchasely_clevertap.aws.build import Connections, Resources, build_receiver
from purchasely_clevertap.aws.clients import Clients
from purchasely_clevertap.aws.lambda_context import Invocation
from purchasely_clevertap.delivery.message import MessageKind
from purchasely_clevertap.ingest import Refused, Request
from purchasely_clevertap.purchasely.signature import SignatureProblem
from purchasely_clevertap.telemetry.logger import Level, Logger
from purchasely_clevertap.telemetry.metrics import Metric

_logger = Logger(service="ingest", stage=os.environ["STAGE"], least=os.environ["LOG_LEVEL"])

_clients = Clients.of_ingest()
_receiver = build_receiver(
    Connections(_clients.sqs(), _clients.dynamodb_for_notes(), _clients.secretsmanager()),
    Resources(
        stage=os.environ["STAGE"],
        events_queue_url=os.environ["EVENTS_QUEUE_URL"],
        deliveries_table=os.environ["DELIVERIES_TABLE"],
    ),
    tolerance=float(os.environ["SIGNATURE_TOLERANCE_SECONDS"]),
    seconds=time.monotonic,
)
startup.ended()


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    """Answers 200 once the queue has the webhook, else what design decision 1 says."""
    _logger.start_request(context.aws_request_id)
    request = Request.from_gateway(event)
    received = _receiver.receive(request, now=time.time())
    if isinstance(received, Refused):
        _logger.log(
            Level.WARNING,
            "refused",
            app=request.named_app,
            reason=received.reason,
            status=received.status,
            detail=received.detail,
        )
        _logger.add_metrics({Metric.REFUSED: 1}, reason=received.reason)
        if isinstance(received.reason, SignatureProblem):
            _logger.add_metrics({Metric.BAD_SIGNATURES: 1})
        if received.status == HTTPStatus.SERVICE_UNAVAILABLE:
            _logger.add_metrics({Metric.UNAVAILABLE: 1})
        if received.is_verified is not None:  # so the app has a secret: nobody can make up values of this dimension
            _logger.add_metrics({Metric.UNVERIFIED: int(not received.is_verified)}, app=request.app, kind=request.kind)
        return {"statusCode": received.status, "body": ""}
    _logger.log(
        Level.INFO,
        "accepted",
        app=request.app,
        message_id=received.message_id,
        bytes=len(request.body),
        noted=received.is_noted,
        signed_with="former" if received.by_former_secret else None,
        kind=None if request.kind is MessageKind.WEBHOOK else request.kind,
    )
    accepted = {Metric.ACCEPTED: 1} if request.kind is MessageKind.WEBHOOK else {}
    _logger.add_metrics({**accepted, Metric.UNVERIFIED: 0}, app=request.app, kind=request.kind)
    if not received.is_noted:
        _logger.add_metrics({Metric.UNNOTED_WEBHOOKS: 1})
    return {"statusCode": 200, "body": ""}
