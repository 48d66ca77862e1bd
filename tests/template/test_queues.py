"""The queues: what was answered 200 stays until it is delivered or parked."""

import pytest

from local_stack.template import Template

FOURTEEN_DAYS = 14 * 24 * 3600  # the most SQS has
QUEUES = ["EventsQueue", "DeadLetterQueue", "ParkedQueue"]


def test_there_are_three_queues(template: Template) -> None:
    assert sorted(template.of_type("AWS::SQS::Queue")) == sorted(QUEUES)


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_is_no_fifo_queue(template: Template, queue: str) -> None:
    """Of a FIFO queue Lambda takes ten messages a batch."""
    assert "FifoQueue" not in template.properties(queue)


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_takes_the_largest_message(template: Template, queue: str) -> None:
    assert template.properties(queue)["MaximumMessageSize"] == 1024 * 1024


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_keeps_events_as_long_as_it_can(template: Template, queue: str) -> None:
    assert template.properties(queue)["MessageRetentionPeriod"] == FOURTEEN_DAYS


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_outlives_its_stack(template: Template, queue: str) -> None:
    assert template.resources[queue]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert template.resources[queue]["UpdateReplacePolicy"] == "Retain"
    assert "QueueName" not in template.properties(queue)


def test_a_deadly_event_is_a_dead_letter_in_time(template: Template) -> None:
    events = template.properties("EventsQueue")
    redrive = events["RedrivePolicy"]

    assert redrive["deadLetterTargetArn"] == "DeadLetterQueue.Arn"
    assert redrive["maxReceiveCount"] * events["VisibilityTimeout"] < FOURTEEN_DAYS / 2


def test_retries_never_end_as_dead_letters(template: Template) -> None:
    """40 hours of outage at the slowest pace, with as many receives again for crashes and redrives."""
    pauses = 40 * 3600 / template.parameters["RetryMaxSeconds"]

    assert template.properties("EventsQueue")["RedrivePolicy"]["maxReceiveCount"] > 2 * pauses


@pytest.mark.parametrize("queue", ["EventsQueue", "DeadLetterQueue"])
def test_visibility_covers_the_forwarders_timeout(template: Template, queue: str) -> None:
    timeout = template.properties("ForwarderFunction")["Timeout"]
    longest_window = template.document["Parameters"]["BatchWindowSeconds"]["MaxValue"]

    assert template.properties(queue)["VisibilityTimeout"] >= 6 * timeout + longest_window
