"""The ingest function: API Gateway's request in, Purchasely's answer out."""

import os
import time
from typing import Any

from purchasely_clevertap import start
from purchasely_clevertap.clients import Clients
from purchasely_clevertap.door import Door, Refused, Request
from purchasely_clevertap.invocation import Invocation
from purchasely_clevertap.journal import Journal, Level
from purchasely_clevertap.metric import Metric
from purchasely_clevertap.purchasely.signature import Refusal
from purchasely_clevertap.receipt import Receipts
from purchasely_clevertap.secret import Secrets

_journal = Journal(service="ingest", stage=os.environ["STAGE"], least=os.environ["LOG_LEVEL"])

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
start.ended()


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    """Answers 200 once the queue has the webhook, else what design decision 1 says."""
    _journal.began(context.aws_request_id)
    now = time.time()
    request = Request.from_gateway(event)
    answer = _door.receive(request, now=now)
    if isinstance(answer, Refused):
        _journal.tell(
            Level.WARNING,
            "refused",
            app=request.named_app,
            reason=answer.reason,
            status=answer.status,
            detail=answer.detail,
        )
        _journal.measure({Metric.REFUSED: 1}, reason=answer.reason)
        if isinstance(answer.reason, Refusal):
            _journal.measure({Metric.BAD_SIGNATURES: 1})
        return {"statusCode": answer.status, "body": ""}
    noted = _receipts.note(request.app, answer.body, answer.message_id, now_ms=int(now * 1000))
    _journal.tell(
        Level.INFO,
        "accepted",
        app=request.app,
        message_id=answer.message_id,
        bytes=len(answer.body),
        noted=noted,
        signed_with="former" if answer.former_secret else None,
    )
    _journal.measure({Metric.ACCEPTED: 1})
    if not noted:
        _journal.measure({Metric.UNNOTED_RECEIPTS: 1})
    return {"statusCode": 200, "body": ""}
