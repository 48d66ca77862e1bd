"""What keeps a command from doing as told, and the exit codes."""

import sys
from enum import IntEnum
from typing import IO, Any

import click


class ExitCode(IntEnum):
    """How a command ends."""

    OK = 0
    WRONG = 1  # something is wrong, or was not done
    USAGE = 2  # the command line is
    UNREACHABLE = 3  # AWS or the stack cannot be reached, or does not allow it


class CliError(click.ClickException):
    """Said in one line on stderr, that tells what to do if that is known. With --json it is a document on stdout.

    `code` names the kind of error for scripts.
    """

    def __init__(self, message: str, *, code: str = "failed", exit_code: ExitCode = ExitCode.WRONG) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code: int = exit_code  # type: ignore[misc]  # click declares it for the class alone

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes the line."""
        click.echo(f"bridge: {self.format_message()}", file=file or sys.stderr)


def unreachable(message: str, code: str) -> CliError:
    """The error of a command that AWS, or the way to it, kept from its work."""
    return CliError(message, code=code, exit_code=ExitCode.UNREACHABLE)


def document(error: click.ClickException) -> dict[str, Any]:
    """The error for scripts."""
    code = "usage" if isinstance(error, click.UsageError) else getattr(error, "code", "failed")
    return {"error": {"code": code, "message": error.format_message()}}
