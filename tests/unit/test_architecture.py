"""Which module may know which: the middle is pure, no arrow runs up, there is no circle."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "layers" / "bridge" / "purchasely_clevertap"
NAME = PACKAGE.name
TOOLS = Path(__file__).parents[2] / "tools"
PACKAGED = (PACKAGE, TOOLS / "bridge_cli", TOOLS / "purchasely_sender")
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in PACKAGE.rglob("*.py")
}
IMPURE = {"botocore", "boto3", "requests", "urllib3", "time", "random", "os", "socket"}

# From the bottom: a part may import what stands before it.
LAYERS = [
    "padding",
    "sized_cache",
    "outcome",
    "startup",
    "purchasely",
    "clevertap",
    "mapping",
    "delivery",
    "aws",
    "telemetry",
]
USE_CASES = {"ingest", "forwarder", "uploader", "sweep", "aws.build"}


def imports(module: str) -> set[str]:
    """What a module imports: those of the package without its name, others by their first word."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module.removeprefix(f"{NAME}.")
            if node.module == NAME or inside != node.module:
                found |= {
                    f"{inside}.{alias.name}" if f"{inside}.{alias.name}" in MODULES else inside for alias in node.names
                }
            else:
                found.add(node.module.partition(".")[0])
    return {name.removesuffix(".__init__") for name in found}


def part(module: str) -> str:
    return module.partition(".")[0]


def reached(module: str) -> set[str]:
    """All that loading a module loads."""
    seen: set[str] = set()
    ahead = [module]
    while ahead:
        for name in imports(ahead.pop()) - seen:
            seen.add(name)
            if name in MODULES:
                ahead.append(name)
    return seen


@pytest.mark.parametrize("module", [name for name in MODULES if part(name) in ("mapping", "delivery")])
def test_the_middle_is_pure(module: str) -> None:
    loaded = reached(module)
    assert loaded & IMPURE == set()
    assert {name for name in loaded if part(name) in ("aws", "telemetry") and name in MODULES} == set()


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name not in USE_CASES and not name.endswith("__init__")]
)
def test_no_arrow_runs_up(module: str) -> None:
    allowed = LAYERS[: LAYERS.index(part(module)) + 1]
    inside = {name for name in imports(module) if name in MODULES}
    assert {name for name in inside if part(name) not in allowed} == set()


@pytest.mark.parametrize("module", MODULES)
def test_there_is_no_circle(module: str) -> None:
    assert module not in reached(module)


def test_each_class_name_stands_once() -> None:
    names: dict[str, Path] = {}
    packaged = [path for package in PACKAGED for path in sorted(package.rglob("*.py"))]
    for path in packaged:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                assert node.name not in names, f"{node.name} in {path} and {names[node.name]}"
                names[node.name] = path
