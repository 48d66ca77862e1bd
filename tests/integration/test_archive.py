"""The archive of a batch: what Firehose and the bucket get, and what becomes of what they do not take."""

import gzip
import hashlib
import json
from collections.abc import Callable
from copy import replace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from purchasely_clevertap.clevertap.response import NotTaken
from purchasely_clevertap.delivery.message import Message, MessageKind, Redrive, decode_body
from purchasely_clevertap.delivery.suppression import IdKind, Mark, NamedId
from purchasely_clevertap.outcome import Delivered, Duplicate, Retried, RetryReason, Skipped
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cli import count, messages_of
from tests.integration.cloud import SUPPRESSION_KEY, Answered, Cloud, Step, Worker, unreachable
from tests.integration.firehose import BUCKET, Firehose
from tests.integration.webhook import NOW_MS, Payload, encoded, event, message, transaction

THROTTLED = "ServiceUnavailableException"


@pytest.fixture
def firehose(cloud: Cloud) -> Firehose:
    return cloud.make_archive()


@pytest.fixture
def worker(cloud: Cloud, clevertap: ScriptedClevertap, firehose: Firehose) -> Worker:  # noqa: ARG001 - it must be there
    return cloud.worker(clevertap)


def ids(firehose: Firehose, kind: str = "webhook") -> list[str]:
    return [line["message_id"] for line in firehose.of(kind)]


def carried(cloud: Cloud) -> list[Message]:
    """The messages on the events queue, each of which only archives."""
    found = messages_of(cloud, cloud.events_url)
    assert {each.kind for each in found} <= {MessageKind.ARCHIVE}
    return found


# What is written


def test_a_webhook_is_kept_exactly(firehose: Firehose, worker: Worker) -> None:
    body = b'{ "note": "\xc3\xa9",\n' + encoded(event(event_id="e-1"))[1:]
    worker.forward(message(body, id="m-1"))

    (line,) = firehose.of("webhook")
    assert decode_body(line.pop("body")) == body
    assert line == {
        "kind": "webhook",
        "app": "default",
        "environment": "production",
        "event_id": "e-1",
        "event_name": "SUBSCRIPTION_RENEWED",
        "received_at": NOW_MS,
        "message_id": "m-1",
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def test_an_outcome_says_what_clevertap_took(cloud: Cloud, firehose: Firehose, worker: Worker) -> None:
    worker.forward(message(transaction(event_id="e-1"), id="m-1"))

    assert firehose.of("outcome") == [
        {
            "kind": "outcome",
            "app": "default",
            "event_id": "e-1",
            "message_id": "m-1",
            "outcome": "delivered",
            "event_outcome": "delivered",
            "reason": None,
            "code": None,
            "account": "production",
            "accepted": ["charged", "event"],
            "settled_at": cloud.clock(),
            "replay_id": None,
        }
    ]


@pytest.mark.parametrize(
    ("payload", "outcome", "reason"),
    [
        (event("ACTIVATE"), "skipped", "event_switched_off"),
        (event(user=None), "held", None),
        (event("App Launched"), "parked", "unusable_event_name"),
        (b"\xff\x00", "parked", "unreadable"),
        (b"", "parked", "unreadable"),
    ],
)
def test_whatever_becomes_of_it_it_is_kept(
    firehose: Firehose, worker: Worker, payload: Payload | bytes, outcome: str, reason: str | None
) -> None:
    worker.forward(message(payload, id="m-1"))

    (webhook,) = firehose.of("webhook")
    (settled,) = firehose.of("outcome")
    assert decode_body(webhook["body"]) == encoded(payload)
    assert (settled["outcome"], settled["reason"], settled["message_id"]) == (outcome, reason, "m-1")
    assert settled["event_id"] == webhook["event_id"]


def test_every_copy_of_an_event_is_kept(firehose: Firehose, worker: Worker) -> None:
    payload = event(event_id="e-1")
    worker.forward(message(payload, id="m-1"), message(payload, id="m-2"))
    worker.forward(message(payload, id="m-3"))

    assert ids(firehose) == ["m-1", "m-2", "m-3"]
    assert [(each["outcome"], each["event_outcome"], each["accepted"]) for each in firehose.of("outcome")] == [
        ("delivered", "delivered", ["event"]),
        ("duplicate", "delivered", ["event"]),
        ("duplicate", "delivered", ["event"]),
    ]


def test_retries_are_not_kept_again(firehose: Firehose, worker: Worker, clevertap: ScriptedClevertap) -> None:
    clevertap.otherwise = answer(NotTaken(RetryReason.RECORD_ERROR), of="SUBSCRIPTION_RENEWED")
    sent = message(event(), id="m-1")
    for receives in range(1, 5):
        worker.forward(replace(sent, receives=receives))
    assert (ids(firehose), firehose.of("outcome")) == (["m-1"], [])

    clevertap.otherwise = ScriptedClevertap().otherwise
    worker.forward(replace(sent, receives=5))
    assert (ids(firehose), ids(firehose, "outcome")) == (["m-1", "m-1"], ["m-1"])


def test_a_redriven_event_has_an_outcome_alone(firehose: Firehose, worker: Worker) -> None:
    worker.forward(message(event(), id="m-9", redrive=Redrive("m-1", frozenset())))
    assert (ids(firehose), ids(firehose, "outcome")) == ([], ["m-1"])


def test_news_of_a_person_is_not_archived(firehose: Firehose, worker: Worker) -> None:
    worker.forward(replace(message(b"default#production#user#u"), kind=MessageKind.LAPSE))
    assert firehose.lines == []


def test_what_a_dead_worker_left_is_kept_later(firehose: Firehose, worker: Worker, cloud: Cloud) -> None:
    sent = message(event(event_id="e-1"), id="m-1")
    cloud.archive = None  # as if it died between settling and handing over
    assert cloud.worker(ScriptedClevertap(), name="dead").outcome(sent) == Delivered()
    assert firehose.lines == []

    assert worker.outcome(replace(sent, receives=2)) == Duplicate()
    assert ids(firehose) == ["m-1"]
    (settled,) = firehose.of("outcome")
    assert (settled["outcome"], settled["event_outcome"], settled["accepted"]) == ("duplicate", "delivered", ["event"])


def test_a_suppressed_person_is_not_kept(cloud: Cloud, firehose: Firehose, worker: Worker) -> None:
    ada = NamedId("default", IdKind.USER, "ada")
    delivered = message(event(user="ada", event_id="e-0"), id="m-0")
    worker.forward(delivered)
    cloud.ledger().suppress([Mark.of(ada, ada, SUPPRESSION_KEY)], lambda: 60)
    sent = event(user="ada", event_id="e-1")
    worker.forward(message(sent, id="m-1"), message(sent, id="m-2"), replace(delivered, receives=2))
    worker.forward(message(sent, id="m-3"), message(event(user="ben"), id="m-4"))

    first, *later, other = firehose.of("webhook")
    assert first["message_id"] == "m-0"
    assert [each["message_id"] for each in later] == ["m-1", "m-2", "m-0", "m-3"]
    assert {(each["body"], each["sha256"], each["forgotten"]) for each in later} == {(None, None, True)}
    assert "forgotten" not in other


@pytest.mark.parametrize("operation", ["BatchGetItem", "GetSecretValue", "GetParameter"])
def test_nothing_is_kept_before_it_is_known_whose(
    cloud: Cloud, firehose: Firehose, worker: Worker, operation: str
) -> None:
    worker.calls.always(operation, unreachable())
    sent = message(event(), id="m-1")
    assert worker.outcome(sent).name == "in_flight"
    assert firehose.lines == []

    assert cloud.worker(ScriptedClevertap(), name="another").outcome(replace(sent, receives=2)) == Delivered()
    assert ids(firehose) == ["m-1"]


def test_half_a_character_in_a_name_does_no_harm(firehose: Firehose, worker: Worker) -> None:
    worker.forward(message(encoded(event(event_id="e-1")).replace(b"e-1", b"e-\\ud83d"), id="m-1"))
    assert ids(firehose) == ["m-1"]


# How it is handed over


def test_a_body_too_large_for_a_line_is_an_object(cloud: Cloud, firehose: Firehose, worker: Worker) -> None:
    body = encoded(event(note="x" * 900_000))
    worker.forward(message(body, id="m-1"))

    (line,) = firehose.of("webhook")
    assert (line["body"], line["object"]) == (None, "v1/large/m-1.gz")
    assert line["sha256"] == hashlib.sha256(body).hexdigest()
    assert gzip.decompress(cloud.s3.get_object(Bucket=BUCKET, Key=line["object"])["Body"].read()) == body


def test_many_large_bodies_fit_the_calls(firehose: Firehose, worker: Worker) -> None:
    worker.forward(*(message(event(note="x" * 600_000), id=f"m-{number}") for number in range(9)))
    assert len(ids(firehose)) == 9


def test_without_an_archive_nothing_is_called(cloud: Cloud, clevertap: ScriptedClevertap) -> None:
    worker = cloud.worker(clevertap)
    only_archives = replace(message(b"{}\n"), kind=MessageKind.ARCHIVE)
    assert worker.outcomes(message(event()), only_archives)[0] == Delivered()
    assert worker.calls.of("PutRecordBatch") == []
    assert cloud.worker(clevertap).outcome(only_archives) == Skipped(reason="nothing_to_send")  # type: ignore[arg-type]


# What is not taken

FAULTS: dict[str, Callable[[], Step]] = {
    "down": unreachable,
    "refuses": lambda: "AccessDeniedException",
    "throttles": lambda: THROTTLED,
    "says nothing": Answered,
    "says half": lambda: Answered({"FailedPutCount": 1, "RequestResponses": [{"ErrorCode": THROTTLED}]}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_delivery_is_as_before(
    cloud: Cloud, firehose: Firehose, worker: Worker, clevertap: ScriptedClevertap, fault: str
) -> None:
    worker.calls.always("PutRecordBatch", FAULTS[fault]())
    clevertap.otherwise = answer(NotTaken(RetryReason.RECORD_ERROR), of="SUBSCRIPTION_PAUSED")
    forwarded = worker.forward(
        message(event(), id="m-1"),
        message(event("ACTIVATE"), id="m-2"),
        message(event("SUBSCRIPTION_PAUSED", user="user-2"), id="m-3"),
    )

    assert {each.message.id: each.outcome.name for each in forwarded.messages} == {
        "m-1": "delivered",
        "m-2": "skipped",
        "m-3": "in_flight",
    }
    assert len(worker.calls.of("PutRecordBatch")) == 2
    assert (forwarded.archive.faults, forwarded.archive.lost) == (1, 0)
    worker.calls.mend()
    cloud.clock.advance(31)
    assert {type(each) for each in worker.outcomes(*carried(cloud))} == {Skipped}
    assert ids(firehose) == ["m-1", "m-2", "m-3"]
    assert count(cloud, cloud.events_url) == (0, 0)


def test_a_second_try_is_enough(cloud: Cloud, firehose: Firehose, worker: Worker) -> None:
    worker.calls.next("PutRecordBatch", unreachable())
    forwarded = worker.forward(message(event(), id="m-1"))
    assert ids(firehose) == ["m-1"]
    assert forwarded.archive.faults == 0
    assert carried(cloud) == []


def test_only_what_was_refused_is_tried_again(cloud: Cloud, firehose: Firehose, worker: Worker) -> None:
    firehose.refused = frozenset({0})
    many = [message(event(user=f"user-{number}", more="x" * 40_000), id=f"m-{number}") for number in range(9)]
    worker.forward(*many)

    first, second = worker.calls.of("PutRecordBatch")
    assert second["Records"] == first["Records"][:1]
    assert sorted(ids(firehose)) == sorted(each.id for each in many)
    assert carried(cloud) == []


def test_after_a_failure_firehose_is_left_alone(cloud: Cloud, worker: Worker) -> None:
    worker.calls.always("PutRecordBatch", unreachable())
    for _ in range(5):
        worker.forward(message(event()))
    assert len(worker.calls.of("PutRecordBatch")) == 2
    cloud.clock.advance(31)
    worker.forward(message(event()))
    assert len(worker.calls.of("PutRecordBatch")) == 4


def test_a_slow_firehose_costs_two_calls_of_a_batch(worker: Worker) -> None:
    worker.calls.always("PutRecordBatch", unreachable())
    worker.forward(*(message(event(user=f"user-{number}", more="x" * 100_000)) for number in range(50)))
    assert len(worker.calls.of("PutRecordBatch")) == 2


def test_without_time_the_queue_keeps_it(cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap) -> None:
    def slow() -> None:
        cloud.clock.advance(58)

    worker.calls.next("TransactWriteItems", slow)
    assert worker.outcome(message(event(), id="m-1")).name in ("delivered", "in_flight")
    assert worker.calls.of("PutRecordBatch") == []
    assert len(carried(cloud)) == 1
    assert clevertap is not None


def test_what_only_archives_comes_until_it_is_taken(cloud: Cloud, firehose: Firehose, worker: Worker) -> None:
    worker.calls.always("PutRecordBatch", THROTTLED)
    worker.forward(message(event(), id="m-1"))
    (kept,) = carried(cloud)
    cloud.clock.advance(31)

    retried = worker.forward(kept)
    assert [each.outcome for each in retried.messages if isinstance(each.outcome, Retried)]
    assert retried.archive.faults == 1
    assert carried(cloud) == []  # it comes again by itself
    assert worker.outcome(replace(kept, dead_letter=True)).name == "skipped"
    worker.calls.mend()
    cloud.clock.advance(31)
    assert worker.outcome(kept).name == "skipped"
    assert ids(firehose) == ["m-1"]
    assert cloud.parked() == []


@pytest.mark.parametrize("fault", [unreachable(), "SlowDown"])
def test_a_large_body_waits_on_the_queue(
    cloud: Cloud, firehose: Firehose, worker: Worker, fault: str | BotoCoreError
) -> None:
    body = b"\xff" + encoded(event(note="x" * 750_000))
    worker.calls.always("PutObject", fault)
    worker.forward(message(body, id="m-1"))
    assert ids(firehose) == ["m-1"]
    (kept,) = carried(cloud)
    assert worker.outcome(kept).name == "in_flight"

    worker.calls.mend()
    assert worker.outcome(kept).name == "skipped"
    assert gzip.decompress(cloud.s3.get_object(Bucket=BUCKET, Key="v1/large/m-1.gz")["Body"].read()) == body


def test_what_not_even_the_queue_takes_is_counted(worker: Worker) -> None:
    worker.calls.always("PutRecordBatch", THROTTLED)
    worker.calls.always("SendMessageBatch", unreachable())
    forwarded = worker.forward(message(event()))
    assert forwarded.messages[0].outcome == Delivered()
    assert (forwarded.archive.faults, forwarded.archive.lost, forwarded.archive.error) == (1, 1, THROTTLED)


def test_a_record_is_lines_of_json(firehose: Firehose, worker: Worker) -> None:
    worker.forward(*(message(event(user=f"user-{number}")) for number in range(40)))
    records: list[dict[str, Any]] = worker.calls.of("PutRecordBatch")[0]["Records"]
    assert len(records) < 10
    assert sum(len(each["Data"].splitlines()) for each in records) == len(firehose.lines) == 80
    assert json.loads(records[0]["Data"].splitlines()[0])["kind"] == "webhook"
