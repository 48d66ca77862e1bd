"""The command line: `python -m benchmark --help`."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from local_stack import LocalStackError, sam

from . import cold_start, cost, forwarding, ingest, mapping, page, report, stack
from .row import Row

FOLDER = sam.ROOT / "build"
_UNATTENDED_WIDTH = 120
PARTS = ("cold start", "ingest", "mapping", "forwarder", "stack", "cost")
_NEEDED_FOR_COST = frozenset({"cold start", "ingest", "mapping", "forwarder"})
_NOT_QUICK = frozenset({"stack"})


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and tells: 0 whether the targets hold or not, 2 when it could not measure."""
    arguments = _parser().parse_args(argv)
    chosen = _chosen(arguments.only, quick=arguments.quick)
    if not chosen:
        print(f"no part is named like {arguments.only!r}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    os.environ.update(sam.CREDENTIALS)  # nothing here reaches the account that the person is signed in to
    console = Console(width=None if sys.stdout.isatty() else _UNATTENDED_WIDTH)
    try:
        rows = _measured(chosen, arguments, console)
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


def _measured(chosen: Sequence[str], arguments: argparse.Namespace, console: Console) -> list[Row]:
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:4.0f} s[/]  {text}", highlight=False)

    quick, folder = arguments.quick, FOLDER / "bench"
    if "cold start" in chosen and not arguments.as_built:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmark", description="What the bridge costs, as ratios.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and no deployed stack; writes no page")
    parser.add_argument("--only", default="", metavar="PART", help=f"only the parts so named: {', '.join(PARTS)}")
    parser.add_argument("--as-built", action="store_true", help="take what `sam build` made last")
    return parser


if __name__ == "__main__":
    sys.exit(main())
