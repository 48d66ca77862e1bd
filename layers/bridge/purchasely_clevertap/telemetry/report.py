"""What people see of the forwarder: a log line for each event's outcome and each upload, and the metrics.

Lines name events, apps, outcomes and reasons, and people by user hashes; never a payload or a secret.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from purchasely_clevertap.aws.user_hash_key import KeyUnavailable
from purchasely_clevertap.delivery.message import ABOUT_PERSONS, MessageKind
from purchasely_clevertap.delivery.result import BatchResult, MessageResult, UploadReport
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.outcome import BUSY, Delivered, Duplicate, GiveUp, Held, Parked, Retried, RetryReason, Skipped
from purchasely_clevertap.telemetry.logger import Level, Logger, shown
from purchasely_clevertap.telemetry.metrics import Metric
from purchasely_clevertap.telemetry.user_hash import user_hash

_METRICS: Final = {
    Delivered: Metric.DELIVERED,
    Skipped: Metric.SKIPPED,
    Duplicate: Metric.DUPLICATE,
    Held: Metric.HELD,
    Parked: Metric.PARKED,
    Retried: Metric.RETRIED,
}
_MOST_LEFT_OUT: Final = 20  # keys in a line: an event may have 60,000, and CloudWatch takes no line of such a size
_STORAGE: Final = frozenset({RetryReason.LEDGER_UNAVAILABLE, RetryReason.PARKED_QUEUE_UNAVAILABLE})
_SETUP: Final = frozenset({RetryReason.SETUP_FAULT, RetryReason.CREDENTIALS_UNUSABLE, RetryReason.SETTINGS_UNAVAILABLE})


class Report:
    """Writes to the logger of the function.

    `clock` gives epoch milliseconds; `retry_policy` is that of the retries; `user_key` gives the user hashes' key.
    """

    def __init__(
        self,
        logger: Logger,
        *,
        clock: Callable[[], int],
        retry_policy: RetryPolicy,
        user_key: Callable[[], str | KeyUnavailable],
    ) -> None:
        self._logger = logger
        self._clock = clock
        self._retry_policy = retry_policy
        self._user_key = user_key

    def forwarded(self, forwarded: BatchResult) -> None:
        """Tells of a batch. Without the key its lines name no user."""
        now = self._clock()
        key = self._key() if any(result.user for result in forwarded.messages) else None
        self._logger.log_each("event", (_line(result, now, key) for result in forwarded.messages if _is_told(result)))
        self._logger.log_each("upload", map(_upload_line, forwarded.uploads))
        if forwarded.archive.faults:
            level = Level.ERROR if forwarded.archive.lost else Level.WARNING
            self._logger.log(level, "archive", **forwarded.archive._asdict())
        self._logger.add_metrics(self._measured(forwarded, now))
        results: Counter[str] = Counter()
        for uploaded in forwarded.uploads:
            results.update(uploaded.results)
        for result, records in results.items():
            self._logger.add_metrics({Metric.UPLOADED_RECORDS: records}, result=result)

    def profile_unreadable(self) -> None:
        """Tells of a person whose row in the ledger cannot be read."""
        self._logger.add_metrics({Metric.UNREADABLE_PROFILES: 1})

    def statement_refused(self, why: str) -> None:
        """Tells that DynamoDB takes no statements, so that this worker's writes cost twice as much."""
        self._logger.log(Level.WARNING, "statement refused", detail=why)
        self._logger.add_metrics({Metric.STATEMENTS_REFUSED: 1})

    def settings_refused(self, app: str, version: int, problems: tuple[str, ...]) -> None:
        """Tells of settings that are not valid."""
        self._logger.log(Level.ERROR, "settings refused", app=app, version=version, problems=problems)
        self._logger.add_metrics({Metric.SETTINGS_REFUSED: 1})

    def _key(self) -> str | None:
        found = self._user_key()
        if isinstance(found, KeyUnavailable):
            self._logger.log(Level.WARNING, "user hash key unavailable", detail=found.detail)
            return None
        return found

    def _measured(self, forwarded: BatchResult, now: int) -> dict[Metric, int | list[int]]:
        counts: Counter[Metric] = Counter()
        ages: list[int] = []
        waiting: list[int] = []
        for result in forwarded.messages:
            message, outcome = result.message, result.outcome
            if not _is_told(result):
                continue
            if message.kind in ABOUT_PERSONS:
                counts[Metric.ASSOCIATIONS] += message.kind is MessageKind.IDENTITY
                counts[Metric.LAPSED] += result.lapsed
                if isinstance(outcome, Retried):
                    _count_fault(counts, outcome)
                if result.identity_conflict:
                    counts[Metric.IDENTITY_CONFLICTS] += 1
                continue
            if message.backfill is not None:
                continue  # its log line is all: no alarm, count or average is about what somebody brings in by hand
            counts[_METRICS[type(outcome)]] += 1
            if result.identity_conflict:
                counts[Metric.IDENTITY_CONFLICTS] += 1
            if isinstance(outcome, Retried):
                _count_fault(counts, outcome)
            if result.unsettled:
                counts[Metric.UNSETTLED] += 1
            if result.unsettled or (isinstance(outcome, Retried) and outcome.reason in _STORAGE):
                counts[Metric.STORAGE_FAULTS] += 1
            if message.redrive is None and message.kind is MessageKind.WEBHOOK:
                if isinstance(outcome, Retried):
                    waiting.append(now - message.received_at + self._longest_wait(result))
                else:
                    counts[Metric.SETTLED] += 1
            if message.dead_letter:
                counts[Metric.DEAD_LETTERS] += 1
            if not result.known_name:
                counts[Metric.UNKNOWN_EVENTS] += 1
            if result.left_out:
                counts[Metric.LEFT_OUT_VALUES] += len(result.left_out)
            if result.taken_over:
                counts[Metric.LOST_ANSWERS] += result.records  # the worker that died may have sent them
            if result.unconfirmed_sends:
                counts[Metric.LOST_ANSWERS] += result.unconfirmed_sends
            if result.age_ms is not None:
                ages.append(result.age_ms)
        counts[Metric.ARCHIVE_FAULTS] = forwarded.archive.faults
        for uploaded in forwarded.uploads:
            counts[Metric.UPLOAD_REQUESTS] += uploaded.requests
            counts[Metric.PROFILE_UPDATES] += uploaded.profiles
        times = [_milliseconds(uploaded) for uploaded in forwarded.uploads if uploaded.requests]
        return {**+counts, Metric.EVENT_AGE: ages, Metric.WAITING_AGE: waiting, Metric.UPLOAD_TIME: times}

    def _longest_wait(self, result: MessageResult) -> int:
        """Milliseconds until the event is tried again, at most."""
        if result.outcome == BUSY:
            return 1000 * self._retry_policy.wait_while_busy(_never_sooner)
        return 1000 * self._retry_policy.wait(result.message.receives, _never_sooner)


def _is_told(result: MessageResult) -> bool:
    """Whether it is about an event or a person: a message that only archives counts nowhere."""
    return result.message.kind is not MessageKind.ARCHIVE


def _line(result: MessageResult, now: int, key: str | None) -> tuple[Level, dict[str, Any]]:
    message, outcome = result.message, result.outcome
    line: dict[str, Any] = {
        "app": message.app,
        "event_id": result.event_id,
        "event_name": result.event_name and shown(result.event_name),
        "user": user_hash(result.user, key) if result.user and key else None,
        "outcome": outcome.name,
        "account": result.environment,
        "records": result.records,
        "age_ms": result.age_ms,
        "waited_ms": now - message.received_at,
        "receives": message.receives,
        "message_id": message.id,
        "new_name": not result.known_name,
        "left_out": [shown(key) for key in result.left_out[:_MOST_LEFT_OUT]],
        "left_out_more": max(len(result.left_out) - _MOST_LEFT_OUT, 0),
        "unconfirmed_sends": result.unconfirmed_sends,
        "taken_over": result.taken_over,
        "unsettled": result.unsettled,
        "redriven": message.redrive is not None,
        "kind": None if message.kind is MessageKind.WEBHOOK else message.kind,
        "identity_conflict": result.identity_conflict,
        "ahead": result.ahead,
        "lapsed": result.lapsed,
        "dead_letter": message.dead_letter,
    }
    level = Level.INFO
    match outcome:
        case Skipped(reason):
            line["reason"] = reason
        case Parked(reason, _, code):  # the detail may quote the payload: it goes with the parked event alone
            line |= {"reason": reason, "code": code}
            level = Level.WARNING
        case Retried():
            line |= {"reason": outcome.shown_reason, "detail": outcome.detail}
            level = Level.INFO if outcome.give_up is GiveUp.OUTAGE else Level.WARNING
        case _:
            pass
    return level, {name: value for name, value in line.items() if value or name == "waited_ms"}


def _count_fault(counts: Counter[Metric], outcome: Retried) -> None:
    """What a retry says about CleverTap and the set-up."""
    is_open = outcome.reason is RetryReason.CIRCUIT_OPEN
    if is_open:
        counts[Metric.CIRCUIT_OPEN] += 1
    if outcome.reason in _SETUP or (is_open and outcome.give_up is GiveUp.SETUP):
        counts[Metric.SETUP_FAULTS] += 1


def _upload_line(uploaded: UploadReport) -> tuple[Level, dict[str, Any]]:
    return Level.INFO, {
        "app": uploaded.app,
        "account": uploaded.environment,
        "records": uploaded.records,
        "requests": uploaded.requests,
        "ms": _milliseconds(uploaded),
        "results": dict(uploaded.results),
    }


def _milliseconds(uploaded: UploadReport) -> int:
    return round(uploaded.seconds * 1000)


def _never_sooner() -> float:
    return 0.0
