"""A file with settings, or stdin."""

import sys
from pathlib import Path

import click

from purchasely_clevertap.settings import Settings, SettingsError, parse

from .fault import Fault

SETTINGS_FILE = click.Path(path_type=Path, allow_dash=True)
"""The type of a parameter that names one; `-` is stdin."""


def read_text(file: Path) -> str:
    """What the file holds. Fault when it cannot be read."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise Fault(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Fault(f"{file} is not text in UTF-8") from error


def valid(text: str, file: Path) -> Settings:
    """The settings in `text`, that `file` holds. Fault when they are not valid."""
    try:
        return parse(text)
    except SettingsError as error:
        more = (
            f"; and {len(error.problems) - 1} more: see `bridge settings check {file}`"
            if len(error.problems) > 1
            else ""
        )
        name = "stdin" if str(file) == "-" else file
        raise Fault(f"{name} is not valid: {error.problems[0]}{more}") from error
