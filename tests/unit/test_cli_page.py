"""The page on the CLI names commands and options that there are."""

import re
import shlex
from pathlib import Path

import click
import pytest

from bridge_cli.__main__ import COMMANDS, bridge

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
_SPANS = re.findall(r"`(bridge [^`\n]+)`", PAGE)
_BLOCKS = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).replace("\\\n", "")
LINES = [*_SPANS, *(line for line in _BLOCKS.splitlines() if line.startswith("bridge "))]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and the words after it."""
    command: click.Command = bridge
    while isinstance(command, click.Group) and words:
        below = command.get_command(click.Context(command), words[0])
        if below is None:
            break
        command, words = below, words[1:]
    return command, words


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_could_be_typed(line: str) -> None:
    command, words = command_of(shlex.split(line, comments=True)[1:])
    assert not isinstance(command, click.Group), line
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_every_command_is_on_the_page() -> None:
    assert {line.split()[1] for line in LINES} == set(COMMANDS)
