"""Waiting for what other processes do: as short as possible, and never for ever."""

import time
from collections.abc import Callable

WAIT_SECONDS = 90.0
_PAUSE_SECONDS = 0.1


def eventually[T](look: Callable[[], T], until: Callable[[T], bool] = bool, *, within: float = WAIT_SECONDS) -> T:
    """What `look` sees once it is as `until` wants it. The last sight stands in the failure, if it never is."""
    end = time.monotonic() + within
    while True:
        seen = look()
        if until(seen):
            return seen
        assert time.monotonic() < end, f"still {seen} after {within:g} s"
        time.sleep(_PAUSE_SECONDS)
