"""Which webhooks are about a person who is to be forgotten."""

import json

import pytest

from bridge_cli.subscribers import Ids, is_about, keys_of

ADA = Ids(frozenset({"7"}), frozenset({"a7"}), frozenset({"__habc"}))


@pytest.mark.parametrize(
    ("payload", "about"),
    [
        ({"user_id": "7"}, True),
        ({"user_id": 7}, True),
        ({"anonymous_user_id": "a7"}, True),
        ({"clevertap_id": "__habc"}, True),
        ({"clevertap_id": "__ha7"}, True),
        ({"user_id": "7", "clevertap_id": "another"}, True),
        ({"user_id": "8", "clevertap_id": "__habc"}, False),
        ({"user_id": "8", "anonymous_user_id": "a7"}, False),
        ({"anonymous_user_id": "7"}, False),
        ({"user_id": "a7"}, False),
        ({"user_id": "77"}, False),
        ({"user_id": True}, False),
        ({"user_id": ["7"]}, False),
        ({"device_id": "7"}, False),
        (["7"], False),
        (None, False),
    ],
)
def test_a_webhook_is_about_whom_its_keys_name(payload: object, about: bool) -> None:
    assert is_about(json.dumps(payload).encode(), ADA) is about


@pytest.mark.parametrize(
    ("body", "about"),
    [
        (b'{"user_id": "7", ', True),
        (b'\xff "7"', True),
        (b"[" * 100_000 + b'"7"', True),
        (b'{"user_id": "77", ', False),
        (b"7", False),
        (b"", False),
    ],
)
def test_what_can_not_be_read_is_about_whom_it_quotes(body: bytes, about: bool) -> None:
    assert is_about(body, ADA) is about


def test_a_person_may_stand_under_several_keys() -> None:
    assert keys_of("default", ADA)[:8] == [
        "default#production#user#7",
        "default#production#anonymous#a7",
        "default#production#object#-h__habc",
        "default#production#object#-ha7",
        "default#production#object#__h__habc",
        "default#production#object#__ha7",
        "default#production#object#__habc",
        "default#sandbox#user#7",
    ]
