"""What the commands about parked events share: the options that choose among them, and what they say of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final, NoReturn

import click
from rich.console import Console

from bridge_cli.app_parameters import any_app_option
from bridge_cli.completion import event_names
from bridge_cli.deliveries import EventKey
from bridge_cli.output import console, plain, remark, table
from bridge_cli.parked_messages import Choice, ParkedEvent, TakenMessages
from bridge_cli.prompts import agreed
from bridge_cli.times import Moment, readable
from purchasely_clevertap.outcome import ParkReason

_PREVIEWED: Final = 10

yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


def choosing[Result](command_: Callable[..., Result]) -> Callable[..., Result]:
    """Gives a command the options that choose among parked events, and what they choose as its parameter `choice`."""

    @any_app_option("Only those of this app.")
    @click.option(
        "--reason",
        type=click.Choice([reason.value for reason in ParkReason]),
        metavar="REASON",
        help="Only those parked for this reason, such as refused_by_clevertap.",
    )
    @click.option(
        "--event-name", shell_complete=event_names, help="Only those of this name, such as SUBSCRIPTION_RENEWED."
    )
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


def agreed_on(
    events: Sequence[ParkedEvent],
    missing: Sequence[str],
    messages: TakenMessages,
    question: str,
    *,
    yes: bool,
    as_json: bool,
    more: int = 0,
) -> bool:
    """Whether there is something to do and the person wants it, having seen what."""
    for event_id in missing:
        remark(f"Not on the parked queue{elsewhere(messages.elsewhere)}: {event_id}")
    if as_json:
        return yes
    if not events and not more:
        click.echo(f"No parked event is chosen{elsewhere(messages.elsewhere)}.")
        return False
    _preview(console(), events, more)
    asked = question.format(counted(len(events) + more))
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


def selection(events: Sequence[ParkedEvent], missing: Sequence[str]) -> dict[str, Any]:
    """What is chosen, for scripts."""
    return {
        "events": len(events),
        "messages": sum(len(event.messages) for event in events),
        "by_reason": by_reason(events),
        "selected": ids(event.key for event in events),
        "not_found": list(missing),
    }


def by_reason(events: Iterable[ParkedEvent]) -> dict[str, int]:
    """How many events wait for each reason, the most first."""
    return dict(Counter(event.newest.reason for event in events).most_common())


def ids(keys: Iterable[EventKey]) -> list[str]:
    """The event ids."""
    return [event_id for _, event_id in keys]


def failures(failed: Iterable[tuple[EventKey, str]]) -> list[dict[str, str]]:
    """What failed and why, for scripts."""
    return [{"app": app, "event_id": event_id, "error": error} for (app, event_id), error in failed]


def not_found(choice: Choice, events: Iterable[ParkedEvent]) -> list[str]:
    """The ids that were given and are not among `events`."""
    return sorted(choice.event_ids - {event.newest.event_id for event in events})


def elsewhere(count: int) -> str:
    """How many messages another command holds, in words."""
    return f" ({count} more messages are with another command, or with one that was killed)" if count else ""


def counted(count: int) -> str:
    """How many events, in words."""
    return "1 event" if count == 1 else f"{count} events"


def end(*, wrong: bool) -> NoReturn:
    """Ends the command with exit code 1 if something is wrong, else with 0."""
    click.get_current_context().exit(1 if wrong else 0)
