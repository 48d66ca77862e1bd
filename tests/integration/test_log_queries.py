"""The saved questions to the log, and those of the dashboards, ask for what the functions write."""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pytest

from local_stack.template import Template
from purchasely_clevertap.clevertap.response import Rejected, SetupFault
from purchasely_clevertap.telemetry.user_hash import user_hash
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cloud import USER_KEY, Cloud
from tests.integration.function import Function, queue_event, received
from tests.integration.webhook import encoded, event, gateway_event, signed

type Line = Mapping[str, Any]

SERVICES: Final = {"IngestLog": "ingest", "ForwarderLog": "forwarder"}
COMMANDS: Final = ("fields", "filter", "stats", "sort", "limit")
TEMPLATE: Final = Template.load()


def questions() -> Iterable[tuple[str, str, Sequence[str]]]:
    """The name of every question, its text, and the services whose logs are asked."""
    for properties in TEMPLATE.of_type("AWS::Logs::QueryDefinition").values():
        services = [SERVICES[log] for log in properties["LogGroupNames"]]
        yield properties["Name"].rpartition("/")[2], properties["QueryString"], services
    for dashboard in TEMPLATE.of_type("AWS::CloudWatch::Dashboard").values():
        for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
            if widget["type"] == "log":
                source, _, query = widget["properties"]["query"].partition(" | ")
                yield widget["properties"]["title"], query, [SERVICES[source.removeprefix("SOURCE ").strip("'")]]


QUESTIONS: Final = list(questions())


def commands(query: str) -> list[tuple[str, str]]:
    """Its commands and what follows each."""
    text = " ".join(line for line in query.splitlines() if not line.startswith("#"))
    found = [tuple(part.strip().split(" ", 1)) for part in text.split(" | ")]
    assert all(command in COMMANDS for command, _ in found)
    return [(command, rest) for command, rest in found]


def names(query: str) -> set[str]:
    """The fields of the log lines that a question asks for."""
    asked: set[str] = set()
    made: set[str] = set()
    for command, rest in commands(query):
        plain = re.sub(r'"[^"]*"', "", rest)
        if command == "limit":
            continue
        if command == "stats":
            made |= set(re.findall(r" as (\w+)", plain))
            plain = re.sub(r" as \w+", "", plain)
        words = re.findall(r"@?\w+", plain)
        asked |= {word for word in words if word not in {"and", "or", "by", "asc", "desc"} | made}
    return asked - {"count", "earliest", "latest", "ispresent", "@timestamp"}


def matches(condition: str, line: Line) -> bool:
    """Whether a filter lets the line through."""
    if " or " in condition:
        return any(matches(each, line) for each in condition.split(" or "))
    if " and " in condition:
        return all(matches(each, line) for each in condition.split(" and "))
    if present := re.fullmatch(r"ispresent\((\w+)\)", condition):
        return present[1] in line
    equal = re.fullmatch(r'(\w+) = "([^"]*)"', condition)
    assert equal, condition
    return bool(line.get(equal[1]) == equal[2])


@pytest.fixture
def lines(
    cloud: Cloud, clevertap: ScriptedClevertap, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[Line]:
    """What both functions write when everything happens once."""

    def recent(name: str, user: str, **more: Any) -> dict[str, Any]:
        return event(name, user=user, at=int(time.time() * 1000) - 5000, **more)

    ingest = Function("ingest", cloud, monkeypatch, capsys)
    for payload in (
        recent("SUBSCRIPTION_RENEWED", "user-1", event_id="e-1"),
        recent("ACTIVATE", "user-2"),
        recent("RENEWAL_DISABLED", "user-3"),
        recent("LOYALTY_TIER_REACHED", "user-4"),
    ):
        body = encoded(payload)
        assert ingest(gateway_event(body, signed(body, timestamp=str(int(time.time())))))["statusCode"] == 200
    written: list[Line] = list(ingest.told()[0])
    monkeypatch.setattr("purchasely_clevertap.clevertap.client.Client", lambda: clevertap)
    forwarder = Function("forwarder", cloud, monkeypatch, capsys)
    clevertap.script.append(answer(Rejected(512, "bad"), of="RENEWAL_DISABLED"))
    forwarder(queue_event(received(cloud, cloud.events_url)))
    cloud.put_secret("clevertap", {"production": {}}, app="another")
    clevertap.otherwise = answer(SetupFault(401, "no"))
    cloud.sqs.send_message(
        QueueUrl=cloud.events_url,
        MessageBody=encoded(recent("SUBSCRIPTION_RENEWED", "user-5")).decode(),
        MessageAttributes={"app": {"DataType": "String", "StringValue": "another"}},
    )
    forwarder(queue_event(received(cloud, cloud.events_url)))
    return [*written, *forwarder.told()[0]]


def test_queries_ask_for_fields_that_are_written(lines: list[Line]) -> None:
    # An answer that was lost is another test's; no line has it when all answers arrive.
    rare = {"unconfirmed_sends"}
    for name, query, services in QUESTIONS:
        written = {field for line in lines if line["service"] in services for field in line}
        assert names(query) - written - rare == set(), name


def test_queries_find_what_they_are_for(lines: list[Line]) -> None:
    brought = next(line["message_id"] for line in lines if line.get("event_id") == "e-1")
    sought = {"EVENT_ID": "e-1", "MESSAGE_ID": brought, "USER_HASH": user_hash("user-1", USER_KEY)}
    found: dict[str, list[Line]] = {}
    for name, query, services in QUESTIONS:
        (condition,) = (rest for command, rest in commands(query) if command == "filter")
        for placeholder, value in sought.items():
            condition = condition.replace(f'"{placeholder}"', f'"{value}"')
        found[name] = [line for line in lines if line["service"] in services and matches(condition, line)]

    assert [(line["service"], line["message"]) for line in found["one event"]] == [
        ("ingest", "accepted"),
        ("forwarder", "event"),
    ]
    assert [line["event_id"] for line in found["one user"]] == ["e-1"]
    assert [(line["event_name"], line["code"]) for line in found["rejected by CleverTap"]] == [
        ("RENEWAL_DISABLED", 512)
    ]
    assert {line["event_name"] for line in found["slowest"]} == {"SUBSCRIPTION_RENEWED", "LOYALTY_TIER_REACHED"}
    assert [line["reason"] for line in found["skipped by reason"]] == ["event_switched_off"]
    assert [line["event_name"] for line in found["new event names"]] == ["LOYALTY_TIER_REACHED"]
    assert found["Skipped, by reason"] == found["skipped by reason"]
    assert found["Parked, by reason"] == found["rejected by CleverTap"]
    assert set(found) == {name for name, _, _ in QUESTIONS}
