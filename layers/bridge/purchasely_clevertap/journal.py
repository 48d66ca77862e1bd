"""What a function tells: lines for people and metrics for alarms, each one line of JSON on its standard output.

Powertools writes both. What is set off here costs most of what a line costs and would say nothing new: the place in
the code, and Lambda's context in every line.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import IO, Any, Final, cast

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from .metric import NAMESPACE, Metric, unit

# The lines' own keys; a field of such a name would take their place.
_LINE: Final = ("level", "message", "timestamp", "service", "stage", "request_id")


class Level(IntEnum):
    """How much a line matters."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Journal:
    """The journal of one function. `least` names the least level that is written."""

    def __init__(self, *, service: str, stage: str, least: str) -> None:
        self._service = service
        self._stage = stage
        self._logger = Logger(
            service=service,
            level=least,
            location=None,
            utc=True,
            use_rfc3339=True,
            json_serializer=_encoded,
            stream=cast("IO[str]", _StandardOutput()),
            log_record_order=list(_LINE),
        )
        self._logger.setLevel(least)
        self._logger.append_keys(stage=stage)

    def began(self, request_id: str) -> None:
        """The lines that follow are of this invocation; Lambda's own lines carry its id too."""
        self._logger.append_keys(request_id=request_id)

    def tell(self, level: Level, message: str, **fields: Any) -> None:
        """Writes a line. A field that is None is left out."""
        self.tell_each(message, [(level, {name: value for name, value in fields.items() if value is not None})])

    def tell_each(self, message: str, each: Iterable[tuple[Level, Mapping[str, Any]]]) -> None:
        """Writes a line for each, all with the same message."""
        logger = self._logger
        write = {
            Level.DEBUG: logger.debug,
            Level.INFO: logger.info,
            Level.WARNING: logger.warning,
            Level.ERROR: logger.error,
        }
        for level, fields in each:
            write[level](message, extra=dict(fields))

    def measure(self, measured: Mapping[Metric, int | Sequence[int]], **by: str) -> None:
        """Writes metrics: of each a count, or the values that it had. `by` is a further dimension: one name and value.

        With `by` each metric is filed twice, with the further dimension and without.
        """
        values = {metric: each if isinstance(each, Sequence) else [each] for metric, each in measured.items()}
        if not any(values.values()):
            return
        dimensions = {"service": self._service, "stage": self._stage}
        # One of its own for each call: the provider of Powertools' Metrics is shared by all that are ever made.
        metrics = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=self._service, default_dimensions=dimensions)
        if by:
            metrics.add_dimensions(**by)
        for metric, each in values.items():
            for value in each:
                metrics.add_metric(metric.value, unit(metric), value)
        if metrics.metric_set:  # a hundred values of one metric are written at once
            metrics.flush_metrics()


class _StandardOutput:
    """Standard output as it is at each line, which a test may have put elsewhere."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def _encoded(line: Mapping[str, Any]) -> str:
    return orjson.dumps(line).decode()
