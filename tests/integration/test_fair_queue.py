"""Every message of the events queue is of its app's group, so that one app's backlog delays no other's events."""

from collections.abc import Iterable

import pytest

from purchasely_clevertap.aws.queues import ParkRequest, SendQueue
from purchasely_clevertap.delivery.entry import Hold
from purchasely_clevertap.ingest import Request
from purchasely_clevertap.outcome import Parked, ParkReason
from tests.integration.clevertap import ScriptedClevertap, lost_answer
from tests.integration.cli import Cli, park
from tests.integration.cloud import Cloud
from tests.integration.webhook import NOW_MS, encoded, event, message, signed

APP = "a-second-app"
KEY = f"{APP}#production#user#user-1"


@pytest.fixture
def events(cloud: Cloud) -> SendQueue:
    return SendQueue(cloud.sqs, queue_url=cloud.events_url)


def groups(cloud: Cloud, queue_url: str | None = None) -> list[str | None]:
    """The group of each message that stands on the queue."""
    received = cloud.sqs.receive_message(
        QueueUrl=queue_url or cloud.events_url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
    )
    return [each.get("Attributes", {}).get("MessageGroupId") for each in received.get("Messages", ())]


def require_sent(errors: Iterable[str | None]) -> None:
    assert not any(errors)


def test_a_webhook_is_of_its_app_s_group(cloud: Cloud) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["of-the-second-app"]}, app=APP)
    body = encoded(event())
    headers = signed(body, secret="of-the-second-app", timestamp=str(NOW_MS // 1000))
    answer = cloud.receiver(tolerance=60).receive(Request(APP, headers, body), now=NOW_MS / 1000)
    assert answer.status == 200
    assert groups(cloud) == [APP]


def test_released_and_lapsed_ones_are_of_the_group(cloud: Cloud, events: SendQueue) -> None:
    require_sent(events.send_held(APP, [Hold("held", "{}", NOW_MS, NOW_MS)]))
    require_sent(events.send_lapses(APP, [KEY], now_ms=NOW_MS))
    require_sent([events.send_release(APP, KEY, now_ms=NOW_MS, delay_seconds=0)])
    assert groups(cloud) == [APP] * 3


def test_what_is_settled_later_is_of_the_group(cloud: Cloud, events: SendQueue) -> None:
    request = ParkRequest(message(event(), app=APP), None, "e-1", "ACTIVATE", frozenset())
    require_sent(events.send([request], now_ms=NOW_MS))
    assert groups(cloud) == [APP]


def test_a_redriven_event_is_of_the_group(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="1", app=APP))
    cli.json("redrive", "--yes")
    assert groups(cloud) == [APP]


@pytest.mark.parametrize("app", ["", "Not an app", "x" * 200])
def test_a_name_that_no_app_has_is_no_group(cloud: Cloud, events: SendQueue, app: str) -> None:
    request = ParkRequest(message(event(), app=app), None, "e-1", "ACTIVATE", frozenset())
    require_sent(events.send([request], now_ms=NOW_MS))
    assert groups(cloud) == [None]


def test_a_parked_event_needs_no_group(cloud: Cloud) -> None:
    parked = SendQueue(cloud.sqs, queue_url=cloud.parked_url)
    request = ParkRequest(message(event(), app=APP), Parked(ParkReason.NO_USER, ""), "e-1", "ACTIVATE", frozenset())
    require_sent(parked.send([request], now_ms=NOW_MS))
    assert groups(cloud, cloud.parked_url) == [None]


def test_a_project_that_failed_is_uploaded_to_last(cloud: Cloud) -> None:
    cloud.put_secret("clevertap", {"production": {"account_id": "SECOND-ID", "passcode": "passcode"}}, app=APP)
    clevertap = ScriptedClevertap()
    worker = cloud.worker(clevertap)
    clevertap.script.append(lost_answer())
    worker.outcome(message(event(user="user-1"), id="m-1"))
    cloud.clock.advance(60)
    earlier, later = (
        message(event(user="user-2"), id="m-2"),
        message(event(user="user-3", at=NOW_MS + 1), id="m-3", app=APP),
    )
    worker.outcomes(earlier, later)
    assert [account.account_id for account, _ in clevertap.requests[1:]] == ["SECOND-ID", "PRODUCTION-ID"]
