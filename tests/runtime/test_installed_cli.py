"""`bridge`, installed from this project into an empty environment, as `uv tool install .` or pipx would."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from local_stack.sam import ROOT, VENV


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed") / "venv"
    uv = str(VENV / "uv" / "bin" / "uv")
    run([uv, "venv", "--quiet", "--python", str(VENV / "dev" / "bin" / "python"), str(folder)])
    run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), str(ROOT)])
    return folder


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=cwd, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_an_installed_bridge_works(environment: Path, tmp_path: Path) -> None:
    bridge = str(environment / "bin" / "bridge")
    settings = tmp_path / "settings.json"
    settings.write_text('{"region": "in1"}', encoding="utf-8")
    assert "setup" in run([bridge, "--help"], tmp_path)
    assert run([bridge, "--version"], tmp_path).strip()
    assert json.loads(run([bridge, "settings", "check", str(settings), "--json"], tmp_path))["valid"]
    assert json.loads(run([bridge, "preview", "TRIAL_STARTED", "--json"], tmp_path))["records"]


def test_it_brings_no_tools_along(environment: Path) -> None:
    (packages,) = (environment / "lib").glob("python*/site-packages")
    (metadata,) = packages.glob("purchasely_clevertap-*.dist-info")
    record = (metadata / "RECORD").read_text(encoding="utf-8").splitlines()
    top = {line.partition("/")[0] for line in record} - {"..", metadata.name}
    assert top == {"bridge_cli", "purchasely_clevertap", "purchasely_sender"}


def test_it_brings_the_credentials_of_aws_login(environment: Path) -> None:
    run([str(environment / "bin" / "python"), "-c", "import awscrt"])
