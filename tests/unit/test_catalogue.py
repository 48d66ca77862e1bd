"""The catalogue of Purchasely's events."""

import re
from collections import Counter

import pytest

from purchasely_clevertap.purchasely.catalogue import CATALOGUE, EventKind, Group


def test_it_holds_every_published_event_once() -> None:
    assert Counter(kind.group for kind in CATALOGUE.values()) == {
        Group.ENTITLEMENT: 2,
        Group.LIFECYCLE: 33,
        Group.OFFER: 12,
        Group.TRANSACTIONAL: 1,
    }


def test_a_name_leads_to_the_kind_of_that_name() -> None:
    assert all(kind.name == name for name, kind in CATALOGUE.items())


def test_groups_follow_the_documented_order() -> None:
    groups = [kind.group for kind in CATALOGUE.values()]
    assert list(dict.fromkeys(groups)) == list(Group)
    assert groups == sorted(groups, key=list(Group).index)


def test_every_offer_starts_and_then_converts_or_not() -> None:
    assert [name for name, kind in CATALOGUE.items() if kind.group is Group.OFFER] == [
        f"{offer}_{ending}"
        for offer in ("TRIAL", "INTRO_OFFER", "PROMO_CODE", "PROMOTIONAL_OFFER")
        for ending in ("STARTED", "CONVERTED", "NOT_CONVERTED")
    ]


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)
def test_a_meaning_is_one_plain_sentence(kind: EventKind) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", kind.meaning)
    assert len(kind.meaning) <= 100


def test_no_two_events_mean_the_same() -> None:
    assert len({kind.meaning for kind in CATALOGUE.values()}) == len(CATALOGUE)


def test_nobody_can_change_it() -> None:
    with pytest.raises(TypeError):
        CATALOGUE["NEW"] = CATALOGUE["ACTIVATE"]  # type: ignore[index]
