"""Reads the deliveries table: one entry for each event that was accepted in the last 30 days."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is remembered of an event. Times are epoch milliseconds; `fate` is None while the event is in flight."""

    app: str
    event_id: str
    messages: frozenset[str] = frozenset()
    received_at: int | None = None
    fate: str | None = None
    reason: str | None = None
    code: int | None = None
    event_name: str | None = None
    event_at: int | None = None
    account: str | None = None
    subscriber: str | None = None
    accepted: frozenset[str] = frozenset()
    attempts: int = 0
    settled_at: int | None = None


def all_deliveries(dynamodb: "DynamoDBClient", table: str, *, app: str | None = None) -> Iterator[Delivery]:
    """Every delivery, of `app` if given. Reads the whole table, page by page."""
    query: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    if app is not None:
        query |= {
            "FilterExpression": "begins_with(#key, :app)",
            "ExpressionAttributeNames": {"#key": "event"},
            "ExpressionAttributeValues": {":app": {"S": f"{app}#"}},
        }
    for page in dynamodb.get_paginator("scan").paginate(**query):
        for item in page["Items"]:
            yield from_item(item)


def delivery(dynamodb: "DynamoDBClient", table: str, *, app: str, event_id: str) -> Delivery | None:
    """The delivery of one event."""
    answer = dynamodb.get_item(TableName=table, Key={"event": {"S": f"{app}#{event_id}"}}, ConsistentRead=True)
    return from_item(answer["Item"]) if "Item" in answer else None


def from_item(item: dict[str, Any]) -> Delivery:
    """The delivery in an item of the table."""
    app, _, event_id = item["event"]["S"].partition("#")
    return Delivery(
        app=app,
        event_id=event_id,
        messages=frozenset(item.get("messages", {}).get("SS", ())),
        received_at=_number(item, "received_at"),
        fate=_text(item, "fate"),
        reason=_text(item, "reason"),
        code=_number(item, "code"),
        event_name=_text(item, "event_name"),
        event_at=_number(item, "event_at"),
        account=_text(item, "account"),
        subscriber=_text(item, "subscriber"),
        accepted=frozenset(item.get("accepted", {}).get("SS", ())),
        attempts=_number(item, "attempts") or 0,
        settled_at=_number(item, "settled_at"),
    )


def _text(item: dict[str, Any], name: str) -> str | None:
    text: str | None = item.get(name, {}).get("S")
    return text


def _number(item: dict[str, Any], name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None
