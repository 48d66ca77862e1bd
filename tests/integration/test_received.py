"""The note that ingest makes of an accepted webhook."""

from collections import Counter

import pytest

from bridge_cli.deliveries import all_deliveries
from purchasely_clevertap.aws.received import ReceivedNotes
from purchasely_clevertap.delivery.keys import MOST_MESSAGES
from purchasely_clevertap.outcome import Delivered
from purchasely_clevertap.purchasely.event_id import event_id
from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cloud import DELIVERIES, Cloud, unreachable
from tests.integration.webhook import NOW_MS, encoded, event, message

DAYS_30 = 30 * 24 * 3600


@pytest.fixture
def results(cloud: Cloud) -> ReceivedNotes:
    return ReceivedNotes(cloud.dynamodb, table=DELIVERIES, clock=cloud.clock.seconds)


def test_a_note_has_message_time_and_30_days(cloud: Cloud, results: ReceivedNotes) -> None:
    body = encoded(event(event_id="e-1"))
    assert results.note("default", body, "m-1", now_ms=NOW_MS) is True
    assert cloud.entry("e-1") == {
        "event": "default#e-1",
        "messages": {"m-1"},
        "received_at": NOW_MS,
        "expires_at": NOW_MS // 1000 + DAYS_30,
    }


def test_a_message_noted_twice_counts_once(cloud: Cloud, results: ReceivedNotes) -> None:
    body = encoded(event(event_id="e-1"))
    for at, message_id in enumerate(["m-1", "m-1", "m-2"]):
        assert results.note("default", body, message_id, now_ms=NOW_MS + at)
    entry = cloud.entry("e-1")
    assert entry["messages"] == {"m-1", "m-2"}
    assert entry["received_at"] == NOW_MS


def test_apps_are_kept_apart(cloud: Cloud, results: ReceivedNotes) -> None:
    body = encoded(event(event_id="e-1"))
    for app in ("default", "second"):
        assert results.note(app, body, f"m-{app}", now_ms=NOW_MS)
    assert cloud.entry("e-1")["messages"] == {"m-default"}
    assert cloud.entry("e-1", app="second")["messages"] == {"m-second"}


def test_a_late_note_changes_no_outcome(cloud: Cloud, results: ReceivedNotes, clevertap: ScriptedClevertap) -> None:
    payload = event(event_id="e-1")
    assert cloud.worker(clevertap).outcome(message(payload, id="m-1")) == Delivered()
    delivered = cloud.entry("e-1")
    cloud.clock.advance(60)
    assert results.note("default", encoded(payload), "m-2", now_ms=cloud.clock())
    noted = cloud.entry("e-1")
    assert noted["messages"] == {"m-1", "m-2"}
    assert noted | {"messages": {"m-1"}} == delivered | {"received_at": cloud.clock()}


def test_an_early_note_does_not_hinder_the_delivery(
    cloud: Cloud, results: ReceivedNotes, clevertap: ScriptedClevertap
) -> None:
    payload = event(event_id="e-1")
    assert results.note("default", encoded(payload), "m-1", now_ms=NOW_MS)
    assert cloud.worker(clevertap).outcome(message(payload, id="m-1")) == Delivered()
    entry = cloud.entry("e-1")
    assert (entry["outcome"], entry["messages"]) == ("delivered", {"m-1"})


@pytest.mark.parametrize("fault", ["ProvisionedThroughputExceededException", "InternalServerError", unreachable()])
def test_a_failed_note_is_no_error(cloud: Cloud, results: ReceivedNotes, fault: str) -> None:
    cloud.calls.next("UpdateItem", fault)
    assert results.note("default", b"{}", "m-1", now_ms=NOW_MS) is False


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"\xff", b"[]", b'{"event_id": ""}', b'{"event_id": {"a": 1}}', b"[" * 5000]
)
def test_both_functions_name_an_unreadable_body_alike(
    cloud: Cloud, results: ReceivedNotes, clevertap: ScriptedClevertap, body: bytes
) -> None:
    assert results.note("default", body, "m-1", now_ms=NOW_MS)
    (handled,) = cloud.worker(clevertap).forward(message(body, id="m-1")).messages
    assert handled.event_id == event_id(body)
    entry = cloud.entry(handled.event_id)
    assert (entry["outcome"], entry["messages"]) == ("parked", {"m-1"})


def test_a_hanging_dynamodb_is_asked_once_in_30_seconds(cloud: Cloud, results: ReceivedNotes) -> None:
    cloud.calls.always("UpdateItem", unreachable())
    noted = [results.note("default", b"{}", f"m-{number}", now_ms=NOW_MS) for number in range(100)]
    assert (noted, len(cloud.calls.of("UpdateItem"))) == ([False] * 100, 1)
    cloud.calls.mend()
    cloud.clock.advance(29)
    assert not results.note("default", b"{}", "m-100", now_ms=NOW_MS)
    cloud.clock.advance(1)
    assert results.note("default", b"{}", "m-101", now_ms=NOW_MS)


def test_replays_filled_the_entry_of_their_event(
    cloud: Cloud, results: ReceivedNotes, clevertap: ScriptedClevertap
) -> None:
    payload = event(event_id="e-1")
    for number in range(200):
        assert results.note("default", encoded(payload), f"m-{number}", now_ms=NOW_MS)
    entry = cloud.entry("e-1")
    assert (len(entry["messages"]), entry["further_messages"]) == (MOST_MESSAGES, 150)
    replays = [message(payload, id=f"m-{number}") for number in range(200)]
    worker = cloud.worker(clevertap)
    assert Counter(each.outcome.name for each in worker.forward(*replays).messages) == {
        "delivered": 1,
        "duplicate": 199,
    }
    assert {each.outcome.name for each in worker.forward(*replays).messages} == {"duplicate"}
    entry = cloud.entry("e-1")
    assert (len(entry["messages"]), entry["further_messages"]) == (MOST_MESSAGES, 150)
    [delivery] = all_deliveries(cloud.dynamodb, DELIVERIES)
    assert delivery.webhooks == 200


def test_replays_that_ingest_could_not_note_fill_no_entry(cloud: Cloud, clevertap: ScriptedClevertap) -> None:
    payload = event(event_id="e-1")
    worker = cloud.worker(clevertap)
    for start in (0, 100):
        worker.forward(*(message(payload, id=f"m-{start + number}") for number in range(100)))
    assert len(cloud.entry("e-1")["messages"]) == MOST_MESSAGES
