"""CloudWatch's metric filters, as far as the template uses them: metrics made of the lines of a log.

Source: Amazon CloudWatch Logs, "Using filter patterns to match terms in JSON log events".
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.integration.metric_format import Point

_PATTERN: Final = re.compile(r'\{ \$\.(?P<field>\w+) = "(?P<text>[^"*]+)" \}')


def access_line(form: str, **context: str) -> str:
    """The line that API Gateway writes of a request; what it has nothing for is a dash."""
    return re.sub(r"\$context\.([\w.]+)", lambda found: context.get(found[1], "-"), form)


def filtered(filters: Iterable[Mapping[str, Any]], line: str, time: float) -> list[Point]:
    """What the filters of its log make of a line; a ValueError for a pattern that is not understood."""
    fields = json.loads(line)
    points: list[Point] = []
    for each in filters:
        pattern = _PATTERN.fullmatch(each["FilterPattern"])
        if pattern is None:
            raise ValueError(f"not understood: {each['FilterPattern']}")
        if fields.get(pattern["field"]) != pattern["text"]:  # a text is another value than a number
            continue
        for made in each["MetricTransformations"]:
            dimensions = frozenset(made.get("Dimensions", ()))
            points.append(
                Point(made["MetricNamespace"], made["MetricName"], dimensions, time, float(made["MetricValue"]))
            )
    return points
