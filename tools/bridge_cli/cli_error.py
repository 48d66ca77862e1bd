"""The errors of a command, and the exit codes."""

import sys
from enum import IntEnum, StrEnum
from typing import IO, Any

import click

from bridge_cli.terminal import harmless


class ExitCode(IntEnum):
    """How a command ends."""

    OK = 0
    WRONG = 1  # something is wrong, or was not done
    USAGE = 2  # the command line is wrong
    UNREACHABLE = 3  # AWS or the stack cannot be reached, or does not allow it


class ErrorCode(StrEnum):
    """The kinds of error that --json names. An error that AWS answers has the code of AWS instead."""

    FAILED = "failed"
    USAGE = "usage"
    ABORTED = "aborted"  # by Ctrl-C, or by the end of stdin
    DECLINED = "declined"  # nobody agreed to it
    NOT_FOUND = "not_found"
    NOT_SET_UP = "not_set_up"  # the app has no secret, or no settings, that the command needs
    INVALID = "invalid"  # a file, a settings document, a secret
    REFUSED_BY_CLEVERTAP = "refused_by_clevertap"
    NO_STACK = "no_stack"
    NO_LOCAL_STACK = "no_local_stack"
    UNREACHABLE = "unreachable"


class CliError(click.ClickException):
    """An error that a command ends with: one line on stderr that says what to do if that is known.

    `code` is one of `ErrorCode`, or a code of AWS.
    """

    def __init__(self, message: str, *, code: str = ErrorCode.FAILED, exit_code: ExitCode = ExitCode.WRONG) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code: int = exit_code  # type: ignore[misc]  # click declares it for the class alone

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes the line."""
        click.echo(harmless(f"bridge: {self.format_message()}"), file=file or sys.stderr)


def unreachable(message: str, code: str = ErrorCode.UNREACHABLE) -> CliError:
    """The error of a command that could not reach AWS or the stack, or was not allowed to."""
    return CliError(message, code=code, exit_code=ExitCode.UNREACHABLE)


def misused(message: str) -> CliError:
    """The error of a command line that is wrong, in one line; click's own errors show the usage too."""
    return CliError(message, code=ErrorCode.USAGE, exit_code=ExitCode.USAGE)


def exit_code(error: click.ClickException | click.Abort) -> int:
    """The exit code of the error."""
    return ExitCode.WRONG if isinstance(error, click.Abort) else error.exit_code


def document(error: click.ClickException | click.Abort) -> dict[str, Any]:
    """The error as --json writes it."""
    if isinstance(error, click.Abort):
        return {"error": {"code": ErrorCode.ABORTED, "message": "aborted"}}
    code = ErrorCode.USAGE if isinstance(error, click.UsageError) else getattr(error, "code", ErrorCode.FAILED)
    return {"error": {"code": code, "message": error.format_message()}}
