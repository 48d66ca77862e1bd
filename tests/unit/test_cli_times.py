"""Points in time on the command line and in what commands write."""

from datetime import UTC, datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_cli.times import Moment, iso, now_ms, readable, span

AT = 1_770_000_000_123  # 2026-02-02T02:40:00.123Z


def moment(text: str) -> int:
    return Moment().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-02-02", 1_769_990_400_000),
        ("2026-02-02T02:40", 1_770_000_000_000),
        ("2026-02-02T02:40:00.123Z", AT),
        ("2026-02-02T03:40:00+01:00", 1_770_000_000_000),
    ],
)
def test_a_date_is_in_utc_unless_it_names_a_zone(text: str, milliseconds: int) -> None:
    assert moment(text) == milliseconds


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("3d", 259_200)])
def test_a_span_is_that_long_ago(text: str, seconds: int) -> None:
    before = now_ms()
    assert before - seconds * 1000 <= moment(text) <= now_ms() - seconds * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2", "2 h", "-2h", "2026-13-01", "٣d", "1234567d"])
def test_no_moment_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(click.BadParameter, match="30m, 2h, 3d"):
        moment(text)


@given(st.integers(0, 7_258_118_399_999))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    written = iso(milliseconds)
    assert written is not None
    assert moment(written) == milliseconds
    assert datetime.fromisoformat(written).astimezone(UTC).timestamp() == pytest.approx(milliseconds / 1000)


def test_a_moment_for_scripts_and_one_for_people() -> None:
    assert iso(AT) == "2026-02-02T02:40:00.123Z"
    assert readable(AT) == "2026-02-02 02:40:00"
    assert iso(None) is None
    assert readable(None) == ""


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0.0 s"),
        (400, "0.4 s"),
        (1_000, "1 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_600_000 + 5_000, "1 h"),
        (3_600_000 + 60_000, "1 h 1 min"),
        (2 * 86_400_000 + 3 * 3_600_000 + 60_000, "2 d 3 h"),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert span(milliseconds) == text
