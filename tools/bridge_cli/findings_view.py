"""Findings as people see them: a line for each, and what to do."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console

from bridge_cli.finding import Finding
from bridge_cli.output import plain, table

_MARKS: Final = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "dim")}


def show_findings(console: Console, found: Iterable[Finding]) -> None:
    """Writes them in their order."""
    lines = table("", "", "")
    lines.show_header = False
    for each in found:
        words = plain(each.found, lines=True)
        if each.todo:
            words.append("\n").append_text(plain(f"→ {each.todo}", "bold"))
        lines.add_row(plain(*_MARKS[each.good]), plain(each.subject), words)
    console.print(lines)
