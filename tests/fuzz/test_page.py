"""Over HTTP to the function in this process: no answer that is not on the page, whoever asks and whatever for.

schemathesis makes the requests of `docs/openapi.yaml`: those that it describes and those that it rules out.
"""

from collections.abc import Iterator

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from purchasely_clevertap.delivery.association import parse_association
from purchasely_clevertap.purchasely.event import Event, read
from tests.fuzz.gateway import Gateway, listening
from tests.fuzz.ingest import NOW, SECRETS, Ingest
from tests.fuzz.page import IDENTITY, WEBHOOK, Operation, Request, Signed, cases, check_documented, covering, sent


@pytest.fixture(scope="module")
def gateway(ingest: Ingest) -> Iterator[Gateway]:
    with listening(ingest) as listener:
        yield listener


def comes_through(request: requests.PreparedRequest) -> bool:
    """Whether the gateway hands the body over as it is: what it takes for text has to be UTF-8."""
    try:
        sent(request).decode()
    except UnicodeDecodeError:
        return False
    return True


def deliver(
    case: Request, gateway: Gateway, session: requests.Session, *, secret: str | None
) -> requests.PreparedRequest:
    """Sends a case, as it is or signed with a secret of the app named default, and checks the answer and the queue."""
    gateway.answers.clear()
    response = case.call(gateway.url, session, auth=secret and Signed(secret, int(NOW)))
    check_documented(case, response)
    queued = [message.body for answer in gateway.answers for message in answer.queued]
    assert queued == ([sent(response.request)] if response.status_code == 200 else [])
    if secret is None:
        assert response.status_code in (401, 404)
    elif case.method == "POST" and case.path_parameters == {"app": "default"}:
        assert response.status_code in accepted(case, response.request) or not comes_through(response.request)
    return response.request


def accepted(case: Request, request: requests.PreparedRequest) -> tuple[int, ...]:
    """How a request is answered that is genuine: a webhook with 200 whatever it is, an association if it is one."""
    if case.operation.path == WEBHOOK.path:
        return (200,)
    return (200,) if parse_association(sent(request)) else (400,)


@pytest.mark.parametrize("operation", [WEBHOOK, IDENTITY], ids=lambda operation: operation.path)
def test_each_part_of_the_page_has_its_answer(
    gateway: Gateway, session: requests.Session, operation: Operation
) -> None:
    for case in covering(operation):
        deliver(case, gateway, session, secret=SECRETS["default"][1])


@pytest.mark.parametrize("operation", [WEBHOOK, IDENTITY], ids=lambda operation: operation.path)
@pytest.mark.parametrize("mode", GenerationMode)
def test_every_request_has_an_answer_of_the_page(
    gateway: Gateway, session: requests.Session, mode: GenerationMode, operation: Operation
) -> None:
    @settings(max_examples=60, deadline=None)
    @given(case=cases(operation, mode), secret=st.sampled_from([None, *SECRETS["default"]]))
    def check(case: Request, secret: str | None) -> None:
        deliver(case, gateway, session, secret=secret)

    check()


@settings(max_examples=50, deadline=None)
@given(case=cases(WEBHOOK, GenerationMode.POSITIVE))
def test_every_event_of_the_page_is_readable(gateway: Gateway, session: requests.Session, case: Request) -> None:
    request = deliver(case, gateway, session, secret=None)
    assert isinstance(read(sent(request)), Event)
