import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.clevertap.limits import (
    CUSTOM_ID,
    OBJECT_ID,
    RESERVED_EVENT_NAMES,
    clip_key,
    clip_text,
    event_name_problem,
    normalized,
    property_key_problem,
)
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import KEYS

PROHIBITED = ["%", ">", "<", "!", "|", "&", ".", ":", ";", "$", "'", '"', "\\"]
WELL_FORMED = st.text(st.characters(exclude_categories=["Cs"]), max_size=700)


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_case_and_spaces_do_not_tell_names_apart(name: str) -> None:
    spaced = "  ".join(letter.swapcase() for letter in name)
    assert normalized(spaced) == normalized(name)


def test_underscores_tell_names_apart() -> None:
    assert normalized("TRIAL_STARTED") != normalized("Trial Started")


@pytest.mark.parametrize("name", RESERVED_EVENT_NAMES)
def test_a_reserved_name_is_refused_in_any_spelling(name: str) -> None:
    for spelling in (name, name.upper(), name.replace(" ", ""), f" {name.lower()} "):
        assert (event_name_problem(spelling) or "").startswith(f'is reserved: "{name}"')


@pytest.mark.parametrize("character", PROHIBITED)
def test_a_prohibited_character_is_refused_and_named(character: str) -> None:
    for problem in (event_name_problem(f"Trial{character}"), property_key_problem(f"pl{character}an")):
        assert (problem or "").startswith(f"has {character} in it")


def test_every_prohibited_character_is_named_once() -> None:
    expected = "has $ . in it; CleverTap prohibits ! \" $ % & ' . : ; < > \\ |"
    assert event_name_problem("a.b$c.d") == property_key_problem("a.b$c.d") == expected


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_a_name_or_key_of_nothing_is_refused(text: str) -> None:
    assert event_name_problem(text) == property_key_problem(text) == "is empty"


def test_a_name_has_at_most_512_characters() -> None:
    assert event_name_problem("é" * 512) is None
    assert event_name_problem("é" * 513) == "has 513 characters, at most 512 are allowed"


def test_a_key_has_at_most_120_characters() -> None:
    assert property_key_problem("é" * 120) is None
    assert property_key_problem("e" * 121) == "has 121 characters, at most 120 are allowed"
    assert property_key_problem("e " * 60 + "e") == "has 121 characters, at most 120 are allowed"


@given(st.text())
def test_a_key_without_problem_keeps_to_every_rule(key: str) -> None:
    keeps = bool(key.strip()) and len(key) <= 120 and not any(character in key for character in PROHIBITED)
    assert (property_key_problem(key) is None) == keeps


def test_every_documented_name_is_taken() -> None:
    assert [name for name in CATALOGUE if event_name_problem(name)] == []
    assert [key for key in KEYS if property_key_problem(key)] == []


def test_a_key_is_cut_to_120_characters() -> None:
    assert clip_key("é" * 121) == "é" * 120
    assert clip_key("plan") == "plan"


@given(WELL_FORMED)
def test_a_text_keeps_the_characters_that_fit(value: str) -> None:
    clipped = clip_text(value)
    assert value.startswith(clipped)
    assert len(clipped.encode()) <= 512
    assert clipped == value or len(value[: len(clipped) + 1].encode()) > 512


@pytest.mark.parametrize("letter", ["a", "é", "€", "🙂"])
def test_a_text_is_cut_between_characters(letter: str) -> None:
    size = len(letter.encode())
    for letters in (512 // size, 512 // size + 1):
        assert clip_text(letter * letters) == letter * (512 // size)
    assert clip_text(letter * 600) == letter * (512 // size)
    assert clip_text("a" + letter * 600) == "a" + letter * (511 // size)


@given(st.text(st.characters(categories=["Cs", "Lu"]), min_size=129, max_size=200))
def test_half_a_character_does_not_fail(value: str) -> None:
    assert len(clip_text(value).encode(errors="surrogatepass")) <= 512


@pytest.mark.parametrize("text", ["a", "A" * 64, "aZ09()!:@$_-", "3F2504E0-4F89-11D3-9A0C-0305E82C3301"])
def test_what_can_be_a_custom_id(text: str) -> None:
    assert CUSTOM_ID.fullmatch(text)
    for prefix in ("__h", "-h", ""):
        assert OBJECT_ID.fullmatch(prefix + text)


@pytest.mark.parametrize("text", ["A" * 65, "a b", "a\n", "é", "a.b", "a/b"])
def test_what_cannot_be_a_custom_id(text: str) -> None:
    assert not CUSTOM_ID.fullmatch(text)
    for prefix in ("__h", "-h", ""):
        assert not OBJECT_ID.fullmatch(prefix + text)


def test_an_id_of_nothing_is_none() -> None:
    assert not CUSTOM_ID.fullmatch("")
    assert not OBJECT_ID.fullmatch("")
