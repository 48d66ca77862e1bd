"""`docs/openapi.yaml`, the requests that schemathesis makes of it, and what it says of their answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from requests.auth import AuthBase
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.fuzz.ingest import SECRETS, signature

SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.yaml")
WEBHOOK = SCHEMA["/webhooks/{app}"]["POST"]
IDENTITY = SCHEMA["/identities/{app}"]["POST"]

type Request = Case[Any]
type Operation = APIOperation[Any, Any, Any, Any]


def covering(operation: Operation) -> Iterator[Request]:
    """Each part of the page once: every key there and not there, each bound kept and broken, other methods."""
    generation = SCHEMA.config.generation_for(operation=operation)
    return SCHEMA.iter_coverage_cases(operation, generation_modes=list(GenerationMode), generation_config=generation)


def cases(operation: Operation, mode: GenerationMode) -> SearchStrategy[Request]:
    """Requests that the page describes or, in the negative mode, rules out; half of them for apps that there may be."""
    return st.sampled_from([None, None, *SECRETS]).flatmap(
        lambda app: operation.as_strategy(generation_mode=mode, path_parameters=None if app is None else {"app": app})
    )


def check_documented(case: Request, response: Response) -> None:
    """The answer stands on the page: its status, and the gateway's message or nothing."""
    case.validate_response(response, checks=[status_code_conformance, not_a_server_error])
    assert response.content == b"" or json.loads(response.content).keys() == {"message"}


def reasons(operation: Operation, status: int) -> list[str]:
    """The reasons that the page has for the function to answer so."""
    response = operation.definition.raw["responses"][str(status)]
    if "$ref" in response:
        response = SCHEMA.raw_schema["components"]["responses"][response["$ref"].rpartition("/")[2]]
    found: list[str] = response["x-reasons"]
    return found


class Signed(AuthBase):
    """Signs what is about to be sent, byte for byte, in place of whatever such headers it has."""

    def __init__(self, secret: str, second: int) -> None:
        self._secret = secret
        self._second = str(second)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-PURCHASELY-TIMESTAMP"] = self._second
        request.headers["X-PURCHASELY-REQUEST-SIGNATURE"] = signature(self._secret, self._second, sent(request))
        return request


def sent(request: requests.PreparedRequest) -> bytes:
    """The body, as it goes over the wire."""
    body = request.body or b""
    assert isinstance(body, str | bytes)
    return body.encode() if isinstance(body, str) else body
