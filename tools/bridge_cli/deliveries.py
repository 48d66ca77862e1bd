"""Reads the deliveries table: one entry for each event that was accepted in the last 30 days."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from purchasely_clevertap.aws.ledger import HELD_INDEX
from purchasely_clevertap.delivery.keys import apart_key, is_backfill_note, profile_backfill_key
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import ENVIRONMENTS, UNREADABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EventKey = tuple[str, str]
"""An app, and the id of one of its events."""

_READ_TOGETHER: Final = 100  # DynamoDB, BatchGetItem: 100 items
_COMPARED_TOGETHER: Final = 100  # DynamoDB, operands of IN


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is remembered of an event. Times are epoch milliseconds; `outcome` is None while the event is in flight."""

    app: str
    event_id: str
    messages: frozenset[str] = frozenset()
    further_messages: int = 0
    """How many more brought it, whose ids are not kept."""
    received_at: int | None = None
    outcome: str | None = None
    reason: str | None = None
    code: int | None = None
    event_name: str | None = None
    event_at: int | None = None
    account: str | None = None
    subscriber: str | None = None
    accepted: frozenset[str] = frozenset()
    attempts: int = 0
    settled_at: int | None = None
    lease_until: int = 0
    unconfirmed_sends: int = 0
    """How often CleverTap may have taken records of it without the answer having been remembered."""
    held_for: str | None = None
    """The key of the anonymous person whose login it waits for."""
    hold_until: int | None = None
    held_body: str | None = None

    @property
    def key(self) -> EventKey:
        """The app and the event id."""
        return self.app, self.event_id

    @property
    def webhooks(self) -> int:
        """How many webhooks brought the event: at least the one that is remembered of it."""
        brought = sum(not is_backfill_note(each) for each in self.messages)
        return max(brought + self.further_messages, 1)

    @property
    def is_backfilled(self) -> bool:
        """Whether a backfill alone brought the event."""
        return bool(self.messages) and self.further_messages == 0 and all(map(is_backfill_note, self.messages))


def all_deliveries(dynamodb: "DynamoDBClient", table: str, *, app: str | None = None) -> Iterator[Delivery]:
    """Every delivery, of `app` if given. Reads the whole table, page by page."""
    query: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    if app is not None:
        query |= {
            "FilterExpression": "begins_with(#key, :app)",
            "ExpressionAttributeNames": {"#key": "event"},
            "ExpressionAttributeValues": {":app": {"S": f"{app}#"}},
        }
    yield from _scan(dynamodb, query)


def deliveries_of(dynamodb: "DynamoDBClient", table: str, *, subscribers: Collection[str]) -> Iterator[Delivery]:
    """The deliveries that name one of `subscribers`, keys of the other table. Reads the whole table."""
    query: dict[str, Any] = {
        "TableName": table,
        "ConsistentRead": True,
        "FilterExpression": "attribute_exists(subscriber)",
    }
    if 0 < len(subscribers) <= _COMPARED_TOGETHER:
        values = {f":{index}": {"S": key} for index, key in enumerate(sorted(subscribers))}
        query |= {"FilterExpression": f"subscriber IN ({', '.join(values)})", "ExpressionAttributeValues": values}
    return (each for each in _scan(dynamodb, query) if each.subscriber in subscribers)


def held_deliveries(dynamodb: "DynamoDBClient", table: str, person_keys: Iterable[str]) -> Iterator[Delivery]:
    """The events that wait for the login of these persons, keys of the other table."""
    for key in person_keys:
        pages = dynamodb.get_paginator("query").paginate(
            TableName=table,
            IndexName=HELD_INDEX,
            KeyConditionExpression="held_for = :person",
            ExpressionAttributeValues={":person": {"S": key}},
        )
        for page in pages:
            yield from map(from_item, page["Items"])


def delivery(dynamodb: "DynamoDBClient", table: str, *, app: str, event_id: str) -> Delivery | None:
    """The delivery of one event."""
    answer = dynamodb.get_item(TableName=table, Key={"event": {"S": f"{app}#{event_id}"}}, ConsistentRead=True)
    return from_item(answer["Item"]) if "Item" in answer else None


def deliveries_of_id(dynamodb: "DynamoDBClient", table: str, *, app: str, event_id: str) -> list[Delivery]:
    """The deliveries of all events that Purchasely sent with one id, the first one before the others.

    One whose name is not in Purchasely's catalogue is found only if it is the first. What a backfill told the profile
    has an entry of its own.
    """
    abouts = [UNREADABLE, *(f"{environment}/{name}" for environment in ENVIRONMENTS for name in CATALOGUE)]
    keys = [event_id, profile_backfill_key(event_id), *(apart_key(event_id, about) for about in abouts)]
    found = {each.event_id: each for each in deliveries(dynamodb, table, ((app, key) for key in keys))}
    return [found[key] for key in keys if key in found]


def deliveries(dynamodb: "DynamoDBClient", table: str, keys: Iterable[EventKey]) -> Iterator[Delivery]:
    """The deliveries of these events, as far as there are any."""
    pending: list[Any] = [{"event": {"S": f"{app}#{event_id}"}} for app, event_id in keys]
    while pending:
        together, pending = pending[:_READ_TOGETHER], pending[_READ_TOGETHER:]
        answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": together, "ConsistentRead": True}})
        for item in answer["Responses"].get(table, []):
            yield from_item(item)
        if unprocessed := answer.get("UnprocessedKeys", {}).get(table):
            pending += unprocessed["Keys"]


def from_item(item: dict[str, Any]) -> Delivery:
    """The delivery in an item of the table."""
    app, _, event_id = item["event"]["S"].partition("#")
    return Delivery(
        app=app,
        event_id=event_id,
        messages=frozenset(item.get("messages", {}).get("SS", ())),
        further_messages=_number(item, "further_messages") or 0,
        received_at=_number(item, "received_at"),
        outcome=_text(item, "outcome"),
        reason=_text(item, "reason"),
        code=_number(item, "code"),
        event_name=_text(item, "event_name"),
        event_at=_number(item, "event_at"),
        account=_text(item, "account"),
        subscriber=_text(item, "subscriber"),
        accepted=frozenset(item.get("accepted", {}).get("SS", ())),
        attempts=_number(item, "attempts") or 0,
        settled_at=_number(item, "settled_at"),
        lease_until=_number(item, "lease_until") or 0,
        unconfirmed_sends=_number(item, "unconfirmed_sends") or 0,
        held_for=_text(item, "held_for"),
        hold_until=_number(item, "hold_until"),
        held_body=_text(item, "body"),
    )


def _scan(dynamodb: "DynamoDBClient", query: dict[str, Any]) -> Iterator[Delivery]:
    for page in dynamodb.get_paginator("scan").paginate(**query):
        for item in page["Items"]:
            yield from_item(item)


def _text(item: dict[str, Any], name: str) -> str | None:
    text: str | None = item.get(name, {}).get("S")
    return text


def _number(item: dict[str, Any], name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None
