"""What every command of `bridge` keeps to: exit codes, errors for scripts, examples, completion, few calls of AWS."""

import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from bridge_cli.__main__ import COMMANDS, behind_dashes, bridge
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
    assert cli.json("trace", "nobody", exit_code=1)["error"]["code"] == "failed"
    assert cli.json("trace", exit_code=2)["error"]["code"] == "usage"


def test_what_aws_refuses_is_exit_code_3(installation: Installation) -> None:
    installation.cloud.calls.always("GetItem", "AccessDeniedException")
    assert installation.json("trace", "user-1", exit_code=3)["error"]["code"] == "AccessDeniedException"


@pytest.mark.parametrize("arguments", [("trace", "-2ce3f0"), ("forget", "-hexample", "--yes")])
def test_an_id_may_begin_with_a_dash(cloud: Cloud, cli: Cli, arguments: tuple[str, ...]) -> None:
    del cloud
    result = cli.run(*arguments)
    assert result.exit_code in (0, 1)
    assert "No such option" not in result.output
    assert "Usage" not in result.output


def test_options_stay_options() -> None:
    assert behind_dashes(["trace", "-2ce3", "--json", "-h"]) == ["trace", "--json", "-h", "--", "-2ce3"]


def test_settings_put_reads_each_thing_once(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"revenue": {"charged": false}}', encoding="utf-8")
    installation.set_up()
    assert installation.json("settings", "put", str(file), "--yes")["written"] is True
    assert len(installation.cloud.calls.of("GetParameter")) == 1
    assert len(installation.cloud.calls.of("GetSecretValue")) == 1


def test_a_command_is_loaded_when_it_is_asked_for() -> None:
    assert bridge.commands == {}
    assert set(COMMANDS) == {path.split()[1] for path in EVERY}
