import hashlib
import hmac
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.purchasely import signature
from purchasely_clevertap.purchasely.signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SignatureProblem,
    Signed,
    sign,
    signed,
)

# Purchasely's own example: docs.purchasely.com, webhook.
SECRET = "foobar"
TIMESTAMP = "1698322022"
BODY = b'{"a_random_key":"a_random_value_ad"}'
SIGNATURE = "f3c2a452e9ea72f41107321aeaf7999f1054148866a710c9b23f9f501785e2a4"
NOW = float(TIMESTAMP)
TOLERANCE = 22 * 86_400.0

HEADERS = {SIGNATURE_HEADER: SIGNATURE, TIMESTAMP_HEADER: TIMESTAMP}


def verdict(headers: dict[str, str], body: bytes = BODY, *secrets: str, now: float = NOW) -> int | SignatureProblem:
    found = signed(headers, now=now, tolerance=TOLERANCE)
    return found if isinstance(found, SignatureProblem) else found.by(body, secrets or (SECRET,))


def headers_for(body: bytes, timestamp: str = TIMESTAMP, secret: str = SECRET) -> dict[str, str]:
    return {SIGNATURE_HEADER: sign(secret, timestamp, body), TIMESTAMP_HEADER: timestamp}


def test_the_example_of_the_documentation_holds() -> None:
    assert sign(SECRET, TIMESTAMP, BODY) == SIGNATURE
    assert verdict(HEADERS) == 0


def test_the_header_names_are_the_documented_ones() -> None:
    assert SIGNATURE_HEADER.upper() == "X-PURCHASELY-REQUEST-SIGNATURE"
    assert TIMESTAMP_HEADER.upper() == "X-PURCHASELY-TIMESTAMP"


def test_the_deprecated_signature_is_refused() -> None:
    old = "ea909b88098b63ef93711cd14542403e5efe1a23c07d94a764bd4db55abba5a6"
    timestamp = "1580909929"
    assert hmac.new(SECRET.encode(), f"{SECRET}{timestamp}".encode(), hashlib.sha256).hexdigest() == old
    headers = {"X-PURCHASELY-SIGNATURE": old, "X-PURCHASELY-TIMESTAMP": timestamp}
    assert verdict(headers, now=float(timestamp)) is SignatureProblem.MISSING_SIGNATURE
    assert verdict(headers | {SIGNATURE_HEADER: old}, now=float(timestamp)) is SignatureProblem.WRONG_SIGNATURE


@given(st.lists(st.booleans(), min_size=60, max_size=60))
def test_header_names_are_compared_without_case(upper: list[bool]) -> None:
    flips = iter(upper)
    headers = {
        "".join(letter.upper() if next(flips) else letter for letter in name): value for name, value in HEADERS.items()
    }
    assert verdict(headers) == 0


@given(st.binary(), st.integers(0, 999_999_999_999), st.text(min_size=1))
def test_whatever_was_signed_is_believed(body: bytes, timestamp: int, secret: str) -> None:
    assert verdict(headers_for(body, str(timestamp), secret), body, secret, now=float(timestamp)) == 0


@given(st.binary(), st.integers(min_value=0), st.integers(1, 255))
def test_a_body_with_any_one_byte_changed_is_refused(body: bytes, position: int, change: int) -> None:
    at = position % (len(body) + 1)
    changed = body[:at] + bytes([(body[at] if at < len(body) else 0) ^ change]) + body[at + 1 :]
    assert verdict(headers_for(body), changed) is SignatureProblem.WRONG_SIGNATURE


def test_a_body_cut_or_lengthened_is_refused() -> None:
    for body in (BODY[:-1], BODY + b" ", b"", b"\n" + BODY):
        assert verdict(HEADERS, body) is SignatureProblem.WRONG_SIGNATURE


def test_a_signature_of_another_time_is_refused() -> None:
    assert verdict(HEADERS | {TIMESTAMP_HEADER: "1698322023"}) is SignatureProblem.WRONG_SIGNATURE


@pytest.mark.parametrize("position", [0, 1, 2])
def test_each_of_several_secrets_is_accepted(position: int) -> None:
    secrets = ["next", "other", "former"]
    secrets[position] = SECRET
    assert verdict(HEADERS, BODY, *secrets) == position


def test_a_secret_that_is_not_listed_is_refused() -> None:
    assert verdict(HEADERS, BODY, "next", "former") is SignatureProblem.WRONG_SIGNATURE


def test_without_any_secret_nothing_is_believed() -> None:
    assert Signed(SIGNATURE, TIMESTAMP).by(BODY, []) is SignatureProblem.WRONG_SIGNATURE


def test_every_secret_is_tried_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def compare(one: Any, other: Any) -> bool:
        compared.append(len(one))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(signature, "hmac", type("Hmac", (), {"compare_digest": compare, "digest": hmac.digest}))
    assert verdict(HEADERS, BODY, SECRET, "second", "third") == 0
    assert compared == [64, 64, 64]


@pytest.mark.parametrize("name", [SIGNATURE_HEADER, TIMESTAMP_HEADER])
@pytest.mark.parametrize("empty", [True, False])
def test_a_request_without_its_headers_is_refused(name: str, *, empty: bool) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name} | ({name: ""} if empty else {})
    missing = SignatureProblem.MISSING_SIGNATURE if name == SIGNATURE_HEADER else SignatureProblem.MISSING_TIMESTAMP
    assert verdict(headers) is missing


@pytest.mark.parametrize("passed", [TOLERANCE, -300])
def test_a_timestamp_is_days_old_or_minutes_ahead(passed: float) -> None:
    assert verdict(HEADERS, now=NOW + passed) == 0
    beyond = passed + math.copysign(0.001, passed)
    assert verdict(HEADERS, now=NOW + beyond) is SignatureProblem.TIMESTAMP_OUTSIDE_TOLERANCE


@pytest.mark.parametrize("given_signature", ["0" * 63, "0" * 65, "G" * 64, "F" * 64, "0" * 63 + "\u0660"])
def test_a_signature_of_another_form_needs_no_secret(given_signature: str) -> None:
    headers = HEADERS | {SIGNATURE_HEADER: given_signature}
    assert signed(headers, now=NOW, tolerance=TOLERANCE) is SignatureProblem.WRONG_SIGNATURE


@pytest.mark.parametrize(
    "timestamp",
    [
        *("١٦٩٨٣٢٢٠٢٢", "²", "1e9", " 1698322022", "1698322022 ", "1698322022\n", "+1698322022", "-1", "1698322022.0"),
        *("1_698_322_022", "0x653a4d66", "1" * 14, "9" * 5000, "now", "1,698", "\x00", "1698322022\ud800"),
    ],
    ids=ascii,
)
def test_only_digits_are_a_timestamp(timestamp: str) -> None:
    signature = hmac.new(SECRET.encode(), timestamp.encode(errors="surrogatepass") + BODY, hashlib.sha256).hexdigest()
    assert verdict({SIGNATURE_HEADER: signature, TIMESTAMP_HEADER: timestamp}) is SignatureProblem.BAD_TIMESTAMP


HEADER_VALUES = st.text(st.characters(exclude_categories=[]), max_size=80)


@given(HEADER_VALUES, HEADER_VALUES | st.just(TIMESTAMP))
def test_any_header_values_are_refused_quietly(given: str, timestamp: str) -> None:
    assert verdict({SIGNATURE_HEADER: given, TIMESTAMP_HEADER: timestamp}) is not None


@pytest.mark.parametrize(
    "given",
    [SIGNATURE[:-1], f"{SIGNATURE}0", f" {SIGNATURE}", SIGNATURE.upper(), SIGNATURE.replace("3", "٣"), "\ud800" * 64],
    ids=["cut", "longer", "space", "upper case", "other digits", "half characters"],
)
def test_a_signature_of_another_form_is_refused(given: str) -> None:
    assert verdict(HEADERS | {SIGNATURE_HEADER: given}) is SignatureProblem.WRONG_SIGNATURE
