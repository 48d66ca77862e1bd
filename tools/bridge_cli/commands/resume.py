"""`bridge resume`: the forwarder takes events again."""

import click

from bridge_cli.account import Account, on_account
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.event_sources import all_sources, switch
from bridge_cli.output import json_option, say, working, write_json
from bridge_cli.probe import Stopwatch
from bridge_cli.prompts import agreed
from bridge_cli.queues import counts


@click.command("resume", epilog="Example: bridge resume --yes --stage prod")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@on_account
def command(account: Account, yes: bool, as_json: bool) -> None:
    """Let the forwarder go on after `bridge pause`.

    What has waited is delivered now, each event with its own time. For an event older than two hours CleverTap triggers
    no live campaign; the setting late_events says what becomes of it.
    """
    sources, waiting = all_sources(account), counts(account).on_the_way
    if not all(source.is_running for source in sources):
        question = f"{waiting} waiting events go to CleverTap now. Resume?"
        if not agreed(question, yes=yes, otherwise="nothing is resumed by a script without --yes"):
            raise CliError("nothing is resumed", code=ErrorCode.DECLINED)
        with working("The forwarder starts …"):
            sources = switch(account, sources, enabled=True, clock=Stopwatch())
    if as_json:
        write_json({"paused": False, "waiting": waiting, "event_sources": [source.document for source in sources]})
    else:
        say(f"The forwarder takes events: {waiting} wait.")
