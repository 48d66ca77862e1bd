"""The forwarder function: a batch of queued webhooks in, CleverTap's records out, the failed messages back."""

import os
import random
import time
import uuid
from typing import Any

from purchasely_clevertap import start
from purchasely_clevertap.breaker import Breaker
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clients import Clients
from purchasely_clevertap.credentials import CredentialsStore
from purchasely_clevertap.forwarding import Forwarder
from purchasely_clevertap.invocation import Invocation
from purchasely_clevertap.journal import Journal
from purchasely_clevertap.memory import Memory
from purchasely_clevertap.message import from_lambda
from purchasely_clevertap.observation import Observation
from purchasely_clevertap.parked_queue import ParkedQueue
from purchasely_clevertap.retry import Patience
from purchasely_clevertap.returning import Returns
from purchasely_clevertap.secret import Secrets
from purchasely_clevertap.settings_store import SettingsStore


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# Both well within the seconds kept back for settling.
_clients = Clients(connect_timeout=2, read_timeout=5, attempts=4)
_sqs = _clients.sqs()
_patience = Patience(float(os.environ["RETRY_BASE_SECONDS"]), float(os.environ["RETRY_MAX_SECONDS"]))
_journal = Journal(service="forwarder", stage=os.environ["STAGE"], least=os.environ["LOG_LEVEL"])
_observation = Observation(_journal, clock=_now_ms, patience=_patience, user_key=os.environ["USER_KEY"])
_returns = Returns(_sqs, queue_url=os.environ["EVENTS_QUEUE_URL"], patience=_patience, chance=random.random)

_forwarder = Forwarder(
    memory=Memory(
        _clients.dynamodb_for_batches(),
        deliveries=os.environ["DELIVERIES_TABLE"],
        subscribers=os.environ["SUBSCRIBERS_TABLE"],
        pause=time.sleep,
    ),
    client=Client(),
    settings=SettingsStore(
        _clients.ssm(),
        stage=os.environ["STAGE"],
        clock=time.monotonic,
        refused=_observation.settings_refused,
    ),
    credentials=CredentialsStore(
        Secrets(
            _clients.secretsmanager(),
            stage=os.environ["STAGE"],
            name="clevertap",
            clock=time.monotonic,
        ),
        endpoint=os.environ["CLEVERTAP_ENDPOINT"],
    ),
    parked=ParkedQueue(_sqs, queue_url=os.environ["PARKED_QUEUE_URL"]),
    events=ParkedQueue(_sqs, queue_url=os.environ["EVENTS_QUEUE_URL"]),
    breaker=Breaker(base=_patience.base, most=min(_patience.most, 300), clock=time.monotonic),
    patience=_patience,
    clock=_now_ms,
    owner=uuid.uuid4().hex,
)
start.ended()


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    """Forwards the batch; answers with the messages that come again (ReportBatchItemFailures)."""
    _journal.began(context.aws_request_id)
    messages = [from_lambda(record, dead_letter_arn=os.environ["DEAD_LETTER_QUEUE_ARN"]) for record in event["Records"]]
    forwarded = _forwarder.forward(messages, lambda: context.get_remaining_time_in_millis() / 1000)
    _observation.forwarded(forwarded)
    return {"batchItemFailures": _returns.hide(forwarded.handled)}
