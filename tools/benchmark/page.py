"""The tables of docs/performance.md; its sentences are written by hand."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from local_stack import sam
from local_stack.template import Template

from .cost import (
    RATES,
    Configuration,
    Measured,
    Size,
    bill,
    forwarder_seconds,
    forwarder_sizes,
    ingest_seconds,
    ingest_sizes,
    total,
    units_written,
)
from .report import cells, number
from .row import Row

PAGE = sam.ROOT / "docs" / "performance.md"
_BACKFILL = 10_000_000
_CLEVERTAP_TOGETHER = 15
_USUAL_QUOTA, _FIRST_QUOTA = 1000, 10  # AWS Lambda, concurrent executions of an account; of a new one
_GATEWAY_QUOTAS = {"": 10_000, " in 13 of the newer regions": 2500}  # Amazon API Gateway quotas, requests a second
_DEAD_LETTER_WORKERS = 2
_FIRST_WRITES = 4000  # Amazon DynamoDB, on demand: what a new table takes at once, in write units a second


def write(rows: Sequence[Row], path: Path = PAGE) -> None:
    """Puts the tables of a whole run into the page, each below the comment with its name."""
    page = path.read_text(encoding="utf-8")
    for name, table in tables(rows).items():
        below = re.compile(rf"(<!-- table: {name} -->\n)(?:\|.*\n)*")
        found = below.search(page)
        if found is None:
            raise ValueError(f"{path.name} has no comment <!-- table: {name} -->")
        page = f"{page[: found.end(1)]}{table}\n{page[found.end() :]}"
    path.write_text(page, encoding="utf-8")


def tables(rows: Sequence[Row]) -> dict[str, str]:
    """The tables by their names."""
    measured, configuration = Measured.of(rows), Configuration.deployed()
    few, full = configuration.batch(RATES[0]), configuration.batch_size
    today = datetime.now(UTC).date().isoformat()
    return {
        "machine": _table(
            ("measured on", "processors", "machine", "Python"),
            [(today, str(os.cpu_count()), platform.machine(), platform.python_version())],
        ),
        "targets": _table(
            ("what", "value", "unit", "baseline", "ratio", "target", ""),
            (_judged(row) for row in rows if row.target is not None),
        ),
        "other": _table(_PLAIN, (_linked(row) for row in rows if row.target is None and not _is_stack(row))),
        "stack": _table(_PLAIN, (_linked(row) for row in rows if _is_stack(row))),
        "cost": _bills(measured, configuration),
        "memory of ingest": _memory("ingest, a webhook", ingest_sizes(measured)),
        "memory of the forwarder, few": _memory(
            f"forwarder, {_count(few)} events", forwarder_sizes(measured, full, few)
        ),
        "memory of the forwarder, full": _memory(
            f"forwarder, {_count(full)} events", forwarder_sizes(measured, full, full)
        ),
        "scale": _scale(measured, configuration),
    }


_PLAIN = ("what", "value", "unit", "baseline", "ratio")


def _is_stack(row: Row) -> bool:
    return row.name.startswith("local stack")


def _judged(row: Row) -> list[str]:
    verdict = {True: "holds", False: "**missed**", None: ""}[row.holds]
    return [row.name, *cells(row), verdict]


def _linked(row: Row) -> list[str]:
    return [row.name, *cells(row)[:-1]]


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" if name not in ("unit", "service", "what", "") else "---" for name in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def _bills(measured: Measured, configuration: Configuration) -> str:
    bills = [bill(measured, configuration, rate) for rate in RATES]
    head = ["service", "what", *(f"{_count(rate)}/s" for rate in RATES)]
    lines = [
        [items[0].service, items[0].what, *(f"{item.usd:.2f}" for item in items)] for items in zip(*bills, strict=True)
    ]
    batches = ["", "events of a batch", *(_count(configuration.batch(rate)) for rate in RATES)]
    totals = ["**together**", "", *(f"**{total(items):.2f}**" for items in bills)]
    return _table(head, [batches, *lines, totals])


def _memory(name: str, sizes: Iterable[Size]) -> str:
    return _table((name, "ms", "USD for a million webhooks", "enough"), map(_size, sizes))


def _size(size: Size) -> list[str]:
    return [f"{size.memory} MB", number(size.seconds * 1000), f"{size.usd:.2f}", "yes" if size.enough else "no"]


def _scale(measured: Measured, configuration: Configuration) -> str:
    parameters = Template.load().parameters
    throttle, workers = parameters["ThrottleRate"], parameters["MaxConcurrency"]
    size, memory = configuration.batch_size, configuration.forwarder_memory
    ingest = ingest_seconds(measured, configuration.ingest_memory)
    batch = forwarder_seconds(measured, memory, size)
    busier = max(units_written(measured))
    rate = {each: each * size / batch for each in (workers, _CLEVERTAP_TOGETHER)}
    taken = workers + _DEAD_LETTER_WORKERS
    lines = [
        ["API Gateway accepts", "`ThrottleRate`", f"{_count(throttle)}/s", _hours(throttle)],
        *(
            ["API Gateway accepts", f"an account's quota{where}", f"{_count(quota)}/s", _hours(quota)]
            for where, quota in _GATEWAY_QUOTAS.items()
        ),
        *(
            [
                "ingest",
                f"a quota of {_count(quota)} without the forwarder's {taken}, {number(ingest * 1000)} ms each",
                f"{_count((quota - taken) / ingest)}/s",
                _hours((quota - taken) / ingest),
            ]
            for quota in (_FIRST_QUOTA, _USUAL_QUOTA)
        ),
        *(
            [
                "the forwarder",
                f"`MaxConcurrency` {each}, {_count(size)} events in {batch:.1f} s",
                f"{_count(rate[each])}/s",
                _hours(rate[each]),
            ]
            for each in rate
        ),
        [
            "a new DynamoDB table",
            f"{_count(_FIRST_WRITES)} units a second, {busier:.0f} for an event in the busier one",
            f"{_count(_FIRST_WRITES / busier)}/s",
            _hours(_FIRST_WRITES / busier),
        ],
    ]
    return _table(("link", "by", "events", "backfill"), lines)


def _hours(rate: float) -> str:
    return f"{_BACKFILL / rate / 3600:.1f} h"


def _count(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")
