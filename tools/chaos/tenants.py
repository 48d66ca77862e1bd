"""Two apps share a stack, and CleverTap fails one of them for a day: how long do the events of the other one take?

At a 400th of the rates and of SQS's quota of hidden messages, so that a day of a large app fits into seconds. What
CleverTap answers is given here, without an emulated one: only time counts.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import override

from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.client import READ_TIMEOUT_SECONDS, Client
from purchasely_clevertap.clevertap.response import Accepted, NotTaken, RecordResult, SetupFault, Unknown
from purchasely_clevertap.outcome import RetryReason
from purchasely_sender import LIFECYCLES, signed

from .aws import Aws, connections
from .bridge import FORWARDER_TIMEOUT_SECONDS, STAGE, ForwarderEnvironment, Ingest
from .queue import MOST_HIDDEN
from .simulation import Simulation
from .uploading import event_of

FAILING, HEALTHY = "failing", "healthy"
DAY_SECONDS = 86_400.0
_SCALE = 400
_SECONDS_BETWEEN: Mapping[str, float] = MappingProxyType({FAILING: _SCALE / 10, HEALTHY: _SCALE / 1})
_SHARED_SECRET = "a-shared-secret"  # noqa: S105 - known to an AWS in ledger only
_START = 1_770_000_000.0
# template.yaml: MaxConcurrency, BatchWindowSeconds, BatchSize
_WORKERS = 5
WINDOW_SECONDS = 5.0
_BATCH = 1000

# At the quota a message is handed out when another one is no longer hidden. Each is hidden for 45 minutes on average:
# that is 44 times a second, and at this scale once in 9 seconds.
_SLOT_SECONDS = 2700 / (MOST_HIDDEN / _SCALE)
# An event of the healthy app waits for its batch, and while the batch is read, claimed and uploaded.
_BOUND_SECONDS = 2 * WINDOW_SECONDS + _SLOT_SECONDS
# A worker learns by one time-out that a project fails, and again when its cool-down is over.
_LONGEST_SECONDS = _BOUND_SECONDS + READ_TIMEOUT_SECONDS + 2 * _SLOT_SECONDS
# Of some two hundred events of a day, by the seed, up to six meet two long slots; in an unfair queue most do.
_SHARE_WITHIN = 0.95

ANSWERS: Mapping[str, tuple[float, RecordResult]] = MappingProxyType(
    {
        "503": (0.2, NotTaken(RetryReason.SERVER_ERROR, 503)),
        "no answer": (READ_TIMEOUT_SECONDS, Unknown(RetryReason.TIMEOUT)),
        "401": (0.2, SetupFault(401, "wrong passcode")),
    }
)
"""What CleverTap answers the failing app: after how many seconds, and for each record."""


@dataclass(frozen=True, slots=True)
class Day:
    """What came of it. `delays` are seconds from the webhook of the healthy app to CleverTap; `waiting` is how many of
    its events were not there at the end; `hidden` how many messages were hidden at once, in multiples of the quota."""

    delays: tuple[float, ...]
    waiting: int
    hidden: float

    @property
    def late(self) -> list[str]:
        """What the failing app did to the other one, in words; empty when that did not notice it."""
        told = len(self.delays) + self.waiting
        within = sum(delay <= _BOUND_SECONDS for delay in self.delays) / told
        longest = max(self.delays, default=0.0)
        found: list[str] = []
        if within < _SHARE_WITHIN:
            found.append(f"only {within:.1%} of the other app's events took at most {_BOUND_SECONDS:.0f} s")
        if longest > _LONGEST_SECONDS:
            found.append(f"an event of the other app took {longest:.0f} s")
        if self.waiting:
            found.append(f"{self.waiting} events of the other app did not get through")
        return found


class _Client(Client):
    """CleverTap, as the two apps meet it."""

    def __init__(self, simulation: Simulation, answer: tuple[float, RecordResult]) -> None:
        super().__init__()
        self._simulation = simulation
        self._answer = answer
        self.taken_at: dict[str, float] = {}

    @override
    def _send(self, account: Credentials, records: Sequence[bytes], *, query: str = "") -> tuple[RecordResult, ...]:
        if account.account_id == FAILING:
            seconds, result = self._answer
            self._simulation.sleep(seconds)
            return (result,) * len(records)
        self._simulation.sleep(self._simulation.random.uniform(0.1, 1))
        for event in filter(None, map(event_of, records)):
            self.taken_at.setdefault(event[0], self._simulation.now)
        return (Accepted(),) * len(records)


ROWS: Mapping[str, str] = MappingProxyType({f"one app fails for a day: {answer}": answer for answer in ANSWERS})
"""The names of the table's rows, and the answer of each."""


def run(answer: str, *, seed: int, seconds: float = DAY_SECONDS, is_fair: bool = True) -> Day:
    """The day, or so many `seconds` of it, on which CleverTap gives the failing app one of `ANSWERS`."""
    simulation = Simulation(seed=seed, start=_START)
    try:
        return _Run(simulation, answer, seed=seed, is_fair=is_fair).day(seconds)
    finally:
        simulation.close()


class _Run:
    def __init__(self, simulation: Simulation, answer: str, *, seed: int, is_fair: bool) -> None:
        self._simulation = simulation
        self._aws = Aws(simulation, lambda _: None, most_hidden=MOST_HIDDEN // _SCALE, is_fair=is_fair)
        connections().aws = self._aws
        self._client = _Client(simulation, ANSWERS[answer])
        self._numbers = count(1_000_003 * seed)
        self._sent_at: dict[str, float] = {}

    def day(self, seconds: float) -> Day:
        for app in _SECONDS_BETWEEN:
            secret = f"purchasely-clevertap/{STAGE}/{app}"
            self._aws.secrets[f"{secret}/purchasely"] = json.dumps({"shared_secrets": [_SHARED_SECRET]})
            keys = {"production": {"account_id": app, "passcode": "passcode"}}
            self._aws.secrets[f"{secret}/clevertap"] = json.dumps(keys)
            self._aws.parameters[f"/{secret}/settings"] = ["{}"]
            self._simulation.start(f"app {app}", partial(self._send, app))
        for number in range(_WORKERS):
            self._simulation.start(f"forwarder {number}", self._work)
        self._simulation.run(lambda: False, most=seconds)
        taken, over = self._client.taken_at, self._simulation.now - 2 * WINDOW_SECONDS
        return Day(
            tuple(taken[event] - at for event, at in self._sent_at.items() if event in taken),
            sum(event not in taken and at < over for event, at in self._sent_at.items()),
            self._aws.events.hidden_at_once / (MOST_HIDDEN // _SCALE),
        )

    def _send(self, app: str) -> None:
        simulation, ingest = self._simulation, Ingest(self._simulation, self._aws)
        while True:
            simulation.sleep(simulation.random.expovariate(1 / _SECONDS_BETWEEN[app]))
            told = LIFECYCLES["trial_converts"].ending(
                next(self._numbers), datetime.fromtimestamp(int(simulation.now) - 1, UTC)
            )
            payload = told.events[-1]
            if app == HEALTHY:
                self._sent_at[payload["event_id"]] = simulation.now
            ingest.handle(app, signed(payload, _SHARED_SECRET, int(simulation.now)))

    def _work(self) -> None:
        """As Lambda does: when there is a message, it waits for the batch window, then invokes the function."""
        simulation, events = self._simulation, self._aws.events
        environment = self._environment()
        simulation.sleep(simulation.random.uniform(0, WINDOW_SECONDS))
        while True:
            next_at = events.next_visible_at
            if next_at is None or next_at > simulation.now:
                simulation.sleep(min(1.0, (next_at or simulation.now + 1.0) - simulation.now))
                continue
            simulation.sleep(WINDOW_SECONDS)
            received = events.receive(_BATCH)
            if not received:
                continue
            ends_at = simulation.now + FORWARDER_TIMEOUT_SECONDS
            handle: Callable[[], set[str]] = partial(environment.handle, events, received, ends_at=ends_at)
            failed = simulation.invoke(handle, timeout=FORWARDER_TIMEOUT_SECONDS)
            if failed is None:
                environment = self._environment()
                continue
            for message, receipt in received:
                if message.id not in failed:
                    events.delete(receipt)

    def _environment(self) -> ForwarderEnvironment:
        return ForwarderEnvironment(
            self._simulation, self._aws, self._client, endpoint="https://clevertap.invalid", heard=lambda _: None
        )
