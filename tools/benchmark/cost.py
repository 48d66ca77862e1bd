"""What a million webhooks cost, from what was measured and AWS's prices; and which memory a function should have.

Lambda bills the time from an invocation's begin to its end: the processor's seconds, stretched by the share of a
processor that the memory brings, and the waiting, which is assumed (`prices`).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from local_stack.template import Template

from . import prices
from .row import Row

RATES: Final = (1, 100, 10_000)
"""Webhooks a second."""
MEMORIES: Final = (128, 256, 512, 1024, 1769)
TOGETHER: Final = 100  # DynamoDB, items that a call reads
STATEMENTS: Final = 25  # DynamoDB, statements of a call
POLLERS: Final = 5  # AWS Lambda, event source mapping of SQS: with so many it begins, each with batches of its own
RECORDS: Final = 1000  # CleverTap, records of a request
_COST_RATE, _COST_TARGET = 100, 6.5
HEADROOM: Final = 1.5
LONGEST_START_SECONDS: Final = 3.0  # of the 10 s that Purchasely waits for an answer
LONGEST_BATCH_SECONDS: Final = 30.0  # half of the forwarder's timeout
_MILLION: Final = 1_000_000
_KEPT_SECONDS: Final = 300  # a function reads a secret that often
_SETTINGS_SECONDS: Final = 60
_RECEIVED_TOGETHER: Final = 10  # SQS, messages of a call
_ACCESS_LINE_BYTES: Final = 300
_RECORD_STEP_BYTES: Final = 5 * 1024
_TAKEN_IN_BYTES: Final = 26  # CloudWatch counts so many bytes more for each line
_PLATFORM_LINES, _PLATFORM_BYTES = 3, 290  # Lambda's own for an invocation: START, END, REPORT


@dataclass(frozen=True, slots=True)
class Measured:
    """What a webhook takes. Seconds are a whole processor's; `batches` has them by the number of messages."""

    ingest_seconds: float
    ingest_logged: float
    ingest_start_seconds: float
    ingest_memory_mb: float
    batches: Mapping[int, float]
    forwarder_logged: float
    forwarder_memory_mb: float
    records: float
    record_bytes: float
    subscriber_units: float
    delivery_bytes: float
    archived_bytes: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """What the rows of the other parts tell. KeyError names one that is missing."""
        found = {row.name: row.value for row in rows}
        batches = {
            int(size): found[f"forwarder: processor with {size} messages"] * int(size) / 1e6
            for size in re.findall(r"forwarder: processor with (\d+) messages", "\n".join(found))
        }
        return cls(
            ingest_seconds=found["ingest, warm: handler without the network"] / 1e6,
            ingest_logged=found["ingest, warm: what it logs of a webhook"],
            ingest_start_seconds=found["cold start: ingest, processor"] / 1000,
            ingest_memory_mb=found["cold start: ingest, memory"],
            batches=batches,
            forwarder_logged=found["forwarder: what it logs of an event"],
            forwarder_memory_mb=found["cold start: forwarder, memory"]
            + found["forwarder: memory with 1000 messages"] * 1000 / 1024,
            records=found["forwarder: records of an event"],
            record_bytes=found["forwarder: a record"],
            subscriber_units=found["forwarder: a subscriber's state, written"],
            delivery_bytes=found["forwarder: what is remembered of an event"],
            archived_bytes=found["forwarder: what is archived of an event"],
        )

    def batch_seconds(self, messages: int) -> float:
        """The processor's seconds for a batch, along the line through the sizes next to it."""
        sizes = sorted(self.batches)
        upper = next((index for index, size in enumerate(sizes) if size >= messages and index), len(sizes) - 1)
        below, above = sizes[upper - 1], sizes[upper]
        rise = (self.batches[above] - self.batches[below]) / (above - below)
        return max(self.batches[below] + rise * (messages - below), 0.0)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The template's defaults as far as they cost: memory in MB, the batch, its window in seconds."""

    ingest_memory: int
    forwarder_memory: int
    batch_size: int
    window_seconds: int

    @classmethod
    def deployed(cls) -> Self:
        """That of the template when nothing is chosen."""
        parameters = Template.load().parameters
        return cls(
            ingest_memory=parameters["IngestMemory"],
            forwarder_memory=parameters["ForwarderMemory"],
            batch_size=parameters["BatchSize"],
            window_seconds=parameters["BatchWindowSeconds"],
        )

    def batch(self, rate: float) -> int:
        """How many messages a batch has when so many webhooks come in a second: each poller waits for its own."""
        return max(1, min(round(rate * self.window_seconds / POLLERS), self.batch_size))


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill for a million webhooks: so many units, each at a price."""

    service: str
    what: str
    units: float
    unit: str
    price: float

    @property
    def usd(self) -> float:
        """What it costs."""
        return self.units * self.price


@dataclass(frozen=True, slots=True)
class Size:
    """A function at one size of memory: how long it takes, what a million webhooks cost of it, whether it is enough."""

    memory: int
    seconds: float
    usd: float
    enough: bool


def rows(others: Sequence[Row]) -> list[Row]:
    """What a million webhooks cost, by the rows of the other parts."""
    measured, configuration = Measured.of(others), Configuration.deployed()
    costs = {rate: total(bill(measured, configuration, rate)) for rate in RATES}
    return [
        Row(
            f"a million webhooks at {rate:,}/s".replace(",", " "),
            cost,
            "USD",
            ratio=cost,
            target=_COST_TARGET if rate == _COST_RATE else None,
        )
        for rate, cost in costs.items()
    ]


def bill(measured: Measured, configuration: Configuration, rate: float) -> list[Item]:
    """What a million webhooks cost that come at `rate` a second, all sent on, no two of a batch of one person."""
    size = configuration.batch(rate)
    batches = _MILLION / size
    ingest = ingest_seconds(measured, configuration.ingest_memory)
    forwarder = forwarder_seconds(measured, configuration.forwarder_memory, size)
    received = 2 * math.ceil(size / _RECEIVED_TOGETHER) / size  # and deleted
    written = sum(units_written(measured))
    platform = _PLATFORM_BYTES + _PLATFORM_LINES * _TAKEN_IN_BYTES
    logged = (
        _ACCESS_LINE_BYTES
        + measured.ingest_logged
        + measured.forwarder_logged
        + 6 * _TAKEN_IN_BYTES
        + platform * (1 + 1 / size)
    )
    # Of a batch the last record fills its step by half or so; a small batch has no other.
    archived = math.ceil(measured.archived_bytes * size / _RECORD_STEP_BYTES) * _RECORD_STEP_BYTES * batches / 1e9
    kept = measured.delivery_bytes * _MILLION / 1e9
    at_work = max(1.0, rate * ingest), max(1.0, rate / size * forwarder)
    secrets = sum(at_work) / _KEPT_SECONDS / rate
    parameters = at_work[1] / _SETTINGS_SECONDS / rate
    return [
        Item("API Gateway", "requests", 1, "million", prices.GATEWAY_MILLION),
        Item("Lambda", "requests", 1 + batches / _MILLION, "million", prices.LAMBDA_MILLION),
        Item("Lambda", "ingest", gb_seconds(configuration.ingest_memory, ingest), "GB s", prices.LAMBDA_GB_SECOND),
        Item(
            "Lambda",
            "forwarder",
            gb_seconds(configuration.forwarder_memory, forwarder) / size,
            "GB s",
            prices.LAMBDA_GB_SECOND,
        ),
        Item("SQS", "sent, received, deleted", 1 + received, "million", prices.SQS_MILLION),
        Item("SQS", "grouped by app", 1 + received, "million", prices.SQS_FAIR_MILLION),
        Item("DynamoDB", "written", written, "million", prices.DYNAMODB_WRITTEN_MILLION),
        Item("DynamoDB", "read", 2 + _marks(size) / size, "million", prices.DYNAMODB_READ_MILLION),
        Item("DynamoDB", "kept for 30 days, with backups", kept, "GB", prices.DYNAMODB_GB_MONTH),
        Item("Firehose", "archive, taken in and filed", archived, "GB", prices.FIREHOSE_GB + prices.FIREHOSE_FILED_GB),
        Item("CloudWatch", "logs, metrics in them", logged * _MILLION / 1e9, "GB", prices.LOGS_GB),
        Item("Secrets Manager", "read again", secrets, "million", prices.SECRETS_MILLION),
        Item("Parameter Store", "read again", parameters, "million", prices.PARAMETERS_MILLION),
        Item(
            "data out",
            "to CleverTap",
            measured.records * measured.record_bytes * _MILLION / 1e9,
            "GB",
            prices.DATA_OUT_GB,
        ),
    ]


def units_written(measured: Measured) -> tuple[float, float]:
    """What an event takes of each table: the note, the claim and the outcome; the lease and the state."""
    return 3 * math.ceil(measured.delivery_bytes / 1024), 2 * measured.subscriber_units


def _marks(messages: int) -> int:
    """How many items with marks of suppressed people a batch reads, one unit each: one for a person, all sixteen at
    most."""
    return min(messages, 16)


def total(items: Sequence[Item]) -> float:
    """What all of it costs, in USD."""
    return sum(item.usd for item in items)


def gb_seconds(memory: int, seconds: float) -> float:
    """Of a million invocations."""
    return memory / 1024 * seconds * _MILLION


def stretched(seconds: float, memory: int) -> float:
    """How long the processor's seconds last with the share of it that the memory brings; one thread uses one."""
    return seconds / min(1.0, memory / prices.PROCESSOR_MB)


def ingest_seconds(measured: Measured, memory: int) -> float:
    """How long the ingest function takes for a webhook, when it is warm."""
    return stretched(measured.ingest_seconds, memory) + (prices.SQS_MS + prices.UPDATE_MS) / 1000


def forwarder_seconds(measured: Measured, memory: int, messages: int) -> float:
    """How long the forwarder takes for a batch of as many people as messages."""
    return stretched(measured.batch_seconds(messages), memory) + waiting_seconds(messages, measured.records)


def waiting_seconds(messages: int, records: float) -> float:
    """How long a batch waits for DynamoDB, read a hundred and written twenty-five at a time, and for CleverTap."""
    reads = math.ceil((messages + _marks(messages)) / TOGETHER) + math.ceil(messages / TOGETHER)
    uploads = math.ceil(messages * records / RECORDS)
    claims = math.ceil(2 * messages / STATEMENTS)
    settles = uploads * math.ceil(2 * messages / uploads / STATEMENTS)
    return (
        reads * prices.READ_MS
        + (claims + settles) * prices.STATEMENTS_MS
        + 4 * messages * prices.STATEMENT_MS
        + uploads * prices.UPLOAD_MS
        + messages * records * prices.UPLOAD_RECORD_MS
    ) / 1000


def ingest_sizes(measured: Measured) -> list[Size]:
    """The ingest function at each size; enough is what holds it, and starts in time on its share."""
    return [
        Size(
            memory,
            seconds := ingest_seconds(measured, memory),
            gb_seconds(memory, seconds) * prices.LAMBDA_GB_SECOND,
            measured.ingest_memory_mb * HEADROOM <= memory
            and stretched(measured.ingest_start_seconds, memory) <= LONGEST_START_SECONDS,
        )
        for memory in MEMORIES
    ]


def forwarder_sizes(measured: Measured, full: int, messages: int | None = None) -> list[Size]:
    """The forwarder at each size, with batches of so many messages, or full ones.

    Enough is what holds a full one, and ends long before its timeout.
    """
    messages = messages or full
    return [
        Size(
            memory,
            seconds := forwarder_seconds(measured, memory, messages),
            gb_seconds(memory, seconds) / messages * prices.LAMBDA_GB_SECOND,
            measured.forwarder_memory_mb * HEADROOM <= memory
            and forwarder_seconds(measured, memory, full) <= LONGEST_BATCH_SECONDS,
        )
        for memory in MEMORIES
    ]
