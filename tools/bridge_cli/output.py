"""What commands write: tables for people, or one JSON document for scripts."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge_cli.terminal import harmless

# Somewhere else than on a terminal, no column is cut.
_WIDTH_OF_A_FILE = 200

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document, for scripts. Times are ISO 8601, in UTC."
)
"""The option of every command; its parameter is `as_json`."""


def write_json(document: object) -> None:
    """Writes the one JSON document of a command."""
    click.echo(json.dumps(document, indent=2))


def console() -> Console:
    """Where people read: stdout, as it is now."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH_OF_A_FILE)


def table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """An empty table; numbers stand in the columns named by `right`, those named by `whole` are never broken."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    return made


def plain(value: object, style: str = "", *, lines: bool = False) -> Text:
    """`value` as text that is shown as it is, whatever it holds: no markup, no orders to the terminal. It is one line,
    unless it may have several `lines`."""
    match value:
        case None:
            return Text()
        case bool():
            return Text("yes" if value else "no", style)
        case _:
            return Text(harmless(str(value), lines=lines), style)


def show(document: object, view: Callable[[Console], Any], *, as_json: bool) -> None:
    """Writes `document` for scripts, or lets `view` write it for people."""
    if as_json:
        write_json(document)
    else:
        view(console())


def say(text: str, *, err: bool = False) -> None:
    """Writes a text of one line or of several, whatever it holds."""
    click.echo(harmless(text, lines=True), err=err)


def remark(text: str) -> None:
    """Says something beside the answer of a command, in one line on stderr."""
    click.echo(harmless(text), err=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Says what is being done for as long as it lasts, if somebody watches."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(what):
        yield
