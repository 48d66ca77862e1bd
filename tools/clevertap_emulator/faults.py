"""Scripted faults: steps that upload requests take from a queue, one each, in the order of arrival.

`taken` on a step says whether the records are stored before the fault strikes. Seconds are waited for at most:
clearing the faults, or closing the emulator, ends every wait at once.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from clevertap_emulator.properties import Json, number
from clevertap_emulator.rules import Refusal, refusal


@dataclass(frozen=True, slots=True)
class Ok:
    """No fault: the real answer."""

    taken: ClassVar[bool] = True
    told: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Delay:
    """The real answer, `seconds` late; the records are judged after the wait."""

    seconds: float
    taken: ClassVar[bool] = True
    told: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Interim:
    """The real answer, behind interim ones (103) that promise nothing."""

    taken: ClassVar[bool] = True
    told: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuses the records at these positions (1-based), of this event name or of this identity; by default all."""

    code: int
    message: str | None = None
    positions: Sequence[int] | None = None
    event_name: str | None = None
    identity: str | None = None
    taken: ClassVar[bool] = True
    told: ClassVar[bool] = True

    def refusals(self, records: Sequence[Json]) -> dict[int, Refusal]:
        """The refusals by position. A record must fit every condition that is given."""
        refused = Refusal(self.code, self.message) if self.message else refusal(self.code)
        return {position: refused for position, record in enumerate(records, start=1) if self._fits(position, record)}

    def _fits(self, position: int, record: Json) -> bool:
        names = record if isinstance(record, dict) else {}
        return (
            (self.positions is None or position in self.positions)
            and self.event_name in (None, names.get("evtName"))
            and self.identity in (None, names.get("identity"))
        )


@dataclass(frozen=True, slots=True)
class FailEmpty:
    """200 `fail` with an empty list: nothing is taken, nothing is explained."""

    taken: ClassVar[bool] = False
    told: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Status:
    """This HTTP status, with `body`; without one, CleverTap's JSON for a failure."""

    status: int
    body: str | None = None
    taken: bool = False
    told: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class NotJson:
    """200 with a page of HTML."""

    taken: bool = False
    told: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Truncated:
    """The first half of the real answer, as if it were all of it."""

    taken: bool = False
    told: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends in the middle of the real answer."""

    taken: bool = False
    told: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer: the connection stays open for `seconds`, then ends."""

    seconds: float
    taken: bool = False
    told: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """The records are taken and the connection ends without a byte."""

    taken: ClassVar[bool] = True
    told: ClassVar[bool] = False


type Step = Ok | Delay | Interim | Refuse | FailEmpty | Status | NotJson | Truncated | Cut | Hang | LostAnswer
"""`told`: the sender learns the outcome of its records."""

NAMES: Mapping[type[Step], str] = {
    Ok: "ok",
    Delay: "delay",
    Interim: "interim",
    Refuse: "refuse",
    FailEmpty: "fail_empty",
    Status: "status",
    NotJson: "not_json",
    Truncated: "truncated",
    Cut: "cut",
    Hang: "hang",
    LostAnswer: "lost_answer",
}


class Faults:
    """The queue. While it is empty, every request gets the real answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[tuple[Step, int | None]] = deque()
        self._cleared = threading.Event()

    def add(self, *steps: Step, times: int | None = 1) -> None:
        """Queues the steps, each for so many requests in a row; None: until cleared, so nothing after it is reached."""
        with self._lock:
            self._queue.extend((step, times) for step in steps)

    def clear(self) -> None:
        with self._lock:
            self._queue.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def take(self) -> tuple[Step, threading.Event]:
        """The step for the next request, and what is set once the faults are cleared: then any wait of it ends."""
        with self._lock:
            if not self._queue:
                return Ok(), self._cleared
            step, times = self._queue.popleft()
            if times is None or times > 1:
                self._queue.appendleft((step, times and times - 1))
            return step, self._cleared


def parse(value: Json) -> list[tuple[Step, int | None]]:
    """Steps from JSON and how often each: `{"fault": "status", "status": 503, "times": 3}`, or a list of such objects.

    ValueError names what is wrong and what is allowed.
    """
    return [_parse_step(each) for each in (value if isinstance(value, list) else [value])]


def _parse_step(value: Json) -> tuple[Step, int | None]:
    if not isinstance(value, dict):
        raise ValueError('a step is an object such as {"fault": "status", "status": 503}')
    options: dict[str, Any] = dict(value)
    name, times = options.pop("fault", None), options.get("times", 1)
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"fault must be one of {', '.join(_KINDS)}")
    for key, given in options.items():
        known, expected = _OPTIONS.get(key, (_is_text, "a text"))
        if key not in ("times", *kind.__slots__):
            raise ValueError(f"{key} is unknown; {name} takes {', '.join((*kind.__slots__, 'times'))}")
        if not known(given):
            raise ValueError(f"{key} is {given!r}, must be {expected}")
    missing = [option.name for option in fields(kind) if option.default is MISSING and option.name not in options]
    if missing:
        raise ValueError(f"{name} needs {', '.join(missing)}")
    options.pop("times", None)
    return kind(**options), times


def _whole(value: Json, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_text(value: Json) -> bool:
    return value is None or isinstance(value, str)


_KINDS: Mapping[str, type[Any]] = {name: kind for kind, name in NAMES.items()}
_OPTIONS: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    "times": (
        lambda value: value is None or _whole(value, 1, 1_000_000),
        "a whole number from 1, or null: until cleared",
    ),
    "seconds": (lambda value: number(value) and 0 <= value <= 3600, "a number from 0 to 3600"),
    "status": (
        lambda value: _whole(value, 200, 599) and value not in (204, 304),
        "a status from 200 to 599 with a body",
    ),
    "code": (lambda value: _whole(value, 100, 999), "one of CleverTap's codes, such as 512"),
    "taken": (lambda value: isinstance(value, bool), "true or false"),
    "positions": (
        lambda value: isinstance(value, list) and all(_whole(position, 1, 1000) for position in value),
        "a list of positions, the first record being 1",
    ),
}
