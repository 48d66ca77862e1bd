"""Stories: what Purchasely tells of some people, and the right result, written by hand and by the contract alone.

A story is data. It can be told to anything that reads webhooks: whole, event by event, in any order (if `any_order`).
`load_cases()` gives small inputs that once went wrong, from tests/cases.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

type Payload = dict[str, Any]

DAY = 86_400_000
BEGINNING = 1_772_323_200_000
"""Day 0 of every story: 2026-03-01T00:00:00Z in epoch milliseconds."""
PRODUCTION, SANDBOX = "PRODUCTION", "SANDBOX"
"""The ids of the CleverTap accounts."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event record that CleverTap must have, once: of which event (its label), by which name, of whom.

    `has` and `lacks` are some of its properties. Amount and Currency are those of Charged and Refunded. Its time is
    that of the event (`event_created_at`), unless it is that of another `day`.
    """

    of: str
    name: str
    person: str = "ada"
    amount: float | None = None
    currency: str = "USD"
    account: str = PRODUCTION
    was_anonymous: bool = False
    has: Mapping[str, object] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    day: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person's profile must say at the end, among other things, and what it must not say at all."""

    person: str = "ada"
    has: Mapping[str, object] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()
    """All ids by which CleverTap must know this one person; empty: the person's own alone."""
    account: str = PRODUCTION


@dataclass(frozen=True, slots=True)
class Story:
    """`events` in the order of their times. An event comes seconds after its own time, unless `received` tells
    another one (epoch milliseconds, by label).

    `associations` are the bodies of `POST /identities/default` with their times. After all of it comes a sweep at
    `sweep_at`, if there is one. `sent` is all that CleverTap must have, but for profiles; None: not of interest.
    `nobody` are ids that no profile may have. `outcomes` are by label, `skipped (filtered)` with the reason; None
    stands for `delivered`, for all events that it does not name.
    """

    name: str
    events: tuple[Payload, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    sandbox_account: bool = True
    associations: tuple[tuple[int, Mapping[str, str]], ...] = ()
    received: Mapping[str, int] = field(default_factory=dict)
    sweep_at: int | None = None
    any_order: bool = True
    sent: Sequence[Sent] | None = None
    profiles: Sequence[Profile] = ()
    nobody: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)

    def time_of(self, sent: Sent) -> int:
        """The right `ts` of a record, in epoch seconds."""
        if sent.day is not None:
            return moment(sent.day) // 1000
        [event] = [event for event in self.events if event["event_id"] == event_id(sent.of)]
        return int(datetime.fromisoformat(event["event_created_at"]).timestamp())


@dataclass(frozen=True, slots=True)
class Case:
    """A small input with its right value: `steps` are batches, `raw_bodies` bodies to the letter."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    right: Mapping[str, Any]
    steps: Sequence[Sequence[Payload]] = ()
    raw_bodies: Sequence[str] = ()

    @property
    def events(self) -> list[Payload]:
        """All events, in order."""
        return [*(event for step in self.steps for event in step), *map(json.loads, self.raw_bodies)]


@cache
def load_cases() -> tuple[Case, ...]:
    """Every case of tests/cases."""
    files = sorted((Path(__file__).parent / "cases").glob("*.json"))
    return tuple(Case(name=file.stem, **json.loads(file.read_text(encoding="utf-8"))) for file in files)


def event_id(label: str) -> str:
    """The id of the event with that label."""
    return str(uuid5(NAMESPACE_URL, label))


def moment(day: float) -> int:
    """The time of a day of a story, in epoch milliseconds."""
    return BEGINNING + round(day * DAY)


def date(day: float) -> str:
    """The same as a property at CleverTap."""
    return f"$D_{moment(day) // 1000}"


def dates(**days: float | None) -> Payload:
    """Each date in both forms; none that is None."""
    told: Payload = {}
    for key, day in days.items():
        if day is not None:
            milliseconds = moment(day)
            told |= {key: _iso(milliseconds), f"{key}_ms": milliseconds}
    return told


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
