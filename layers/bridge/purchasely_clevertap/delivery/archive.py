"""What the archive gets of a batch: a line for each webhook, and one for each outcome.

Pure. A line is one JSON object; Firehose puts lines of a kind into objects `v1/{kind}/{yyyy}/{MM}/{dd}/{HH}/….gz`.
Every line comes at least once: readers drop copies, webhooks by `message_id`, outcomes by `app`, `event_id`,
`message_id` and `outcome`.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from purchasely_clevertap.delivery.keys import entry_key
from purchasely_clevertap.delivery.message import Message, MessageKind, encode_body
from purchasely_clevertap.delivery.result import MessageResult
from purchasely_clevertap.outcome import Parked, Retried, RetryReason, Skipped

LARGE: Final = "v1/large/"
"""Where bodies are that fit no line."""

# Firehose, PutRecordBatch: 500 records and 4 MiB, which are counted here in base64, as they travel.
MOST_RECORDS: Final = 500
MOST_CALL_BYTES: Final = 3 * 1024 * 1024
# Firehose bills each record in steps of 5 KB and takes up to 1000 KiB. What it does not take goes to the events queue,
# record by record, and what of it is throttled should be little.
_RECORD_BYTES: Final = 120 * 1024
_RECORD_LINES: Final = 500  # Firehose, dynamic partitioning: lines that it takes out of one record
# Firehose would take 1000 KiB; as base64, which not every text needs, the events queue has to take it too.
_MOST_LINE_BYTES: Final = 700 * 1024


_UNKNOWN_WHOSE: Final = frozenset(
    {RetryReason.LEDGER_UNAVAILABLE, RetryReason.SETTINGS_UNAVAILABLE, RetryReason.CREDENTIALS_UNUSABLE}
)


class LineKind(StrEnum):
    """What a line is."""

    WEBHOOK = "webhook"
    OUTCOME = "outcome"


class LargeBody(NamedTuple):
    """A body that fits no line, and the key of its object: the same for every copy of it."""

    key: str
    body: bytes


class Archived(NamedTuple):
    """What a batch gives: its lines, and the bodies that some of them name."""

    lines: tuple[bytes, ...] = ()
    bodies: tuple[LargeBody, ...] = ()


def archived(results: Iterable[MessageResult], *, now_ms: int, unnamed: Collection[str] = frozenset()) -> Archived:
    """The lines of a batch that is settled. `now_ms` is when; `unnamed` are the keys of events of suppressed people,
    whose bodies are not kept.

    A webhook is written when it is first received, and once more with its outcome if it was received again: the worker
    that first had it may have died before it could hand it over.
    """
    lines: list[bytes] = []
    bodies: list[LargeBody] = []
    for result in results:
        message = result.message
        if _is_to_be_kept(result):
            line, body = _webhook(result, is_named=entry_key(message.app, result.ledger_id) not in unnamed)
            lines.append(line)
            if body is not None:
                bodies.append(body)
        if result.is_event and not isinstance(result.outcome, Retried):
            lines.append(_line(_outcome(result, message, now_ms)))
    return Archived(tuple(lines), tuple(bodies))


def records(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The records of Firehose for some lines: several lines each, and each ends in a line break."""
    together: list[bytes] = []
    size = 0
    for line in lines:
        if together and (size + len(line) >= _RECORD_BYTES or len(together) == _RECORD_LINES):
            yield b"\n".join((*together, b""))
            together, size = [], 0
        together.append(line)
        size += len(line) + 1
    if together:
        yield b"\n".join((*together, b""))


def calls(records: Sequence[bytes]) -> Iterator[list[int]]:
    """Which records go into one call, by their places."""
    together: list[int] = []
    size = 0
    for place, record in enumerate(records):
        if together and (size + len(record) > MOST_CALL_BYTES or len(together) == MOST_RECORDS):
            yield together
            together, size = [], 0
        together.append(place)
        size += len(record)
    if together:
        yield together


def _is_to_be_kept(result: MessageResult) -> bool:
    message = result.message
    if message.kind is not MessageKind.WEBHOOK or message.redrive is not None:
        return False
    outcome = result.outcome
    # Whose event it is, and so whether its person is suppressed, takes the ledger and the settings.
    return not isinstance(outcome, Retried) or (message.receives == 1 and outcome.reason not in _UNKNOWN_WHOSE)


def _webhook(result: MessageResult, *, is_named: bool) -> tuple[bytes, LargeBody | None]:
    message = result.message
    fields: dict[str, Any] = {
        "kind": LineKind.WEBHOOK,
        "app": message.app,
        "environment": result.event_environment,
        "event_id": result.ledger_id,
        "event_name": result.event_name,
        "received_at": message.received_at,
        "message_id": message.id,
    }
    if not is_named:
        return _line({**fields, "sha256": None, "body": None, "forgotten": True}), None
    fields |= {
        "sha256": hashlib.sha256(message.body).hexdigest(),
        "body": message.text or encode_body(message.body),
    }
    line = _line(fields)
    if len(line) < _MOST_LINE_BYTES:
        return line, None
    key = f"{LARGE}{message.id}.gz"
    return _line({**fields, "body": None, "object": key}), LargeBody(key, message.body)


def _outcome(result: MessageResult, message: Message, now_ms: int) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "kind": LineKind.OUTCOME,
        "app": message.app,
        "event_id": result.ledger_id,
        "message_id": (message.redrive.message_id if message.redrive else None) or message.id,
        "outcome": outcome.name,
        "event_outcome": result.event_outcome,
        "reason": outcome.reason if isinstance(outcome, Skipped | Parked) else None,
        "code": outcome.code if isinstance(outcome, Parked) else None,
        "account": result.environment,
        "accepted": sorted(result.accepted),
        "settled_at": now_ms,
        "replay_id": None,
    }


def _line(fields: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)
    except TypeError:  # half a character, as a body may name an event
        return orjson.dumps({name: _whole(value) for name, value in fields.items()})


def _whole(value: object) -> object:
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
