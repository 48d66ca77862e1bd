"""Counts what was lost, doubled and stale: what CleverTap has against what it must have."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clevertap_emulator import Profile, Stored, Violation

from .oracle import Expected, Record

CHARGED = "Charged"
KNOWN_BY_ID = 50  # webhooks of one event
MONEY = (CHARGED, "Refunded")
_CENT = 0.005  # amounts are compared as money


@dataclass(frozen=True, slots=True)
class Copy:
    """An event record as CleverTap has taken it. `answer_lost`: its sender could not know that it was taken."""

    account: str
    event_id: str
    name: str
    identity: str
    at: int
    amount: float | None
    answer_lost: bool
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A person as CleverTap knows them: every identity and CleverTap id, and the properties in force."""

    account: str
    ids: frozenset[str]
    properties: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reached:
    """What CleverTap has: the copies of event records, the people, what it dropped."""

    copies: Sequence[Copy]
    people: Sequence[Person]
    violations: Sequence[Violation] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What the bridge remembers of an event: its outcome, its webhooks, and how many sends are unconfirmed."""

    outcome: str | None
    webhooks: int
    unconfirmed_sends: int = 0

    @classmethod
    def of(cls, item: Mapping[str, Mapping[str, object]]) -> "Entry":
        """The entry in an item of the deliveries table."""
        outcome, messages = item.get("outcome", {}).get("S"), item.get("messages", {}).get("SS", ())
        return cls(
            outcome=outcome if isinstance(outcome, str) else None,
            webhooks=(len(messages) if isinstance(messages, Sequence) else 0)
            + int(str(item.get("further_messages", {}).get("N", 0))),
            unconfirmed_sends=int(str(item.get("unconfirmed_sends", {}).get("N", 0))),
        )


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the bridge says of itself at the end: of each event, by (app, event id), what it remembers.

    `counted` are the ids of the events of which it has told that an answer was lost; `webhooks` is how many the queue
    took, by its own count. `carriers` are, by event, the events that may have brought its money, itself among them.
    """

    entries: Mapping[tuple[str, str], Entry]
    counted: Collection[str]
    webhooks: int
    carriers: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Verdict:
    """Each finding in words: `late` is what waited for something that is none of its business.

    `slowest_webhook` is how many seconds ingest took for one at most. `doubled_lost_answer` counts the doubles that no
    sender can avoid, `strikes` how often something went wrong around the bridge.
    """

    events: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    slowest_webhook: float = 0.0
    doubled_lost_answer: int = 0
    strikes: int = 0

    @property
    def findings(self) -> list[str]:
        """All that must not be."""
        return [
            *(f"lost: {each}" for each in self.lost),
            *(f"doubled: {each}" for each in self.doubled),
            *(f"stale: {each}" for each in self.stale),
            *(f"late: {each}" for each in self.late),
        ]


def reached(
    records: Mapping[str, Sequence[Stored]],
    profiles: Mapping[str, Sequence[Profile]],
    violations: Sequence[Violation],
    excused: Collection[tuple[int, int]],
) -> Reached:
    """What the emulated CleverTap holds, by account. `excused` are the records, by number of their request and position
    in it, whose sender was not there any more to settle the answer."""
    copies = [
        _copy(account, stored, excused)
        for account, listed in records.items()
        for stored in listed
        if stored.record["type"] == "event"
    ]
    people = [
        Person(account, frozenset((*profile.identities, *profile.object_ids)), profile.properties)
        for account, listed in profiles.items()
        for profile in listed
    ]
    return Reached(copies, people, violations)


def judge(expected: Expected, clevertap: Reached, bridge: Remembered) -> Verdict:
    """The verdict on a run that has come to its end."""
    expected = _as_tied(expected, clevertap.people)
    verdict = Verdict(events=len(expected.outcomes))
    counted = {event_id for (_, event_id), entry in bridge.entries.items() if entry.unconfirmed_sends} | set(
        bridge.counted
    )
    of_money = counted | {each for each, carriers in bridge.carriers.items() if not counted.isdisjoint(carriers)}
    _judge_records(expected, clevertap.copies, lambda id, name: id in (of_money if name in MONEY else counted), verdict)
    _judge_profiles(expected, clevertap.people, verdict)
    _judge_outcomes(expected, bridge, verdict)
    verdict.lost += [f"CleverTap dropped {each.reason} of a record" for each in clevertap.violations]
    return verdict


def _as_tied(expected: Expected, people: Iterable[Person]) -> Expected:
    """What must be, with each shared device tied to the one of its users whom CleverTap has tied it to."""
    ids = dict(expected.ids)
    holders = {(each.account, one): each.ids for each in people for one in each.ids}
    for (account, device), users in expected.contested.items():
        if len(tied := users & holders.get((account, device), frozenset())) == 1:
            for user in users:
                theirs = ids.get((account, user), frozenset({user}))
                ids[account, user] = theirs | {device} if user in tied else theirs - {device}
    return replace(expected, ids=ids)


def _judge_records(
    expected: Expected, copies: Iterable[Copy], is_counted: Callable[[str, str], bool], verdict: Verdict
) -> None:
    by_record: dict[tuple[str, str, str], list[Copy]] = {}
    for copy in copies:
        by_record.setdefault((copy.account, copy.event_id, copy.name), []).append(copy)
    for record in expected.records:
        _, event_id, name = record
        # A purchase is charged with whichever of its events came first, once.
        contents = {record: expected.records[record]} | expected.instead.get(record, {})
        used = next((key for key in contents if key in by_record), record)
        found, content = by_record.pop(used, []), contents[used]
        right = [copy for copy in found if _is_right(copy, content, expected)]
        if not right:
            verdict.lost.append(
                f"CleverTap has no {name} of event {event_id}" + (", only a wrong one" if found else "")
            )
            continue
        # The last copy is the one whose answer arrived: each one before it must have lost its answer.
        more = len(found) - 1
        unavoidable = min(more, sum(copy.answer_lost for copy in found))
        if more > unavoidable:
            verdict.doubled.append(f"CleverTap has {name} of event {event_id} {len(found)} times")
        elif more and not is_counted(event_id, name):
            verdict.doubled.append(
                f"CleverTap has {name} of event {event_id} {len(found)} times, and nobody counted it"
            )
        else:
            verdict.doubled_lost_answer += more
    for account, event_id, name in by_record.keys() - expected.perhaps.keys():
        verdict.doubled.append(f"CleverTap account {account} has {name} of event {event_id}, which it should not have")


def _is_right(copy: Copy, content: Record, expected: Expected) -> bool:
    ids = expected.ids.get((copy.account, content.person), {content.person})
    of_money = content.currency is None or copy.currency == content.currency
    same_amount = copy.amount == content.amount or (
        copy.amount is not None and content.amount is not None and abs(copy.amount - content.amount) < _CENT
    )
    return copy.identity in ids and copy.at == content.at and same_amount and of_money


def _judge_profiles(expected: Expected, people: Iterable[Person], verdict: Verdict) -> None:
    """Each person is one person, with all their ids and the right properties; nobody else is anybody."""
    known = {
        (account, each): (account, person)
        for account, person in expected.profiles
        for each in expected.ids.get((account, person), {person})
    }
    found: dict[tuple[str, str], list[Person]] = {}
    for each in people:
        owners = sorted({known[each.account, one] for one in each.ids if (each.account, one) in known})
        if len(owners) > 1:
            names = " and ".join(person for _, person in owners)
            verdict.stale.append(f"{names} are one person in {each.account}")
        elif not owners and each.properties:
            verdict.stale.append(f"{', '.join(sorted(each.ids))} in {each.account} is nobody")
        for owner in owners:
            found.setdefault(owner, []).append(each)
    for (account, person), right in expected.profiles.items():
        ids = expected.ids.get((account, person), frozenset({person}))
        match found.get((account, person), []):
            case [one]:
                if missing := ids - one.ids:
                    verdict.stale.append(f"{person} in {account} is not tied to {', '.join(sorted(missing))}")
                _judge_properties(
                    f"profile of {person} in {account}",
                    right,
                    one.properties,
                    expected.may_stay.get((account, person), {}),
                    verdict,
                )
            case []:
                if right:
                    verdict.stale.append(f"{person} in {account} has no profile")
            case several:
                verdict.stale.append(f"{person} in {account} is {len(several)} people")


def _judge_properties(
    whose: str,
    right: Mapping[str, object],
    found: Mapping[str, object],
    may_stay: Mapping[str, Collection[object]],
    verdict: Verdict,
) -> None:
    wrong = [
        key
        for key in sorted(right.keys() | found.keys())
        if right.get(key) != found.get(key) and found.get(key) not in may_stay.get(key, ())
    ]
    if wrong:
        says = ", ".join(f"{key} is {found.get(key)!r}, not {right.get(key)!r}" for key in wrong)
        verdict.stale.append(f"{whose}: {says}")


def _judge_outcomes(expected: Expected, bridge: Remembered, verdict: Verdict) -> None:
    """received = delivered + skipped + duplicate + parked, and nothing in flight: each event has its
    outcome, and each of its webhooks is known."""
    for event, outcome in expected.outcomes.items():
        entry = bridge.entries.get(event)
        if entry is None or entry.outcome != outcome:
            is_now = "unknown" if entry is None else entry.outcome or "in flight"
            verdict.lost.append(f"event {event[1]} of app {event[0]} is {is_now}, not {outcome}")
    for app, event_id in bridge.entries.keys() - expected.outcomes.keys():
        verdict.lost.append(f"event {event_id} of app {app} was never sent")
    received = sum(entry.webhooks for entry in bridge.entries.values())
    # Of more webhooks than it knows by their ids, the bridge may fail to count some.
    is_full = any(entry.webhooks >= KNOWN_BY_ID for entry in bridge.entries.values())
    if received != bridge.webhooks and not (is_full and received < bridge.webhooks):
        verdict.lost.append(f"the queue took {bridge.webhooks} webhooks, the bridge remembers {received}")


def _copy(account: str, stored: Stored, excused: Collection[tuple[int, int]]) -> Copy:
    record = stored.record
    data = record["evtData"]
    name, amount = str(record["evtName"]), data.get("Amount") if isinstance(data, dict) else None
    currency = data.get("Currency") if isinstance(data, dict) else None
    at = record["ts"]
    return Copy(
        account=account,
        event_id=str(data["event_id"]) if isinstance(data, dict) else "",
        name=name,
        identity=str(record.get("identity") or record.get("objectId")),
        at=at if isinstance(at, int) else 0,
        amount=amount if isinstance(amount, int | float) else None,
        currency=currency if isinstance(currency, str) else None,
        answer_lost=stored.answer_lost or (stored.request, stored.position) in excused,
    )
