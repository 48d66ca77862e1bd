"""The watch: logs, alarms, the dashboard."""

import json

import pytest

from tests.template.template import Template

LOGS = {
    "AccessLog": "/aws/vendedlogs/purchasely-clevertap/dev/door",
    "IngestLog": "/purchasely-clevertap/dev/ingest",
    "ForwarderLog": "/purchasely-clevertap/dev/forwarder",
}


@pytest.mark.parametrize("log", LOGS)
def test_a_log_has_its_name_and_ends(log: str) -> None:
    properties = Template.load(LogRetentionDays=7).properties(log)

    assert properties["LogGroupName"] == LOGS[log]
    assert properties["RetentionInDays"] == 7


def test_there_is_no_log_without_an_end(template: Template) -> None:
    assert sorted(template.of_type("AWS::Logs::LogGroup")) == sorted(LOGS)


def test_nobody_is_told_unless_there_is_an_address(template: Template) -> None:
    assert not template.of_type("AWS::SNS::Subscription")


def test_the_address_is_told_of_alarms() -> None:
    subscription = Template.load(AlarmEmail="a@example.com").properties("AlarmSubscription")

    assert subscription == {"TopicArn": "AlarmTopic", "Protocol": "email", "Endpoint": "a@example.com"}


def test_a_parked_event_rings(template: Template) -> None:
    alarm = template.properties("ParkedAlarm")

    assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "ParkedQueue.QueueName"}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
    assert alarm["TreatMissingData"] == "ignore"
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["AlarmTopic"]


def test_every_alarm_says_what_to_do(template: Template) -> None:
    for name, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
        assert len(alarm["AlarmDescription"]) > 100, name


def test_the_dashboard_shows_the_way_of_an_event(template: Template) -> None:
    dashboard = template.properties("Dashboard")
    titles = [widget["properties"]["title"] for widget in json.loads(dashboard["DashboardBody"])["widgets"]]

    assert [title.split(":")[0] for title in titles] == ["Door", "Queue", "Queue", "Functions"]
    assert dashboard["DashboardName"] == "purchasely-clevertap-dev-eu-west-1"
