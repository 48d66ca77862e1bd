"""How a new version of the functions takes over."""

import re
from typing import Any

import pytest

from local_stack.template import Template

FUNCTIONS = ("IngestFunction", "ForwarderFunction")
ROLLBACK_ALARMS = {
    "IngestFunction": {"purchasely-clevertap-dev-ingest-errors", "purchasely-clevertap-dev-webhook-5xx"},
    "ForwarderFunction": {"purchasely-clevertap-dev-forwarder-errors"},
}
GRADUAL = [name for name in Template.load().document["Parameters"]["Rollout"]["AllowedValues"] if name != "AtOnce"]
# What reaches a function by way of its version.
_REACHES = ("Architectures", "MemorySize", "SnapStart", "Environment")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_runs_as_its_newest_version(template: Template, function: str) -> None:
    assert template.document["Globals"]["Function"]["AutoPublishAlias"] == "live"
    assert template.properties(function)["AutoPublishAliasAllProperties"] is True


def test_a_new_layer_is_a_new_version(template: Template) -> None:
    """All code but the handlers is in the layer."""
    assert template.properties("BridgeLayer")["PublishLambdaVersion"] is True


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_parameters_new_value_is_a_new_version(template: Template, function: str) -> None:
    """SAM sees only the text of the template. CloudFormation replaces a version whose description changes."""
    shared = template.document["Globals"]["Function"]
    own = template.document["Resources"][function]["Properties"]
    parameters = set(template.document["Parameters"]) - {"Stage"}  # the stage is the same for the life of a stack
    reaching = {name for key in _REACHES for each in (shared, own) for name in references(each.get(key))} & parameters
    described = set(re.findall(r"\$\{(\w+)\}", own["VersionDescription"]["Fn::Sub"]))

    assert described == reaching


def references(value: Any) -> set[str]:
    """What a part of the template refers to."""
    match value:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::Sub": str(text)}:
            return set(re.findall(r"\$\{(\w+)\}", text))
        case dict():
            return {name for each in value.values() for name in references(each)}
        case list():
            return {name for each in value for name in references(each)}
        case _:
            return set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_description_is_no_longer_than_lambda_takes(function: str) -> None:
    longest = Template.load(CleverTapEndpoint="https://" + "x" * 100, LogLevel="WARNING", RetryMaxSeconds=43200)

    assert len(longest.properties(function)["VersionDescription"]) <= 256


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_version_takes_over_at_once_by_default(template: Template, function: str) -> None:
    assert template.parameters["Rollout"] == "AtOnce"
    assert template.properties(function)["DeploymentPreference"]["Enabled"] == "false"


@pytest.mark.parametrize("rollout", GRADUAL)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_chosen_rollout_is_that_of_both_functions(function: str, rollout: str) -> None:
    preference = Template.load(Rollout=rollout).properties(function)["DeploymentPreference"]

    assert (preference["Enabled"], preference["Type"]) == ("true", rollout)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_rollout_is_rolled_back_by_its_alarms(template: Template, function: str) -> None:
    assert set(template.properties(function)["DeploymentPreference"]["Alarms"]) == ROLLBACK_ALARMS[function]


@pytest.mark.parametrize("name", sorted(set().union(*ROLLBACK_ALARMS.values())))
def test_a_rollback_alarm_rings_within_a_rollout(template: Template, name: str) -> None:
    alarms = {each["AlarmName"]: each for each in template.of_type("AWS::CloudWatch::Alarm").values()}

    assert alarms[name]["Period"] * alarms[name]["EvaluationPeriods"] <= 300  # the shortest rollout


def test_every_rollout_has_its_line_in_the_map(template: Template) -> None:
    assert list(template.document["Mappings"]["Rollouts"]) == ["AtOnce", *GRADUAL]


@pytest.mark.parametrize("chosen", ["None", "PublishedVersions"])
def test_ingest_may_start_from_a_snapshot(chosen: str) -> None:
    assert Template.load(IngestSnapStart=chosen).properties("IngestFunction")["SnapStart"] == {"ApplyOn": chosen}


def test_there_is_no_snapshot_by_default(template: Template) -> None:
    assert template.parameters["IngestSnapStart"] == "None"
    assert "SnapStart" not in template.properties("ForwarderFunction")
