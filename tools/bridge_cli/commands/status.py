"""`bridge status`: the last hours at a glance."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import click
from botocore.exceptions import ClientError
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import any_app_argument
from bridge_cli.balance import Balance, Tally
from bridge_cli.deliveries import Delivery, all_deliveries
from bridge_cli.event_sources import is_paused
from bridge_cli.output import json_option, plain, show, table, working
from bridge_cli.queues import Queues, counts
from bridge_cli.times import iso, now_ms, span

_HOUR_MS: Final = 3_600_000
_GATEWAY_METRICS: Final = {"webhooks": "Count", "refused": "4xx", "failed": "5xx"}  # of AWS/ApiGateway
_GATEWAY_PERIOD: Final = 300  # seconds: CloudWatch has them for 63 days


@dataclass(frozen=True, slots=True)
class Oldest:
    """The event that waits for longest. Its time is when it was received, in epoch milliseconds."""

    app: str
    event_id: str
    received_at: int


@dataclass(frozen=True, slots=True)
class Status:
    """Of one app: what was received since some moment, and what waits now, whenever it was received.

    `error_rate` is the share of the events received since then that are parked or in flight after a failed try;
    None when none was received. `waits` says of what is in flight how the last try failed. Delays are milliseconds
    from the receipt to the outcome, of what was delivered; None when nothing was.
    """

    app: str
    received: Balance
    error_rate: float | None
    median_delay: int | None
    longest_delay: int | None
    in_flight: int
    waits: Mapping[str, int] = field(default_factory=dict)
    parked: Mapping[str, int] = field(default_factory=dict)
    held: int = 0
    oldest_in_flight: Oldest | None = None
    oldest_parked: Oldest | None = None
    oldest_held: Oldest | None = None


def statuses(deliveries: Iterable[Delivery], *, since_ms: int) -> dict[str, Status]:
    """The status of each app that anything is remembered of, from its deliveries."""
    by_app: dict[str, _Sums] = {}
    for each in deliveries:
        by_app.setdefault(each.app, _Sums(each.app, since_ms)).add(each)
    return {app: by_app[app].status() for app in sorted(by_app)}


@dataclass(slots=True)
class _Sums:
    app: str
    since_ms: int
    ledger: Tally = field(default_factory=Tally)
    events: int = 0
    wrong: int = 0
    delays: list[int] = field(default_factory=list)
    in_flight: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)
    held: int = 0
    oldest: dict[str, Oldest] = field(default_factory=dict)

    def add(self, delivery: Delivery) -> None:
        outcome = delivery.outcome or "in_flight"
        # Ingest could not note when it came: by its outcome then, and without one it is recent.
        received_at = delivery.received_at or delivery.settled_at
        if outcome == "in_flight":
            self.in_flight += 1
            if delivery.reason is not None:
                self.waits[delivery.reason] += 1
        elif outcome == "parked":
            self.parked[delivery.reason or "unknown"] += 1
        elif outcome == "held":
            self.held += 1
        if received_at is not None:
            if outcome in ("in_flight", "parked", "held") and (
                outcome not in self.oldest or received_at < self.oldest[outcome].received_at
            ):
                self.oldest[outcome] = Oldest(self.app, delivery.event_id, received_at)
            if received_at < self.since_ms:
                return
        self.ledger.add(delivery)
        self.events += 1
        self.wrong += outcome == "parked" or (outcome == "in_flight" and delivery.reason is not None)
        if outcome == "delivered" and delivery.settled_at is not None and delivery.received_at is not None:
            self.delays.append(max(delivery.settled_at - delivery.received_at, 0))

    def status(self) -> Status:
        # The queues are not asked: whether anything is missing is for the balance to say.
        drawn = self.ledger.balances(queued=self.in_flight, parked=None, now_ms=0, settled_after_ms=0)
        delays = sorted(self.delays)
        return Status(
            app=self.app,
            received=drawn.get(self.app, Balance(self.app)),
            error_rate=self.wrong / self.events if self.events else None,
            median_delay=delays[len(delays) // 2] if delays else None,
            longest_delay=delays[-1] if delays else None,
            in_flight=self.in_flight,
            waits=dict(self.waits.most_common()),
            parked=dict(self.parked.most_common()),
            held=self.held,
            oldest_in_flight=self.oldest.get("in_flight"),
            oldest_parked=self.oldest.get("parked"),
            oldest_held=self.oldest.get("held"),
        )


@click.command("status", epilog="Example: bridge status --hours 3")
@any_app_argument
@click.option(
    "--hours", type=click.FloatRange(min=0, min_open=True), default=24, show_default=True, help="How far back."
)
@json_option
@on_account
def command(account: Account, app: str | None, hours: float, as_json: bool) -> None:
    """The last hours at a glance, for each app or APP.

    What was received and what became of it, what waits now and for how long, how ingest answered, and whether the
    forwarder is paused. An event
    counts when it was first received; the error rate is the share of events that are parked, or in flight after a
    failed try.

    It reads the whole deliveries table: about 0.02 USD for each million events in it.
    """
    now = now_ms()
    since = now - int(hours * _HOUR_MS)
    with working("Reading the deliveries …"):
        queues = counts(account)
        found = statuses(
            all_deliveries(account.client("dynamodb"), account.output("DeliveriesTableName")), since_ms=since
        )
        ingest = _ingest(account, since, now)
        paused = is_paused(account)
    if app is not None:
        found = {app: found.get(app) or _Sums(app, since).status()}
    document = {
        "since": iso(since),
        "ingest": ingest,
        "paused": paused,
        "queues": {name: count["visible"] + count["hidden"] for name, count in asdict(queues).items()},
        "apps": [_document(each, now) for each in found.values()],
    }
    show(document, lambda to: _show(to, found.values(), queues, ingest, hours, now, paused=paused), as_json=as_json)


def _ingest(account: Account, since: int, now: int) -> dict[str, int] | None:
    """How the gateway answered, by its own metrics. None where there are none to read, as in the local stack."""
    start, end = (datetime.fromtimestamp(moment / 1000, UTC) for moment in (since, now))
    try:
        answer = account.client("cloudwatch").get_metric_data(
            StartTime=start,
            EndTime=end,
            MetricDataQueries=[
                {
                    "Id": name,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/ApiGateway",
                            "MetricName": metric,
                            "Dimensions": [{"Name": "ApiId", "Value": account.output("ApiId")}],
                        },
                        "Period": _GATEWAY_PERIOD,
                        "Stat": "Sum",
                    },
                }
                for name, metric in _GATEWAY_METRICS.items()
            ],
        )
    except ClientError:
        return None
    sums = {result["Id"]: int(sum(result["Values"])) for result in answer["MetricDataResults"]}
    return {name: sums.get(name, 0) for name in _GATEWAY_METRICS} if sums.get("webhooks") else None


def _document(status: Status, now: int) -> dict[str, Any]:
    received = status.received
    return {
        "app": status.app,
        "received": received.received,
        "delivered": received.delivered,
        "skipped": received.skipped,
        "duplicate": received.duplicate,
        "parked": received.parked,
        "held": received.held,
        "in_flight": received.in_flight,
        "by_reason": {outcome: received.by_reason.get(outcome, {}) for outcome in ("skipped", "parked")},
        "error_rate": status.error_rate,
        "delay_ms": {"median": status.median_delay, "longest": status.longest_delay},
        "now": {
            "in_flight": status.in_flight,
            "retried_by_reason": status.waits,
            "oldest_in_flight": _oldest(status.oldest_in_flight, now),
            "parked_by_reason": status.parked,
            "oldest_parked": _oldest(status.oldest_parked, now),
            "held": status.held,
            "oldest_held": _oldest(status.oldest_held, now),
        },
    }


def _oldest(oldest: Oldest | None, now: int) -> dict[str, Any] | None:
    if oldest is None:
        return None
    age = (now - oldest.received_at) // 1000
    return {"event_id": oldest.event_id, "received_at": iso(oldest.received_at), "age_seconds": age}


def _show(
    to: Console,
    found: Iterable[Status],
    queues: Queues,
    ingest: Mapping[str, int] | None,
    hours: float,
    now: int,
    *,
    paused: bool | None,
) -> None:
    if paused:
        to.print(plain("Paused: the forwarder takes no events. To go on: bridge resume", "yellow"))
    for status in found:
        to.print(plain(f"App {status.app}, the last {hours:g} hours", "bold"))
        listed = table("", "")
        listed.show_header = False
        for name, value, style in _lines(status, now):
            listed.add_row(plain(name, "bold"), plain(value, style))
        to.print(listed)
        to.print()
    to.print(plain(f"On the queues: {queues.on_the_way} on the way, {queues.parked.all} parked."))
    if ingest is not None:
        to.print(
            plain("At ingest: {webhooks} webhooks, {refused} refused (4xx), {failed} failed (5xx).".format(**ingest))
        )


def _lines(status: Status, now: int) -> Iterable[tuple[str, str, str]]:
    received = status.received
    yield "received", str(received.received), ""
    yield "delivered", str(received.delivered), "green"
    yield "skipped", _counted(received.skipped, received.by_reason.get("skipped", {})), ""
    yield "duplicate", str(received.duplicate), ""
    yield "parked", _counted(received.parked, received.by_reason.get("parked", {})), "yellow" if received.parked else ""
    yield "held", str(received.held), ""
    yield "in flight", str(received.in_flight), ""
    if status.error_rate is not None:
        yield "error rate", f"{status.error_rate:.2%}", "yellow" if status.error_rate else ""
    if status.median_delay is not None and status.longest_delay is not None:
        yield "delivered after", f"{span(status.median_delay)} (median), {span(status.longest_delay)} (longest)", ""
    for name, count, reasons, oldest in (
        ("in flight now", status.in_flight, status.waits, status.oldest_in_flight),
        ("parked now", sum(status.parked.values()), status.parked, status.oldest_parked),
    ):
        waiting = _counted(count, reasons)
        if oldest is not None:
            waiting += f"; the oldest came {span(now - oldest.received_at)} ago: {oldest.event_id}"
        yield name, waiting, "yellow" if count else ""
    held = str(status.held)
    if status.oldest_held is not None:
        held += f", until a login; the oldest came {span(now - status.oldest_held.received_at)} ago"
    yield "held now", held, ""


def _counted(count: int, reasons: Mapping[str, int]) -> str:
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
    return f"{count}: {listed}" if listed else str(count)
