"""`bridge parked`: the events that wait for a person."""

import json
from collections.abc import Sequence
from typing import Any, Final

import click
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import DEFAULT_APP, any_app_option
from bridge_cli.cli_error import CliError, ErrorCode, misused
from bridge_cli.commands.redrive import command as redrive
from bridge_cli.discarding import discard, ledger_of, parked_without_message
from bridge_cli.documents import body_document, parked_document
from bridge_cli.id_command import IdCommand
from bridge_cli.output import json_option, plain, remark, show, table, working, write_json
from bridge_cli.parked_messages import Choice, ParkedEvent, taken
from bridge_cli.parked_selection import (
    agreed_on,
    by_reason,
    choosing,
    counted,
    elsewhere,
    end,
    failures,
    ids,
    not_found,
    selection,
    yes_option,
)
from bridge_cli.times import now_ms, readable

_LISTED: Final = 50

_limit_option = click.option(
    "--limit", default=_LISTED, show_default=True, help="Events in the table, 0 for all. --json always has all."
)


@click.group("parked", epilog="Example: bridge parked list --reason refused_by_clevertap")
def command() -> None:
    """List, show, redrive, discard the events that wait for a person.

    An event is parked when CleverTap refuses it, when it can't be read, or when it could not be delivered for days.
    It waits on the parked queue for 14 days with its exact body and the reason.
    """


command.add_command(redrive)


@command.command("list", epilog="Example: bridge parked list --since 2h")
@choosing
@_limit_option
@json_option
@on_account
def list_(account: Account, choice: Choice, limit: int, as_json: bool) -> None:
    """What waits: how many for each reason, then the events; `bridge parked show` says what is wrong with one.

    Every message of the queue is received for it and given back at once: for some seconds nobody else sees them.
    """
    with taken(account) as messages:
        events = choice.of(messages.messages)
        held_elsewhere = messages.elsewhere
    document = {
        "events": len(events),
        "messages": sum(len(event.messages) for event in events),
        "held_elsewhere": held_elsewhere,
        "by_reason": by_reason(events),
        "parked": [parked_document(event) for event in events],
    }
    show(document, lambda to: _list(to, events, held_elsewhere, limit), as_json=as_json)


@command.command("show", cls=IdCommand, epilog="Example: bridge parked show 4f0b6c1e-7d3a-4f62-9d5e-0c9a1b2d3e4f")
@click.argument("event_id")
@any_app_option("The event's app, if two apps have an event of this id.")
@json_option
@on_account
def show_(account: Account, event_id: str, app: str | None, as_json: bool) -> None:
    """All there is of one parked event, its body too.

    The body holds personal data. It is shown because you ask for it: mind who looks on, and where you keep it.
    """
    with taken(account) as messages:
        events = Choice(frozenset({event_id}), app).of(messages.messages)
        held_elsewhere = messages.elsewhere
    if not events:
        raise CliError(
            f"event {event_id} is not on the parked queue{elsewhere(held_elsewhere)}; see `bridge trace {event_id}`",
            code=ErrorCode.NOT_FOUND,
        )
    if len(events) > 1:
        apps = ", ".join(event.newest.app for event in events)
        raise misused(f"several apps have an event {event_id}: name one of them with --app: {apps}")
    event = events[0]
    show({**parked_document(event), **body_document(event.newest)}, lambda to: _show(to, event), as_json=as_json)


@command.command("discard", cls=IdCommand, epilog="Example: bridge parked discard --reason unreadable --until 7d")
@click.argument("event_ids", nargs=-1, metavar="[EVENT_ID]...")
@choosing
@click.option("--all", "everything", is_flag=True, help="Every parked event. Needed when nothing else is given.")
@yes_option
@json_option
@on_account
def discard_(account: Account, choice: Choice, everything: bool, yes: bool, as_json: bool) -> None:
    """Give parked events up for good: CleverTap never gets them.

    First it says which they are, and asks. In the balance they are then skipped, with the reason `discarded`. An
    event named by its id that is remembered as parked but has left the queue, which keeps it for 14 days, is
    discarded as well.

    With --json nothing happens without --yes: the document says what would.
    """
    if choice.is_everything and not everything:
        raise click.UsageError("say which: EVENT_ID, --app, --reason, --event-name, --since, --until, or --all")
    ledger = ledger_of(account)
    with taken(account) as messages:
        events = choice.of(messages.messages)
        app = choice.app or DEFAULT_APP
        absent = [(app, event_id) for event_id in not_found(choice, events)]
        unqueued = parked_without_message(ledger, absent) if absent else []
        missing = [event_id for _, event_id in absent if (app, event_id) not in unqueued]
        document: dict[str, Any] = {
            **selection(events, missing),
            "not_on_the_queue": ids(unqueued),
            "done": False,
        }
        question = "Give up {} for good?"
        if not agreed_on(events, missing, messages, question, yes=yes, as_json=as_json, more=len(unqueued)):
            if as_json:
                write_json(document)
            end(wrong=bool(missing))
        with working("Discarding them …"):
            done = discard(ledger, messages, events, unqueued, now_ms=now_ms())
    document |= {
        "done": True,
        "discarded": ids(done.events),
        "leftovers": ids(done.leftovers),
        "failed": failures(done.failed.items()),
    }
    if as_json:
        write_json(document)
    else:
        click.echo(f"Discarded: {counted(len(done.events))}.")
        if done.leftovers:
            click.echo(f"Removed the messages of {counted(len(done.leftovers))} that had another outcome already.")
    for (_, event_id), error in done.failed.items():
        remark(f"Not discarded: {event_id}: {error}")
    end(wrong=bool(missing or done.failed))


def _list(to: Console, events: Sequence[ParkedEvent], held_elsewhere: int, limit: int) -> None:
    if not events:
        to.print(plain(f"No parked event{elsewhere(held_elsewhere)}."))
        return
    summary = table("count", "reason", right=["count"])
    for reason, count in by_reason(events).items():
        summary.add_row(plain(count), plain(reason))
    to.print(summary)
    to.print()
    shown = events[-limit:] if limit else events
    for message in (event.newest for event in shown):
        about = (readable(message.parked_at), message.app, message.event_id, message.event_name or "")
        code = f" ({message.code})" if message.code is not None else ""
        # Lines that only the terminal breaks: an id is copied from here.
        to.print(plain("  ".join(about)), soft_wrap=True)
        # Not the detail, which may quote the body: `parked show` has it.
        to.print(plain(f"    {message.reason}{code}"), soft_wrap=True)
    if len(shown) < len(events):
        to.print(plain(f"… and {len(events) - len(shown)} parked before: --limit 0 shows all"))
    if held_elsewhere:
        to.print(plain(f"{held_elsewhere} more messages are with another command, or with one that was killed."))


def _show(to: Console, event: ParkedEvent) -> None:
    remark("What follows holds personal data.")
    message = event.newest
    facts = table("", "")
    facts.show_header = False
    rows = {
        "event id": message.event_id,
        "app": message.app,
        "event": message.event_name,
        "reason": message.reason,
        "CleverTap's code": message.code,
        "what is wrong": message.detail,
        "CleverTap has": ", ".join(sorted(event.accepted)) or "nothing of it",
        "received (UTC)": readable(message.received_at),
        "parked (UTC)": readable(message.parked_at),
        "accepted as message": message.message_id,
        "messages": len(event.messages),
    }
    for name, value in rows.items():
        if value is not None:
            facts.add_row(plain(name, "bold"), plain(value))
    to.print(facts)
    to.print()
    to.print(plain(_pretty(message.body), lines=True), soft_wrap=True)


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode(errors="replace") or "(no body)"
