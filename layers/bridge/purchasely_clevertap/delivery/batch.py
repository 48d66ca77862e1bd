"""A batch as values: what is in it, what to claim, what to upload, and what became of each event.

Pure. The forwarder feeds each step with what the last point of I/O gave: `group` the messages, `plan` the ledger's
entries and the apps' set-up, `grant` the claims, `requests`, `results` CleverTap's answers. Outcomes are assigned in
`plan` (`_decided`) and `results` (`_outcome`) alone.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from purchasely_clevertap.clevertap.account import Environment, Region
from purchasely_clevertap.clevertap.limits import MAX_RECORDS
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.clevertap.response import Accepted, NotTaken, RecordResult, Rejected, SetupFault, Unknown
from purchasely_clevertap.delivery.entry import Claim, ClaimGroup, Entry, Grant, ProfileSave, Settlement
from purchasely_clevertap.delivery.keys import entry_key, profile_key
from purchasely_clevertap.delivery.message import Message
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.mapping.mapper import Mapped, Mapper, ProfileUpdate
from purchasely_clevertap.mapping.profile import ProfileState, chronology
from purchasely_clevertap.outcome import (
    BUSY,
    Delivered,
    Duplicate,
    GiveUp,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    RetryReason,
    Skipped,
    SkipReason,
)
from purchasely_clevertap.purchasely.event import Event, Unreadable, read
from purchasely_clevertap.purchasely.event_id import event_id as id_of

# CleverTap may still be working on an upload that got no answer. With the client's time-out this makes a minute.
_QUIET_MS: Final = 45_000

# What a retry reason says about the account rather than about one record.
_ACCOUNT_FAILURES: Final = frozenset(
    {
        RetryReason.THROTTLED,
        RetryReason.SERVER_ERROR,
        RetryReason.UNEXPECTED_STATUS,
        RetryReason.CONNECT,
        RetryReason.NOT_PROCESSED,
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """An event of the batch: the message that stands for it, and `copies`, further messages that brought it.

    `event` is None in a message of the dead-letter queue: what killed a worker is not parsed again. `accepted` are the
    kinds of records that redriven messages say CleverTap has.
    """

    message: Message
    key: str
    event_id: str
    event: Event | Unreadable | None
    copies: tuple[Message, ...] = ()
    accepted: frozenset[str] = frozenset()

    @property
    def event_name(self) -> str | None:
        """The event's name; None if it cannot be read."""
        return self.event.event_name if self.event else None

    @property
    def message_id(self) -> str | None:
        """The id under which ingest queued the webhook; None for a redriven message, which is no new webhook."""
        return None if self.message.redrive else self.message.id

    @property
    def webhooks(self) -> frozenset[str]:
        """The ids of the messages that ingest queued."""
        return frozenset(each.id for each in (self.message, *self.copies) if each.redrive is None)


@dataclass(frozen=True, slots=True)
class AppSetup:
    """What an app is set up with while the batch lasts: its mapper, its CleverTap projects, and which of these are left
    alone (an open circuit) and until which limit their events are retried."""

    mapper: Mapper
    account_ids: Mapping[Environment, str]
    open_circuits: Mapping[str, GiveUp] = field(default_factory=dict)


type Setups = Mapping[str, AppSetup | Retried]
"""By app; Retried says why an app's events must wait."""


@dataclass(frozen=True, slots=True)
class Task:
    """An event that this worker wants to deliver, with its records and the project that they go to."""

    item: Item
    event: Event
    entry: Entry
    mapper: Mapper
    mapped: Mapped
    account_id: str

    @property
    def claim(self) -> Claim:
        """The claim of the event."""
        return Claim(self.item.key, self.entry, self.item.message_id)

    @property
    def accepted(self) -> frozenset[str]:
        """The kinds of records that CleverTap had before."""
        return self.entry.accepted | self.item.accepted

    @property
    def records(self) -> list[tuple[Kind, bytes]]:
        """The event's own records that CleverTap has yet to get."""
        both = ((Kind.EVENT, self.mapped.event), (Kind.CHARGED, self.mapped.charged))
        return [(kind, record) for kind, record in both if record is not None and kind not in self.accepted]

    @property
    def profile_key(self) -> str | None:
        """The key of the person whose profile the event may change."""
        if not self.mapped.profile:
            return None
        identity = self.mapped.identity
        return profile_key(
            self.item.message.app, self.mapped.environment, user_id=identity.user_id, object_id=identity.object_id
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of an event. `task` is None if it was decided without its records.

    `unconfirmed` counts its records whose answer was lost in this batch. `delivered_at` is epoch milliseconds.
    `is_settled` is false once the ledger could not take the outcome.
    """

    item: Item
    entry: Entry
    outcome: Outcome
    task: Task | None = None
    is_claimed: bool = False
    accepted: frozenset[str] = frozenset()
    unconfirmed: int = 0
    delivered_at: int | None = None
    is_settled: bool = True

    @property
    def is_known_name(self) -> bool:
        """Whether the event's name is no news: the catalogue has it, or the app's settings do."""
        event = self.item.event
        if not isinstance(event, Event) or event.is_known:
            return True
        return self.task is not None and event.event_name in self.task.mapper.settings.events

    @property
    def was_taken_over(self) -> bool:
        """Whether a worker died while the event was its own, and this one goes on with it or parks it."""
        return self.entry.is_abandoned and (self.is_claimed or isinstance(self.outcome, Parked))

    @property
    def settlement(self) -> Settlement:
        """What the ledger is told."""
        event = self.item.event if isinstance(self.item.event, Event) else None
        return Settlement(
            claim=Claim(self.item.key, self.entry, self.item.message_id),
            outcome=self.outcome,
            is_claimed=self.is_claimed,
            accepted=self.accepted,
            event_name=self.item.event_name,
            event_at=event.created_ms if event else None,
            environment=self.task.mapped.environment if self.task else None,
            profile_key=self.task.profile_key if self.task else None,
            unconfirmed_sends=self.entry.unconfirmed_sends + self.unconfirmed + self.was_taken_over,
        )


class Plan(NamedTuple):
    """The events whose outcome needs no upload, and the tasks in groups of one person each."""

    decided: tuple[Decided, ...]
    groups: tuple[tuple[Task, ...], ...]

    @property
    def claims(self) -> list[ClaimGroup]:
        """What to claim, group by group."""
        return [ClaimGroup(tuple(task.claim for task in group), group[0].profile_key) for group in self.groups]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What goes to CleverTap together: a person's profile record, if it has news, and their events in order of time.

    `state` is the person's once the events are known; `is_uncertain`: CleverTap may hold another profile.
    """

    tasks: tuple[Task, ...]
    profile_key: str | None = None
    state: ProfileState = ProfileState()
    update: ProfileUpdate | None = None
    is_uncertain: bool = False

    @property
    def records(self) -> list[tuple[Task | None, Kind, bytes]]:
        """Each record with its task; the profile's has none, and goes first: a campaign that an event triggers finds
        the profile up to date."""
        profile = [(None, Kind.PROFILE, self.update.record)] if self.update is not None else []
        return [*profile, *((task, kind, record) for task in self.tasks for kind, record in task.records)]


class UploadRequest(NamedTuple):
    """Bundles of one CleverTap project that fit one upload, or a single bundle beyond that size."""

    app: str
    environment: Environment
    mapper: Mapper
    bundles: tuple[Bundle, ...]

    @property
    def records(self) -> list[tuple[Task | None, Kind, bytes]]:
        """The records, bundle by bundle."""
        return [record for bundle in self.bundles for record in bundle.records]

    @property
    def region(self) -> Region:
        """Where the project is."""
        return self.mapper.settings.region_of(self.environment)


class Results(NamedTuple):
    """What became of the events of a request, and the profiles to save."""

    decided: tuple[Decided, ...]
    saves: tuple[ProfileSave, ...]


def group(messages: Iterable[Message]) -> tuple[Item, ...]:
    """The events of the messages, in their order; messages with the same event stand under one item."""
    items: dict[str, Item] = {}
    for message in messages:
        event = None if message.dead_letter else read(message.body)
        event_id = event.event_id if event is not None else id_of(message.body)
        key = entry_key(message.app, event_id)
        accepted = message.redrive.accepted if message.redrive else frozenset[str]()
        if (item := items.get(key)) is None:
            items[key] = Item(message, key, event_id, event, accepted=accepted)
        elif message.redrive is not None and item.message.redrive is None:
            # A parked event is in its redriven message alone: that one must not pass for a mere copy of a webhook.
            items[key] = replace(
                item, message=message, copies=(*item.copies, item.message), accepted=item.accepted | accepted
            )
        else:
            items[key] = replace(item, copies=(*item.copies, message), accepted=item.accepted | accepted)
    return tuple(items.values())


def apps(items: Iterable[Item]) -> frozenset[str]:
    """The apps whose set-up the plan needs."""
    return frozenset(item.message.app for item in items if item.message.app and isinstance(item.event, Event))


def plan(
    items: Iterable[Item], entries: Mapping[str, Entry], setups: Setups, *, now_ms: int, retry_policy: RetryPolicy
) -> Plan:
    """What to do with each event."""
    decided: list[Decided] = []
    groups: dict[str, list[Task]] = {}
    for item in items:
        entry = entries[item.key]
        found = _decided(item, entry, setups, now_ms)
        if isinstance(found, Task):
            # Events without a profile stand alone.
            groups.setdefault(found.profile_key or f"event {item.key}", []).append(found)
        else:
            outcome = _or_parked(found, item, now_ms, retry_policy)
            decided.append(Decided(item, entry, outcome, accepted=entry.accepted | item.accepted))
    return Plan(tuple(decided), tuple(map(tuple, groups.values())))


def _decided(item: Item, entry: Entry, setups: Setups, now_ms: int) -> Task | Outcome:
    """The task that the event is, or its outcome if it needs no upload."""
    message, event = item.message, item.event
    is_redriven = message.redrive is not None and entry.outcome == Parked.name
    if entry.outcome is not None and not is_redriven:
        return Duplicate()
    if entry.lease_until > now_ms:
        return BUSY
    if event is None:
        return Parked(ParkReason.DEAD_LETTER, f"received {message.receives} times and never handled to the end")
    if isinstance(event, Unreadable):
        return Parked(ParkReason.UNREADABLE, event.detail)
    if not message.app:
        return Parked(ParkReason.UNREADABLE, "the message has no attribute app")
    setup = setups[message.app]
    if isinstance(setup, Retried):
        return setup
    has_sandbox = Environment.SANDBOX in setup.account_ids
    mapped = setup.mapper.map(event, now_ms=now_ms, has_sandbox_account=has_sandbox)
    if not isinstance(mapped, Mapped):
        return mapped
    account_id = setup.account_ids[mapped.environment]
    if (give_up := setup.open_circuits.get(account_id)) is not None:
        return Retried(RetryReason.CIRCUIT_OPEN, give_up)
    return Task(item, event, entry, setup.mapper, mapped, account_id)


def grant(plan: Plan, grants: Sequence[Grant]) -> tuple[list[Bundle], list[Decided]]:
    """What this worker may upload, and the events that another worker has."""
    bundles: list[Bundle] = []
    busy: list[Decided] = []
    for tasks, granted in zip(plan.groups, grants, strict=True):
        busy += [_busy(task) for task in tasks if task.item.key not in granted.entries]
        mine = tuple(sorted((task for task in tasks if task.item.key in granted.entries), key=_chronology))
        if mine:
            bundles.append(_bundle(mine, granted))
    return bundles, busy


def _busy(task: Task) -> Decided:
    return Decided(task.item, task.entry, BUSY, task, accepted=task.accepted)


def _chronology(task: Task) -> tuple[int, int, str]:
    return chronology(task.event)


def _bundle(tasks: tuple[Task, ...], granted: Grant) -> Bundle:
    stored, newest = granted.profile, tasks[-1]
    if stored is None:
        return Bundle(tasks)
    state = stored.state.for_project(newest.account_id).apply(task.event for task in tasks)
    # Only some events may bring a CleverTap id: take the newest that is to be tied to the user, whichever brought it.
    people = [task.mapped.identity for task in tasks]
    untied = [person for person in people if person.object_id not in (None, *state.linked)]
    update = newest.mapper.profile_update((untied or people)[-1], state, whole=stored.is_uncertain)
    return Bundle(tasks, newest.profile_key, state, update, stored.is_uncertain)


def requests(bundles: Iterable[Bundle]) -> Iterator[UploadRequest]:
    """The uploads, project by project, the oldest events first."""
    projects: dict[tuple[str, Environment], list[Bundle]] = {}
    for bundle in sorted(bundles, key=lambda bundle: _chronology(bundle.tasks[0])):
        task = bundle.tasks[0]
        projects.setdefault((task.item.message.app, task.mapped.environment), []).append(bundle)
    for (app, environment), theirs in projects.items():
        mapper = theirs[0].tasks[0].mapper
        together: list[Bundle] = []
        size = 0
        for bundle in theirs:
            records = len(bundle.records)
            if together and size + records > MAX_RECORDS:
                yield UploadRequest(app, environment, mapper, tuple(together))
                together, size = [], 0
            together.append(bundle)
            size += records
        yield UploadRequest(app, environment, mapper, tuple(together))


def results(
    request: UploadRequest, results: Sequence[RecordResult], *, now_ms: int, retry_policy: RetryPolicy
) -> Results:
    """The outcome of every event of the request, by the result of each of its records in their order."""
    remaining = iter(results)
    decided: list[Decided] = []
    saves: list[ProfileSave] = []
    for bundle in request.bundles:
        by_task: dict[str, dict[Kind, RecordResult]] = {task.item.key: {} for task in bundle.tasks}
        profile: RecordResult | None = None
        for task, kind, _ in bundle.records:
            result = next(remaining)
            if task is None:
                profile = result
            else:
                by_task[task.item.key][kind] = result
        for task in bundle.tasks:
            own = by_task[task.item.key]
            # The profile's result counts for the last event, and for those that have nothing else to send.
            counted = [*own.values(), *([profile] if profile and (task is bundle.tasks[-1] or not own) else [])]
            accepted = task.accepted | {kind for kind, result in own.items() if isinstance(result, Accepted)}
            outcome = _or_parked(_outcome(counted, accepted), task.item, now_ms, retry_policy)
            decided.append(
                Decided(
                    task.item,
                    task.entry,
                    outcome,
                    task,
                    is_claimed=True,
                    accepted=accepted,
                    unconfirmed=sum(isinstance(result, Unknown) for result in counted),
                    delivered_at=now_ms if isinstance(outcome, Delivered) else None,
                )
            )
        if bundle.profile_key is not None:
            saves.append(_save(bundle.profile_key, bundle, profile, now_ms))
    return Results(tuple(decided), tuple(saves))


def _outcome(results: Iterable[RecordResult], accepted: Collection[str]) -> Outcome:
    """What becomes of an event whose records got these results. What may still succeed is tried before parking."""
    rejected: Rejected | None = None
    is_empty = True
    for result in results:
        is_empty = False
        match result:
            case NotTaken(reason) | Unknown(reason):
                return Retried(reason)
            case SetupFault(status):
                return Retried(RetryReason.SETUP_FAULT, GiveUp.SETUP, code=status)
            case Rejected():
                rejected = result
            case Accepted():
                pass
    if rejected is not None:
        return Parked(ParkReason.REFUSED_BY_CLEVERTAP, rejected.message, rejected.code)
    return Skipped(SkipReason.NOTHING_NEW) if is_empty and not accepted else Delivered()


def _or_parked(outcome: Outcome, item: Item, now_ms: int, retry_policy: RetryPolicy) -> Outcome:
    """`outcome`, or parked if it is one more retry beyond its limit."""
    if isinstance(outcome, Retried) and retry_policy.is_over(age := now_ms - item.message.sent_at, outcome.give_up):
        hours = age // 3_600_000
        return Parked(ParkReason.RETRIES_EXHAUSTED, f"tried for {hours} hours, in the end: {outcome.shown_reason}")
    return outcome


def _save(key: str, bundle: Bundle, profile: RecordResult | None, now_ms: int) -> ProfileSave:
    """The state to keep, and whether CleverTap may hold another profile than it tells of."""
    if bundle.update is not None and isinstance(profile, Accepted):
        return ProfileSave(key, bundle.state.accepted(bundle.update.properties, bundle.update.link))
    if isinstance(profile, Unknown):
        # A newer profile, if sent now, could be overtaken by this one.
        return ProfileSave(key, bundle.state, now_ms + _QUIET_MS)
    return ProfileSave(key, bundle.state, now_ms if bundle.is_uncertain else 0)


def is_account_failure(result: RecordResult) -> bool:
    """Whether the account, rather than a record, is to blame."""
    match result:
        case Unknown() | SetupFault():
            return True
        case NotTaken(reason):
            return reason in _ACCOUNT_FAILURES
        case _:
            return False


def unnoted(decided: Iterable[Decided]) -> dict[str, frozenset[str]]:
    """The messages that brought known events once more and of which the ledger has no note, by the events' keys."""
    found: dict[str, frozenset[str]] = {}
    for each in decided:
        noted = set(each.entry.messages)
        if not isinstance(each.outcome, Duplicate):  # its message was noted along with the claim or the outcome
            noted.add(each.item.message.id)
        if missing := each.item.webhooks - noted:
            found[each.item.key] = missing
    return found


def retried(items: Iterable[Item], entries: Mapping[str, Entry], outcome: Retried) -> list[Decided]:
    """All of the items come again, for the same reason."""
    return [Decided(item, entries.get(item.key, Entry()), outcome) for item in items]
