"""The table for people, and the same as JSON for machines."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from .row import Row


def write(rows: Sequence[Row], path: Path) -> None:
    """Writes a list of objects, one for each row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([row.document for row in rows], indent=2) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> Table:
    """Every row; a target that does not hold stands out."""
    shown = Table(title="What it takes, by what it may take", title_style="bold")
    shown.add_column("what")
    for column in ("value", "unit", "baseline", "ratio", "target"):
        shown.add_column(column, justify="left" if column == "unit" else "right")
    for row in rows:
        style = {True: "green", False: "bold red", None: "dim"}[row.holds]
        value, unit, baseline, ratio, target = cells(row)
        shown.add_row(row.name, value, unit, baseline, f"[{style}]{ratio}[/]", target)
    return shown


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """Value, unit, baseline, ratio and target as text; what there is not is empty."""
    bound = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {row.target:g}"
    return number(row.value), row.unit, number(row.baseline), number(row.ratio), bound


def number(value: float | None) -> str:
    """Three significant digits, and no digit before the point left out."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    text = f"{value:.3g}"
    return f"{value:.6f}".rstrip("0") if "e" in text else text
