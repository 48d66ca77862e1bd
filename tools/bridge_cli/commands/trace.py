"""`bridge trace`: the whole story of one event, or of one subscriber."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import click
from botocore.exceptions import ClientError
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_option
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.deliveries import Delivery, deliveries_of, deliveries_of_id, held_deliveries
from bridge_cli.documents import delivery_document, facts_with_times, subscriber_document
from bridge_cli.id_command import IdCommand
from bridge_cli.log_lines import Line, lines_of
from bridge_cli.output import json_option, plain, remark, show, table, working
from bridge_cli.parked_messages import Choice, ParkedEvent, taken
from bridge_cli.subscribers import Ids, Remembered, anonymous_keys, keys_of, person
from bridge_cli.suppression import suppressed
from bridge_cli.times import iso, now_ms, readable
from purchasely_clevertap.aws.user_hash_key import user_hash_key_name
from purchasely_clevertap.purchasely.event import Value
from purchasely_clevertap.telemetry.user_hash import user_hash

_EVENTS_SHOWN: Final = 20
_EVENT_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}(?:~[0-9a-f]{8})?").fullmatch
_DATE: Final = re.compile(r"\$D_(\d{1,11})").fullmatch


@click.command("trace", cls=IdCommand, epilog="Example: bridge trace 4f0b6c1e-7d3a-4f62-9d5e-0c9a1b2d3e4f")
@click.argument("id_", metavar="EVENT_ID|USER_ID")
@app_option("The app that the event or the subscriber belongs to.")
@click.option("--logs/--no-logs", default=True, help="Look for an event's log lines.  [default: logs]")
@json_option
@on_account
def command(account: Account, id_: str, app: str, logs: bool, as_json: bool) -> None:
    """The whole story of one event, or of one subscriber.

    Of an event: when it came, what was decided, what CleverTap said, its log lines. Of a subscriber, by the app's
    user id, an anonymous id or a CleverTap id: the state that is kept in each CleverTap account with the time of each
    fact, what CleverTap has of the profile, the events of the last 30 days, and the user_hash that the log has, if you
    may read its key.

    What is kept of a subscriber is personal data, shown because you ask for it. Their events are found by reading the
    whole deliveries table: about 0.02 USD for each million events in it.
    """
    events_of_id = _events_of_id(account, app, id_) if _EVENT_ID(id_) else []
    found, ids = person(account.client("dynamodb"), account.output("SubscribersTableName"), app=app, id=id_)
    waiting = _waiting(account, app, ids)
    is_suppressed = not events_of_id and bool(suppressed(account, app, id_))
    if not events_of_id and not found and not waiting and not is_suppressed:
        raise CliError(
            f"nothing is known of {id_} in app {app}: neither an event of the last 30 days nor a subscriber has this "
            "id; --app names another app",
            code=ErrorCode.NOT_FOUND,
        )
    stories = [
        (
            event,
            _parked(account, event) if event.outcome == "parked" else None,
            _lines(account, event) if logs else None,
        )
        for event in events_of_id
    ]
    told = [_event_document(*story) for story in stories]
    document: dict[str, Any] = {
        "app": app,
        "event": told[0] if told else None,
        "further_events": told[1:],
        "suppressed": is_suppressed,
        "user_hash": None,
        "subscribers": [],
        "events": [],
    }
    events: list[Delivery] = []
    if found or waiting:
        with working("Reading the deliveries …"):
            events = _events(account, keys_of(app, ids), waiting)
        document["user_hash"] = _user_hash(account, id_)
        document["subscribers"] = [subscriber_document(each) for each in found]
        document["events"] = [delivery_document(each) for each in events]

    def view(to: Console) -> None:
        if is_suppressed:
            to.print(
                plain(
                    f"{id_} was forgotten and is suppressed: what comes about this person is skipped. "
                    f"bridge forget {id_} --unsuppress undoes it."
                )
            )
        if len(stories) > 1:
            to.print(plain(f"{len(stories)} events came with this id, with another environment, name or body."))
        for event, parked, lines in stories:
            _show_event(to, event, parked, lines)
        if found or waiting:
            _show_subscribers(to, found, events)
            if document["user_hash"]:
                told = f'In the log this id is {document["user_hash"]}: ask for it with the saved query "one user".'
                to.print(plain(told))

    show(document, view, as_json=as_json)


def _user_hash(account: Account, id_: str) -> str | None:
    """What the log has in the place of the id; None if the person may not know, as their rights do not name the key."""
    name = user_hash_key_name(account.stage)
    try:
        key = account.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    except ClientError as error:
        remark(f"The hash in the log can't be told: secret {name} can't be read: {error.response['Error']['Code']}")
        return None
    return user_hash(id_, key)


def _events_of_id(account: Account, app: str, event_id: str) -> list[Delivery]:
    table_name = account.output("DeliveriesTableName")
    return deliveries_of_id(account.client("dynamodb"), table_name, app=app, event_id=event_id)


def _events(account: Account, keys: Sequence[str], waiting: Sequence[Delivery]) -> list[Delivery]:
    """The subscriber's events, the newest first; `waiting` are those that wait for their login."""
    table_name = account.output("DeliveriesTableName")
    found = [*waiting, *deliveries_of(account.client("dynamodb"), table_name, subscribers=frozenset(keys))]
    return sorted(found, key=lambda each: (each.event_at or each.received_at or 0, each.event_id), reverse=True)


def _waiting(account: Account, app: str, ids: Ids) -> list[Delivery]:
    """The events that wait for the login of one of these anonymous users."""
    table_name = account.output("DeliveriesTableName")
    return list(held_deliveries(account.client("dynamodb"), table_name, anonymous_keys(app, ids)))


def _parked(account: Account, event: Delivery) -> ParkedEvent | None:
    """What stands on the parked queue of the event."""
    with taken(account) as messages:
        found = Choice(frozenset({event.event_id}), event.app).of(messages.messages)
        if not found and messages.elsewhere:
            remark(f"{messages.elsewhere} messages of the parked queue are out of sight now: another command has them")
        return found[0] if found else None


def _lines(account: Account, event: Delivery) -> list[Line] | None:
    start = min(filter(None, (event.received_at, event.settled_at)), default=None)
    if start is None:
        return []
    try:
        with working("Reading the logs …"):
            return lines_of(
                account,
                app=event.app,
                event_id=event.event_id,
                messages=event.messages,
                start=start,
                end=event.settled_at if event.outcome is not None else None,
            )
    except ClientError as error:
        remark(f"The log lines can't be read: {error.response['Error']['Code']}")
        return None


def _event_document(event: Delivery, parked: ParkedEvent | None, lines: Iterable[Line] | None) -> dict[str, Any]:
    return {
        **delivery_document(event),
        "parked_message": None
        if parked is None
        else {
            "parked_at": iso(parked.newest.parked_at),
            "detail": parked.newest.detail,
            "message_id": parked.newest.message_id,
            "messages": len(parked.messages),
        },
        "log": None if lines is None else [{**asdict(line), "at": iso(line.at)} for line in lines],
    }


def _show_event(to: Console, event: Delivery, parked: ParkedEvent | None, lines: Sequence[Line] | None) -> None:
    to.print(plain(f"Event {event.event_id} of app {event.app}", "bold"))
    told = table("", "")
    told.show_header = False
    for name, value in _story(event, parked):
        told.add_row(plain(name, "bold"), plain(value))
    to.print(told)
    if lines is None:
        return
    to.print()
    if not lines:
        to.print(plain("No log line names it: they come some seconds late, and are kept for LogRetentionDays."))
        return
    listed = table("logged (UTC)", "by", "what", "")
    for line in lines:
        facts = (f"{name}={value}" for name, value in line.facts.items() if name not in ("app", "event_id"))
        listed.add_row(plain(readable(line.at)), plain(line.function), plain(line.message), plain("  ".join(facts)))
    to.print(listed)


def _story(event: Delivery, parked: ParkedEvent | None) -> Iterator[tuple[str, str]]:
    yield "what", event.event_name or "unknown: it could not be read, or not yet"
    if event.event_at is not None:
        yield "happened (UTC)", readable(event.event_at)
    webhooks = "1 webhook" if event.webhooks == 1 else f"{event.webhooks} webhooks, so {event.webhooks - 1} duplicate"
    yield "received (UTC)", f"{readable(event.received_at) or 'not noted at ingest'} ({webhooks})"
    yield "messages", ", ".join(sorted(event.messages)) or "none noted"
    yield "tried", "once" if event.attempts == 1 else f"{event.attempts} times"
    if event.account is not None:
        yield "CleverTap account", event.account
    if event.subscriber is not None:
        yield "subscriber", _person(event.subscriber)
    yield "outcome", _outcome(event)
    if event.held_for is not None:
        yield "waits", f"for the login of {_person(event.held_for)}, until {readable(event.hold_until)}"
    if event.code is not None:
        yield "CleverTap's code", str(event.code)
    if parked is not None:
        yield "what is wrong", parked.newest.detail or parked.newest.reason
        yield (
            "waits",
            f"on the parked queue since {readable(parked.newest.parked_at)}: bridge parked show {event.event_id}",
        )
    elif event.outcome == "parked":
        yield "waits", "nowhere: it is not on the parked queue, unless it has just been sent back"
    yield "CleverTap has", ", ".join(sorted(event.accepted)) or "no record of it"
    if event.unconfirmed_sends:
        yield (
            "unconfirmed",
            f"{event.unconfirmed_sends} times the answer was lost: CleverTap may have its records more than once",
        )


def _person(key: str) -> str:
    return key.split("#", 2)[2].replace("#", " ", 1)


def _outcome(event: Delivery) -> str:
    if event.outcome is not None:
        reason = f": {event.reason}" if event.reason else ""
        return f"{event.outcome}{reason}, at {readable(event.settled_at)}"
    if event.lease_until > now_ms():
        return "in flight: a worker is at it"
    if event.lease_until:
        return "in flight: a worker had it and has not settled it"
    if event.reason:
        return f"in flight: to be tried again after {event.reason}"
    return "in flight"


def _show_subscribers(to: Console, found: Sequence[Remembered], events: Sequence[Delivery]) -> None:
    for each in found:
        to.print(plain(f"Subscriber {each.kind} {each.id} in the {each.account} account of app {each.app}", "bold"))
        facts = table("what is known", "", "told (UTC)")
        for name, value, at in facts_with_times(each.state.person):
            facts.add_row(plain(name), plain(_readable(value)), plain(readable(at)))
        for key, history in each.state.subscriptions.items():
            facts.add_row(plain(f"subscription {key}", "bold"))
            for name, value, at in facts_with_times(history):
                facts.add_row(plain(f"  {name}"), plain(_readable(value)), plain(readable(at)))
            if key in each.state.lapsed:
                ended = f"{readable(each.state.lapsed[key])} UTC"
                facts.add_row(plain("  has lapsed"), plain(f"no event since its end, {ended}"))
        for key, history in each.state.purchases.items():
            facts.add_row(plain(f"one-time purchase {key}", "bold"))
            for name, value, at in facts_with_times(history):
                facts.add_row(plain(f"  {name}"), plain(_readable(value)), plain(readable(at)))
        to.print(facts)
        if each.is_unreadable:
            to.print(plain("The stored state cannot be read: the next event tells CleverTap the whole profile."))
        if each.tied_user is not None:
            to.print(plain(f"It is user {each.tied_user} now."))
        if each.tied_object is not None:
            to.print(plain(f"Its CleverTap id, by the app's backend: {each.tied_object}"))
        to.print()
        _show_profile(to, each.state.sent)
        if each.state.linked:
            to.print(plain(f"CleverTap ids tied to it: {', '.join(sorted(each.state.linked))}"))
        if each.state.unlinked:
            to.print(plain(f"CleverTap ids of another user: {', '.join(sorted(each.state.unlinked))}"))
        if each.state.known_as:
            to.print(plain(f"Anonymous ids before the login: {', '.join(sorted(each.state.known_as))}"))
        if each.lease_until > now_ms():
            to.print(plain("A worker is sending this profile now."))
        to.print()
    listed = table("happened (UTC)", "event id", "event", "outcome", "reason", whole=["event id"])
    for event in events[:_EVENTS_SHOWN]:
        listed.add_row(
            plain(readable(event.event_at)),
            plain(event.event_id),
            plain(event.event_name),
            plain(event.outcome or "in flight"),
            plain(event.reason),
        )
    to.print(listed)
    if len(events) > _EVENTS_SHOWN:
        to.print(plain(f"… and {len(events) - _EVENTS_SHOWN} before: --json has all"))
    to.print(plain("Events that were skipped or parked before it was settled whom they are about are not among them."))


def _show_profile(to: Console, sent: Mapping[str, Value]) -> None:
    if not sent:
        to.print(plain("CleverTap has nothing of the profile from us."))
        return
    profile = table("what CleverTap has of the profile", "")
    for name, value in sent.items():
        profile.add_row(plain(name), plain(_readable(value)))
    to.print(profile)


def _readable(value: Value) -> Value:
    """A date of CleverTap's as a date."""
    found = _DATE(value) if isinstance(value, str) else None
    return f"{readable(int(found[1]) * 1000)} UTC" if found else value
