"""The workflow for GitHub: what it runs, as whom, and by which versions."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from local_stack.sam import ROOT
from local_stack.template import Template

TEXT = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]


def test_pushes_are_tested_and_never_deployed() -> None:
    starts = WORKFLOW[True]  # YAML reads `on` so

    assert set(starts) == {"push", "pull_request", "workflow_dispatch"}
    assert "if" not in JOBS["test"]
    for job, before in (("build", "test"), ("deploy", "build")):
        # Other branches have no review, and GitHub's environments are to be limited to main as well.
        assert JOBS[job]["if"] == "github.event_name == 'workflow_dispatch' && github.ref == 'refs/heads/main'"
        assert JOBS[job]["needs"] == before


def test_it_tests_as_people_do() -> None:
    assert JOBS["test"]["steps"][-1]["run"] == "make test"


def test_each_stage_deploys_in_its_environment() -> None:
    stages = WORKFLOW[True]["workflow_dispatch"]["inputs"]["stage"]["options"]
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())

    assert stages == [name for name, part in config.items() if isinstance(part, dict) and "deploy" in part]
    assert JOBS["deploy"]["environment"] == "${{ inputs.stage }}"


def test_only_deploy_signs_in_and_without_a_key() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOBS["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    assert not [job for job in ("test", "build") if "permissions" in JOBS[job] or "environment" in JOBS[job]]
    assert "secrets." not in TEXT
    assert "aws-access-key-id" not in TEXT


def test_what_signs_in_builds_nothing() -> None:
    scripts = "\n".join(step.get("run", "") for step in JOBS["deploy"]["steps"])

    assert "make build" not in scripts
    assert "sam build" not in scripts
    assert re.search(r"sha256sum --check", scripts)
    assert JOBS["build"]["steps"][-1]["with"]["name"] == "build"
    (download,) = (step for step in JOBS["deploy"]["steps"] if "download-artifact" in step.get("uses", ""))
    assert download["with"]["name"] == "build"
    order = [step.get("uses", "").partition("@")[0] for step in JOBS["deploy"]["steps"]]
    assert order.index("aws-actions/configure-aws-credentials") == len(order) - 2  # all else is done before


def test_what_it_deploys_is_protected_as_by_hand() -> None:
    deployed = JOBS["deploy"]["steps"][-1]["run"].splitlines()

    assert [line.split()[:2] for line in deployed] == [[".venv/sam/bin/sam", "deploy"], ["make", "protect"]]


def test_it_outlasts_the_slowest_rollout_and_its_rollback() -> None:
    rollouts = Template.load().document["Parameters"]["Rollout"]["AllowedValues"]
    linear = [10 * int(each) for each in re.findall(r"Linear10PercentEvery(\d+)Minute", " ".join(rollouts))]
    canary = [int(each) for each in re.findall(r"Canary10Percent(\d+)Minutes", " ".join(rollouts))]
    slowest = max(linear + canary)
    deploy = JOBS["deploy"]
    (session,) = (
        step["with"]["role-duration-seconds"] for step in deploy["steps"] if "configure-aws" in step.get("uses", "")
    )
    waits = int(re.findall(r"--max-wait-duration (\d+)", deploy["steps"][-1]["run"])[0])

    # Both functions are shifted at the same time; CloudFormation may go back as slowly, and makes the rest in minutes.
    assert len(linear + canary) == len(rollouts) - 1
    assert 2 * slowest + 20 <= waits < deploy["timeout-minutes"] <= session / 60


@pytest.mark.parametrize("uses", re.findall(r"uses: (.+)", TEXT))
def test_actions_are_pinned_to_commits(uses: str) -> None:
    assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses)


@pytest.mark.parametrize(("job", "most"), [("test", 60), ("build", 60), ("deploy", 240)])
def test_a_job_ends(job: str, most: int) -> None:
    assert JOBS[job]["timeout-minutes"] <= most


def test_newer_versions_are_looked_for() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    looked_at = {(each["package-ecosystem"], each["directory"]) for each in updates}

    assert looked_at == {("github-actions", "/"), ("pip", "/layers/bridge"), ("uv", "/tools/requirements")}
    for ecosystem, directory in looked_at - {("github-actions", "/")}:
        assert list((ROOT / directory.lstrip("/")).glob("*.txt")), ecosystem


def test_inputs_reach_the_shell_as_variables() -> None:
    scripts = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]

    assert scripts
    assert not [script for script in scripts if "${{" in script]
