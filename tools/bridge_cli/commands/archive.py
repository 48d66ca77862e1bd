"""`bridge archive`: what came and what became of it, for as long as the archive keeps it."""

from dataclasses import dataclass
from typing import Any, Final

import click
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import any_app_option
from bridge_cli.archive import DELIVERED_AFTER_MS, ArchiveBucket
from bridge_cli.deliveries import all_deliveries
from bridge_cli.output import json_option, plain, show, working
from bridge_cli.times import Moment, iso, now_ms, readable

_IDS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Missing:
    """A webhook that ingest noted, and that the archive does not have."""

    app: str
    event_id: str
    message_id: str

    @property
    def document(self) -> dict[str, str]:
        """For scripts."""
        return {"app": self.app, "event_id": self.event_id, "message_id": self.message_id}


@click.group("archive", epilog="Example: bridge archive check --since 24h")
def command() -> None:
    """What came and what became of it, as the archive keeps it."""


@command.command("check", epilog="Example: bridge archive check --since 24h")
@any_app_option("The app to look at; without it all.")
@click.option(
    "--since", type=Moment(), default="24h", show_default=True, help="Webhooks of events that came first since then."
)
@json_option
@on_account
def check(account: Account, app: str | None, since: int, as_json: bool) -> None:
    """Is every webhook archived that ingest noted?

    Compares the ids of the messages in the ledger with those in the archive, and names what is missing; the exit code
    is 1 then. Webhooks of the last 20 minutes are not looked at, as Firehose writes every 15, and those in flight are
    not missed: they are archived with their outcome at the latest.

    It reads the whole deliveries table, about 0.02 USD for each million events in it, and the archive since then.
    """
    archive, until = ArchiveBucket.required(account), now_ms() - DELIVERED_AFTER_MS
    with working("Reading the deliveries …"):
        noted = [
            each
            for each in all_deliveries(account.client("dynamodb"), account.output("DeliveriesTableName"), app=app)
            if since <= (each.received_at or each.settled_at or 0) < until
        ]
    with working("Reading the archive …"):
        archived = archive.message_ids(since=since)
        failed = archive.failed()
    waiting = [each for each in noted if each.outcome is None and not each.messages & archived]
    missing = [
        Missing(each.app, each.event_id, message_id)
        for each in sorted(noted, key=lambda each: each.key)
        if each not in waiting
        for message_id in sorted(each.messages - archived)
    ]
    is_whole = not missing and not failed
    document: dict[str, Any] = {
        "is_whole": is_whole,
        "since": iso(since),
        "until": iso(until),
        "noted": sum(len(each.messages) for each in noted),
        "waiting": sum(len(each.messages) for each in waiting),
        "missing": [each.document for each in missing],
        "failed_objects": failed,
    }
    show(document, lambda to: _show(to, document, missing, since, until), as_json=as_json)
    click.get_current_context().exit(0 if is_whole else 1)


def _show(to: Console, document: dict[str, Any], missing: list[Missing], since: int, until: int) -> None:
    to.print(plain(f"Ingest noted {document['noted']} webhooks from {readable(since)} to {readable(until)}, in UTC."))
    if document["waiting"]:
        to.print(plain(f"{document['waiting']} of them are in flight, and archived with their outcome at the latest."))
    if not missing:
        to.print(plain("All others are archived.", "green"))
    else:
        to.print(plain(f"{len(missing)} are not archived:", "red"))
        for each in missing[:_IDS_SHOWN]:
            to.print(plain(f"  {each.app} {each.event_id}, message {each.message_id}"))
        if len(missing) > _IDS_SHOWN:
            to.print(plain(f"  … and {len(missing) - _IDS_SHOWN} more: --json has all"))
        to.print(
            plain("While the alarm archive rings they may wait on the events queue: see docs/operations.md#archive")
        )
    if document["failed_objects"]:
        to.print(plain(f"Firehose could not file {len(document['failed_objects'])} objects: see v1/failed/", "red"))
