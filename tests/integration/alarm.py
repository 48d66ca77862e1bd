"""CloudWatch's alarms, as far as the template uses them: an alarm's own expression on data points.

Sources: Amazon CloudWatch, "Evaluating an alarm", "Configuring how CloudWatch alarms treat missing data", "Metric math
syntax and functions".
"""

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.integration.metric_format import Point

type Value = float | None

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
class Alarm:
    """An alarm as the template has it."""

    series: Mapping[str, Series]
    expression: str
    periods: int
    breaching: int
    comparison: str
    threshold: float
    missing: str

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "Alarm":
        periods = int(properties["EvaluationPeriods"])
        if "Metrics" in properties:
            (returned,) = (each for each in properties["Metrics"] if each.get("ReturnData", True))
            named = {each["Id"]: each["MetricStat"] for each in properties["Metrics"] if each is not returned}
            expression = returned["Expression"]
            series = {name: _series(stat["Metric"], stat["Period"], stat["Stat"]) for name, stat in named.items()}
        else:
            expression = "metric"
            series = {"metric": _series(properties, properties["Period"], properties["Statistic"])}
        return cls(
            series,
            expression,
            periods,
            int(properties.get("DatapointsToAlarm", periods)),
            properties["ComparisonOperator"],
            properties["Threshold"],
            properties["TreatMissingData"],
        )

    def rings(self, points: Sequence[Point], now: float) -> bool:
        """Whether the alarm is in the state ALARM at `now` (epoch seconds)."""
        (period,) = {each.period for each in self.series.values()}
        end = math.ceil(now / period) * period  # the period that is under way counts
        values = [self._value(points, end - (back + 1) * period) for back in range(self.periods)]
        return sum(map(self._breaches, values)) >= self.breaching

    def _value(self, points: Sequence[Point], start: float) -> Value:
        known = {name: each.value(points, start) for name, each in self.series.items()}
        return _calculated(ast.parse(self.expression.strip(), mode="eval").body, known)

    def _breaches(self, value: Value) -> bool:
        if value is None:
            return self.missing == "breaching"
        return _COMPARISONS[self.comparison](value, self.threshold)


def _series(metric: Mapping[str, Any], period: int, statistic: str) -> Series:
    dimensions = frozenset((each["Name"], each["Value"]) for each in metric["Dimensions"])
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
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, filler]):
            value = _calculated(filled, known)
            return _calculated(filler, known) if value is None else value
        case ast.Call(func=ast.Name(id="SUM"), args=[ast.List(elts=summands)]):
            values = [value for each in summands if (value := _calculated(each, known)) is not None]
            return math.fsum(values) if values else None
        case _:
            raise ValueError(f"not understood: {ast.unparse(node)}")
