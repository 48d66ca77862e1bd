"""How a new version of the functions takes over."""

import pytest

from local_stack.template import Template

FUNCTIONS = ("IngestFunction", "ForwarderFunction")
ROLLBACK_ALARMS = {
    "IngestFunction": {"IngestErrorsAlarm", "Webhook5xxAlarm"},
    "ForwarderFunction": {"ForwarderErrorsAlarm"},
}
GRADUAL = [name for name in Template.load().document["Parameters"]["Rollout"]["AllowedValues"] if name != "AtOnce"]


def test_functions_run_as_their_newest_version(template: Template) -> None:
    assert template.document["Globals"]["Function"]["AutoPublishAlias"] == "live"


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
    alarms = template.of_type("AWS::CloudWatch::Alarm")

    assert alarms[name]["Period"] * alarms[name]["EvaluationPeriods"] <= 300  # the shortest rollout


def test_every_rollout_has_its_line_in_the_map(template: Template) -> None:
    assert list(template.document["Mappings"]["Rollouts"]) == ["AtOnce", *GRADUAL]


@pytest.mark.parametrize("chosen", ["None", "PublishedVersions"])
def test_ingest_may_start_from_a_snapshot(chosen: str) -> None:
    assert Template.load(IngestSnapStart=chosen).properties("IngestFunction")["SnapStart"] == {"ApplyOn": chosen}


def test_there_is_no_snapshot_by_default(template: Template) -> None:
    assert template.parameters["IngestSnapStart"] == "None"
    assert "SnapStart" not in template.properties("ForwarderFunction")
