"""`bridge balance`: whether every webhook is accounted for."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any, Final

import click
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import any_app_argument
from bridge_cli.balance import Balance, Tally
from bridge_cli.deliveries import EventKey, all_deliveries, deliveries
from bridge_cli.output import json_option, plain, remark, show, table, working
from bridge_cli.parked_messages import taken
from bridge_cli.queues import Queues, counts
from bridge_cli.times import now_ms

_IDS_SHOWN: Final = 20
_PARKED: Final = "parked"
_WITH_REASON: Final = ("skipped", _PARKED)


@click.command("balance", epilog="Example: bridge balance my-app --after 15")
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

    For each app, or APP: received = delivered + skipped + duplicate + parked + held + in flight, from what ingest
    noted and what the forwarder remembers, for the last 30 days. Where it doesn't add up, the ids of the events say
    why. The exit code is 1 then. Events that only `bridge backfill` brought are counted beside the sum.

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
    ledger = Tally()
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
    with taken(account) as messages:
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
    columns = ("received", "delivered", "skipped", "duplicate", "parked", "held", "in flight")
    listed = table("app", *columns, "", right=columns)
    for each in found:
        accounted = (each.delivered, each.skipped, each.duplicate, each.parked, each.held, each.in_flight)
        verdict = plain("adds up", "green") if each.adds_up else plain("is off", "bold red")
        listed.add_row(plain(each.app), *map(plain, (each.received, *accounted)), verdict)
    to.print(listed)
    for each in found:
        if each.backfilled:
            to.print(plain(f"{each.app}: beside these, {each.backfilled} events were backfilled"))
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
