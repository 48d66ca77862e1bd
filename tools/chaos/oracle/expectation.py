"""What CleverTap must have, from all webhooks at once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clevertap_emulator.properties import allowed as is_allowed
from clevertap_emulator.properties import fold
from clevertap_emulator.rules import RESERVED

from .people import Association, Outcome, People, Place
from .policy import Policy
from .profile import Properties, profile
from .reading import GIVEN_BACK, Event, Payload, read
from .revenue import money


@dataclass(frozen=True, slots=True)
class Record:
    """An event record: its person, its time in epoch seconds and, of Charged and Refunded, the money."""

    person: str
    at: int
    amount: float | None = None
    currency: str | None = None
    charged_id: str | None = None
    proceeds: float | None = None
    was_anonymous: bool = False


_UNUSABLE_NAME = "unusable_event_name"

type RecordKey = tuple[str, str, str]
type PersonKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Expected:
    """What CleverTap must have: records by (account, event id, name), profiles by (account, person).

    A person goes by the user id, else by the CleverTap id, else by the anonymous id. `ids` holds all ids that must be
    tied to one another at CleverTap, of those people who have several. `may_stay` are dates that a profile may keep
    from a subscription it described before. `instead` holds the records that may be there in place of another, by the
    key of that one: a purchase is charged with whichever of its events comes first. `perhaps` holds the refunds that a
    transfer looks like when its other half comes later than the bridge waits for it. `contested` holds, by (account,
    CleverTap id), the users of a shared device: it is tied to whichever of them came first, for good. `outcomes` and
    `reasons` are by (app, event id); an id that came with several environments or names is an event for each:
    `id#ENVIRONMENT#NAME`.
    """

    records: dict[RecordKey, Record] = field(default_factory=dict)
    profiles: dict[PersonKey, Properties] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    ids: dict[PersonKey, frozenset[str]] = field(default_factory=dict)
    may_stay: dict[PersonKey, dict[str, frozenset[str]]] = field(default_factory=dict)
    instead: dict[RecordKey, dict[RecordKey, Record]] = field(default_factory=dict)
    perhaps: dict[RecordKey, Record] = field(default_factory=dict)
    contested: dict[PersonKey, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Placed:
    """An event, where it belongs, and why its own record is not sent; None if it is."""

    event: Event
    account: str
    place: Place
    kept_back: str | None


def expect(
    events: Iterable[tuple[str, Payload]],
    policies: Mapping[str, Policy],
    *,
    associations: Iterable[Association] = (),
    received: Mapping[str, int] | int | None = None,
    now: int | None = None,
) -> Expected:
    """What follows from `events`, each with its app, in whatever order and however often they come.

    `received`: when they came, in epoch milliseconds, by event id or one moment for all; an event that it does not
    tell of came at its own time. `now`: the moment of a daily sweep after all of them; None: none has been.
    """
    expected = Expected()
    told = _readable(events, received, expected)
    associated = list(associations)
    namesakes = Counter((app, event_id) for app, event_id, _, _ in told)

    def settle(event: Event, outcome: Outcome, reason: str | None) -> None:
        alone = namesakes[event.app, event.id] == 1
        name = event.id if alone else f"{event.id}#{event.facts['environment']}#{event.name}"
        expected.outcomes[event.app, name] = outcome
        if reason is not None:
            expected.reasons[event.app, name] = reason

    placed: list[_Placed] = []
    for app, policy in policies.items():
        of_app = [event for event in told.values() if event.app == app]
        for account in dict.fromkeys((policy.production, policy.sandbox)):
            of_account = [event for event in of_app if _account(event, policy) == account]
            if account is not None:
                ours = [each for each in associated if each.app == app]
                placed += _placed(of_account, account, policy, ours, now, expected)
            for event in of_account if account is None else ():
                settle(event, "skipped", policy.no_sandbox)
    for each in placed:
        kept: Outcome = "parked" if each.kept_back == _UNUSABLE_NAME else "skipped"
        settle(each.event, each.place.outcome if each.kept_back is None else kept, each.kept_back or each.place.reason)
    for app, policy in policies.items():
        _add_records([each for each in placed if each.event.app == app], policy, expected)
    _add_profiles(placed, policies, now, expected)
    return expected


type _Told = dict[tuple[str, str, str, str], Event]


def _readable(
    events: Iterable[tuple[str, Payload]], received: Mapping[str, int] | int | None, expected: Expected
) -> _Told:
    """Each event once."""
    told: _Told = {}
    for app, payload in events:
        event_id = str(payload.get("event_id"))
        event = read(app, payload, received if isinstance(received, int | None) else received.get(event_id))
        if event is None:
            expected.outcomes[app, event_id], expected.reasons[app, event_id] = "parked", "unreadable"
            continue
        key = app, event.id, str(event.facts["environment"]), event.name
        told[key] = event
    return told


def _account(event: Event, policy: Policy) -> str | None:
    return policy.production if event.facts["environment"] == "PRODUCTION" else policy.sandbox


def _placed(
    events: Sequence[Event],
    account: str,
    policy: Policy,
    associations: Iterable[Association],
    now: int | None,
    expected: Expected,
) -> Iterable[_Placed]:
    people = People(policy, events, associations)
    placed = [_Placed(event, account, people.place(event, now), None) for event in events]
    present = {each.place.person for each in placed}
    for person, ids in people.ids().items():
        if person in present:
            expected.ids[account, person] = expected.ids.get((account, person), frozenset()) | ids
    for device, users in people.contested().items():
        expected.contested[account, device] = users & present
    return [
        each
        if each.place.person is None
        else _Placed(each.event, each.account, each.place, _kept_back(each.event, policy))
        for each in placed
    ]


def _kept_back(event: Event, policy: Policy) -> str | None:
    """Why settings keep the event's own record from CleverTap."""
    if not policy.sends(event.name):
        return "event_switched_off"
    allowed = policy.where.get(event.name, {})
    if any(event.text(key) not in values for key, values in allowed.items()):
        return "filtered"
    name = policy.names.get(event.name, event.name)
    return _UNUSABLE_NAME if fold(name) in RESERVED or not is_allowed(name) else None


def _add_records(placed: Sequence[_Placed], policy: Policy, expected: Expected) -> None:
    ours = {id(each.event): each for each in placed if each.place.person is not None}

    def record(of: Event) -> Record:
        place = ours[id(of)].place
        return Record(str(place.person), of.at // 1000, was_anonymous=place.was_anonymous)

    for each in ours.values():
        if each.kept_back is None:
            name = policy.names.get(each.event.name, each.event.name)
            expected.records[each.account, each.event.id, name] = record(each.event)
    for account in {each.account for each in ours.values()}:
        of_account = [each.event for each in placed if each.account == account]
        for made in money([event for event in of_account if id(event) in ours], of_account, policy):
            first, *others = (
                replace(
                    record(event),
                    amount=made.amount,
                    currency=made.currency,
                    charged_id=made.charged_id,
                    proceeds=made.proceeds,
                )
                for event in (made.event, *made.instead)
            )
            key = account, made.event.id, made.name
            if not made.is_certain:
                expected.perhaps[key] = first
                continue
            expected.records[key] = first
            if others:
                keys = [(account, event.id, made.name) for event in made.instead]
                expected.instead[key] = dict(zip(keys, others, strict=True))


def _add_profiles(
    placed: Iterable[_Placed], policies: Mapping[str, Policy], now: int | None, expected: Expected
) -> None:
    listed = list(placed)
    # What ends an anonymous user's stay because of a login ends nothing.
    logins = {(each.account, each.event.visitor, each.event.at) for each in listed if each.event.is_login}
    people: dict[PersonKey, list[_Placed]] = {}
    for each in listed:
        if each.place.person is not None and policies[each.event.app].profile:
            people.setdefault((each.account, each.place.person), []).append(each)
    for person, about in people.items():
        learned = [
            each.event
            for each in about
            if each.event.name not in ("DEACTIVATE", GIVEN_BACK)
            or (each.account, each.event.visitor, each.event.at) not in logins
        ]
        sent = [each.event for each in about if each.kept_back is None]
        properties, may_stay = profile(learned, sent, policies[about[0].event.app], now)
        expected.profiles[person] = properties
        if may_stay:
            expected.may_stay[person] = may_stay
