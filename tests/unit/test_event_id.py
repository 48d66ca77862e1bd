import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from purchasely_clevertap.purchasely.event import read
from purchasely_clevertap.purchasely.event_id import event_id
from tests.unit.samples import EVENT_ID, JSON, PAYLOADS, body, payload

MADE = re.compile(r"sha256-[0-9a-f]{40}").fullmatch
USABLE = st.from_regex(r"[A-Za-z0-9_.:-]{1,64}", fullmatch=True)


def with_id(given: Any) -> bytes:
    return body(payload(event_id=given))


@given(USABLE)
def test_a_usable_event_id_is_kept_as_it_is(given: str) -> None:
    assert event_id(with_id(given)) == given


@pytest.mark.parametrize(
    "given",
    [None, 7, 1.5, True, [], {}, [EVENT_ID], "", " ", "a b", "a#b", "é", "a" * 65, f"{EVENT_ID}\n", "١", "a/b", "\x00"],
)
def test_an_unfit_event_id_is_replaced(given: Any) -> None:
    assert MADE(event_id(with_id(given)))


@pytest.mark.parametrize(
    "given", [b"", b"{", b"null", b"[]", b'"text"', b"7", b"\xff\xfe\x00", b"event_id", b"{}", b"[" * 100_000]
)
def test_a_body_without_an_object_has_an_id_made_of_it(given: bytes) -> None:
    assert MADE(event_id(given))


@given(st.binary(), st.binary())
def test_bodies_without_an_id_differ_by_their_bytes(one: bytes, other: bytes) -> None:
    assert event_id(one) == event_id(bytes(one))
    assert (event_id(one) == event_id(other)) is (one == other)


def test_an_id_within_a_nested_object_does_not_count() -> None:
    legacy = json.dumps({"name": "ACTIVATE", "properties": {"event_id": EVENT_ID}}).encode()
    assert MADE(event_id(legacy))


@given(st.binary() | PAYLOADS.map(body))
def test_every_id_fits_a_key_and_an_attribute(given: bytes) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", event_id(given))


# Pieces of which a body can be put together that one JSON parser takes and another does not.
FRAGMENTS = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "01", "1.", "9" * 30, "9" * 400, "9" * 5000,
    '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\x01"', '"\t"', '"\\x41"', "'a'", "null",
    "true", "[" * 1100 + "]" * 1100, '{"event_id":"inner"}', "{}", "[]", "undefined", '"\u2028"', '"\ufeff"',
]  # fmt: skip
NAMES = [
    "event_id", "event\\u005fid", "name", "event_name", "properties", "user", "api_version", "environment",
    "event_created_at_ms", "x",
]  # fmt: skip
FRAGMENT = st.sampled_from(FRAGMENTS) | JSON.map(json.dumps) | USABLE.map(json.dumps)
SPACE = st.sampled_from(["", " ", "\t\r\n", "\x0b", "\xa0", "\ufeff", "\x00"])
MEMBERS = st.lists(st.builds('"{}":{}'.format, st.sampled_from(NAMES), FRAGMENT), max_size=6)
NEARLY_JSON = st.builds(
    lambda before, members, comma, after: f"{before}{{{','.join(members)}{comma}}}{after}",
    SPACE,
    MEMBERS,
    st.sampled_from(["", "", "", ","]),
    SPACE,
)
ENCODINGS = st.sampled_from(
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"]
)
BODIES = st.builds(lambda text, encoding: text.encode(encoding, "ignore"), NEARLY_JSON, ENCODINGS)


@settings(max_examples=400, deadline=None)
@given(st.binary() | BODIES | PAYLOADS.map(body))
@example(b'{"event_id":"first","event_id":"second"}')
@example(b'{"event_id":"a","x":NaN}')
@example(b'{"event_id":"a","x":1e400}')
@example(b'{"event_id":"a","x":"\\ud800"}')
@example(b'{"event_id":"a\\ud800"}')
@example(b'{"event_id":"a","x":"\xed\xa0\x80"}')
@example(b'{"event_id":"a","x":' + b"9" * 5000 + b"}")
@example(b'{"event_id":"a","x":' + b"[" * 2000 + b"]" * 2000 + b"}")
@example(b'\xef\xbb\xbf{"event_id":"a"}')
@example('{"event_id":"a"}'.encode("utf-16"))
@example('{"event_id":"a"}'.encode("utf-32-be"))
@example(b' \r\n\t{"event_id":"a"} \n')
@example(b'{"event_id":"a"}\x00')
@example(b'{"name":"ACTIVATE","properties":{"event_id":"inner"}}')
@example(b'{"name":"ACTIVATE","event_id":"outer","properties":{"event_id":"inner"}}')
def test_both_functions_name_an_event_alike(given: bytes) -> None:
    assert read(given).event_id == event_id(given)


@given(st.integers(0, 400), st.integers(0, 255))
def test_both_name_a_damaged_body_alike(position: int, byte: int) -> None:
    changed = bytearray(body(payload()))
    changed[position] = byte
    assert read(bytes(changed)).event_id == event_id(bytes(changed))
