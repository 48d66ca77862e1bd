"""The sweep function: every quarter of an hour it goes on with the sweep of the day, until that is done."""

import os
import time
from typing import Any

from purchasely_clevertap import startup
from purchasely_clevertap.aws.clients import Clients
from purchasely_clevertap.aws.lambda_context import Invocation
from purchasely_clevertap.aws.queues import SendQueue
from purchasely_clevertap.sweep import Sweep
from purchasely_clevertap.telemetry.logger import Level, Logger


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


_clients = Clients(connect_timeout=2, read_timeout=10, attempts=4)
_logger = Logger(service="sweep", stage=os.environ["STAGE"], least=os.environ["LOG_LEVEL"])
_sweep = Sweep(
    _clients.dynamodb(),
    SendQueue(_clients.sqs(), queue_url=os.environ["EVENTS_QUEUE_URL"]),
    deliveries=os.environ["DELIVERIES_TABLE"],
    subscribers=os.environ["SUBSCRIBERS_TABLE"],
    clock=_now_ms,
)
startup.ended()


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    """Answers what was sent on, and whether the sweep of the day is done."""
    del event
    _logger.start_request(context.aws_request_id)
    swept = _sweep.run(lambda: context.get_remaining_time_in_millis() / 1000)
    _logger.log(Level.INFO, "swept", **swept._asdict())
    return swept._asdict()
