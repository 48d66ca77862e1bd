"""Whatever stands in an app's secret, the function has an answer, and nothing but its texts signs."""

import json
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.ingest import Ingest
from tests.fuzz.stranger import handed_over, signed

_numbers = count(1)

_LISTED = st.lists(
    st.sampled_from(["a-secret", "\ud83d", "é", "", "REPLACE_ME"]) | st.none() | st.integers(), max_size=3
)
_SECRETS = st.one_of(
    st.fixed_dictionaries({"shared_secrets": _LISTED | st.text()}, optional={"more": st.none()}).map(json.dumps),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.sampled_from(["null", "[]", "9" * 5000, '{"shared_secrets": NaN}', '{"shared_secrets": {"a-secret": 1}}']),
)


@settings(max_examples=100, deadline=None)
@given(text=_SECRETS)
def test_only_listed_secrets_sign(ingest: Ingest, text: str) -> None:
    app = f"app-{next(_numbers)}"
    ingest.keep(app, text)
    usable = usable_secrets(text)
    for secret in ("a-secret", "\ud83d", "é", "", "REPLACE_ME"):
        answer = ingest.handle(handed_over(b"{}", signed(b"{}", secret), app=app))
        assert answer.status == (no_secret(text) if not usable else 200 if secret in usable else 401)
        assert len(answer.queued) == (answer.status == 200)


def listed_secrets(text: str) -> list[str] | None:
    """The texts in a secret; None if it is not of the form that it should have."""
    try:
        listed = json.loads(text)["shared_secrets"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    return listed if isinstance(listed, list) and all(isinstance(each, str) for each in listed) else None


def usable_secrets(text: str) -> list[str]:
    """The shared secrets in a secret, without what is pasted around them."""
    trimmed = [each.strip("\ufeff \t\r\n") for each in listed_secrets(text) or ()]
    return [each for each in trimmed if each and each.casefold() != "replace_me"]


def no_secret(text: str) -> int:
    """The answer while there is no shared secret: none was written yet, or something else was."""
    return 503 if listed_secrets(text) is None else 404


def test_brackets_without_end_ended_the_function(ingest: Ingest) -> None:
    ingest.keep("brackets", "[" * 60_000)
    answer = ingest.handle(handed_over(b"{}", signed(b"{}"), app="brackets"))
    assert (answer.status, answer.reason) == (503, "secret_unavailable")
