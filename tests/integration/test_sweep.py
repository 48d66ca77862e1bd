"""The daily sweep: whom it sends on, how it goes on where it stopped, and what it costs."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from moto import mock_aws

from purchasely_clevertap.aws.queues import SendQueue
from purchasely_clevertap.sweep import Sweep, Swept
from tests.integration.cloud import DELIVERIES, SUBSCRIBERS, Clock, Cloud, Worker
from tests.integration.webhook import Payload, event, message

DAY_SECONDS = 86_400
PERSON = "default#production#user#user-1"
PLENTY = 900.0


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield Cloud(Clock())


def put_persons(cloud: Cloud, ends: Iterable[tuple[str, int | None]]) -> None:
    """Subscribers of the app default: each by its user id and when something of it is over."""
    for user_id, ends_at in ends:
        dated = {} if ends_at is None else {"ends_at": {"N": str(ends_at)}}
        cloud.dynamodb.put_item(
            TableName=SUBSCRIBERS, Item={"subscriber": {"S": f"default#production#user#{user_id}"}, **dated}
        )


def put_held(cloud: Cloud, event_id: str, until: int) -> None:
    cloud.dynamodb.put_item(
        TableName=DELIVERIES,
        Item={
            "event": {"S": f"default#{event_id}"},
            "outcome": {"S": "held"},
            "held_for": {"S": "default#production#anonymous#a-1"},
            "held_at": {"N": "1"},
            "hold_until": {"N": str(until)},
            "body": {"S": event_id},
        },
    )


def sweep(cloud: Cloud, time_left: Callable[[], float] = lambda: PLENTY, segments: int = 4) -> Swept:
    events = SendQueue(cloud.sqs, queue_url=cloud.events_url)
    made = Sweep(
        cloud.dynamodb,
        events,
        deliveries=DELIVERIES,
        subscribers=SUBSCRIBERS,
        clock=cloud.clock,
        segments=segments,
    )
    return made.run(time_left)


def sent(cloud: Cloud) -> list[tuple[str, str]]:
    """The kind and the body of each message on the events queue."""
    return sorted((each.attributes["kind"], each.body.decode()) for each in cloud.drain(cloud.events_url))


def test_who_has_a_date_that_passed_is_looked_at(cloud: Cloud) -> None:
    now = cloud.clock()
    put_persons(cloud, [("over", now), ("later", now + 1), ("never", None)])
    assert sweep(cloud) == Swept(persons=1, held=0, is_done=True)
    assert sent(cloud) == [("lapse", "default#production#user#over")]


def test_a_lapse_for_a_tied_id_came_again_for_days(cloud: Cloud, worker: Worker) -> None:
    """What is known of a CleverTap id is its user's from the tie on."""
    ended: Payload = {"subscription_status": "AUTO_RENEWING_CANCELED", "effective_next_renewal_at_ms": cloud.clock()}
    worker.outcome(message(event(user=None, clevertap_id="device", **ended)))
    cloud.clock.advance(DAY_SECONDS)
    worker.outcome(message(event(user="user-1", at=cloud.clock(), clevertap_id="device", **ended)))
    assert cloud.subscriber("default#production#object#device")["tied_user"] == "user-1"
    cloud.drain(cloud.events_url)
    cloud.clock.advance(90 * DAY_SECONDS)
    assert sweep(cloud).is_done
    assert {body for _, body in sent(cloud)} == {PERSON}


def test_what_waited_long_enough_is_looked_at(cloud: Cloud) -> None:
    now = cloud.clock()
    put_held(cloud, "old", now)
    put_held(cloud, "young", now + 1)
    assert sweep(cloud) == Swept(persons=0, held=1, is_done=True)
    assert sent(cloud) == [("held", "old")]


def test_a_day_is_swept_once(cloud: Cloud) -> None:
    put_persons(cloud, [("over", 1)])
    assert [sweep(cloud).persons for _ in range(3)] == [1, 0, 0]
    cloud.clock.advance(DAY_SECONDS)
    assert sweep(cloud).persons == 1


def test_a_sweep_goes_on_where_it_stopped(cloud: Cloud) -> None:
    put_persons(cloud, [(f"user-{number}", 1) for number in range(40)])
    calls = 0
    while not sweep(cloud, iter([PLENTY, 0.0]).__next__).is_done:
        calls += 1
    assert calls == 3
    assert [body for _, body in sent(cloud)] == sorted(f"default#production#user#user-{n}" for n in range(40))


def test_a_page_is_gone_on_from_its_last_key(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    put_persons(cloud, [(f"user-{number}", 1) for number in range(10)])
    scan = cloud.dynamodb.scan
    monkeypatch.setattr(cloud.dynamodb, "scan", lambda **asked: scan(**asked, Limit=3))
    while not sweep(cloud, iter([PLENTY, 0.0]).__next__, segments=1).is_done:
        pass
    assert len(sent(cloud)) == 10


def test_a_failing_queue_ends_the_sweep(cloud: Cloud) -> None:
    put_persons(cloud, [(f"user-{number}", 1) for number in range(25)])
    cloud.calls.next("SendMessageBatch", "InternalError")
    with pytest.raises(RuntimeError, match="InternalError"):
        sweep(cloud)
    assert sweep(cloud).is_done
    assert {body for _, body in sent(cloud)} == {f"default#production#user#user-{n}" for n in range(25)}


def test_a_quiet_day_costs_a_page_a_segment(cloud: Cloud) -> None:
    put_persons(cloud, [(f"user-{number}", None) for number in range(50)])
    cloud.calls.made.clear()
    sweep(cloud, segments=16)
    names = [name for name, _ in cloud.calls.made]
    assert (names.count("Scan"), names.count("SendMessageBatch")) == (16 + 1, 0)
    assert all(asked["ProjectionExpression"] == "subscriber" for asked in cloud.calls.of("Scan")[1:])
