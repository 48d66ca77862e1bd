"""What `sam build` makes of the layer and the functions, and the versions that go into it."""

import re
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest

from local_stack.sam import ROOT

LAYER_REQUIREMENTS = ROOT / "layers" / "bridge" / "requirements.txt"
TOOLS = sorted((ROOT / "tools" / "requirements").glob("*.txt"))
UNCHECKED_HASH = 0b01  # the flags of a compiled file, PEP 552


@pytest.fixture(scope="session")
def layer(built: Path) -> Path:
    return built / "BridgeLayer" / "python"


def test_what_is_compiled_is_there_for_both_processors(layer: Path) -> None:
    compiled = sorted(path.relative_to(layer) for path in layer.rglob("*.so"))
    modules = {path.with_name(path.name.split(".")[0]) for path in compiled}

    assert {str(module) for module in modules} >= {"orjson/orjson", "pydantic_core/_pydantic_core"}
    assert compiled == sorted(
        module.with_name(f"{module.name}.cpython-313-{machine}-linux-gnu.so")
        for module in modules
        for machine in ("x86_64", "aarch64")
    )


def test_modules_are_compiled_without_date_checks(layer: Path) -> None:
    sources = {path.relative_to(layer) for path in layer.rglob("*.py")}
    compiled = {path.parent.parent.relative_to(layer) / f"{path.name.split('.')[0]}.py" for path in _compiled(layer)}

    assert Path("purchasely_clevertap/mapping/settings.py") in sources
    assert sources == compiled
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in _compiled(layer)} == {UNCHECKED_HASH}


def test_the_layer_holds_only_what_is_needed(layer: Path) -> None:
    holds = {path.name for path in layer.iterdir()} - {"__pycache__"}

    assert holds >= {"orjson", "purchasely_clevertap", "pydantic", "requests"}
    assert not holds & {"bin", "boto3", "botocore", "pip", "tests"}


def test_scanners_find_every_package_and_its_licence(layer: Path) -> None:
    told = {}
    for folder in layer.glob("*.dist-info"):
        metadata = message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
        told[f"{re.sub(r'[._]', '-', metadata['Name']).lower()}=={metadata['Version']}"] = folder
    assert set(told) == pins(LAYER_REQUIREMENTS)
    for folder in told.values():
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert [path for path in files if re.match("licen[cs]e|copying|notice", path.name, re.IGNORECASE)], folder
        assert not [path for path in files if path.name in ("RECORD", "WHEEL", "entry_points.txt")]


@pytest.mark.parametrize("function", ["IngestFunction", "ForwarderFunction", "SweepFunction"])
def test_a_function_is_its_own_code_alone(built: Path, function: str) -> None:
    assert sorted(path.name for path in (built / function).iterdir()) == ["app.py", "requirements.txt"]


def pins(requirements: Path) -> set[str]:
    return set(re.findall(r"^[\w.-]+==\S+", requirements.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("requirements", [LAYER_REQUIREMENTS, *TOOLS], ids=lambda path: path.stem)
def test_every_version_is_exact_and_has_its_hashes(requirements: Path) -> None:
    text = requirements.read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+", line)] == []


def test_tests_run_with_the_versions_of_the_layer() -> None:
    assert pins(LAYER_REQUIREMENTS) <= pins(ROOT / "tools" / "requirements" / "dev.txt")


def test_the_runtime_hides_no_gap_in_the_layer() -> None:
    runtime = {pin.partition("==")[0] for pin in pins(ROOT / "tools" / "requirements" / "runtime.txt")}
    assert not runtime & {"orjson", "pydantic", "requests", "typing-extensions"}


def _compiled(layer: Path) -> Iterator[Path]:
    return layer.rglob("*.pyc")
