"""What people see of the forwarder: a log line for each event's outcome and each upload, and the metrics.

Lines name events, apps, outcomes and reasons; never a person, a payload or a secret.
"""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from .fate import Delivered, Duplicate, Parked, Retried, Skipped
from .forwarding import Forwarded, Handled, Uploaded

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger, Metrics

_METRIC = {Delivered: "Delivered", Skipped: "Skipped", Duplicate: "Duplicate", Parked: "Parked", Retried: "Retried"}


class Observation:
    """Writes to the logger and the metrics of the function."""

    def __init__(self, logger: "Logger", metrics: "Metrics", *, stage: str) -> None:
        self._logger = logger
        self._metrics = metrics
        metrics.set_default_dimensions(stage=stage)

    def forwarded(self, forwarded: Forwarded) -> None:
        """Tells of a batch."""
        for handled in forwarded.handled:
            self._outcome(handled)
        for uploaded in forwarded.uploads:
            self._upload(uploaded)

    def settings_refused(self, app: str, version: int, problems: tuple[str, ...]) -> None:
        """Tells of settings that are not valid."""
        self._count("SettingsRefused")
        self._logger.error("settings refused", app=app, version=version, problems=problems)

    def _outcome(self, handled: Handled) -> None:
        outcome = handled.outcome
        self._count(_METRIC[type(outcome)])
        if not handled.known_name:
            self._count("UnknownEvents")
        if handled.clipped:
            self._count("ClippedValues", len(handled.clipped))
        if handled.in_doubt or handled.taken_over:
            self._count("LostAnswers", max(handled.in_doubt, 1))
        if handled.unsettled:
            self._count("Unsettled")
        if isinstance(outcome, Retried) and not outcome.patient:
            self._count("SetupFaults")
        if handled.age_ms is not None:
            self._metrics.add_metric("EventAge", MetricUnit.Milliseconds, handled.age_ms)
        line: dict[str, Any] = {
            "app": handled.message.app,
            "event_id": handled.event_id,
            "event_name": handled.event_name,
            "fate": outcome.fate,
            "reason": getattr(outcome, "reason", None),
            "detail": outcome.detail if isinstance(outcome, Retried) else None,
            "code": getattr(outcome, "code", None),
            "message_id": handled.message.id,
            "receives": handled.message.receives,
            "age_ms": handled.age_ms,
            "clipped": handled.clipped,
            "in_doubt": handled.in_doubt,
            "taken_over": handled.taken_over,
            "unsettled": handled.unsettled,
        }
        self._logger.info("event", extra={key: value for key, value in line.items() if value})

    def _upload(self, uploaded: Uploaded) -> None:
        self._count("UploadRequests", uploaded.requests)
        self._logger.info(
            "upload",
            app=uploaded.app,
            account=uploaded.account,
            records=uploaded.records,
            requests=uploaded.requests,
            ms=round(uploaded.seconds * 1000),
            receipts=dict(uploaded.receipts),
        )

    def _count(self, name: str, count: int = 1) -> None:
        self._metrics.add_metric(name, MetricUnit.Count, count)
