"""What keeps a command from doing as told."""

import sys
from typing import IO, Any

import click


class CliError(click.ClickException):
    """Said in one line on stderr, that tells what to do if that is known; the command ends with exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes the line."""
        click.echo(f"bridge: {self.format_message()}", file=file or sys.stderr)
