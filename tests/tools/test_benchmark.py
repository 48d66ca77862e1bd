"""The benchmark: what machines read, and what is worked out from what was measured."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmark import __main__ as command
from benchmark import page, prices, report, traffic
from benchmark.cost import (
    MEMORIES,
    RATES,
    Configuration,
    Measured,
    bill,
    ingest_seconds,
    total,
    waiting_seconds,
)
from benchmark.report import number
from benchmark.rounds import bests, medians, slopes
from benchmark.row import Row, compared, told
from local_stack.template import Template
from purchasely_clevertap.purchasely.catalogue import CATALOGUE

MEASURED = Measured(
    ingest_seconds=0.002,
    ingest_logged=500,
    ingest_start_seconds=0.4,
    ingest_memory_mb=60,
    batches={10: 0.020, 100: 0.110, 1000: 1.010},
    forwarder_logged=400,
    forwarder_memory_mb=200,
    records=2,
    record_bytes=800,
    subscriber_units=2,
    delivery_bytes=500,
)
CONFIGURATION = Configuration(ingest_memory=512, forwarder_memory=1024, batch_size=1000, window_seconds=5)


def ended(arguments: list[str]) -> object:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    return stopped.value.code


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        (compared("a", 3, "ms", 2, 1.5), True),
        (compared("a", 3.1, "ms", 2, 1.5), False),
        (compared("a", 3, "1/s", 4, 0.75, at_least=True), True),
        (compared("a", 2.9, "1/s", 4, 0.75, at_least=True), False),
        (compared("a", 3, "ms", 2), None),
        (told("a", 3, "ms"), None),
        (Row("a", 0, "calls", None, 0, 0), True),
        (Row("a", 1, "calls", None, 1, 0), False),
    ],
)
def test_a_target_is_the_most_or_the_least(row: Row, holds: bool | None) -> None:
    assert row.holds is holds


def test_machines_read_these_keys_and_numbers(tmp_path: Path) -> None:
    report.write([compared("one", 3, "ms", 2, 1), told("other", 5, "µs")], tmp_path / "build" / "bench.json")

    assert json.loads((tmp_path / "build" / "bench.json").read_text()) == [
        {"name": "one", "value": 3, "unit": "ms", "baseline": 2, "ratio": 1.5, "target": 1, "holds": False},
        {"name": "other", "value": 5, "unit": "µs", "baseline": None, "ratio": None, "target": None, "holds": None},
    ]


def test_what_misses_its_target_is_red() -> None:
    console = Console(width=100, force_terminal=True, color_system="standard")
    with console.capture() as shown:
        console.print(report.table([compared("one", 3, "ms", 2, 1), compared("other", 1, "ms", 2, 1)]))
    one, other = (line for line in shown.get().splitlines() if "ms" in line)

    assert "\x1b[1;31m1.5" in one
    assert "\x1b[32m0.5" in other


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, "0"), (0.064, "0.064"), (1.2345, "1.23"), (12345.6, "12 346"), (0.00001234, "0.000012")],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_what_is_compared_is_measured_in_turns() -> None:
    order: list[str] = []

    def measure(name: str, values: Iterator[float]) -> float:
        order.append(name)
        return next(values)

    slow, fast = iter([5.0, 9.0, 6.0] * 2), iter([1.0, 3.0, 2.0] * 2)
    measures = {"slow": lambda: measure("slow", slow), "fast": lambda: measure("fast", fast)}

    assert medians(measures, 3) == {"slow": 6.0, "fast": 2.0}
    assert order == ["slow", "fast", "fast", "slow", "slow", "fast"]
    assert bests(measures, 3) == {"slow": 5.0, "fast": 1.0}


@given(st.floats(0, 100), st.floats(0.001, 100))
def test_growth_by_the_message_has_one_slope(fixed: float, each: float) -> None:
    last, before = slopes([(size, fixed + each * size) for size in (10, 100, 1000, 10_000)])

    assert last == pytest.approx(each)
    assert before == pytest.approx(each)


def test_what_grows_faster_has_a_steeper_slope() -> None:
    last, before = slopes([(size, size**2) for size in (10, 100, 1000)])

    assert (last, before) == (1100, 110)


def test_a_bill_is_units_times_prices() -> None:
    items = {(item.service, item.what): item for item in bill(MEASURED, CONFIGURATION, 1)}

    assert items["API Gateway", "requests"].usd == prices.GATEWAY_MILLION
    assert items["Lambda", "requests"].units == pytest.approx(1.2)  # five webhooks a batch
    assert items["SQS", "sent, received, deleted"].units == pytest.approx(1.4)
    assert items["DynamoDB", "written"].units == 1 + 2 + 2 + 2 * 4  # noted, claimed, settled; leased and kept
    assert items["Lambda", "ingest"].units == pytest.approx(0.5 * (0.002 * 1769 / 512 + 0.013) * 1e6)
    assert items["data out", "to CleverTap"].usd == pytest.approx(1.6 * prices.DATA_OUT_GB)


def test_a_batch_is_what_comes_in_its_window() -> None:
    assert [CONFIGURATION.batch(rate) for rate in (0.01, *RATES)] == [1, 5, 500, 1000]


@pytest.mark.parametrize(("messages", "seconds"), [(5, 0.015), (10, 0.020), (55, 0.065), (1000, 1.010), (2000, 2.010)])
def test_a_batch_takes_what_those_around_it_take(messages: int, seconds: float) -> None:
    assert MEASURED.batch_seconds(messages) == pytest.approx(seconds)


@given(st.integers(1, 10_000))
def test_a_larger_batch_never_costs_more(size: int) -> None:
    larger = replace(MEASURED, batches={10: 0.02, 100: 0.11, 1000: 1.01})
    rates = (1, size, 2 * size)
    costs = [total(bill(larger, CONFIGURATION, rate)) for rate in rates]

    assert costs[0] >= costs[2] * 0.99


def test_more_memory_is_faster_up_to_a_whole_processor() -> None:
    seconds = [ingest_seconds(MEASURED, memory) for memory in (*MEMORIES, 3538)]

    assert seconds[:-1] == sorted(seconds[:-1], reverse=True)
    assert seconds[-1] == seconds[-2] == pytest.approx(0.015)


def test_a_batch_waits_for_each_hundred_and_for_each_upload() -> None:
    one = 2 * prices.READ_MS + 2 * prices.TRANSACTION_MS + 4 * prices.TRANSACTION_ITEM_MS
    upload = prices.UPLOAD_MS + 2 * prices.UPLOAD_RECORD_MS

    assert waiting_seconds(1, 2) == pytest.approx((one + upload) / 1000)
    assert waiting_seconds(1000, 2) < 1000 * waiting_seconds(1, 2) / 20


def test_the_costs_are_those_of_the_template() -> None:
    given = Template.load().parameters
    deployed = Configuration.deployed()

    assert (deployed.ingest_memory, deployed.forwarder_memory) == (given["IngestMemory"], given["ForwarderMemory"])
    assert (deployed.batch_size, deployed.window_seconds) == (given["BatchSize"], given["BatchWindowSeconds"])


def test_the_page_gets_its_tables(tmp_path: Path) -> None:
    rows = [
        compared("cold start: ingest", 500, "ms", 400, 1.25),
        compared("cold start: ingest, processor", 400, "ms", 300),
        told("cold start: ingest, memory", 60, "MB"),
        told("cold start: forwarder, memory", 80, "MB"),
        compared("ingest, warm: handler without the network", 2000, "µs", 500, 3),
        told("ingest, warm: what it logs of a webhook", 500, "bytes"),
        told("forwarder: records of an event", 2, "records"),
        told("forwarder: a record", 800, "bytes"),
        told("forwarder: what it logs of an event", 400, "bytes"),
        told("forwarder: what is remembered of an event", 500, "bytes"),
        told("forwarder: a subscriber's state, written", 2, "units"),
        *(told(f"forwarder: processor with {size} messages", 1000, "µs/message") for size in (10, 100, 1000)),
        told("forwarder: memory with 1000 messages", 40, "KB/message"),
        told("local stack: requests that the function refuses at once", 210, "1/s"),
        told("local stack: messages sent to SQS alone", 201, "1/s"),
        told("local stack, no pause: processors busy with AWS and the functions", 1.5, "processors"),
        told("local stack, no pause: processors busy with whatever", 1.9, "processors"),
    ]

    copy = tmp_path / "performance.md"
    copy.write_text(page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    page.write(rows, copy)
    text = copy.read_text(encoding="utf-8")
    assert "| cold start: ingest | 500 | ms | 400 | 1.25 | ≤ 1.25 | holds |" in text
    assert "| ingest, warm: handler without the network | 2 000 | µs | 500 | 4 | ≤ 3 | **missed** |" in text


def test_traffic_has_every_kind_and_no_person_twice() -> None:
    events = traffic.events(400, traffic.everything())

    assert len({each.subscriber for each in events}) == len({each.event_id for each in events}) == 400
    assert {each.event_name for each in events} >= CATALOGUE.keys()


def test_a_part_that_there_is_not_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--only", "nothing"]) == 2
    assert "cold start, ingest" in capsys.readouterr().err
