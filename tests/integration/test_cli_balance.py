"""`bridge balance` on tables and queues: what the forwarder leaves adds up, and what is taken away is named."""

from typing import Any

import pytest

from bridge_cli.deliveries import deliveries
from bridge_cli.times import now_ms
from purchasely_clevertap.aws.received import ReceivedNotes
from purchasely_clevertap.clevertap.response import NotTaken, Rejected
from purchasely_clevertap.delivery.message import MessageKind, attributes
from purchasely_clevertap.outcome import BackfillMode, RetryReason
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cli import Cli, messages_of, park
from tests.integration.cloud import DELIVERIES, Clock, Cloud, Worker
from tests.integration.webhook import Payload, encoded, event, message


@pytest.fixture
def clock() -> Clock:
    return Clock(now_ms())


def receive(cloud: Cloud, payload: Payload, *, app: str = "default", minutes_ago: int = 10) -> None:
    """Ingest takes a webhook: onto the queue, then noted."""
    sent = cloud.sqs.send_message(
        QueueUrl=cloud.events_url,
        MessageBody=encoded(payload).decode(),
        MessageAttributes=attributes(app, cloud.clock()),
    )
    results = ReceivedNotes(cloud.dynamodb, table=DELIVERIES, clock=cloud.clock.seconds)
    at = cloud.clock() - minutes_ago * 60_000
    assert results.note(app, encoded(payload), sent["MessageId"], now_ms=at)


def forward(cloud: Cloud, worker: Worker) -> None:
    worker.forward(*messages_of(cloud, cloud.events_url))


def balance(cli: Cli, *arguments: str, exit_code: int = 0) -> dict[str, Any]:
    """The balance of the app named default."""
    (found,) = cli.json("balance", "default", *arguments, exit_code=exit_code)["apps"]
    assert isinstance(found, dict)
    return found


def test_every_outcome_has_its_place(cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap) -> None:
    twice = event(event_id="e-1")
    receive(cloud, twice)
    receive(cloud, twice)
    receive(cloud, event("ACTIVATE", event_id="e-2"))
    receive(cloud, event("App Launched", event_id="e-3"))
    forward(cloud, worker)
    receive(cloud, event(event_id="e-4"))
    assert balance(cli) == {
        "app": "default",
        "received": 5,
        "delivered": 1,
        "skipped": 1,
        "duplicate": 1,
        "parked": 1,
        "held": 0,
        "in_flight": 1,
        "backfilled": 0,
        "by_reason": {"skipped": {"event_switched_off": 1}, "parked": {"unusable_event_name": 1}},
        "missing": [],
        "unqueued": [],
        "strays": [],
        "adds_up": True,
    }
    assert len(clevertap.events) == 1


def test_backfilled_events_stand_beside_the_sum(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    receive(cloud, event(event_id="e-1"))
    forward(cloud, worker)
    for mode, event_id in ((BackfillMode.PROFILE, "e-1"), (BackfillMode.ALL, "e-2"), (BackfillMode.ALL, "e-1")):
        told = message(event(event_id=event_id))
        worker.forward(told._replace(kind=MessageKind.BACKFILL, backfill=mode))
    found = balance(cli)
    assert (found["received"], found["delivered"], found["backfilled"]) == (1, 1, 2)
    assert found["adds_up"]
    receive(cloud, event(event_id="e-2"))
    forward(cloud, worker)
    found = balance(cli)
    assert (found["received"], found["delivered"], found["backfilled"]) == (2, 2, 1)


def test_nothing_received_is_nothing_wrong(cli: Cli) -> None:
    assert cli.json("balance") == {
        "adds_up": True,
        "queues": {"events": 0, "dead_letters": 0, "parked": 0},
        "apps": [],
    }
    assert "Nothing was received" in cli.run("balance").output
    assert balance(cli)["received"] == 0


def test_a_balance_of_an_app_that_is_not_known_says_so(cli: Cli) -> None:
    result = cli.run("balance", "misspelt")
    assert result.exit_code == 0
    assert "No webhook of app misspelt is known" in result.stderr
    assert "adds up" in result.stdout


def test_a_lost_event_is_named(cloud: Cloud, cli: Cli) -> None:
    receive(cloud, event(event_id="e-1"))
    receive(cloud, event(event_id="e-2"), minutes_ago=1)
    cloud.drain(cloud.events_url)
    assert balance(cli, exit_code=1)["missing"] == ["e-1"]
    assert balance(cli, "--after", "0", exit_code=1)["missing"] == ["e-1", "e-2"]
    assert balance(cli, "--after", "60")["adds_up"]
    result = cli.run("balance")
    assert result.exit_code == 1
    assert "is off" in result.output
    assert "  e-1\n" in result.output


def test_a_waiting_event_is_not_missing(cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap) -> None:
    receive(cloud, event(event_id="e-1"))
    clevertap.otherwise = answer(NotTaken(RetryReason.THROTTLED))
    (waiting,) = cloud.sqs.receive_message(QueueUrl=cloud.events_url, VisibilityTimeout=600)["Messages"]
    worker.forward(message(waiting["Body"].encode(), id=waiting["MessageId"], sent_at=cloud.clock()))
    found = balance(cli)
    assert (found["in_flight"], found["missing"]) == (1, [])


def test_what_fell_to_the_dead_letters_is_not_missing(cloud: Cloud, cli: Cli) -> None:
    receive(cloud, event(event_id="e-1"))
    for dead in cloud.drain(cloud.events_url):
        cloud.sqs.send_message(QueueUrl=cloud.dead_letters_url, MessageBody=dead.body.decode())
    assert balance(cli)["adds_up"]


def test_a_lost_parked_event_is_named(cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap) -> None:
    clevertap.otherwise = answer(Rejected(513, "reserved"), of="SUBSCRIPTION_RENEWED")
    receive(cloud, event(event_id="e-1"))
    forward(cloud, worker)
    assert balance(cli, "--after", "0")["adds_up"]
    cloud.parked()
    found = balance(cli, "--after", "0", exit_code=1)
    assert (found["unqueued"], found["missing"], found["parked"]) == (["e-1"], [], 1)
    assert "bridge parked discard" in cli.run("balance", "--after", "0").output


def test_a_parked_event_on_its_way_back_is_not_missing(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.otherwise = answer(Rejected(513, "reserved"), of="SUBSCRIPTION_RENEWED")
    receive(cloud, event(event_id="e-1"))
    forward(cloud, worker)
    cli.json("redrive", "--yes")
    assert balance(cli, "--after", "0")["adds_up"]


def test_a_stray_message_is_named_and_harmless(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    receive(cloud, event(event_id="e-1"))
    forward(cloud, worker)
    park(cloud, message(b"no", id="1"))
    found = balance(cli)
    assert (found["strays"], found["adds_up"]) == (["e-1"], True)
    assert "bridge parked redrive" in cli.run("balance").output


def test_a_busy_queue_is_not_taken_for_empty(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.otherwise = answer(Rejected(513, "reserved"), of="SUBSCRIPTION_RENEWED")
    for event_id in ("e-1", "e-2"):
        receive(cloud, event(event_id=event_id))
    forward(cloud, worker)
    park(cloud, message(b"no", id="3"))
    cloud.sqs.receive_message(QueueUrl=cloud.parked_url, VisibilityTimeout=600)
    result = cli.run("balance", "--after", "0")
    assert result.exit_code == 0
    assert "are with another command" in result.stderr


def test_an_outcome_during_the_read_is_not_missing(
    cloud: Cloud, cli: Cli, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(cloud, event(event_id="e-1"))
    messages = messages_of(cloud, cloud.events_url)
    assert balance(cli, exit_code=1)["missing"] == ["e-1"]

    def settled_meanwhile(*arguments: Any) -> Any:
        worker.forward(*messages)
        return deliveries(*arguments)

    monkeypatch.setattr("bridge_cli.commands.balance.deliveries", settled_meanwhile)
    found = balance(cli)
    assert (found["delivered"], found["in_flight"], found["missing"]) == (1, 0, [])


def test_each_app_has_its_own_balance(cloud: Cloud, cli: Cli) -> None:
    receive(cloud, event(event_id="e-1"))
    receive(cloud, event(event_id="e-2"), app="second")
    assert [each["app"] for each in cli.json("balance")["apps"]] == ["default", "second"]
    assert [each["app"] for each in cli.json("balance", "second")["apps"]] == ["second"]
