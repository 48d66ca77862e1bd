"""`bridge status` on what the forwarder leaves, and on what the gateway counts."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from bridge_cli.times import now_ms
from purchasely_clevertap.clevertap.response import NotTaken
from purchasely_clevertap.outcome import RetryReason
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cli import Cli
from tests.integration.cloud import Clock, Cloud, Worker
from tests.integration.webhook import event, message


@pytest.fixture
def clock() -> Clock:
    return Clock(now_ms())


def forward(worker: Worker, cloud: Cloud, name: str = "SUBSCRIPTION_RENEWED", **more: Any) -> None:
    worker.outcome(message(event(name, at=cloud.clock(), **more), sent_at=cloud.clock()))


def test_the_last_hours_are_told_by_app(cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap) -> None:
    forward(worker, cloud, event_id="e-1")
    forward(worker, cloud, "ACTIVATE", event_id="e-2")
    forward(worker, cloud, "App Launched", event_id="e-3")
    clevertap.otherwise = answer(NotTaken(RetryReason.THROTTLED))
    forward(worker, cloud, event_id="e-4", user="user-2")

    document = cli.json("status")

    (app,) = document["apps"]
    counts = {name: app[name] for name in ("received", "delivered", "skipped", "duplicate", "parked", "in_flight")}
    assert counts == {"received": 4, "delivered": 1, "skipped": 1, "duplicate": 0, "parked": 1, "in_flight": 1}
    assert app["by_reason"] == {"skipped": {"event_switched_off": 1}, "parked": {"unusable_event_name": 1}}
    assert app["error_rate"] == 0.5
    assert app["now"]["retried_by_reason"] == {"throttled": 1}
    assert app["now"]["oldest_parked"]["event_id"] == "e-3"
    assert app["now"]["parked_by_reason"] == {"unusable_event_name": 1}
    assert document["queues"] == {"events": 0, "dead_letters": 0, "parked": 1}
    output = cli.run("status", "--hours", "2").output
    assert "App default, the last 2 hours" in output
    assert "1: unusable_event_name 1; the oldest came" in output
    assert "50.00%" in output


def test_only_the_named_app_is_told_of(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud)
    for app, received in (("second", 0), ("default", 1)):
        assert [(each["app"], each["received"]) for each in cli.json("status", app)["apps"]] == [(app, received)]


def test_an_app_without_events_is_listed(cli: Cli) -> None:
    (told,) = cli.json("status", "quiet")["apps"]
    assert (told["app"], told["received"], told["error_rate"]) == ("quiet", 0, None)
    assert "App quiet, the last 24 hours" in cli.run("status", "quiet").stdout


def test_answers_are_those_that_the_gateway_counts(cli: Cli) -> None:
    assert cli.json("status")["ingest"] is None
    boto3.client("cloudwatch").put_metric_data(
        Namespace="AWS/ApiGateway",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": "ApiId", "Value": "abc123"}],
                "Timestamp": datetime.fromtimestamp(now_ms() / 1000 - 900, UTC),
                "Value": value,
            }
            for name, value in (("Count", 7), ("Count", 5), ("4xx", 2))
        ],
    )
    assert cli.json("status")["ingest"] == {"webhooks": 12, "refused": 2, "failed": 0}
    assert "At ingest: 12 webhooks, 2 refused (4xx), 0 failed (5xx)." in cli.run("status").output
