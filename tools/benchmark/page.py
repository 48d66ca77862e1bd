"""docs/performance.md: the tables of a whole run, and what follows from them."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill

from local_stack import sam
from local_stack.template import Template
from purchasely_clevertap.mapping.settings import DEFAULT

from . import prices
from .cold_start import STARTS
from .cost import (
    HEADROOM,
    LONGEST_BATCH_SECONDS,
    LONGEST_START_SECONDS,
    RATES,
    Configuration,
    Measured,
    Size,
    bill,
    cheapest,
    forwarder_seconds,
    forwarder_sizes,
    ingest_seconds,
    ingest_sizes,
    saved_by_skipping,
    total,
    waiting_seconds,
)
from .report import cells, number
from .row import Row

PAGE = sam.ROOT / "docs" / "performance.md"
_WIDTH = 120
_BACKFILL = 10_000_000
_CLEVERTAP_TOGETHER = 15
_ACCOUNT_CONCURRENCY = 1000
_FIRST_WRITES = 4000  # Amazon DynamoDB, on demand: what a new table takes at once, in write units a second


def write(rows: Sequence[Row], path: Path = PAGE) -> None:
    """Writes the page. `rows` are those of a whole run."""
    path.write_text(text(rows), encoding="utf-8")


def text(rows: Sequence[Row]) -> str:
    """The page."""
    measured, configuration = Measured.of(rows), Configuration.deployed()
    with_target = [row for row in rows if row.target is not None]
    others = [row for row in rows if row.target is None and not row.name.startswith("local stack")]
    stack = [row for row in rows if row.name.startswith("local stack")]
    parts = [
        _INTRODUCTION.format(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            processors=os.cpu_count(),
            machine=platform.machine(),
            python=platform.python_version(),
        ),
        "## What has a target",
        _table(("what", "value", "unit", "baseline", "ratio", "target", ""), map(_judged, with_target)),
        _METHOD.format(starts=STARTS),
        "## What has none",
        _table(("what", "value", "unit", "baseline", "ratio"), (_linked(row) for row in others)),
        "## The whole stack, emulated",
        _STACK.format(**_limits(rows)),
        _table(("what", "value", "unit", "baseline", "ratio"), (_linked(row) for row in stack)),
        "## Cost",
        _COST.format(
            region=prices.REGION,
            date=prices.DATE,
            skipped=f"{saved_by_skipping(measured):.2f}",
            sqs=prices.SQS_MS,
            update=prices.UPDATE_MS,
            call=prices.READ_MS,
            item=prices.TRANSACTION_ITEM_MS,
            upload=prices.UPLOAD_MS,
            record=prices.UPLOAD_RECORD_MS,
        ),
        *_bills(measured, configuration),
        "## Memory",
        _MEMORY.format(headroom=HEADROOM, start=LONGEST_START_SECONDS, batch=LONGEST_BATCH_SECONDS),
        *_memory(measured, configuration),
        "## What limits scale",
        *_scale(measured, configuration),
    ]
    paragraphs = "\n\n".join(part.strip("\n") for part in parts).split("\n\n")
    return "\n\n".join(each if each.startswith("|") else _wrapped(each) for each in paragraphs) + "\n"


_INTRODUCTION = """
# Performance

`make bench` writes this page and `build/bench.json`; `make bench-quick` takes a fifth of the time and writes only the
latter. Measured on {date}, on {processors} processors ({machine}), Python {python}. Another machine has other
absolute numbers. What counts is the ratio: what is compared was measured in turns, in the same run.
"""

_METHOD = """
**Cold start**: the packages of `sam build` under Lambda's own runtime interface, a new process each time, from the
invocation to its answer, the median of {starts}. AWS and CleverTap are a small stand-in in another process. The
baseline is a handler that makes one boto3 client and sends one message, without any layer.

**Ingest, warm**: the real handler, botocore answered from memory. The baseline signs the body with HMAC and has
botocore build, sign and send one SQS message. The handler does that, notes the event in DynamoDB, and logs. Processor
time, the best of 15.

**Mapping**: the bytes of an event to those of its event record and its Charged record, every limit kept; every event
of every lifecycle. *With a profile for each* also folds the event into what was known of its subscriber at that point
of the story, and makes the profile record of what is new: the dearest case, as the forwarder does so once for all
events of a subscriber that are in a batch. The target is for the event's own records, not for these. The baseline
reads and writes the same bytes with Python's own `json`. Best of 25, one core.

**Forwarder**: the real handler with its real clients, a batch of 1000 events of 1000 people, everything sent on.
Processor time of the forwarder's process alone: writing DynamoDB's requests and reading its answers counts, what
DynamoDB and CleverTap do with them does not. The baseline is the mapping of the same events, profiles included. Memory
is the peak of what Python holds, the batch itself included. SQS hands over no more than 1000; the batches of 10 000
show that nothing grows faster than the batch.
"""

_STACK = """
The packaged functions behind an emulated API Gateway, SQS, DynamoDB and CleverTap. **The emulation is the limit**,
and the processors that it shares with functions and senders: on the same machine it takes {queued} messages a second
into SQS alone, and lets {refused} requests a second through that the function refuses without asking anything. A
webhook that is taken asks it for two calls more, its batch for about seven, and a batch is what is queued at that
moment: hardly more than one. While webhooks were sent without a pause, emulation and functions kept {busy} of
{processors} processors busy, and whatever else ran on the machine made that {all}. The baseline is the rate of
refused requests.
"""

_COST = """
What a million webhooks cost by the list prices of {region} in {date}, in USD, without any free tier: processor time,
calls and bytes as measured above, times the prices in `tools/benchmark/prices.py`, which names AWS's pages. The
dearest case: every event is sent on, and no two of a batch are about one person. A million that are skipped cost
{skipped} USD less. A write in a transaction costs twice. Metrics are lines of the log. What a stack costs without any
webhook is in [operations](operations.md#what-it-costs).

How long AWS and CleverTap take to answer can't be measured here and is assumed: SQS {sqs:g} ms, an update of DynamoDB
{update:g} ms, its larger calls {call:g} ms and {item:g} ms for each item written, an upload {upload:g} ms and
{record:g} ms for each record.
"""

_MEMORY = """
Lambda gives a function a processor at 1769 MB, and a share of it below. Less memory is cheaper as long as the time
goes into waiting. *Enough* holds {headroom:g} times what was measured and, for ingest, starts within {start:g} s even
on its share alone; for the forwarder, ends a full batch within {batch:g} s.
"""


def _wrapped(paragraph: str) -> str:
    return fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _judged(row: Row) -> list[str]:
    verdict = {True: "holds", False: "**missed**", None: ""}[row.holds]
    return [row.name, *cells(row), verdict]


def _linked(row: Row) -> list[str]:
    return [row.name, *cells(row)[:-1]]


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" if name not in ("unit", "service", "what", "") else "---" for name in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def _limits(rows: Sequence[Row]) -> dict[str, str]:
    found = {row.name.partition(": ")[2]: number(row.value) for row in rows if row.name.startswith("local stack")}
    return {
        "refused": found["requests that the function refuses at once"],
        "queued": found["messages sent to SQS alone"],
        "busy": found["processors busy with AWS and the functions"],
        "all": found["processors busy with whatever"],
        "processors": str(os.cpu_count()),
    }


def _bills(measured: Measured, configuration: Configuration) -> list[str]:
    bills = [bill(measured, configuration, rate) for rate in RATES]
    head = ["service", "what", *(f"{_count(rate)}/s" for rate in RATES)]
    lines = [
        [items[0].service, items[0].what, *(f"{item.usd:.2f}" for item in items)] for items in zip(*bills, strict=True)
    ]
    batches = ["", "events of a batch", *(_count(configuration.batch(rate)) for rate in RATES)]
    totals = ["**together**", "", *(f"**{total(items):.2f}**" for items in bills)]
    return [_table(head, [batches, *lines, totals])]


def _memory(measured: Measured, configuration: Configuration) -> list[str]:
    parts: list[str] = []
    full, few = configuration.batch_size, configuration.batch(RATES[0])
    for name, sizes, deployed in (
        ("ingest, a webhook", ingest_sizes(measured), configuration.ingest_memory),
        *(
            (f"forwarder, {_count(size)} events", forwarder_sizes(measured, full, size), configuration.forwarder_memory)
            for size in (few, full)
        ),
    ):
        parts += [
            _table((name, "ms", "USD for a million webhooks", "enough"), map(_size, sizes)),
            _chosen(sizes, deployed),
        ]
    return parts


def _size(size: Size) -> list[str]:
    return [f"{size.memory} MB", number(size.seconds * 1000), f"{size.usd:.2f}", "yes" if size.enough else "no"]


def _chosen(sizes: Sequence[Size], deployed: int) -> str:
    best = cheapest(sizes)
    used = min(sizes, key=lambda size: abs(size.memory - deployed))
    if best.memory == deployed:
        return f"The template's {deployed} MB are the cheapest that are enough."
    return (
        f"The template has {deployed} MB; {best.memory} MB would be enough, take {number(best.seconds * 1000)} ms "
        f"instead of {number(used.seconds * 1000)}, and save {used.usd - best.usd:.2f} USD for a million webhooks."
    )


def _scale(measured: Measured, configuration: Configuration) -> list[str]:
    parameters = Template.load().parameters
    throttle, workers = parameters["ThrottleRate"], parameters["MaxConcurrency"]
    size, memory = configuration.batch_size, configuration.forwarder_memory
    ingest = ingest_seconds(measured, configuration.ingest_memory)
    batch = forwarder_seconds(measured, memory, size)
    units = bill(measured, configuration, throttle)
    written = next(item.units for item in units if item.what == "written")
    rate = {each: each * size / batch for each in (workers, _CLEVERTAP_TOGETHER)}
    lines = [
        ["ingest lets in", "`ThrottleRate`", f"{_count(throttle)}/s", _hours(throttle)],
        [
            "ingest",
            f"{_count(_ACCOUNT_CONCURRENCY)} functions at once in an account, {number(ingest * 1000)} ms each",
            f"{_count(_ACCOUNT_CONCURRENCY / ingest)}/s",
            _hours(_ACCOUNT_CONCURRENCY / ingest),
        ],
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
            f"{_count(_FIRST_WRITES)} units a second, {written:.0f} for an event in two tables",
            f"{_count(_FIRST_WRITES * 2 / written)}/s",
            _hours(_FIRST_WRITES * 2 / written),
        ],
    ]
    waiting = waiting_seconds(size, measured.records) / batch
    return [
        "Events a second that each link takes, and how long it would need for a backfill of ten million events:",
        _table(("link", "by", "events", "backfill"), lines),
        _SCALE.format(
            records=number(measured.records),
            waiting=f"{waiting:.0%}".replace("%", " %"),
            together=_CLEVERTAP_TOGETHER,
            throttle=_count(throttle),
            slowest=_hours(min(throttle, rate[workers])),
            late=DEFAULT.late_events.after_minutes,
        ),
    ]


_SCALE = """
CleverTap takes 1000 records in a request, {records} of which are one event here, and answers more than {together}
requests at once for an account with 429: `MaxConcurrency` can't be set higher, and is shared with whatever else
uploads to the account. Of a full batch {waiting} is waiting, so more memory does little for the rate, more workers do
all. One stack sends at most what {together} workers do; beyond, apps go into stacks and CleverTap accounts of their
own. The account's concurrency is shared with all its functions: at {throttle} webhooks a second ingest uses a small
part of it. The tables grow by themselves to twice their former peak within half an hour; what DynamoDB refuses
meanwhile waits on the queue.

A backfill of ten million takes the stack as it is {slowest}, if Purchasely sends as fast; the queue holds what is not
done yet for 14 days, any number of it. CleverTap triggers live campaigns only for events at most two hours old.
Events that wait longer on the queue trigger none, those of others that arrive meanwhile among them: let a backfill in
slowly (`ThrottleRate` below what the forwarder does), at a quiet hour, and set `late_events` for what it brings, as
it is older than {late} minutes anyway.
"""


def _hours(rate: float) -> str:
    return f"{_BACKFILL / rate / 3600:.1f} h"


def _count(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")
