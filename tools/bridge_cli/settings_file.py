"""A file with settings, or stdin."""

from pathlib import Path

import click

from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.prompts import text_of
from purchasely_clevertap.mapping.settings import Settings, SettingsError, parse

SETTINGS_FILE = click.Path(path_type=Path, allow_dash=True)
"""The type of a parameter that names one; `-` is stdin."""


def read_text(file: Path) -> str:
    """What the file holds. CliError when it cannot be read."""
    try:
        return text_of(file)
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}", code=ErrorCode.INVALID) from error
    except UnicodeDecodeError as error:
        raise CliError(f"{file} is not text in UTF-8", code=ErrorCode.INVALID) from error


def valid(text: str, file: Path) -> Settings:
    """The settings in `text`, that `file` holds. CliError when they are not valid."""
    try:
        return parse(text)
    except SettingsError as error:
        more = (
            f"; and {len(error.problems) - 1} more: see `bridge settings check {file}`"
            if len(error.problems) > 1
            else ""
        )
        name = "stdin" if str(file) == "-" else file
        raise CliError(f"{name} is not valid: {error.problems[0]}{more}", code=ErrorCode.INVALID) from error
