"""A person in the log: the same letters for the same person, for whoever has the key."""

import hashlib
import hmac
import re

from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.telemetry.user_hash import user_hash

KEYS = st.text(min_size=1, max_size=40)
PEOPLE = st.text(max_size=60)


@given(PEOPLE, KEYS)
def test_it_is_the_beginning_of_an_hmac(person: str, key: str) -> None:
    expected = hmac.new(key.encode("utf-8"), person.encode("utf-8"), hashlib.sha256).hexdigest()
    assert user_hash(person, key) == expected[:16]
    assert re.fullmatch("[0-9a-f]{16}", user_hash(person, key))


@given(st.lists(PEOPLE, min_size=2, max_size=20, unique=True))
def test_two_people_are_two(people: list[str]) -> None:
    assert len({user_hash(person, "key") for person in people}) == len(people)


def test_another_stack_hashes_otherwise() -> None:
    assert user_hash("user-1", "one stack") != user_hash("user-1", "another stack")


def test_what_is_no_text_has_letters_too() -> None:
    """JSON may name half of a surrogate pair."""
    assert re.fullmatch("[0-9a-f]{16}", user_hash("\ud800", "key"))
