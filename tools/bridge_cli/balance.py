"""The balance of an app: received = delivered + skipped + duplicate + parked + in flight.

`received` is what ingest noted when it answered 200; the outcomes are what the forwarder remembered. An event that
has no outcome must be on the events queue, a parked one on the parked queue, or on its way back: if there are more of
those than the queues hold, something is missing, and the ids say what.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import click
from rich.console import Console

from .account import Account, on_account
from .configuration import any_app_argument
from .deliveries import Delivery, EventKey, all_deliveries, deliveries
from .output import json_option, plain, remark, show, table, working
from .parked_messages import held
from .queues import Queues, counts
from .times import now_ms

_PARKED: Final = "parked"
_WITH_REASON: Final = ("skipped", _PARKED)
_IDS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Balance:
    """Counts of webhooks. `by_reason` splits skipped and parked.

    The rest are ids. `missing`: no outcome, and on no queue. `unqueued`: parked, but on no queue. `strays`: on the
    parked queue, though their outcome is another, or could not be remembered; they do no harm.
    """

    app: str
    received: int = 0
    delivered: int = 0
    skipped: int = 0
    duplicate: int = 0
    parked: int = 0
    in_flight: int = 0
    by_reason: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unqueued: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Whether every webhook is accounted for."""
        accounted = self.delivered + self.skipped + self.duplicate + self.parked + self.in_flight
        return self.received == accounted and not self.missing and not self.unqueued


class Ledger:
    """Counts deliveries one by one, and keeps only those that are not over: in flight, or parked."""

    __slots__ = ("_counts", "_open", "_reasons")

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._reasons: Counter[tuple[str, str, str]] = Counter()
        self._open: dict[EventKey, Delivery] = {}

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
        lost_here = [each for each in lost if each.app == app]
        return Balance(
            app=app,
            received=self._counts[app, "received"],
            delivered=self._counts[app, "delivered"],
            skipped=self._counts[app, "skipped"],
            duplicate=self._counts[app, "duplicate"],
            parked=self._counts[app, _PARKED],
            in_flight=self._counts[app, "in_flight"],
            by_reason=by_reason,
            missing=tuple(sorted(each.event_id for each in lost_here if each.outcome is None)),
            unqueued=tuple(sorted(each.event_id for each in lost_here if each.outcome is not None)),
            strays=tuple(sorted(event_id for of, event_id in strays if of == app)),
        )


def balances(
    deliveries: Iterable[Delivery],
    *,
    queued: int,
    now_ms: int,
    settled_after_ms: int,
    parked: Collection[EventKey] | None = None,
) -> dict[str, Balance]:
    """The balance of each app in `deliveries`; see `Ledger.balances`."""
    ledger = Ledger()
    for each in deliveries:
        ledger.add(each)
    return ledger.balances(queued=queued, parked=parked, now_ms=now_ms, settled_after_ms=settled_after_ms)


@click.command("balance")
@any_app_argument
@click.option(
    "--after",
    "after_minutes",
    default=5,
    show_default=True,
    metavar="MINUTES",
    help="Miss an event only after this time: SQS counts its messages up to a minute late.",
)
@json_option
@on_account
def command(account: Account, app: str | None, after_minutes: int, as_json: bool) -> None:
    """Is every webhook accounted for?

    For each app, or APP: received = delivered + skipped + duplicate + parked + in flight, from what ingest noted
    and what the forwarder remembers, for the last 30 days. Where it doesn't add up, the ids of the events say why.
    The exit code is 1 then.

    It reads the whole deliveries table: about 0.02 USD for each million events in it.
    """
    with working("Reading the deliveries …"):
        queues, found = _drawn(account, after_minutes * 60_000)
    if app is not None:
        if app not in found:
            remark(f"No webhook of app {app} is known. `bridge check {app}` tells whether it is set up.")
        found = {app: found.get(app, Balance(app))}
    adds_up = all(each.adds_up for each in found.values())
    document = {
        "adds_up": adds_up,
        "queues": {name: count["visible"] + count["hidden"] for name, count in asdict(queues).items()},
        "apps": [_document(each) for each in found.values()],
    }
    show(document, lambda to: _show(to, queues, found.values()), as_json=as_json)
    click.get_current_context().exit(0 if adds_up else 1)


def _drawn(account: Account, settled_after_ms: int) -> tuple[Queues, dict[str, Balance]]:
    dynamodb, table_name = account.client("dynamodb"), account.output("DeliveriesTableName")
    # The queues first: what is in flight afterwards, and not new, was on them then.
    before, started = counts(account), now_ms()
    ledger = Ledger()
    for each in all_deliveries(dynamodb, table_name):
        ledger.add(each)
    parked = _on_parked_queue(account) if before.parked.all != ledger.parked else None

    def draw(queued: int) -> dict[str, Balance]:
        return ledger.balances(queued=queued, parked=parked, now_ms=started, settled_after_ms=settled_after_ms)

    # Much may have happened since each was read: what looks wrong is looked at again.
    doubtful = [
        (each.app, event_id)
        for each in draw(before.on_the_way).values()
        for event_id in (*each.missing, *each.unqueued, *each.strays)
    ]
    for each in deliveries(dynamodb, table_name, doubtful):
        if each.key in ledger.open:
            ledger.replace(each)
        elif parked is not None and each.outcome == _PARKED:  # it came and was parked after the table was read
            parked -= {each.key}
    after = counts(account)
    return after, draw(max(before.on_the_way, after.on_the_way))


def _on_parked_queue(account: Account) -> frozenset[EventKey] | None:
    """The events on the parked queue, None if some of its messages are out of sight."""
    with held(account) as messages:
        if messages.elsewhere:
            remark(
                f"{messages.elsewhere} messages of the parked queue are with another command, or with one that was "
                "killed: whether each parked event is on that queue can be told when they are back, in 15 minutes"
            )
            return None
        return frozenset(message.key for message in messages.messages)


def _document(balance: Balance) -> dict[str, Any]:
    by_reason = {outcome: balance.by_reason.get(outcome, {}) for outcome in _WITH_REASON}
    return {**asdict(balance), "by_reason": by_reason, "adds_up": balance.adds_up}


def _show(to: Console, queues: Queues, found: Collection[Balance]) -> None:
    if not found:
        to.print(plain("Nothing was received in the last 30 days."))
        return
    columns = ("received", "delivered", "skipped", "duplicate", "parked", "in flight")
    listed = table("app", *columns, "", right=columns)
    for each in found:
        values = (each.received, each.delivered, each.skipped, each.duplicate, each.parked, each.in_flight)
        verdict = plain("adds up", "green") if each.adds_up else plain("is off", "bold red")
        listed.add_row(plain(each.app), *map(plain, values), verdict)
    to.print(listed)
    for each in found:
        for outcome, reasons in each.by_reason.items():
            counted = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
            to.print(plain(f"{each.app}: {outcome}: {counted}"))
    to.print(plain(f"On the queues: {queues.on_the_way} on the way, {queues.parked.all} parked."))
    for each in found:
        _explain(to, each)


def _explain(to: Console, balance: Balance) -> None:
    _ids(
        to,
        balance,
        balance.missing,
        "have no outcome, and the queues hold too few messages for them. Were they uploaded but not recorded, or lost? "
        "`bridge trace EVENT_ID` tells what is known of each",
        "red",
    )
    _ids(
        to,
        balance,
        balance.unqueued,
        "are parked, but on no queue: kept for longer than its 14 days, or taken from it by hand. "
        "`bridge parked discard EVENT_ID` gives one up for good. Were they redriven within the last minute, ask again",
        "red",
    )
    _ids(
        to,
        balance,
        balance.strays,
        "are on the parked queue, though they are not remembered as parked. `bridge parked redrive EVENT_ID` clears "
        "that up: what is delivered already is not delivered again",
        "yellow",
    )


def _ids(to: Console, balance: Balance, ids: Collection[str], what: str, style: str) -> None:
    if not ids:
        return
    to.print()
    to.print(plain(f"{balance.app}: {len(ids)} events {what}:", style))
    for event_id in list(ids)[:_IDS_SHOWN]:
        to.print(plain(f"  {event_id}"))
    if len(ids) > _IDS_SHOWN:
        to.print(plain(f"  … and {len(ids) - _IDS_SHOWN} more: --json has all"))
