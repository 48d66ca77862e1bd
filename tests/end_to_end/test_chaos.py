"""The chaos kit's rows of the deployed stack, in short: those that come to their end within seconds."""

from collections.abc import Iterator
from random import Random

import pytest

from chaos.deployed import FAULTS, Deployed
from local_stack import LocalStack

IN_SHORT = ("deployed: failing answers", "deployed: kill -9 of ingest")


@pytest.fixture
def deployed(stack: LocalStack) -> Iterator[Deployed]:
    queue = stack.outputs["EventsQueueUrl"]
    before = stack.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])
    yield Deployed(stack, Random(1))  # noqa: S311 - a test
    stack.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=before["Attributes"])


@pytest.mark.parametrize("name", IN_SHORT)
def test_nothing_is_lost_doubled_or_stale(deployed: Deployed, name: str) -> None:
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    verdict = deployed.judge(deployed.start(fault, seed=IN_SHORT.index(name)))
    assert verdict.findings == []
    assert verdict.events > 40
