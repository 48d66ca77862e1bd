"""The page on performance is as the benchmark writes it, and adds up."""

import re

import pytest

from benchmark import page
from benchmark.cost import MEMORIES, RATES
from local_stack.sam import ROOT

PAGE = page.PAGE.read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a header row that begins with `heading`."""
    table = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")] for row in table]


def number(cell: str) -> float:
    return float(cell.strip("*≤≥ ").replace(" ", ""))


def test_the_bill_adds_up_at_every_rate() -> None:
    _batches, *items, together = rows("service")

    assert len(together) == 2 + len(RATES)
    for column, total in enumerate(together[2:], start=2):
        assert number(total) == pytest.approx(sum(number(item[column]) for item in items), abs=0.005 * len(items))


def test_every_verdict_is_that_of_its_ratio() -> None:
    judged = rows("what | value | unit | baseline | ratio | target")

    assert len(judged) > 10
    for name, _, _, _, ratio, target, verdict in judged:
        at_least = target.startswith("≥")
        holds = number(ratio) >= number(target) if at_least else number(ratio) <= number(target)
        assert (verdict == "holds") is holds or number(ratio) == number(target), name


def test_every_size_is_weighed() -> None:
    for heading in ("ingest, a webhook", "forwarder, 5 events", "forwarder, 1 000 events"):
        assert [row[0] for row in rows(heading)] == [f"{memory} MB" for memory in MEMORIES]
        assert "yes" in {row[3] for row in rows(heading)}


def test_every_link_and_file_is_there() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)#?([^)]*)\)", PAGE)

    assert links == [("operations.md", "what-it-costs")]
    assert "\n## What it costs\n" in operations
    assert "performance.md#cost" in operations
    assert "\n## Cost\n" in PAGE
    assert [path for path in re.findall(r"`(tools/[\w/.]+)`", PAGE) if not (ROOT / path).is_file()] == []
