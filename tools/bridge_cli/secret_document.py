"""The documents in the two secrets of an app: what is wrong with them, and what they become. Pure.

Keys that nobody here knows are kept. No message quotes a value.
"""

from collections.abc import Mapping
from typing import Any, Final

from purchasely_clevertap.aws.credentials import project_keys
from purchasely_clevertap.aws.secrets import is_placeholder
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.padding import unpadded

type Document = Mapping[str, Any]

SHARED_SECRETS: Final = "shared_secrets"
MOST_CHARACTERS: Final = 1000


def value_problem(value: str) -> str | None:
    """Why `value` can be no project id, passcode or shared secret, as the end of a sentence; None if it can."""
    if not value:
        return "is empty"
    if is_placeholder(value):
        return "is the placeholder"
    if not (value.isascii() and value.isprintable()):
        return "has characters that no secret has: control characters, or letters outside of ASCII"
    if " " in value:
        return "has a space in it"
    return f"has more than {MOST_CHARACTERS} characters" if len(value) > MOST_CHARACTERS else None


def shared_secrets(document: Document) -> tuple[str, ...]:
    """The secrets that ingest accepts, the current one first; none while there is but the placeholder."""
    listed = document.get(SHARED_SECRETS)
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        return ()
    return tuple(dict.fromkeys(unpadded(each) for each in listed if unpadded(each) and not is_placeholder(each)))


def with_shared_secret(document: Document, secret: str) -> Document:
    """`secret` is the current one; those that were accepted so far still are, behind it."""
    return {**document, SHARED_SECRETS: list(dict.fromkeys((secret, *shared_secrets(document))))}


def with_current_only(document: Document) -> Document:
    """Only the current shared secret is accepted."""
    return {**document, SHARED_SECRETS: list(shared_secrets(document)[:1])}


def account_keys(document: Document, account: Environment) -> tuple[str, str] | None:
    """Project id and passcode of `account`; None while there are none, or placeholders."""
    return project_keys(document.get(account))


def with_account(document: Document, account: Environment, account_id: str, passcode: str) -> Document:
    """`account` has these keys; the other account keeps its own."""
    former = document.get(account)
    kept = former if isinstance(former, Mapping) else {}
    return {**document, account.value: {**kept, "account_id": account_id, "passcode": passcode}}
