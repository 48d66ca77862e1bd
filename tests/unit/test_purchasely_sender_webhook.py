"""Signing, and the webhooks that are wrong in one way."""

import hashlib
import hmac
import json
import shlex
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.purchasely import signature
from purchasely_clevertap.purchasely.signature import Signed
from purchasely_sender import SPECIALS, Special, Webhook, sign, signed
from purchasely_sender.webhook import curl, sign_deprecated

NOW = 1_770_000_000
TOLERANCE = 22 * 86_400
SECRET = "a-shared-secret"
every_special = pytest.mark.parametrize("special", SPECIALS.values(), ids=lambda special: special.name)


def is_signed(webhook: Webhook, secret: str = SECRET) -> bool:
    timestamp = webhook.headers["X-PURCHASELY-TIMESTAMP"]
    expected = hmac.new(secret.encode(), timestamp.encode() + webhook.body, hashlib.sha256).hexdigest()
    return webhook.headers["X-PURCHASELY-REQUEST-SIGNATURE"] == expected


def test_it_signs_as_the_vendors_example_does() -> None:
    signature = sign("foobar", "1698322022", b'{"a_random_key":"a_random_value_ad"}')
    assert signature == "f3c2a452e9ea72f41107321aeaf7999f1054148866a710c9b23f9f501785e2a4"


def test_its_deprecated_signature_is_the_vendors() -> None:
    signature = sign_deprecated("foobar", "1580909929")
    assert signature == "ea909b88098b63ef93711cd14542403e5efe1a23c07d94a764bd4db55abba5a6"


@given(st.binary(max_size=200), st.text(max_size=40), st.integers(0, 10**10))
def test_any_body_is_sent_as_it_is_and_signed(body: bytes, secret: str, timestamp: int) -> None:
    webhook = signed(body, secret, timestamp)
    assert webhook.body == body
    assert is_signed(webhook, secret)


def test_a_payload_is_sent_as_compact_utf_8() -> None:
    webhook = signed({"audience": "Étudiants", "n": 1}, SECRET, NOW)
    assert webhook.body == '{"audience":"Étudiants","n":1}'.encode()
    assert is_signed(webhook)
    assert webhook.headers["Content-Type"] == "application/json"


@every_special
def test_a_receiver_believes_all_but_the_401s(special: Special) -> None:
    webhook = special(SECRET, NOW)
    found = signature.signed(webhook.headers, now=NOW, tolerance=TOLERANCE)
    assert (isinstance(found, Signed) and found.by(webhook.body, [SECRET]) == 0) is (special.status != 401)


@every_special
def test_a_special_webhook_is_the_same_again(special: Special) -> None:
    assert special(SECRET, NOW) == special(SECRET, NOW)


def test_a_special_webhook_is_new_for_each_seed() -> None:
    special = SPECIALS["reserved_name"]
    webhooks = (special(SECRET, NOW), special(SECRET, NOW + 1), special(SECRET, NOW, seed=1))
    assert len({json.loads(webhook.body)["event_id"] for webhook in webhooks}) == 3


@every_special
def test_no_special_webhook_shows_the_secret(special: Special) -> None:
    assert SECRET not in repr(special(SECRET, NOW))


def decode_body(name: str) -> bytes:
    return SPECIALS[name](SECRET, NOW).body


def test_old_and_future_timestamps_are_rightly_signed() -> None:
    for name, days in (("old_timestamp", -40), ("future_timestamp", 40)):
        webhook = SPECIALS[name](SECRET, NOW)
        assert is_signed(webhook)
        assert webhook.headers["X-PURCHASELY-TIMESTAMP"] == str(NOW + days * 86_400)


def test_the_deprecated_header_comes_alone() -> None:
    headers = SPECIALS["deprecated_signature"](SECRET, NOW).headers
    assert headers["X-PURCHASELY-SIGNATURE"] == sign_deprecated(SECRET, str(NOW))
    assert "X-PURCHASELY-REQUEST-SIGNATURE" not in headers


def test_useless_bodies_are_useless_in_their_own_way() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(decode_body("not_json"))
    with pytest.raises(UnicodeDecodeError):
        decode_body("not_utf8").decode()
    assert isinstance(json.loads(decode_body("not_an_object")), list)
    assert decode_body("empty_body") == b""
    assert "event_id" not in json.loads(decode_body("no_event_id"))
    assert len(decode_body("too_large")) > 1024 * 1024


def test_what_only_clevertap_refuses_is_a_good_event() -> None:
    assert json.loads(decode_body("reserved_name"))["event_name"] == "App Launched"
    assert json.loads(decode_body("unusable_clevertap_id"))["clevertap_id"] == "not a CleverTap id"
    for name in ("reserved_name", "unusable_clevertap_id"):
        assert json.loads(decode_body(name))["event_created_at_ms"] <= NOW * 1000


def test_version_2_is_nested_and_flatly_different() -> None:
    payload = json.loads(decode_body("version_2"))
    assert payload["api_version"] == 2
    assert payload["properties"]["product"]["plan"]["vendor_id"] == "premium_monthly"
    assert not payload.keys() & {"event_name", "event_id", "environment", "user_id"}


def test_a_curl_command_posts_the_signed_file() -> None:
    webhook = signed(b"{}", SECRET, NOW)
    command = shlex.split(curl("https://example.com/a?b=c&d", webhook, "it's a file.json").replace("\\\n", ""))
    assert command[:5] == ["curl", "-i", "-X", "POST", "https://example.com/a?b=c&d"]
    assert command[-2:] == ["--data-binary", "@it's a file.json"]
    headers = [value for option, value in pairwise(command) if option == "-H"]
    assert headers == [f"{name}: {value}" for name, value in webhook.headers.items()]
    assert SECRET not in " ".join(command)
