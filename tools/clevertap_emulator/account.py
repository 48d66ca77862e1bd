"""One CleverTap account: the records it has taken, its event types and its users. Knows neither HTTP nor the clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clevertap_emulator.profile import merge
from clevertap_emulator.properties import Json, Object, fold, type_of
from clevertap_emulator.rules import Kept, Refusal, read, refusal

EVENT_TYPES = 512
"""Distinct event names an account; a further one is a discarded event (code 528)."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record that was taken. `position` is 1-based within its upload request, `at` in epoch seconds.

    `answer_lost`: the sender was not told, so it may send the record again; CleverTap then counts it twice.
    """

    request: int
    position: int
    at: float
    record: Object
    answer_lost: bool


@dataclass(frozen=True, slots=True)
class Violation:
    """What a taken record should not have held: the real one drops it or miscounts it, and says nothing."""

    account: str
    request: int
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A user: every id that is tied to it, and the properties in force."""

    identities: tuple[str, ...]
    object_ids: tuple[str, ...]
    properties: Object


@dataclass(slots=True, eq=False)
class _User:
    ids: set[tuple[str, str]] = field(default_factory=set)
    properties: Object = field(default_factory=dict)


class Account:
    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.records: list[Stored] = []
        self.violations: list[Violation] = []
        self._event_types: set[str] = set()
        self._types: dict[tuple[str, str], str] = {}
        self._users: dict[tuple[str, str], _User] = {}

    def take(
        self,
        records: Sequence[Json],
        *,
        request: int,
        at: float,
        scripted: Mapping[int, Refusal],
        store: bool = True,
        answer_lost: bool = False,
    ) -> list[Refusal | None]:
        """Judges each record and stores the accepted ones, in order; the refusal or None for each.

        `scripted` holds refusals by position (1-based) that come on top of the rules.
        """
        refusals: list[Refusal | None] = []
        event_types = set(self._event_types)
        for position, record in enumerate(records, start=1):
            verdict = scripted.get(position) or _within(event_types, read(record, at))
            refusals.append(verdict if isinstance(verdict, Refusal) else None)
            if store and isinstance(verdict, Kept):
                kept, mistyped = self._typed(verdict.record)
                self.records.append(Stored(request, position, at, kept, answer_lost))
                violations = [*verdict.violations, *mistyped, *self._apply(kept)]
                self.violations += [Violation(self.account_id, request, position, reason) for reason in violations]
        if store:
            self._event_types = event_types
        return refusals

    def lose_answer(self, request: int) -> None:
        """Marks what a request brought: its sender was gone before the answer."""
        self.records = [replace(each, answer_lost=True) if each.request == request else each for each in self.records]

    def delete(self, kind: str, ids: Sequence[str]) -> int:
        """Deletes the users behind these ids, each with all of its ids; how many they were. Nobody's id is no fault.

        `records` still tells what was taken: it is a log of requests.
        """
        gone = {id(user): user for each in ids if (user := self._users.get((kind, each))) is not None}
        self._users = {key: user for key, user in self._users.items() if id(user) not in gone}
        return len(gone)

    def profiles(self) -> list[Profile]:
        """The users in the order in which they came to be."""
        return [
            Profile(_ids(user, "identity"), _ids(user, "objectId"), dict(user.properties))
            for user in dict.fromkeys(self._users.values())
        ]

    def _typed(self, record: Object) -> tuple[Object, list[str]]:
        """The record without the values of another type than the first of their property, and each with the reason."""
        where = "evtData" if "evtName" in record else "profileData"
        properties, owner = record.get(where), fold(str(record.get("evtName", "")))
        if not isinstance(properties, dict):
            return record, []
        kept, violations = dict(properties), list[str]()
        for key, value in properties.items():
            if (found := type_of(value)) is None:
                continue
            first = self._types.setdefault((owner, fold(key)), found)
            if found != first:
                del kept[key]
                violations.append(f"{where}.{key}: {found} in a property of type {first}")
        return record | {where: kept}, violations

    def _apply(self, record: Object) -> list[str]:
        changes = record.get("profileData")
        properties = changes if isinstance(changes, dict) else {}
        named = [("identity", properties), ("identity", record), ("objectId", record)]
        user = self._user([(kind, value) for kind, ids in named if isinstance(value := ids.get(kind), str)])
        user.properties, violations = merge(user.properties, properties)
        return violations

    def _user(self, ids: Sequence[tuple[str, str]]) -> _User:
        """The one user behind these ids: created when none is known, tied together when several are."""
        known = list(dict.fromkeys(self._users[each] for each in ids if each in self._users))
        user, *others = known or [_User()]
        for other in others:
            user.ids |= other.ids
            user.properties = other.properties | user.properties
        user.ids.update(ids)
        self._users |= dict.fromkeys(user.ids, user)
        return user


def _within(event_types: set[str], verdict: Kept | Refusal) -> Kept | Refusal:
    """The verdict under the limit of event types; an accepted event's type is added to them."""
    if isinstance(verdict, Kept) and isinstance(name := verdict.record.get("evtName"), str):
        if fold(name) not in event_types and len(event_types) >= EVENT_TYPES:
            return refusal(528)
        event_types.add(fold(name))
    return verdict


def _ids(user: _User, kind: str) -> tuple[str, ...]:
    return tuple(sorted(value for name, value in user.ids if name == kind))
