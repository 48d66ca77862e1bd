"""The forwarder: how events are handed to it."""

import pytest

from local_stack.template import Template

CLEVERTAP_CONCURRENCY = 15  # requests at once of an account


def test_the_forwarder_takes_from_both_queues(template: Template) -> None:
    sources = template.properties("ForwarderFunction")["Events"]

    assert {each["Properties"]["Queue"] for each in sources.values()} == {"EventsQueue.Arn", "DeadLetterQueue.Arn"}
    assert {each["Type"] for each in sources.values()} == {"SQS"}


def test_failures_are_reported_message_by_message(template: Template) -> None:
    for source in template.properties("ForwarderFunction")["Events"].values():
        assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_batch_may_fill_one_upload(template: Template) -> None:
    events = template.properties("ForwarderFunction")["Events"]["Events"]["Properties"]

    assert events["BatchSize"] == 1000
    assert events["MaximumBatchingWindowInSeconds"] == 5


@pytest.mark.parametrize(
    ("window", "size", "is_allowed"),
    [(5, 1000, True), (1, 10_000, True), (0, 10, True), (0, 1, True), (0, 11, False), (0, 1000, False)],
)
def test_a_batch_of_more_than_ten_has_a_window(window: int, size: int, is_allowed: bool) -> None:
    """Lambda refuses a larger batch without one."""
    assert Template.load(BatchWindowSeconds=window, BatchSize=size).is_allowed() is is_allowed


@pytest.mark.parametrize("chosen", [2, 5, 15])
def test_concurrency_is_the_number_that_was_chosen(chosen: int) -> None:
    events = Template.load(MaxConcurrency=chosen).properties("ForwarderFunction")["Events"]["Events"]["Properties"]

    assert events["ScalingConfig"]["MaximumConcurrency"] == chosen


def test_concurrency_bounds_are_those_of_the_services(template: Template) -> None:
    allowed = template.document["Parameters"]["MaxConcurrency"]

    assert allowed["MinValue"] == 2
    assert allowed["MaxValue"] == CLEVERTAP_CONCURRENCY


def test_dead_letters_use_the_least_concurrency(template: Template) -> None:
    dead_letters = template.properties("ForwarderFunction")["Events"]["DeadLetters"]["Properties"]

    assert dead_letters["ScalingConfig"]["MaximumConcurrency"] == 2
    assert dead_letters["BatchSize"] == 10


def test_pauses_fit_into_sqs_visibility(template: Template) -> None:
    for name in ("RetryBaseSeconds", "RetryMaxSeconds"):
        assert template.document["Parameters"][name]["MaxValue"] <= 12 * 3600


def test_events_may_pass_the_forwarder_again(template: Template) -> None:
    """Lambda stops a function that writes to its own queue, after some 16 passes, unless that is allowed."""
    assert template.properties("ForwarderFunction")["RecursiveLoop"] == "Allow"
