"""What was worked out for a key, kept within bounds: senders choose the keys, and a body may have 60,000 of them."""

from collections.abc import Callable
from typing import Final

_MOST_ENTRIES: Final = 500
_MOST_SIZE: Final = 16_384  # characters: twice as much as all documented keys of a payload take


class SizedCache[Key, Found](dict[Key, Found]):
    """`cache[key]` is what `work_out` makes of the key; `size` gives about how many characters a key takes.

    A large one is worked out each time. When the cache is full it is emptied: a sender has some dozens of keys.
    """

    def __init__(self, work_out: Callable[[Key], Found], size: Callable[[Key], int]) -> None:
        super().__init__()
        self._work_out = work_out
        self._size = size

    def __missing__(self, key: Key) -> Found:
        found = self._work_out(key)
        if self._size(key) <= _MOST_SIZE:
            if len(self) >= _MOST_ENTRIES:
                self.clear()
            self[key] = found
        return found


def size_of_names(names: tuple[str, ...]) -> int:
    """About how many characters some names take, each with what Python needs for it."""
    return sum(map(len, names)) + 50 * len(names)
