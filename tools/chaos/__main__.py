"""The command line: `python -m chaos --help`."""

import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import click
from rich.console import Console

from local_stack import LocalStackError, sam

from . import deployed, rig, tenants
from .faults import FAULTS, named
from .report import Report
from .verdict import Verdict

FOLDER = sam.ROOT / "build"
_UNATTENDED_WIDTH = 120
_FINDINGS_SHOWN = 5
# No run is begun later, so that the whole ends within 6 minutes on two processors.
_BEGINNING_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Arguments:
    """What is run: faults whose names contain `fault`, so many `runs` of each from `seed` on, of so many `events`."""

    fault: str
    seed: int
    runs: int
    events: int
    in_process: bool


@click.command()
@click.option("--fault", default="", metavar="NAME", help="Only the faults whose names contain this.")
@click.option("--seed", default=1, show_default=True, help="The first seed; the same seed makes the same run.")
@click.option("--runs", default=4, show_default=True, help="So many seeds for each fault.")
@click.option("--events", default=250, show_default=True, help="About so many events in each run.")
@click.option("--in-process", is_flag=True, help="Leave the deployed stack out.")
def main(fault: str, seed: int, runs: int, events: int, in_process: bool) -> None:
    """The bridge under faults: 0 when nothing was lost, doubled, stale or late, 1 with the findings else."""
    sys.exit(_run(Arguments(fault, seed, runs, events, in_process)))


def _run(arguments: Arguments) -> int:
    chosen = [fault.name for fault in named(arguments.fault)]
    chosen += [name for name in tenants.ROWS if arguments.fault.casefold() in name.casefold()]
    rows_of_the_stack = [fault for fault in deployed.FAULTS if arguments.fault.casefold() in fault.name.casefold()]
    if not chosen and not rows_of_the_stack:
        print(f"no fault is named like {arguments.fault!r}; there are: {', '.join(FAULTS)}", file=sys.stderr)
        return 2
    os.environ.update(sam.CREDENTIALS)  # nothing here reaches the account that the person is signed in to
    console = Console(width=None if sys.stdout.isatty() else _UNATTENDED_WIDTH)
    report = Report([*chosen, *(fault.name for fault in deployed.FAULTS)])
    seen = _Seen(console, report)
    with ThreadPoolExecutor(max_workers=1) as beside:
        through_the_stack = beside.submit(_run_deployed, rows_of_the_stack, arguments, seen)
        _run_in_process(chosen, arguments, seen)
        try:
            through_the_stack.result()
        except LocalStackError as error:
            print(f"chaos: {error}", file=sys.stderr)
            return 2
    report.write(FOLDER / "chaos.json")
    console.print(report.table())
    console.print(f"[dim]Seeds {arguments.seed} to {arguments.seed + arguments.runs - 1}; also in build/chaos.json[/]")
    return 1 if any(row.broken for row in report.rows) else 0


class _Seen:
    """Tells of each run as it ends, from whatever thread."""

    def __init__(self, console: Console, report: Report) -> None:
        self._console = console
        self._report = report
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        with self._lock:
            self._console.print(f"[dim]{time.monotonic() - self._began:4.0f} s[/]  {text}", highlight=False)

    def verdict(self, fault: str, verdict: Verdict, again: str) -> None:
        """Counts a run; `again` is the command that repeats it."""
        with self._lock:
            self._report.add(fault, verdict)
        told = verdict.findings
        self.say(f"{'[red]✗' if told else '[green]✓'}[/] {fault} [dim]{again}[/]")
        for finding in told[:_FINDINGS_SHOWN]:
            self.say(f"      [red]{finding}[/]")
        if len(told) > _FINDINGS_SHOWN:
            self.say(f"      [red]and {len(told) - _FINDINGS_SHOWN} more[/]")


def _run_in_process(faults: Sequence[str], arguments: Arguments, seen: _Seen) -> None:
    """Every fault with every seed, in as many processes as there are processors."""
    end = time.monotonic() + _BEGINNING_SECONDS
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=get_context("spawn")) as pool:
        running: dict[Future[Verdict], tuple[str, int]] = {
            pool.submit(rig.run_named, fault, seed=seed, events=arguments.events): (fault, seed)
            for seed in range(arguments.seed, arguments.seed + arguments.runs)
            for fault in faults
            if seed == arguments.seed or fault not in tenants.ROWS  # a day takes as long as many runs
        }
        for future in as_completed(running):
            fault, seed = running[future]
            if future.cancelled():
                continue
            again = f"--fault '{fault}' --seed {seed} --runs 1 --events {arguments.events}"
            seen.verdict(fault, future.result(), again)
            if time.monotonic() > end and not all(map(Future.done, running)):
                end = float("inf")
                seen.say("[yellow]time is over: no further run is begun[/]")
                for each in running:
                    each.cancel()


def _run_deployed(faults: Sequence[deployed.Fault], arguments: Arguments, seen: _Seen) -> None:
    """Each fault once, through one stack."""

    def told(fault: str, verdict: Verdict) -> None:
        seen.verdict(fault, verdict, f"--fault '{fault}' --seed {arguments.seed}")

    if faults and not arguments.in_process:
        deployed.run(FOLDER / "chaos", faults, seed=arguments.seed, say=seen.say, told=told)


if __name__ == "__main__":
    main(prog_name="python -m chaos")
