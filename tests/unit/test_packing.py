"""Profile states as the subscribers table keeps them: packed, readable for ever, and readable as they were before."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.aws.packing import packed, stored_state, unpacked
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.purchasely.event import Event, read
from purchasely_sender import LIFECYCLES, encode
from tests.unit.samples import MOMENT, event

# Written by the first release that packs. Never to be made anew: tables are full of these.
FIRST = (
    "1tdXNDYAgDAbQXbxDWoggDuAm3BzAi7tL+QlKUIyRMwlNv/LKlZT28QOgkIUuao8h5dLBWCpbSW6YBfJxakf6gA2DtrK5DC9yCw/"
    "35I998bfQTr3xZzf3d6+Wx4Lc358n9ifKd9IAZZx4bD6pQ+C6JzulpUDlqLtlUQGojEEZjpsQtRgN7Q0Pcj8A"
)


def states() -> list[ProfileState]:
    """The last state of each lifecycle."""
    found: list[ProfileState] = []
    for scenario in LIFECYCLES.values():
        told = [read(encode(each)) for each in scenario.ending(1, datetime.now(UTC)).events]
        state = ProfileState().apply([each for each in told if isinstance(each, Event)])
        found.append(state.accepted(state.profile()))
    return found


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    assert unpacked(packed(text)) == text


@pytest.mark.parametrize("state", states())
def test_a_state_takes_less_than_half_of_its_room(state: ProfileState) -> None:
    encoded = state.encoded()
    assert ProfileState.decoded(unpacked(packed(encoded))) == state
    assert len(packed(encoded)) < len(encoded) / 2


def test_what_the_first_release_packed_is_read() -> None:
    assert ProfileState.decoded(unpacked(FIRST)).profile()["user_id"] == "user-1"


@pytest.mark.parametrize("text", ["", "2abc", "1", "1a", "1!!!!", packed("{}")[:-4], "1" + "A" * 40, "{}"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpacked(text)


def test_both_layouts_are_read() -> None:
    state = ProfileState().apply([event()])
    assert stored_state({"facts": {"S": state.encoded()}}) == (state, False)
    assert stored_state({"packed": {"S": packed(state.encoded())}}) == (state, False)
    assert stored_state({}) == (ProfileState(), False)


def test_a_former_worker_wrote_beside_a_packed_state() -> None:
    """It cannot read that one; what both say is known, and CleverTap's profile is in doubt."""
    first = ProfileState().apply([event()])
    second = ProfileState().apply(
        [event("SUBSCRIPTION_TERMINATED", at=MOMENT + 1, purchasely_subscription_id="subs_2")]
    )
    found, is_doubtful = stored_state({"facts": {"S": second.encoded()}, "packed": {"S": packed(first.encoded())}})
    assert is_doubtful
    assert found.subscriptions == second.joined(first).subscriptions
    assert len(found.subscriptions) == 2
