"""`bridge pause`: the forwarder takes no events, and they wait."""

import click

from bridge_cli.account import Account, on_account
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.event_sources import all_sources, switch
from bridge_cli.output import json_option, say, working, write_json
from bridge_cli.probe import Stopwatch
from bridge_cli.prompts import agreed


@click.command("pause", epilog="Example: bridge pause --yes --stage prod")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@on_account
def command(account: Account, yes: bool, as_json: bool) -> None:
    """Stop the forwarder, as for maintenance at CleverTap.

    Ingest goes on: webhooks are answered 200, and their events wait on the events queue, for 14 days at most. What the
    forwarder has begun it ends. It concerns every app of the stack, until `bridge resume`.

    `bridge check` and `bridge status` say that it is paused; the alarm paused rings after a quarter of an hour, the
    alarm oldest after 90 minutes.
    """
    sources = all_sources(account)
    if not all(source.is_paused for source in sources):
        question = "No app's events go to CleverTap until `bridge resume`. Pause?"
        if not agreed(question, yes=yes, otherwise="nothing is paused by a script without --yes"):
            raise CliError("nothing is paused", code=ErrorCode.DECLINED)
        with working("The forwarder stops …"):
            sources = switch(account, sources, enabled=False, clock=Stopwatch())
    if as_json:
        write_json({"paused": True, "event_sources": [source.document for source in sources]})
    else:
        say("Paused: events wait on the events queue. To go on: bridge resume")
