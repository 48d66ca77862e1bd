"""`bridge check --deep`: a deployment proves itself, and its document may be shown to strangers."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from purchasely_clevertap.outcome import SkipReason
from tests.integration.cli import log
from tests.integration.cloud import Answered, Cloud
from tests.integration.installation import SECRET, Installation, installed

DEEP = [
    "ingest function",
    "forwarder function",
    "sweep function",
    "dashboards",
    "KMS key",
    "clock",
    "default: test webhook",
    "default: log lines",
    "default: metrics",
    "alarm states",
]


@pytest.fixture
def bridge(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with installed(cloud, monkeypatch) as installation:
        installation.set_up()
        alarm(installation, "parked", "OK")
        yield installation


def alarm(bridge: Installation, name: str, state: Literal["OK", "ALARM"]) -> None:
    bridge.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    bridge.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")
    bridge.deployed.alarms.append(name)


def deep(bridge: Installation, *arguments: str, good: bool = True) -> dict[str, Any]:
    document = bridge.json("check", "--deep", *arguments, exit_code=0 if good else 1)
    assert document["good"] is good
    return {each["subject"]: each for each in document["findings"]}


def counted(bridge: Installation) -> None:
    """CloudWatch has made metrics of log lines."""
    bridge.cloud.calls.always(
        "GetMetricStatistics", Answered({"Datapoints": [{"Timestamp": datetime.now(UTC), "Sum": 1.0, "Maximum": 1.0}]})
    )


def test_a_deployment_proves_itself(bridge: Installation) -> None:
    found = deep(bridge)
    assert list(found)[-len(DEEP) :] == DEEP
    webhook = found["default: test webhook"]
    assert webhook["good"] is True
    assert SkipReason.BECAME_KNOWN in webhook["found"]
    assert "from the webhook to its outcome" in webhook["found"]
    assert bridge.uploaded == []


def test_what_takes_time_to_show_is_not_wrong(bridge: Installation) -> None:
    log("IngestLogGroup", 0, ["{}"])
    log("ForwarderLogGroup", 0, ["{}"])
    found = deep(bridge)
    assert (found["default: log lines"]["good"], found["default: metrics"]["good"]) == (None, None)
    assert "bridge trace" in found["default: log lines"]["todo"]
    assert "bridge check --deep" in found["default: metrics"]["todo"]


def test_what_is_counted_by_then_is_seen(bridge: Installation) -> None:
    counted(bridge)
    assert deep(bridge)["default: metrics"]["good"] is True


def test_every_app_that_is_set_up_is_proven(bridge: Installation) -> None:
    bridge.set_up("second-app")
    assert {"default: test webhook", "second-app: test webhook"} <= set(deep(bridge))
    assert "default: test webhook" not in deep(bridge, "second-app")


def _without_forwarder(bridge: Installation) -> None:
    bridge.forwards = False


def _with_an_unpublished_version(bridge: Installation) -> None:
    bridge.deployed.version = "$LATEST"


def _with_a_key_to_be_deleted(bridge: Installation) -> None:
    bridge.deployed.key, bridge.deployed.key_state = "arn:aws:kms:eu-west-1:123456789012:key/k", "PendingDeletion"


def _with_a_ringing_alarm(bridge: Installation) -> None:
    alarm(bridge, "setup", "ALARM")


def _without_dashboards(bridge: Installation) -> None:
    bridge.deployed.dashboards = ()


@pytest.mark.parametrize(
    ("break_it", "subject"),
    [
        (_without_forwarder, "default: test webhook"),
        (_with_an_unpublished_version, "ingest function"),
        (_with_a_key_to_be_deleted, "KMS key"),
        (_with_a_ringing_alarm, "alarm states"),
        (_without_dashboards, "dashboards"),
    ],
)
def test_what_fails_says_what_to_do(
    bridge: Installation, break_it: Callable[[Installation], None], subject: str
) -> None:
    break_it(bridge)
    failed = deep(bridge, good=False)[subject]
    assert failed["good"] is False
    assert failed["todo"]


def test_what_may_not_be_looked_at_is_never_green(bridge: Installation) -> None:
    bridge.cloud.calls.always("GetDashboard", "AccessDenied")
    found = deep(bridge)["dashboards"]
    assert (found["good"], found["found"][:14]) == (None, "not looked at:")


def test_the_document_has_no_secret_and_no_people(bridge: Installation) -> None:
    bridge.deployed.parameters = {"AlarmEmail": "jane@example.com"}
    for operation in ("GetDashboard", "ListSubscriptionsByTopic"):
        bridge.cloud.calls.always(operation, "arn:aws:sts::123456789012:assumed-role/Admin/jane@example.com is denied")
    text = json.dumps(bridge.json("check", "--deep", exit_code=1))
    for told in (SECRET, "passcode-1", "jane", "123456789012"):
        assert told not in text
    assert "AlarmEmail is set" in text


def test_without_a_stack_there_is_nothing_to_prove(bridge: Installation) -> None:
    bridge.deployed.is_gone = True
    found = deep(bridge, good=False)
    assert list(found) == ["stack"]


def test_setup_ends_with_the_same_proof(bridge: Installation) -> None:
    document = bridge.json("setup")
    subjects = [each["subject"] for each in document["deployment"]]
    further = ["Lambda concurrency", "forwarder takes events", "forwarder takes dead letters", "who is told"]
    assert subjects == [*DEEP[:6], *further, *DEEP[6:]]
    assert "runs as version 7" in bridge.run("setup").stdout


def test_setup_says_why_nothing_takes_the_events(bridge: Installation) -> None:
    bridge.json("pause", "--yes")
    found = {each["subject"]: each for each in bridge.json("setup", exit_code=1)["deployment"]}
    assert found["forwarder takes events"]["todo"] == "bridge resume"
