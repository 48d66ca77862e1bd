"""`bridge backfill`: brings in what an old app knows of its subscribers."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from bridge_cli import prompts
from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_option
from bridge_cli.backfill.event_line import EventLine, event_line, unknown_keys
from bridge_cli.backfill.plan import BackfillPlan, Forecaster
from bridge_cli.backfill.progress import ProgressFile, RunProgress, default_file, run_id
from bridge_cli.backfill.sending import FileLine, Sending, Target
from bridge_cli.backfill.source import Fault, Row, Source, sources
from bridge_cli.backfill.subscriber_list import as_event
from bridge_cli.cli_error import CliError, ErrorCode, misused
from bridge_cli.configuration import Configuration
from bridge_cli.output import console, plain, remark, table, working
from bridge_cli.probe import Stopwatch
from bridge_cli.reason import explained
from bridge_cli.secret_document import account_keys
from bridge_cli.times import Moment, now_ms, readable, span
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.outcome import BackfillMode

_SHOWN: Final = 20  # bad lines, of which --errors has all
_TOLD_SECONDS: Final = 5.0


class Form(StrEnum):
    """What --as says: what the lines are, and how much of them is sent."""

    PROFILE = "profile"
    EVENTS = "events"
    ALL = "all"
    SUBSCRIBERS = "subscribers"

    @property
    def mode(self) -> BackfillMode:
        """How much CleverTap gets."""
        return BackfillMode.PROFILE if self is Form.SUBSCRIBERS else BackfillMode(self)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the lines of the files as events, and says what the present settings make of them."""

    files: Sequence[Source]
    form: Form
    as_of: int | None
    names: Mapping[str, object]
    forecaster: Forecaster

    def rows(self) -> Iterator[Row]:
        for file in self.files:
            for row in file.rows():
                yield as_event(row, as_of=self.as_of) if self.form is Form.SUBSCRIBERS else row

    def lines(self) -> Iterator[FileLine]:
        for row in self.rows():
            found = self.read(row)
            if not isinstance(found, EventLine):
                yield FileLine()
            elif (effect := self.forecaster.of(found.event)).kept is not None:
                yield FileLine(skipped=effect.reason)
            else:
                yield FileLine(found)

    def read(self, row: Row) -> EventLine | list[Fault]:
        return event_line(row, now_ms=now_ms(), names=self.names)


class _BadLines:
    """Says what is wrong with each bad line: the first of them on stderr, all in the file of --errors."""

    def __init__(self, file: Any | None) -> None:
        self._writer = csv.writer(file) if file is not None else None
        self.count = 0
        self.first: list[dict[str, Any]] = []
        if self._writer is not None:
            self._writer.writerow(("file", "line", "column", "found", "allowed"))

    def add(self, row: Row, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self.count += 1
            if self._writer is not None:
                self._writer.writerow((row.file, row.line, *fault))
            if len(self.first) < _SHOWN:
                self.first.append({"file": row.file, "line": row.line, **fault._asdict()})
                column = f"{fault.column}: " if fault.column else ""
                remark(f"{row.file}:{row.line}: {column}found {fault.found}; allowed: {fault.allowed}")


@click.command("backfill", epilog="Example: bridge backfill subscribers.csv.gz --as subscribers --as-of 2026-11-30")
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-")
@app_option("The app whose subscribers they are.")
@click.option(
    "--as",
    "form",
    type=click.Choice([each.value for each in Form]),
    default=Form.PROFILE.value,
    show_default=True,
    help="profile: the profiles alone; events: event records too; all: and revenue; subscribers: a plain list.",
)
@click.option("--as-of", type=Moment(), help="The date of which a list is true that has no column updated_at.")
@click.option("--rate", type=click.FloatRange(0.1, 500), default=20, show_default=True, help="Events a second.")
@click.option("--skip-invalid", is_flag=True, help="Send the good lines though others are bad.")
@click.option(
    "--errors", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv", help="Write every bad line here."
)
@click.option("--revenue", metavar="SUM", help='With --as all: the sum of the plan, such as "1234.50 USD".')
@click.option("--resume", is_flag=True, help="Go on where an earlier run of these files ended.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="Keep the state of the run here.")
@click.option("--yes", is_flag=True, help="Send without asking.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one document a line: plan, progress, report.")
@on_account
def command(
    account: Account,
    files: tuple[str, ...],
    app: str,
    form: str,
    as_of: int | None,
    rate: float,
    skip_invalid: bool,
    errors: Path | None,
    revenue: str | None,
    resume: bool,
    state: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring in what an old app knows of its subscribers.

    FILE is NDJSON or CSV, also gzipped; - is stdin. The keys of a line, or the columns, are those of the webhook; a
    column attribution.utm_source is a key of an object; an empty cell is an absent key. A line without event_id gets
    one from its content, so the same file twice adds nothing.

    First every line is checked; nothing is sent while one is bad. Then comes the plan by the app's present settings,
    and the question. What is sent goes through the events queue like any webhook, with the event property backfilled,
    and never overwrites what is newer. Ctrl-C stops it; --resume goes on.

    The columns of --as subscribers: user_id, subscription_id, status (trial, active, cancelled, paused, expired, …),
    plan, product, store, started_at, purchased_at, renews_at, updated_at and more: docs/cli.md has all.

    With --json nothing is sent without --yes: the document says what would be.
    """
    if as_of is not None and form != Form.SUBSCRIBERS:
        raise misused("--as-of goes with --as subscribers alone")
    if revenue is not None and form != Form.ALL:
        raise misused("--revenue goes with --as all alone")
    chosen = Form(form)
    with sources(files) as found:
        run = run_id(account.stack_name, app, f"{form} {as_of}", found)
        file = ProgressFile(state or default_file(run))
        progress = _progress(file, run, resume=resume)
        reader = _reader(account, app, found, chosen, as_of)
        plan, bad = _checked(reader, errors)
        if as_json:
            _write_line({"plan": plan.document(rate), "bad_lines": bad.first, "state": str(file.path)})
        else:
            _show_plan(console(), plan, chosen, rate)
        if plan.invalid and not skip_invalid:
            raise CliError(
                f"{plan.invalid} of {plan.lines} lines are bad: nothing was sent; mend them, or give --skip-invalid",
                code=ErrorCode.INVALID,
            )
        if not plan.to_send and not plan.lines:
            raise CliError("there is no line", code=ErrorCode.INVALID)
        if as_json and not yes:
            return
        if not _agreed(plan, chosen, revenue, yes=yes):
            click.get_current_context().exit(1)
        _send(account, app, chosen, reader, plan, progress, file, rate=rate, as_json=as_json)


def _progress(file: ProgressFile, run: str, *, resume: bool) -> RunProgress:
    earlier = file.read(run)
    if earlier is None or earlier.is_done:
        if resume and earlier is None:
            raise CliError(f"there is nothing to go on with: no state in {file.path}", code=ErrorCode.NOT_FOUND)
        return earlier if earlier is not None and resume else RunProgress(run)
    if not resume:
        raise CliError(
            f"an earlier run of these files ended after {earlier.lines} lines: --resume goes on; to begin anew, "
            f"remove {file.path}"
        )
    return earlier


def _reader(account: Account, app: str, files: Sequence[Source], form: Form, as_of: int | None) -> _Reader:
    configuration = Configuration(account, app)
    stored = configuration.settings()
    if stored.held is None:
        raise CliError(f"the settings of app {app} are not valid: {stored.problems[0]}", code=ErrorCode.INVALID)
    secret = configuration.secret("clevertap")
    if not isinstance(secret, Mapping):
        raise CliError(f"app {app} has no CleverTap project: run `bridge setup {app}`", code=ErrorCode.NOT_SET_UP)
    has_sandbox = account_keys(secret, Environment.SANDBOX) is not None
    forecaster = Forecaster(Mapper(stored.held), form.mode, has_sandbox_account=has_sandbox, now_ms=now_ms())
    return _Reader(files, form, as_of, stored.held.events, forecaster)


def _checked(reader: _Reader, errors: Path | None) -> tuple[BackfillPlan, _BadLines]:
    """Goes through every line once."""
    plan = BackfillPlan()
    with _errors_file(errors) as file, working("Checking every line …"):
        bad = _BadLines(file)
        for row in reader.rows():
            found = reader.read(row)
            if isinstance(found, EventLine):
                plan.add(found.event, reader.forecaster.of(found.event))
                plan.add_unknown(unknown_keys(row.payload or {}))
            else:
                plan.add_invalid()
                bad.add(row, found)
    if bad.count > _SHOWN:
        remark(f"… and {bad.count - _SHOWN} faults more{'' if errors else ': --errors FILE.csv has all'}")
    return plan, bad


@contextmanager
def _errors_file(path: Path | None) -> Iterator[Any | None]:
    """The file of --errors, which may quote what is personal: for its owner alone."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise CliError(f"--errors: {path} cannot be written: {error.strerror}", code=ErrorCode.INVALID) from error
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        yield file


def _agreed(plan: BackfillPlan, form: Form, revenue: str | None, *, yes: bool) -> bool:
    """Whether a person agrees: to revenue by its sum."""
    if plan.revenue:
        words = plan.revenue_words
        if revenue is None:
            if not prompts.at_terminal():
                raise CliError(
                    f'revenue goes to CleverTap: agree to the sum with --revenue "{words}"', code=ErrorCode.DECLINED
                )
            revenue = click.prompt(f"Revenue goes to CleverTap. Type its sum, {words}", err=True)
        if " ".join(revenue.split()) != words:
            raise CliError(f"the revenue is {words}, not {revenue}: nothing was sent", code=ErrorCode.DECLINED)
    what = "the profiles of" if form.mode is BackfillMode.PROFILE else ""
    return prompts.agreed(
        " ".join(f"Send {what} {plan.to_send} lines?".split()),
        yes=yes,
        otherwise="nothing is sent by a script without --yes",
    )


def _send(
    account: Account,
    app: str,
    form: Form,
    reader: _Reader,
    plan: BackfillPlan,
    progress: RunProgress,
    file: ProgressFile,
    *,
    rate: float,
    as_json: bool,
) -> None:
    clock = Stopwatch()
    target = Target(
        app,
        form.mode,
        account.client("sqs"),
        account.output("EventsQueueUrl"),
        account.client("dynamodb"),
        account.output("DeliveriesTableName"),
        now_ms,
    )
    ticker = _Ticker(plan, rate, clock, as_json=as_json)
    is_stopped = False
    if not progress.is_done:
        try:
            Sending(target, progress, file, rate=rate, clock=clock, told=ticker.tell).send(reader.lines())
        except KeyboardInterrupt:
            is_stopped = True
        except CliError:
            _report(progress, plan, file, as_json=as_json)
            raise
    is_whole = _report(progress, plan, file, as_json=as_json)
    if is_stopped:
        remark("Stopped. The same command with --resume goes on.")
    click.get_current_context().exit(0 if is_whole and not is_stopped else 1)


class _Ticker:
    """Tells how far it is, every few seconds."""

    def __init__(self, plan: BackfillPlan, rate: float, clock: Stopwatch, *, as_json: bool) -> None:
        self._plan = plan
        self._rate = rate
        self._clock = clock
        self._as_json = as_json
        self._next = clock.now() + _TOLD_SECONDS

    def tell(self, progress: RunProgress) -> None:
        if self._clock.now() < self._next:
            return
        self._next = self._clock.now() + _TOLD_SECONDS
        left = self._plan.lines - progress.lines
        seconds = round(left / self._rate)
        if self._as_json:
            _write_line({"progress": {"lines": progress.lines, "of": self._plan.lines, "seconds_left": seconds}})
        else:
            remark(f"{progress.lines} of {self._plan.lines} lines; {span(1000 * seconds)} left at most")


def _report(progress: RunProgress, plan: BackfillPlan, file: ProgressFile, *, as_json: bool) -> bool:
    """Says what became of the lines; whether that is all of them."""
    is_whole = progress.adds_up and progress.lines == plan.lines
    if as_json:
        told = {key: value for key, value in asdict(progress).items() if key not in ("run", "is_done")}
        _write_line({"report": {**told, "of": plan.lines, "adds_up": is_whole, "state": str(file.path)}})
        return is_whole
    to = console()
    listed = table("lines", "sent", "known before", "skipped", "invalid", "", right=("lines", "sent", "known before"))
    verdict = plain("adds up", "green") if is_whole else plain(f"of {plan.lines}", "bold red")
    counts = (progress.lines, progress.sent, progress.known, progress.skipped, progress.invalid)
    listed.add_row(*map(plain, counts), verdict)
    to.print(listed)
    for reason, count in progress.by_reason.items():
        to.print(plain(f"skipped: {count}: {explained(reason)}"))
    if doubted := progress.doubted + progress.in_doubt:
        to.print(plain(f"{doubted} events were in doubt: they may have been on the queue twice, and count once."))
    return is_whole


def _show_plan(to: Console, plan: BackfillPlan, form: Form, rate: float) -> None:
    told = plan.document(rate)
    facts = table("", "")
    facts.show_header = False
    rows: dict[str, object] = {
        "lines": f"{plan.lines}, of which {plan.invalid} are bad and {plan.skipped} are not to be sent",
        "from, to (UTC)": f"{readable(plan.first_ms)}, {readable(plan.last_ms)}",
        "sent as": form.value,
        "data points": f"{plan.records} event records, and up to {plan.to_send} profile updates",
        "time": f"{span(1000 * told['seconds'])} at {rate:g} a second",
    }
    if form is Form.ALL:
        rows["revenue, at most"] = plan.revenue_words or "none"
    if plan.unknown:
        rows["columns nobody knows"] = ", ".join(told["unknown_columns"])
    for name, value in rows.items():
        facts.add_row(plain(name, "bold"), plain(value))
    to.print(facts)
    for name, count in told["by_event"].items():
        to.print(plain(f"{name}: {count}"))
    for outcome, reasons in told["by_outcome"].items():
        for reason, count in reasons.items():
            to.print(plain(f"{outcome}: {count}: {explained(reason)}"))


def _write_line(document: object) -> None:
    click.echo(json.dumps(document))
