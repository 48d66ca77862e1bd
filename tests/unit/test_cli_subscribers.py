"""Whom a message is about, also one that can't be read."""

import pytest

from bridge_cli.subscribers import Ids, is_about

ADA = Ids(frozenset({"ada", "customer-4711"}), frozenset({"visitor-0815"}), frozenset({"__hphone-123"}))


@pytest.mark.parametrize(
    "body",
    [
        b'{"user_id": "ada"}',
        b'\xef\xbb\xbf{"user_id": "ada", "price": NaN}',
        b'{"user_id": "ada", "cut',
        b"user_id=customer-4711&x=1",
        b"<user>customer-4711</user>",
        b"customer-4711.",
        b"[visitor-0815",
        b"default#production#user#ada",
        b"default#sandbox#anonymous#visitor-0815",
        b"default#production#object#__hphone-123",
    ],
)
def test_a_message_about_the_person(body: bytes) -> None:
    assert is_about(body, ADA)


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"user_id": "ben", "transferred_from_user_id": "ada"}',
        b'{"user_id": "ben", "clevertap_id": "__hphone-123"}',
        b"user_id=ada",  # too short to be theirs for sure
        b'{"user_id": "adam", "cut',
        b"user_id=customer-47110&x=1",
        b"customer-4711@example.com",
        b"my-customer-4711",
        b"customer-4711.eu",
        b"default#production#user#adam",
        b"default#production#user#visitor-0815",
    ],
)
def test_a_message_about_somebody_else(body: bytes) -> None:
    assert not is_about(body, ADA)
