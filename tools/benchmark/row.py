"""One line of the benchmark: a value, what it is compared with, and whether it may be so."""

from dataclasses import dataclass
from typing import Any

KEYS = ("name", "value", "unit", "baseline", "ratio", "target", "holds")


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is value by baseline, or what else the target is about; `at_least` turns the target around.

    A row without a target only tells.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: float | None = None
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the ratio is within its target; None when there is none."""
        if self.target is None or self.ratio is None:
            return None
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    @property
    def document(self) -> dict[str, Any]:
        """The row for machines, under `KEYS`."""
        return {name: getattr(self, name) for name in KEYS}


def compared(
    name: str, value: float, unit: str, baseline: float, target: float | None = None, *, at_least: bool = False
) -> Row:
    """A value by its baseline; the target is the most that the ratio may be, or the least."""
    return Row(name, value, unit, baseline, value / baseline, target, at_least)


def told(name: str, value: float, unit: str) -> Row:
    """A value alone."""
    return Row(name, value, unit)
