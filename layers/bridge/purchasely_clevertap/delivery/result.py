"""What became of a batch, message by message and upload by upload."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.clevertap.response import Accepted, Upload
from purchasely_clevertap.delivery.batch import Decided, UploadRequest
from purchasely_clevertap.delivery.message import Message
from purchasely_clevertap.outcome import Duplicate, GiveUp, Outcome, Retried, RetryReason
from purchasely_clevertap.purchasely.event import Event


@dataclass(frozen=True, slots=True)
class MessageResult:
    """What became of one message. `age_ms` is the event's age when CleverTap took it, if it did;
    none of a backfilled event.

    `user` is the id of whom the event is about; it is hashed before it is logged. `records` is how many records the
    event had to send. `unconfirmed_sends` counts those whose answer was lost: CleverTap may get them twice.
    `unsettled`: the ledger could not take the outcome; what CleverTap has taken then stands on the queue.
    `identity_conflict`: the event's CleverTap id belongs to another user. `ahead`: the sender's clock was.
    """

    message: Message
    outcome: Outcome
    event_id: str
    event_name: str | None = None
    user: str | None = field(default=None, repr=False)
    environment: Environment | None = None
    known_name: bool = True
    records: int = 0
    left_out: tuple[str, ...] = ()
    age_ms: int | None = None
    unconfirmed_sends: int = 0
    taken_over: bool = False
    unsettled: bool = False
    identity_conflict: bool = False
    ahead: bool = False
    lapsed: bool = False


class UploadReport(NamedTuple):
    """One upload: to which project, how much, how long in seconds, how many records had which result, and how many of
    the accepted ones are profiles."""

    app: str
    environment: Environment
    records: int
    requests: int
    seconds: float
    results: Mapping[str, int]
    profiles: int = 0


class BatchResult(NamedTuple):
    """What became of a batch."""

    messages: tuple[MessageResult, ...]
    uploads: tuple[UploadReport, ...]


def upload_report(request: UploadRequest, upload: Upload) -> UploadReport:
    """What became of the records of a request."""
    kinds = [kind for _, kind, _ in request.records]
    profiles = sum(
        kind is Kind.PROFILE and isinstance(result, Accepted)
        for kind, result in zip(kinds, upload.results, strict=True)
    )
    counts = Counter(result.name for result in upload.results)
    return UploadReport(request.app, request.environment, len(kinds), upload.requests, upload.seconds, counts, profiles)


def message_results(decided: Iterable[Decided], *, are_copies_noted: bool) -> tuple[MessageResult, ...]:
    """What became of each message. `are_copies_noted`: the ledger knows every message that brought a known event."""
    return tuple(result for each in decided for result in _results(each, are_copies_noted=are_copies_noted))


def _results(decided: Decided, *, are_copies_noted: bool) -> Iterator[MessageResult]:
    item, task, outcome = decided.item, decided.task, decided.outcome
    event = item.event if isinstance(item.event, Event) else None
    user = (event.text("user_id") or event.text("anonymous_user_id")) if event else None
    yield MessageResult(
        item.message,
        outcome,
        item.event_id,
        item.event_name,
        user,
        environment=task.mapped.environment if task else None,
        known_name=decided.is_known_name,
        records=len(task.records) + task.mapped.profile if task else 0,
        left_out=task.mapped.left_out if task else (),
        age_ms=decided.delivered_at - event.created_ms
        if event and decided.delivered_at is not None and item.message.backfill is None
        else None,
        unconfirmed_sends=decided.unconfirmed,
        taken_over=decided.was_taken_over,
        unsettled=not decided.is_settled,
        identity_conflict=decided.has_conflict,
        ahead=event is not None and event.is_ahead,
        lapsed=decided.has_lapsed,
    )
    for copy in item.copies:
        # The same SQS message received twice gets one result. Acknowledge a second webhook only together with its
        # event; otherwise another worker may acknowledge the original, and the event is lost.
        if copy.id == item.message.id or isinstance(outcome, Retried):
            copied = outcome
        elif are_copies_noted:
            copied = Duplicate()
        else:
            copied = Retried(RetryReason.LEDGER_UNAVAILABLE, GiveUp.SETUP)
        yield MessageResult(copy, copied, item.event_id, item.event_name, user)
