"""What tests of every layer share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from local_stack import LocalStack, running, sam

ROOT = Path(__file__).parents[1]

# A machine that is busy with something else is no fault of the code.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches the AWS account that the person who runs it is signed in to."""
    for name, value in sam.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder with the functions and the layer as `sam build` makes them for Lambda."""
    sam.build(ROOT / "build" / "tests")
    return ROOT / ".aws-sam" / "build"


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """A local stack for the tests alone, with an emulated CleverTap of its own."""
    with running(ROOT / "build" / "tests", say=lambda _what: None) as local_stack:
        yield local_stack
