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


def test_everything_is_tested_and_nothing_is_deployed_unasked() -> None:
    starts = WORKFLOW[True]  # YAML reads `on` so

    assert set(starts) == {"push", "pull_request", "workflow_dispatch"}
    assert "if" not in JOBS["test"]
    assert JOBS["deploy"]["if"] == "github.event_name == 'workflow_dispatch'"
    assert JOBS["deploy"]["needs"] == "test"


def test_it_tests_as_people_do() -> None:
    assert JOBS["test"]["steps"][-1]["run"] == "make test"


def test_it_deploys_the_stages_that_there_are_each_in_its_environment() -> None:
    stages = WORKFLOW[True]["workflow_dispatch"]["inputs"]["stage"]["options"]
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())

    assert stages == [name for name, part in config.items() if isinstance(part, dict) and "deploy" in part]
    assert JOBS["deploy"]["environment"] == "${{ inputs.stage }}"


def test_only_the_job_that_deploys_may_sign_in_to_aws_and_with_no_key() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOBS["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    assert "permissions" not in JOBS["test"]
    assert "secrets." not in TEXT
    assert "aws-access-key-id" not in TEXT


@pytest.mark.parametrize("uses", re.findall(r"uses: (.+)", TEXT))
def test_an_action_is_pinned_to_its_commit_and_says_its_version(uses: str) -> None:
    assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", uses)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends(job: str) -> None:
    assert JOBS[job]["timeout-minutes"] <= 60


def test_what_a_person_chooses_reaches_the_shell_as_a_variable() -> None:
    scripts = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]

    assert scripts
    assert not [script for script in scripts if "${{" in script]
