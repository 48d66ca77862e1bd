"""The logger: lines of JSON, and metrics as CloudWatch reads them out of a log."""

import json
import string
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchasely_clevertap.telemetry.logger import Level, Logger
from purchasely_clevertap.telemetry.metrics import NAMESPACE, Metric, unit
from tests.integration.metric_format import emitted

A_MINUTE = 60

type Printed = Callable[[], list[dict[str, Any]]]


def logger(least: str = "INFO") -> Logger:
    return Logger(service="ingest", stage="test", least=least)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    return lambda: [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]


def test_a_line_says_when_where_and_what(printed: Printed) -> None:
    written = logger()
    written.start_request("request-1")
    written.log(Level.ERROR, "refused", app="default", detail=None, noted=False, count=0)
    _cold_start, line = printed()
    assert abs(datetime.fromisoformat(line.pop("timestamp")).timestamp() - time.time()) < A_MINUTE
    assert [line] == [
        {
            "level": "ERROR",
            "service": "ingest",
            "stage": "test",
            "request_id": "request-1",
            "message": "refused",
            "app": "default",
            "noted": False,
            "count": 0,
        }
    ]


def test_only_the_first_invocation_is_a_cold_start(printed: Printed) -> None:
    written = logger()
    for request in range(3):
        written.start_request(f"request-{request}")
    assert emitted(printed()).values == {"ColdStart": [1]}


@pytest.mark.parametrize("least", list(Level))
def test_lines_below_the_level_are_left_out(printed: Printed, least: Level) -> None:
    written = logger(least.name)
    written.log_each("event", [(level, {}) for level in Level])
    assert [line["level"] for line in printed()] == [level.name for level in Level if level >= least]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FIELDS = st.dictionaries(st.text(string.ascii_lowercase, min_size=1), TEXTS | st.integers(-(2**53), 2**53), max_size=5)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FIELDS, max_size=5))
def test_each_is_one_line_whatever_it_holds(printed: Printed, each: Sequence[Mapping[str, Any]]) -> None:
    logger().log_each("event", [(Level.INFO, fields) for fields in each])
    lines = printed()
    assert [{name: line[name] for name in fields} for line, fields in zip(lines, each, strict=True)] == [*each]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(Metric),
        st.integers(0, 10**6) | st.lists(st.integers(-(10**6), 10**9), max_size=350),
        max_size=5,
    )
)
def test_every_value_is_measured_once(printed: Printed, measured: Mapping[Metric, int | list[int]]) -> None:
    logger().add_metrics(measured)
    found = emitted(printed())
    expected = {name: each if isinstance(each, list) else [each] for name, each in measured.items()}
    assert found.values == {name.value: each for name, each in expected.items() if each}
    assert found.units == {name.value: unit(name) for name, each in expected.items() if each}
    assert {point.dimensions for point in found.points} <= {frozenset({("service", "ingest"), ("stage", "test")})}
    assert {point.namespace for point in found.points} <= {NAMESPACE}
    assert all(abs(point.time - time.time()) < A_MINUTE for point in found.points)


def test_a_reason_files_a_metric_once_more(printed: Printed) -> None:
    logger().add_metrics({Metric.REFUSED: 1}, reason="unknown_app")
    both = frozenset({("service", "ingest"), ("stage", "test")})
    assert [(point.dimensions, point.value) for point in emitted(printed()).points] == [
        (both, 1),
        (both | {("reason", "unknown_app")}, 1),
    ]


def test_nothing_measured_is_nothing_written(capsys: pytest.CaptureFixture[str]) -> None:
    logger().add_metrics({})
    logger().add_metrics({Metric.EVENT_AGE: []})
    logger().log_each("event", [])
    assert capsys.readouterr().out == ""


def test_times_are_milliseconds_the_rest_are_counts() -> None:
    units = {metric: unit(metric) for metric in Metric}
    assert {metric for metric, named in units.items() if named == "Milliseconds"} == {
        Metric.EVENT_AGE,
        Metric.UPLOAD_TIME,
        Metric.WAITING_AGE,
    }
    assert set(units.values()) == {"Milliseconds", "Count"}
