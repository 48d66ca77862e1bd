"""The benchmark: what machines read, and what is worked out from what was measured."""

import json
from pathlib import Path

import pytest

from benchmark import page, prices, report, traffic
from benchmark.cost import (
    Configuration,
    Measured,
    bill,
)
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
    archived_bytes=2500,
)
CONFIGURATION = Configuration(ingest_memory=512, forwarder_memory=1024, batch_size=1000, window_seconds=5)


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


def test_a_bill_is_units_times_prices() -> None:
    items = {(item.service, item.what): item for item in bill(MEASURED, CONFIGURATION, 1)}

    assert items["API Gateway", "requests"].usd == prices.GATEWAY_MILLION
    assert items["Lambda", "requests"].units == pytest.approx(2.0)  # five pollers, a webhook in a batch of each
    assert items["SQS", "sent, received, deleted"].units == pytest.approx(3.0)
    assert items["DynamoDB", "written"].units == 3 + 2 * 2  # noted, claimed, settled; leased and kept
    assert items["Lambda", "ingest"].units == pytest.approx(0.5 * (0.002 * 1769 / 512 + 0.013) * 1e6)
    assert items["data out", "to CleverTap"].usd == pytest.approx(1.6 * prices.DATA_OUT_GB)


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
        told("forwarder: what is archived of an event", 2500, "bytes"),
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
