"""Monitoring: logs, alarms, dashboards, saved queries. When alarms ring: integration/test_alarms."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local_stack.sam import ROOT
from local_stack.template import Template, parsed
from purchasely_clevertap.telemetry.metrics import NAMESPACE, Metric
from tests.template.aws_metrics import is_published

LOGS = {
    "AccessLog": "/aws/vendedlogs/purchasely-clevertap/dev/access",
    "IngestLog": "/purchasely-clevertap/dev/ingest",
    "ForwarderLog": "/purchasely-clevertap/dev/forwarder",
    "SweepLog": "/purchasely-clevertap/dev/sweep",
}
ALARM = "AWS::CloudWatch::Alarm"
ALARMS = {
    name: logical_id
    for logical_id, properties in Template.load().of_type(ALARM).items()
    for name in [properties["AlarmName"].removeprefix("purchasely-clevertap-dev-")]
}
SERVICES = {"ingest", "forwarder"}


@pytest.mark.parametrize("log", LOGS)
def test_a_log_has_its_name_and_ends(log: str) -> None:
    properties = Template.load(LogRetentionDays=7).properties(log)

    assert properties["LogGroupName"] == LOGS[log]
    assert properties["RetentionInDays"] == 7


def test_there_is_no_log_without_an_end(template: Template) -> None:
    assert sorted(template.of_type("AWS::Logs::LogGroup")) == sorted(LOGS)


def test_no_address_means_no_subscription(template: Template) -> None:
    assert not template.of_type("AWS::SNS::Subscription")


def test_the_address_is_told_of_alarms() -> None:
    subscription = Template.load(AlarmEmail="a@example.com").properties("AlarmSubscription")

    assert subscription == {"TopicArn": "AlarmTopic", "Protocol": "email", "Endpoint": "a@example.com"}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_is_sent_with_its_runbook(template: Template, name: str) -> None:
    alarm = template.properties(ALARMS[name])

    assert alarm["AlarmActions"] == ["AlarmTopic"]
    assert alarm["AlarmDescription"].endswith(f" See docs/operations.md#{name}")
    assert len(alarm["AlarmDescription"]) <= 1024  # CloudWatch, PutMetricAlarm


@pytest.mark.parametrize("name", ALARMS)
def test_the_end_of_an_alarm_is_told(template: Template, name: str) -> None:
    assert template.properties(ALARMS[name]).get("OKActions", []) == ([] if name == "new-event" else ["AlarmTopic"])


def test_an_endpoint_is_told_of_alarms() -> None:
    told = Template.load(AlarmUrl="https://alarms.example.com/key")

    assert told.properties("AlarmUrlSubscription") == {
        "TopicArn": "AlarmTopic",
        "Protocol": "https",
        "Endpoint": "https://alarms.example.com/key",
    }
    assert told.document["Parameters"]["AlarmUrl"]["NoEcho"] is True


def test_a_budget_is_told_to_the_address(template: Template) -> None:
    chosen = Template.load(MonthlyBudget=50, AlarmEmail="a@example.com").properties("Budget")
    nested = parsed((ROOT / chosen["TemplateURL"]).read_text(encoding="utf-8"))
    budget = Template(nested, chosen["Parameters"]).properties("Budget")
    subscribers = [each for told in budget["NotificationsWithSubscribers"] for each in told["Subscribers"]]

    assert "Budget" not in template.resources
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 50, "Unit": "USD"}
    assert {each["Address"] for each in subscribers} == {"a@example.com"}


@pytest.mark.parametrize(
    ("chosen", "is_allowed"),
    [({}, True), ({"MonthlyBudget": 50}, False), ({"MonthlyBudget": 50, "AlarmEmail": "a@example.com"}, True)],
)
def test_a_budget_needs_somebody_to_tell(chosen: dict[str, object], is_allowed: bool) -> None:
    assert Template.load(**chosen).is_allowed() is is_allowed


def test_the_silence_alarm_counts_hours() -> None:
    alarm = Template.load(SilenceHours=48).properties("SilenceAlarm")

    assert alarm["Period"] * alarm["EvaluationPeriods"] == 48 * 3600
    assert Template.load().document["Parameters"]["SilenceHours"]["MaxValue"] <= 7 * 24


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_back_within_limits(template: Template, name: str) -> None:
    alarm = template.properties(ALARMS[name])
    metrics = alarm.get("Metrics", [])
    periods = {each.get("MetricStat", each)["Period"] for each in metrics if "MetricStat" in each or "Period" in each}
    (period,) = periods or {alarm["Period"]}
    seconds = period * alarm["EvaluationPeriods"]

    assert seconds <= (86_400 if period < 3600 else 7 * 86_400)
    assert period in (60, 300, 900, 3600, 86_400)
    assert alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"]


@pytest.mark.parametrize("name", ["webhook-4xx", "signatures"])
def test_a_query_looks_back_within_limits(template: Template, name: str) -> None:
    """CloudWatch evaluates three hours of a query, and asks for both clauses where it gives several series."""
    alarm = template.properties(ALARMS[name])
    (query,) = alarm["Metrics"]

    assert query["Period"] * alarm["EvaluationPeriods"] <= 3 * 3600
    assert " GROUP BY " in query["Expression"]
    assert " ORDER BY " in query["Expression"]


def test_what_a_filter_reads_is_in_the_access_log(template: Template) -> None:
    """A value in quotes is a text, and a filter for a number does not find it."""
    stage = template.properties("WebhookStage")["AccessLogSettings"]
    line = json.loads(stage["Format"])
    (pattern,) = (each["FilterPattern"] for each in template.of_type("AWS::Logs::MetricFilter").values())

    assert stage["DestinationArn"] == "AccessLog.Arn"
    assert line["status"] == "$context.status"
    assert pattern == '{ $.status = "429" }'


def test_the_retrying_alarm_spans_the_longest_pause(template: Template) -> None:
    alarm = template.properties("RetryingAlarm")

    assert alarm["Period"] * alarm["EvaluationPeriods"] >= template.parameters["RetryMaxSeconds"]
    assert alarm["DatapointsToAlarm"] == 1


def test_the_parked_alarm_outlasts_missing_data(template: Template) -> None:
    """SQS stops publishing for a queue that nobody touches, though the events are still there."""
    assert template.properties("ParkedAlarm")["TreatMissingData"] == "ignore"


DASHBOARDS = ("EventsDashboard", "ResourcesDashboard")


def widgets(template: Template, dashboard: str) -> list[Mapping[str, Any]]:
    body = json.loads(template.properties(dashboard)["DashboardBody"])
    return [widget["properties"] | {"type": widget["type"]} for widget in body["widgets"]]


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_dashboard_names_differ_by_stage_and_region(template: Template, dashboard: str) -> None:
    """Names of dashboards hold for all regions of an account."""
    name = template.properties(dashboard)["DashboardName"]

    assert name.startswith("purchasely-clevertap-dev-eu-west-1")
    assert name != template.properties(next(each for each in DASHBOARDS if each != dashboard))["DashboardName"]


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_no_widget_lies_upon_another(template: Template, dashboard: str) -> None:
    body = json.loads(template.properties(dashboard)["DashboardBody"])
    taken = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def shown(template: Template, dashboard: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of every metric that is drawn."""
    for widget in widgets(template, dashboard):
        for row in widget.get("metrics", []):
            match row:
                case [{"expression": str(expression)}]:
                    found = re.fullmatch(
                        r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\" stage=\"dev\"', '\w+', \d+\)", expression
                    )
                    assert found, expression
                    yield found[1], found[3], dict.fromkeys(found[2].split(","), "dev")
                case [namespace, metric, *dimensions, dict()]:
                    yield namespace, metric, dict(zip(dimensions[::2], dimensions[1::2], strict=True))
                case _:
                    raise AssertionError(row)


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_what_a_dashboard_draws_is_published(template: Template, dashboard: str) -> None:
    filters = template.of_type("AWS::Logs::MetricFilter").values()
    filtered: list[tuple[str, str, Mapping[str, str]]] = [
        (made["MetricNamespace"], made["MetricName"], {}) for each in filters for made in each["MetricTransformations"]
    ]
    for namespace, metric, dimensions in shown(template, dashboard):
        if namespace == NAMESPACE:
            assert metric in set(Metric)
            assert {"stage", "service"} <= set(dimensions) <= {"stage", "service", "reason", "result", "app", "kind"}
            assert dimensions["stage"] == "dev"
            assert dimensions["service"] in SERVICES | {"dev"}
        elif namespace.startswith(NAMESPACE):
            assert (namespace, metric, dimensions) in filtered
        else:
            assert is_published(namespace, metric, dimensions), (namespace, metric, dimensions)


def test_the_events_dashboard_draws_every_metric(template: Template) -> None:
    drawn = {metric for namespace, metric, _ in shown(template, "EventsDashboard") if namespace == NAMESPACE}

    # the sum of what is drawn; what tells of functions, not of events
    assert set(Metric) - drawn == {Metric.SETTLED, Metric.COLD_START}


def test_the_resources_dashboard_draws_cold_starts(template: Template) -> None:
    drawn = {
        dimensions["service"]
        for _, metric, dimensions in shown(template, "ResourcesDashboard")
        if metric == Metric.COLD_START
    }

    assert drawn == {"ingest", "forwarder"}


@pytest.mark.parametrize(
    ("query", "name", "logs"),
    [
        ("OneEventQuery", "one event", ["IngestLog", "ForwarderLog"]),
        ("OneUserQuery", "one user", ["ForwarderLog"]),
        ("RejectedQuery", "rejected by CleverTap", ["ForwarderLog"]),
        ("SlowestQuery", "slowest", ["ForwarderLog"]),
        ("SkippedQuery", "skipped by reason", ["ForwarderLog"]),
        ("NewEventsQuery", "new event names", ["ForwarderLog"]),
    ],
)
def test_a_log_query_is_saved(template: Template, query: str, name: str, logs: list[str]) -> None:
    properties = template.properties(query)

    assert properties["Name"] == f"purchasely-clevertap/dev/{name}"
    assert properties["LogGroupNames"] == logs


def test_alarms_name_saved_queries_that_exist(template: Template) -> None:
    queries = template.of_type("AWS::Logs::QueryDefinition")
    saved = {properties["Name"].rpartition("/")[2] for properties in queries.values()}
    named = {
        name
        for alarm in template.of_type(ALARM).values()
        for name in re.findall(r"saved query `([^`]+)`", alarm["AlarmDescription"])
    }

    assert len(queries) == 6
    assert named <= saved
