"""What every runtime test has: the packages, an AWS account, an emulated CleverTap, and the functions, warm."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from clevertap_emulator import Emulator
from local_stack import sam
from local_stack.background import free_port
from local_stack.lambda_function import EMULATOR, RUNTIME, LambdaFunction, Package, running
from local_stack.stack import start_aws
from tests.runtime.account import ACCOUNTS, Account

type Starting = Callable[..., AbstractContextManager[LambdaFunction]]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the packages are, and the logs."""
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(scope="session")
def package(built: Path, folder: Path) -> Callable[[str], Package]:
    """What was built of a function, by its logical id."""
    for tool in (EMULATOR, RUNTIME):
        assert tool.exists(), f"{tool} is missing: run `make setup`"
    # Set apart, so that no later `sam build` takes it away.
    apart = shutil.copytree(built, folder / "packages")
    return lambda function: Package.of(apart, function)


@pytest.fixture(scope="session")
def aws(folder: Path) -> Iterator[Account]:
    port = free_port()
    process = start_aws(folder, port)
    try:
        process.require(port, 60)
        yield Account(f"http://127.0.0.1:{port}")
    finally:
        process.stop()


@pytest.fixture(scope="session")
def clevertap() -> Iterator[Emulator]:
    with Emulator(ACCOUNTS) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def nothing_left_over(request: pytest.FixtureRequest) -> None:
    """A test finds the account and CleverTap as if it were the first."""
    if "aws" in request.fixturenames:
        request.getfixturevalue("aws").forget()
    if "clevertap" in request.fixturenames:
        request.getfixturevalue("clevertap").reset()


@pytest.fixture(scope="session")
def starting(package: Callable[[str], Package], folder: Path, aws: Account, clevertap: Emulator) -> Starting:
    """Runs a function as the template configures it, with a timeout in seconds or variables of the test's own."""

    def start(function: str, timeout: int | None = None, **variables: str) -> AbstractContextManager[LambdaFunction]:
        given = aws.environment(function, CleverTapEndpoint=clevertap.url, RetryBaseSeconds=1, RetryMaxSeconds=1)
        return running(package(function), folder, given | variables, timeout=timeout or aws.timeout(function))

    return start


@pytest.fixture(scope="session")
def ingest(starting: Starting) -> Iterator[LambdaFunction]:
    """The ingest function, warm after its first test."""
    with starting("IngestFunction") as function:
        yield function


@pytest.fixture(scope="session")
def forwarder(starting: Starting) -> Iterator[LambdaFunction]:
    """The function that uploads, warm after its first test."""
    with starting("ForwarderFunction") as function:
        yield function


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Any]:
    """The JSON of a file of `events`."""
    return lambda name: json.loads((sam.ROOT / "events" / name).read_text(encoding="utf-8"))
