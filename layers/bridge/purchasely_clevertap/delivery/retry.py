"""When an event that could not be delivered comes again.

Lambda does not slow its polling for messages that are reported as failed, so the wait is ours: each message is
hidden for a time that doubles with each receipt (AWS Lambda, error handling for an SQS event source).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_VISIBILITY_LIMIT: Final = 12 * 60 * 60 - 60  # SQS: 12 hours from the receipt
_BUSY_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between tries, in seconds, and how long to go on trying, in milliseconds since the enqueueing.

    `fault` is for what the sender can wait out, an outage; `setup` for what a person must mend, for which nothing
    is parked before the queue itself would drop it (retention 14 days).
    """

    base: float = 30
    most: float = 3600
    fault_ms: int = 48 * 3_600_000
    setup_ms: int = 12 * 24 * 3_600_000

    def wait(self, receives: int, chance: Callable[[], float]) -> int:
        """Seconds to hide a message received `receives` times: doubling, with up to half taken off at random."""
        doubled = self.base * 2.0 ** min(receives - 1, 40)
        return int(min(doubled, self.most, _VISIBILITY_LIMIT) * (1 - chance() / 2)) or 1

    def wait_while_busy(self, chance: Callable[[], float]) -> int:
        """Seconds to hide a message that another worker is at, which takes it seconds."""
        return int(min(self.base, _BUSY_SECONDS) * (1 - chance() / 2)) or 1

    def is_over(self, age_ms: int, *, setup: bool) -> bool:
        """Whether an event enqueued `age_ms` ago has been tried for long enough."""
        return age_ms >= (self.setup_ms if setup else self.fault_ms)
