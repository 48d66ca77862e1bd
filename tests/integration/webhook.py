"""Webhooks as Purchasely sends them, as API Gateway hands them over, and as they stand on the queue."""

import base64
import hashlib
import hmac
import json
from itertools import count
from typing import Any
from uuid import UUID

from purchasely_clevertap.delivery.message import Message, Redrive

type Payload = dict[str, Any]

# 2026-02-02T02:40:00Z, in epoch milliseconds.
NOW_MS = 1_770_000_000_000
SECRET = "a-shared-secret"

_numbers = count(1)


def event(name: str = "SUBSCRIPTION_RENEWED", *, user: str | None = "user-1", at: int = NOW_MS, **more: Any) -> Payload:
    """The payload of an event of `user`'s one subscription; each has an id of its own unless `event_id` is given."""
    person = {"anonymous_user_id": "anon-1"} if user is None else {"user_id": user}
    return {
        "api_version": 3,
        "event_name": name,
        "event_id": str(UUID(int=next(_numbers))),
        "event_created_at_ms": at,
        "environment": "PRODUCTION",
        "store": "APPLE_APP_STORE",
        "product": "premium",
        "plan": "monthly",
        "subscription_status": "AUTO_RENEWING",
        "purchasely_subscription_id": f"subs_{user}",
        "store_transaction_id": "2000000137582598",
        **person,
        **more,
    }


def transaction(*, amount: float = 9.99, **more: Any) -> Payload:
    """The payload of a payment, which makes an event record and, when it is positive, a Charged record."""
    return event("TRANSACTION_PROCESSED", amount_in_customer_currency=amount, customer_currency="EUR", **more)


def encoded(payload: Payload | bytes) -> bytes:
    """The body of a webhook."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def message(
    payload: Payload | bytes,
    *,
    id: str | None = None,
    app: str = "default",
    sent_at: int = NOW_MS,
    receives: int = 1,
    dead_letter: bool = False,
    redrive: Redrive | None = None,
) -> Message:
    """A message of the queue that brings `payload`."""
    id = id or f"message-{next(_numbers)}"
    return Message(
        id=id,
        app=app,
        body=encoded(payload),
        received_at=sent_at,
        sent_at=sent_at,
        receives=receives,
        receipt_handle=f"receipt-of-{id}",
        dead_letter=dead_letter,
        redrive=redrive,
    )


def signed(body: bytes, *, secret: str = SECRET, timestamp: str = str(NOW_MS // 1000)) -> dict[str, str]:
    """The headers of a genuine webhook, named as API Gateway names them."""
    signature = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-purchasely-request-signature": signature,
        "x-purchasely-timestamp": timestamp,
    }


def gateway_event(
    body: bytes, headers: dict[str, str], *, app: str = "default", as_base64: bool = False
) -> dict[str, Any]:
    """The request as an HTTP API hands it to a function (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": "POST /webhooks/{app}",
        "rawPath": f"/webhooks/{app}",
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": {"method": "POST", "path": f"/webhooks/{app}"}, "requestId": "JKJaXmPLvHcESHA="},
        "pathParameters": {"app": app},
        "body": base64.b64encode(body).decode() if as_base64 else body.decode(),
        "isBase64Encoded": as_base64,
    }
