"""`bridge redrive`: sends parked events back."""

from typing import Any

import click

from bridge_cli.account import Account, on_account
from bridge_cli.id_command import IdCommand
from bridge_cli.output import json_option, remark, working, write_json
from bridge_cli.parked_messages import Choice, taken
from bridge_cli.parked_selection import (
    agreed_on,
    choosing,
    counted,
    end,
    failures,
    ids,
    not_found,
    selection,
    yes_option,
)


@click.command("redrive", cls=IdCommand, epilog="Example: bridge redrive --event-name SUBSCRIPTION_RENEWED --since 2h")
@click.argument("event_ids", nargs=-1, metavar="[EVENT_ID]...")
@choosing
@yes_option
@json_option
@on_account
def command(account: Account, choice: Choice, yes: bool, as_json: bool) -> None:
    """Send parked events back to the events queue.

    Without ids and options it is every parked event. First it says what would go back, and asks. What CleverTap
    has already taken of an event is never sent again, and one that can't be delivered still is parked anew.

    An event is on the events queue before it leaves the parked queue, so none is lost, whatever happens meanwhile.
    With --json nothing happens without --yes: the document says what would.
    """
    with taken(account) as messages:
        events = choice.of(messages.messages)
        missing = not_found(choice, events)
        document: dict[str, Any] = {**selection(events, missing), "done": False}
        if not agreed_on(events, missing, messages, "Send {} back to the events queue?", yes=yes, as_json=as_json):
            if as_json:
                write_json(document)
            end(wrong=bool(missing))
        with working("Sending them back …"):
            done = messages.redrive(events, to=account.output("EventsQueueUrl"))
    document |= {
        "done": True,
        "redriven": ids(done.sent),
        "failed": failures(done.failed.items()),
        "still_on_the_queue": ids(done.kept),
    }
    if as_json:
        write_json(document)
    else:
        click.echo(f"Sent back: {counted(len(done.sent))}.")
    for (_, event_id), error in done.failed.items():
        remark(f"Not sent back, still parked: {event_id}: {error}")
    if done.kept:
        remark(
            f"{counted(len(done.kept))} went back but could not be removed from the parked queue. Sending them back "
            "once more does no harm: they are duplicates by then."
        )
    end(wrong=bool(missing or done.failed))
