"""The balance of an app: received = delivered + skipped + duplicate + parked + held + in flight.

`received` is what ingest noted when it answered 200; the outcomes are what the forwarder remembered. An event that
has no outcome must be on the events queue, a parked one on the parked queue, or on its way back; a held one is in the
table alone. If there are more of those than the queues hold, something is missing, and the ids say what.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge_cli.deliveries import Delivery, EventKey
from purchasely_clevertap.delivery.keys import shared_event_id

_PARKED: Final = "parked"
_WITH_REASON: Final = ("skipped", _PARKED)


@dataclass(frozen=True, slots=True)
class Balance:
    """Counts of webhooks. `by_reason` splits skipped and parked. `backfilled` counts the events that a backfill alone
    brought: no webhook did, so they stand beside the sum.

    The rest are ids. `missing`: no outcome, and on no queue. `unqueued`: parked, but on no queue. `strays`: on the
    parked queue, though their outcome is another, or could not be remembered; they do no harm.
    """

    app: str
    received: int = 0
    delivered: int = 0
    skipped: int = 0
    duplicate: int = 0
    parked: int = 0
    held: int = 0
    in_flight: int = 0
    backfilled: int = 0
    by_reason: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unqueued: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Whether every webhook is accounted for."""
        accounted = self.delivered + self.skipped + self.duplicate + self.parked + self.held + self.in_flight
        return self.received == accounted and not self.missing and not self.unqueued


class Tally:
    """Counts deliveries one by one, and keeps only those that are not over: in flight, or parked.

    Of two events with one id, ingest notes the webhooks of both at the first one; the second is counted once all the
    same.
    """

    __slots__ = ("_apart", "_counts", "_open", "_reasons", "_several")

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._reasons: Counter[tuple[str, str, str]] = Counter()
        self._open: dict[EventKey, Delivery] = {}
        self._several: dict[EventKey, frozenset[str]] = {}  # the messages of events that several have brought
        self._apart: dict[EventKey, frozenset[str]] = {}  # the messages of events whose id is another's too

    @property
    def open(self) -> Mapping[EventKey, Delivery]:
        """What is in flight or parked."""
        return self._open

    @property
    def parked(self) -> int:
        """How many events are parked, in all apps."""
        return sum(each.outcome == _PARKED for each in self._open.values())

    def add(self, delivery: Delivery) -> None:
        """Counts an event."""
        self._count(delivery, 1)
        if len(delivery.messages) > 1:
            self._several[delivery.key] = delivery.messages
        if shared_event_id(delivery.event_id) is not None:
            self._apart[delivery.key] = delivery.messages
        if delivery.outcome in (None, _PARKED):
            self._open[delivery.key] = delivery

    def replace(self, delivery: Delivery) -> None:
        """Counts an event that was open as it is now."""
        self._count(self._open.pop(delivery.key), -1)
        self.add(delivery)

    def balances(
        self, *, queued: int, parked: Collection[EventKey] | None, now_ms: int, settled_after_ms: int
    ) -> dict[str, Balance]:
        """The balance of each app at `now_ms`, when the forwarder's queues hold `queued` messages.

        `parked` are the events on the parked queue, None if nobody has looked. The queues count all apps together,
        approximately, and late: an event is missing only when there are more such events than messages, and only if
        it has been as it is for `settled_after_ms`.
        """
        on_parked_queue = frozenset(parked or ())
        waiting = [
            each
            for each in self._open.values()
            if each.key not in on_parked_queue
            and (each.outcome is None or parked is not None)
            and max(each.received_at or 0, each.settled_at or 0, each.lease_until) < now_ms - settled_after_ms
        ]
        lost = waiting if len(waiting) > queued else []
        strays = [key for key in on_parked_queue if key not in self._open or self._open[key].outcome != _PARKED]
        apps = {app for app, _ in self._counts} | {app for app, _ in strays}
        return {app: self._balance(app, lost, strays) for app in sorted(apps)}

    def _count(self, delivery: Delivery, sign: int) -> None:
        app, outcome = delivery.app, delivery.outcome or "in_flight"
        if delivery.is_backfilled:
            self._counts[app, "backfilled"] += sign
            return
        self._counts[app, "received"] += sign * delivery.webhooks
        self._counts[app, "duplicate"] += sign * (delivery.webhooks - 1)
        self._counts[app, outcome] += sign
        if outcome in _WITH_REASON:
            self._reasons[app, outcome, delivery.reason or "unknown"] += sign

    def _balance(self, app: str, lost: Iterable[Delivery], strays: Iterable[EventKey]) -> Balance:
        by_reason: dict[str, dict[str, int]] = {}
        for (of, outcome, reason), count in self._reasons.most_common():
            if of == app and count:
                by_reason.setdefault(outcome, {})[reason] = count
        twice = self._noted_twice(app)
        lost_here = [each for each in lost if each.app == app]
        return Balance(
            app=app,
            received=self._counts[app, "received"] - twice,
            delivered=self._counts[app, "delivered"],
            skipped=self._counts[app, "skipped"],
            duplicate=self._counts[app, "duplicate"] - twice,
            parked=self._counts[app, _PARKED],
            held=self._counts[app, "held"],
            in_flight=self._counts[app, "in_flight"],
            backfilled=self._counts[app, "backfilled"],
            by_reason=by_reason,
            missing=tuple(sorted(each.event_id for each in lost_here if each.outcome is None)),
            unqueued=tuple(sorted(each.event_id for each in lost_here if each.outcome is not None)),
            strays=tuple(sorted(event_id for of, event_id in strays if of == app)),
        )

    def _noted_twice(self, app: str) -> int:
        """How many webhooks stand at two events of the app."""
        return sum(
            len(messages & self._several.get((app, shared_event_id(event_id) or ""), frozenset()))
            for (of, event_id), messages in self._apart.items()
            if of == app
        )


def balances(
    deliveries: Iterable[Delivery],
    *,
    queued: int,
    now_ms: int,
    settled_after_ms: int,
    parked: Collection[EventKey] | None = None,
) -> dict[str, Balance]:
    """The balance of each app in `deliveries`; see `Tally.balances`."""
    ledger = Tally()
    for each in deliveries:
        ledger.add(each)
    return ledger.balances(queued=queued, parked=parked, now_ms=now_ms, settled_after_ms=settled_after_ms)
