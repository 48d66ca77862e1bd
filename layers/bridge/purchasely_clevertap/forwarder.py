"""The way of a batch: read, set up, plan, claim, upload, settle, and what is settled into the archive.

Each step is one visit to the world outside, fed by a value of `delivery.batch` and giving one. What CleverTap has
taken is settled after every request, so that a worker that dies leaves at most one request unconfirmed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from purchasely_clevertap.aws.archive import Archive
from purchasely_clevertap.aws.credentials import CredentialsStore
from purchasely_clevertap.aws.ledger import Ledger, LedgerUnavailable
from purchasely_clevertap.aws.queues import ParkRequest, SendQueue
from purchasely_clevertap.aws.secrets import Unusable
from purchasely_clevertap.aws.settings_store import SettingsStore, SettingsUnavailable
from purchasely_clevertap.delivery import batch
from purchasely_clevertap.delivery.archive import archived
from purchasely_clevertap.delivery.batch import AppSetup, Bundle, Decided, Item, Results, Setups, UploadRequest
from purchasely_clevertap.delivery.entry import Entry, ProfileSave, Tied
from purchasely_clevertap.delivery.message import Message, MessageKind
from purchasely_clevertap.delivery.result import (
    BatchResult,
    MessageResult,
    UploadReport,
    carried_result,
    message_results,
    upload_report,
)
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.delivery.suppression import Mark, Suppressed
from purchasely_clevertap.outcome import BUSY, Duplicate, GiveUp, Held, Parked, Retried, RetryReason, Skipped
from purchasely_clevertap.uploader import Uploader

# By then no worker can still hold an event for a person whom it took for unknown (a worker lives for 60 s), and the
# index of held events, which follows its table within seconds, has them all.
_LOOK_AGAIN_SECONDS: Final = 90

# Kept back for settling what was uploaded.
_SETTLING_SECONDS: Final = 8.0

type TimeLeft = Callable[[], float]


class Forwarder:
    """Forwards batches. `clock` gives epoch milliseconds.

    `parked` sends to the parked queue, `events` to the queue that the messages come from. `suppression_key` keys the
    hashes by which suppressed people are known. Without `archive` nothing is archived.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        uploader: Uploader,
        settings: SettingsStore,
        credentials: CredentialsStore,
        parked: SendQueue,
        events: SendQueue,
        retry_policy: RetryPolicy,
        clock: Callable[[], int],
        suppression_key: str = "",
        archive: Archive | None = None,
    ) -> None:
        self._ledger = ledger
        self._uploader = uploader
        self._settings = settings
        self._credentials = credentials
        self._parked = parked
        self._events = events
        self._retry_policy = retry_policy
        self._clock = clock
        self._suppressed = Suppressed(suppression_key)
        self._archive = archive

    def forward(self, messages: Sequence[Message], time_left: TimeLeft) -> BatchResult:
        """The outcome of every message; `time_left` gives the seconds until this worker is stopped."""
        carried = [message for message in messages if message.kind is MessageKind.ARCHIVE]
        items = batch.group(message for message in messages if message.kind is not MessageKind.ARCHIVE)
        decided: dict[str, Decided] = {}
        uploads: list[UploadReport] = []
        are_copies_noted = False
        entries: dict[str, Entry] = {}
        unnamed: frozenset[str] = frozenset()
        try:
            setups = {app: self._set_up(app) for app in batch.apps(items)}
            items, entries, suppressed = self._read(items, setups, time_left)
            unnamed = batch.suppressed_keys(items, setups, suppressed)
            for each in self._deliver(items, entries, setups, suppressed, uploads, time_left):
                decided[each.item.key] = each
            self._ledger.note(batch.unnoted(decided.values()), time_left, now_ms=self._clock())
            are_copies_noted = True
        except LedgerUnavailable as error:
            outcome = Retried(RetryReason.LEDGER_UNAVAILABLE, GiveUp.SETUP, str(error))
            unsettled = [item for item in items if item.key not in decided or not decided[item.key].is_claimed]
            decided |= {each.item.key: each for each in batch.retried(unsettled, entries, outcome)}
        results = message_results([decided[item.key] for item in items], are_copies_noted=are_copies_noted)
        return self._archived(results, uploads, carried, unnamed, time_left)

    def _archived(
        self,
        results: tuple[MessageResult, ...],
        uploads: Sequence[UploadReport],
        carried: Sequence[Message],
        unnamed: frozenset[str],
        time_left: TimeLeft,
    ) -> BatchResult:
        """Hands the batch over to the archive, once everything is settled: whatever becomes of that, the outcomes
        stand. `carried` are the messages that only archive, `unnamed` the keys of events of suppressed people."""
        if self._archive is None:
            return BatchResult((*results, *(carried_result(each, is_taken=True) for each in carried)), tuple(uploads))
        now = self._clock()
        taken, report = self._archive.hand_over(
            archived(results, now_ms=now, unnamed=unnamed), carried, time_left, now_ms=now
        )
        kept = tuple(carried_result(each, is_taken=each.id in taken) for each in carried)
        return BatchResult((*results, *kept), tuple(uploads), report)

    def _read(
        self, items: Sequence[Item], setups: Setups, time_left: TimeLeft
    ) -> tuple[tuple[Item, ...], dict[str, Entry], Suppressed]:
        """The entries of the events, and who of their persons is suppressed; an event that has its id from another one
        gets a key of its own."""
        marks = self._suppressed.keys(batch.named_ids(items, setups))
        keys = {item.key for item in items if item.is_event}
        entries, found = self._ledger.read_suppressed(keys, marks, time_left)
        apart = batch.told_apart(items, entries)
        if further := [item.key for item in apart if item.is_event and item.key not in entries]:
            entries |= self._ledger.read(further, time_left)
        return apart, entries, self._suppressed.found(found)

    def _deliver(
        self,
        items: Sequence[Item],
        entries: dict[str, Entry],
        setups: Setups,
        suppressed: Suppressed,
        uploads: list[UploadReport],
        time_left: TimeLeft,
    ) -> Iterable[Decided]:
        """Gives each event as soon as its outcome is settled."""
        links = self._ledger.links(batch.link_keys(items, setups, suppressed), time_left)
        plan = batch.plan(
            items,
            entries,
            links,
            setups,
            now_ms=self._clock(),
            retry_policy=self._retry_policy,
            suppressed=suppressed,
        )
        marks, newly_suppressed = batch.newly_suppressed(plan, links, setups, suppressed)
        self._suppress(marks, newly_suppressed, time_left)
        profiles = self._ledger.profiles(plan.profile_keys, time_left, now_ms=self._clock())
        plan = batch.without_news(plan, profiles, now_ms=self._clock())
        grants = self._ledger.claim(plan.claims, time_left, now_ms=self._clock(), profiles=profiles)
        bundles, decided = batch.grant(plan, grants)
        yield from self._settle(decided, (), time_left)
        self._release(newly_suppressed)  # what can't be sent on now is when it is looked for again
        full = self._associate(batch.associations(items, setups, suppressed), time_left)
        yield from self._settle(batch.not_associated(items, setups, full), (), time_left)
        self._require_released(batch.releases(items))
        bundles, waiting = self._learn(bundles, time_left)
        for results in waiting:
            yield from self._settle(results.decided, results.saves, time_left)
        # A project that fails lets no other wait for its time-out.
        for request in sorted(batch.requests(bundles), key=self._is_failing):
            results = self._upload(request, uploads, time_left)
            yield from self._settle(results.decided, results.saves, time_left)

    def _learn(self, bundles: Sequence[Bundle], time_left: TimeLeft) -> tuple[list[Bundle], list[Results]]:
        """The bundles with what their events say; those that have to wait for another worker come back undone.

        Logins and CleverTap ids are tied to their users first, and what waited for a login is sent on.
        """
        now = self._clock()
        tied: dict[str, Tied] = {}
        if ties := batch.ties(bundles):
            tied = self._ledger.tie(ties, time_left, now_ms=now)
            if further := batch.further_ties(bundles, tied):
                tied |= self._ledger.tie(further, time_left, now_ms=now)
        logins = batch.logins(bundles, tied)
        failed = self._release(logins) | self._look_again(logins)
        waiting = [bundle for bundle in bundles if batch.waits_for_tie(bundle, tied, failed)]
        ready = [bundle for bundle in bundles if bundle not in waiting] if waiting else bundles
        results = [batch.give_back(bundle, tied, now_ms=now) for bundle in waiting]
        return batch.learn(ready, tied, now_ms=now), results

    def _associate(self, told: Mapping[str, str], time_left: TimeLeft) -> frozenset[str]:
        """Notes the CleverTap ids of anonymous users, and sends on what waited for them; the keys without room."""
        noted = [
            key
            for key, object_id in told.items()
            if self._ledger.associate(key, object_id, time_left, now_ms=self._clock())
        ]
        self._require_released(noted)
        if self._look_again(noted):
            raise LedgerUnavailable("the events queue does not take what is to be looked for")
        return frozenset(told.keys() - set(noted))

    def _suppress(self, marks: Sequence[Mark], person_keys: Sequence[str], time_left: TimeLeft) -> None:
        """Marks further ids of suppressed people, and has what waits for them looked for: it is skipped then."""
        if marks:
            self._ledger.suppress(marks, time_left)
        if self._look_again(person_keys):
            raise LedgerUnavailable("the events queue does not take what is to be looked for")

    def _require_released(self, person_keys: Sequence[str]) -> None:
        if self._release(person_keys):
            raise LedgerUnavailable("the events queue does not take what waited")

    def _release(self, person_keys: Sequence[str]) -> frozenset[str]:
        """Sends on what waited for these persons; the keys of those of whom something could not be sent."""
        failed: set[str] = set()
        for key in person_keys:
            held = sorted((each.hold for each in self._ledger.held(key)), key=lambda hold: hold.received_at)
            errors = self._events.send_held(key.partition("#")[0], held)
            if any(error is not None for error in errors):
                failed.add(key)
        return frozenset(failed)

    def _look_again(self, person_keys: Sequence[str]) -> frozenset[str]:
        """Has what waits for these persons looked for once more, when the index has what was held just now; the keys of
        those of whom that could not be sent."""
        return frozenset(
            key
            for key in person_keys
            if self._events.send_release(
                key.partition("#")[0], key, now_ms=self._clock(), delay_seconds=_LOOK_AGAIN_SECONDS
            )
            is not None
        )

    def _set_up(self, app: str) -> AppSetup | Retried:
        """What the app is set up with now, or why its events must wait."""
        mapper = self._settings.mapper(app)
        if isinstance(mapper, SettingsUnavailable):
            return Retried(RetryReason.SETTINGS_UNAVAILABLE, GiveUp.SETUP, mapper.detail)
        credentials = self._credentials.get(app)
        if isinstance(credentials, Unusable):
            return Retried(RetryReason.CREDENTIALS_UNUSABLE, GiveUp.SETUP, credentials.detail)
        account_ids = credentials.account_ids
        return AppSetup(mapper, account_ids, self._uploader.open_circuits(account_ids.values()))

    def _is_failing(self, request: UploadRequest) -> bool:
        return self._uploader.is_failing(request.app, request.environment)

    def _upload(self, request: UploadRequest, uploads: list[UploadReport], time_left: TimeLeft) -> Results:
        """Uploads the records of a request, if it has any."""
        records = request.records
        if not records:
            return batch.results(request, (), now_ms=self._clock(), retry_policy=self._retry_policy)
        upload = self._uploader.upload(
            request.app,
            request.environment,
            request.region,
            [record for _, _, record in records],
            time_left=lambda: time_left() - _SETTLING_SECONDS,
        )
        uploads.append(upload_report(request, upload))
        return batch.results(request, upload.results, now_ms=self._clock(), retry_policy=self._retry_policy)

    def _settle(
        self, decided: Sequence[Decided], saves: Sequence[ProfileSave], time_left: TimeLeft
    ) -> Iterable[Decided]:
        """Parks what is to be parked and writes every outcome; gives the events as they then stand."""
        now = self._clock()
        parked = self._park(decided, now)
        written = [
            each
            for each in parked
            if each.item.is_event and (each.is_claimed or isinstance(each.outcome, Skipped | Held | Parked))
        ]
        try:
            settled = self._ledger.settle([each.settlement for each in written], saves, time_left, now_ms=now)
        except LedgerUnavailable:
            if not saves and not any(each.is_claimed for each in written):
                raise
            settled = frozenset()
        unsettled = [each for each in written if each.item.key not in settled]
        if not unsettled:
            return parked
        later = {each.item.key: each for each in self._settle_later(unsettled, now)}
        return [later.get(each.item.key, each) for each in parked]

    def _park(self, decided: Sequence[Decided], now: int) -> Sequence[Decided]:
        """Sends what is to be parked to the parked queue; what the queue does not take is retried."""
        parked = [each for each in decided if isinstance(each.outcome, Parked)]
        if not parked:
            return decided
        errors = self._parked.send([_park_request(each) for each in parked], now_ms=now)
        failed = {
            each.item.key: Retried(RetryReason.PARKED_QUEUE_UNAVAILABLE, GiveUp.SETUP, error)
            for each, error in zip(parked, errors, strict=True)
            if error is not None
        }
        return [replace(each, outcome=failed[each.item.key]) if each.item.key in failed else each for each in decided]

    def _settle_later(self, unsettled: Sequence[Decided], now: int) -> list[Decided]:
        """Leaves on the events queue what could not be settled: a message that says what CleverTap has taken.

        That message stands for the event from now on: the worker that gets it settles the event and sends nothing
        again. An event that was not claimed has nothing to lose and comes again.
        """
        taken = [each for each in unsettled if each.is_claimed and each.accepted]
        errors = self._events.send([_park_request(each) for each in taken], now_ms=now)
        noted = {each.item.key for each, error in zip(taken, errors, strict=True) if error is None}
        return [_unsettled(each, is_noted=each.item.key in noted) for each in unsettled]


def _unsettled(decided: Decided, *, is_noted: bool) -> Decided:
    if not decided.is_claimed:
        return replace(decided, outcome=BUSY)
    outcome = decided.outcome
    if not is_noted:
        outcome = Retried(RetryReason.UNSETTLED, GiveUp.SETUP)
    elif isinstance(outcome, Retried):
        outcome = Duplicate()
    return replace(decided, outcome=outcome, is_settled=False)


def _park_request(decided: Decided) -> ParkRequest:
    item = decided.item
    parked = decided.outcome if isinstance(decided.outcome, Parked) else None
    # Of events that share an id only their keys are different.
    event_id = item.key.partition("#")[2] or item.event_id
    return ParkRequest(item.message, parked, event_id, item.event_name, decided.accepted)
