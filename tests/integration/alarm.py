"""CloudWatch's alarms, as far as the template uses them: an alarm's own expression on data points.

Sources: Amazon CloudWatch, "Evaluating an alarm", "Alarm evaluation window", "Configuring how CloudWatch alarms treat
missing data", "Metric math syntax and functions", "Metrics Insights query components and syntax", "Create an alarm
based on a Multi Time Series Metrics Insights query".
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.integration.metric_format import Point

type Value = float | None

_SLIDES_BY: Final = 60  # seconds: the window of an alarm ends with the minute, however long its period is

_STATISTICS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "Sum": math.fsum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: math.fsum(values) / len(values),
    "SampleCount": len,
}
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_FUNCTIONS: Final[Mapping[str, str]] = {"AVG": "Average", "MAX": "Maximum", "MIN": "Minimum", "SUM": "Sum"}
_QUERY: Final = re.compile(
    r"SELECT (?P<function>\w+)\((?P<metric>\w+)\) FROM SCHEMA\(\"(?P<namespace>[^\"]+)\", (?P<names>[\w, ]+)\) "
    r"WHERE (?P<name>\w+) = '(?P<value>[^']+)' GROUP BY (?P<by>[\w, ]+) ORDER BY (?P=function)\(\) DESC"
)
_OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Series:
    """A metric, and how its values of a period become one."""

    namespace: str
    metric: str
    dimensions: frozenset[tuple[str, str]]
    period: int
    statistic: str

    def has(self, point: Point) -> bool:
        return (point.namespace, point.metric, point.dimensions) == (self.namespace, self.metric, self.dimensions)

    def value(self, points: Iterable[Point], start: float) -> Value:
        """What it is in the period that begins at `start`; None when nothing was measured."""
        values = [each.value for each in points if self.has(each) and start <= each.time < start + self.period]
        return _STATISTICS[self.statistic](values) if values else None


@dataclass(frozen=True, slots=True)
class Query:
    """A query of Metrics Insights: a series for each group of metrics that have exactly its dimensions."""

    namespace: str
    metric: str
    names: frozenset[str]
    where: tuple[str, str]
    period: int
    statistic: str

    @classmethod
    def of(cls, text: str, period: int) -> "Query":
        """A ValueError for a query that is not understood, or whose groups have more than one metric each."""
        found = _QUERY.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"not understood: {text}")
        names = frozenset(found["names"].split(", "))
        where = (found["name"], found["value"])
        if names - {where[0], "service", *found["by"].split(", ")}:  # each metric comes from one service
            raise ValueError(f"several metrics in a group: {text}")
        return cls(found["namespace"], found["metric"], names, where, period, _FUNCTIONS[found["function"]])

    def series(self, points: Iterable[Point]) -> list[Series]:
        found = {
            point.dimensions
            for point in points
            if (point.namespace, point.metric) == (self.namespace, self.metric)
            and {name for name, _ in point.dimensions} == self.names
            and self.where in point.dimensions
        }
        return [Series(self.namespace, self.metric, each, self.period, self.statistic) for each in found]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as the template has it: on `series` and their `expression`, or on any series of `query`."""

    series: Mapping[str, Series]
    query: Query | None
    expression: str
    periods: int
    breaching: int
    comparison: str
    threshold: float
    missing: str

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "Alarm":
        periods = int(properties["EvaluationPeriods"])
        query: Query | None = None
        series: dict[str, Series] = {}
        if "Metrics" in properties and "Period" in properties["Metrics"][0]:
            (asked,) = properties["Metrics"]
            expression, query = "metric", Query.of(asked["Expression"], asked["Period"])
        elif "Metrics" in properties:
            (returned,) = (each for each in properties["Metrics"] if each.get("ReturnData", True))
            named = {each["Id"]: each["MetricStat"] for each in properties["Metrics"] if each is not returned}
            expression = returned["Expression"]
            series = {name: _series(stat["Metric"], stat["Period"], stat["Stat"]) for name, stat in named.items()}
        else:
            expression = "metric"
            series = {"metric": _series(properties, properties["Period"], properties["Statistic"])}
        return cls(
            series,
            query,
            expression,
            periods,
            int(properties.get("DatapointsToAlarm", periods)),
            properties["ComparisonOperator"],
            properties["Threshold"],
            properties["TreatMissingData"],
        )

    def rings(self, points: Sequence[Point], now: float) -> bool:
        """Whether the alarm is in the state ALARM at `now` (epoch seconds)."""
        known = [self.series] if self.query is None else [{"metric": each} for each in self.query.series(points)]
        return any(self._rings(series, points, now) for series in known)

    def watched(self, points: Sequence[Point]) -> list[Series]:
        """What it looks at."""
        return list(self.series.values()) if self.query is None else self.query.series(points)

    def _rings(self, series: Mapping[str, Series], points: Sequence[Point], now: float) -> bool:
        (period,) = {each.period for each in series.values()}
        end = math.ceil(now / _SLIDES_BY) * _SLIDES_BY  # the minute that is under way counts
        values = [self._value(series, points, end - (back + 1) * period) for back in range(self.periods)]
        return sum(map(self._breaches, values)) >= self.breaching

    def _value(self, series: Mapping[str, Series], points: Sequence[Point], start: float) -> Value:
        known = {name: each.value(points, start) for name, each in series.items()}
        return _calculated(ast.parse(self.expression.strip(), mode="eval").body, known)

    def _breaches(self, value: Value) -> bool:
        if value is None:
            return self.missing == "breaching"
        return _COMPARISONS[self.comparison](value, self.threshold)


def _series(metric: Mapping[str, Any], period: int, statistic: str) -> Series:
    dimensions = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", []))
    return Series(metric["Namespace"], metric["MetricName"], dimensions, int(period), statistic)


def _calculated(node: ast.expr, known: Mapping[str, Value]) -> Value:
    """An expression of metric math for one period; of what is missing nothing follows but by SUM and FILL."""
    match node:
        case ast.Name(id=name):
            return known[name]
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.BinOp(left=left, op=operation, right=right):
            one, other = _calculated(left, known), _calculated(right, known)
            return None if one is None or other is None else _OPERATORS[type(operation)](one, other)
        case ast.Compare(left=left, ops=[ast.Gt()], comparators=[right]):
            one, other = _calculated(left, known), _calculated(right, known)
            return None if one is None or other is None else float(one > other)
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            holds = _calculated(condition, known)
            return None if holds is None else _calculated(then if holds else otherwise, known)
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, filler]):
            value = _calculated(filled, known)
            return _calculated(filler, known) if value is None else value
        case ast.Call(func=ast.Name(id="SUM"), args=[ast.List(elts=summands)]):
            values = [value for each in summands if (value := _calculated(each, known)) is not None]
            return math.fsum(values) if values else None
        case _:
            raise ValueError(f"not understood: {ast.unparse(node)}")
