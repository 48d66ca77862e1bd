"""The marks of suppressed people."""

from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.delivery.keys import person_of, suppressed_keys
from purchasely_clevertap.delivery.suppression import IdKind, Mark, NamedId, Suppressed, owned
from purchasely_clevertap.telemetry.user_hash import user_hash

KEY = "0fd9e1c2-95a8-11f0-8de9-0242ac120002"
ADA = NamedId("app", IdKind.USER, "ada")
IDS = st.builds(NamedId, st.sampled_from(["app", "app-2"]), st.sampled_from(IdKind), st.text(min_size=1))


@given(IDS)
def test_a_marked_id_is_found_and_no_other(named: NamedId) -> None:
    mark = Mark.of(named, ADA, KEY)
    suppressed = Suppressed(KEY).found([Mark.parse(mark.app, mark.text)])
    assert suppressed.has(named)
    others = (named._replace(app="app-3"), named._replace(id=named.id + "x"))
    kinds = (named._replace(kind=kind) for kind in IdKind if kind is not named.kind)
    assert not any(map(suppressed.has, (*others, *kinds)))


@given(IDS)
def test_the_items_asked_for_hold_the_mark(named: NamedId) -> None:
    key = Mark.of(named, ADA, KEY).key
    assert Suppressed(KEY).keys([named]) == {key}
    assert key in suppressed_keys(named.app)


@given(IDS)
def test_a_mark_is_nobodys_key_and_not_in_the_log(named: NamedId) -> None:
    mark = Mark.of(named, ADA, KEY)
    assert person_of(mark.key) is None
    assert user_hash(named.id, KEY) not in mark.text
    assert mark.text != Mark.of(named, ADA, "another key").text


def test_one_item_has_a_sixteenth_of_the_people() -> None:
    named = [NamedId("app", IdKind.USER, f"user-{number}") for number in range(1600)]
    assert Suppressed(KEY).keys(named) == set(suppressed_keys("app"))


def test_a_person_is_found_by_any_id_and_alone() -> None:
    phone, ben = NamedId("app", IdKind.OBJECT, "__h1"), NamedId("app", IdKind.USER, "ben")
    adas = [Mark.of(ADA, ADA, KEY), Mark.of(phone, ADA, KEY)]
    marks = [*adas, Mark.of(ben, ben, KEY)]
    for named in (ADA, phone):
        assert owned(marks, {named.hash(KEY)}) == adas
    assert owned(marks, {NamedId("app", IdKind.USER, "eve").hash(KEY)}) == []


def test_nobody_is_suppressed_where_there_is_no_mark() -> None:
    assert not Suppressed(KEY).has(ADA)
    assert not Suppressed(KEY).has(None)
