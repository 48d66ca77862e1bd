"""What became of a batch, message by message and upload by upload."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.clevertap.response import Accepted, Upload
from purchasely_clevertap.delivery.batch import Decided, UploadRequest
from purchasely_clevertap.delivery.message import Message
from purchasely_clevertap.outcome import Duplicate, GiveUp, Outcome, Retried, RetryReason, Skipped, SkipReason
from purchasely_clevertap.purchasely.event import Event


@dataclass(frozen=True, slots=True)
class MessageResult:
    """What became of one message. `age_ms` is the event's age when CleverTap took it, if it did;
    none of a backfilled event.

    `user` is the id of whom the event is about; it is hashed before it is logged. `records` is how many records the
    event had to send. `unconfirmed_sends` counts those whose answer was lost: CleverTap may get them twice.
    `unsettled`: the ledger could not take the outcome; what CleverTap has taken then stands on the queue.
    `identity_conflict`: the event's CleverTap id belongs to another user. `ahead`: the sender's clock was. `ledger_id`
    is the id under which the ledger has the event, `event_outcome` the outcome that it has there, also in a duplicate;
    `accepted` are the kinds of its records that CleverTap has.
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
    ledger_id: str = ""
    event_environment: Environment | None = None
    event_outcome: str | None = None
    accepted: frozenset[str] = frozenset()

    @property
    def is_event(self) -> bool:
        """Whether it is about an event, of which the ledger has an entry."""
        return bool(self.ledger_id)


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


class ArchiveReport(NamedTuple):
    """What became of what was handed over to the archive: how many lines, in how many calls, how many records and
    bodies were not taken (`faults`), and how many of those not even the events queue took (`lost`).

    `error` is what AWS said last.
    """

    lines: int = 0
    calls: int = 0
    faults: int = 0
    lost: int = 0
    error: str | None = None


class BatchResult(NamedTuple):
    """What became of a batch."""

    messages: tuple[MessageResult, ...]
    uploads: tuple[UploadReport, ...]
    archive: ArchiveReport = ArchiveReport()


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


def carried_result(message: Message, *, is_taken: bool) -> MessageResult:
    """What became of a message that only archives: it comes again until the archive takes it, or the queue gives it up
    after 14 days. One of the dead-letter queue is given up at once."""
    if is_taken or message.dead_letter:
        return MessageResult(message, Skipped(SkipReason.NOTHING_TO_SEND), message.id)
    return MessageResult(message, Retried(RetryReason.ARCHIVE_UNAVAILABLE, GiveUp.SETUP), message.id)


def _results(decided: Decided, *, are_copies_noted: bool) -> Iterator[MessageResult]:
    item, task, outcome = decided.item, decided.task, decided.outcome
    event = item.event if isinstance(item.event, Event) else None
    facts: dict[str, Any] = {}
    if item.is_event:
        facts = {
            "ledger_id": item.key.partition("#")[2],
            "event_environment": Environment(event.environment.lower()) if event else None,
            "event_outcome": decided.entry.outcome if isinstance(outcome, Duplicate) else outcome.name,
            "accepted": decided.accepted or decided.entry.accepted,
        }
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
        **facts,
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
        yield MessageResult(copy, copied, item.event_id, item.event_name, user, **facts)
