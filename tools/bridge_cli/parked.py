"""`bridge parked`: the events that wait for a person."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final, NoReturn

import click
from rich.console import Console

from purchasely_clevertap.outcome import ParkReason

from .account import Account, on_account
from .cli_error import CliError
from .deliveries import EventKey
from .discarding import discard, ledger_of, parked_without_message
from .output import console, json_option, plain, remark, show, table, working, write_json
from .parked_messages import Choice, Held, ParkedEvent, ParkedMessage, held
from .prompts import agreed
from .times import Moment, iso, now_ms, readable

_LISTED: Final = 50
_PREVIEWED: Final = 10
_DEFAULT_APP: Final = "default"

_limit_option = click.option(
    "--limit", default=_LISTED, show_default=True, help="Events in the table, 0 for all. --json always has all."
)
_yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


def _choosing[Result](command_: Callable[..., Result]) -> Callable[..., Result]:
    """Gives a command the options that choose among parked events, and what they choose as its parameter `choice`."""

    @click.option("--app", help="Only those of this app.")
    @click.option(
        "--reason",
        type=click.Choice([reason.value for reason in ParkReason]),
        metavar="REASON",
        help="Only those parked for this reason, such as refused_by_clevertap.",
    )
    @click.option("--event-name", help="Only those of this name, such as SUBSCRIPTION_RENEWED.")
    @click.option("--since", type=Moment(), help="Only those parked since: 2026-11-21, 2026-11-21T10:00 (UTC), 2h, 3d.")
    @click.option("--until", type=Moment(), help="Only those parked before.")
    @wraps(command_)
    def with_choice(
        *,
        app: str | None,
        reason: str | None,
        event_name: str | None,
        since: int | None,
        until: int | None,
        event_ids: tuple[str, ...] = (),
        **named: Any,
    ) -> Result:
        return command_(choice=Choice(frozenset(event_ids), app, reason, event_name, since, until), **named)

    return with_choice


@click.group("parked")
def command() -> None:
    """List, show, redrive, discard what waits for a person.

    An event is parked when CleverTap refuses it, when it can't be read, or when it could not be delivered for days.
    It waits on the parked queue for 14 days with its exact body and the reason.
    """


@command.command("list")
@_choosing
@_limit_option
@json_option
@on_account
def list_(account: Account, choice: Choice, limit: int, as_json: bool) -> None:
    """What waits: how many for each reason, then the events.

    Every message of the queue is received for it and given back at once: for some seconds nobody else sees them.
    """
    with held(account) as messages:
        events = choice.of(messages.messages)
        elsewhere = messages.elsewhere
    document = {
        "events": len(events),
        "messages": sum(len(event.messages) for event in events),
        "held_elsewhere": elsewhere,
        "by_reason": _by_reason(events),
        "parked": [_described(event) for event in events],
    }
    show(document, lambda to: _list(to, events, elsewhere, limit), as_json=as_json)


@command.command("show")
@click.argument("event_id")
@click.option("--app", help="The event's app, should two have an event of this id.")
@json_option
@on_account
def show_(account: Account, event_id: str, app: str | None, as_json: bool) -> None:
    """All there is of one parked event, its body too.

    The body holds personal data. It is shown because you ask for it: mind who looks on, and where you keep it.
    """
    with held(account) as messages:
        events = Choice(frozenset({event_id}), app).of(messages.messages)
        elsewhere = messages.elsewhere
    if not events:
        raise CliError(
            f"event {event_id} is not on the parked queue{_elsewhere(elsewhere)}; see `bridge trace {event_id}`"
        )
    if len(events) > 1:
        apps = ", ".join(event.newest.app for event in events)
        raise CliError(f"several apps have an event {event_id}: name one of them with --app: {apps}")
    event = events[0]
    show({**_described(event), **_body(event.newest)}, lambda to: _show(to, event), as_json=as_json)


@command.command("redrive")
@click.argument("event_ids", nargs=-1, metavar="[EVENT_ID]...")
@_choosing
@_yes_option
@json_option
@on_account
def redrive(account: Account, choice: Choice, yes: bool, as_json: bool) -> None:
    """Send parked events back, once their cause is mended.

    Without ids and options it is every parked event. First it says what would go back, and asks. What CleverTap
    has already taken of an event is never sent again, and one that can't be delivered still is parked anew.

    An event is on the events queue before it leaves the parked queue, so none is lost, whatever happens meanwhile.
    With --json nothing happens without --yes: the document says what would.
    """
    with held(account) as messages:
        events = choice.of(messages.messages)
        missing = _not_found(choice, events)
        document: dict[str, Any] = {**_selection(events, missing), "done": False}
        if not _agreed(events, missing, messages, "Send {} back to the events queue?", yes=yes, as_json=as_json):
            if as_json:
                write_json(document)
            _end(wrong=bool(missing))
        with working("Sending them back …"):
            done = messages.redrive(events, to=account.output("EventsQueueUrl"))
    document |= {
        "done": True,
        "redriven": _ids(done.sent),
        "failed": _failures(done.failed.items()),
        "still_on_the_queue": _ids(done.kept),
    }
    if as_json:
        write_json(document)
    else:
        click.echo(f"Sent back: {_events(len(done.sent))}.")
    for (_, event_id), error in done.failed.items():
        remark(f"Not sent back, still parked: {event_id}: {error}")
    if done.kept:
        remark(
            f"{_events(len(done.kept))} went back but could not be removed from the parked queue. Sending them back "
            "once more does no harm: they are duplicates by then."
        )
    _end(wrong=bool(missing or done.failed))


@command.command("discard")
@click.argument("event_ids", nargs=-1, metavar="[EVENT_ID]...")
@_choosing
@click.option("--all", "everything", is_flag=True, help="Every parked event. Needed when nothing else is given.")
@_yes_option
@json_option
@on_account
def discard_(account: Account, choice: Choice, everything: bool, yes: bool, as_json: bool) -> None:
    """Give parked events up for good: CleverTap never gets them.

    First it says which they are, and asks. In the balance they are then skipped, with the reason `discarded`. An
    event named by its id that is remembered as parked but has left the queue, which keeps it for 14 days, is
    discarded as well.

    With --json nothing happens without --yes: the document says what would.
    """
    if choice.is_everything and not everything:
        raise click.UsageError("say which: EVENT_ID, --app, --reason, --event-name, --since, --until, or --all")
    ledger = ledger_of(account)
    with held(account) as messages:
        events = choice.of(messages.messages)
        app = choice.app or _DEFAULT_APP
        absent = [(app, event_id) for event_id in _not_found(choice, events)]
        unqueued = parked_without_message(ledger, absent) if absent else []
        missing = [event_id for _, event_id in absent if (app, event_id) not in unqueued]
        document: dict[str, Any] = {
            **_selection(events, missing),
            "not_on_the_queue": _ids(unqueued),
            "done": False,
        }
        question = "Give up {} for good?"
        if not _agreed(events, missing, messages, question, yes=yes, as_json=as_json, more=len(unqueued)):
            if as_json:
                write_json(document)
            _end(wrong=bool(missing))
        with working("Discarding them …"):
            done = discard(ledger, messages, events, unqueued, now_ms=now_ms())
    document |= {
        "done": True,
        "discarded": _ids(done.events),
        "leftovers": _ids(done.leftovers),
        "failed": _failures(done.failed.items()),
    }
    if as_json:
        write_json(document)
    else:
        click.echo(f"Discarded: {_events(len(done.events))}.")
        if done.leftovers:
            click.echo(f"Removed the messages of {_events(len(done.leftovers))} that had another outcome already.")
    for (_, event_id), error in done.failed.items():
        remark(f"Not discarded: {event_id}: {error}")
    _end(wrong=bool(missing or done.failed))


def _agreed(
    events: Sequence[ParkedEvent],
    missing: Sequence[str],
    messages: Held,
    question: str,
    *,
    yes: bool,
    as_json: bool,
    more: int = 0,
) -> bool:
    """Whether there is something to do and the person wants it, having seen what."""
    for event_id in missing:
        remark(f"Not on the parked queue{_elsewhere(messages.elsewhere)}: {event_id}")
    if as_json:
        return yes
    if not events and not more:
        click.echo(f"No parked event is chosen{_elsewhere(messages.elsewhere)}.")
        return False
    _preview(console(), events, more)
    asked = question.format(_events(len(events) + more))
    return agreed(asked, yes=yes, otherwise="nothing is done: give --yes, as there is no terminal to ask at")


def _preview(to: Console, events: Sequence[ParkedEvent], more: int) -> None:
    counts = Counter((event.newest.app, event.newest.reason, event.newest.event_name) for event in events)
    summary = table("app", "reason", "event", "count", right=["count"])
    for (app, reason, name), count in counts.most_common():
        summary.add_row(plain(app), plain(reason), plain(name), plain(count))
    if more:
        summary.add_row(plain(""), plain("no longer on the queue"), plain(""), plain(more))
    to.print(summary)
    for event in events[:_PREVIEWED]:
        to.print(plain(f"  {event.newest.event_id}  parked {readable(event.newest.parked_at)}"))
    if len(events) > _PREVIEWED:
        to.print(plain(f"  … and {len(events) - _PREVIEWED} more"))


def _list(to: Console, events: Sequence[ParkedEvent], elsewhere: int, limit: int) -> None:
    if not events:
        to.print(plain(f"No parked event{_elsewhere(elsewhere)}."))
        return
    summary = table("count", "reason", right=["count"])
    for reason, count in _by_reason(events).items():
        summary.add_row(plain(count), plain(reason))
    to.print(summary)
    to.print()
    shown = events[-limit:] if limit else events
    for message in (event.newest for event in shown):
        about = (readable(message.parked_at), message.app, message.event_id, message.event_name or "")
        code = f" ({message.code})" if message.code is not None else ""
        # Lines that only the terminal breaks: an id is copied from here.
        to.print(plain("  ".join(about)), soft_wrap=True)
        to.print(plain(f"    {message.reason}{code}: {message.detail or ''}"), soft_wrap=True)
    if len(shown) < len(events):
        to.print(plain(f"… and {len(events) - len(shown)} parked before: --limit 0 shows all"))
    if elsewhere:
        to.print(plain(f"{elsewhere} more messages are with another command, or with one that was killed."))


def _show(to: Console, event: ParkedEvent) -> None:
    remark("What follows holds personal data.")
    message = event.newest
    facts = table("", "")
    facts.show_header = False
    rows = {
        "event id": message.event_id,
        "app": message.app,
        "event": message.event_name,
        "reason": message.reason,
        "CleverTap's code": message.code,
        "what is wrong": message.detail,
        "CleverTap has": ", ".join(sorted(event.accepted)) or "nothing of it",
        "received (UTC)": readable(message.received_at),
        "parked (UTC)": readable(message.parked_at),
        "accepted as message": message.message_id,
        "messages": len(event.messages),
    }
    for name, value in rows.items():
        if value is not None:
            facts.add_row(plain(name, "bold"), plain(value))
    to.print(facts)
    to.print()
    to.print(plain(_pretty(message.body)), soft_wrap=True)


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode(errors="replace") or "(no body)"


def _body(message: ParkedMessage) -> dict[str, str | None]:
    """The exact body: as text, or in base64 when it is none."""
    try:
        return {"body": message.body.decode(), "body_base64": None}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(message.body).decode()}


def _described(event: ParkedEvent) -> dict[str, Any]:
    message = event.newest
    return {
        "event_id": message.event_id,
        "app": message.app,
        "event_name": message.event_name,
        "reason": message.reason,
        "code": message.code,
        "detail": message.detail,
        "received_at": iso(message.received_at),
        "parked_at": iso(message.parked_at),
        "message_id": message.message_id,
        "accepted": sorted(event.accepted),
        "messages": len(event.messages),
    }


def _selection(events: Sequence[ParkedEvent], missing: Sequence[str]) -> dict[str, Any]:
    return {
        "events": len(events),
        "messages": sum(len(event.messages) for event in events),
        "by_reason": _by_reason(events),
        "selected": _ids(event.key for event in events),
        "not_found": list(missing),
    }


def _by_reason(events: Iterable[ParkedEvent]) -> dict[str, int]:
    return dict(Counter(event.newest.reason for event in events).most_common())


def _ids(keys: Iterable[EventKey]) -> list[str]:
    return [event_id for _, event_id in keys]


def _failures(failed: Iterable[tuple[EventKey, str]]) -> list[dict[str, str]]:
    return [{"app": app, "event_id": event_id, "error": error} for (app, event_id), error in failed]


def _not_found(choice: Choice, events: Iterable[ParkedEvent]) -> list[str]:
    """The ids that were given and are not among `events`."""
    return sorted(choice.event_ids - {event.newest.event_id for event in events})


def _elsewhere(count: int) -> str:
    return f" ({count} more messages are with another command, or with one that was killed)" if count else ""


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _end(*, wrong: bool) -> NoReturn:
    click.get_current_context().exit(1 if wrong else 0)
