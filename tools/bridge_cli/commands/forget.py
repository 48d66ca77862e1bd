"""`bridge forget`: removes what is kept about one person, and keeps them forgotten."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import click
from botocore.exceptions import ClientError
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_option
from bridge_cli.archive import ArchiveBucket, Rewritten
from bridge_cli.clevertap_erasure import Erasure, erase, erasures
from bridge_cli.cli_error import misused
from bridge_cli.deliveries import Delivery, deliveries_of, held_deliveries
from bridge_cli.discarding import Discarded, discard, ledger_of
from bridge_cli.id_command import IdCommand
from bridge_cli.output import console, json_option, plain, remark, table, working, write_json
from bridge_cli.parked_messages import Choice, ParkedEvent, TakenMessages, taken
from bridge_cli.prompts import agreed
from bridge_cli.subscribers import (
    Ids,
    Remembered,
    anonymous_keys,
    is_about,
    keys_of,
    mentions,
    person,
    remembered,
)
from bridge_cli.suppression import marks_of, suppress, suppressed, unsuppress
from bridge_cli.times import now_ms, readable
from purchasely_clevertap.delivery.suppression import Mark
from purchasely_clevertap.outcome import Held, Skipped, SkipReason

_AT_CLEVERTAP: Final = (
    "What CleverTap has, unless --at-clevertap is given; and what Purchasely has: ask it to erase that."
)
_STILL_COMES: Final = (
    "Events of this person that are on their way now, or still come, are remembered anew, unless --suppress is given."
)

REMAINS: Final = (
    _AT_CLEVERTAP,
    _STILL_COMES,
    "The events' ids, names, times and outcomes, for 30 days: they no longer tell whom they are about.",
    "The tables' point-in-time recovery, for 35 days.",
    "The log lines of their events: they name people by a keyed hash at most.",
)
"""What this command can't reach, for whoever has to answer for it."""

_ASKED_OF_CLEVERTAP: Final = (
    "What CleverTap has acknowledged to delete, for up to two days; and what Purchasely has: ask it to erase that."
)
_IS_SKIPPED: Final = (
    "Keyed hashes of the person's ids, by which what still comes about them is skipped. What a worker had before that "
    "may be remembered anew: ask again in two minutes."
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a person: the subscribers, the events that name one of them, those that wait for their login, the
    parked events, the dead letters.

    `mentions` are parked events of somebody else that name the person as the other side of a transfer. `erasures` is
    what CleverTap is to delete, `marks` what is to keep the person forgotten; None if that was not asked for.
    `archived` is how many lines of the archive name the person, `rewritten` what was done there.
    """

    subscribers: Sequence[Remembered]
    events: Sequence[Delivery]
    held: Sequence[Delivery]
    parked: Sequence[ParkedEvent]
    dead_letters: Sequence[ParkedEvent]
    mentions: Sequence[ParkedEvent]
    erasures: Sequence[Erasure] | None = None
    marks: Sequence[Mark] | None = None
    archived: int = 0
    rewritten: Rewritten | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to do."""
        kept = self.subscribers or self.events or self.held or self.parked or self.dead_letters
        return not kept and self.erasures is None and self.marks is None and not self.archived

    @property
    def remains(self) -> list[str]:
        """What is not reached."""
        return [
            REMAINS[0] if self.erasures is None else _ASKED_OF_CLEVERTAP,
            REMAINS[1] if self.marks is None else _IS_SKIPPED,
            *REMAINS[2:],
        ]


@click.command(
    "forget",
    cls=IdCommand,
    epilog="Example: bridge forget user-4711 --app my-app --at-clevertap --suppress",
)
@click.argument("user_id")
@app_option("The app whose user it is.")
@click.option("--at-clevertap", is_flag=True, help="Have CleverTap delete the person, too, in each project of the app.")
@click.option("--suppress", "stays", is_flag=True, help="Skip from now on what still comes about the person.")
@click.option("--unsuppress", "returns", is_flag=True, help="Undo --suppress, and do nothing else.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
@on_account
def command(
    account: Account,
    user_id: str,
    app: str,
    at_clevertap: bool,
    stays: bool,
    returns: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove what is kept about one person.

    Their state in both CleverTap accounts, also under the anonymous ids and CleverTap ids that were tied to it, is
    deleted; their events forget whom they were about; those that wait for their login, that are parked or that are dead
    letters are discarded. Other users of their device stay. First it says what that is, and asks. It can't be taken
    back: what CleverTap has of the profile is no longer known, so the next event sends all of it again, and one that
    comes late may overwrite what is newer.

    With --at-clevertap CleverTap deletes the user, by the user id and by the CleverTap ids of the person, before
    anything is removed here: only here it is known which ids these are. If CleverTap refuses, nothing is removed; give
    the command again.

    With --suppress keyed hashes of the person's ids are kept, and nothing else: what still comes about them is skipped,
    and nothing of it is kept or sent. They never expire; --unsuppress takes them away.

    It reads the whole deliveries table, about 0.02 USD for each million events in it, and the whole archive, whose
    objects that name the person are written anew. With --json nothing happens without --yes: the document says what
    would.
    """
    if returns:
        if at_clevertap or stays:
            raise misused("--unsuppress goes with neither --suppress nor --at-clevertap")
        _let_return(account, user_id, app, yes=yes, as_json=as_json)
        return
    dynamodb, subscribers = account.client("dynamodb"), account.output("SubscribersTableName")
    found, ids = person(dynamodb, subscribers, app=app, id=user_id)
    asked = _erasures(account, user_id, app, found, ids) if at_clevertap else None
    marks = marks_of(account, app, user_id, ids) if stays else None
    # The forwarder parks what it finds on the dead-letter queue, so that queue is looked at first.
    with taken(account, dead_letters=True) as dead, taken(account) as parked:
        kept = replace(_kept(account, app, found, ids, dead, parked), erasures=asked, marks=marks)
        elsewhere = _elsewhere(dead, parked)
        if not _agreed(kept, user_id, app, yes=yes, as_json=as_json):
            if as_json:
                write_json(_document(kept, user_id, app, done=False))
            return
        kept, discarded = _forgotten(account, app, kept, ids, dead, parked)
        again = [each.key for each in remembered(dynamodb, subscribers, [each.key for each in found])]
    failed = {key: error for each in discarded for key, error in each.failed.items()}
    for (_, event_id), error in failed.items():
        remark(f"Event {event_id} is still there: {error}")
    if again:
        remark("A worker was at this person and has kept the state anew: ask again in two minutes")
    if as_json:
        write_json(_document(kept, user_id, app, done=True))
    else:
        _report(console(), kept)
    click.get_current_context().exit(1 if failed or again or elsewhere else 0)


def _erasures(account: Account, user_id: str, app: str, found: Sequence[Remembered], ids: Ids) -> list[Erasure]:
    """What CleverTap is to delete; of a person of whom nothing is kept no more than the user id is known."""
    if not found:
        ids = Ids(users=frozenset({user_id}))
    anonymous = Ids(users=ids.anonymous)
    known = remembered(account.client("dynamodb"), account.output("SubscribersTableName"), keys_of(app, anonymous))
    users = {each.id for each in known} if ids.anonymous else set()
    return erasures(account, app, found, ids, users=users - ids.users)


def _kept(
    account: Account, app: str, found: Sequence[Remembered], ids: Ids, dead: TakenMessages, parked: TakenMessages
) -> Kept:
    dynamodb, deliveries = account.client("dynamodb"), account.output("DeliveriesTableName")
    with working("Reading the deliveries …"):
        events = list(deliveries_of(dynamodb, deliveries, subscribers=frozenset(keys_of(app, ids))))
    waiting = list(held_deliveries(dynamodb, deliveries, anonymous_keys(app, ids)))
    dead_letters = [each for each in Choice(app=app).of(dead.messages) if is_about(each.newest.body, ids)]
    of_app = Choice(app=app).of(parked.messages)
    theirs = [each for each in of_app if is_about(each.newest.body, ids)]
    mentioned = [each for each in of_app if each not in theirs and mentions(each.newest.body, ids)]
    with working("Reading the archive …"):
        archive = ArchiveBucket.of(account)
        archived = 0 if archive is None else archive.naming(app, ids)
    return Kept(found, events, waiting, theirs, dead_letters, mentioned, archived=archived)


def _elsewhere(dead: TakenMessages, parked: TakenMessages) -> bool:
    """Says whether messages are with somebody else, and so unseen."""
    if parked.elsewhere:
        remark(f"{parked.elsewhere} parked messages are with another command: ask again in 15 minutes")
    if dead.elsewhere:
        remark(f"{dead.elsewhere} dead letters are with the forwarder, which parks them: ask again in 15 minutes")
    return bool(parked.elsewhere or dead.elsewhere)


def _forgotten(
    account: Account, app: str, kept: Kept, ids: Ids, dead: TakenMessages, parked: TakenMessages
) -> tuple[Kept, list[Discarded]]:
    """Does it: whatever breaks off, the command can be given again.

    The marks come first: from then on nothing is remembered anew. CleverTap comes before the tables: they alone tell
    which CleverTap ids are the person's, and those go last.
    """
    if kept.marks is not None:
        suppress(account, list(kept.marks))
    if kept.erasures is not None:
        hint = "Nothing was removed here, where it is known which ids are theirs: give the command again"
        if kept.marks is not None:
            hint += "; the person is suppressed already"
        with working("CleverTap deletes the person …"):
            kept = replace(kept, erasures=erase(kept.erasures, app=app, hint=hint))
    # So does the archive: which anonymous ids are theirs is told by the tables as well.
    if (archive := ArchiveBucket.of(account)) is not None:
        with working("Rewriting the archive …"):
            kept = replace(kept, rewritten=archive.forget(app, ids, now_ms=now_ms()))
    dynamodb, subscribers = account.client("dynamodb"), account.output("SubscribersTableName")
    with working("Forgetting …"):
        ledger, now = ledger_of(account), now_ms()
        # An event may be on both queues: its outcome is written once, as each reads it anew.
        discarded = [
            discard(ledger, messages, events, (), now_ms=now)
            for messages, events in ((dead, kept.dead_letters), (parked, kept.parked))
        ]
        for event in kept.events:
            _make_anonymous(account, event)
        for event in kept.held:
            _give_up(account, event)
        for each in kept.subscribers:
            dynamodb.delete_item(TableName=subscribers, Key={"subscriber": {"S": each.key}})
    return kept, discarded


def _let_return(account: Account, user_id: str, app: str, *, yes: bool, as_json: bool) -> None:
    """Takes the marks of a person away."""
    marks = suppressed(account, app, user_id)
    document = {"app": app, "id": user_id, "marks": len(marks)}
    if as_json:
        if marks and yes:
            unsuppress(account, marks)
        write_json(document | {"done": bool(marks) and yes})
        return
    to = console()
    if not marks:
        to.print(plain(f"{user_id} is not suppressed in app {app}."))
        return
    to.print(plain(f"{user_id} is suppressed in app {app}, with {len(marks)} ids."))
    otherwise = "nothing is changed: give --yes, as there is no terminal to ask at"
    if agreed(f"Let events of {user_id} be delivered again?", yes=yes, otherwise=otherwise):
        unsuppress(account, marks)
        to.print(plain(f"Events of {user_id} that come from now on are delivered. What was skipped stays so."))


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
    for event in kept.dead_letters:
        listed.add_row(plain("dead letter"), plain(event.newest.event_id))
    for asked in kept.erasures or ():
        about = f"{asked.words}: by {len(asked.identities)} user ids and {len(asked.guids)} CleverTap ids"
        listed.add_row(plain("at CleverTap"), plain(about))
    if kept.archived:
        listed.add_row(plain("archive"), plain(f"{kept.archived} webhooks that name the person"))
    if kept.marks is not None:
        listed.add_row(plain("suppressed"), plain(f"what still comes about {len(kept.marks)} ids is skipped"))
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
    if kept.dead_letters:
        to.print(plain(f"Removed from the dead-letter queue: {len(kept.dead_letters)} messages."))
    for each in kept.erasures or ():
        to.print(plain(f"Deleted at CleverTap, project {each.words}."))
    if kept.rewritten is not None:
        to.print(
            plain(
                f"Removed from the archive: {kept.rewritten.lines} webhooks, and the person from "
                f"{kept.rewritten.redacted} of others; {kept.rewritten.objects} objects were written anew."
            )
        )
    if kept.marks is not None:
        to.print(plain(f"Suppressed: {len(kept.marks)} ids. Undo it with --unsuppress."))
    _mentions(to, kept.mentions)
    to.print(plain("What remains:"))
    for remaining in kept.remains:
        to.print(plain(f"  {remaining}"))


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
        "dead_letters": [event.newest.event_id for event in kept.dead_letters],
        "parked_mentions": [event.newest.event_id for event in kept.mentions],
        "counts": {
            "subscribers": len(kept.subscribers),
            "events": len(kept.events),
            "held": len(kept.held),
            "parked": len(kept.parked),
            "dead_letters": len(kept.dead_letters),
            "suppressed": len(kept.marks or ()),
            "archived": kept.archived,
        },
        "archive": None
        if kept.rewritten is None
        else {"lines": kept.rewritten.lines, "redacted": kept.rewritten.redacted, "objects": kept.rewritten.objects},
        "clevertap": None if kept.erasures is None else {each.project: each.document for each in kept.erasures},
        "remains": kept.remains,
    }
