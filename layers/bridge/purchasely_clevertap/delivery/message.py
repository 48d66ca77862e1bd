"""What travels on the queues: a webhook's exact body, with the app and the time it came.

An SQS body holds only characters of the W3C XML set, at least one, and 1 MiB with its attributes (SQS,
SendMessage); a signed body may hold any bytes. So the body is the text itself when SQS can carry it, else an
RFC 2397 data URL.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from purchasely_clevertap.outcome import BackfillMode

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

# SQS counts the body and its attributes; what parking adds to a message must still fit.
MAX_BODY_BYTES: Final = 1024 * 1024 - 16 * 1024
_DATA_URL: Final = "data:;base64,"
_WHOLE: Final = re.compile("[0-9]{1,15}").fullmatch  # a message may also be put on the queue by hand
_MAX_DETAIL: Final = 2000


class MessageKind(StrEnum):
    """What a message on the events queue is."""

    WEBHOOK = "webhook"
    HELD = "held"  # an event that waited for a login, or has waited for long enough
    IDENTITY = "identity"  # the app's backend says which CleverTap id a person has
    RELEASE = "release"  # what waits for a person who is known by now is to be looked for once more
    LAPSE = "lapse"  # a person's dates are to be looked at
    ARCHIVE = "archive"  # what the archive did not take: it is to be archived and nothing else
    BACKFILL = "backfill"  # an event from before the bridge, which `bridge backfill` read in a file


ABOUT_PERSONS: Final = frozenset({MessageKind.IDENTITY, MessageKind.RELEASE, MessageKind.LAPSE})
"""What is no event, but news of a person."""


class Redrive(NamedTuple):
    """What a redriven message tells of its event: the message that first brought it, and the kinds of its records that
    CleverTap has."""

    message_id: str | None
    accepted: frozenset[str]


class Message(NamedTuple):
    """A message of the events queue or the dead-letter queue.

    `received_at` and `sent_at` are epoch milliseconds; it has been tried since `sent_at`. `receives` counts this
    receive too. `redrive` is set when the message comes back from the parked queue, `backfill` in one of that kind.
    `text` is the body as the queue carries it, if that is at hand. `object_key` is set when the body is to become that
    object of the archive.
    """

    id: str
    app: str
    body: bytes
    received_at: int
    sent_at: int = 0
    receives: int = 1
    receipt_handle: str = ""
    dead_letter: bool = False
    redrive: Redrive | None = None
    kind: MessageKind = MessageKind.WEBHOOK
    text: str = ""
    object_key: str = ""
    backfill: BackfillMode | None = None


def encode_body(body: bytes) -> str:
    """`body` as an SQS message body; `decode_body` gives the same bytes back."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or text.startswith("data:") or not _is_carried(text):
        return _DATA_URL + base64.b64encode(body).decode()
    return text


def decode_body(text: str) -> bytes:
    """The bytes that `encode_body` was given. A data URL that is not ours is text like any other."""
    if text.startswith(_DATA_URL):
        try:
            return base64.b64decode(text[len(_DATA_URL) :], validate=True)
        except ValueError:  # binascii.Error is one; what is not ASCII is another
            pass
    return text.encode()


def attributes(
    app: str,
    received_at: int,
    kind: MessageKind = MessageKind.WEBHOOK,
    *,
    backfill: BackfillMode | None = None,
) -> "dict[str, MessageAttributeValueTypeDef]":
    """The message attributes of what is queued; `received_at` is epoch milliseconds. A `backfill` says its own kind."""
    given = {"app": _text(app), "received_at": _number(received_at)}
    if backfill is not None:
        return given | {"backfill": _text(backfill)}
    return given if kind is MessageKind.WEBHOOK else given | {"kind": _text(kind)}


def archive_attributes(received_at: int, object_key: str = "") -> "dict[str, MessageAttributeValueTypeDef]":
    """The message attributes of what is only to be archived: lines, or the body of the object `object_key`."""
    given = {"received_at": _number(received_at), "kind": _text(MessageKind.ARCHIVE)}
    return given | {"object": _text(object_key)} if object_key else given


def parked_attributes(
    message: Message,
    *,
    reason: str,
    detail: str,
    code: int | None,
    event_id: str,
    event_name: str | None,
    parked_at: int,
    accepted: Iterable[str],
    first_sent_at: int | None = None,
) -> "dict[str, MessageAttributeValueTypeDef]":
    """The message attributes of a parked event: SQS allows ten, and these are ten. What is only to be settled later has
    no reason, and in place of it the time since which it has been tried, `first_sent_at`. One of a backfill has its
    mode in place of a webhook's message."""
    origin = message.redrive.message_id if message.redrive else None
    texts = {
        "app": message.app,
        "reason": reason,
        "event_id": event_id,
        "message_id": None if message.backfill else origin or message.id,
        "backfill": message.backfill,
        "detail": detail[:_MAX_DETAIL],
        "code": None if code is None else str(code),
        "event_name": event_name and event_name[:256],
        "accepted": ",".join(sorted(accepted)),
    }
    return {
        "received_at": _number(message.received_at),
        "parked_at": _number(parked_at),
        **({"first_sent_at": _number(first_sent_at)} if first_sent_at is not None else {}),
        # SQS refuses an attribute of no characters.
        **{name: _text(_carriable(value)) for name, value in texts.items() if value},
    }


def from_lambda(record: Mapping[str, Any], *, dead_letter_arn: str) -> Message:
    """The message in a record of an SQS event of Lambda."""
    given = {name: value.get("stringValue", "") for name, value in record["messageAttributes"].items()}
    system = record["attributes"]
    first_sent_at = given.get("first_sent_at", "")
    sent_at = int(first_sent_at if _WHOLE(first_sent_at) else system["SentTimestamp"])
    received_at = given.get("received_at", "")
    return Message(
        id=record["messageId"],
        app=given.get("app", ""),
        body=decode_body(record["body"]),
        received_at=int(received_at) if _WHOLE(received_at) else sent_at,
        sent_at=sent_at,
        receives=int(system["ApproximateReceiveCount"]),
        receipt_handle=record["receiptHandle"],
        dead_letter=record["eventSourceARN"] == dead_letter_arn,
        redrive=Redrive(given.get("message_id"), frozenset(filter(None, given.get("accepted", "").split(","))))
        if "parked_at" in given
        else None,
        kind=kind_of(given),
        text=record["body"],
        object_key=given.get("object", ""),
        backfill=_mode_of(given),
    )


def kind_of(given: Mapping[str, str]) -> MessageKind:
    """What a message with these attributes is."""
    if "backfill" in given:
        return MessageKind.BACKFILL
    # A parked message has no attribute to spare, so its id begins with its kind; no event's id has such a stroke.
    kind, stroke, _ = given.get("event_id", "").partition("/")
    try:
        return MessageKind(kind if stroke else given.get("kind", MessageKind.WEBHOOK))
    except ValueError:
        return MessageKind.WEBHOOK


def _mode_of(given: Mapping[str, str]) -> BackfillMode | None:
    """How much of a backfilled event CleverTap gets; the least of it for a word that nobody knows."""
    if "backfill" not in given:
        return None
    return BackfillMode(given["backfill"]) if given["backfill"] in tuple(BackfillMode) else BackfillMode.PROFILE


def _is_carried(text: str) -> bool:
    return text.isprintable() or not _not_carried().search(text)


def _carriable(text: str) -> str:
    return text if text.isprintable() else _not_carried().sub("?", text)


@cache  # to compile it takes 8 ms of a cold start, and what is printable is carried anyway
def _not_carried() -> re.Pattern[str]:
    return re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(value: str) -> "MessageAttributeValueTypeDef":
    return {"DataType": "String", "StringValue": value}


def _number(value: int) -> "MessageAttributeValueTypeDef":
    return {"DataType": "Number", "StringValue": str(value)}
