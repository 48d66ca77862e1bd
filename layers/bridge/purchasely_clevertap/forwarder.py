"""The way of a batch: read, recall, decide, claim, upload, settle.

Each message ends with an outcome of its own. What CleverTap has taken is settled after every request, so that a
worker that dies leaves at most one request in doubt.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from purchasely_clevertap.aws.credentials import CredentialsStore
from purchasely_clevertap.aws.ledger import Change, Delivery, Known, Ledger, LedgerUnavailable, delivery_key
from purchasely_clevertap.aws.parked_queue import ParkedQueue, Parking
from purchasely_clevertap.aws.secrets import Unusable
from purchasely_clevertap.aws.settings_store import SettingsStore, Unavailable
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.limits import MAX_RECORDS
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.clevertap.response import Accepted, Receipt, Refused, Retry, SetupFault, Unknown
from purchasely_clevertap.delivery.circuit_breaker import CircuitBreaker
from purchasely_clevertap.delivery.message import Message
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.mapping.mapper import Account, Mapped, Mapper, ProfileUpdate
from purchasely_clevertap.mapping.profile import Subscriber, chronology
from purchasely_clevertap.outcome import (
    BUSY,
    Delivered,
    Duplicate,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    Skipped,
    SkipReason,
)
from purchasely_clevertap.purchasely.event import Event, Unreadable, read
from purchasely_clevertap.purchasely.event_id import event_id as id_of

# Kept back for settling what was uploaded.
_SETTLING_SECONDS: Final = 8.0
# After an upload without an answer CleverTap may be at it yet. Together with the client's time-out it is a minute.
_QUIET_MS: Final = 45_000


@dataclass(frozen=True, slots=True)
class MessageResult:
    """What became of one message. `age_ms` is the event's age when CleverTap took it, if it did.

    `person` is the id of whom it is about, for no eyes; `records` is how many records it had to send, and `in_doubt`
    counts those whose answer was lost: CleverTap may have them twice once they are sent again.
    `unsettled` says that the outcome could not be remembered; what CleverTap has taken then stands on the queue.
    """

    message: Message
    outcome: Outcome
    event_id: str
    event_name: str | None = None
    person: str | None = field(default=None, repr=False)
    account: Account | None = None
    known_name: bool = True
    records: int = 0
    clipped: tuple[str, ...] = ()
    age_ms: int | None = None
    in_doubt: int = 0
    taken_over: bool = False
    unsettled: bool = False


class UploadReport(NamedTuple):
    """One upload: to whom, how much, how long in seconds, how many records got which receipt, and how many of those
    that were accepted are profiles."""

    app: str
    account: Account
    records: int
    requests: int
    seconds: float
    receipts: Mapping[str, int]
    profiles: int = 0


class BatchResult(NamedTuple):
    """What became of a batch."""

    handled: tuple[MessageResult, ...]
    uploads: tuple[UploadReport, ...]


@dataclass(slots=True)
class _Work:
    """One event of the batch on its way; `copies` are further messages with the same event."""

    message: Message
    key: str
    event_id: str
    event: Event | Unreadable | None
    copies: list[Message] = field(default_factory=list)
    seen: Delivery = Delivery()
    accepted: set[str] = field(default_factory=set)
    mapper: Mapper | None = None
    mapped: Mapped | None = None
    account_id: str = ""
    outcome: Outcome | None = None
    claimed: bool = False
    copies_noted: bool = False
    in_doubt: int = 0
    unsettled: bool = False
    delivered_at: int | None = None

    @property
    def event_name(self) -> str | None:
        return self.event.event_name if self.event else None

    @property
    def records(self) -> int:
        """How many records the event had to send when it came, its subscriber's profile among them."""
        mapped = self.mapped
        if mapped is None:
            return 0
        had = self.seen.accepted | (self.message.parking.accepted if self.message.parking else frozenset())
        events = ((Kind.EVENT, mapped.event), (Kind.CHARGED, mapped.charged))
        return sum(record is not None and kind not in had for kind, record in events) + mapped.profile

    @property
    def taken_over(self) -> bool:
        """Whether a worker died while the event was its own, and this one goes on with it or parks it."""
        return self.seen.abandoned and (self.claimed or isinstance(self.outcome, Parked))

    @property
    def doubts(self) -> int:
        """How often, in all, CleverTap may have taken records of the event without anybody having the answer."""
        return self.seen.in_doubt + self.in_doubt + self.taken_over


@dataclass(slots=True)
class _Bundle:
    """What goes to CleverTap together: the profile record of a subscriber, if it has news, and the events.

    `in_doubt`: nobody knows which profile CleverTap has.
    """

    works: list[_Work]
    subscriber: str | None = None
    state: Subscriber = Subscriber()
    update: ProfileUpdate | None = None
    in_doubt: bool = False


@dataclass(slots=True)
class _Part:
    """A record of a bundle on its way; `work` is None for the profile."""

    bundle: _Bundle
    work: _Work | None
    kind: Kind
    record: bytes
    receipt: Receipt = Retry("not_sent")


class Forwarder:
    """Forwards batches. `clock` gives epoch milliseconds; `owner` names this worker and no other.

    `events` sends to the queue that the messages come from.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        client: Client,
        settings: SettingsStore,
        credentials: CredentialsStore,
        parked: ParkedQueue,
        events: ParkedQueue,
        breaker: CircuitBreaker,
        retry_policy: RetryPolicy,
        clock: Callable[[], int],
        owner: str,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._settings = settings
        self._credentials = credentials
        self._parked = parked
        self._events = events
        self._breaker = breaker
        self._retry_policy = retry_policy
        self._clock = clock
        self._owner = owner

    def forward(self, messages: Sequence[Message], time_left: Callable[[], float]) -> BatchResult:
        """The outcome of every message; `time_left` gives the seconds until this worker is stopped."""
        works = _gather(messages)
        uploads: list[UploadReport] = []
        try:
            remembered = self._ledger.deliveries([work.key for work in works], time_left)
            for work in works:
                work.seen = remembered[work.key]
                work.accepted |= work.seen.accepted
                self._decide(work)
            bundles = self._claim([work for work in works if work.outcome is None], time_left)
            self._settle_unclaimed([work for work in works if not work.claimed], time_left)
            for (app, account), bundled in _by_account(bundles).items():
                self._upload(app, account, bundled, uploads, time_left)
            self._note_copies(works, time_left)
        except LedgerUnavailable as error:
            for work in works:
                if work.outcome is None or not work.claimed:
                    work.outcome = Retried("ledger_unavailable", patient=False, detail=str(error))
        return BatchResult(tuple(handled for work in works for handled in self._handled(work)), tuple(uploads))

    def _decide(self, work: _Work) -> None:
        """Maps the event, or gives the work an outcome if it needs no upload."""
        message, seen, event = work.message, work.seen, work.event
        redriven = message.parking is not None and seen.outcome == Parked.outcome
        if seen.outcome is not None and not redriven:
            work.outcome = Duplicate()
        elif seen.lease_until > self._clock():
            work.outcome = BUSY
        elif message.dead_letter:
            work.outcome = Parked(
                ParkReason.DEAD_LETTER, f"received {message.receives} times and never handled to the end"
            )
        elif isinstance(event, Unreadable):
            work.outcome = Parked(ParkReason.UNREADABLE, event.detail)
        elif not message.app:
            work.outcome = Parked(ParkReason.UNREADABLE, "the message has no attribute app")
        elif event is not None:
            found = self._map(work, event)
            if isinstance(found, Mapped):
                work.mapped = found
            else:
                work.outcome = self._patient(work, found)

    def _map(self, work: _Work, event: Event) -> Mapped | Outcome:
        app = work.message.app
        mapper = self._settings.mapper(app)
        if isinstance(mapper, Unavailable):
            return Retried("settings_unavailable", patient=False, detail=mapper.detail)
        credentials = self._credentials.get(app)
        if isinstance(credentials, Unusable):
            return Retried("credentials_unusable", patient=False, detail=credentials.detail)
        work.mapper = mapper
        mapped = mapper.map(event, now_ms=self._clock(), has_sandbox_account=credentials.has_sandbox)
        if isinstance(mapped, Mapped):
            work.account_id = credentials.keys[mapped.account][0]
            if self._breaker.is_open(work.account_id):
                return Retried("circuit_open", patient=self._breaker.fault(work.account_id) is None)
        return mapped

    def _claim(self, works: Sequence[_Work], time_left: Callable[[], float]) -> list[_Bundle]:
        """Claims the events and leases their subscribers; what someone else has is retried."""
        if not works:
            return []
        now = self._clock()
        bundles: list[_Bundle] = []
        by_subscriber: dict[str, _Bundle] = {}
        for work in works:
            key = _subscriber_key(work)
            if key is None:
                bundles.append(_Bundle([work]))
            elif key in by_subscriber:
                by_subscriber[key].works.append(work)
            else:
                by_subscriber[key] = _Bundle([work], key)
        bundles += by_subscriber.values()
        known = self._ledger.subscribers(by_subscriber, time_left) if by_subscriber else {}
        claims = [
            self._ledger.claim(work.key, _message_id(work.message), work.seen, owner=self._owner, now_ms=now)
            for work in works
        ]
        leases = [self._ledger.lease(key, known[key], owner=self._owner, now_ms=now) for key in by_subscriber]
        held = self._ledger.write([*claims, *leases], time_left)
        for work, work.claimed in zip(works, held, strict=False):
            if not work.claimed:
                work.outcome = BUSY
        leased = dict(zip(by_subscriber, held[len(works) :], strict=True))
        ready: list[_Bundle] = []
        given_up: list[Change] = []
        for bundle in bundles:
            key = bundle.subscriber
            bundle.works = [work for work in bundle.works if work.claimed]
            if key is not None and not leased[key]:
                for work in bundle.works:
                    work.outcome = BUSY
                    facts = {"in_doubt": work.doubts or None}
                    given_up.append(self._ledger.release(work.key, owner=self._owner, accepted=(), facts=facts))
            elif bundle.works:
                bundle.works.sort(key=lambda work: chronology(_event(work)))
                if key is not None:
                    _learn(bundle, known[key])
                ready.append(bundle)
            elif key is not None:
                lease_until = now if known[key].in_doubt else 0
                given_up.append(self._ledger.save(key, known[key].state, owner=self._owner, lease_until=lease_until))
        self._ledger.write(given_up, time_left)
        return ready

    def _upload(
        self,
        app: str,
        account: Account,
        bundles: Sequence[_Bundle],
        uploads: list[UploadReport],
        time_left: Callable[[], float],
    ) -> None:
        """Uploads the bundles of one account, settling them after each request."""
        for together in _requests(bundles):
            parts = [part for _, parts in together for part in parts]
            if parts:
                uploads.append(self._request(app, account, parts, time_left))
            self._settle(together, time_left)

    def _request(
        self, app: str, account: Account, parts: Sequence[_Part], time_left: Callable[[], float]
    ) -> UploadReport:
        mapper = self._settings.mapper(app)
        requests, seconds = 0, 0.0
        pending = list(parts)
        for reread in (False, True):
            credentials = self._credentials.get(app, reread=reread)
            if isinstance(mapper, Unavailable) or isinstance(credentials, Unusable) or account not in credentials.keys:
                break
            target = credentials.account(account, mapper.settings)
            if self._breaker.is_open(target.account_id) and not reread:
                for part in pending:
                    part.receipt = self._breaker.fault(target.account_id) or Retry("circuit_open")
                break
            upload = self._client.upload(
                target, [part.record for part in pending], time_left=lambda: time_left() - _SETTLING_SECONDS
            )
            requests += upload.requests
            seconds += upload.seconds
            for part, receipt in zip(pending, upload.receipts, strict=True):
                part.receipt = receipt
            if any(_is_failure(receipt) for receipt in upload.receipts):
                fault = next((receipt for receipt in upload.receipts if isinstance(receipt, SetupFault)), None)
                self._breaker.failed(target.account_id, fault)
            elif upload.requests:
                self._breaker.answered(target.account_id)
            # A passcode may have been changed since it was read: one more look before it is a fault of the set-up.
            pending = [part for part in pending if isinstance(part.receipt, SetupFault)]
            if not pending or self._credentials.get(app, reread=True) == credentials:
                break
        counts: dict[str, int] = {}
        for part in parts:
            name = type(part.receipt).__name__.lower()
            counts[name] = counts.get(name, 0) + 1
        profiles = sum(part.kind is Kind.PROFILE and isinstance(part.receipt, Accepted) for part in parts)
        return UploadReport(app, account, len(parts), requests, seconds, counts, profiles)

    def _settle(self, together: Iterable[tuple[_Bundle, Sequence[_Part]]], time_left: Callable[[], float]) -> None:
        """Gives the works of the bundles their outcome, parks what is to be parked, and remembers it all."""
        saves: dict[str, Change] = {}
        works: list[_Work] = []
        now = self._clock()
        for bundle, parts in together:
            profile = next((part.receipt for part in parts if part.work is None), None)
            for work in bundle.works:
                receipts = {part.kind: part.receipt for part in parts if part.work is work}
                if profile is not None and (work is bundle.works[-1] or not receipts):
                    receipts[Kind.PROFILE] = profile
                work.accepted |= {
                    kind for kind, receipt in receipts.items() if isinstance(receipt, Accepted) and kind != Kind.PROFILE
                }
                work.in_doubt = sum(isinstance(receipt, Unknown) for receipt in receipts.values())
                work.outcome = self._patient(work, _outcome(receipts, already=bool(work.accepted)))
                if isinstance(work.outcome, Delivered):
                    work.delivered_at = now
                works.append(work)
            if bundle.subscriber is not None:
                saves[bundle.subscriber] = self._save(bundle.subscriber, bundle, profile, now)
        self._park(works, now)
        kept: set[str] = set()
        # First what the events tell of their subscribers: once an event has its outcome, nobody asks it again.
        with suppress(LedgerUnavailable):
            saved = dict(zip(saves, self._ledger.write(list(saves.values()), time_left), strict=True))
            told = [work for work in works if saved.get(_subscriber_key(work) or "", True)]
            held = self._ledger.write([self._settled(work, now) for work in told], time_left)
            kept = {work.key for work, yes in zip(told, held, strict=True) if yes}
        self._settle_later([work for work in works if work.key not in kept], now)

    def _settled(self, work: _Work, now: int) -> Change:
        """Gives a claimed event its outcome, or frees it if it comes again."""
        if isinstance(work.outcome, Retried):
            facts: dict[str, str | int | None] = {
                "reason": work.outcome.reason,
                "event_name": work.event_name,
                "in_doubt": work.doubts or None,
            }
            return self._ledger.release(work.key, owner=self._owner, accepted=work.accepted, facts=facts)
        return self._ledger.settle(work.key, owner=self._owner, now_ms=now, accepted=work.accepted, facts=_facts(work))

    def _save(self, subscriber: str, bundle: _Bundle, profile: Receipt | None, now: int) -> Change:
        """Keeps the state, and whether it is sure that CleverTap has no other profile than it says."""
        state, lease_until = bundle.state, now if bundle.in_doubt else 0
        if bundle.update is not None and isinstance(profile, Accepted):
            state, lease_until = state.accepted(bundle.update.properties, bundle.update.link), 0
        elif isinstance(profile, Unknown):
            # A newer profile sent meanwhile could be overtaken by this one.
            lease_until = now + _QUIET_MS
        return self._ledger.save(subscriber, state, owner=self._owner, lease_until=lease_until)

    def _settle_later(self, works: Sequence[_Work], now: int) -> None:
        """Leaves on the queue what could not be remembered: a message that says what CleverTap has taken.

        It stands for the event from now on, and whoever gets it settles the event without sending that again.
        """
        for work in works:
            work.unsettled = True
        taken = [work for work in works if work.accepted]
        notes = [
            Parking(work.message, None, work.event_id, work.event_name, frozenset(work.accepted)) for work in taken
        ]
        errors = self._events.send(notes, now_ms=now)
        noted = {work.key for work, error in zip(taken, errors, strict=True) if error is None}
        for work in works:
            if work.key not in noted:
                work.outcome = Retried("unsettled", patient=False)
            elif isinstance(work.outcome, Retried):
                work.outcome = Duplicate()

    def _settle_unclaimed(self, works: Sequence[_Work], time_left: Callable[[], float]) -> None:
        """Remembers the outcome of what needs no upload."""
        now = self._clock()
        self._park(works, now)
        settled = [work for work in works if isinstance(work.outcome, Skipped | Parked)]
        changes = [
            self._ledger.settle_unclaimed(
                work.key, _message_id(work.message), work.seen, now_ms=now, facts=_facts(work)
            )
            for work in settled
        ]
        for work, kept in zip(settled, self._ledger.write(changes, time_left), strict=True):
            if not kept:
                work.outcome = BUSY

    def _note_copies(self, works: Sequence[_Work], time_left: Callable[[], float]) -> None:
        """Remembers the webhooks that brought a known event once more, if ingest could not."""
        changes: list[Change] = []
        for work in works:
            noted = set(work.seen.messages)
            if not isinstance(work.outcome, Duplicate):  # noted along with its claim or its outcome
                noted.add(work.message.id)
            webhooks = {message.id for message in (work.message, *work.copies) if message.parking is None}
            if unnoted := webhooks - noted:
                changes.append(self._ledger.add_messages(work.key, unnoted, now_ms=self._clock()))
        self._ledger.write(changes, time_left)
        for work in works:
            work.copies_noted = True

    def _park(self, works: Iterable[_Work], now: int) -> None:
        """Sends what is to be parked to the parked queue; what that does not take is retried."""
        parked = [(work, work.outcome) for work in works if isinstance(work.outcome, Parked)]
        parkings = [
            Parking(work.message, outcome, work.event_id, work.event_name, frozenset(work.accepted))
            for work, outcome in parked
        ]
        for (work, _), error in zip(parked, self._parked.send(parkings, now_ms=now), strict=True):
            if error is not None:
                work.outcome = Retried("parked_queue_unavailable", patient=False, detail=error)

    def _patient(self, work: _Work, outcome: Outcome) -> Outcome:
        """`outcome`, or parked if it is one more retry after all retry_policy."""
        if isinstance(outcome, Retried):
            age = self._clock() - work.message.sent_at
            if self._retry_policy.is_over(age, setup=not outcome.patient):
                hours = age // 3_600_000
                return Parked(ParkReason.RETRIES_EXHAUSTED, f"tried for {hours} hours, in the end: {outcome.reason}")
        return outcome

    def _handled(self, work: _Work) -> Iterable[MessageResult]:
        outcome = work.outcome if work.outcome is not None else Retried("not_reached", patient=False)
        event = work.event if isinstance(work.event, Event) else None
        person = event.payload.get("user_id") or event.payload.get("anonymous_user_id") if event else None
        yield MessageResult(
            work.message,
            outcome,
            work.event_id,
            work.event_name,
            person,
            account=work.mapped.account if work.mapped else None,
            # A name that has settings of its own is no news.
            known_name=event is None or event.is_known or _has_settings(work, event),
            records=work.records,
            clipped=work.mapped.clipped if work.mapped else (),
            age_ms=work.delivered_at - event.created_ms if event and work.delivered_at is not None else None,
            in_doubt=work.in_doubt,
            taken_over=work.taken_over,
            unsettled=work.unsettled,
        )
        for copy in work.copies:
            # Another receipt of the same message shares its outcome. Another webhook is a copy, but safe to give up
            # only with the event: a worker that has them too may take this one to stand for it, and give up the other.
            given_up = Duplicate() if work.copies_noted else Retried("ledger_unavailable", patient=False)
            copied = outcome if copy.id == work.message.id or isinstance(outcome, Retried) else given_up
            yield MessageResult(copy, copied, work.event_id, work.event_name, person)


def _has_settings(work: _Work, event: Event) -> bool:
    return work.mapper is not None and event.event_name in work.mapper.settings.events


def _learn(bundle: _Bundle, known: Known) -> None:
    newest = bundle.works[-1]
    bundle.state = known.state.towards(newest.account_id).after(_event(work) for work in bundle.works)
    bundle.in_doubt = known.in_doubt
    if newest.mapper is not None and newest.mapped is not None:
        # Only some events may bring a CleverTap id: the newest that is to be tied to the user, whichever brought it.
        people = [work.mapped.identity for work in bundle.works if work.mapped is not None]
        untied = [person for person in people if person.object_id not in (None, *bundle.state.linked)]
        person = (untied or people)[-1]
        bundle.update = newest.mapper.profile_update(person, bundle.state, whole=known.in_doubt)


def _gather(messages: Sequence[Message]) -> list[_Work]:
    works: dict[str, _Work] = {}
    for message in messages:
        # What ended in the dead-letter queue may be what a worker died of: it is not looked into again.
        event = None if message.dead_letter else read(message.body)
        event_id = event.event_id if event is not None else id_of(message.body)
        key = delivery_key(message.app, event_id)
        work = works.setdefault(key, _Work(message, key, event_id, event))
        if message.parking is not None:
            work.accepted |= message.parking.accepted
        if message is not work.message:
            work.copies.append(message)
            # A redriven message is all there is of a parked event: it must not pass for a mere copy of a webhook.
            if message.parking is not None and work.message.parking is None:
                work.copies[-1], work.message = work.message, message
    return list(works.values())


def _by_account(bundles: Iterable[_Bundle]) -> dict[tuple[str, Account], list[_Bundle]]:
    grouped: dict[tuple[str, Account], list[_Bundle]] = {}
    for bundle in bundles:
        for work in bundle.works[:1]:
            if work.mapped is not None:
                grouped.setdefault((work.message.app, work.mapped.account), []).append(bundle)
    return grouped


def _requests(bundles: Sequence[_Bundle]) -> Iterable[list[tuple[_Bundle, list[_Part]]]]:
    """The bundles, oldest event first, in groups that fit one request. Only a bundle beyond that size takes several."""
    together: list[tuple[_Bundle, list[_Part]]] = []
    size = 0
    for bundle in sorted(bundles, key=lambda bundle: chronology(_event(bundle.works[0]))):
        parts = _parts(bundle)
        if together and size + len(parts) > MAX_RECORDS:
            yield together
            together, size = [], 0
        together.append((bundle, parts))
        size += len(parts)
    if together:
        yield together


def _parts(bundle: _Bundle) -> list[_Part]:
    parts: list[_Part] = []
    # The profile goes first, so that a campaign the event triggers finds it up to date.
    if bundle.update is not None:
        parts.append(_Part(bundle, None, Kind.PROFILE, bundle.update.record))
    for work in bundle.works:
        if work.mapped is not None:
            for kind, record in ((Kind.EVENT, work.mapped.event), (Kind.CHARGED, work.mapped.charged)):
                if record is not None and kind not in work.accepted:
                    parts.append(_Part(bundle, work, kind, record))
    return parts


def _outcome(receipts: Mapping[Kind, Receipt], *, already: bool) -> Outcome:
    """What becomes of an event whose records got these receipts. What may still succeed is tried before parking."""
    refused: Refused | None = None
    for receipt in receipts.values():
        match receipt:
            case Retry(reason) | Unknown(reason):
                return Retried(reason)
            case SetupFault(status):
                return Retried(f"setup_fault_{status}", patient=False)
            case Refused():
                refused = receipt
            case Accepted():
                pass
    if refused is not None:
        return Parked(ParkReason.REFUSED_BY_CLEVERTAP, refused.message, refused.code)
    return Delivered() if receipts or already else Skipped(SkipReason.NOTHING_NEW)


def _is_failure(receipt: Receipt) -> bool:
    """Whether the account, rather than a record, is to blame."""
    match receipt:
        case Unknown() | SetupFault():
            return True
        case Retry(reason):
            return reason in ("throttled", "server_error", "unexpected_status", "connect", "not_processed")
        case _:
            return False


def _facts(work: _Work) -> dict[str, str | int | None]:
    """What is remembered of an event along with its outcome."""
    outcome = work.outcome
    event = work.event if isinstance(work.event, Event) else None
    return {
        "outcome": outcome.outcome if outcome else None,
        "reason": outcome.reason if isinstance(outcome, Skipped | Parked) else None,
        "code": outcome.code if isinstance(outcome, Parked) else None,
        "event_name": work.event_name,
        "event_at": event.created_ms if event else None,
        "account": work.mapped.account if work.mapped else None,
        "subscriber": _subscriber_key(work),
        "in_doubt": work.doubts or None,
    }


def _event(work: _Work) -> Event:
    if not isinstance(work.event, Event):
        raise TypeError("only an event that was read is claimed")
    return work.event


def _subscriber_key(work: _Work) -> str | None:
    mapped = work.mapped
    if mapped is None or not mapped.profile:
        return None
    kind = "user" if mapped.identity.user_id is not None else "object"
    return f"{work.message.app}#{mapped.account}#{kind}#{mapped.identity.user_id or mapped.identity.object_id}"


def _message_id(message: Message) -> str | None:
    """The id under which a webhook was accepted; none for a redriven one, which is not a new webhook."""
    return None if message.parking else message.id
