"""What both functions do alike: how long they wait for AWS, what their lines tell of the invocation."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest

from local_stack.template import Template
from purchasely_clevertap.clevertap.client import Client
from tests.integration.cloud import Cloud
from tests.integration.function import Function

# An invocation that costs a line of the log, whatever it finds.
EVENTS: dict[str, dict[str, Any]] = {
    "ingest": {"pathParameters": {"app": "unknown"}},
    "forwarder": {
        "Records": [
            {
                "messageId": "m-1",
                "receiptHandle": "receipt",
                "body": "unreadable",
                "attributes": {"SentTimestamp": "1770000000000", "ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:events",
            }
        ]
    },
}

type Start = Callable[[str], Function]


@pytest.fixture
def start(
    cloud: Cloud, clevertap: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Start]:
    monkeypatch.setattr("purchasely_clevertap.clevertap.client.Client", lambda: clevertap)
    yield lambda name: Function(name, cloud, monkeypatch, capsys)
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("name", EVENTS)
def test_a_call_of_aws_ends_before_the_function(start: Start, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    create, seconds = botocore.session.Session.create_client, []

    def watched(session: Any, service: str, *, config: Any) -> Any:
        attempts = config.retries["total_max_attempts"]
        seconds.append((config.connect_timeout + config.read_timeout) * attempts)
        return create(session, service, config=config)

    monkeypatch.setattr(botocore.session.Session, "create_client", watched)
    start(name)
    assert 0 < max(seconds) < Template.load().properties(f"{name.title()}Function")["Timeout"]


@pytest.mark.parametrize("name", EVENTS)
def test_garbage_is_collected_after_the_start(start: Start, name: str) -> None:
    gc.disable()
    start(name)
    assert gc.isenabled()


@pytest.mark.parametrize("name", EVENTS)
def test_every_line_names_its_request(start: Start, name: str) -> None:
    function = start(name)
    function(EVENTS[name])
    lines, _ = function.told()
    assert [line["request_id"] for line in lines] == ["the-request"]
