"""Points in time: epoch milliseconds inside, ISO 8601 and spans for people."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_SPAN: Final = re.compile(r"([0-9]{1,6})([smhd])").fullmatch
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def now_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


def iso(moment: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds: 2026-02-02T02:40:00.123Z. None for None."""
    if moment is None:
        return None
    seconds, milliseconds = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def readable(moment: int | None) -> str:
    """For a column of a table: 2026-02-02 02:40:00, in UTC."""
    return "" if moment is None else f"{datetime.fromtimestamp(moment // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def span(milliseconds: int) -> str:
    """A length of time in its two largest units: 2 d 3 h, 5 min 10 s, 0.4 s."""
    if milliseconds < 1000:
        return f"{max(milliseconds, 0) / 1000:.1f} s"
    left, parts = milliseconds // 1000, list[str]()
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


class Moment(click.ParamType[int]):
    """A moment on the command line: an ISO 8601 date or date-time (UTC if it names no zone), or how long ago (2h)."""

    name = "WHEN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Its epoch milliseconds."""
        if isinstance(value, int):
            return value
        if found := _SPAN(value):
            return now_ms() - int(found[1]) * _SECONDS[found[2]] * 1000
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither 2026-11-21, 2026-11-21T10:00, nor how long ago: 30m, 2h, 3d", param, ctx)
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
