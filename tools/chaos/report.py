"""The table for people, and the same as JSON for machines."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from .verdict import Verdict


@dataclass(slots=True)
class Row:
    """A fault and what came of all its runs together."""

    fault: str
    runs: int = 0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    stale: int = 0
    late: int = 0
    doubled_lost_answer: int = 0
    slowest_webhook_ms: int = 0

    def add(self, verdict: Verdict) -> None:
        """Counts one more run."""
        self.runs += 1
        self.events += verdict.events
        self.lost += len(verdict.lost)
        self.doubled += len(verdict.doubled)
        self.stale += len(verdict.stale)
        self.late += len(verdict.late)
        self.doubled_lost_answer += verdict.doubled_lost_answer
        self.slowest_webhook_ms = max(self.slowest_webhook_ms, round(verdict.slowest_webhook * 1000))

    @property
    def broken(self) -> bool:
        """Whether anything is that must not be."""
        return self.lost + self.doubled + self.stale + self.late > 0


class Report:
    """The rows in the order in which their faults were named first."""

    def __init__(self, faults: Iterable[str]) -> None:
        self._rows = {fault: Row(fault) for fault in faults}

    def add(self, fault: str, verdict: Verdict) -> None:
        """Counts one more run of `fault`."""
        self._rows.setdefault(fault, Row(fault)).add(verdict)

    @property
    def rows(self) -> list[Row]:
        """Those with at least one run."""
        return [row for row in self._rows.values() if row.runs]

    def write(self, path: Path) -> None:
        """Writes a list of objects, one for each row."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(row) for row in self.rows], indent=2) + "\n", encoding="utf-8")

    def table(self) -> Table:
        """The rows and their sum."""
        table = Table(
            title="Nothing lost, nothing doubled, nothing stale, nothing late",
            title_style="bold",
            row_styles=["", "on grey7"],
        )
        table.add_column("fault")
        for column in (
            "runs",
            "events",
            "lost",
            "doubled",
            "stale",
            "late",
            "doubled (answer lost)",
            "ms of a webhook",
        ):
            table.add_column(column, justify="right")
        for row in self.rows:
            table.add_row(*_cells(asdict(row)))
        table.add_section()
        table.add_row(*_cells(asdict(self._sum())), style="bold")
        return table

    def _sum(self) -> Row:
        names = [name for name in Row.__slots__ if name != "fault"]
        found = {name: sum(getattr(row, name) for row in self.rows) for name in names}
        return Row(
            "all", **found | {"slowest_webhook_ms": max((row.slowest_webhook_ms for row in self.rows), default=0)}
        )


def _cells(row: Mapping[str, object]) -> list[str]:
    must_be_0 = ("lost", "doubled", "stale", "late")
    return [f"[bold red]{value}[/]" if name in must_be_0 and value else str(value) for name, value in row.items()]
