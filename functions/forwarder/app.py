"""The forwarder function: a batch of queued webhooks in, CleverTap's records out, the failed messages back."""

import os
import random
import time
import uuid
from typing import Any

from purchasely_clevertap import startup
from purchasely_clevertap.aws.build import Clock, Connections, Resources, build_forwarder
from purchasely_clevertap.aws.clients import Clients
from purchasely_clevertap.aws.lambda_context import Invocation
from purchasely_clevertap.aws.queues import RetryDelays
from purchasely_clevertap.aws.user_hash_key import UserHashKey
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.delivery.message import from_lambda
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.telemetry.logger import Logger
from purchasely_clevertap.telemetry.report import Report


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


_clients = Clients.of_forwarder()
_sqs = _clients.sqs()
_archive_stream = os.environ["ARCHIVE_STREAM"]  # empty without an archive
_retry_policy = RetryPolicy(float(os.environ["RETRY_BASE_SECONDS"]), float(os.environ["RETRY_MAX_SECONDS"]))
_logger = Logger(service="forwarder", stage=os.environ["STAGE"], least=os.environ["LOG_LEVEL"])
# The key is for the log alone, so no event waits for it.
_user_key = UserHashKey(_clients.secretsmanager_for_log(seconds=1), stage=os.environ["STAGE"], clock=time.monotonic)
_report = Report(_logger, clock=_now_ms, retry_policy=_retry_policy, user_key=_user_key)
_delays = RetryDelays(_sqs, queue_url=os.environ["EVENTS_QUEUE_URL"], retry_policy=_retry_policy, chance=random.random)
_forwarder = build_forwarder(
    Connections(
        _sqs,
        _clients.dynamodb_for_batches(),
        _clients.secretsmanager(),
        _clients.ssm(),
        _clients.firehose_for_archive() if _archive_stream else None,
        _clients.s3_for_archive if _archive_stream else None,
    ),
    Resources(
        stage=os.environ["STAGE"],
        events_queue_url=os.environ["EVENTS_QUEUE_URL"],
        deliveries_table=os.environ["DELIVERIES_TABLE"],
        subscribers_table=os.environ["SUBSCRIBERS_TABLE"],
        parked_queue_url=os.environ["PARKED_QUEUE_URL"],
        subscriber_days=int(os.environ["SUBSCRIBER_RETENTION_DAYS"]),
        suppression_key=os.environ["SUPPRESSION_KEY"],
        archive_stream=_archive_stream,
        archive_bucket=os.environ["ARCHIVE_BUCKET"],
    ),
    Clock(time.monotonic, _now_ms, time.sleep),
    client=Client(),
    endpoint=os.environ["CLEVERTAP_ENDPOINT"],
    owner=uuid.uuid4().hex,
    retry_policy=_retry_policy,
    settings_refused=_report.settings_refused,
    profile_unreadable=_report.profile_unreadable,
    statement_refused=_report.statement_refused,
)
startup.ended()


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    """Forwards the batch; answers with the messages that come again (ReportBatchItemFailures)."""
    _logger.start_request(context.aws_request_id)
    messages = [from_lambda(record, dead_letter_arn=os.environ["DEAD_LETTER_QUEUE_ARN"]) for record in event["Records"]]
    forwarded = _forwarder.forward(messages, lambda: context.get_remaining_time_in_millis() / 1000)
    _report.forwarded(forwarded)
    return {"batchItemFailures": _delays.delay_retries(forwarded.messages)}
