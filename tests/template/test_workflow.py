"""The workflow for GitHub: what it runs, as whom, and by which versions."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from local_stack.sam import ROOT

TEXT = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]


def test_pushes_are_tested_and_never_deployed() -> None:
    starts = WORKFLOW[True]  # YAML reads `on` so

    assert set(starts) == {"push", "pull_request", "workflow_dispatch"}
    assert "if" not in JOBS["test"]
    assert JOBS["deploy"]["if"] == "github.event_name == 'workflow_dispatch'"
    assert JOBS["deploy"]["needs"] == "test"


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
    assert "permissions" not in JOBS["test"]
    assert "secrets." not in TEXT
    assert "aws-access-key-id" not in TEXT


@pytest.mark.parametrize("uses", re.findall(r"uses: (.+)", TEXT))
def test_actions_are_pinned_to_commits(uses: str) -> None:
    assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends(job: str) -> None:
    assert JOBS[job]["timeout-minutes"] <= 60


def test_inputs_reach_the_shell_as_variables() -> None:
    scripts = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]

    assert scripts
    assert not [script for script in scripts if "${{" in script]
