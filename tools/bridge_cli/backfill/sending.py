"""Puts the events of a backfill on the events queue, so many a second, and says what became of each line."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge_cli.backfill.event_line import EventLine
from bridge_cli.backfill.progress import ProgressFile, RunProgress
from bridge_cli.cli_error import CliError
from bridge_cli.deliveries import Delivery, EventKey, deliveries
from bridge_cli.probe import Stopwatch
from purchasely_clevertap.aws.queues import SendQueue
from purchasely_clevertap.delivery.keys import entry_key, profile_backfill_key
from purchasely_clevertap.outcome import BackfillMode

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

BATCH: Final = 10
"""Lines that are sent, and in doubt, together (SQS, SendMessageBatch)."""

_TRIES: Final = 5
_LOOKED_UP: Final = 100  # lines whose entries are asked for at once


class FileLine(NamedTuple):
    """A line: what it brings, or why it brings nothing (`skipped` is a reason; both None: a bad line)."""

    event: EventLine | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where events go: the app, how much of them, and the stack's queue and table. `now_ms` is the time of receipt."""

    app: str
    mode: BackfillMode
    sqs: "SQSClient"
    queue_url: str
    dynamodb: "DynamoDBClient"
    table: str
    now_ms: Callable[[], int]


class Sending:
    """A run. `told` hears of each batch."""

    def __init__(
        self,
        target: Target,
        progress: RunProgress,
        file: ProgressFile,
        *,
        rate: float,
        clock: Stopwatch,
        told: Callable[[RunProgress], object],
    ) -> None:
        self._target = target
        self._queue = SendQueue(target.sqs, queue_url=target.queue_url)
        self._progress = progress
        self._file = file
        self._rate = rate
        self._clock = clock
        self._told = told
        self._next = clock.now()

    def send(self, lines: Iterable[FileLine]) -> None:
        """Sends all lines from the first that is not done with. CliError when the queue takes no more of them."""
        self._progress.doubted += self._progress.in_doubt
        self._progress.in_doubt = 0
        for together in _chunks(lines, _LOOKED_UP, skip=self._progress.lines):
            known = self._known(together)
            for start in range(0, len(together), BATCH):
                self._send(together[start : start + BATCH], known)
        self._progress.is_done = True
        self._file.write(self._progress)

    def _known(self, lines: list[FileLine]) -> frozenset[str]:
        """The ids of the events of which the ledger knows. Another event may have the same id, under another name."""
        target = self._target
        names = {line.event.event.event_id: line.event.event.event_name for line in lines if line.event}
        by_key = {entry_key(target.app, each): each for each in names}
        if target.mode is BackfillMode.PROFILE:
            by_key |= {profile_backfill_key(key): event_id for key, event_id in by_key.items()}
        asked = [(target.app, key.partition("#")[2]) for key in by_key]
        found = [(by_key[entry_key(*each.key)], each.event_name) for each in self._entries(asked)]
        return frozenset(event_id for event_id, name in found if name in (None, names[event_id]))

    def _entries(self, keys: list[EventKey]) -> Iterator[Delivery]:
        return deliveries(self._target.dynamodb, self._target.table, keys)

    def _send(self, lines: list[FileLine], known: frozenset[str]) -> None:
        progress = self._progress
        bodies = [line.event.body for line in lines if line.event and line.event.event.event_id not in known]
        if bodies:
            self._wait(len(bodies))
            progress.in_doubt = len(bodies)
            self._file.write(progress)
            self._put(bodies)
            progress.in_doubt = 0
        progress.lines += len(lines)
        progress.sent += len(bodies)
        for line in lines:
            if line.event is not None:
                progress.known += line.event.event.event_id in known
            elif line.skipped is not None:
                progress.skip(line.skipped)
            else:
                progress.invalid += 1
        self._file.write(progress)
        self._told(progress)

    def _put(self, bodies: list[bytes]) -> None:
        left, errors = bodies, list[str | None]()
        for attempt in range(_TRIES):
            if attempt:
                self._clock.wait(2.0**attempt / 2)
            errors = self._queue.send_backfill(self._target.app, left, self._target.mode, now_ms=self._target.now_ms())
            left = [body for body, error in zip(left, errors, strict=True) if error is not None]
            if not left:
                return
        why = next(error for error in errors if error is not None)
        raise CliError(f"the events queue does not take the events ({why}): give the command again with --resume")

    def _wait(self, count: int) -> None:
        """Waits until so many more are due."""
        if (early := self._next - self._clock.now()) > 0:
            self._clock.wait(early)
        self._next = max(self._next, self._clock.now()) + count / self._rate


def _chunks(lines: Iterable[FileLine], size: int, *, skip: int) -> Iterator[list[FileLine]]:
    together: list[FileLine] = []
    for number, line in enumerate(lines):
        if number < skip:
            continue
        together.append(line)
        if len(together) == size:
            yield together
            together = []
    if together:
        yield together
