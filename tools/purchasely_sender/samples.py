"""Sample inputs, the same on every run: webhook bodies, and what the two functions are invoked with.

`write` makes the files of the repository's folder `events`; its README says how they are used.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from .lifecycles import LIFECYCLES
from .names import ENTITLEMENT, EVENT_NAMES, ONE_TIME_NAMES, UNKNOWN_EVENT
from .payload import Payload, encode, moved
from .webhook import Webhook, signed

SAMPLE_SECRET = "sample-shared-secret"  # noqa: S105 - it signs nothing but these files
# 2026-02-02T02:40:00Z: when the requests were signed. Every sample event was created in the second before.
SAMPLE_TIMESTAMP = 1_770_000_000

_MOMENT = datetime.fromtimestamp(SAMPLE_TIMESTAMP, UTC)
_REGION, _AWS_ACCOUNT, _API = "eu-west-1", "123456789012", "a1b2c3d4e5"


def events() -> dict[str, Payload]:
    """One event of each known name, and an unknown one, by name.

    ACTIVATE and DEACTIVATE of a one-time purchase have the names that the bridge gives them.
    """
    found: dict[str, Payload] = {}
    for event in chain.from_iterable(scenario(1, _MOMENT).events for scenario in LIFECYCLES.values()):
        name = event["event_name"]
        if name in ENTITLEMENT and "purchasely_one_time_purchase_id" in event:
            name = f"ONE_TIME_PURCHASE_{name}D"
        found.setdefault(name, _recent(event))
    return {name: found[name] for name in (*EVENT_NAMES, *ONE_TIME_NAMES, UNKNOWN_EVENT)}


def files() -> dict[str, Any]:
    """The JSON of each file, by its path."""
    return {
        **{f"purchasely/{name}.json": event for name, event in events().items()},
        **{f"ingest/{name}.json": event for name, event in _ingest().items()},
        **{f"forwarder/{name}.json": event for name, event in _forwarder().items()},
    }


def write(directory: Path) -> int:
    """Writes all files under `directory` and says how many they are."""
    content = files()
    for name, value in content.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return len(content)


def _recent(event: Payload) -> Payload:
    """The event in the second before the sample moment; by whole seconds, because stores date to the second."""
    return moved(event, (SAMPLE_TIMESTAMP * 1000 - event["event_created_at_ms"]) // 1000 * 1000)


def _ingest() -> Mapping[str, Payload]:
    event = events()["SUBSCRIPTION_STARTED"]
    good = signed(event, SAMPLE_SECRET, SAMPLE_TIMESTAMP)
    accented = next(event for event in events().values() if not encode(event).isascii())
    return {
        "text_body": gateway_request("default", good),
        "base64_body": gateway_request("default", signed(accented, SAMPLE_SECRET, SAMPLE_TIMESTAMP), base64=True),
        "bad_signature": gateway_request("default", signed(event, "another-secret", SAMPLE_TIMESTAMP)),
        "unknown_app": gateway_request("no-such-app", good),
    }


def gateway_request(app: str, webhook: Webhook, *, base64: bool = False) -> Payload:
    """What API Gateway makes of `webhook`: an HTTP API event of payload format 2.0."""
    host, path, route = f"{_API}.execute-api.{_REGION}.amazonaws.com", f"/webhooks/{app}", "POST /webhooks/{app}"
    sent = {name.lower(): value for name, value in webhook.headers.items()}
    headers = {
        **sent,
        "content-length": str(len(webhook.body)),
        "host": host,
        "x-forwarded-for": "203.0.113.10",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": dict(sorted(headers.items())),
        "requestContext": {
            "accountId": _AWS_ACCOUNT,
            "apiId": _API,
            "domainName": host,
            "domainPrefix": _API,
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.10",
                "userAgent": headers["user-agent"],
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route,
            "stage": "$default",
            "time": _MOMENT.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": SAMPLE_TIMESTAMP * 1000,
        },
        "pathParameters": {"app": app},
        "body": b64encode(webhook.body).decode() if base64 else webhook.body.decode(),
        "isBase64Encoded": base64,
    }


def _forwarder() -> Mapping[str, Payload]:
    event = {name: encode(event).decode() for name, event in events().items()}
    sandbox = encode(_recent(LIFECYCLES["sandbox"](1, _MOMENT).events[1])).decode()
    binary = b"\xff\xfe" + event["ACTIVATE"].encode()
    return {
        "one_message": batch(queue_message(event["SUBSCRIPTION_STARTED"])),
        "apps_and_environments": batch(
            queue_message(event["SUBSCRIPTION_RENEWED"]),
            queue_message(event["TRANSACTION_PROCESSED"]),
            queue_message(sandbox),
            queue_message(event["RENEWAL_DISABLED"], app="second-app"),
        ),
        "malformed_body": batch(queue_message(event["TRIAL_STARTED"][:-1])),
        "binary_body": batch(queue_message(f"data:;base64,{b64encode(binary).decode()}")),
        "dead_letter": batch(queue_message(event["TRIAL_CONVERTED"], queue="DeadLetterQueue")),
    }


def batch(*messages: Payload) -> Payload:
    """What Lambda hands the forwarder: messages of `queue_message`."""
    return {"Records": list(messages)}


def queue_message(
    body: str, app: str = "default", queue: str = "EventsQueue", sent: int = SAMPLE_TIMESTAMP * 1000
) -> Payload:
    """A message as Lambda gets it from SQS, with the attributes that ingest puts on it; `sent` in epoch ms."""
    random = Random(f"{app} {queue} {body}")  # noqa: S311 - an id, not a secret
    queues = f"arn:aws:sqs:{_REGION}:{_AWS_ACCOUNT}:purchasely-clevertap-dev"
    dead = {"DeadLetterQueueSourceArn": f"{queues}-EventsQueue"} if queue == "DeadLetterQueue" else {}
    return {
        "messageId": str(UUID(int=random.getrandbits(128), version=4)),
        "receiptHandle": "sample-receipt-handle",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(sent),
            "SenderId": "AROAEXAMPLE:ingest",
            "ApproximateFirstReceiveTimestamp": str(sent + 20),
            **dead,
        },
        "messageAttributes": {
            "app": {"stringValue": app, "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            "received_at": {
                "stringValue": str(sent),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "Number",
            },
        },
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"{queues}-{queue}",
        "awsRegion": _REGION,
    }
