"""The forwarder with full batches: requests, calls, processor time, memory.

The real handler with its real clients, in this process; AWS and CleverTap answer from another one. So what counts is
all that the function itself does, the requests it writes and the answers it reads among it, and no waiting.
"""

import json
import math
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT
from purchasely_clevertap.purchasely.catalogue import CATALOGUE

from . import mapping, traffic
from .fake_aws import Asked, StandIn, standing_in
from .function import Handler, invoked, loaded, silent
from .rounds import Measure, bests, in_turns, processor_seconds, slopes
from .row import Row, compared, told
from .traffic import Told

_MESSAGES_OF_A_SIZE, _TIMES, _ROUNDS_OF_SIZES = 1000, 10, 3
_BESIDE = 150  # bytes of an item beside the state: names, lease, version, dates
_TOGETHER = 1000  # CleverTap, records of a request
_CALLS_TARGET, _PROCESSOR_TARGET, _LINEAR_TARGET = 0.2, 3.5, 1.15
_UNITS_TARGET, _NO_NEWS_TARGET = 6.0, 2.5
_NOTE = 1  # write unit, by ingest


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured: a batch of so many messages, over and over, and batches of at least three sizes."""

    messages: int
    sizes: Sequence[int]
    rounds: int


WHOLE = Extent(1000, (10, 100, 1000, 10_000), rounds=7)
QUICK = Extent(1000, (10, 100, 1000), rounds=3)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events, how Lambda hands them over, and what is remembered when it does."""

    events: Sequence[Told]
    messages: Mapping[str, Any]
    items: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, events: Sequence[Told]) -> "_Batch":
        messages = traffic.queued(events)
        return cls(events, messages, traffic.remembered(events, messages))


def rows(folder: Path, extent: Extent = WHOLE) -> list[Row]:
    """All that is measured of the forwarder, with settings that send everything, and with the default ones.

    By the default ones the events of anonymous users wait and a login releases them: those are left out there.
    """
    mapper = traffic.everything()
    events = traffic.events(max(extent.messages, *extent.sizes), mapper)
    batch, rounds = _Batch.of(events[: extent.messages]), extent.rounds
    _require_every_kind(batch.events)
    with standing_in(folder) as endpoints:
        with loaded("ForwarderFunction", endpoints.url) as handler:
            found = [
                *_full(handler, endpoints, batch, mapper, rounds, traffic.EVERYTHING, "forwarder"),
                *_kept(batch),
                *_growth(handler, endpoints, [_Batch.of(events[:size]) for size in extent.sizes], rounds),
            ]
        with loaded("ForwarderFunction", endpoints.url) as handler:
            known = _Batch.of(traffic.of_known_users(batch.events))
            found += _full(handler, endpoints, known, Mapper(DEFAULT), rounds, None, "forwarder, defaults")
            found += _no_news(handler, endpoints, traffic.without_news(events[: extent.messages], Mapper(DEFAULT)))
    return found


def _no_news(handler: Handler, endpoints: StandIn, events: Sequence[Told]) -> list[Row]:
    """Events that are switched off and of which the person's state has all; and all of them once more."""
    batch = _Batch.of(events)
    with silent():
        _forward(handler, endpoints, batch, None)
        once = endpoints.asked()
        invoked(handler, batch.messages)
        copies = endpoints.asked().write_units - once.write_units
    return [
        _units("forwarder: write units of an event that tells nothing new", once, len(events), _NO_NEWS_TARGET),
        Row(
            "forwarder: write units of a duplicate",
            copies / len(events) + _NOTE,
            "units",
            ratio=copies / len(events) + _NOTE,
            target=_NO_NEWS_TARGET,
        ),
    ]


def _units(name: str, asked: Asked, events: int, target: float) -> Row:
    """The write units of an event, with ingest's note."""
    units = asked.write_units / events + _NOTE
    return Row(name, units, "units", ratio=units, target=target)


def _full(
    handler: Handler,
    endpoints: StandIn,
    batch: _Batch,
    mapper: Mapper,
    rounds: int,
    settings: str | None,
    name: str,
) -> list[Row]:
    """One full batch, over and over, in turns with the mapping of the same events."""
    number = len(batch.events)
    with silent() as written:
        _forward(handler, endpoints, batch, settings)  # settings, credentials and connections are there from now on
        before = written.bytes
        _forward(handler, endpoints, batch, settings)
        logged, asked = written.bytes - before, endpoints.asked()
        found = in_turns(
            {
                "forwarder": lambda: _forward(handler, endpoints, batch, settings),
                "mapping": lambda: processor_seconds(lambda: mapping.pass_over(mapper, batch.events)),
            },
            rounds,
        )
    micros = {each: median(values) / number * 1e6 for each, values in found.items()}
    records = {account: sum(each) for account, each in asked.uploads.items()}
    needed = sum(math.ceil(each / _TOGETHER) for each in records.values())
    requests = sum(map(len, asked.uploads.values()))
    calls = asked.of("DynamoDB")
    return [
        compared(f"{name}: requests to CleverTap, of {number} events", requests, "requests", needed, 1.0),
        Row(f"{name}: calls of DynamoDB, by event", calls, "calls", None, calls / number, _CALLS_TARGET),
        _units(f"{name}: write units of DynamoDB, from the note on, by event", asked, number, _UNITS_TARGET),
        Row(f"{name}: calls of SQS", asked.of("AmazonSQS"), "calls", None, asked.of("AmazonSQS"), 0.0),
        compared(
            f"{name}: processor, by the mapping's with profiles",
            micros["forwarder"],
            "µs/event",
            micros["mapping"],
            _PROCESSOR_TARGET,
        ),
        told(f"{name}: records of an event", sum(records.values()) / number, "records"),
        told(f"{name}: a record", asked.uploaded / sum(records.values()), "bytes"),
        told(f"{name}: what it logs of an event", logged / number, "bytes"),
        told(f"{name}: what is remembered of an event", asked.delivery_bytes, "bytes"),
        told(f"{name}: what is archived of an event", asked.archived / number, "bytes"),
    ]


def _kept(batch: _Batch) -> list[Row]:
    """What a subscriber's state takes in the table."""
    items = batch.items["SubscribersTable"]
    states = [len(item["packed"]["S"]) + len(key) + _BESIDE for key, item in items.items() if "packed" in item]
    units = [math.ceil(state / 1024) for state in states]
    return [
        told("forwarder: a subscriber's state", sum(states) / len(states), "bytes"),
        told("forwarder: a subscriber's state, written", sum(units) / len(units), "units"),
    ]


def _growth(handler: Handler, endpoints: StandIn, batches: Sequence[_Batch], rounds: int) -> list[Row]:
    """Time and memory from small batches to those that no queue hands over, which must grow no faster than these."""
    by_size = {str(len(batch.events)): batch for batch in batches}

    def measure(batch: _Batch) -> Measure:
        times = max(1, min(_TIMES, _MESSAGES_OF_A_SIZE // len(batch.events)))
        return lambda: fmean(_forward(handler, endpoints, batch, traffic.EVERYTHING) for _ in range(times))

    with silent():
        found = bests({size: measure(batch) for size, batch in by_size.items()}, min(rounds, _ROUNDS_OF_SIZES))
        held = {size: _peak(handler, endpoints, batch) for size, batch in by_size.items()}
    seconds = [(int(size), value) for size, value in found.items()]
    peaks = [(int(size), value) for size, value in held.items()]
    rows: list[Row] = []
    for (number, spent), (_, peak) in zip(seconds, peaks, strict=True):
        rows.append(told(f"forwarder: processor with {number} messages", spent / number * 1e6, "µs/message"))
        rows.append(told(f"forwarder: memory with {number} messages", peak / number / 1024, "KB/message"))
    for what, points, unit, factor in (("time", seconds, "µs", 1e6), ("memory", peaks, "KB", 1 / 1024)):
        last, before = (slope * factor for slope in slopes(points))
        name = f"forwarder: {what} of one more message, up to {points[-1][0]}"
        rows.append(compared(name, last, unit, before, _LINEAR_TARGET))
    return rows


def _forward(handler: Handler, endpoints: StandIn, batch: _Batch, settings: str | None) -> float:
    """Processor seconds for the batch, as if it had never come before."""
    endpoints.reset(batch.items, settings)
    answers: list[Any] = []
    seconds = processor_seconds(lambda: answers.append(invoked(handler, batch.messages)))
    if answers != [{"batchItemFailures": []}]:
        raise RuntimeError(f"the forwarder gives messages back: {answers}"[:500])
    return seconds


def _peak(handler: Handler, endpoints: StandIn, batch: _Batch) -> float:
    """The most bytes that Python holds more than before, the batch itself included."""
    endpoints.reset(batch.items, traffic.EVERYTHING)
    text = json.dumps(batch.messages)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        invoked(handler, json.loads(text))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


def _require_every_kind(events: Sequence[Told]) -> None:
    if missing := CATALOGUE.keys() - {each.event_name for each in events}:
        raise RuntimeError(f"the lifecycles lack {', '.join(sorted(missing))}")
