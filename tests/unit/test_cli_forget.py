"""Which webhooks are about a person who is to be forgotten."""

import json

import pytest

from bridge_cli.commands.forget import is_about
from bridge_cli.subscribers import keys_of

KEYS = ("user_id", "clevertap_id")


@pytest.mark.parametrize(
    ("payload", "about"),
    [
        ({"user_id": "7"}, True),
        ({"user_id": 7}, True),
        ({"clevertap_id": "__habc", "user_id": "8"}, True),
        ({"clevertap_id": "abc"}, True),
        ({"user_id": "77"}, False),
        ({"user_id": True}, False),
        ({"user_id": ["7"]}, False),
        ({"device_id": "7"}, False),
        (["7"], False),
        (None, False),
    ],
)
def test_a_webhook_is_about_whom_its_keys_name(payload: object, about: bool) -> None:
    assert is_about(json.dumps(payload).encode(), {"7", "__habc"}, KEYS) is about


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
    assert is_about(body, {"7"}, KEYS) is about


def test_a_person_may_stand_under_several_keys() -> None:
    assert keys_of("default", ["7"]) == [
        "default#production#user#7",
        "default#production#anonymous#7",
        "default#production#object#7",
        "default#production#object#__h7",
        "default#production#object#-h7",
        "default#sandbox#user#7",
        "default#sandbox#anonymous#7",
        "default#sandbox#object#7",
        "default#sandbox#object#__h7",
        "default#sandbox#object#-h7",
    ]
