"""What a command asks of a person, or takes as options.

A secret is typed without being shown, or read from a file or stdin; it is never an option's value, which would stand
in the shell's history and in the list of processes. Questions go to stderr, so that stdout has only the answer.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bridge_cli.cli_error import CliError, ErrorCode, misused
from bridge_cli.secret_document import value_problem
from purchasely_clevertap.padding import unpadded

type Problem = Callable[[str], str | None]


def at_terminal() -> bool:
    """Whether there is a person who can be asked."""
    return sys.stdin.isatty()


def secret_option(name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `name` for a file that holds a secret; its value is the secret, checked, or None."""

    def read(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> str | None:
        return None if file is None else _read(file, name, what)

    return click.option(
        name,
        type=click.Path(path_type=Path, allow_dash=True),
        callback=read,
        metavar="FILE",
        help=f"File that holds {what}; - is stdin.",
    )


def text_of(file: Path) -> str:
    """What a file holds, or stdin for `-`, in UTF-8 whatever the locale says. Raises OSError, UnicodeDecodeError."""
    return (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode()


def _read(file: Path, option: str, what: str) -> str:
    try:
        text = text_of(file)
    except OSError as error:
        raise CliError(f"{option}: {file} cannot be read: {error.strerror}", code=ErrorCode.INVALID) from error
    except UnicodeDecodeError as error:
        raise CliError(f"{option}: {file} is not text", code=ErrorCode.INVALID) from error
    text = unpadded(text)
    if problem := value_problem(text):
        raise CliError(f"{option}: {what} {problem}", code=ErrorCode.INVALID)
    return text


def ask(what: str, *, option: str, default: str | None = None, problem: Problem = value_problem) -> str:
    """The answer to a question, free of white space around it. CliError when there is no one to ask."""
    _require_person(what, option)
    while True:
        answer = click.prompt(what, default=default, err=True).strip()
        if (wrong := problem(answer)) is None:
            return str(answer)
        click.echo(f"  It {wrong}.", err=True)


def ask_secret(what: str, *, option: str, kept: str | None = None) -> str:
    """A secret that is typed and not shown. With one to be `kept`, nothing typed keeps it."""
    _require_person(what, option)
    shown = f"{what} (Enter keeps the present one)" if kept else what
    while True:
        answer = click.prompt(
            shown, default="" if kept else None, hide_input=True, show_default=False, err=True
        ).strip()
        if not answer and kept:
            return kept
        if (wrong := value_problem(answer)) is None:
            return str(answer)
        click.echo(f"  It {wrong}.", err=True)


def require_yes(*, yes: bool) -> None:
    """CliError if a script is about to write what nobody has agreed to."""
    if not yes and not at_terminal():
        raise CliError("nothing is written by a script without --yes", code=ErrorCode.DECLINED)


def agreed(question: str, *, yes: bool, otherwise: str) -> bool:
    """Whether a person agrees; `yes` is their agreement beforehand. CliError `otherwise` with no one to ask."""
    if yes:
        return True
    if not at_terminal():
        raise CliError(otherwise, code=ErrorCode.DECLINED)
    return click.confirm(question, err=True)


def _require_person(what: str, option: str) -> None:
    if not at_terminal():
        raise misused(f"{what} is missing: give {option}, as there is no terminal to ask at")
