"""`bridge trace`: the whole story of an event, and of a subscriber."""

import pytest

from bridge_cli.times import iso, now_ms
from purchasely_clevertap.clevertap.response import NotTaken, Rejected
from purchasely_clevertap.outcome import RetryReason
from purchasely_clevertap.telemetry.user_hash import user_hash
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cli import Cli, log
from tests.integration.cloud import STAGE, USER_KEY, Clock, Cloud, Worker
from tests.integration.webhook import event, message, transaction


@pytest.fixture
def clock() -> Clock:
    return Clock(now_ms())


# An event


def test_a_parked_event_tells_what_clevertap_said(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.script.append(answer(Rejected(512, "Amount is no number"), of="Charged"))
    sent = message(transaction(event_id="e-1", at=cloud.clock() - 5000), id="m-1", sent_at=cloud.clock())
    worker.outcome(sent)
    document = cli.json("trace", "e-1", "--no-logs")["event"]
    assert document == {
        "event_id": "e-1",
        "event_name": "TRANSACTION_PROCESSED",
        "event_at": iso(cloud.clock() - 5000),
        "received_at": document["received_at"],
        "messages": ["m-1"],
        "attempts": 1,
        "account": "production",
        "subscriber": "default#production#user#user-1",
        "outcome": "parked",
        "reason": "refused_by_clevertap",
        "code": 512,
        "accepted": ["event"],
        "unconfirmed_sends": 0,
        "settled_at": iso(cloud.clock()),
        "leased_until": None,
        "held_for": None,
        "held_until": None,
        "parked_message": {
            "parked_at": iso(cloud.clock()),
            "detail": "Amount is no number",
            "message_id": "m-1",
            "messages": 1,
        },
        "log": None,
    }
    output = cli.run("trace", "e-1", "--no-logs").output
    assert "Amount is no number" in output
    assert "bridge parked show e-1" in output
    # The look at the parked queue leaves it as it was.
    assert len(cloud.parked()) == 1


def test_a_parked_event_not_on_its_queue_says_so(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.script.append(answer(Rejected(512, "no"), of="SUBSCRIPTION_RENEWED"))
    worker.outcome(message(event(event_id="e-1"), sent_at=cloud.clock()))
    cloud.parked()
    assert "it is not on the parked queue" in cli.run("trace", "e-1", "--no-logs").output
    assert cli.json("trace", "e-1", "--no-logs")["event"]["parked_message"] is None


def test_an_event_in_flight_says_what_it_waits_for(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.otherwise = answer(NotTaken(RetryReason.THROTTLED))
    worker.outcome(message(event(event_id="e-1"), sent_at=cloud.clock()))
    assert "in flight: to be tried again after throttled" in cli.run("trace", "e-1", "--no-logs").output
    assert cli.json("trace", "e-1", "--no-logs")["event"]["outcome"] == "in_flight"


def test_duplicates_are_told(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    payload = event(event_id="e-1")
    for number in (1, 2):
        worker.outcome(message(payload, id=f"m-{number}", sent_at=cloud.clock()))
    assert "2 webhooks, so 1 duplicate" in cli.run("trace", "e-1", "--no-logs").output


def test_each_event_of_an_id_is_told(cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap) -> None:
    clevertap.otherwise = answer(Rejected(512, "no"), of="SUBSCRIPTION_RENEWED")
    sent = {
        "m-1": event("SUBSCRIPTION_STARTED", event_id="e-1"),
        "m-2": event("SUBSCRIPTION_RENEWED", event_id="e-1", environment="SANDBOX"),
        "m-3": event(event_id="e-1", event_created_at_ms=None),
    }
    worker.outcomes(*(message(payload, id=id_, sent_at=cloud.clock()) for id_, payload in sent.items()))
    document = cli.json("trace", "e-1", "--no-logs")
    found = [document["event"], *document["further_events"]]
    told = {
        (each["event_name"], each["outcome"], each["parked_message"] and each["parked_message"]["message_id"])
        for each in found
    }
    assert told == {
        ("SUBSCRIPTION_STARTED", "delivered", None),
        ("SUBSCRIPTION_RENEWED", "parked", "m-2"),
        ("SUBSCRIPTION_RENEWED", "parked", "m-3"),
    }
    assert document["event"]["event_name"] == "SUBSCRIPTION_STARTED"
    output = cli.run("trace", "e-1", "--no-logs").output
    assert output.index("3 events came with this id") < output.index("SUBSCRIPTION_STARTED")


def test_log_lines_are_told_in_their_order(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    worker.outcome(message(event(event_id="e-1"), id="m-1", sent_at=cloud.clock()))
    common = {"level": "INFO", "timestamp": "…", "service": "…"}
    accepted = {**common, "message": "accepted", "app": "default", "message_id": "m-1", "bytes": 12}
    told = {**common, "message": "event", "app": "default", "event_id": "e-1", "outcome": "delivered"}
    log(
        "IngestLogGroup",
        cloud.clock() - 50,
        [accepted, {**accepted, "message_id": "m-2"}, {**accepted, "app": "second"}, "START m-1", '["m-1"]'],
    )
    log("ForwarderLogGroup", cloud.clock(), [told, {**told, "event_id": "e-2"}, {**told, "app": "second"}])
    lines = cli.json("trace", "e-1")["event"]["log"]
    assert [(line["function"], line["message"]) for line in lines] == [("ingest", "accepted"), ("forwarder", "event")]
    assert lines[1]["facts"] == {"app": "default", "event_id": "e-1", "outcome": "delivered"}
    output = cli.run("trace", "e-1").output
    assert output.index("accepted  message_id=m-1") < output.index("event     outcome=delivered")


def test_unreadable_logs_hide_nothing_else(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    worker.outcome(message(event(event_id="e-1"), sent_at=cloud.clock()))
    result = cli.run("trace", "e-1")
    assert result.exit_code == 0
    assert "The log lines can't be read: ResourceNotFoundException" in result.stderr
    assert "delivered" in result.stdout


def test_what_nobody_knows_is_said(cli: Cli) -> None:
    result = cli.run("trace", "nobody@example.com")
    assert result.exit_code == 1
    assert "nothing is known of nobody@example.com in app default" in result.stderr


# A subscriber


def test_a_subscriber_tells_each_fact_with_its_time(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    now = cloud.clock()
    worker.outcome(message(event(event_id="e-1", at=now - 60_000), sent_at=now))
    cloud.clock.advance(120)
    worker.outcome(message(transaction(event_id="e-2", at=now), sent_at=now))
    document = cli.json("trace", "user-1")
    assert document["event"] is None
    (subscriber,) = document["subscribers"]
    assert (subscriber["account"], subscriber["kind"], subscriber["id"]) == ("production", "user", "user-1")
    assert subscriber["person"]["last_event"] == {"value": "TRANSACTION_PROCESSED", "told_at": iso(now)}
    held = subscriber["subscriptions"]["subs_user-1"]
    assert held["active"] == {"value": True, "told_at": iso(now)}
    assert subscriber["profile"]["plan"] == "monthly"
    assert subscriber["clevertap_has"]["last_event"] == "TRANSACTION_PROCESSED"
    assert [each["event_id"] for each in document["events"]] == ["e-2", "e-1"]
    output = cli.run("trace", "user-1").output
    assert "Subscriber user user-1 in the production account of app default" in output
    assert "subscription subs_user-1" in output


def test_a_person_is_found_under_every_id(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    now = cloud.clock()
    anonymous = event(user=None, anonymous_user_id="a-1", clevertap_id="__habc", event_id="e-1", at=now)
    known = event(user="user-1", clevertap_id="__habc", event_id="e-2", at=now + 1)
    sandbox = event(user="user-1", environment="SANDBOX", event_id="e-3", at=now + 2)
    other = event(user="user-2", event_id="e-4", at=now + 3)
    for each in (anonymous, known, sandbox, other):
        worker.outcome(message(each, sent_at=now))
        cloud.clock.advance(120)
    document = cli.json("trace", "user-1")
    assert [(each["account"], each["kind"], each["id"]) for each in document["subscribers"]] == [
        ("production", "object", "__habc"),
        ("production", "user", "user-1"),
        ("sandbox", "user", "user-1"),
    ]
    assert [each["event_id"] for each in document["events"]] == ["e-3", "e-2", "e-1"]


def test_an_id_of_event_and_person_tells_of_both(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    worker.outcome(message(event(user="7", event_id="7"), sent_at=cloud.clock()))
    document = cli.json("trace", "7", "--no-logs")
    assert document["event"]["event_id"] == "7"
    assert document["subscribers"][0]["id"] == "7"


def test_a_subscriber_has_the_user_hash_of_the_log(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    now = cloud.clock()
    worker.outcome(message(event(event_id="e-1", at=now), sent_at=now))
    told = user_hash("user-1", USER_KEY)
    assert cli.json("trace", "user-1")["user_hash"] == told
    assert f"In the log this id is {told}" in cli.run("trace", "user-1").output
    assert cli.json("trace", "e-1", "--no-logs")["user_hash"] is None


def test_without_a_right_to_the_key_there_is_no_hash(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    now = cloud.clock()
    worker.outcome(message(event(event_id="e-1", at=now), sent_at=now))
    cli.deny("GetSecretValue")
    document = cli.json("trace", "user-1")
    assert (document["user_hash"], document["subscribers"][0]["id"]) == (None, "user-1")
    shown = cli.run("trace", "user-1")
    assert shown.exit_code == 0
    assert f"purchasely-clevertap/{STAGE}/user-hash-key" in shown.output
