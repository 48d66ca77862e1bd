"""A batch as values: what is in it, what to claim, what to upload, and what became of each event.

Pure. The forwarder feeds each step with what the last point of I/O gave: `group` the messages, `plan` the ledger's
entries and the apps' set-up, `grant` the claims, `learn` whose ids are, `requests`, `results` CleverTap's answers.
Outcomes are assigned in `plan` (`_decided`) and `results` (`_outcome`) alone.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

from purchasely_clevertap.clevertap.account import Environment, Region
from purchasely_clevertap.clevertap.limits import MAX_RECORDS
from purchasely_clevertap.clevertap.records import Identity, Kind
from purchasely_clevertap.clevertap.response import Accepted, NotTaken, RecordResult, Rejected, SetupFault, Unknown
from purchasely_clevertap.delivery.association import Association, parse_association
from purchasely_clevertap.delivery.entry import (
    Claim,
    ClaimGroup,
    Entry,
    Grant,
    Hold,
    ProfileSave,
    Settlement,
    StoredProfile,
    Tie,
    Tied,
)
from purchasely_clevertap.delivery.keys import (
    MOST_MESSAGES,
    anonymous_key,
    apart_key,
    backfill_note,
    entry_key,
    object_key,
    person_of,
    profile_backfill_key,
    profile_key,
)
from purchasely_clevertap.delivery.message import ABOUT_PERSONS, Message, MessageKind, encode_body
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.delivery.suppression import IdKind, Mark, NamedId, Suppressed
from purchasely_clevertap.mapping.identity import (
    Link,
    Wait,
    became_known,
    id_problem,
    joins_logins,
    known_as,
    sdk_id,
    waits_for_login,
)
from purchasely_clevertap.mapping.mapper import Mapped, Mapper, ProfileUpdate
from purchasely_clevertap.mapping.profile import ProfileState, chronology
from purchasely_clevertap.mapping.settings import Anonymous
from purchasely_clevertap.outcome import (
    BUSY,
    BackfillMode,
    Delivered,
    Duplicate,
    GiveUp,
    Held,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    RetryReason,
    Skipped,
    SkipReason,
)
from purchasely_clevertap.purchasely.event import UNREADABLE, Event, Unreadable, read
from purchasely_clevertap.purchasely.event_id import event_id as id_of

# CleverTap may still be working on an upload that got no answer. With the client's time-out this makes a minute.
_QUIET_MS: Final = 45_000
_DAY_MS: Final = 86_400_000
_LAST_MS: Final = 2**62
# An item of DynamoDB has at most 400 KB.
_MOST_HELD_BYTES: Final = 200_000

_NOBODY: Final = Suppressed()
_SUPPRESSED: Final = Skipped(SkipReason.SUPPRESSED)

# What a retry reason says about the account rather than about one record.
_ACCOUNT_FAILURES: Final = frozenset(
    {
        RetryReason.THROTTLED,
        RetryReason.SERVER_ERROR,
        RetryReason.UNEXPECTED_STATUS,
        RetryReason.CONNECT,
        RetryReason.NOT_PROCESSED,
        RetryReason.REQUEST_REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """An event of the batch: the message that stands for it, and `copies`, further messages that brought it.

    `event` is None in a message of the dead-letter queue: what killed a worker is not parsed again. `accepted` are the
    kinds of records that redriven messages say CleverTap has. `environment` is the project that news of a person
    are for.
    """

    message: Message
    key: str
    event_id: str
    event: Event | Unreadable | None
    copies: tuple[Message, ...] = ()
    accepted: frozenset[str] = frozenset()
    environment: Environment | None = None

    @property
    def event_name(self) -> str | None:
        """The event's name; None if it cannot be read."""
        return self.event.event_name if self.event else None

    @property
    def about(self) -> str | None:
        """What tells it apart from another event of the same id; None if nobody can tell."""
        return self.event.about if self.event else None

    @property
    def is_event(self) -> bool:
        """Whether it is an event, of which the ledger has an entry."""
        return self.message.kind not in ABOUT_PERSONS

    @property
    def message_id(self) -> str | None:
        """The id under which ingest queued the webhook; None for a message that is no new webhook. A backfilled event
        has a note in its place."""
        if self.message.redrive is None and self.message.kind is MessageKind.BACKFILL:
            return backfill_note(self.message.id)
        return None if self.message.redrive or self.message.kind is not MessageKind.WEBHOOK else self.message.id

    @property
    def webhooks(self) -> frozenset[str]:
        """The ids of the messages that ingest queued."""
        return frozenset(
            each.id
            for each in (self.message, *self.copies)
            if each.redrive is None and each.kind is MessageKind.WEBHOOK
        )


@dataclass(frozen=True, slots=True)
class AppSetup:
    """What an app is set up with while the batch lasts: its mapper, its CleverTap projects, and which of these are left
    alone (an open circuit) and until which limit their events are retried."""

    mapper: Mapper
    account_ids: Mapping[Environment, str]
    open_circuits: Mapping[str, GiveUp] = field(default_factory=dict)

    @property
    def has_sandbox(self) -> bool:
        """Whether there is a project for test purchases."""
        return Environment.SANDBOX in self.account_ids


type Setups = Mapping[str, AppSetup | Retried]
"""By app; Retried says why an app's events must wait."""


@dataclass(frozen=True, slots=True)
class Task:
    """An event that this worker wants to deliver, with its records and the project that they go to.

    `is_too_early`: what it means depends on what comes within seconds. `untied` are ids that it names and that are a
    suppressed person's, not its own person's.
    """

    item: Item
    event: Event | None
    entry: Entry
    mapper: Mapper
    mapped: Mapped
    account_id: str
    is_too_early: bool = False
    untied: frozenset[NamedId] = frozenset()

    @property
    def claim(self) -> Claim:
        """The claim of the event."""
        return Claim(self.item.key, self.entry, self.item.message_id, self.item.about)

    @property
    def accepted(self) -> frozenset[str]:
        """The kinds of records that CleverTap had before."""
        return self.entry.accepted | self.item.accepted

    @property
    def spared(self) -> Skipped | None:
        """Why it is skipped, if it has no record of its own, nor gets one once its person is known."""
        kept_back, is_bought_once = self.mapped.kept_back, self.event is not None and self.event.is_one_time
        return kept_back if isinstance(kept_back, Skipped) and not self.records and not is_bought_once else None

    @property
    def records(self) -> list[tuple[Kind, bytes]]:
        """The event's own records that CleverTap has yet to get."""
        return [(kind, record) for kind, record in self.mapped.records if kind not in self.accepted]

    @property
    def profile_key(self) -> str | None:
        """The key of the person whose profile the event may change."""
        if not self.mapped.profile:
            return None
        return profile_key(self.item.message.app, self.mapped.environment, self.mapped.identity)


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of an event. `task` is None if it was decided without its records.

    `unconfirmed` counts its records whose answer was lost in this batch. `delivered_at` is epoch milliseconds.
    `is_settled` is false once the ledger could not take the outcome. `hold` is what is kept of an event that waits.
    `has_conflict`: its CleverTap id belongs to another user. `has_lapsed`: a subscription ended by its dates.
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
    hold: Hold | None = None
    has_conflict: bool = False
    has_lapsed: bool = False

    @property
    def is_known_name(self) -> bool:
        """Whether the event's name is no news: the catalogue has it, or the app's settings do."""
        event = self.item.event
        if not isinstance(event, Event) or event.is_known or self.item.message.backfill:
            return True
        return self.task is not None and event.event_name in self.task.mapper.settings.events

    @property
    def was_taken_over(self) -> bool:
        """Whether a worker died while the event was its own, and this one goes on with it or parks it."""
        return self.entry.is_abandoned and (self.is_claimed or isinstance(self.outcome, Parked))

    @property
    def is_to_be_parked(self) -> bool:
        """Whether it is an event that is to be parked, and not claimed yet."""
        return self.item.is_event and isinstance(self.outcome, Parked) and not self.is_claimed

    @property
    def claim(self) -> Claim:
        """The claim of the event."""
        return Claim(self.item.key, self.entry, self.item.message_id, self.item.about)

    @property
    def settlement(self) -> Settlement:
        """What the ledger is told."""
        event = self.item.event if isinstance(self.item.event, Event) else None
        return Settlement(
            claim=self.claim,
            outcome=self.outcome,
            is_claimed=self.is_claimed,
            accepted=self.accepted,
            event_name=self.item.event_name,
            event_at=event.created_ms if event else None,
            environment=self.task.mapped.environment if self.task else None,
            profile_key=self.task.profile_key if self.task else None,
            unconfirmed_sends=self.entry.unconfirmed_sends + self.unconfirmed + self.was_taken_over,
            hold=self.hold,
        )


class Plan(NamedTuple):
    """The events whose outcome needs no upload, and the tasks in groups of one person each."""

    decided: tuple[Decided, ...]
    groups: tuple[tuple[Task, ...], ...]

    @property
    def profile_keys(self) -> list[str]:
        """The keys of the persons whose profiles the events may change."""
        return [key for group in self.groups if (key := group[0].profile_key) is not None]

    @property
    def claims(self) -> list[ClaimGroup]:
        """What to claim: group by group, then each event that is to be parked.

        Nothing is parked before it is clear that its outcome can be kept: each try would leave one more message.
        """
        return [
            *(
                ClaimGroup(tuple(task.claim for task in group if task.item.is_event), group[0].profile_key)
                for group in self.groups
            ),
            *(ClaimGroup((each.claim,)) for each in self.decided if each.is_to_be_parked),
        ]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What goes to CleverTap together: a person's profile record, if it has news, and their events in order of time.

    `before` is the person's state as it was read, `state` once the events are known; `is_uncertain`: CleverTap may hold
    another profile. `conflicts` are CleverTap ids that belong to another user.
    """

    tasks: tuple[Task, ...]
    profile_key: str | None = None
    before: ProfileState = ProfileState()
    state: ProfileState = ProfileState()
    update: ProfileUpdate | None = None
    is_uncertain: bool = False
    conflicts: frozenset[str] = frozenset()

    @property
    def person(self) -> Identity:
        """Whom it is about."""
        return self.tasks[-1].mapped.identity

    @property
    def records(self) -> list[tuple[Task | None, Kind, bytes]]:
        """Each record with its task; the profile's has none, and goes first: a campaign that an event triggers finds
        the profile up to date."""
        profile = self.update.records if self.update is not None else ()
        return [
            *((None, Kind.PROFILE, record) for record in profile),
            *((task, kind, record) for task in self.tasks for kind, record in task.records),
        ]


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
    """The events of the messages, in their order; messages with the same event stand under one item.

    Two events of one id have the same key here: `told_apart` knows which of them the ledger has under it.
    """
    items: dict[tuple[str, str | None], Item] = {}
    for message in messages:
        for item in _items(message):
            place = (item.key, item.about)
            items[place] = _together(items[place], item) if place in items else item
    return tuple(items.values())


def _items(message: Message) -> list[Item]:
    """What a message is: an event, or news of a person; an association is for each of the app's two projects."""
    if message.kind in ABOUT_PERSONS:
        event_id = f"{message.kind}/{message.id}"
        if message.kind is MessageKind.IDENTITY and not message.dead_letter:
            return [Item(message, f"{event_id}/{each}", event_id, None, environment=each) for each in Environment]
        return [Item(message, event_id, event_id, None)]
    event = None if message.dead_letter else read(message.body, message.received_at)
    event_id = event.event_id if event is not None else id_of(message.body)
    accepted = message.redrive.accepted if message.redrive else frozenset[str]()
    key = entry_key(message.app, event_id)
    if message.backfill is BackfillMode.PROFILE:
        key = profile_backfill_key(key)
    return [Item(message, key, event_id, event, accepted=accepted)]


def _together(one: Item, other: Item) -> Item:
    """One event that two messages brought."""
    accepted = one.accepted | other.accepted
    if other.message.redrive is not None and one.message.redrive is None:
        # A parked event is in its redriven message alone: that one must not pass for a mere copy of a webhook.
        return replace(one, message=other.message, copies=(*one.copies, one.message), accepted=accepted)
    if one.message.backfill and other.message.backfill is None and one.message.redrive is None:
        # The webhook counts: nobody brings it back into another event's way.
        return replace(one, message=other.message, copies=(*one.copies, one.message), accepted=accepted)
    if other.message.kind is MessageKind.HELD and one.message.kind is not MessageKind.HELD:
        return replace(one, message=other.message, copies=(*one.copies, one.message), accepted=accepted)
    return replace(one, copies=(*one.copies, other.message), accepted=accepted)


def told_apart(items: Sequence[Item], entries: Mapping[str, Entry]) -> tuple[Item, ...]:
    """The items, each with a key of its own: an id belongs to the event that the ledger has under it, else to the first
    of the batch. A redriven event that could not be read when it was parked, and now can, keeps its entry."""
    holders = {key: entry.about for key, entry in entries.items() if entry.about}
    for item in items:
        if item.message.redrive is not None and item.about and holders.get(item.key) == UNREADABLE:
            holders[item.key] = item.about
    return tuple(
        replace(item, key=apart_key(item.key, item.about))
        if item.about is not None and holders.setdefault(item.key, item.about) != item.about
        else item
        for item in items
    )


def apps(items: Iterable[Item]) -> frozenset[str]:
    """The apps whose set-up the plan needs."""
    return frozenset(
        item.message.app
        for item in items
        if item.message.app and (isinstance(item.event, Event) or (not item.is_event and not item.message.dead_letter))
    )


class _Ids(NamedTuple):
    """The ids in an item: those by which it names its person (the user id's alone if it has one), and the anonymous ids
    and CleverTap ids that the event of a user names, which it may tie to the user."""

    own: Sequence[NamedId] = ()
    further: Sequence[NamedId] = ()


def named_ids(items: Iterable[Item], setups: Setups) -> frozenset[NamedId]:
    """The ids of which is to be asked whether they are a suppressed person's."""
    found: set[NamedId] = set()
    for item in items:
        setup = setups.get(item.message.app)
        if isinstance(setup, AppSetup):
            found.update(*_ids(item, setup))
    return frozenset(found)


def _ids(item: Item, setup: AppSetup) -> _Ids:
    app, event = item.message.app, item.event
    if isinstance(event, Event):
        return _event_ids(app, event, setup)
    if item.message.kind is MessageKind.IDENTITY:
        association = _association(item, setup)
        if isinstance(association, Parked):
            return _Ids()
        # A suppressed person's CleverTap id is tied to nobody.
        return _Ids(_named(app, association.user_id, association.anonymous_id, association.clevertap_id))
    if item.message.kind is MessageKind.LAPSE and (found := person_of(item.message.body.decode(errors="replace"))):
        user_id, object_id, anonymous_id = found[1]
        # Of a person who has not logged in, the anonymous id stands in the place of the user id too.
        return _Ids(_named(app, None if anonymous_id is not None else user_id, anonymous_id, object_id))
    return _Ids()


def _event_ids(app: str, event: Event, setup: AppSetup) -> _Ids:
    named = setup.mapper.names(event)
    if isinstance(named, Parked) or became_known(event):
        return _Ids()
    if named.user_id is None:
        return _Ids(_named(app, None, named.anonymous_id, named.clevertap_id))
    before = known_as(event)
    further = _named(app, None, named.anonymous_id, named.clevertap_id)
    if before is not None and before != named.anonymous_id:
        further.append(NamedId(app, IdKind.ANONYMOUS, before))
    if before is not None and setup.mapper.settings.identity.anonymous is Anonymous.CUSTOM_ID:
        further.append(NamedId(app, IdKind.OBJECT, sdk_id(event, before)))
    return _Ids((NamedId(app, IdKind.USER, named.user_id),), further)


def _named(app: str, user_id: str | None, anonymous_id: str | None, object_id: str | None) -> list[NamedId]:
    given = ((IdKind.USER, user_id), (IdKind.ANONYMOUS, anonymous_id), (IdKind.OBJECT, object_id))
    return [NamedId(app, kind, each) for kind, each in given if each is not None]


def _is_suppressed(item: Item, setup: AppSetup, suppressed: Suppressed) -> bool:
    return bool(suppressed.hashes) and any(map(suppressed.has, _ids(item, setup).own))


def link_keys(items: Iterable[Item], setups: Setups, suppressed: Suppressed = _NOBODY) -> frozenset[str]:
    """The keys of the anonymous ids and CleverTap ids of which the ledger may know whose they are."""
    found: set[str] = set()
    for item in items:
        setup = setups.get(item.message.app)
        if isinstance(setup, AppSetup):
            found.update(_link_keys(item, setup))
            found.update(key for key, _ in _companions(item, setup, suppressed))
    return frozenset(found)


def _companions(item: Item, setup: AppSetup, suppressed: Suppressed) -> list[tuple[str, NamedId]]:
    """The ids without a mark that a suppressed user's event names, with their keys."""
    if not isinstance(item.event, Event) or not _is_suppressed(item, setup, suppressed):
        return []
    environment = setup.mapper.environment(item.event, has_sandbox_account=setup.has_sandbox)
    if isinstance(environment, Skipped):
        return []
    return [
        (anonymous_key(each.app, environment, each.id), each)
        if each.kind is IdKind.ANONYMOUS
        else (object_key(each.app, environment, each.id), each)
        for each in _ids(item, setup).further
        if not suppressed.has(each)
    ]


def newly_suppressed(
    found: "Plan", links: Mapping[str, Link], setups: Setups, suppressed: Suppressed
) -> tuple[list[Mark], list[str]]:
    """The marks of the ids that suppressed users' events name for the first time, unless they are somebody else's; and
    the keys of the anonymous persons among them, for whom events may wait."""
    marks: list[Mark] = []
    waited_for: dict[str, None] = {}
    for each in found.decided:
        setup = setups.get(each.item.message.app)
        if each.outcome != _SUPPRESSED or not isinstance(setup, AppSetup):
            continue
        for key, named in _companions(each.item, setup, suppressed):
            link = links.get(key, Link())
            if link.user_id is None and not link.is_unread:
                marks.append(Mark.of(named, _ids(each.item, setup).own[0], suppressed.secret))
                if named.kind is IdKind.ANONYMOUS:
                    waited_for[key] = None
    return marks, list(waited_for)


def _link_keys(item: Item, setup: AppSetup) -> list[str]:
    """Those of one item: the anonymous id's first."""
    app = item.message.app
    if item.message.kind is MessageKind.IDENTITY:
        association = _association(item, setup)
        if isinstance(association, Parked) or association.anonymous_id is None or item.environment is None:
            return []
        return [anonymous_key(app, item.environment, association.anonymous_id)]
    if not isinstance(item.event, Event):
        return []
    environment = setup.mapper.environment(item.event, has_sandbox_account=setup.has_sandbox)
    named = setup.mapper.names(item.event)
    if isinstance(environment, Skipped) or isinstance(named, Parked) or named.user_id is not None:
        return []
    if named.clevertap_id is not None:
        return [object_key(app, environment, named.clevertap_id)]
    if named.anonymous_id is not None and joins_logins(setup.mapper.settings.identity):
        return [anonymous_key(app, environment, named.anonymous_id)]
    return []


def suppressed_keys(items: Iterable[Item], setups: Setups, suppressed: Suppressed) -> frozenset[str]:
    """The keys of the events of suppressed people, whatever becomes of them."""
    if not suppressed.hashes:
        return frozenset()
    return frozenset(
        item.key
        for item in items
        if item.is_event
        and isinstance(setup := setups.get(item.message.app), AppSetup)
        and _is_suppressed(item, setup, suppressed)
    )


def _link(item: Item, setup: AppSetup, links: Mapping[str, Link]) -> Link:
    """Whose the anonymous id or the CleverTap id of an event is."""
    found = [links.get(key, Link()) for key in _link_keys(item, setup)]
    user_id = next((each.user_id for each in found if each.user_id is not None), None)
    object_id = next((each.object_id for each in found if each.object_id is not None), None)
    return Link(user_id, object_id, any(each.is_unread for each in found))


def plan(
    items: Iterable[Item],
    entries: Mapping[str, Entry],
    links: Mapping[str, Link],
    setups: Setups,
    *,
    now_ms: int,
    retry_policy: RetryPolicy,
    suppressed: Suppressed = _NOBODY,
) -> Plan:
    """What to do with each event. `links` says whose the anonymous ids and CleverTap ids are that are known,
    `suppressed` which ids are a suppressed person's."""
    decided: list[Decided] = []
    groups: dict[str, list[Task]] = {}
    for item in items:
        entry = entries.get(item.key, Entry())
        found = _decided(item, entry, links, setups, suppressed, now_ms)
        if isinstance(found, Task):
            # Events without a profile stand alone.
            groups.setdefault(found.profile_key or f"event {item.key}", []).append(found)
        else:
            outcome, hold = found if isinstance(found, tuple) else (found, None)
            outcome = _or_parked(outcome, item, now_ms, retry_policy)
            decided.append(Decided(item, entry, outcome, accepted=entry.accepted | item.accepted, hold=hold))
    return Plan(tuple(decided), tuple(map(tuple, groups.values())))


def _decided(
    item: Item, entry: Entry, links: Mapping[str, Link], setups: Setups, suppressed: Suppressed, now_ms: int
) -> Task | Outcome | tuple[Held, Hold]:
    """The task that the event is, or its outcome if it needs no upload."""
    message, event = item.message, item.event
    comes_back = (message.redrive is not None and entry.outcome == Parked.name) or (
        message.kind is MessageKind.HELD and entry.outcome == Held.name
    )
    if entry.outcome is not None and not comes_back:
        return Duplicate()
    if entry.is_unread or entry.lease_until > now_ms:
        return BUSY
    if isinstance(known := setups.get(message.app), AppSetup) and _is_suppressed(item, known, suppressed):
        return _SUPPRESSED
    if message.kind is MessageKind.HELD and _has_waited(item, setups):
        return Skipped(SkipReason.ANONYMOUS_USER)
    if message.dead_letter:
        return Parked(ParkReason.DEAD_LETTER, f"received {message.receives} times and never handled to the end")
    if isinstance(event, Unreadable):
        return Parked(ParkReason.UNREADABLE, event.detail)
    if not message.app:
        return Parked(ParkReason.UNREADABLE, "the message has no attribute app")
    setup = setups[message.app]
    if isinstance(setup, Retried):
        return setup
    link = _link(item, setup, links)
    if link.is_unread:
        return BUSY
    mapped: Mapped | Wait | Skipped | Parked
    if event is None:
        mapped = _news(item, setup, link)
    else:
        mapped = setup.mapper.map(
            event, now_ms=now_ms, has_sandbox_account=setup.has_sandbox, link=link, backfill=message.backfill
        )
    if isinstance(mapped, Wait) and event is not None:
        return _waiting(item, event, mapped, setup, now_ms)
    if not isinstance(mapped, Mapped):
        return mapped if isinstance(mapped, Skipped | Parked) else Duplicate()
    account_id = setup.account_ids[mapped.environment]
    if (give_up := setup.open_circuits.get(account_id)) is not None:
        return Retried(RetryReason.CIRCUIT_OPEN, give_up)
    untied = frozenset(filter(suppressed.has, _ids(item, setup).further)) if suppressed.hashes else frozenset[NamedId]()
    return Task(item, event, entry, setup.mapper, mapped, account_id, untied=untied)


def _has_waited(item: Item, setups: Setups) -> bool:
    """Whether an event that waited for a login was sent on too late."""
    setup = setups.get(item.message.app)
    return isinstance(setup, AppSetup) and item.message.sent_at >= _until(item, setup)


def _until(item: Item, setup: AppSetup) -> int:
    return item.message.received_at + setup.mapper.settings.identity.hold_days * _DAY_MS


def _waiting(item: Item, event: Event, wait: Wait, setup: AppSetup, now_ms: int) -> Outcome | tuple[Held, Hold]:
    """The event waits for its user's login, unless it has waited for long enough."""
    until = _until(item, setup)
    # What is held comes back as a webhook does, with its money: a backfilled event would.
    if now_ms >= until or item.message.backfill:
        return Skipped(SkipReason.ANONYMOUS_USER)
    if item.message.kind is MessageKind.HELD:
        return Duplicate()  # nobody has logged in yet: its entry stays as it is
    if len(item.message.body) > _MOST_HELD_BYTES:
        return Parked(
            ParkReason.NO_USER, f"its user is anonymous, and {len(item.message.body)} bytes are too many to hold"
        )
    environment = setup.mapper.environment(event, has_sandbox_account=setup.has_sandbox)
    if isinstance(environment, Skipped):
        return environment
    key = anonymous_key(item.message.app, environment, wait.anonymous_id)
    return Held(), Hold(key, encode_body(item.message.body), item.message.received_at, until)


def _news(item: Item, setup: AppSetup, link: Link) -> Mapped | Skipped | Parked:
    """What a message that is no event says of a person."""
    if item.message.kind is MessageKind.RELEASE:
        return Skipped(SkipReason.NOTHING_TO_SEND)
    if item.message.kind is MessageKind.LAPSE:
        found = person_of(item.message.body.decode(errors="replace"))
        if found is None:
            return Parked(ParkReason.UNREADABLE, "the message names no person")
        return Mapped(found[0], found[1], (), profile=True, kept_back=Skipped(SkipReason.NOTHING_TO_SEND))
    association, environment = _association(item, setup), item.environment
    if isinstance(association, Parked):
        # It is parked once, not for each project.
        return association if environment is not Environment.SANDBOX else Skipped(SkipReason.NOTHING_TO_SEND)
    if environment is None or environment not in setup.account_ids:
        return Skipped(SkipReason.NO_SANDBOX_ACCOUNT)
    user_id = association.user_id or link.user_id
    if user_id is None:
        return Skipped(SkipReason.NOTHING_TO_SEND)  # noted in the ledger, for the events to come
    person = Identity(user_id, association.clevertap_id, association.anonymous_id)
    return Mapped(environment, person, (), profile=True, kept_back=Skipped(SkipReason.NOTHING_TO_SEND))


def _association(item: Item, setup: AppSetup) -> Association | Parked:
    """Whose CleverTap id it is that the app's backend told."""
    association = parse_association(item.message.body)
    if association is None:
        return Parked(ParkReason.UNREADABLE, "the body is no association")
    user_id, anonymous_id = association.user_id, association.anonymous_id
    ids = (("clevertap_id", association.clevertap_id), ("user_id", user_id), ("anonymous_user_id", anonymous_id))
    settings = setup.mapper.settings.identity
    problems = (id_problem(key, given, settings) for key, given in ids if given is not None)
    return next((problem for problem in problems if problem), association)


def associations(items: Iterable[Item], setups: Setups, suppressed: Suppressed = _NOBODY) -> dict[str, str]:
    """The CleverTap ids that the app's backend told of anonymous users, by the keys of these."""
    found: dict[str, str] = {}
    for item in items:
        setup = setups.get(item.message.app)
        if item.message.kind is not MessageKind.IDENTITY or not isinstance(setup, AppSetup) or item.environment is None:
            continue
        association = _association(item, setup)
        if isinstance(association, Parked) or association.anonymous_id is None:
            continue
        if _is_suppressed(item, setup, suppressed):
            continue
        if item.environment in setup.account_ids:
            key = anonymous_key(item.message.app, item.environment, association.anonymous_id)
            found[key] = association.clevertap_id
    return found


def not_associated(items: Iterable[Item], setups: Setups, full: Collection[str]) -> list[Decided]:
    """The associations of these anonymous users, whose items have no room for one."""
    return [
        Decided(item, Entry(), _state_too_large(item, key))
        for item in items
        for key in associations([item], setups)
        if key in full
    ]


def releases(items: Iterable[Item]) -> list[str]:
    """The persons for whom is to be looked once more what waits for them."""
    return [
        item.message.body.decode(errors="replace")
        for item in items
        if item.message.kind is MessageKind.RELEASE and not item.message.dead_letter
    ]


def without_news(plan: Plan, profiles: Mapping[str, StoredProfile], *, now_ms: int) -> Plan:
    """The plan once it is decided what sends no records of its own and tells nothing new of its person.

    What a person's state knows, every later state knows, so such an event needs neither a claim nor a lease.
    """
    groups: list[tuple[Task, ...]] = []
    decided: list[Decided] = []
    for tasks in plan.groups:
        key = tasks[0].profile_key
        spared = [(task, skipped) for task in tasks if task.item.is_event and (skipped := task.spared) is not None]
        if key is None or len(spared) < len(tasks) or _has_news(tasks, profiles[key], now_ms):
            groups.append(tasks)
        else:
            decided += [
                Decided(task.item, task.entry, skipped, task, accepted=task.accepted) for task, skipped in spared
            ]
    return Plan((*plan.decided, *decided), tuple(groups))


def _has_news(tasks: tuple[Task, ...], profile: StoredProfile, now_ms: int) -> bool:
    """Whether the events change what is known of their person, or what CleverTap has of them."""
    bundle = _bundle(tuple(sorted(tasks, key=_chronology)), Grant(profile=profile))
    if profile.is_unread or profile.is_full or bundle.is_uncertain or _logins(bundle) or _devices(bundle):
        return True
    learned = _learned(bundle, {}, now_ms)
    return learned.update is not None or learned.state != bundle.before


def grant(plan: Plan, grants: Sequence[Grant]) -> tuple[list[Bundle], list[Decided]]:
    """What this worker may upload, and what is decided: by the plan, or as another worker has the event."""
    bundles: list[Bundle] = []
    decided: list[Decided] = []
    claimed = {key for granted in grants[len(plan.groups) :] for key in granted.entries | granted.full_entries}
    for each in plan.decided:
        if not each.is_to_be_parked:
            decided.append(each)
        elif each.item.key in claimed:
            decided.append(replace(each, is_claimed=True))
        else:
            decided.append(replace(each, outcome=BUSY))
    for tasks, granted in zip(plan.groups, grants, strict=False):
        decided += [_without_grant(task, granted) for task in tasks if not _is_granted(task, granted)]
        mine = tuple(sorted((task for task in tasks if _is_granted(task, granted)), key=_chronology))
        if mine:
            bundles.append(_bundle(mine, granted))
    return bundles, decided


def _is_granted(task: Task, granted: Grant) -> bool:
    if granted.is_profile_full:
        return False
    return task.item.key in granted.entries if task.item.is_event else granted.profile is not None


def _without_grant(task: Task, granted: Grant) -> Decided:
    """What becomes of an event that this worker may not upload: parked where an item has no room, else it comes again.

    What is parked is claimed, so its outcome can be kept.
    """
    outcome: Outcome = BUSY
    is_claimed = task.item.key in granted.entries | granted.full_entries
    if task.item.key in granted.full_entries:
        outcome = Parked(ParkReason.ENTRY_TOO_LARGE, "the entry of the event in the deliveries table had no room")
    elif granted.is_profile_full and (is_claimed or not task.item.is_event):
        outcome = _state_too_large(task.item, task.profile_key)
    return Decided(task.item, task.entry, outcome, task, is_claimed, accepted=task.accepted)


def _state_too_large(item: Item, key: str | None) -> Parked | Skipped:
    if item.message.kind is MessageKind.LAPSE:  # the next sweep looks again
        return Skipped(SkipReason.NOTHING_TO_SEND)
    environment = key.split("#", 2)[1] if key else ""  # the key itself names a person
    return Parked(ParkReason.STATE_TOO_LARGE, f"the {environment} item of its person in the subscribers table is full")


def _chronology(task: Task) -> tuple[int, int, str]:
    # What is no event comes last: it tells of no time of its own.
    return chronology(task.event) if task.event is not None else (_LAST_MS, 0, task.item.key)


def _bundle(tasks: tuple[Task, ...], granted: Grant) -> Bundle:
    stored, newest = granted.profile, tasks[-1]
    if stored is None:
        return Bundle(tasks)
    before = stored.state.for_project(newest.account_id)
    return Bundle(tasks, newest.profile_key, before, is_uncertain=stored.is_uncertain)


def ties(bundles: Iterable[Bundle]) -> list[Tie]:
    """The anonymous ids and CleverTap ids that users' events name, and of which it is not known yet whose they are."""
    found: dict[str, Tie] = {}
    for bundle in bundles:
        for key in (*_logins(bundle), *map(partial(_object_key, bundle), _devices(bundle))):
            found.setdefault(key, Tie(key, bundle.person.user_id or ""))
    return list(found.values())


def further_ties(bundles: Iterable[Bundle], tied: Mapping[str, Tied]) -> list[Tie]:
    """The CleverTap ids of the anonymous users that became these users."""
    found: dict[str, Tie] = {}
    for bundle in bundles:
        for object_id in _devices_of_logins(bundle, tied):
            key = _object_key(bundle, object_id)
            if key not in tied:
                found.setdefault(key, Tie(key, bundle.person.user_id or ""))
    return list(found.values())


def logins(bundles: Iterable[Bundle], tied: Mapping[str, Tied]) -> list[str]:
    """The keys of the anonymous ids that have just become a user's: what waits for them can go."""
    return [key for bundle in bundles for key in _logins(bundle) if _is_won(bundle, tied.get(key))]


def waits_for_tie(bundle: Bundle, tied: Mapping[str, Tied], failed: Collection[str]) -> bool:
    """Whether another worker is at what one of its events names, or what waits for that could not be sent."""
    keys = _tie_keys(bundle, tied)
    return any(key in failed or (key in tied and tied[key].user_id is None) for key in keys)


def _tie_keys(bundle: Bundle, tied: Mapping[str, Tied]) -> list[str]:
    devices = (*_devices(bundle), *_devices_of_logins(bundle, tied))
    return [*_logins(bundle), *map(partial(_object_key, bundle), devices)]


def _is_user(bundle: Bundle) -> bool:
    """Whether it is about somebody who has logged in."""
    person = bundle.person
    return bundle.profile_key is not None and person.user_id is not None and person.user_id != person.anonymous_id


def _logins(bundle: Bundle) -> dict[str, str]:
    """The anonymous ids that the events of a user name for the first time, by their keys."""
    found: dict[str, str] = {}
    if not _is_user(bundle) or not joins_logins(bundle.tasks[-1].mapper.settings.identity):
        return found
    for task in bundle.tasks:
        named = (known_as(task.event) if task.event is not None else None, task.mapped.identity.anonymous_id)
        for anonymous_id in named:
            app = task.item.message.app
            if anonymous_id is None or NamedId(app, IdKind.ANONYMOUS, anonymous_id) in task.untied:
                continue
            if anonymous_id not in bundle.before.known_as:
                found[anonymous_key(app, task.mapped.environment, anonymous_id)] = anonymous_id
    return found


def _devices(bundle: Bundle) -> list[str]:
    """The CleverTap ids that the events of a user name for the first time, and those that the SDK made of an anonymous
    id."""
    mapper = bundle.tasks[-1].mapper
    # Only a profile record ties the two together, so without profiles the user id alone must do.
    if not _is_user(bundle) or not mapper.settings.profile.send:
        return []
    found = [(task, task.mapped.identity.object_id) for task in bundle.tasks]
    if mapper.settings.identity.anonymous is Anonymous.CUSTOM_ID:
        for task in bundle.tasks:
            named = known_as(task.event) if task.event is not None else None
            if (
                named is not None
                and task.event is not None
                and not waits_for_login(task.event, mapper.settings.identity)
            ):
                found.append((task, sdk_id(task.event, named)))
    known = bundle.before.linked | bundle.before.unlinked
    return list(
        dict.fromkeys(
            each
            for task, each in found
            if each is not None
            and each not in known
            and NamedId(task.item.message.app, IdKind.OBJECT, each) not in task.untied
        )
    )


def _devices_of_logins(bundle: Bundle, tied: Mapping[str, Tied]) -> list[str]:
    """The CleverTap ids that the anonymous users have who became this user."""
    if not _is_user(bundle) or not bundle.tasks[-1].mapper.settings.profile.send:
        return []
    known = bundle.before.linked | bundle.before.unlinked
    won = [tied[key] for key in _logins(bundle) if _is_won(bundle, tied.get(key))]
    found = [each for one in won for each in (one.object_id, *sorted(one.state.linked))]
    return list(dict.fromkeys(each for each in found if each is not None and each not in known))


def _is_won(bundle: Bundle, tied: Tied | None) -> bool:
    return tied is not None and tied.user_id is not None and tied.user_id == bundle.person.user_id


def _object_key(bundle: Bundle, object_id: str) -> str:
    task = bundle.tasks[-1]
    return object_key(task.item.message.app, task.mapped.environment, object_id)


def learn(bundles: Iterable[Bundle], tied: Mapping[str, Tied], *, now_ms: int) -> list[Bundle]:
    """The bundles with what their events say of their persons, and the profile records that follow from it."""
    return [_learned(bundle, tied, now_ms) if bundle.profile_key is not None else bundle for bundle in bundles]


def _learned(bundle: Bundle, tied: Mapping[str, Tied], now_ms: int) -> Bundle:
    state, uncertain, person = bundle.before, bundle.is_uncertain, bundle.person
    links: list[str] = []
    conflicts: set[str] = set()
    for key, anonymous_id in _logins(bundle).items():
        if _is_won(bundle, tied.get(key)):
            state = state.joined(tied[key].state)
            state = state._replace(known_as=state.known_as | {anonymous_id})
            uncertain = uncertain or bool(tied[key].state.sent)
    for object_id in dict.fromkeys((*_devices(bundle), *_devices_of_logins(bundle, tied))):
        found = tied.get(_object_key(bundle, object_id))
        if _is_won(bundle, found) and found is not None:
            state = state.joined(found.state)
            links.append(object_id)
            # CleverTap joins two profiles in a way of its own: tell it all.
            uncertain = uncertain or bool(found.state.sent)
        elif found is not None and found.user_id is not None:
            conflicts.add(object_id)
    state = state._replace(linked=bundle.before.linked, unlinked=bundle.before.unlinked | conflicts)
    person = _at_clevertap(person, state)
    if not _is_user(bundle) and person.object_id is not None:
        state = state._replace(linked=state.linked | {person.object_id})
    mapper = bundle.tasks[-1].mapper
    sent = {task.item.event_id for task in bundle.tasks if task.mapped.kept_back is None}
    events = [task.event for task in bundle.tasks if task.event is not None]
    state = state.apply(events, is_sent=lambda event: event.event_id in sent, price_of=mapper.price)
    if any(task.item.message.kind is MessageKind.LAPSE for task in bundle.tasks):
        hours = mapper.settings.profile.lapse_after_hours
        state = state.lapse(now_ms, cancelled_hours=hours.cancelled, renewing_hours=hours.renewing)
    tasks = tuple(_with_money(task, state, now_ms) for task in bundle.tasks)
    update = mapper.profile_update(person, state, links=tuple(links), whole=uncertain)
    return replace(
        bundle,
        tasks=tasks,
        state=state,
        update=update,
        is_uncertain=uncertain,
        conflicts=frozenset(conflicts),
    )


def _with_money(task: Task, state: ProfileState, now_ms: int) -> Task:
    """The task with the money of a one-time purchase, which depends on what is known of the person."""
    event, mapper, backfill = task.event, task.mapper, task.item.message.backfill
    if event is None:
        return task
    if backfill in (None, BackfillMode.ALL) and mapper.is_too_early(
        event, state, age_ms=now_ms - task.item.message.received_at
    ):
        return replace(task, mapped=task.mapped._replace(records=()), is_too_early=True)
    money = mapper.purchase_records(event, task.mapped.identity, state, backfill=backfill)
    return replace(task, mapped=task.mapped._replace(records=(*task.mapped.records, *money))) if money else task


def _at_clevertap(person: Identity, state: ProfileState) -> Identity:
    """A person of whom no more than an anonymous id is known: by the CleverTap id that an SDK made of it, if it did."""
    if person.user_id is None or person.user_id != person.anonymous_id:
        return person
    made = [each for each in sorted(state.linked) if each.endswith(person.user_id)]
    return Identity(object_id=made[0], anonymous_id=person.anonymous_id) if made else person


def give_back(bundle: Bundle, tied: Mapping[str, Tied], *, now_ms: int) -> Results:
    """A bundle that this worker cannot go on with now: its events come again, its person stays as they were.

    They are parked if an id that they name can never be tied.
    """
    full = next((key for key in _tie_keys(bundle, tied) if key in tied and tied[key].is_full), None)
    decided = tuple(
        Decided(
            task.item,
            task.entry,
            BUSY if full is None else _state_too_large(task.item, full),
            task,
            is_claimed=task.item.is_event,
            accepted=task.accepted,
        )
        for task in bundle.tasks
    )
    if bundle.profile_key is None:
        return Results(decided, ())
    return Results(decided, (ProfileSave(bundle.profile_key, bundle.before, now_ms if bundle.is_uncertain else 0),))


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
                # Of several profile records all must be taken.
                profile = result if profile is None or isinstance(profile, Accepted) else profile
            else:
                by_task[task.item.key][kind] = result
        for task in bundle.tasks:
            own = by_task[task.item.key]
            # The profile's result counts for the last event, and for those that have nothing else to send.
            counted = [*own.values(), *([profile] if profile and (task is bundle.tasks[-1] or not own) else [])]
            accepted = task.accepted | {kind for kind, result in own.items() if isinstance(result, Accepted)}
            outcome = _outcome(counted, task.mapped.kept_back)
            if task.is_too_early:
                outcome = Retried(RetryReason.TOO_EARLY)
            outcome = _or_parked(outcome, task.item, now_ms, retry_policy)
            decided.append(
                Decided(
                    task.item,
                    task.entry,
                    outcome,
                    task,
                    is_claimed=task.item.is_event,
                    accepted=accepted,
                    unconfirmed=sum(isinstance(result, Unknown) for result in counted),
                    delivered_at=now_ms if isinstance(outcome, Delivered) else None,
                    has_conflict=task.mapped.identity.object_id in bundle.conflicts,
                    has_lapsed=task.item.message.kind is MessageKind.LAPSE
                    and bundle.state.lapsed.keys() > bundle.before.lapsed.keys(),
                )
            )
        if bundle.profile_key is not None:
            saves.append(_save(bundle.profile_key, bundle, profile, now_ms))
    return Results(tuple(decided), tuple(saves))


def _outcome(results: Iterable[RecordResult], kept_back: Skipped | Parked | None) -> Outcome:
    """What becomes of an event whose records got these results. What may still succeed is tried before parking.

    `kept_back` is what becomes of it if its own event record was not among them.
    """
    rejected: Rejected | None = None
    for result in results:
        match result:
            case NotTaken(reason) | Unknown(reason):
                return Retried(reason)
            case SetupFault(status, message):
                # Where a redirect leads is ours to tell; other words of the host may quote the credentials.
                detail = message if 300 <= status < 400 else None
                return Retried(RetryReason.SETUP_FAULT, GiveUp.SETUP, detail, status)
            case Rejected():
                rejected = result
            case Accepted():
                pass
    if rejected is not None:
        return Parked(ParkReason.REFUSED_BY_CLEVERTAP, rejected.message, rejected.code)
    return kept_back or Delivered()


def _or_parked(outcome: Outcome, item: Item, now_ms: int, retry_policy: RetryPolicy) -> Outcome:
    """`outcome`, or parked if it is one more retry beyond its limit."""
    if isinstance(outcome, Retried) and retry_policy.is_over(age := now_ms - item.message.sent_at, outcome.give_up):
        hours = age // 3_600_000
        return Parked(ParkReason.RETRIES_EXHAUSTED, f"tried for {hours} hours, in the end: {outcome.shown_reason}")
    return outcome


def _save(key: str, bundle: Bundle, profile: RecordResult | None, now_ms: int) -> ProfileSave:
    """The state to keep, and whether CleverTap may hold another profile than it tells of."""
    if bundle.update is not None and isinstance(profile, Accepted):
        return ProfileSave(key, bundle.state.accepted(bundle.update.properties, bundle.update.links))
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
        if not each.item.is_event or each.entry.is_unread:
            continue
        noted = set(each.entry.messages)
        if not isinstance(each.outcome, Duplicate):  # its message was noted along with the claim or the outcome
            noted.add(each.item.message.id)
        # Ingest counts those for which the entry has no room.
        room = max(MOST_MESSAGES - len(noted), 0)
        if missing := sorted(each.item.webhooks - noted)[:room]:
            found[each.item.key] = frozenset(missing)
    return found


def retried(items: Iterable[Item], entries: Mapping[str, Entry], outcome: Retried) -> list[Decided]:
    """All of the items come again, for the same reason."""
    return [Decided(item, entries.get(item.key, Entry()), outcome) for item in items]
