"""CloudWatch's embedded metric format, read back as CloudWatch reads it (CloudWatch, Embedded metric format)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A value of a metric as CloudWatch has it; the time is in epoch seconds."""

    namespace: str
    metric: str
    dimensions: frozenset[tuple[str, str]]
    time: float
    value: float


@dataclass(slots=True)
class Emitted:
    """The metrics of some lines: the values and unit of each, where they are filed, and which value is filed where."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    units: dict[str, str] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    dimensions: set[frozenset[tuple[str, str]]] = field(default_factory=set)
    points: list[Point] = field(default_factory=list)


def emitted(lines: Iterable[dict[str, Any]]) -> Emitted:
    """The metrics of `lines`; an AssertionError for a line that CloudWatch would drop."""
    found = Emitted()
    for line in lines:
        assert type(line["_aws"]["Timestamp"]) is int
        for directive in line["_aws"]["CloudWatchMetrics"]:
            found.namespaces.add(directive["Namespace"])
            assert 1 <= len(directive["Metrics"]) <= 100
            filed = [frozenset((name, _text(line[name])) for name in names) for names in directive["Dimensions"]]
            assert all(len(names) <= 30 for names in filed)
            found.dimensions.update(filed)
            for metric in directive["Metrics"]:
                values = line[metric["Name"]]
                values = values if isinstance(values, list) else [values]
                assert 1 <= len(values) <= 100
                assert all(isinstance(value, int | float) for value in values)
                found.values[metric["Name"]] += values
                found.units[metric["Name"]] = metric["Unit"]
                found.points += [
                    Point(directive["Namespace"], metric["Name"], names, line["_aws"]["Timestamp"] / 1000, value)
                    for names in filed
                    for value in values
                ]
    return found


def _text(value: object) -> str:
    assert isinstance(value, str)
    assert value
    return value
