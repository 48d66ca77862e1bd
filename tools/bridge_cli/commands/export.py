"""`bridge export`: writes what is kept about one person."""

import json
from typing import Any

import click

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_option
from bridge_cli.archive import ArchiveBucket
from bridge_cli.commands.forget import REMAINS
from bridge_cli.deliveries import deliveries_of, held_deliveries
from bridge_cli.documents import body_document, delivery_document, parked_document, subscriber_document
from bridge_cli.id_command import IdCommand
from bridge_cli.output import json_option, remark, working, write_json
from bridge_cli.parked_messages import Choice, taken
from bridge_cli.subscribers import anonymous_keys, is_about, keys_of, person
from bridge_cli.times import iso
from purchasely_clevertap.delivery.message import decode_body


@click.command("export", cls=IdCommand, epilog="Example: bridge export user-4711 --app my-app > user-4711.json")
@click.argument("user_id")
@app_option("The app whose user it is.")
@json_option
@on_account
def command(account: Account, user_id: str, app: str, as_json: bool) -> None:
    """Write what is kept about one person, as JSON.

    Their state in both CleverTap accounts, under every id that is theirs; their events of the last 30 days; the bodies
    of those that wait for their login or for a person; and every webhook about them that the archive has. It is
    personal data, written because you ask for it.

    It reads the whole deliveries table, about 0.02 USD for each million events in it, and the whole archive.
    """
    del as_json  # it is JSON either way
    dynamodb, table = account.client("dynamodb"), account.output("DeliveriesTableName")
    found, ids = person(dynamodb, account.output("SubscribersTableName"), app=app, id=user_id)
    with working("Reading the deliveries …"):
        events = list(deliveries_of(dynamodb, table, subscribers=frozenset(keys_of(app, ids))))
    waiting = list(held_deliveries(dynamodb, table, anonymous_keys(app, ids)))
    with taken(account) as messages:
        parked = [each for each in Choice(app=app).of(messages.messages) if is_about(each.newest.body, ids)]
        if messages.elsewhere:
            remark(f"{messages.elsewhere} parked messages are with another command: ask again in 15 minutes")
    archive = ArchiveBucket.of(account)
    with working("Reading the archive …"):
        archived = [
            {
                **{name: line.get(name) for name in ("event_id", "event_name", "environment", "message_id")},
                "received_at": iso(line["received_at"]),
                "body": _readable(decode_body(line["body"]).decode(errors="replace")),
            }
            for line in (archive.webhooks() if archive else ())
            if line["app"] == app and is_about(decode_body(line["body"]), ids)
        ]
    document: dict[str, Any] = {
        "app": app,
        "ids": {
            "user": sorted(ids.users),
            "anonymous": sorted(ids.anonymous),
            "clevertap": sorted(ids.objects),
        },
        "subscribers": [subscriber_document(each) for each in found],
        "events": [delivery_document(each) for each in events],
        "held": [{**delivery_document(each), "body": _readable(each.held_body)} for each in waiting],
        "parked": [{**parked_document(each), **body_document(each.newest)} for each in parked],
        "archive": archived,
        "elsewhere": list(REMAINS),
    }
    write_json(document)


def _readable(body: str | None) -> Any:
    """The event in a body that waits; its text if it is no JSON."""
    try:
        return None if body is None else json.loads(body)
    except ValueError:
        return body
