"""`bridge preview`: exactly what CleverTap would get of an event, or why nothing. Needs no account and no network."""

import json
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from bridge_cli.completion import sample_names
from bridge_cli.dry_run import Forecast, forecast
from bridge_cli.output import json_option, plain, show
from bridge_cli.reason import explained
from bridge_cli.sample import sample_or_file
from bridge_cli.settings_file import SETTINGS_FILE, read_text, valid
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT

_MINUTE_MS: Final = 60_000


@click.command("preview", epilog="Example: bridge preview TRIAL_STARTED --settings settings.json")
@click.argument("event", metavar="EVENT|FILE", shell_complete=sample_names)
@click.option(
    "--settings", "settings_file", type=SETTINGS_FILE, metavar="FILE", help="Settings to go by, not the default ones."
)
@click.option(
    "--age",
    "minutes",
    type=click.IntRange(min=0),
    metavar="MINUTES",
    default=0,
    show_default=True,
    help="How long after the event it is uploaded, for the setting late_events.",
)
@json_option
def command(event: str, settings_file: Path | None, minutes: int, as_json: bool) -> None:
    """What CleverTap would get of an event, or why nothing.

    EVENT is the name of a sample event, such as TRIAL_STARTED; FILE holds the body of a webhook. Nothing is sent and
    no account is asked. The profile is that of a user who was not heard of before; later only changes are sent.
    """
    settings = DEFAULT if settings_file is None else valid(read_text(settings_file), settings_file)
    found = forecast(sample_or_file(event), Mapper(settings), age_ms=minutes * _MINUTE_MS)
    show(_document(found), lambda console: _view(console, found), as_json=as_json)


def _document(found: Forecast) -> dict[str, Any]:
    return {
        "event_id": found.event_id,
        "event_name": found.event_name,
        "outcome": found.outcome,
        "reason": found.reason,
        "detail": found.detail,
        "account": found.account,
        "records": [record.content for record in found.records],
        "clipped": list(found.clipped),
    }


def _view(console: Console, found: Forecast) -> None:
    name = found.event_name or "The event"
    if not found.records:
        console.print(plain(f"{name} would be {found.outcome}: {explained(found.reason)}.", "bold"))
        if found.detail:
            console.print(plain(found.detail), soft_wrap=True)
        return
    kinds = ", ".join(record.name or record.kind for record in found.records)
    console.print(plain(f"{name} would be uploaded to the {found.account} account, as: {kinds}", "bold"))
    if found.account is Environment.SANDBOX:
        console.print("Without such an account it is skipped (no_sandbox_account).")
    for record in found.records:
        console.print()
        console.print(plain(json.dumps(record.content, indent=2, ensure_ascii=False)), soft_wrap=True)
    if found.clipped:
        console.print()
        console.print(plain(f"Cut or left out, as CleverTap takes no such value: {', '.join(found.clipped)}"))
