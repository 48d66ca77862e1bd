"""A function starts with its package, the layer and what the runtime has: nothing missing, nothing needless."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from local_stack.lambda_function import RUNTIME, Package, running
from tests.runtime.account import Account

HANDLERS = Path(__file__).parent / "handlers"
FUNCTIONS = ("IngestFunction", "ForwarderFunction")

type Told = Mapping[str, Sequence[str]]


@pytest.fixture(scope="module")
def inside(package: Callable[[str], Package], folder: Path, aws: Account) -> Callable[[str], Told]:
    """What a function tells of itself once it has started."""
    told: dict[str, Told] = {}

    def ask(function: str) -> Told:
        if function not in told:
            with running(
                package(function),
                folder,
                aws.environment(function),
                timeout=30,
                handler="inside.handler",
                before=[HANDLERS],
            ) as started:
                told[function] = started.invoke({})
        return told[function]

    return ask


def test_a_missing_dependency_is_an_error(package: Callable[[str], Package], folder: Path, aws: Account) -> None:
    environment = aws.environment("IngestFunction")
    with running(package("IngestFunction"), folder, environment, timeout=30, layer=False) as function:
        answer = function.invoke({})

    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert answer["errorMessage"] == "Unable to import module 'app': No module named 'purchasely_clevertap'"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_start_compiles_nothing_but_the_handler(
    inside: Callable[[str], Told], package: Callable[[str], Package], function: str
) -> None:
    shipped = package(function)

    assert [
        path
        for path in map(Path, inside(function)["compiled"])
        if path.is_relative_to(shipped.function) or path.is_relative_to(shipped.layer)
    ] == [shipped.function / "app.py"]


def test_ingest_loads_no_more_than_it_needs(inside: Callable[[str], Told], package: Callable[[str], Package]) -> None:
    loaded = _packages(inside("IngestFunction"), package("IngestFunction"))

    assert loaded == {
        *("botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"),  # botocore's own, and not boto3
        "aws_lambda_powertools",
        "orjson",
        "purchasely_clevertap",
        "typing_extensions",  # Powertools' own
    }


def test_the_forwarder_loads_no_more_than_it_needs(
    inside: Callable[[str], Told], package: Callable[[str], Package]
) -> None:
    loaded = _packages(inside("ForwarderFunction"), package("ForwarderFunction"))

    assert loaded == {
        *("botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"),
        "aws_lambda_powertools",
        "orjson",
        "purchasely_clevertap",
        *("annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"),
        *("charset_normalizer", "idna", "requests"),
    }


def test_ingest_loads_nothing_of_the_forwarder(inside: Callable[[str], Told]) -> None:
    needless = ("aws.ledger", "clevertap.client", "delivery.batch", "forwarder", "mapping.mapper", "purchasely.event")

    assert not {f"purchasely_clevertap.{name}" for name in needless} & set(inside("IngestFunction")["modules"])


def test_the_layer_has_what_is_pinned(package: Callable[[str], Package]) -> None:
    found = [path.name for path in package("IngestFunction").layer.iterdir() if path.name != "__pycache__"]
    ships = {name for name in found if not name.endswith(".dist-info")}

    assert len(found) == 2 * len(ships) - 1  # each with what scanners read of it, but for the bridge itself
    assert ships == {
        *("annotated_types", "aws_lambda_powertools", "certifi", "charset_normalizer", "idna", "jmespath", "orjson"),
        *("purchasely_clevertap", "pydantic", "pydantic_core", "requests", "typing_extensions.py"),
        *("typing_inspection", "urllib3"),
    }


def _packages(told: Told, package: Package) -> set[str]:
    """Those of the layer and of the runtime that are loaded, but for the runtime interface and what belongs to it."""
    (site,) = (RUNTIME.parents[1] / "lib").glob("python*/site-packages")
    there = {path.stem for folder in (package.layer, site) for path in folder.iterdir()}
    interface = {"awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"}
    return ({name.partition(".")[0] for name in told["modules"]} & there) - interface
