"""`bridge settings`: looks at the settings of an app, and changes them once it is plain what that does."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_argument
from bridge_cli.app_setup import region_by
from bridge_cli.clevertap_check import new_client, problem
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.configuration import Configuration, StoredSettings, size_warnings
from bridge_cli.deployment import deployment
from bridge_cli.output import console, json_option, plain, remark, say, show, table, working, write_json
from bridge_cli.prompts import agreed
from bridge_cli.sample import samples
from bridge_cli.secret_document import account_keys
from bridge_cli.settings_diff import Effect, EffectChange, SettingChange, Situation, effects, setting_changes
from bridge_cli.settings_file import SETTINGS_FILE, read_text, valid
from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.mapping.settings import Settings, SettingsError, parse, warnings
from purchasely_clevertap.padding import unpadded

_FEW: Final = 4
_MOST_WARNINGS: Final = 20

_file_argument = click.argument("file", type=SETTINGS_FILE)


@click.group("settings", epilog="Example: bridge settings put settings.json my-app")
def command() -> None:
    """The settings of an app: see, check, change them.

    docs/settings.md describes each. New settings apply within a minute, without a deployment.
    """


@command.command("show", epilog="Example: bridge settings show my-app --all")
@app_argument
@click.option("--all", "complete", is_flag=True, help="With every default filled in.")
@json_option
@on_account
def show_settings(account: Account, app: str, complete: bool, as_json: bool) -> None:
    """The settings of APP as they are stored.

    On stdout stands nothing else: a file to edit, then to put.

    Settings that are not valid are shown too, with what is wrong; the forwarder goes by the last valid ones.
    """
    configuration = Configuration(account, app)
    stored = configuration.settings()
    held = None if stored.held is None else stored.held.model_dump(mode="json")
    if as_json:
        write_json(
            {
                "app": app,
                "parameter": configuration.settings_parameter,
                "version": stored.version,
                "valid": not stored.problems,
                "problems": list(stored.problems),
                "stored": _object(stored.text),
                "in_force": held,
            }
        )
    else:
        remark(f"{configuration.settings_parameter}, {_version(stored)}")
        say(json.dumps(held, indent=2, ensure_ascii=False) if complete else _pretty(stored.text or "{}"))
        for problem in stored.problems:
            remark(f"Not valid: {problem}")
    if stored.problems:
        raise click.exceptions.Exit(1)


@command.command("check", epilog="Example: bridge settings check settings.json")
@_file_argument
@json_option
def check_file(file: Path, as_json: bool) -> None:
    """Are the settings in FILE valid? If not, everything that is wrong. Asks no account.

    A name of an event or of a property that nobody knows is a warning: Purchasely may send it one day, but it may as
    well be a slip.
    """
    problems: Sequence[str] = ()
    doubts: Sequence[str] = ()
    text = read_text(file)
    try:
        doubts = _doubts(parse(text), text)
    except SettingsError as error:
        problems = error.problems

    def view(to: Console) -> None:
        for line in problems or [f"{file} is valid."]:
            to.print(plain(line), soft_wrap=True)
        for line in doubts:
            to.print(plain(f"Warning: {line}", "yellow"), soft_wrap=True)

    document = {"file": str(file), "valid": not problems, "problems": list(problems), "warnings": list(doubts)}
    show(document, view, as_json=as_json)
    if problems:
        raise click.exceptions.Exit(1)


@command.command("diff", epilog="Example: bridge settings diff settings.json my-app")
@_file_argument
@app_argument
@json_option
@on_account
def diff_file(account: Account, file: Path, app: str, as_json: bool) -> None:
    """What the settings in FILE would change for APP.

    Shown on the sample events, as purchases and as test purchases, of users without a login, and late. Writes nothing.
    """
    wanted = valid(read_text(file), file)
    comparison = _Comparison.of(Configuration(account, app), wanted)
    show(comparison.document, comparison.view, as_json=as_json)


@command.command("put", epilog="Example: bridge settings put settings.json my-app --yes")
@_file_argument
@app_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@on_account
def put_file(account: Account, file: Path, app: str, yes: bool, as_json: bool) -> None:
    """Give APP the settings in FILE.

    They are checked, what they would change is shown, and you are asked before they are written. A region that is new
    is written only when CleverTap accepts the app's credentials there (a dry run). With --json nothing is written
    without --yes: the document says what would change.
    """
    text = read_text(file)
    wanted = valid(text, file)
    configuration = Configuration(account, app)
    doubts = _doubts(wanted, text)
    comparison = _Comparison.of(configuration, wanted)
    _require_regions(account, configuration, wanted)
    if as_json:
        version = configuration.put_settings(text) if yes else None
        write_json({**comparison.document, "warnings": doubts, "written": yes, "version": version})
        return
    comparison.view(console())
    for line in doubts:
        remark(f"Warning: {line}")
    if not agreed(
        f"Write these settings of app {app}, stage {account.stage}?",
        yes=yes,
        otherwise="nothing is written: give --yes, as there is no terminal to ask at",
    ):
        raise CliError("nothing is written", code=ErrorCode.DECLINED)
    version = configuration.put_settings(text)
    click.echo(f"Written: {configuration.settings_parameter}, version {version}. It applies within a minute.")


def _doubts(settings: Settings, text: str) -> list[str]:
    """What may be a slip in valid settings, the first of it."""
    found = [*size_warnings(text), *warnings(settings)]
    more = len(found) - _MOST_WARNINGS
    return [*found[:_MOST_WARNINGS], f"{more} more names that nobody knows"] if more > 0 else found


def _require_regions(account: Account, configuration: Configuration, wanted: Settings) -> None:
    """CliError if CleverTap does not accept the app's credentials where `wanted` has a project that was elsewhere."""
    held, secret = configuration.settings().held, configuration.secret("clevertap")
    for project in Project:
        region = region_by(wanted, project)
        keys = account_keys(secret, project) if isinstance(secret, Mapping) else None
        if keys is None or (held is not None and region_by(held, project) is region):
            continue
        with working("CleverTap tries the credentials in the new region …"):
            result = new_client().check(Credentials(*keys, deployment(account).endpoint(region)))
        if wrong := problem(result):
            raise CliError(
                f"{project} project {keys[0]} in region {region}: {wrong}. Nothing is written; "
                f"`bridge setup {configuration.app}` changes region and credentials together",
                code=ErrorCode.REFUSED_BY_CLEVERTAP,
            )


class _Comparison:
    """What other settings change for an app."""

    def __init__(self, app: str, stored: StoredSettings, changed: list[SettingChange], effected: list[Effect]) -> None:
        self._app = app
        self._stored = stored
        self._changed = changed
        self._effects = effected

    @classmethod
    def of(cls, configuration: Configuration, wanted: Settings) -> "_Comparison":
        """The comparison of the settings that hold with those that are wanted."""
        stored = configuration.settings()
        held = Settings() if stored.held is None else stored.held
        secret = configuration.secret("clevertap")
        # Whoever may not read the secret sees what holds with an account for test purchases.
        has_sandbox = not isinstance(secret, Mapping) or account_keys(secret, Project.SANDBOX) is not None
        found = effects(held, wanted, samples(), has_sandbox_account=has_sandbox)
        return cls(configuration.app, stored, setting_changes(held, wanted), found)

    @property
    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "app": self._app,
            "settings": [asdict(change) for change in self._changed],
            "events": [
                {
                    "event": effect.event,
                    "situation": effect.situation.name.lower(),
                    "changes": [asdict(change) | {"words": change.words} for change in effect.changes],
                }
                for effect in self._effects
            ],
        }

    def view(self, to: Console) -> None:
        """For people: the settings, then their effects, events with the same ones together."""
        if self._stored.problems:
            to.print("The stored settings are not valid; compared are those that hold, the last valid ones.")
        if not self._changed:
            to.print("No setting changes.")
            return
        changes = table("setting", "now", "then")
        for change in self._changed:
            changes.add_row(plain(change.setting), _value(change.before), _value(change.after))
        to.print(changes)
        to.print()
        grouped = _grouped(self._effects)
        if not grouped:
            to.print(f"None of the {len(samples())} sample events changes for CleverTap.")
            return
        shown = table("what changes for CleverTap", "when", "sample events")
        for (situation, group), names in grouped.items():
            words = "\n".join(change.words for change in group)
            shown.add_row(
                plain(words, lines=True), "" if situation is Situation.PURCHASE else situation, _listed(names)
            )
        to.print(shown)
        unchanged = len(samples()) - len({effect.event for effect in self._effects if effect.changes})
        if unchanged:
            to.print(f"\nUnchanged: {unchanged} of {len(samples())} sample events.")


type _Group = tuple[Situation, tuple[EffectChange, ...]]


def _grouped(found: Sequence[Effect]) -> Mapping[_Group, list[str]]:
    """The events of each effect: by situation, and what concerns most events first."""
    groups: dict[_Group, list[str]] = {}
    for effect in found:
        if effect.changes:
            groups.setdefault((effect.situation, effect.changes), []).append(effect.event)
    situations = list(Situation)
    return dict(sorted(groups.items(), key=lambda item: (situations.index(item[0][0]), -len(item[1]))))


def _listed(names: Sequence[str]) -> str:
    if len(names) == len(samples()):
        return f"all {len(names)}"
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{', '.join(names[: _FEW - 1])} and {len(names) - _FEW + 1} more"


def _value(value: object) -> Text:
    return plain(None if value is None else json.dumps(value, ensure_ascii=False))


def _version(stored: StoredSettings) -> str:
    return f"version {stored.version}" if stored.text is not None else "which is not there: the defaults hold"


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(unpadded(text)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _object(text: str | None) -> object:
    """What is stored, as JSON if it is JSON."""
    if text is None:
        return None
    try:
        return json.loads(unpadded(text))
    except (ValueError, RecursionError):
        return text
