"""`bridge forget`: removes what is kept about one person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
from botocore.exceptions import ClientError
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_option
from bridge_cli.deliveries import Delivery, deliveries_of, held_deliveries
from bridge_cli.discarding import discard, ledger_of
from bridge_cli.id_command import IdCommand
from bridge_cli.output import console, json_option, plain, remark, table, working, write_json
from bridge_cli.parked_messages import Choice, ParkedEvent, taken
from bridge_cli.prompts import agreed
from bridge_cli.subscribers import (
    Remembered,
    anonymous_keys,
    is_about,
    keys_of,
    mentions,
    person,
    remembered,
)
from bridge_cli.times import now_ms, readable
from purchasely_clevertap.outcome import Held, Skipped, SkipReason

REMAINS: Final = (
    "What CleverTap and Purchasely have: ask them to erase it.",
    "Events of this person that are on their way now, or still come, are remembered anew: ask again later.",
    "The events' ids, names, times and outcomes, for 30 days: they no longer tell whom they are about.",
    "The tables' point-in-time recovery, for 35 days.",
    "The log lines of their events: they name people by a keyed hash at most.",
)
"""What this command can't reach, for whoever has to answer for it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a person: the subscribers, the events that name one of them, those that wait for their login, the
    parked events.

    `mentions` are parked events of somebody else that name the person as the other side of a transfer.
    """

    subscribers: Sequence[Remembered]
    events: Sequence[Delivery]
    held: Sequence[Delivery]
    parked: Sequence[ParkedEvent]
    mentions: Sequence[ParkedEvent]

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to remove."""
        return not self.subscribers and not self.events and not self.held and not self.parked


@click.command("forget", cls=IdCommand, epilog="Example: bridge forget user-4711 --app my-app")
@click.argument("user_id")
@app_option("The app whose user it is.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
@on_account
def command(account: Account, user_id: str, app: str, yes: bool, as_json: bool) -> None:
    """Remove what is kept about one person.

    Their state in both CleverTap accounts, also under the anonymous ids and CleverTap ids that were tied to it, is
    deleted; their events forget whom they were about; those that wait for their login and those that are parked are
    discarded. Other users of their device stay. First it says what that is, and asks. It can't be taken back: what
    CleverTap has of the profile is no longer known, so the next event sends all of it again, and one that comes late
    may overwrite what is newer.

    It reads the whole deliveries table: about 0.02 USD for each million events in it. With --json nothing happens
    without --yes: the document says what would.
    """
    dynamodb, subscribers = account.client("dynamodb"), account.output("SubscribersTableName")
    found, ids = person(dynamodb, subscribers, app=app, id=user_id)
    keys = keys_of(app, ids)
    with working("Reading the deliveries …"):
        events = list(
            deliveries_of(dynamodb, account.output("DeliveriesTableName"), subscribers=frozenset(keys)),
        )
    waiting = list(held_deliveries(dynamodb, account.output("DeliveriesTableName"), anonymous_keys(app, ids)))
    with taken(account) as messages:
        of_app = Choice(app=app).of(messages.messages)
        parked = [event for event in of_app if is_about(event.newest.body, ids)]
        mentioned = [each for each in of_app if each not in parked and mentions(each.newest.body, ids)]
        kept = Kept(found, events, waiting, parked, mentioned)
        if messages.elsewhere:
            remark(f"{messages.elsewhere} parked messages are with another command: ask again in 15 minutes")
        if not _agreed(kept, user_id, app, yes=yes, as_json=as_json):
            if as_json:
                write_json(_document(kept, user_id, app, done=False))
            return
        with working("Forgetting …"):
            discarded = discard(ledger_of(account), messages, parked, (), now_ms=now_ms())
            for event in events:
                _make_anonymous(account, event)
            for event in waiting:
                _give_up(account, event)
            for each in found:
                dynamodb.delete_item(TableName=subscribers, Key={"subscriber": {"S": each.key}})
        again = [each.key for each in remembered(dynamodb, subscribers, [each.key for each in found])]
    for (_, event_id), error in discarded.failed.items():
        remark(f"Parked event {event_id} is still there: {error}")
    if again:
        remark("A worker was at this person and has kept the state anew: ask again in two minutes")
    if as_json:
        write_json(_document(kept, user_id, app, done=True))
    else:
        _report(console(), kept)
    click.get_current_context().exit(1 if discarded.failed or again or messages.elsewhere else 0)


def _make_anonymous(account: Account, event: Delivery) -> None:
    """Takes the subscriber off an event, unless it is another one's by now."""
    dynamodb = account.client("dynamodb")
    try:
        dynamodb.update_item(
            TableName=account.output("DeliveriesTableName"),
            Key={"event": {"S": f"{event.app}#{event.event_id}"}},
            UpdateExpression="REMOVE subscriber",
            ConditionExpression="subscriber = :subscriber",
            ExpressionAttributeValues={":subscriber": {"S": event.subscriber or ""}},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise


def _give_up(account: Account, event: Delivery) -> None:
    """Discards an event that waits for a login, unless it has been sent on by now."""
    dynamodb = account.client("dynamodb")
    try:
        dynamodb.update_item(
            TableName=account.output("DeliveriesTableName"),
            Key={"event": {"S": f"{event.app}#{event.event_id}"}},
            UpdateExpression="SET outcome = :skipped, reason = :reason REMOVE held_for, body, held_at, hold_until",
            ConditionExpression="outcome = :held",
            ExpressionAttributeValues={
                ":held": {"S": Held.name},
                ":skipped": {"S": Skipped.name},
                ":reason": {"S": SkipReason.DISCARDED},
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise


def _agreed(kept: Kept, user_id: str, app: str, *, yes: bool, as_json: bool) -> bool:
    if as_json:
        return yes
    to = console()
    if kept.is_nothing:
        to.print(plain(f"Nothing is kept about {user_id} in app {app}."))
        _mentions(to, kept.mentions)
        return False
    to.print(plain("What would be removed:"))
    listed = table("", "")
    listed.show_header = False
    for each in kept.subscribers:
        listed.add_row(plain("state"), plain(f"{each.account}, {each.kind} {each.id}"))
    if kept.events:
        listed.add_row(plain("events"), plain(f"whom {len(kept.events)} of them are about"))
    if kept.held:
        listed.add_row(plain("held events"), plain(f"{len(kept.held)} that wait for a login"))
    for event in kept.parked:
        about = f"{event.newest.event_id}, {event.newest.reason}, since {readable(event.newest.parked_at)}"
        listed.add_row(plain("parked event"), plain(about))
    to.print(listed)
    otherwise = "nothing is forgotten: give --yes, as there is no terminal to ask at"
    return agreed(f"Forget {user_id} for good?", yes=yes, otherwise=otherwise)


def _report(to: Console, kept: Kept) -> None:
    to.print(
        plain(
            f"Removed: {len(kept.subscribers)} states, the person from {len(kept.events)} events, "
            f"{len(kept.held)} held and {len(kept.parked)} parked events."
        )
    )
    _mentions(to, kept.mentions)
    to.print(plain("What remains:"))
    for each in REMAINS:
        to.print(plain(f"  {each}"))


def _mentions(to: Console, mentions: Iterable[ParkedEvent]) -> None:
    for event in mentions:
        to.print(
            plain(
                f"Parked event {event.newest.event_id} is about somebody else and names this person as the other side "
                "of a transfer: redrive or discard it."
            )
        )


def _document(kept: Kept, user_id: str, app: str, *, done: bool) -> dict[str, Any]:
    return {
        "app": app,
        "id": user_id,
        "done": done,
        "subscribers": [each.key for each in kept.subscribers],
        "events": [event.event_id for event in kept.events],
        "held": [event.event_id for event in kept.held],
        "parked": [event.newest.event_id for event in kept.parked],
        "parked_mentions": [event.newest.event_id for event in kept.mentions],
        "remains": list(REMAINS),
    }
