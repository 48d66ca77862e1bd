"""`bridge check` on an installation in which one thing at a time is wrong."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.cloud import Answered, Cloud, Step, as_function
from tests.integration.installation import PLACEHOLDERS, SECRET, Installation, installed


@pytest.fixture
def bridge(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with installed(cloud, monkeypatch) as installation:
        installation.set_up()
        yield installation


def findings(bridge: Installation, *arguments: str, good: bool) -> dict[str, Any]:
    document = bridge.json("check", *arguments, exit_code=0 if good else 1)
    assert document["good"] is good
    return {each["subject"]: each for each in document["findings"]}


def wrong(bridge: Installation, *arguments: str) -> dict[str, str]:
    """What is wrong, and what is found there. Everything that is wrong says what to do."""
    found = findings(bridge, *arguments, good=False)
    bad = {subject: each for subject, each in found.items() if each["good"] is False}
    assert all(each["todo"] for each in bad.values())
    return {subject: each["found"] for subject, each in bad.items()}


def test_all_is_well(bridge: Installation) -> None:
    found = findings(bridge, good=True)
    assert list(found) == [
        "stack",
        "parameters",
        "Lambda concurrency",
        "default: Purchasely secret",
        "default: CleverTap secret",
        "default: settings",
        "default: CleverTap production",
        "default: CleverTap sandbox",
        "events queue",
        "dead-letter queue",
        "parked queue",
        "forwarder takes events",
        "forwarder takes dead letters",
        "alarms",
        "who is told",
    ]


def test_people_see_a_line_each_and_scripts_the_same(bridge: Installation) -> None:
    result = bridge.run("check")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 15
    bridge.cloud.put_settings({"sandbox": "no"})
    result = bridge.run("check")
    assert result.exit_code == 1
    assert "✗  default: settings" in result.stdout
    assert 'sandbox: found "no"' in result.stdout
    assert "→ bridge settings put FILE default" in result.stdout


def test_clevertap_stores_nothing_of_it(bridge: Installation) -> None:
    bridge.run("check")
    assert [(request.dry_run, request.taken) for request in bridge.clevertap.requests()] == [(True, 0), (True, 0)]


def _without_secret(bridge: Installation) -> None:
    bridge.cloud.delete_secret("purchasely")


def _with_placeholder(bridge: Installation) -> None:
    bridge.cloud.put_secret("clevertap", PLACEHOLDERS["clevertap"])


def _with_wrong_settings(bridge: Installation) -> None:
    bridge.cloud.put_settings('{"regoin": "eu1"}')


def _with_wrong_passcode(bridge: Installation) -> None:
    accounts = {"production": {"account_id": "PROJECT-1", "passcode": "mistyped"}}
    bridge.cloud.put_secret("clevertap", accounts)


def _with_a_parked_event(bridge: Installation) -> None:
    bridge.cloud.sqs.send_message(QueueUrl=bridge.cloud.parked_url, MessageBody="{}")


def _with_a_dead_letter(bridge: Installation) -> None:
    bridge.cloud.sqs.send_message(QueueUrl=bridge.cloud.dead_letters_url, MessageBody="{}")


def _with_an_old_event(bridge: Installation) -> None:
    bridge.cloud.sqs.send_message(QueueUrl=bridge.cloud.events_url, MessageBody="{}")
    now = datetime.now(UTC)
    points = [
        {"Timestamp": now - timedelta(minutes=1), "Maximum": 3600.0},
        {"Timestamp": now - timedelta(minutes=2), "Maximum": 1.0},
    ]
    bridge.cloud.calls.next("GetMetricStatistics", Answered({"Datapoints": points}))


def _with_a_disabled_mapping(bridge: Installation) -> None:
    bridge.deployed.mappings = ["Disabled"]


def _with_an_alarm(bridge: Installation) -> None:
    for name in ("ours", "somebody-else's"):
        bridge.cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription=f"Mend {name}.",
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        bridge.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    bridge.deployed.alarms = ["ours"]


def _with_a_small_quota(bridge: Installation) -> None:
    bridge.deployed.quota = 8


def _with_an_unconfirmed_address(bridge: Installation) -> None:
    pending = {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}
    bridge.cloud.calls.next("ListSubscriptionsByTopic", Answered(pending))


def _rolled_back(bridge: Installation) -> None:
    bridge.deployed.status = "ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("break_it", "subject", "found"),
    [
        (_without_secret, "default: Purchasely secret", "is not there: webhooks are answered 404"),
        (_with_placeholder, "default: CleverTap secret", "is the placeholder: events wait in the queue"),
        (_with_wrong_settings, "default: settings", "regoin: unknown key"),
        (_with_wrong_passcode, "default: CleverTap production", "refuses the credentials (401)"),
        (_with_a_parked_event, "parked queue", "1 events wait for a person"),
        (_with_a_dead_letter, "dead-letter queue", "1 events that the forwarder died of"),
        (_with_an_old_event, "events queue", "the oldest for 1 h"),
        (_with_an_alarm, "alarm", "ours rings"),
        (_with_an_unconfirmed_address, "who is told", "1 of 1 subscriptions to the alarms are not confirmed"),
        (_with_a_small_quota, "Lambda concurrency", "the account's quota is 8"),
        (_rolled_back, "stack", "is ROLLBACK_COMPLETE"),
    ],
)
def test_what_is_wrong_is_the_one_thing_that_is_red(
    bridge: Installation, break_it: Callable[[Installation], None], subject: str, found: str
) -> None:
    break_it(bridge)
    bad = wrong(bridge)
    assert list(bad) == [subject]
    assert found in bad[subject]
    assert "mistyped" not in str(bad)


def test_a_queue_without_consumer_is_wrong(bridge: Installation) -> None:
    _with_a_disabled_mapping(bridge)
    assert list(wrong(bridge)) == ["forwarder takes events", "forwarder takes dead letters"]


def test_an_alarm_says_what_to_do(bridge: Installation) -> None:
    _with_an_alarm(bridge)
    assert findings(bridge, good=False)["alarm"]["todo"] == "Mend ours."


def test_a_denied_check_is_wrong_and_the_rest_goes_on(bridge: Installation) -> None:
    bridge.cloud.calls.next("GetQueueAttributes", "AccessDenied")
    found = findings(bridge, good=False)
    assert "could not be looked at: AWS refused GetQueueAttributes: AccessDenied" in found["queues"]["found"]
    assert found["who is told"]["good"] is None


def test_every_app_is_checked_unless_one_is_named(bridge: Installation) -> None:
    bridge.set_up("second-app", sandbox=False)
    everything = findings(bridge, good=True)
    assert {subject.split(":")[0] for subject in everything if ":" in subject} == {"default", "second-app"}
    assert everything["second-app: CleverTap sandbox"]["good"] is None
    one = findings(bridge, "second-app", good=True)
    assert not any(subject.startswith("default") for subject in one)


def test_an_app_that_is_not_there_is_wrong(bridge: Installation) -> None:
    assert list(wrong(bridge, "nobody")) == ["nobody: Purchasely secret", "nobody: CleverTap secret"]


def test_the_default_app_may_be_unused(bridge: Installation) -> None:
    for name, document in PLACEHOLDERS.items():
        bridge.cloud.put_secret(name, document)
    assert list(wrong(bridge)) == ["default: Purchasely secret", "default: CleverTap secret"]
    bridge.set_up("second-app")
    assert findings(bridge, good=True)["default"]["good"] is None
    assert "default: Purchasely secret" in wrong(bridge, "default")


def test_without_listing_the_default_app_is_checked(bridge: Installation) -> None:
    bridge.cloud.calls.next("ListSecrets", "AccessDeniedException")
    assert "default: settings" in findings(bridge, good=True)


def test_two_apps_with_one_secret_are_mentioned(bridge: Installation) -> None:
    bridge.set_up("second-app", shared_secret="another")
    assert "shared secrets" not in findings(bridge, good=True)
    bridge.cloud.put_secret("purchasely", {"shared_secrets": ["newest", SECRET]}, app="second-app")
    shared = findings(bridge, good=True)["shared secrets"]
    assert shared["good"] is None
    assert "default and second-app" in shared["found"]
    assert SECRET not in bridge.run("check").output


@pytest.mark.parametrize("described", ["AccessDeniedException", Answered({"Name": "a secret"})])
def test_secrets_that_one_may_not_read_are_no_fault(bridge: Installation, described: Step) -> None:
    as_function(bridge.cloud.secretsmanager)  # whoever may not read a secret hears the same as of one that is not there
    for name in ("purchasely", "clevertap"):
        bridge.cloud.delete_secret(name)
    bridge.cloud.calls.always("DescribeSecret", described)
    found = findings(bridge, good=True)
    assert found["default: Purchasely secret"]["good"] is None
    assert found["default: CleverTap secret"]["good"] is None
    assert found["default: settings"]["good"] is True
