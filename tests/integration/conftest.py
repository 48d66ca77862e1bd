"""What every integration test has: AWS by moto, a CleverTap that follows a script, a clock that stands still."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend
from requests.adapters import HTTPAdapter

from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cli import Cli
from tests.integration.cloud import Clock, Cloud, Worker
from tests.integration.installation import Installation, installed
from tests.integration.statements import executed


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would reach another host fails, whatever the code under test makes of the error."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ip_address(address[0]).is_loopback:
            pytest.fail(f"a connection to {address}")
        connect(self, address)

    def checked_look_up(host: Any, *args: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "::1", "localhost"):
            pytest.fail(f"a look-up of {host}")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    monkeypatch.setattr(socket, "getaddrinfo", checked_look_up)


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS's clients think they are."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.fixture(autouse=True, scope="session")
def statements() -> Iterator[None]:
    """moto takes PartiQL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamoDBBackend, "batch_execute_statement", lambda _self, given: executed(given))
        yield


@pytest.fixture
def aws(region: None) -> Iterator[None]:  # noqa: ARG001 - it must be there first
    """An empty AWS account in this process."""
    send = HTTPAdapter.send
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        # moto listens to requests too, which AWS's clients do not use, and reads the bodies that CleverTap's client is
        # to know whether they were handed over.
        patch.setattr(HTTPAdapter, "send", send)
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud(aws: None, clock: Clock) -> Cloud:  # noqa: ARG001 - it must be there first
    """The stack's queues, tables, secrets and settings, with the app named default set up."""
    return Cloud(clock)


@pytest.fixture
def clevertap() -> ScriptedClevertap:
    return ScriptedClevertap()


@pytest.fixture
def worker(cloud: Cloud, clevertap: ScriptedClevertap) -> Worker:
    """A forwarder that uploads to the CleverTap that follows a script."""
    return cloud.worker(clevertap)


@pytest.fixture
def cli(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The operator's commands, on the same stack."""
    return Cli(cloud, monkeypatch)


@pytest.fixture
def bridge(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """The same as it is installed, with its app set up."""
    with installed(cloud, monkeypatch) as installation:
        installation.set_up()
        yield installation
