"""What every command of `bridge` keeps to: exit codes, errors for scripts, examples, completion, few calls of AWS."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from bridge_cli.__main__ import COMMANDS, bridge
from bridge_cli.id_command import IdCommand
from tests.integration.cli import Cli
from tests.integration.cloud import Cloud
from tests.integration.installation import Installation, installed


def every_command(group: click.Group, path: str = "bridge") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from every_command(command, f"{path} {name}")


EVERY = dict(every_command(bridge))


@pytest.fixture
def installation(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with installed(cloud, monkeypatch) as there:
        yield there


@pytest.mark.parametrize("path", EVERY)
def test_every_help_has_an_example(path: str) -> None:
    command = EVERY[path]
    assert command.epilog is not None
    example = command.epilog.removeprefix("Example: ")
    assert example.startswith(path) or path == "bridge parked redrive"  # the same as `bridge redrive`
    words = example.split()[1:]
    found: click.Command = bridge
    while isinstance(found, click.Group) and words:
        below = found.get_command(click.Context(found), words.pop(0))
        assert below is not None
        found = below
    known = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def completed(*words: str, incomplete: str) -> set[str]:
    shell = ShellComplete(bridge, {}, "bridge", "_BRIDGE_COMPLETE")
    return {str(item.value) for item in shell.get_completions(list(words), incomplete)}


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (["send"], "trial_", {"TRIAL_STARTED", "TRIAL_CONVERTED", "TRIAL_NOT_CONVERTED"}),
        (["preview"], "SUBSCRIPTION_REN", {"SUBSCRIPTION_RENEWED"}),
        (["send", "lifecycle"], "trial", {"trial_converts"}),
        (["redrive", "--reason"], "unusable", {"unusable_identity", "unusable_event_name"}),
        (["parked", "list", "--event-name"], "TRIAL_S", {"TRIAL_STARTED"}),
        (["settings", "show"], "d", {"default"}),
        ([], "re", {"redrive"}),
    ],
)
def test_the_shell_completes_names(
    monkeypatch: pytest.MonkeyPatch, words: list[str], incomplete: str, expected: set[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert completed(*words, incomplete=incomplete) >= expected


def test_the_shell_completes_the_apps_of_the_stack(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["x"]}, app="second")
    monkeypatch.setattr(os, "environ", os.environ)
    assert completed("--stage", "test", "settings", "show", incomplete="s") == {"second"}


def test_an_error_for_scripts_has_a_code(cloud: Cloud, cli: Cli) -> None:
    del cloud
    assert cli.json("trace", "nobody", exit_code=1)["error"]["code"] == "not_found"
    assert cli.json("trace", exit_code=2)["error"]["code"] == "usage"


def test_what_aws_refuses_is_exit_code_3(installation: Installation) -> None:
    installation.cloud.calls.always("BatchGetItem", "AccessDeniedException")
    assert installation.json("trace", "user-1", exit_code=3)["error"]["code"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("trace", "-2ce3f0"), 1),
        (("forget", "-hexample", "--yes"), 0),
        (("redrive", "-2ce3f0", "--yes"), 1),
        (("parked", "redrive", "-2ce3f0", "--yes"), 1),
        (("parked", "show", "-2ce3f0"), 1),
        (("parked", "discard", "-2ce3f0", "--yes"), 1),
    ],
)
def test_an_id_may_begin_with_a_dash(cloud: Cloud, cli: Cli, arguments: tuple[str, ...], exit_code: int) -> None:
    del cloud
    result = cli.run(*arguments)
    assert result.exit_code == exit_code, result.output
    assert "-hexample" in result.output or "-2ce3f0" in result.output


@click.command(cls=IdCommand)
@click.argument("ids", nargs=-1)
@click.option("--app")
@click.option("--yes", is_flag=True)
def echo(ids: tuple[str, ...], app: str | None, yes: bool) -> None:
    click.echo(repr((ids, app, yes)))


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        (["-2ce3", "--app", "-b2", "--yes"], (("-2ce3",), "-b2", True)),
        (["--yes", "-hello", "a", "-b2"], (("a", "-hello", "-b2"), None, True)),
        (["--app=x", "--", "--yes"], (("--yes",), "x", False)),
    ],
)
def test_options_keep_their_values_beside_ids(arguments: list[str], parsed: tuple[object, ...]) -> None:
    assert CliRunner().invoke(echo, arguments).stdout.strip() == repr(parsed)


def test_settings_put_reads_each_thing_once(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"revenue": {"charged": false}}', encoding="utf-8")
    installation.set_up()
    assert installation.json("settings", "put", str(file), "--yes")["written"] is True
    assert len(installation.cloud.calls.of("GetParameter")) == 1
    assert len(installation.cloud.calls.of("GetSecretValue")) == 1


def test_the_list_says_what_the_help_says() -> None:
    first_lines = {path.split()[1]: command.help for path, command in EVERY.items() if path.count(" ") == 1}
    assert {name: (text or "").partition("\n")[0] for name, text in first_lines.items()} == COMMANDS


def test_help_loads_nothing_of_aws() -> None:
    code = (
        "import sys; from bridge_cli.__main__ import bridge; bridge(['--help'], standalone_mode=False); "
        "print(*sys.modules, file=sys.stderr)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=importing_from_here()
    )
    assert not {"boto3", "botocore", "pydantic", "rich"} & set(found.stderr.split())


def importing_from_here() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
