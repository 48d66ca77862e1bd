"""The backend example of docs/app-side.md, run as it stands there, against ingest's own verification."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest

from purchasely_clevertap.delivery.association import Association, parse_association
from purchasely_clevertap.purchasely.signature import SignatureProblem, Signed, signed

PAGE = (Path(__file__).parents[2] / "docs" / "app-side.md").read_text(encoding="utf-8")
URL = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/identities/default"


class Answer:
    """An answer without a body."""

    def close(self) -> None:
        pass


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    made: list[Request] = []

    def urlopen(request: Request, *, timeout: float) -> Answer:  # noqa: ARG001
        made.append(request)
        return Answer()

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return made


@pytest.fixture
def associate(requests: list[Request]) -> Callable[..., None]:  # noqa: ARG001 - it must not call anybody
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102 - the documentation's own
    example: Callable[..., None] = names["associate"]
    return example


@pytest.mark.parametrize(
    "person", [{"user_id": "user é"}, {"anonymous_user_id": "5D7BB50E-0B44-4CC9-9A7C-25D6C1A4C7FF"}]
)
def test_the_example_is_taken_by_ingest(
    associate: Callable[..., None], requests: list[Request], person: dict[str, str]
) -> None:
    associate(URL, "geheim mit Größe", "__h1", **person)
    [request] = requests
    body = request.data
    assert isinstance(body, bytes)
    signature = signed(dict(request.header_items()), now=time.time(), tolerance=300)
    assert isinstance(signature, Signed)
    assert signature.by(body, ["geheim mit Größe"]) == 0
    assert signature.by(body, ["another"]) is SignatureProblem.WRONG_SIGNATURE
    association = Association("__h1", person.get("user_id"), person.get("anonymous_user_id"))
    assert parse_association(body) == association
    assert (request.full_url, request.get_method()) == (URL, "POST")
