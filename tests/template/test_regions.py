"""The template in AWS's partitions and in the regions nearest to CleverTap's, as cfn-lint knows them."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from local_stack import sam
from local_stack.sam import ROOT
from local_stack.template import Template
from tests.template.transformed import transformed

REGIONS = (
    *("us-east-1", "eu-west-1", "eu-central-1", "ap-south-1", "ap-southeast-1", "ap-southeast-3", "me-central-1"),
    *("cn-north-1", "us-gov-west-1"),
)


def findings(template: Path, regions: Sequence[str], *options: str) -> list[dict[str, Any]]:
    linter = sam.VENV / "sam" / "bin" / "cfn-lint"
    command = [str(linter), str(template), "--format", "json", *options, "--regions", *regions]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env={**sam.CREDENTIALS})
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_it_is_valid_in_every_region() -> None:
    assert findings(ROOT / "template.yaml", REGIONS) == []


def test_the_budget_is_valid_where_there_are_any() -> None:
    assert findings(ROOT / "budget.yaml", ["us-east-1", "eu-west-1", "cn-north-1"]) == []


@pytest.mark.parametrize(
    "chosen",
    [
        {"Rollout": "Canary10Percent5Minutes"},
        {
            "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/0fd9e1c2-95a8-4c1f-8de9-0242ac120002",
            "Tracing": "Active",
            "IngestSnapStart": "PublishedVersions",
            "IngestReservedConcurrency": 20,
        },
    ],
    ids=lambda chosen: ",".join(chosen),
)
def test_what_cloudformation_gets_is_valid(chosen: dict[str, object], tmp_path: Path) -> None:
    (template,) = transformed([Template.load(**chosen)])
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template.document), encoding="utf-8")

    # SAM puts parameters in, and leaves what it has used.
    assert findings(path, ["eu-west-1"], "--ignore-checks", "W") == []
