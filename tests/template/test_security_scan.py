"""What checkov has against the template, and what we have to say to it."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from local_stack import sam
from local_stack.sam import ROOT

CHECKOV = sam.VENV / "scan" / "bin" / "checkov"
TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
EXCEPTION = re.compile(r" *# checkov:skip=(CKV\w+):(.*)")


def exceptions() -> dict[tuple[str, str], str]:
    """The argument of each, by the resource in which it stands and the check."""
    found: dict[tuple[str, str], str] = {}
    resource = ""
    for line in TEMPLATE.splitlines():
        if begun := re.fullmatch(r"  (\w+):", line):
            resource = begun[1]
        elif exception := EXCEPTION.fullmatch(line):
            found[resource, exception[1]] = exception[2]
    return found


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """The checks that fail when no exception is made, each with its resource."""
    assert CHECKOV.exists(), "checkov is missing: run `make setup`"
    bare = tmp_path_factory.mktemp("scan") / "template.yaml"
    lines = [line for line in TEMPLATE.splitlines() if not EXCEPTION.fullmatch(line)]
    bare.write_text("\n".join(lines), encoding="utf-8")
    return {(check["resource"].rpartition(".")[2], check["check_id"]) for check in scanned(bare)}


def scanned(template: Path) -> list[dict[str, str]]:
    options = ("--framework", "cloudformation", "--output", "json", "--compact", "--quiet", "--skip-download")
    command = [str(CHECKOV), "--file", str(template), *options]
    output = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout
    found: list[dict[str, str]] = json.loads(output)["results"]["failed_checks"]
    return found


def test_findings_are_exactly_the_exceptions(failed: set[tuple[str, str]]) -> None:
    assert failed == set(exceptions())
