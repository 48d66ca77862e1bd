"""The forwarder function behind its queue: from a signed webhook to CleverTap, and what is told on the way."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.response import NotTaken, Rejected, SetupFault
from purchasely_clevertap.delivery.message import attributes, encode_body
from purchasely_clevertap.outcome import RetryReason
from purchasely_clevertap.telemetry.user_hash import user_hash
from tests.integration.clevertap import NEEDED_SECONDS, ScriptedClevertap, answer, while_uploading
from tests.integration.cloud import DELIVERIES, USER_KEY, Cloud
from tests.integration.function import DEAD_LETTERS_ARN, Function, queue_event, received
from tests.integration.webhook import SECRET, Payload, encoded, event, gateway_event, signed, transaction

PERSONAL = (
    "somebody",
    "anon-4711",
    "premium-monthly",
    "2000000137582598",
    "token-of-google",
    SECRET,
    "production-passcode",
    "sandbox-passcode",
)

type Start = Callable[..., Function]


@pytest.fixture
def start(
    cloud: Cloud, clevertap: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Start:
    """Makes a forwarder whose CleverTap follows a script."""
    monkeypatch.setattr("purchasely_clevertap.clevertap.client.Client", lambda: clevertap)
    return lambda **environment: Function("forwarder", cloud, monkeypatch, capsys, **environment)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def recent(name: str = "SUBSCRIPTION_RENEWED", **more: Any) -> Payload:
    return event(name, at=now_ms() - 5000, **more)


def queue(cloud: Cloud, *payloads: Payload | bytes, app: str = "default", url: str | None = None) -> dict[str, Any]:
    """Queues events as ingest does and takes them off as Lambda does: the event that the function gets."""
    for payload in payloads:
        cloud.sqs.send_message(
            QueueUrl=url or cloud.events_url,
            MessageBody=encode_body(encoded(payload)),
            MessageAttributes=attributes(app, now_ms()),
        )
    return queue_event(received(cloud, url or cloud.events_url))


def again(batch: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
    """The messages that were answered as failed, as they come for the next time."""
    failed = {each["itemIdentifier"] for each in answered["batchItemFailures"]}
    return {"Records": [each for each in batch["Records"] if each["messageId"] in failed]}


def test_ingest_and_forwarder_agree_on_an_event(
    cloud: Cloud,
    clevertap: ScriptedClevertap,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ingest = Function("ingest", cloud, monkeypatch, capsys)
    payloads = [
        recent(event_id="e-1"),
        recent("ACTIVATE", event_id="e-2"),
        recent(event_id="e-3", environment="SANDBOX"),
        recent(event_id="e-4", product="Café \U0001f600 \x07"),
        transaction(event_id="e-5", at=now_ms()),
    ]
    bodies = [*map(encoded, payloads), json.dumps(recent(event_id="e-6"), ensure_ascii=False).encode() + b"\xff"]
    for body in bodies:
        headers = signed(body, timestamp=str(int(time.time())))
        assert ingest(gateway_event(body, headers, as_base64=True))["statusCode"] == 200
    forwarder = start()
    batch = queue_event(received(cloud, cloud.events_url))
    assert forwarder(batch) == {"batchItemFailures": []}
    assert [cloud.entry(f"e-{n}")["outcome"] for n in range(1, 6)] == [
        "delivered",
        "skipped",
        "delivered",
        "delivered",
        "delivered",
    ]
    (parked,) = cloud.parked()
    assert parked.body == bodies[-1]
    items = cloud.dynamodb.scan(TableName=DELIVERIES)["Items"]
    # What ingest noted is what the forwarder gave an outcome: nothing is in flight.
    assert len(items) == 6
    assert all("outcome" in item and len(item["messages"]["SS"]) == 1 for item in items)
    assert {item["messages"]["SS"][0] for item in items} == {each["messageId"] for each in batch["Records"]}
    assert sorted(clevertap.events) == ["Charged", *["SUBSCRIPTION_RENEWED"] * 3, "TRANSACTION_PROCESSED"]
    assert {sent.account_id for sent in clevertap.taken} == {"PRODUCTION-ID", "SANDBOX-ID"}


def test_only_retries_are_answered_and_hidden(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    batch = queue(
        cloud,
        recent("SUBSCRIPTION_STARTED", user="a"),
        recent("RENEWAL_DISABLED", user="b"),
        recent("RENEWAL_ENABLED", user="c"),
        recent("ACTIVATE", user="d"),
        b"unreadable",
    )
    failing = next(each for each in batch["Records"] if "RENEWAL_DISABLED" in each["body"])
    clevertap.script.append(answer(NotTaken(RetryReason.RECORD_ERROR), of="RENEWAL_DISABLED"))
    forwarder = start()
    answered = forwarder(batch)
    assert answered == {"batchItemFailures": [{"itemIdentifier": failing["messageId"]}]}
    assert received(cloud, cloud.events_url) == []
    assert forwarder(again(batch, answered)) == {"batchItemFailures": []}
    assert sorted(clevertap.events) == ["RENEWAL_DISABLED", "RENEWAL_ENABLED", "SUBSCRIPTION_STARTED"]


def test_a_delay_uses_the_messages_own_receipt(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    batch = queue(cloud, recent())
    cloud.sqs.change_message_visibility(
        QueueUrl=cloud.events_url, ReceiptHandle=batch["Records"][0]["receiptHandle"], VisibilityTimeout=0
    )
    clevertap.otherwise = answer(NotTaken(RetryReason.THROTTLED, 429))
    assert len(start(RETRY_BASE_SECONDS="30")(batch)["batchItemFailures"]) == 1
    assert received(cloud, cloud.events_url) == []  # it was visible, and is hidden now


def test_a_batch_without_time_is_answered_as_failed(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    forwarder = start()
    batch = queue(cloud, recent(), recent())
    answered = forwarder(batch, left_ms=int(NEEDED_SECONDS * 1000))
    assert len(answered["batchItemFailures"]) == 2
    assert clevertap.requests == []
    assert forwarder(again(batch, answered)) == {"batchItemFailures": []}
    assert len(clevertap.events) == 2


def test_a_message_of_the_dead_letter_queue_is_parked(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    batch = queue(cloud, recent(event_id="e-1"), url=cloud.dead_letters_url)
    for record in batch["Records"]:
        record["eventSourceARN"] = DEAD_LETTERS_ARN
    assert start()(batch) == {"batchItemFailures": []}
    (parked,) = cloud.parked()
    assert (parked.attributes["reason"], parked.attributes["event_id"]) == ("dead_letter", "e-1")
    assert clevertap.requests == []


def test_a_message_without_attributes_is_parked(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    cloud.sqs.send_message(QueueUrl=cloud.events_url, MessageBody=encoded(recent()).decode())
    assert start()(queue(cloud, recent())) == {"batchItemFailures": []}
    assert len(clevertap.events) == 1
    assert [parked.attributes["reason"] for parked in cloud.parked()] == ["unreadable"]


def test_nothing_that_is_told_is_personal_or_secret(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    person: Payload = {"user": "somebody@example.com", "plan": "premium-monthly", "purchase_token": "token-of-google"}
    batch = queue(
        cloud,
        recent(**person),
        recent("RENEWAL_DISABLED", **person | {"user": "somebody-else"}),
        recent(**person | {"user": None}, anonymous_user_id="anon-4711"),
        recent("SUBSCRIPTION_STARTED", **person, presentation="somebody" * 100),
        recent(**person, environment="somebody"),
        transaction(at=now_ms(), **person),
        b'{"user_id": "somebody@example.com"',
    )
    clevertap.script.append(answer(Rejected(512, "somebody@example.com is bad"), of="RENEWAL_DISABLED"))
    forwarder = start()
    assert forwarder(batch) == {"batchItemFailures": []}
    clevertap.otherwise = answer(SetupFault(401, "production-passcode of somebody is wrong"))
    assert len(forwarder(queue(cloud, recent(**person)))["batchItemFailures"]) == 1
    output = forwarder.printed()
    assert [each for each in PERSONAL if each in output] == []
    assert len([line for line in output.splitlines() if json.loads(line).get("message") == "event"]) == 8


def test_a_batch_tells_lines_and_counts(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    started = recent(user="a", event_id="e-1")
    forwarder = start()
    clevertap.script.append(answer(Rejected(512, "bad"), of="RENEWAL_DISABLED"))
    forwarder(
        queue(
            cloud,
            started,
            started,
            recent("RENEWAL_DISABLED", user="b"),
            recent("ACTIVATE"),
            recent("NEW_ONE", user="c"),
        )
    )
    lines, metrics = forwarder.told()
    assert sorted(line["outcome"] for line in lines if line["message"] == "event") == [
        "delivered",
        "delivered",
        "duplicate",
        "parked",
        "skipped",
    ]
    (upload,) = (line for line in lines if line["message"] == "upload")
    assert (upload["records"], upload["requests"]) == (7, 1)
    counts = {name: sum(values) for name, values in metrics.values.items()}
    age = counts.pop("EventAge")
    assert 2 * 5000 <= age < 2 * 60_000
    assert len(metrics.values["UploadTime"]) == 1
    del counts["UploadTime"]
    assert counts == {
        "Delivered": 2,
        "Duplicate": 1,
        "Parked": 1,
        "ProfileUpdates": 4,
        "Settled": 5,
        "Skipped": 1,
        "UnknownEvents": 1,
        "UploadRequests": 1,
        "UploadedRecords": 7,
    }
    assert {dict(dimensions)["stage"] for dimensions in metrics.dimensions} == {"test"}


def test_a_setup_fault_has_its_own_metric(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    clevertap.otherwise = answer(SetupFault(401, "no"))
    forwarder = start()
    assert len(forwarder(queue(cloud, recent(user="a"), recent(user="b")))["batchItemFailures"]) == 2
    assert sum(forwarder.told()[1].values["SetupFaults"]) == 2
    assert cloud.parked() == []


def test_refused_settings_are_told_and_the_events_wait(
    cloud: Cloud, clevertap: ScriptedClevertap, start: Start
) -> None:
    cloud.put_settings({"region": "mars1"})
    forwarder = start()
    assert len(forwarder(queue(cloud, recent()))["batchItemFailures"]) == 1
    lines, metrics = forwarder.told()
    (refused,) = (line for line in lines if line["message"] == "settings refused")
    assert (refused["level"], refused["app"], refused["version"]) == ("ERROR", "default", 1)
    assert "mars1" in refused["problems"][0]
    assert sum(metrics.values["SettingsRefused"]) == 1
    assert clevertap.requests == []


def test_two_environments_are_two_owners(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    owners: set[str] = set()
    clevertap.otherwise = while_uploading(lambda: owners.add(cloud.entry(f"e-{len(owners)}")["lease_owner"]))
    for number in range(2):
        start()(queue(cloud, recent(event_id=f"e-{number}")))
    assert len(owners) == 2


def test_retries_are_spread_over_time(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    clevertap.otherwise = answer(NotTaken(RetryReason.RECORD_ERROR))
    forwarder = start(RETRY_BASE_SECONDS="40000", RETRY_MAX_SECONDS="30000")
    forwarder(queue(cloud, *(recent(user=f"user-{number}") for number in range(10))))
    (call,) = forwarder.calls.of("ChangeMessageVisibilityBatch")
    assert call["QueueUrl"] == cloud.events_url
    waits = {entry["VisibilityTimeout"] for entry in call["Entries"]}
    assert len(waits) > 1
    assert 15_000 <= min(waits) < max(waits) <= 30_000


def test_people_are_hashed_with_the_key_of_the_stage(cloud: Cloud, start: Start) -> None:
    forwarder = start()
    forwarder(queue(cloud, recent(user="user-1")))
    assert [line["user"] for line in forwarder.told()[0] if "user" in line] == [user_hash("user-1", USER_KEY)]


@pytest.mark.parametrize(("given", "used"), [("https://test.invalid",) * 2, ("", "https://api.clevertap.com")])
def test_a_test_host_takes_the_place_of_clevertaps(
    cloud: Cloud, clevertap: ScriptedClevertap, start: Start, given: str, used: str
) -> None:
    start(CLEVERTAP_ENDPOINT=given)(queue(cloud, recent()))
    assert [credentials.endpoint for credentials, _ in clevertap.requests] == [used]


def test_what_cannot_be_settled_stays_on_the_queue(cloud: Cloud, clevertap: ScriptedClevertap, start: Start) -> None:
    clevertap.script.append(while_uploading(lambda: cloud.dynamodb.delete_table(TableName=DELIVERIES)))
    assert start()(queue(cloud, recent())) == {"batchItemFailures": []}
    (left,) = cloud.drain(cloud.events_url)
    assert left.attributes["accepted"] == "event"
    assert cloud.parked() == []
