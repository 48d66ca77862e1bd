"""An item of DynamoDB that has no room: its event ends, once, and every other goes on."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from purchasely_clevertap.aws.ledger import Ledger
from purchasely_clevertap.aws.received import ReceivedNotes
from purchasely_clevertap.delivery.entry import LEASE_MS, Claim, ClaimGroup, Entry, Hold, Settlement
from purchasely_clevertap.delivery.message import Message, MessageKind, Redrive
from purchasely_clevertap.outcome import Delivered, Duplicate, Held, Outcome, Parked, Skipped, SkipReason
from tests.integration.clevertap import ScriptedClevertap, while_uploading
from tests.integration.cloud import DELIVERIES, SUBSCRIBERS, Cloud, Worker
from tests.integration.webhook import NOW_MS, Payload, encoded, event, message

ROOM = 405_000  # of moto; DynamoDB's is a little larger
PERSON = "default#production#user#user-1"


@pytest.fixture
def ledger(cloud: Cloud) -> Ledger:
    return cloud.ledger(owner="one")


def plenty() -> float:
    return 60.0


def fill(cloud: Cloud, table: str, name: str, *, left: int = 20) -> None:
    """A foreign writer fills an item up to `left` bytes."""
    key: dict[str, Any] = {"event" if table == DELIVERIES else "subscriber": {"S": name}}
    item = cloud.dynamodb.get_item(TableName=table, Key=key).get("Item", key)
    item.pop("junk", None)
    taken = sum(len(attribute) + size(value) for attribute, value in item.items())
    cloud.dynamodb.put_item(TableName=table, Item={**item, "junk": {"S": "x" * (ROOM - left - taken - len("junk"))}})


def size(value: Any) -> int:
    ((kind, held),) = value.items()
    return sum(map(len, held)) if kind == "SS" else len(held)


def fill_entry(cloud: Cloud, payload: Payload) -> None:
    fill(cloud, DELIVERIES, f"default#{payload['event_id']}")


def reasons(outcomes: Iterable[Outcome]) -> list[str]:
    return [each.reason if isinstance(each, Parked) else each.name for each in outcomes]


def sent_events(clevertap: ScriptedClevertap) -> list[str]:
    """The ids of the events that CleverTap got a record of."""
    return [sent.record["evtData"]["event_id"] for sent in clevertap.taken if sent.record["type"] == "event"]


def redriven(payload: Payload, *, accepted: Iterable[str] = (), id: str = "m-redriven") -> Message:
    return message(payload, id=id, redrive=Redrive("m-1", frozenset(accepted)))


def test_a_full_entry_parks_its_event_alone(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    full, *others = (event(user=f"user-{number}") for number in range(5))
    fill_entry(cloud, full)
    outcomes = worker.outcomes(*map(message, (full, *others)))
    assert reasons(outcomes) == ["entry_too_large"] + ["delivered"] * 4
    assert sorted(sent_events(clevertap)) == sorted(each["event_id"] for each in others)
    (parked,) = cloud.parked()
    assert (parked.body, parked.attributes["reason"]) == (encoded(full), "entry_too_large")
    entry = cloud.entry(full["event_id"])
    assert (entry["outcome"], entry["reason"]) == ("parked", "entry_too_large")
    assert "junk" not in entry


def test_a_full_entry_is_parked_once(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event()
    fill_entry(cloud, payload)
    worker.forward(message(payload, id="m-1"))
    again = worker.outcomes(message(payload, id="m-1", receives=2), message(payload, id="m-2"))
    assert again == [Duplicate(), Duplicate()]
    assert len(cloud.parked()) == 1
    assert sent_events(clevertap) == []


def test_a_full_entry_is_delivered_once_by_a_redrive(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    payload = event()
    fill_entry(cloud, payload)
    worker.forward(message(payload))
    assert worker.outcome(redriven(payload)) == Delivered()
    assert worker.outcome(redriven(payload, id="m-again")) == Duplicate()
    assert sent_events(clevertap) == [payload["event_id"]]


def test_what_clevertap_has_outlasts_the_making_of_room(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    payload = event()
    ledger = cloud.ledger(owner="dead")
    key = f"default#{payload['event_id']}"
    ledger.claim([ClaimGroup((Claim(key, Entry(), "m-1"),))], plenty, now_ms=NOW_MS - LEASE_MS)
    cloud.dynamodb.update_item(
        TableName=DELIVERIES,
        Key={"event": {"S": key}},
        UpdateExpression="ADD accepted :kind",
        ExpressionAttributeValues={":kind": {"SS": ["event"]}},
    )
    fill_entry(cloud, payload)
    worker.forward(message(payload, id="m-1"))
    (parked,) = cloud.parked()
    assert parked.attributes["accepted"] == "event"
    assert worker.outcome(redriven(payload)) == Delivered()
    assert sent_events(clevertap) == []


def test_message_ids_that_fill_an_entry_stay_counted(cloud: Cloud, worker: Worker) -> None:
    payload = event()
    key = {"event": {"S": f"default#{payload['event_id']}"}}
    ids = [f"{number:036}" for number in range(11_000)]
    cloud.dynamodb.put_item(TableName=DELIVERIES, Item={**key, "messages": {"SS": ids}})
    fill_entry(cloud, payload)
    worker.forward(message(payload, id="m-1"))
    entry = cloud.entry(payload["event_id"])
    assert (entry["outcome"], entry["further_messages"]) == ("parked", 11_000)


def test_an_unreadable_event_keeps_its_own_reason(cloud: Cloud, worker: Worker) -> None:
    broken = message(b'{"event_id": "e-broken"')
    key = worker.forward(broken).messages[0].event_id
    cloud.parked()
    cloud.dynamodb.delete_item(TableName=DELIVERIES, Key={"event": {"S": f"default#{key}"}})
    fill(cloud, DELIVERIES, f"default#{key}")
    assert reasons([worker.outcome(broken)]) == ["unreadable"]
    assert worker.outcome(broken) == Duplicate()
    assert len(cloud.parked()) == 1


def test_a_skipped_event_ends_in_a_full_entry(cloud: Cloud, worker: Worker) -> None:
    cloud.put_settings({"events": {"*": {"send": False}}, "profile": {"send": False}})
    payload = event()
    fill_entry(cloud, payload)
    assert worker.outcome(message(payload)) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert worker.outcome(message(payload)) == Duplicate()


def test_an_event_is_held_in_a_full_entry(cloud: Cloud, worker: Worker) -> None:
    payload = event(user=None)
    fill_entry(cloud, payload)
    assert worker.outcome(message(payload)) == Held()
    assert cloud.entry(payload["event_id"])["body"]


def test_a_copy_is_acknowledged_beside_a_full_entry(cloud: Cloud, worker: Worker) -> None:
    full, other = event(), event(user="user-2")
    worker.forward(message(full, id="m-1"))
    fill_entry(cloud, full)
    assert worker.outcomes(message(full, id="m-2"), message(other)) == [Duplicate(), Delivered()]


def test_an_entry_that_fills_up_meanwhile_gets_its_outcome(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    payload = event()
    clevertap.script.append(while_uploading(lambda: fill_entry(cloud, payload)))
    assert worker.outcome(message(payload, id="m-1")) == Delivered()
    assert worker.outcome(message(payload, id="m-1")) == Duplicate()
    assert sent_events(clevertap) == [payload["event_id"]]


def test_a_claim_of_another_worker_is_left_alone(cloud: Cloud, ledger: Ledger) -> None:
    key = "default#e-1"
    seen = Entry()
    cloud.ledger(owner="two").claim([ClaimGroup((Claim(key, seen, None),))], plenty, now_ms=NOW_MS)
    fill(cloud, DELIVERIES, key)
    (grant,) = ledger.claim([ClaimGroup((Claim(key, seen, "m-1"),))], plenty, now_ms=NOW_MS)
    assert not grant.entries | grant.full_entries
    assert cloud.entry("e-1")["lease_owner"] == "two"
    assert "junk" in cloud.entry("e-1")


def test_a_full_state_parks_the_events_of_its_person(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    mine, other = event(), event(user="user-2")
    fill(cloud, SUBSCRIBERS, PERSON)
    assert reasons(worker.outcomes(message(mine, id="m-1"), message(other))) == ["state_too_large", "delivered"]
    assert worker.outcome(message(mine, id="m-1")) == Duplicate()
    (parked,) = cloud.parked()
    assert parked.attributes["reason"] == "state_too_large"
    assert "user-1" not in parked.attributes["detail"]
    assert sent_events(clevertap) == [other["event_id"]]


def test_a_mended_state_lets_a_redrive_deliver(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event()
    fill(cloud, SUBSCRIBERS, PERSON)
    worker.forward(message(payload))
    assert reasons([worker.outcome(redriven(payload))]) == ["state_too_large"]
    cloud.dynamodb.delete_item(TableName=SUBSCRIBERS, Key={"subscriber": {"S": PERSON}})
    assert worker.outcome(redriven(payload)) == Delivered()
    assert sent_events(clevertap) == [payload["event_id"]]


def test_a_state_without_room_to_grow_is_full(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    """The lease would fit, and the state after the upload might not."""
    fill(cloud, SUBSCRIBERS, PERSON, left=150_000)
    assert reasons([worker.outcome(message(event()))]) == ["state_too_large"]
    assert sent_events(clevertap) == []


def test_a_state_that_fills_up_meanwhile_ends_its_event(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    payload = event()
    worker.calls.next("TransactWriteItems", lambda: None, lambda: fill(cloud, SUBSCRIBERS, PERSON))
    worker.forward(message(payload, id="m-1"))
    cloud.clock.advance(LEASE_MS / 1000 + 1)
    (left,) = cloud.drain(cloud.events_url)
    assert left.attributes["accepted"] == "event"
    again = redriven(payload, accepted=["event"])
    assert reasons([worker.outcome(again)]) == ["state_too_large"]
    assert worker.outcome(redriven(payload, accepted=["event"], id="m-3")).name == "parked"
    assert sent_events(clevertap) == [payload["event_id"]]


def test_an_id_that_cannot_be_tied_parks_its_event(cloud: Cloud, worker: Worker) -> None:
    fill(cloud, SUBSCRIBERS, "default#production#object#device-1")
    mine, other = event(clevertap_id="device-1"), event(user="user-2")
    assert reasons(worker.outcomes(message(mine), message(other))) == ["state_too_large", "delivered"]
    assert cloud.subscriber(PERSON)["lease_until"] == 0


def test_an_association_without_room_is_parked_alone(cloud: Cloud, worker: Worker) -> None:
    fill(cloud, SUBSCRIBERS, "default#production#anonymous#anon-1")
    body = json.dumps({"clevertap_id": "device-1", "anonymous_user_id": "anon-1"}).encode()
    told = message(body, id="m-told")._replace(kind=MessageKind.IDENTITY)
    results = worker.forward(told, message(event(user="user-2"))).messages
    # An association is for both projects, and this app has one.
    assert sorted(reasons(each.outcome for each in results)) == ["delivered", "skipped", "state_too_large"]
    assert len(cloud.parked()) == 1


@pytest.mark.parametrize("length", [1_000, 150_000, 250_000, 450_000])
def test_an_event_too_large_for_any_entry_ends(worker: Worker, length: int) -> None:
    """Its name, which the entry has, is beyond what an item takes."""
    huge, other = message(event("X" * length)), message(event(user="user-2"))
    assert [each.name for each in worker.outcomes(huge, other)] == ["parked", "delivered"]
    assert worker.outcome(huge) == Duplicate()


def test_a_settlement_without_claim_makes_room(cloud: Cloud, ledger: Ledger) -> None:
    fill(cloud, DELIVERIES, "default#e-1")
    hold = Hold("default#production#anonymous#anon-1", "x" * 200_000, NOW_MS, NOW_MS + 1)
    settlement = Settlement(Claim("default#e-1", Entry(), "m-1"), Held(), is_claimed=False, hold=hold)
    assert ledger.settle([settlement], (), plenty, now_ms=NOW_MS) == {"default#e-1"}


def test_a_full_entry_stops_no_other_note(cloud: Cloud) -> None:
    full, other = event(), event()
    fill_entry(cloud, full)
    notes = ReceivedNotes(cloud.dynamodb, table=DELIVERIES, clock=cloud.clock.seconds)
    assert [notes.note("default", encoded(each), "m-1", now_ms=NOW_MS) for each in (full, other)] == [False, True]
