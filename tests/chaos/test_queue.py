"""The queue does what a standard queue of SQS does."""

from random import Random

import pytest

from chaos.queue import InvalidMessage, Queue


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dead_letters(clock: Clock) -> Queue:
    return Queue("dead", seconds=clock, random=Random(1))  # noqa: S311 - a test


@pytest.fixture
def queue(clock: Clock, dead_letters: Queue) -> Queue:
    return Queue(
        "events",
        seconds=clock,
        random=Random(1),  # noqa: S311 - a test
        visibility=30,
        dead_letters=dead_letters,
        most_receives=2,
    )


def text(value: str) -> dict[str, dict[str, str]]:
    return {"app": {"DataType": "String", "StringValue": value}}


def test_a_received_message_is_hidden_and_comes_again(queue: Queue, clock: Clock) -> None:
    queue.send("body", text("default"))
    ((message, _),) = queue.receive(10)
    assert (message.body, message.attributes, message.receives) == ("body", text("default"), 1)
    assert queue.receive(10) == []
    assert queue.next_visible_at == 30
    clock.now = 30
    ((again, _),) = queue.receive(10)
    assert (again.id, again.receives) == (message.id, 2)


def test_an_old_receipt_deletes_too(queue: Queue, clock: Clock) -> None:
    queue.send("body", {})
    ((_, first),) = queue.receive(1)
    clock.now = 30
    queue.receive(1)
    queue.delete(first)
    assert len(queue) == 0
    queue.delete(first)


def test_a_missed_deletion_brings_it_again(queue: Queue, clock: Clock) -> None:
    queue.send("body", {})
    ((_, receipt),) = queue.receive(1)
    queue.delete(receipt, comes_again=True)
    clock.now = 30
    assert len(queue.receive(1)) == 1


def test_a_message_may_be_delivered_twice_at_once(queue: Queue) -> None:
    queue.send("body", {})
    assert len(queue.receive(10, again=1.0)) == 1
    assert len(queue.receive(10)) == 1


def test_hiding_counts_from_now_and_needs_a_receipt(queue: Queue, clock: Clock) -> None:
    queue.send("body", {})
    ((_, receipt),) = queue.receive(1)
    clock.now = 10
    assert queue.hide(receipt, 5)
    assert queue.next_visible_at == 15
    assert not queue.hide(receipt, 12 * 3600 + 1)
    assert not queue.hide("another/1", 5)


def test_too_many_receives_end_on_the_dead_letters(queue: Queue, dead_letters: Queue, clock: Clock) -> None:
    sent = queue.send("body", {})
    for _ in range(2):
        assert len(queue.receive(1)) == 1
        clock.now += 30
    assert queue.receive(1) == []
    assert len(queue) == 0
    ((message, _),) = dead_letters.receive(1)
    assert (message.id, message.receives, message.sent_at) == (sent, 1, 0)


def test_after_14_days_a_message_is_gone_for_good(queue: Queue, clock: Clock) -> None:
    queue.send("body", {})
    clock.now = 14 * 24 * 3600 + 1
    assert queue.receive(1) == []
    assert len(queue) == 0


def test_messages_come_in_any_order(queue: Queue) -> None:
    for number in range(20):
        queue.send(str(number), {})
    assert [message.body for message, _ in queue.receive(20)] != [str(number) for number in range(20)]


def test_beyond_the_quota_of_hidden_ones_none_comes(clock: Clock) -> None:
    queue = Queue("events", seconds=clock, random=Random(1), visibility=30, most_hidden=3)  # noqa: S311 - a test
    for number in range(5):
        queue.send(str(number), {})
    assert len(queue.receive(10)) == 3
    assert queue.receive(10) == []
    clock.now = 30
    assert len(queue.receive(10)) == 3


@pytest.mark.parametrize(("others", "noisy_first"), [(29, True), (30, False)])
def test_a_noisy_group_comes_last(clock: Clock, others: int, noisy_first: bool) -> None:
    queue = Queue("events", seconds=clock, random=Random(1), visibility=30, is_fair=True)  # noqa: S311 - a test
    for number in range(others):
        queue.send(f"hidden {number}", {}, group="noisy")
    queue.receive(others)
    for number in range(200):
        queue.send(str(number), {}, group="noisy")
    queue.send("quiet", {}, group="quiet")
    ((first, _),) = queue.receive(1)
    assert (first.group == "noisy") is noisy_first


@pytest.mark.parametrize("group", ["", "x" * 129, "with a space", "Zoë"])
def test_a_group_that_sqs_does_not_take_is_refused(queue: Queue, group: str) -> None:
    with pytest.raises(InvalidMessage):
        queue.send("x", {}, group=group)


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ("", {}),
        ("\x00", {}),
        ("x" * (1024 * 1024 + 1), {}),
        ("x", text("")),
        ("x", {f"a{number}": text("x")["app"] for number in range(11)}),
    ],
)
def test_what_sqs_does_not_take_is_refused(queue: Queue, body: str, attributes: dict[str, dict[str, str]]) -> None:
    with pytest.raises(InvalidMessage):
        queue.send(body, attributes)
