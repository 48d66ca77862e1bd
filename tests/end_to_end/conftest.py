"""One local stack for all of these tests, and an app of its own for each: a new app needs no deployment."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count

import pytest

from local_stack import PRODUCTION, SANDBOX, LocalStack, Options, running
from purchasely_sender import LIFECYCLES, Payload, Sender
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap

type Story = Callable[[str], tuple[Payload, ...]]

# As few forwarders as there can be: on a small machine each further one only takes time to start.
OPTIONS = Options(max_concurrency=2)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack that no other run of tests uses, with an emulated CleverTap of its own."""
    with running(tmp_path_factory.mktemp("stack"), OPTIONS, say=lambda _what: None) as local_stack:
        yield local_stack


@pytest.fixture(scope="session")
def sender() -> Iterator[Sender]:
    with Sender() as connected:
        yield connected


@pytest.fixture
def clevertap(stack: LocalStack) -> Iterator[CleverTap]:
    """The stack's CleverTap, mended again after the test."""
    emulated = CleverTap(stack.clevertap_url)
    yield emulated
    emulated.mend()


@pytest.fixture(scope="session")
def default(stack: LocalStack, sender: Sender) -> App:
    """The app that the stack is deployed with."""
    return App(stack, sender)


@pytest.fixture
def app(stack: LocalStack, sender: Sender) -> App:
    """An app that is new with this test: its secrets are put, and nothing else is done for it."""
    number = next(_numbers)
    new = App(stack, sender, f"app-{number}", f"secret-of-app-{number}")
    new.put_secret("purchasely", {"shared_secrets": [new.secret]})
    new.put_secret("clevertap", {"production": asdict(PRODUCTION), "sandbox": asdict(SANDBOX)})
    return new


@pytest.fixture(scope="session")
def story() -> Story:
    """The events of a lifecycle that ends now; each call tells of other users."""

    def tell(name: str) -> tuple[Payload, ...]:
        return LIFECYCLES[name].ending(next(_numbers), datetime.now(UTC)).events

    return tell


_numbers = count(1)
