"""What --json says of an event, of a subscriber and of a parked event."""

import base64
from collections.abc import Iterator
from typing import Any

from bridge_cli.deliveries import Delivery
from bridge_cli.parked_messages import ParkedEvent, ParkedMessage
from bridge_cli.subscribers import Remembered
from bridge_cli.times import iso
from purchasely_clevertap.mapping.profile import FactHistory
from purchasely_clevertap.purchasely.event import Value


def delivery_document(event: Delivery) -> dict[str, Any]:
    """What is remembered of an event."""
    return {
        "event_id": event.event_id,
        "event_name": event.event_name,
        "event_at": iso(event.event_at),
        "received_at": iso(event.received_at),
        "messages": sorted(event.messages),
        "attempts": event.attempts,
        "account": event.account,
        "subscriber": event.subscriber,
        "outcome": event.outcome or "in_flight",
        "reason": event.reason,
        "code": event.code,
        "accepted": sorted(event.accepted),
        "unconfirmed_sends": event.unconfirmed_sends,
        "settled_at": iso(event.settled_at),
        "held_for": event.held_for,
        "held_until": iso(event.hold_until),
        "leased_until": iso(event.lease_until or None),
    }


def subscriber_document(found: Remembered) -> dict[str, Any]:
    """What is kept under one id of a person."""
    return {
        "subscriber": found.key,
        "account": found.account,
        "kind": found.kind,
        "id": found.id,
        "person": _dated(found.state.person),
        "subscriptions": {key: _dated(history) for key, history in found.state.subscriptions.items()},
        "one_time_purchases": {key: _dated(history) for key, history in found.state.purchases.items()},
        "lapsed": {key: iso(at) for key, at in found.state.lapsed.items()},
        "profile": found.state.profile(),
        "clevertap_has": dict(found.state.sent),
        "linked": sorted(found.state.linked),
        "not_linked": sorted(found.state.unlinked),
        "known_as": sorted(found.state.known_as),
        "tied_user": found.tied_user,
        "tied_object": found.tied_object,
        "unreadable": found.is_unreadable,
        "leased_until": iso(found.lease_until or None),
    }


def _dated(history: FactHistory) -> dict[str, Any]:
    return {name: {"value": value, "told_at": iso(at)} for name, value, at in facts_with_times(history)}


def facts_with_times(history: FactHistory) -> Iterator[tuple[str, Value, int]]:
    """Each fact that holds, and when the event was that told it."""
    for at, _, facts in history:
        for name, value in facts.items():
            yield name, value, at


def body_document(message: ParkedMessage) -> dict[str, str | None]:
    """The exact body, as text, or in base64 when it is none; and what was said of it, which may quote it."""
    try:
        return {"detail": message.detail, "body": message.body.decode(), "body_base64": None}
    except UnicodeDecodeError:
        encoded = base64.b64encode(message.body).decode()
        return {"detail": message.detail, "body": None, "body_base64": encoded}


def parked_document(event: ParkedEvent) -> dict[str, Any]:
    """A parked event, without anything that quotes its body."""
    message = event.newest
    return {
        "event_id": message.event_id,
        "app": message.app,
        "event_name": message.event_name,
        "reason": message.reason,
        "code": message.code,
        "received_at": iso(message.received_at),
        "parked_at": iso(message.parked_at),
        "message_id": message.message_id,
        "accepted": sorted(event.accepted),
        "messages": len(event.messages),
    }
