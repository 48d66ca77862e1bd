"""How lines are put together for Firehose."""

import json

from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.delivery.archive import MOST_CALL_BYTES, MOST_RECORDS, archived, calls, records
from purchasely_clevertap.delivery.message import Message
from purchasely_clevertap.delivery.result import MessageResult
from purchasely_clevertap.outcome import Delivered
from tests.unit.samples import payload

LINES = st.lists(st.builds(lambda size: b"x" * size, st.sampled_from([1, 300, 2500, 50_000, 130_000])), max_size=1200)


@given(LINES)
def test_records_hold_every_line_in_its_order(lines: list[bytes]) -> None:
    assert b"".join(records(lines)) == b"".join(line + b"\n" for line in lines)


@given(LINES)
def test_a_record_is_no_more_than_firehose_splits(lines: list[bytes]) -> None:
    for record in records(lines):
        assert len(record.splitlines()) <= 500
        assert len(record) <= 120 * 1024 or record.count(b"\n") == 1


@given(st.lists(st.sampled_from([100, 120_000, 700_000]), max_size=60))
def test_calls_have_every_record_once(sizes: list[int]) -> None:
    given_records = [b"x" * size for size in sizes]
    made = list(calls(given_records))

    assert [place for call in made for place in call] == list(range(len(sizes)))
    for call in made:
        assert len(call) <= MOST_RECORDS
        assert sum(sizes[place] for place in call) <= MOST_CALL_BYTES


def test_small_records_are_split_by_their_number() -> None:
    assert [len(call) for call in calls([b"x\n"] * 1201)] == [500, 500, 201]


def test_a_thousand_events_take_two_calls() -> None:
    results = [
        MessageResult(
            Message(f"m-{number}", "default", json.dumps(payload(event_id=f"e-{number}")).encode(), 0),
            Delivered(),
            f"e-{number}",
            ledger_id=f"e-{number}",
        )
        for number in range(1000)
    ]
    lines = archived(results, now_ms=0).lines

    assert len(lines) == 2000
    assert len(list(calls(list(records(lines))))) <= 2
