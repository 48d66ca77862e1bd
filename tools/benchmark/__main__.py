"""The command line: `python -m benchmark --help`."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import click
from rich.console import Console

from local_stack import LocalStackError, sam

from . import cold_start, cost, forwarding, ingest, mapping, page, report, stack
from .row import Row

FOLDER = sam.ROOT / "build"
_UNATTENDED_WIDTH = 120
PARTS = ("cold start", "ingest", "mapping", "forwarder", "stack", "cost")
_NEEDED_FOR_COST = frozenset({"cold start", "ingest", "mapping", "forwarder"})
_NOT_QUICK = frozenset({"stack"})


@click.command()
@click.option("--quick", is_flag=True, help="Fewer rounds and no deployed stack; writes no page.")
@click.option("--only", default="", metavar="PART", help=f"Only the parts so named: {', '.join(PARTS)}.")
@click.option("--as-built", is_flag=True, help="Take what `sam build` made last.")
def main(quick: bool, only: str, as_built: bool) -> None:
    """What the bridge costs, as ratios: 0 whether the targets hold or not, 2 when it could not measure."""
    sys.exit(_run(only, quick=quick, as_built=as_built))


def _run(only: str, *, quick: bool, as_built: bool) -> int:
    chosen = _chosen(only, quick=quick)
    if not chosen:
        print(f"no part is named like {only!r}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    os.environ.update(sam.CREDENTIALS)  # nothing here reaches the account that the person is signed in to
    console = Console(width=None if sys.stdout.isatty() else _UNATTENDED_WIDTH)
    try:
        rows = _measured(chosen, console, quick=quick, as_built=as_built)
    except (LocalStackError, OSError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    report.write(rows, FOLDER / "bench.json")
    console.print(report.table(rows))
    if chosen == PARTS:
        page.write(rows)
        console.print("[dim]Also in build/bench.json, and in docs/performance.md[/]")
    else:
        console.print("[dim]Also in build/bench.json[/]")
    return 0


def _chosen(only: str, *, quick: bool) -> tuple[str, ...]:
    """The parts whose names contain `only`, and those that one of them rests on."""
    named = {part for part in PARTS if only.casefold() in part} - (_NOT_QUICK if quick and not only else set())
    if "cost" in named:
        named |= _NEEDED_FOR_COST
    return tuple(part for part in PARTS if part in named)


def _measured(chosen: Sequence[str], console: Console, *, quick: bool, as_built: bool) -> list[Row]:
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:4.0f} s[/]  {text}", highlight=False)

    folder = FOLDER / "bench"
    if "cold start" in chosen and not as_built:
        say("Building the functions and their layer (sam build) …")
        sam.build(folder)
    rows: list[Row] = []
    parts: Mapping[str, Callable[[], list[Row]]] = {
        "cold start": lambda: cold_start.rows(folder, cold_start.QUICK_STARTS if quick else cold_start.STARTS),
        "ingest": lambda: ingest.rows(quick=quick),
        "mapping": lambda: mapping.rows(quick=quick),
        "forwarder": lambda: forwarding.rows(folder, forwarding.QUICK if quick else forwarding.WHOLE),
        "stack": lambda: stack.rows(folder, say),
        "cost": lambda: cost.rows(rows),
    }
    for part in chosen:
        say(f"{part} …")
        rows += parts[part]()
    return rows


if __name__ == "__main__":
    main(prog_name="python -m benchmark")
