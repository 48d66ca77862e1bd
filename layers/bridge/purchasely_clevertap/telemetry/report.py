"""What people see of the forwarder: a log line for each event's outcome and each upload, and the metrics.

Lines name events, apps, outcomes and reasons, and people by user hashes; never a payload or a secret.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.forwarder import BatchResult, MessageResult, UploadReport
from purchasely_clevertap.outcome import BUSY, Delivered, Duplicate, Parked, Retried, Skipped
from purchasely_clevertap.telemetry.logger import Level, Logger
from purchasely_clevertap.telemetry.metrics import Metric
from purchasely_clevertap.telemetry.user_hash import user_hash

_METRICS: Final = {
    Delivered: Metric.DELIVERED,
    Skipped: Metric.SKIPPED,
    Duplicate: Metric.DUPLICATE,
    Parked: Metric.PARKED,
    Retried: Metric.RETRIED,
}
_STORAGE: Final = frozenset({"ledger_unavailable", "parked_queue_unavailable"})
_CIRCUIT_OPEN: Final = "circuit_open"
_SETUP: Final = ("setup_fault_", "credentials_unusable", "settings_unavailable")


class Report:
    """Writes to the logger of the function.

    `clock` gives epoch milliseconds; `retry_policy` is that of the retries; `user_key` keys the user hashes.
    """

    def __init__(self, logger: Logger, *, clock: Callable[[], int], retry_policy: RetryPolicy, user_key: str) -> None:
        self._logger = logger
        self._clock = clock
        self._retry_policy = retry_policy
        self._user_key = user_key

    def forwarded(self, forwarded: BatchResult) -> None:
        """Tells of a batch."""
        now = self._clock()
        self._logger.log_each("event", (self._line(handled, now) for handled in forwarded.handled))
        self._logger.log_each("upload", map(_upload_line, forwarded.uploads))
        self._logger.add_metrics(self._measured(forwarded, now))
        receipts: Counter[str] = Counter()
        for uploaded in forwarded.uploads:
            receipts.update(uploaded.receipts)
        for receipt, records in receipts.items():
            self._logger.add_metrics({Metric.UPLOADED_RECORDS: records}, receipt=receipt)

    def settings_refused(self, app: str, version: int, problems: tuple[str, ...]) -> None:
        """Tells of settings that are not valid."""
        self._logger.log(Level.ERROR, "settings refused", app=app, version=version, problems=problems)
        self._logger.add_metrics({Metric.SETTINGS_REFUSED: 1})

    def _line(self, handled: MessageResult, now: int) -> tuple[Level, dict[str, Any]]:
        message, outcome = handled.message, handled.outcome
        line: dict[str, Any] = {
            "app": message.app,
            "event_id": handled.event_id,
            "event_name": handled.event_name,
            "user": handled.person and user_hash(handled.person, self._user_key),
            "outcome": outcome.outcome,
            "account": handled.account,
            "records": handled.records,
            "age_ms": handled.age_ms,
            "waited_ms": now - message.received_at,
            "receives": message.receives,
            "message_id": message.id,
            "new_name": not handled.known_name,
            "clipped": handled.clipped,
            "in_doubt": handled.in_doubt,
            "taken_over": handled.taken_over,
            "unsettled": handled.unsettled,
            "redriven": message.parking is not None,
            "dead_letter": message.dead_letter,
        }
        level = Level.INFO
        match outcome:
            case Skipped(reason):
                line["reason"] = reason
            case Parked(reason, _, code):  # the detail may quote the payload: it goes with the parked event alone
                line |= {"reason": reason, "code": code}
                level = Level.WARNING
            case Retried(reason, patient, detail):
                line |= {"reason": reason, "detail": detail}
                level = Level.INFO if patient else Level.WARNING
            case _:
                pass
        return level, {name: value for name, value in line.items() if value or name == "waited_ms"}

    def _measured(self, forwarded: BatchResult, now: int) -> dict[Metric, int | list[int]]:
        counts: Counter[Metric] = Counter()
        ages: list[int] = []
        waiting: list[int] = []
        for handled in forwarded.handled:
            message, outcome = handled.message, handled.outcome
            counts[_METRICS[type(outcome)]] += 1
            if isinstance(outcome, Retried):
                _count_fault(counts, outcome)
            if handled.unsettled:
                counts[Metric.UNSETTLED] += 1
            if handled.unsettled or (isinstance(outcome, Retried) and outcome.reason in _STORAGE):
                counts[Metric.STORAGE_FAULTS] += 1
            if message.parking is None:
                if isinstance(outcome, Retried):
                    waiting.append(now - message.received_at + self._longest_wait(handled))
                else:
                    counts[Metric.SETTLED] += 1
            if message.dead_letter:
                counts[Metric.DEAD_LETTERS] += 1
            if not handled.known_name:
                counts[Metric.UNKNOWN_EVENTS] += 1
            if handled.clipped:
                counts[Metric.CLIPPED_VALUES] += len(handled.clipped)
            if handled.taken_over:
                counts[Metric.LOST_ANSWERS] += handled.records  # the worker that died may have sent them
            if handled.in_doubt:
                counts[Metric.LOST_ANSWERS] += handled.in_doubt
            if handled.age_ms is not None:
                ages.append(handled.age_ms)
        for uploaded in forwarded.uploads:
            counts[Metric.UPLOAD_REQUESTS] += uploaded.requests
            counts[Metric.PROFILE_UPDATES] += uploaded.profiles
        times = [_milliseconds(uploaded) for uploaded in forwarded.uploads if uploaded.requests]
        return {**+counts, Metric.EVENT_AGE: ages, Metric.WAITING_AGE: waiting, Metric.UPLOAD_TIME: times}

    def _longest_wait(self, handled: MessageResult) -> int:
        """Milliseconds until the event is tried again, at most."""
        if handled.outcome == BUSY:
            return 1000 * self._retry_policy.wait_while_busy(_never_sooner)
        return 1000 * self._retry_policy.wait(handled.message.receives, _never_sooner)


def _count_fault(counts: Counter[Metric], outcome: Retried) -> None:
    """What a retry says about CleverTap and the set-up."""
    if outcome.reason == _CIRCUIT_OPEN:
        counts[Metric.CIRCUIT_OPEN] += 1
    # A circuit that does not count against the event's retry limit is open for a fault of the set-up.
    if outcome.reason.startswith(_SETUP) or (outcome.reason == _CIRCUIT_OPEN and not outcome.patient):
        counts[Metric.SETUP_FAULTS] += 1


def _upload_line(uploaded: UploadReport) -> tuple[Level, dict[str, Any]]:
    return Level.INFO, {
        "app": uploaded.app,
        "account": uploaded.account,
        "records": uploaded.records,
        "requests": uploaded.requests,
        "ms": _milliseconds(uploaded),
        "receipts": dict(uploaded.receipts),
    }


def _milliseconds(uploaded: UploadReport) -> int:
    return round(uploaded.seconds * 1000)


def _never_sooner() -> float:
    return 0.0
