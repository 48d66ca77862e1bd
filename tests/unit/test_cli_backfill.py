"""`bridge backfill` reads files: what a line says, and what is wrong with it."""

import csv
import gzip
import io
import json
import os
import threading
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_cli.backfill.event_line import EventLine, event_line
from bridge_cli.backfill.plan import BackfillPlan, Forecaster
from bridge_cli.backfill.progress import ProgressFile, RunProgress
from bridge_cli.backfill.source import Fault, Row, sources
from bridge_cli.backfill.subscriber_list import as_event
from bridge_cli.cli_error import CliError
from bridge_cli.sample import samples
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.mapping.settings import DEFAULT
from purchasely_clevertap.outcome import BackfillMode
from purchasely_clevertap.purchasely.event import Event, read

NOW: Final = 1_800_000_000_000
GOOD: Final[dict[str, Any]] = {
    "event_name": "SUBSCRIPTION_RENEWED",
    "environment": "PRODUCTION",
    "event_created_at": "2025-02-02T02:40:00Z",
    "user_id": "user-1",
    "purchasely_subscription_id": "subs-1",
    "plan": "monthly",
}


def rows_of(folder: Path, name: str, content: bytes) -> list[Row]:
    (folder / name).write_bytes(content)
    with sources([str(folder / name)]) as (source,):
        return list(source.rows())


def csv_of(*payloads: dict[str, Any]) -> bytes:
    columns = list(dict.fromkeys(key for payload in payloads for key in payload))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(payloads)
    return text.getvalue().encode()


def read_line(payload: dict[str, Any]) -> EventLine | list[Fault]:
    names = {"OUR_EVENT": None, "LOYALTY_TIER_REACHED": None}
    return event_line(Row("old.csv", 2, payload), now_ms=NOW, names=names)


def good(payload: dict[str, Any]) -> EventLine:
    found = read_line(payload)
    assert isinstance(found, EventLine), found
    return found


def columns_of(found: EventLine | Sequence[Fault]) -> list[str]:
    assert not isinstance(found, EventLine)
    return [fault.column for fault in found]


@pytest.mark.parametrize("packed", [False, True])
def test_csv_and_ndjson_say_the_same(tmp_path: Path, packed: bool) -> None:
    rich = GOOD | {
        "amount_in_usd": 9.99,
        "is_family_shared": True,
        "purchased_at_ms": 1_700_000_000_000,
        "product": 'Plus, "the best"\nof all',
    }
    table = csv_of({**rich, "attribution.utm_source": "news", "placement": ""})
    lines = json.dumps({**rich, "attribution": {"utm_source": "news"}, "placement": None}).encode()
    pack = gzip.compress if packed else bytes
    suffix = ".gz" if packed else ""
    (row,) = rows_of(tmp_path, f"old.csv{suffix}", pack(b"\xef\xbb\xbf" + table))
    (other,) = rows_of(tmp_path, f"old.ndjson{suffix}", pack(lines + b"\n\n"))
    assert row.payload is not None
    assert other.payload is not None
    assert good(row.payload) == good(other.payload)
    assert good(row.payload).event.values["attribution_utm_source"] == "news"


@pytest.mark.parametrize(("content", "count"), [(csv_of(GOOD, GOOD), 2), (json.dumps(GOOD).encode(), 1)])
def test_a_file_of_any_name_is_known_by_its_content(tmp_path: Path, content: bytes, count: int) -> None:
    rows = rows_of(tmp_path, "export", content)
    assert [row.payload for row in rows] == [GOOD] * count


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(csv_of(GOOD, GOOD),))
    writer.start()
    with sources([str(pipe)]) as (source,):
        assert [[row.payload for row in source.rows()] for _ in range(2)] == [[GOOD, GOOD]] * 2
    writer.join()


def test_a_cell_of_several_lines_has_its_first_line(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "old.csv", b'plan,user_id\n"a\nb",u1\nc,u2\n')
    assert [row.line for row in rows] == [2, 4]


@pytest.mark.parametrize(
    ("name", "content", "line", "column"),
    [
        ("a.ndjson", b'{"a": 1}\n{"a": \n', 2, ""),
        ("a.ndjson", b"[1]\n", 1, ""),
        ("a.ndjson", b'{"a": "\xff"}\n', 1, ""),
        ("a.ndjson", b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}\n', 1, ""),
        ("a.csv", b"", 1, ""),
        ("a.csv", b"plan,plan\na,b\n", 1, "plan"),
        ("a.csv", b"plan,\na,b\n", 1, ""),
        ("a.csv", b"a.b.c\n1\n", 1, "a.b.c"),
        ("a.csv", b"plan,user_id\na\n", 2, ""),
        ("a.csv", b"plan,user_id\na,b,c\n", 2, ""),
        ("a.csv", b"plan\n\xff\n", 2, ""),
        ("a.csv", b'plan\n"a"b\n', 2, ""),
    ],
)
def test_a_line_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, line: int, column: str) -> None:
    (bad,) = [row for row in rows_of(tmp_path, name, content) if row.fault is not None]
    assert bad.fault is not None
    assert (bad.line, bad.fault.column) == (line, column)


def test_a_bad_line_costs_no_other(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "a.ndjson", b'{"a": 1}\nno\n{"a": 2}\n' + b"x" * 3 * MAX_BODY_BYTES + b'\n{"a": 3}')
    assert [row.payload and row.payload["a"] for row in rows] == [1, None, 2, None, 3]
    rows = rows_of(tmp_path, "a.csv", b'plan\na\n"b"b\nc\n\xff\nd\n')
    assert [row.payload and row.payload["plan"] for row in rows] == ["a", None, "c", None, "d"]


def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    packed = gzip.compress(csv_of(*[GOOD | {"plan": str(number)} for number in range(1000)]))
    with pytest.raises(CliError):
        rows_of(tmp_path, "a.csv.gz", packed[:-40])


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"event_name": None}, "event_name"),
        ({"event_name": "SUBSCRIPTION_RENEWD"}, "event_name"),
        ({"environment": ""}, "environment"),
        ({"environment": "STAGING"}, "environment"),
        ({"event_created_at": None}, "event_created_at"),
        ({"event_created_at": "02/02/2025"}, "event_created_at"),
        ({"event_created_at": "2030-01-01"}, "event_created_at"),
        ({"event_created_at": "1999-01-01"}, "event_created_at"),
        ({"purchased_at_ms": "soon"}, "purchased_at_ms"),
        ({"user_id": None}, "user_id"),
        ({"user_id": True}, "user_id"),
        ({"event_id": "no id!"}, "event_id"),
        ({"event_id": "x" * 65}, "event_id"),
        ({"amount_in_usd": "9,99"}, "amount_in_usd"),
        ({"is_family_shared": "maybe"}, "is_family_shared"),
        ({"subscription_status": "GONE"}, "subscription_status"),
        ({"store": "CORNER_SHOP"}, "store"),
        ({"offer_type": "GIFT"}, "offer_type"),
        ({"plan": True}, "plan"),
        ({"attribution": {"utm": {"source": 1}}}, "attribution.utm"),
        ({"new_key": [[1]]}, "new_key"),
        ({"api_version": 2}, "api_version"),
        ({"plan": "x" * MAX_BODY_BYTES}, ""),
    ],
)
def test_a_value_that_no_event_has(changed: dict[str, Any], column: str) -> None:
    assert columns_of(read_line(GOOD | changed)) == [column]


def test_every_fault_of_a_line_is_told() -> None:
    assert columns_of(read_line({"store": "SHOP", "event_name": "SUBSCRIPTION_RENEWED"})) == [
        "store",
        "environment",
        "event_created_at",
        "user_id",
    ]


def test_the_settings_own_names_are_known() -> None:
    assert good(GOOD | {"event_name": "OUR_EVENT"}).event.event_name == "OUR_EVENT"


def test_an_id_follows_from_the_content() -> None:
    found = good(GOOD)
    assert good(dict(reversed(GOOD.items()))) == found
    assert good(GOOD | {"placement": ""}) == found
    assert good(GOOD | {"plan": "yearly"}).event.event_id != found.event.event_id
    assert good(GOOD | {"event_id": "e-1"}).event.event_id == "e-1"


def test_every_sample_is_a_good_line() -> None:
    for name, payload in samples().items():
        found, sent = good(payload).event, read(json.dumps(payload).encode(), NOW)
        assert isinstance(sent, Event)
        assert (found.values, found.moments) == (sent.values, sent.moments), name


LINE: Final = {
    "user_id": "user-1",
    "subscription_id": "s-1",
    "plan": "monthly",
    "started_at": "2024-01-01",
    "renews_at": "2027-03-01",
    "updated_at": "2026-11-30",
}


@pytest.mark.parametrize(
    ("status", "state", "active"),
    [
        ("active", "active", True),
        ("Trial", "trial", True),
        ("cancelled", "cancelled", True),
        ("AUTO_RENEWING_CANCELED", "cancelled", True),
        ("grace_period", "grace_period", True),
        ("billing_retry", "billing_retry", False),
        ("paused", "paused", False),
        ("expired", "expired", False),
        ("refunded", "refunded", False),
    ],
)
def test_a_subscriber_becomes_known(status: str, state: str, active: bool) -> None:
    row = as_event(Row("list.csv", 2, LINE | {"status": status}), as_of=None)
    assert row.payload is not None
    profile = ProfileState().apply([good(row.payload).event]).profile()
    assert (profile["subscriber_state"], profile["has_active_subscription"]) == (state, active)
    assert (profile["plan"], profile["user_id"]) == ("monthly", "user-1")
    assert profile["effective_next_renewal_at"] == "$D_1803859200"


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"status": ""}, "status"),
        ({"status": "happy"}, "status"),
        ({"subscription_id": ""}, "subscription_id"),
        ({"updated_at": ""}, "updated_at"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_line_of_a_list(changed: dict[str, str], column: str) -> None:
    row = as_event(Row("list.csv", 2, LINE | {"status": "active"} | changed), as_of=None)
    assert row.fault is not None
    assert row.fault.column == column


def test_a_list_may_have_one_date_for_all() -> None:
    undated = {key: value for key, value in LINE.items() if key != "updated_at"} | {"status": "active"}
    row = as_event(Row("list.csv", 2, undated), as_of=1_780_000_000_000)
    assert row.payload is not None
    assert good(row.payload).event.created_ms == 1_780_000_000_000


def planned(mode: BackfillMode, *payloads: dict[str, Any]) -> BackfillPlan:
    forecaster = Forecaster(Mapper(DEFAULT), mode, has_sandbox_account=False, now_ms=NOW)
    plan = BackfillPlan()
    for payload in payloads:
        event = good(payload).event
        plan.add(event, forecaster.of(event))
    return plan


PAYMENTS: Final = (
    GOOD | {"event_name": "TRANSACTION_PROCESSED", "amount_in_usd": 9.99, "plan_price_in_usd": 9.99},
    GOOD | {"event_name": "TRANSACTION_PROCESSED", "amount_in_usd": -2.5, "plan_price_in_usd": 9.99},
    GOOD | {"event_name": "TRANSACTION_PROCESSED", "amount_in_eur": 5, "plan_price_in_eur": 5},
    GOOD
    | {
        "event_name": "ACTIVATE",
        "purchase_type": "NON_CONSUMABLE",
        "plan_price_in_usd": 49,
        "store_transaction_id": "t-1",
        "purchasely_one_time_purchase_id": "otp-1",
    },
)


def test_a_plan_has_the_revenue_of_a_whole_backfill_alone() -> None:
    assert planned(BackfillMode.ALL, *PAYMENTS).revenue == {"EUR": Decimal("5.00"), "USD": Decimal("56.49")}
    assert planned(BackfillMode.EVENTS, *PAYMENTS).revenue == {}
    assert planned(BackfillMode.PROFILE, *PAYMENTS).revenue == {}


def test_a_plan_says_what_is_not_sent() -> None:
    anonymous = {key: value for key, value in GOOD.items() if key != "user_id"} | {"anonymous_user_id": "a-1"}
    plan = planned(
        BackfillMode.EVENTS, GOOD, anonymous, GOOD | {"environment": "SANDBOX"}, GOOD | {"user_id": "undefined"}
    )
    told = plan.document(20)
    assert (told["lines"], told["to_send"], told["skipped"]) == (4, 1, 3)
    assert told["by_outcome"]["not sent"] == {"anonymous_user": 1, "no_sandbox_account": 1}
    assert told["by_outcome"]["would be parked"] == {"unusable_identity": 1}


def test_progress_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "state" / "run.json")
    assert file.read("run-1") is None
    file.write(RunProgress("run-1", lines=3, sent=3))
    assert file.read("run-1") == RunProgress("run-1", lines=3, sent=3)
    assert file.path.stat().st_mode & 0o077 == 0
    with pytest.raises(CliError):
        file.read("run-2")
    file.path.write_text("{")
    with pytest.raises(CliError):
        file.read("run-1")


TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
PAYLOADS = st.lists(
    st.fixed_dictionaries(
        {
            "event_name": st.sampled_from(["SUBSCRIPTION_RENEWED", "RENEWAL_DISABLED", "TRIAL_STARTED", "DEACTIVATE"]),
            "environment": st.just("PRODUCTION"),
            "event_created_at": st.integers(1, 28).map(lambda day: f"2025-02-{day:02d}T00:00:00Z"),
            "user_id": st.sampled_from(["u1", "u2"]),
            "purchasely_subscription_id": st.sampled_from(["s1", "s2"]),
        },
        optional={
            "plan": TEXT,
            "product": TEXT,
            "is_family_shared": st.booleans(),
            "plan_price_in_usd": st.floats(0, 1000).map(lambda price: round(price, 2)),
            "effective_next_renewal_at_ms": st.integers(1_700_000_000_000, 1_900_000_000_000),
        },
    ),
    min_size=1,
    max_size=8,
)


@given(PAYLOADS, st.booleans())
def test_a_file_brings_what_webhooks_brought(payloads: list[dict[str, Any]], as_csv: bool) -> None:
    content = csv_of(*payloads) if as_csv else b"\n".join(json.dumps(each).encode() for each in payloads)
    with TemporaryDirectory() as folder:
        rows = rows_of(Path(folder), "old.csv" if as_csv else "old.ndjson", content)
    told = [good(row.payload or {}).event for row in rows]
    live = [read(json.dumps(each).encode(), NOW) for each in payloads]
    for user in ("u1", "u2"):
        states = [
            ProfileState().apply([each for each in events if isinstance(each, Event) and each.text("user_id") == user])
            for events in (told, live)
        ]
        assert states[0].profile() == states[1].profile()


@pytest.mark.parametrize("name", ["old.csv.gz", "old.ndjson"])
def test_a_long_file_takes_no_more_memory(tmp_path: Path, name: str) -> None:
    def most(number: int) -> int:
        payloads = [GOOD | {"user_id": f"user-{each}", "plan": "p" * 500} for each in range(number)]
        content = csv_of(*payloads) if ".csv" in name else b"\n".join(json.dumps(each).encode() for each in payloads)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        del payloads, content
        forecaster = Forecaster(Mapper(DEFAULT), BackfillMode.ALL, has_sandbox_account=True, now_ms=NOW)
        plan = BackfillPlan()
        with sources([str(tmp_path / name)]) as (source,):
            tracemalloc.start()
            for row in source.rows():
                event = good(row.payload or {}).event
                plan.add(event, forecaster.of(event))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert plan.to_send == number
        return peak

    few = most(300)
    assert most(6000) < 1.5 * few + 200_000
