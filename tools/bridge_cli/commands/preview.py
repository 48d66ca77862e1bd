"""`bridge preview`: exactly what CleverTap would get of an event, or why nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError, NoCredentialsError, NoRegionError
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_option
from bridge_cli.cli_error import CliError, ErrorCode, misused
from bridge_cli.completion import sample_names
from bridge_cli.configuration import Configuration
from bridge_cli.dry_run import Forecast, forecast
from bridge_cli.output import json_option, plain, remark, show
from bridge_cli.reason import explained
from bridge_cli.sample import sample_or_file
from bridge_cli.secret_document import account_keys
from bridge_cli.settings_file import SETTINGS_FILE, read_text, valid
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT, Settings
from purchasely_clevertap.outcome import Delivered

_MINUTE_MS: Final = 60_000


class _Basis(NamedTuple):
    """The settings that a preview goes by, what they are, and whether the app has a project for test purchases."""

    settings: Settings
    name: str
    has_sandbox_account: bool = True


@click.command("preview", epilog="Example: bridge preview TRIAL_STARTED --settings settings.json")
@click.argument("event", metavar="EVENT|FILE", shell_complete=sample_names)
@app_option("The app whose deployed settings it goes by.")
@click.option("--settings", "settings_file", type=SETTINGS_FILE, metavar="FILE", help="Settings to go by instead.")
@click.option("--defaults", is_flag=True, help="Go by the default settings.")
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
@on_account
def command(
    account: Account, event: str, app: str, settings_file: Path | None, defaults: bool, minutes: int, as_json: bool
) -> None:
    """What CleverTap would get of an event, or why nothing.

    EVENT is the name of a sample event, such as TRIAL_STARTED; FILE holds the body of a webhook. Nothing is sent. It
    goes by the settings that APP has now; with --settings or --defaults no account is asked. The profile is that of a
    user who was not heard of before; later only changes are sent.
    """
    body = sample_or_file(event)
    if defaults and settings_file is not None:
        raise misused("give --settings or --defaults, not both")
    if settings_file is not None:
        basis = _Basis(valid(read_text(settings_file), settings_file), "file")
    else:
        basis = _Basis(DEFAULT, "default") if defaults else _deployed(account, app)
    found = forecast(
        body, Mapper(basis.settings), age_ms=minutes * _MINUTE_MS, has_sandbox_account=basis.has_sandbox_account
    )
    show({**_document(found), "settings": basis.name}, lambda console: _view(console, found), as_json=as_json)


def _deployed(account: Account, app: str) -> _Basis:
    """The settings that hold for the app; the default ones, and a remark that says so, where no stack can be asked."""
    try:
        account.stack  # noqa: B018 - without a stack there are no settings
        configuration = Configuration(account, app)
        stored = configuration.settings()
        secret = configuration.secret("clevertap")
    except (NoCredentialsError, NoRegionError, NoConnectionError, HTTPClientError) as error:
        remark(f"By the default settings: {str(error).rstrip('.')}, so those of app {app} are unknown.")
        return _Basis(DEFAULT, "default")
    except CliError as error:
        if error.code not in (ErrorCode.NO_STACK, ErrorCode.NO_LOCAL_STACK):
            raise
        remark(f"By the default settings: {error.message}.")
        return _Basis(DEFAULT, "default")
    if stored.held is None:
        raise CliError(
            f"the settings of app {app} are not valid: {stored.problems[0]}; give --settings or --defaults",
            code=ErrorCode.INVALID,
        )
    if stored.problems:
        remark("The stored settings are not valid; these are the last valid ones.")
    # Whoever may not read the secret sees what holds with an account for test purchases.
    has_sandbox = not isinstance(secret, Mapping) or account_keys(secret, Environment.SANDBOX) is not None
    return _Basis(stored.held, "deployed", has_sandbox)


def _document(found: Forecast) -> dict[str, Any]:
    return {
        "event_id": found.event_id,
        "event_name": found.event_name,
        "outcome": found.outcome,
        "reason": found.reason,
        "detail": found.detail,
        "account": found.account,
        "records": [record.content for record in found.records],
        "left_out": list(found.left_out),
    }


def _view(console: Console, found: Forecast) -> None:
    name = found.event_name or "The event"
    if found.outcome != Delivered.name:
        reason = explained(found.reason) if found.reason is not None else found.detail
        console.print(plain(f"{name} would be {found.outcome}: {reason}.", "bold"), soft_wrap=True)
        if found.reason is not None and found.detail:
            console.print(plain(found.detail), soft_wrap=True)
        if not found.records:
            return
    kinds = ", ".join(record.name or record.kind for record in found.records)
    what = "What it tells" if found.outcome != Delivered.name else name
    console.print(plain(f"{what} would be uploaded to the {found.account} account, as: {kinds}", "bold"))
    if found.account is Environment.SANDBOX:
        console.print("Without such an account it is skipped (no_sandbox_account).")
    for record in found.records:
        console.print()
        console.print(plain(json.dumps(record.content, indent=2, ensure_ascii=False), lines=True), soft_wrap=True)
    if found.left_out:
        console.print()
        console.print(plain(f"Cut or left out, as CleverTap takes no such value: {', '.join(found.left_out)}"))
