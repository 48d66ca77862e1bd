"""A circuit breaker for each CleverTap account: while the account does not answer, it is left alone.

State is the worker's own: with at most 15 workers, an outage costs each of them one request per cool-down.
"""

from collections.abc import Callable
from dataclasses import dataclass

from purchasely_clevertap.clevertap.response import SetupFault


@dataclass(frozen=True, slots=True)
class _Open:
    failures: int
    until: float
    fault: SetupFault | None


class CircuitBreaker:
    """Open after a failed request, for a cool-down that doubles from `base` to `most` seconds while they go on failing.

    Once the cool-down is over the next request goes through and decides. `clock` gives seconds.
    """

    def __init__(self, *, base: float, most: float, clock: Callable[[], float]) -> None:
        self._base = base
        self._most = most
        self._clock = clock
        self._open: dict[str, _Open] = {}

    def is_open(self, account_id: str) -> bool:
        """Whether the account is to be left alone now."""
        state = self._open.get(account_id)
        return state is not None and self._clock() < state.until

    def is_failing(self, account_id: str) -> bool:
        """Whether the account's last request failed, also when the cool-down is over by now."""
        return account_id in self._open

    def fault(self, account_id: str) -> SetupFault | None:
        """The fault of the set-up that the account is left alone for, if it is one."""
        state = self._open.get(account_id)
        return None if state is None else state.fault

    def failed(self, account_id: str, fault: SetupFault | None = None) -> None:
        """The account did not answer a request, or answered that it cannot serve, maybe by a `fault` of the set-up."""
        failures = self._open[account_id].failures + 1 if account_id in self._open else 1
        wait = min(self._base * 2.0 ** min(failures - 1, 40), self._most)
        self._open[account_id] = _Open(failures, self._clock() + wait, fault)

    def answered(self, account_id: str) -> None:
        """The account answered a request as it should."""
        self._open.pop(account_id, None)
