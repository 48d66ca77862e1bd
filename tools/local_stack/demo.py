"""`make demo`: every kind of webhook through the real way, and what became of each."""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from bridge_cli.balance import Balance, balances
from bridge_cli.deliveries import Delivery, all_deliveries
from clevertap_emulator import Profile
from purchasely_sender import LIFECYCLES, SPECIALS, Sender, Webhook, signed

from .background import LocalStackError
from .stack import PRODUCTION, SANDBOX, SHARED_SECRET, LocalStack, running

APP = "default"
SETTLE_SECONDS = 180.0
"""How long the last event may take to get its outcome."""

_SPECIALS = ("wrong_signature", "deprecated_signature", "not_json", "reserved_name", "unusable_clevertap_id")
_UNHEARD = "unheard_end"
_LONG_AGO = timedelta(days=60)
_STORIES_OF_PEOPLE = (
    "anonymous_becomes_known",
    "one_time_purchase_transfer",
    "shared_device",
    "unheard_end",
    "anonymous",
)
_UNATTENDED_WIDTH = 140
_COLOURS = {
    "delivered": "green",
    "skipped": "cyan",
    "duplicate": "blue",
    "parked": "yellow",
    "held": "magenta",
    "refused": "red",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A webhook that was sent, and how ingest answered it."""

    story: str
    event: Mapping[str, Any]
    expected: int
    status: int | None

    @property
    def event_id(self) -> str | None:
        return self.event.get("event_id")

    @property
    def user(self) -> str:
        return str(self.event.get("user_id") or self.event.get("anonymous_user_id") or "")


@dataclass(frozen=True, slots=True)
class Reached:
    """What reached CleverTap: the event records by event id, the number of profile records, the people, and what broke
    its rules."""

    events: Mapping[str, Sequence[Mapping[str, Any]]]
    profiles: int
    people: Sequence[Profile]
    violations: Sequence[object]

    def person(self, id: str) -> Profile | None:
        """Whom CleverTap knows by this id."""
        return next((each for each in self.people if id in (*each.identities, *each.object_ids)), None)


def run() -> int:
    """Runs the demo; 0 when everything that was sent is accounted for."""
    # Where nobody looks, as in CI's log, the table has room.
    console = Console(width=None if sys.stdout.isatty() else _UNATTENDED_WIDTH)
    with tempfile.TemporaryDirectory(prefix="bridge-demo-") as folder, console.status("") as status:

        def say(what: str) -> None:
            console.print(f"[dim]{what}[/]")
            status.update(what)

        with running(Path(folder), say=say) as stack:
            say(f"Sending webhooks to {stack.webhook_url(APP)} …")
            sent = list(_send(stack, status.update))
            say("Waiting until each has its outcome …")
            _settled(stack, status.update)
            say("The sweep looks for what is over by its date …")
            _sweep(stack)
            deliveries = _settled(stack, status.update)
            reached = _reached(stack)
            details = _parked_details(stack)
            balance = _balance(stack, deliveries)
        status.stop()
        _show(console, sent, {each.event_id: each for each in deliveries}, reached, details)
        return _verdict(console, sent, balance, reached)


def _webhooks(now: datetime) -> Iterator[tuple[str, Webhook, int]]:
    """Every lifecycle, then one webhook that comes twice, then those that are wrong in one way."""
    timestamp = int(now.timestamp())
    again: Webhook | None = None
    for seed, scenario in enumerate(LIFECYCLES.values()):
        # Whatever nobody told of its end has to be over by its dates.
        end = now - _LONG_AGO if scenario.name == _UNHEARD else now
        for event in scenario.ending(seed, end).events:
            again = signed(event, SHARED_SECRET, timestamp)
            yield scenario.name, again, 200
    if again is not None:
        yield "the same webhook again", again, 200
    for seed, name in enumerate(_SPECIALS):
        yield name, SPECIALS[name](SHARED_SECRET, timestamp, seed), SPECIALS[name].status


def _send(stack: LocalStack, progress: Callable[[str], None]) -> Iterator[Sent]:
    with Sender() as sender:
        for number, (story, webhook, expected) in enumerate(_webhooks(datetime.now(UTC) - timedelta(seconds=5)), 1):
            progress(f"Sending webhook {number}: {story}")
            answer = sender.send(stack.webhook_url(APP), webhook)
            yield Sent(story, _event(webhook.body), expected, answer.status)


def _event(body: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(body)
    except ValueError:
        return {"event_name": "(not JSON)"}
    return event if isinstance(event, dict) else {}


def _settled(stack: LocalStack, progress: Callable[[str], None]) -> list[Delivery]:
    """The deliveries once none is in flight and the events queue is empty, or after `SETTLE_SECONDS`."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        queued = _queued(stack)
        deliveries = list(all_deliveries(stack.client("dynamodb"), stack.outputs["DeliveriesTableName"], app=APP))
        in_flight = sum(each.outcome is None for each in deliveries)
        if not (in_flight or queued) or time.monotonic() > end:
            return deliveries
        progress(f"Waiting: {in_flight} of {len(deliveries)} events still in flight, {queued} messages queued")
        time.sleep(0.5)


def _queued(stack: LocalStack) -> int:
    """The messages of the events queue, but for those that come after a delay."""
    counts = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["EventsQueueUrl"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return sum(map(int, counts.values()))


def _sweep(stack: LocalStack) -> None:
    """Invokes the sweep as its schedule does."""
    answer = stack.client("lambda").invoke(FunctionName=stack.outputs["SweepFunctionName"], Payload=b"{}")
    swept = json.loads(answer["Payload"].read())
    if "FunctionError" in answer or not swept.get("is_done"):
        raise LocalStackError(f"the sweep failed: {swept}")


def _reached(stack: LocalStack) -> Reached:
    events: dict[str, list[Mapping[str, Any]]] = {}
    profiles = 0
    people: list[Profile] = []
    for account in (PRODUCTION, SANDBOX):
        people += [Profile(**each) for each in _emulator(stack, f"profiles?account={account.account_id}")["profiles"]]
        for stored in _emulator(stack, f"records?account={account.account_id}")["records"]:
            record = stored["record"]
            if record["type"] == "event":
                shown = {**record, "account": account.account_id}
                events.setdefault(record["evtData"]["event_id"], []).append(shown)
            else:
                profiles += 1
    return Reached(events, profiles, people, _emulator(stack, "violations")["violations"])


def _emulator(stack: LocalStack, path: str) -> Any:
    answer = requests.get(f"{stack.clevertap_url}/_emulator/{path}", timeout=10)
    answer.raise_for_status()
    return answer.json()


def _parked_details(stack: LocalStack) -> Mapping[str, str]:
    """What stands on each parked message, by event id. The messages stay in their queue."""
    details: dict[str, str] = {}
    sqs = stack.client("sqs")
    while True:
        answer = sqs.receive_message(
            QueueUrl=stack.outputs["ParkedQueueUrl"],
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=60,
        )
        if not answer.get("Messages"):
            return details
        for message in answer["Messages"]:
            texts = {name: value.get("StringValue", "") for name, value in message["MessageAttributes"].items()}
            details[texts["event_id"]] = texts.get("detail", "")


def _balance(stack: LocalStack, deliveries: Sequence[Delivery]) -> Balance:
    found = balances(deliveries, queued=_queued(stack), now_ms=int(time.time() * 1000), settled_after_ms=0)
    if APP not in found:
        raise LocalStackError("no event was received")
    return found[APP]


def _show(
    console: Console,
    sent: Sequence[Sent],
    deliveries: Mapping[str, Delivery],
    reached: Reached,
    details: Mapping[str, str],
) -> None:
    table = Table(title="What became of each webhook", title_style="bold", row_styles=["", "on grey7"], pad_edge=False)
    for column in ("event", "user", "outcome", "what CleverTap got and said"):
        table.add_column(column, overflow="fold", no_wrap=column == "event")
    by_body = [each for each in deliveries.values() if each.event_id.startswith("sha256-")]
    story, known = "", set[str]()
    for each in sent:
        if each.story != story:
            story = each.story
            table.add_section()
            table.add_row(f"[bold]{story.replace('_', ' ')}[/]")
        outcome, got = _outcome(each, deliveries, by_body, reached, details, known)
        colour = _COLOURS.get(outcome.split()[0], "white")
        name = str(each.event.get("event_name", ""))
        table.add_row(f"  {name}", _short(each.user), f"[{colour}]{outcome}[/]", got)
    console.print(table)
    console.print(_people(sent, reached))


def _people(sent: Sequence[Sent], reached: Reached) -> Table:
    """What CleverTap then knows of the people of some stories."""
    table = Table(title="Whom CleverTap knows", title_style="bold", pad_edge=False)
    for column in ("story", "ids", "state", "plan", "owned products", "access"):
        table.add_column(column, overflow="fold")
    for story in _STORIES_OF_PEOPLE:
        users = dict.fromkeys(each.user for each in sent if each.story == story and each.user)
        for user in users:
            person = reached.person(user)
            says = person.properties if person is not None else {}
            ids = ", ".join(map(_short, (*person.identities, *person.object_ids))) if person is not None else ""
            shown = [str(says.get(key, "")) for key in ("subscriber_state", "plan", "owned_products", "has_access")]
            table.add_row(story.replace("_", " "), ids or f"{_short(user)}: nobody", *shown)
    return table


def _outcome(
    sent: Sent,
    deliveries: Mapping[str, Delivery],
    by_body: Sequence[Delivery],
    reached: Reached,
    details: Mapping[str, str],
    known: set[str],
) -> tuple[str, str]:
    if sent.status != 200:
        return f"refused {sent.status}", "nothing: not believed to be Purchasely's"
    event_id = sent.event_id or (by_body[0].event_id if by_body else "")
    delivery = deliveries.get(event_id)
    if delivery is None:
        return "missing", ""
    if event_id in known:
        return "duplicate", "nothing more"
    known.add(event_id)
    said = f"{delivery.code} " if delivery.code else ""
    if delivery.outcome == "parked":
        return "parked", f"{said}{delivery.reason}: {details.get(event_id, '')}"
    if delivery.outcome == "held":
        return "held", "nothing yet: the user has not logged in"
    if delivery.outcome == "skipped":
        return "skipped", f"no event: {delivery.reason}"
    got = " + ".join(_record(record) for record in reached.events.get(event_id, ()))
    return delivery.outcome or "in flight", f"{got} [dim]accepted[/]"


def _record(record: Mapping[str, Any]) -> str:
    data = record["evtData"]
    where = " [magenta](sandbox account)[/]" if record["account"] == SANDBOX.account_id else ""
    if record["evtName"] in ("Charged", "Refunded"):
        return f"[bold]{record['evtName']} {data['Amount']:.2f} {data['Currency']}[/]{where}"
    waited = ", held until the login" if data.get("was_anonymous") else ""
    return f"event of {len(data)} properties{waited}{where}"


def _short(user: str) -> str:
    return user if len(user) <= 14 else f"{user[:6]}…{user[-6:]}"


def _state_of(story: str, sent: Sequence[Sent], reached: Reached) -> object:
    person = next((reached.person(each.user) for each in sent if each.story == story), None)
    return person.properties.get("subscriber_state") if person is not None else None


def _verdict(console: Console, sent: Sequence[Sent], balance: Balance, reached: Reached) -> int:
    accepted = sum(each.status == 200 for each in sent)
    console.print(
        f"\n[bold]Balance[/]  received {balance.received} = delivered {balance.delivered} + "
        f"skipped {balance.skipped} + duplicate {balance.duplicate} + "
        f"parked {balance.parked} + held {balance.held} + in flight {balance.in_flight}"
    )
    for outcome, reasons in balance.by_reason.items():
        console.print(f"         {outcome}: " + ", ".join(f"{reason} {count}" for reason, count in reasons.items()))
    records = sum(map(len, reached.events.values()))
    console.print(f"CleverTap has {records} event records and {reached.profiles} profile records.\n")
    faults = list(_faults(sent, accepted, balance, reached))
    for fault in faults:
        console.print(f"[red]✗ {fault}[/]")
    if not faults:
        console.print("[green]✓ It balances: nothing lost, nothing doubled, nothing that CleverTap would not take.[/]")
    return 1 if faults else 0


def _faults(sent: Sequence[Sent], accepted: int, balance: Balance, reached: Reached) -> Iterator[str]:
    for each in sent:
        if each.status != each.expected:
            yield f"{each.story}: answered {each.status}, expected {each.expected}"
    if balance.received != accepted:
        yield f"{accepted} webhooks were answered 200, {balance.received} are on record"
    if not balance.adds_up:
        yield f"the balance is off: {', '.join(balance.missing) or 'see the counts'}"
    if balance.in_flight:
        yield f"{balance.in_flight} events have no outcome after {SETTLE_SECONDS:g} s"
    for event_id, records in reached.events.items():
        names = Counter(record["evtName"] for record in records)
        if doubled := [name for name, count in names.items() if count > 1]:
            yield f"CleverTap has {', '.join(doubled)} of event {event_id} more than once"
    with_record = {each.event_id for each in sent if each.event_id in reached.events}
    if len(with_record) != balance.delivered:
        yield f"{balance.delivered} events are delivered, CleverTap has {len(with_record)}"
    if (state := _state_of(_UNHEARD, sent, reached)) != "expired":
        yield f"the subscription that ended unheard is {state}, after the sweep"
    if reached.violations:
        yield f"CleverTap's rules were broken {len(reached.violations)} times: {reached.violations[0]}"
