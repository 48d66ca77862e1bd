from collections.abc import Iterator

import pytest
import requests

from tests.fuzz.ingest import Ingest, running


@pytest.fixture(scope="module")
def ingest() -> Iterator[Ingest]:
    with running() as function:
        yield function


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as connections:
        connections.trust_env = False
        yield connections
