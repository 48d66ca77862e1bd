"""The page for the people who run the stack says what is so, and has an entry for every alarm."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from bridge_cli.__main__ import bridge
from local_stack.sam import ROOT
from local_stack.template import Template
from purchasely_clevertap.telemetry.metrics import NAMESPACE, Metric
from purchasely_clevertap.telemetry.report import Report

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RUNBOOK = PAGE.split("\n## When an alarm rings\n", 1)[1].split("\n## ", 1)[0]
TEMPLATE = Template.load(Stage="prod")
ALARMS: Mapping[str, Mapping[str, Any]] = {
    properties["AlarmName"].removeprefix("purchasely-clevertap-prod-"): properties
    for properties in TEMPLATE.of_type("AWS::CloudWatch::Alarm").values()
}
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```\w+\n.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`([^`]+)`", PROSE)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a header row that begins with `heading`."""
    table = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")] for row in table]


def entries() -> dict[str, str]:
    headed = re.split(r"^### (.+)$", RUNBOOK, flags=re.MULTILINE)[1:]
    return dict(zip(headed[::2], headed[1::2], strict=True))


def test_every_alarm_has_its_entry_and_nothing_else_has_one() -> None:
    assert list(entries()) == [name for name, *_ in map(linked, rows("alarm"))]
    assert set(entries()) == set(ALARMS)


def linked(row: list[str]) -> list[str]:
    (name,) = re.findall(r"^\[([\w-]+)\]\(#\1\)$", row[0])
    return [name, *row[1:]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_entry_says_what_it_means_where_to_look_and_what_to_do(name: str) -> None:
    entry = entries()[name]

    assert "**It means**" in entry
    assert "**Look**" in entry
    assert "**Do**" in entry or "**do**" in entry


def test_numbers_of_the_runbook_are_those_of_the_alarms() -> None:
    assert ALARMS["oldest"]["Threshold"] == 90 * 60
    assert ALARMS["retrying"]["Threshold"] == 90 * 60_000
    assert "90 minutes" in entries()["oldest"]
    assert "90 minutes" in entries()["retrying"]
    assert f"took {ALARMS['ingest-duration']['Threshold'] / 1000:g} s" in entries()["ingest-duration"]
    assert f"took {ALARMS['forwarder-duration']['Threshold'] / 1000:g} s" in entries()["forwarder-duration"]
    assert f"{ALARMS['signatures']['Threshold']} requests or more" in entries()["signatures"]


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*before, name)
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)


def test_every_command_that_is_named_is_there() -> None:
    known = set(commands(bridge))
    texts = [*INLINE, *(block for language, block in BLOCKS if language == "sh")]
    texts += [code for alarm in ALARMS.values() for code in re.findall(r"`([^`]+)`", alarm["AlarmDescription"])]
    named = [
        tuple(words)
        for text in texts
        for line in text.splitlines()
        if (
            words := re.findall(r"^bridge((?: [a-z]+)+)", line)
            and re.findall(r"^bridge((?: [a-z]+)+)", line)[0].split()
        )
    ]

    assert len(named) > 20
    assert [words for words in named if words not in known and words[:1] not in known] == []
    groups = {words[0] for words in known if len(words) > 1}
    assert [words for words in named if words[0] in groups and words[:2] not in known] == []


def test_every_option_that_is_named_is_there() -> None:
    options = {
        option
        for path in commands(bridge)
        for parameter in command_at(path).params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    texts = [
        *INLINE,
        *(code for alarm in ALARMS.values() for code in re.findall(r"`([^`]+)`", alarm["AlarmDescription"])),
    ]
    named = {option for text in texts if text.startswith("bridge") for option in re.findall(r" (--[a-z-]+)", text)}

    assert named >= {"--reason", "--sandbox"}
    assert named - options == set()


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = bridge
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def test_every_metric_is_explained() -> None:
    explained = [name for row in rows("metric") for name in re.findall(r"`(\w+)`", row[0])]

    assert sorted(explained) == sorted(Metric)
    assert f"Namespace `{NAMESPACE}`" in PAGE


def test_every_name_in_camel_case_is_a_parameter_an_output_or_a_metric() -> None:
    known = TEMPLATE.document["Parameters"].keys() | TEMPLATE.document["Outputs"].keys() | set(Metric) | {NAMESPACE}
    known |= {"AccessDenied", "Canary10Percent5Minutes"}
    named = {name for text in INLINE for name in re.findall(r"\b(?:[A-Z][a-z]+[0-9]*){2,}\b", text)}

    assert {name for name in named if name not in known} <= {"AtOnce", "PublishedVersions", "ImportModuleError"}


def test_what_parameters_are_said_to_take_they_take() -> None:
    parameters = TEMPLATE.document["Parameters"]
    given = re.findall(r"`?(\w+)=([\w,-]+)`", PROSE)
    stated = [(name, value) for name, value in given if name in parameters]

    assert {name for name, _ in stated} >= {"AlarmsOff", "Rollout", "IngestSnapStart"}
    for name, value in stated:
        allowed = parameters[name].get("AllowedValues")
        assert value in allowed if allowed else re.fullmatch(parameters[name]["AllowedPattern"], value)


def test_every_saved_query_is_named() -> None:
    saved = {
        properties["Name"].rpartition("/")[2] for properties in TEMPLATE.of_type("AWS::Logs::QueryDefinition").values()
    }

    assert {name for name in saved if f"*{name}*" not in " ".join(PROSE.split())} == set()


def test_lines_have_the_fields_that_are_told() -> None:
    """Those of an event; integration/test_log_queries sees that the others are written."""
    (event,) = (row for row in rows("message") if row[0] == "`event`")
    source = Path(Report.forwarded.__code__.co_filename).read_text(encoding="utf-8")
    written = set(re.findall(r'^ +"(\w+)": (?:handled|message|now|outcome|not )', source, re.MULTILINE))

    assert set(re.findall(r"`(\w+)`", event[2])) == written | {"reason", "code", "detail"}


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", PAGE)

    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    assert [link for link in links if "#" not in link and not (ROOT / "docs" / link).exists()] == []
    assert {alarm["AlarmDescription"].rpartition("#")[2] for alarm in ALARMS.values()} <= anchors


def test_the_costs_add_up() -> None:
    *items, together = rows("for a stack")
    total = 0.0
    for what, units, price, cost in items:
        number, *unit = units.split()
        factor = float(number) * float(price)
        assert float(cost) == pytest.approx(factor, abs=0.006), what
        assert unit in ([], ["million"])
        total += float(cost)

    assert float(together[-1].strip("*")) == pytest.approx(total, abs=0.001)


def test_the_alarms_cost_what_they_look_at() -> None:
    metrics = sum(
        sum("MetricStat" in each for each in alarm["Metrics"]) if "Metrics" in alarm else 1 for alarm in ALARMS.values()
    )
    (stated,) = (row[1] for row in rows("for a stack") if row[0].startswith("alarms"))

    assert int(stated) == metrics


def test_a_snapshot_costs_what_is_told() -> None:
    memory = TEMPLATE.parameters["IngestMemory"] / 1024
    snapshot, start = memory * 2_628_000 * 0.0000015046, memory * 0.0001397998 * 1000
    comment = (ROOT / "template.yaml").read_text(encoding="utf-8").split("  IngestSnapStart:\n", 1)[1].splitlines()[0]

    assert f"= {snapshot:.2f} USD a month" in PAGE
    assert f"= {start:.2f} USD for a thousand" in PAGE
    assert f"{snapshot:.2f} USD a month" in comment
    assert f"{start:.2f} USD for a thousand cold starts" in comment


def test_the_stack_policy_names_what_there_is_and_guards_what_people_put() -> None:
    policy = json.loads((ROOT / "stack-policy.json").read_text(encoding="utf-8"))
    allowed, placeholders, kept = policy["Statement"]
    named = {
        resource.removeprefix("LogicalResourceId/") for each in (placeholders, kept) for resource in each["Resource"]
    }

    assert (allowed["Effect"], placeholders["Effect"], kept["Effect"]) == ("Allow", "Deny", "Deny")
    assert named <= set(TEMPLATE.resources)
    assert {f"LogicalResourceId/{name}" for name in TEMPLATE.resources if name.startswith("Default")} == set(
        placeholders["Resource"]
    )
    lasting = ("AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::ApiGatewayV2::Api")
    assert {name for kind in lasting for name in TEMPLATE.of_type(kind)} == named - {
        name for name in TEMPLATE.resources if name.startswith("Default")
    }


def test_what_is_to_be_pasted_is_json() -> None:
    assert len([json.loads(block) for language, block in BLOCKS if language == "json"]) == 2
