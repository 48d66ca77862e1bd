"""The documentation: links lead somewhere, what is named exists, and examples are what the code does."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click
import pytest

from bridge_cli.__main__ import bridge
from bridge_cli.cli_error import ErrorCode
from bridge_cli.dry_run import forecast
from chaos import deployed, tenants
from chaos.faults import FAULTS
from local_stack.sam import ROOT
from local_stack.template import Template
from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.ingest import RefusalReason
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT, Anonymous, parse
from purchasely_clevertap.outcome import ParkReason, SkipReason
from purchasely_clevertap.purchasely.signature import SignatureProblem
from purchasely_clevertap.telemetry.metrics import Metric

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
TEMPLATE = Template.load(Stage="prod")
ALARMS: Mapping[str, Mapping[str, Any]] = {
    properties["AlarmName"].removeprefix("purchasely-clevertap-prod-"): properties
    for properties in TEMPLATE.of_type("AWS::CloudWatch::Alarm").values()
}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a header row that begins with `heading`."""
    table = page.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")] for row in table]


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*before, name)
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_command_that_is_named_exists() -> None:
    known = set(commands(bridge))
    texts = [code for page in PAGES for code in codes(page.read_text(encoding="utf-8"))]
    texts += [code for alarm in ALARMS.values() for code in codes(alarm["AlarmDescription"])]
    named = {
        tuple(found[1].split()) for text in texts if (found := re.match(r"bridge((?: [a-z]+)+)", text)) is not None
    }
    assert len(named) > 10
    assert {words for words in named if words not in known and words[:1] not in known} == set()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:`|^|    )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named - targets == set()
    assert {"demo", "test"} <= named


def test_every_alarm_has_its_entry() -> None:
    runbook = OPERATIONS.split("\n## When an alarm rings\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^### (.+)$", runbook, re.MULTILINE)) == set(ALARMS)
    assert {alarm["AlarmDescription"].rpartition("#")[2] for alarm in ALARMS.values()} <= anchors(OPERATIONS)


def test_every_metric_is_explained() -> None:
    explained = [name for row in rows(OPERATIONS, "metric") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(explained) == sorted(Metric)


def test_every_parameter_has_its_default() -> None:
    stated = {codes(name)[0]: (codes(default) or [""])[0] for name, default, _ in rows(README, "parameter")}
    assert stated == {name: str(TEMPLATE.document["Parameters"][name]["Default"]) for name in stated}


def test_every_refusal_is_explained() -> None:
    told = {reason for _, cell, _ in rows(README, "answer") for reason in codes(cell)}
    assert told == {*RefusalReason, *SignatureProblem}


def test_every_error_code_of_the_cli_is_explained() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    told = {code for row in rows(page, "error code") for code in codes(row[0])}
    assert told == {*ErrorCode, "AccessDeniedException"}


def test_every_reason_is_explained() -> None:
    told = {reason for _, cell, _ in rows(README, "outcome") for reason in codes(cell)}
    assert told >= {*SkipReason, *ParkReason}


def test_every_value_of_anonymous_is_explained() -> None:
    assert [codes(row[0])[0] for row in rows(README, "`identity.anonymous`")] == list(Anonymous)


def test_the_regions_are_those_of_the_code() -> None:
    stated = [[codes(cell)[0] for cell in row[:3]] for row in rows(README, "region")]
    assert stated == [
        [region, f"{region}.dashboard.clevertap.com", region.endpoint.removeprefix("https://")] for region in Region
    ]


def test_the_settings_in_the_readme_are_valid() -> None:
    for text in codes(re.sub(r"^```\w+\n.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)):
        if text.startswith('"') and ":" in text:
            assert parse(f"{{{text}}}") != DEFAULT


def test_the_example_is_what_the_code_makes() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    body = (ROOT / "events/purchasely/TRANSACTION_PROCESSED.json").read_bytes()
    records = forecast(body, Mapper(DEFAULT)).records
    assert json.loads(blocks[2]) == [record.content for record in records]


def test_every_fault_of_the_chaos_kit_has_its_row() -> None:
    told = {
        name for heading in ("in process", "deployed") for row in rows(GUARANTEES, heading) for name in codes(row[0])
    }
    assert told == {*FAULTS, *tenants.ROWS, *(fault.name for fault in deployed.FAULTS)}


def test_every_file_that_is_named_exists() -> None:
    package = ROOT / "layers" / "bridge" / "purchasely_clevertap"
    for page in PAGES:
        for path in codes(page.read_text(encoding="utf-8")):
            if re.fullmatch(r"[\w/]+\.py|(?:tests|tools|functions|layers|docs|events)/[\w/.-]*", path):
                assert (ROOT / path).exists() or any(package.rglob(path)), f"{page.name}: {path}"


def test_the_stack_policy_names_what_exists() -> None:
    policy = json.loads((ROOT / "stack-policy.json").read_text(encoding="utf-8"))
    allowed, *guarded = policy["Statement"]
    named = {name.removeprefix("LogicalResourceId/") for each in guarded for name in each["Resource"]}
    lasting = ("AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::ApiGatewayV2::Api")
    kept = {name for kind in lasting for name in TEMPLATE.of_type(kind)}
    defaults = {name for name in TEMPLATE.resources if name.startswith("Default")}
    assert allowed["Effect"] == "Allow"
    assert {each["Effect"] for each in guarded} == {"Deny"}
    assert named == kept | defaults | {"UserHashKey"}
