"""Messages that come again: which are named to Lambda, and how long each is hidden."""

from copy import replace

import pytest

from purchasely_clevertap.aws.queues import RetryDelays
from purchasely_clevertap.delivery.message import MessageKind
from purchasely_clevertap.delivery.result import MessageResult, carried_result
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.outcome import (
    BUSY,
    Delivered,
    Duplicate,
    GiveUp,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    RetryReason,
    Skipped,
    SkipReason,
)
from tests.integration.cloud import Cloud, unreachable
from tests.integration.webhook import event, message

THROTTLED = Retried(RetryReason.THROTTLED)


def returns(cloud: Cloud, *, base: float = 30, most: float = 3600, chance: float = 0.0) -> RetryDelays:
    return RetryDelays(
        cloud.sqs, queue_url=cloud.events_url, retry_policy=RetryPolicy(base, most), chance=lambda: chance
    )


def handled(outcome: Outcome, *, id: str = "m-1", receives: int = 1, dead_letter: bool = False) -> MessageResult:
    return MessageResult(message(event(), id=id, receives=receives, dead_letter=dead_letter), outcome, "e-1")


def waits(cloud: Cloud) -> list[int]:
    """The seconds for which each message was hidden."""
    return [
        entry["VisibilityTimeout"]
        for call in cloud.calls.of("ChangeMessageVisibilityBatch")
        for entry in call["Entries"]
    ]


def test_what_only_archives_waits_by_its_own_rule(cloud: Cloud) -> None:
    carried = carried_result(message(b"{}", receives=20)._replace(kind=MessageKind.ARCHIVE), is_taken=False)
    returns(cloud, base=1, most=5).delay_retries([carried])
    assert waits(cloud) == [3600]


def test_only_retried_messages_are_hidden_and_named(cloud: Cloud) -> None:
    batch = [
        handled(Delivered(), id="m-1"),
        handled(THROTTLED, id="m-2"),
        handled(Skipped(SkipReason.LATE), id="m-3"),
        handled(BUSY, id="m-4"),
        handled(Duplicate(), id="m-5"),
        handled(Parked(ParkReason.NO_USER, "x"), id="m-6"),
        handled(Retried(RetryReason.SETUP_FAULT, GiveUp.SETUP, code=401), id="m-7"),
    ]
    assert returns(cloud).delay_retries(batch) == [{"itemIdentifier": f"m-{number}"} for number in (2, 4, 7)]
    (call,) = cloud.calls.of("ChangeMessageVisibilityBatch")
    assert call["QueueUrl"] == cloud.events_url
    assert [entry["ReceiptHandle"] for entry in call["Entries"]] == [f"receipt-of-m-{number}" for number in (2, 4, 7)]


def test_without_a_retry_there_is_no_call(cloud: Cloud) -> None:
    assert returns(cloud).delay_retries([handled(Delivered()), handled(Duplicate())]) == []
    assert cloud.calls.made == []


def test_the_wait_doubles_with_each_receive(cloud: Cloud) -> None:
    for receives in range(1, 12):
        returns(cloud).delay_retries([handled(THROTTLED, receives=receives)])
    assert waits(cloud) == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]


def test_a_busy_message_comes_again_soon(cloud: Cloud) -> None:
    returns(cloud).delay_retries([handled(BUSY, receives=30)])
    returns(cloud, base=4).delay_retries([handled(BUSY, receives=30)])
    assert waits(cloud) == [15, 4]


def test_a_dead_letter_is_named_but_not_hidden(cloud: Cloud) -> None:
    batch = [handled(THROTTLED, id="m-1", dead_letter=True), handled(THROTTLED, id="m-2")]
    assert returns(cloud).delay_retries(batch) == [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]
    (call,) = cloud.calls.of("ChangeMessageVisibilityBatch")
    assert [entry["ReceiptHandle"] for entry in call["Entries"]] == ["receipt-of-m-2"]


def test_messages_are_hidden_ten_at_a_time(cloud: Cloud) -> None:
    batch = [handled(THROTTLED, id=f"m-{number}") for number in range(25)]
    assert len(returns(cloud).delay_retries(batch)) == 25
    calls = cloud.calls.of("ChangeMessageVisibilityBatch")
    assert [len({entry["Id"] for entry in call["Entries"]}) for call in calls] == [10, 10, 5]


@pytest.mark.parametrize("fault", ["InternalError", "ReceiptHandleIsInvalid", unreachable()])
def test_a_message_that_stays_visible_is_named_too(cloud: Cloud, fault: str) -> None:
    cloud.calls.always("ChangeMessageVisibilityBatch", fault)
    batch = [handled(THROTTLED, id=f"m-{number}") for number in range(12)]
    assert len(returns(cloud).delay_retries(batch)) == 12
    assert len(cloud.calls.of("ChangeMessageVisibilityBatch")) == 2


def test_only_the_retried_message_is_hidden(cloud: Cloud) -> None:
    for number in range(2):
        cloud.sqs.send_message(QueueUrl=cloud.events_url, MessageBody=str(number))
    received = cloud.sqs.receive_message(QueueUrl=cloud.events_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    first = received["Messages"][0]
    sent = replace(message(b"0", id=first["MessageId"]), receipt_handle=first["ReceiptHandle"])
    returns(cloud).delay_retries([MessageResult(sent, THROTTLED, "e-0")])
    left = cloud.sqs.receive_message(QueueUrl=cloud.events_url, MaxNumberOfMessages=10)["Messages"]
    assert [each["MessageId"] for each in left] == [received["Messages"][1]["MessageId"]]
