"""What goes wrong: one script for each kind of fault, and one of everything together.

A script is asked at every point where something can go wrong. It decides by chance, but by the run's own, so that the
same seed makes the same faults.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType

from clevertap_emulator import Cut, FailEmpty, Hang, Interim, LostAnswer, NotJson, Refuse, Status, Truncated

from . import aws
from .aws import AnswerLost, CallFault, Cancel, Die, Part, Repeated, Slow, Unreachable
from .uploading import Kill, Moment, NoConnection, TakenLate, UploadFault

CONTENDED = ("ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict")

# How long faults may strike, in seconds from the first webhook. Afterwards everything must come to its end.
ACTIVE_SECONDS = 2400.0


class Hot(StrEnum):
    """Whose item is hot."""

    EVENT = "event"
    PERSON = "person"


type Uploads = Callable[[Random, int, int], UploadFault]
type Calls = Callable[[Random], CallFault]

_CODES_OF_RECORDS = (509, 512, 513, 515, 523, 525, 528, 555, 555, 555)


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table.

    `uploads` says what the n-th upload, of so many records, meets; `calls` what a call of AWS meets, by its
    operation (the writes of the ledger are "claim", and "settle" once there was an upload). They do so with the
    chance `share`; with `spells`, only in so many spells of some minutes, otherwise all the time. `again` is the
    share of messages that SQS delivers once more, `twice` that of events that Purchasely sends once more, `cold`
    that of batches for which Lambda starts a new worker, `former` that of workers of the release before. `hot` is
    an item, an event's or a person's, that cannot be written, with `hot_reads` nor read, for the first half of an
    hour or so. `workers` is how many forwarders there are: with one of them only the hot item keeps an event
    waiting, and no other may wait. `webhook_seconds` is the longest that ingest may take for a webhook. `replays`
    is how often a stranger sends one captured request again, from before its event has an outcome until long after.
    `secrets` and `settings` are what an app's secrets and settings hold during the spells. `redrives` is how often
    somebody redrives what is parked while faults go on. `phones` are used by several people, of whom one each is
    forgotten in the midst, by `bridge forget`.
    """

    name: str
    uploads: Uploads | None = None
    calls: Mapping[str, Calls] = field(default_factory=dict)
    share: float = 0.25
    spells: int = 0
    again: float = 0.0
    twice: float = 0.0
    replays: int = 0
    cold: float = 0.0
    hot: Hot | None = None
    hot_reads: bool = False
    workers: int = 4
    webhook_seconds: float | None = None
    shuffled: bool = False
    most_receives: int = 1000
    redrives: int = 0
    phones: int = 0
    secrets: Sequence[str] = ()
    settings: Sequence[str] = ()
    read_timeout: float = 5.0
    former: float = 0.0


class Script:
    """What a fault does in one run, which begins at `start` (epoch seconds) and whose traffic takes `seconds`.

    `strikes` counts how often something went wrong.
    """

    def __init__(self, fault: Fault, random: Random, *, start: float, seconds: float) -> None:
        self.fault = fault
        self.strikes = 0
        self.spells = [
            (begin, begin + random.uniform(30, 240))
            for begin in (start + random.uniform(0, seconds) for _ in range(fault.spells))
        ]
        self.hot_until = start + random.uniform(1200, ACTIVE_SECONDS) if fault.hot else start
        self._random = random
        self._until = start + ACTIVE_SECONDS
        self._uploads = 0

    def upload(self, now: float, records: int) -> UploadFault | None:
        """What happens to an upload of so many records."""
        self._uploads += 1
        uploads = self.fault.uploads
        return uploads(self._random, self._uploads, records) if uploads and self._strikes(now) else None

    def call(self, now: float, operation: str) -> CallFault | None:
        """What happens to a call of AWS."""
        calls = self.fault.calls.get(operation)
        return calls(self._random) if calls and self._strikes(now) else None

    def happens(self, now: float, share: float) -> bool:
        """Whether something happens that has this chance."""
        struck = now < self._until and self._random.random() < share
        self.strikes += struck
        return struck

    def again(self, now: float) -> float:
        """The share of messages that SQS delivers once more."""
        return self.fault.again if now < self._until else 0.0

    def _strikes(self, now: float) -> bool:
        if now >= self._until or (self.spells and not any(begin <= now < end for begin, end in self.spells)):
            return False
        struck = self._random.random() < self.fault.share
        self.strikes += struck
        return struck


def _one_of(*faults: UploadFault) -> Uploads:
    return lambda random, _number, _records: random.choice(faults)


def _call(*faults: CallFault) -> Calls:
    return lambda random: random.choice(faults)


def _partly(random: Random, number: int, records: int) -> UploadFault:
    """Refuses one record of each upload, at each position in turn, and now and then several."""
    positions = {number % records + 1}
    if random.random() < 0.2:
        positions |= {random.randint(1, records) for _ in range(records // 2)}
    return Refuse(random.choice(_CODES_OF_RECORDS), positions=sorted(positions))


def _late_or_never(random: Random, _number: int, _records: int) -> UploadFault:
    return random.choice((TakenLate(random.uniform(1, 60)), Hang(0.5), Hang(0.5, taken=True)))


def _unavailable(random: Random) -> CallFault:
    return random.choice((Unreachable(), aws.Refuse(aws.error_codes(random))))


def _hanging(random: Random) -> CallFault:
    return random.choice((aws.Hang(), AnswerLost()))


def _throttled(random: Random) -> CallFault:
    codes = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")
    cancelled = Cancel(random.choice(("ThrottlingError", "ProvisionedThroughputExceeded")), random.random())
    return random.choice((aws.Refuse(random.choice(codes)), cancelled, Part(random.random())))


def _of(operations: Sequence[str], calls: Calls) -> Mapping[str, Calls]:
    return dict.fromkeys(operations, calls)


_QUEUE = ("SendMessage", "SendMessageBatch", "ChangeMessageVisibilityBatch")
_DYNAMODB = ("BatchGetItem", "claim", "settle", "UpdateItem", "Query")
# Ingest gives its note 0.3 s; the rest is what its other calls take.
_NOTED_SECONDS = 0.4
_RUBBISH = ("", "not JSON", "[]", '{"production": {"account_id": "REPLACE_ME"}}', '{"shared_secrets": "text"}')
_WRONG_KEYS = '{"account_id": "PRODUCTION", "passcode": "wrong"}'
_WRONG = f'{{"production": {_WRONG_KEYS}, "sandbox": {_WRONG_KEYS}, "shared_secrets": ["wrong"]}}'

_ROWS = (
    Fault("no fault"),
    Fault("partial answer, every position", _partly, share=0.6),
    Fault("fail with an empty list", _one_of(FailEmpty())),
    Fault("429 bursts", _one_of(Status(429)), share=0.9, spells=3),
    Fault(
        "5xx",
        _one_of(Status(500), Status(502, "<html>"), Status(503), Status(504, taken=True)),
        share=0.9,
        spells=3,
    ),
    Fault("cannot connect", _one_of(NoConnection())),
    Fault("401 for a while", _one_of(Status(401), Status(403)), share=1.0, spells=2, cold=0.2),
    Fault("a firewall's 403", _one_of(Status(403, "<html>Forbidden</html>")), share=0.3),
    Fault("interim answers", _one_of(Interim()), share=0.5),
    Fault(
        "hangs beyond the time-out",
        _late_or_never,
        share=0.1,
        read_timeout=0.4,
    ),
    Fault("connection cut mid-answer", _one_of(Cut(), Cut(taken=True))),
    Fault("truncated body", _one_of(Truncated(), Truncated(taken=True))),
    Fault("body that is not JSON", _one_of(NotJson(), NotJson(taken=True))),
    Fault("answer lost, records taken", _one_of(LostAnswer())),
    Fault("SQS delivers twice", again=0.3),
    Fault("SQS shuffles, late and retried", _one_of(Status(503)), share=0.3, shuffled=True),
    Fault("the same webhook again", twice=0.5, again=0.4),
    Fault("one request 20,000 times", replays=20_000, again=0.1),
    Fault(
        "one request 20,000 times, and DynamoDB fails",
        calls=_of(_DYNAMODB, _unavailable),
        share=0.6,
        spells=3,
        replays=20_000,
    ),
    Fault("DynamoDB throttles", calls=_of(_DYNAMODB, _throttled)),
    Fault(
        "DynamoDB conflicts",
        calls=_of(
            ("claim", "settle"),
            lambda random: Cancel(random.choice(("TransactionConflict", aws.CONDITION_FAILED)), random.random()),
        ),
        again=0.3,
    ),
    Fault("DynamoDB out of reach", calls=_of(_DYNAMODB, _unavailable), share=0.6, spells=3, cold=0.2),
    Fault("DynamoDB hangs", calls=_of(_DYNAMODB, _hanging), share=1.0, spells=3, webhook_seconds=_NOTED_SECONDS),
    Fault(
        "the notes of ingest hang",
        calls=_of(("UpdateItem",), _hanging),
        share=1.0,
        spells=3,
        webhook_seconds=_NOTED_SECONDS,
    ),
    Fault("a hot event", hot=Hot.EVENT, hot_reads=True, workers=1),
    Fault("a hot person", hot=Hot.PERSON, hot_reads=True, workers=1),
    Fault("forgotten on a shared phone", phones=5, again=0.1),
    Fault("AWS answers lost", calls=_of((*_DYNAMODB, *_QUEUE), _call(AnswerLost())), share=0.1),
    Fault("upgraded and rolled back", _partly, share=0.2, again=0.3, cold=0.3, former=0.5),
    Fault("DynamoDB calls repeated", calls=_of(_DYNAMODB, _call(Repeated())), share=0.3),
    Fault("SQS out of reach", calls=_of(_QUEUE, lambda random: random.choice((_unavailable(random), Part(0.5))))),
    Fault("Secrets Manager out of reach", calls=_of(("GetSecretValue",), _unavailable), share=0.8, spells=3, cold=0.3),
    Fault("Secrets Manager holds rubbish", secrets=(*_RUBBISH, _WRONG), spells=3, cold=0.3),
    Fault("SSM out of reach", calls=_of(("GetParameter",), _unavailable), share=0.8, spells=3, cold=0.3),
    Fault("SSM holds rubbish", settings=_RUBBISH, spells=3, cold=0.3),
    Fault(
        "killed before the upload",
        _one_of(Kill(Moment.BEFORE)),
        _of(("BatchGetItem", "claim"), _call(Die(after=False), Die(after=True))),
        share=0.1,
    ),
    Fault("killed during the upload", _one_of(Kill(Moment.DURING))),
    Fault(
        "killed after the upload",
        _one_of(Kill(Moment.AFTER)),
        _of(("settle", "ChangeMessageVisibilityBatch"), _call(Die(after=False), Die(after=True))),
        share=0.2,
    ),
    Fault(
        "redriven while faults go on",
        _partly,
        share=0.5,
        redrives=10,
        again=0.1,
    ),
    Fault("killed until dead-lettered", _one_of(Kill(Moment.BEFORE), Kill(Moment.AFTER)), share=0.5, most_receives=3),
    Fault(
        "time running out",
        calls=_of(_DYNAMODB, lambda random: Slow(random.uniform(5, 40))),
        share=0.3,
    ),
)


def _mix(random: Random, number: int, records: int) -> UploadFault:
    return random.choice(_MIXED_UPLOADS)(random, number, records)


_MIXED_UPLOADS = [row.uploads for row in _ROWS if row.uploads is not None]
_MIXED_CALLS = {
    operation: [row.calls[operation] for row in _ROWS if operation in row.calls]
    for operation in dict.fromkeys(operation for row in _ROWS for operation in row.calls)
}


def _mixed(calls: Sequence[Calls]) -> Calls:
    return lambda random: random.choice(calls)(random)


_ALL = Fault(
    "everything together",
    _mix,
    {operation: _mixed(calls) for operation, calls in _MIXED_CALLS.items()},
    share=0.06,
    again=0.1,
    twice=0.1,
    cold=0.1,
    shuffled=True,
    redrives=5,
    read_timeout=0.4,
)

FAULTS: Mapping[str, Fault] = MappingProxyType({row.name: row for row in (*_ROWS, _ALL)})


def named(text: str) -> Iterator[Fault]:
    """The faults whose names contain `text`."""
    return (fault for name, fault in FAULTS.items() if text.casefold() in name.casefold())
