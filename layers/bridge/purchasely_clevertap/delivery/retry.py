"""When an event that could not be delivered comes again, and for how long.

Lambda does not slow its polling for messages that are reported as failed, so the wait is ours: each message is
hidden for a time that doubles with each receive (AWS Lambda, error handling for an SQS event source).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from purchasely_clevertap.outcome import GiveUp

_VISIBILITY_LIMIT: Final = 12 * 60 * 60 - 60  # SQS: 12 hours from the receive
_BUSY_SECONDS: Final = 15.0
_ARCHIVE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between tries, in seconds, and how long to go on trying, in milliseconds since the enqueueing.

    With the defaults an outage is tried 30 s, 60 s, 2 min … 1 h apart, about 50 times in `outage_ms` (two days).
    A fault of the set-up is tried for `setup_ms` (twelve days): SQS drops a message after 14.
    """

    base: float = 30
    most: float = 3600
    outage_ms: int = 48 * 3_600_000
    setup_ms: int = 12 * 24 * 3_600_000

    def wait(self, receives: int, chance: Callable[[], float]) -> int:
        """Seconds to hide a message received `receives` times: doubling, with up to half taken off at random."""
        doubled = self.base * 2.0 ** min(receives - 1, 40)
        return int(min(doubled, self.most, _VISIBILITY_LIMIT) * (1 - chance() / 2)) or 1

    def wait_while_busy(self, chance: Callable[[], float]) -> int:
        """Seconds to hide a message that another worker is at, which takes it seconds."""
        return int(min(self.base, _BUSY_SECONDS) * (1 - chance() / 2)) or 1

    def wait_to_archive(self, receives: int, chance: Callable[[], float]) -> int:
        """Seconds to hide a message that only archives. Its tries must last for the 14 days that the queue keeps it,
        and the queue allows 1000."""
        doubled = self.base * 2.0 ** min(receives - 1, 40)
        return int(min(doubled, _ARCHIVE_SECONDS) * (1 - chance() / 2)) or 1

    def is_over(self, age_ms: int, give_up: GiveUp) -> bool:
        """Whether an event that SQS got `age_ms` ago has been tried for long enough."""
        return age_ms >= (self.setup_ms if give_up is GiveUp.SETUP else self.outage_ms)
