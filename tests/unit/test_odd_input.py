"""What once went wrong: odd input that cost an event, a person or a profile."""

import gc
import json
import tracemalloc
from typing import Any

import pytest

from purchasely_clevertap.clevertap.records import Identity
from purchasely_clevertap.mapping.mapper import Mapped, Mapper
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.mapping.settings import DEFAULT, parse
from purchasely_clevertap.purchasely.event import Event, read
from purchasely_clevertap.sized_cache import SizedCache
from tests.unit.samples import DAY, MOMENT, body, dates, event, event_of, paid, payload

ADA = Identity("customer-7")


def raw(literal: str, key: str) -> Event:
    found = read(body(payload(**{key: "VALUE"})).replace(b'"VALUE"', literal.encode()))
    assert isinstance(found, Event), found
    return found


@pytest.mark.parametrize("value", [["a"], {"a": 1}, []])
def test_flag_of_an_unexpected_type_is_left_out(value: Any) -> None:
    assert event(is_family_shared=value).text("user_id") == "customer-7"


def test_endless_digits_cost_no_event() -> None:
    assert "purchased_at" in event(purchased_at_ms="9" * 5000).moments
    assert raw("9" * 5000, "tier").event_name == "SUBSCRIPTION_RENEWED"


@pytest.mark.parametrize("digits", [str(2**64), "9" * 30])
def test_digits_beyond_64_bits_are_kept(digits: str) -> None:
    assert raw(digits, "store_transaction_id").values["store_transaction_id"] == digits


@pytest.mark.parametrize("given", [b'"pl\\ud800an":', b'"attribution":{"\\udc00":"v"},"plan":'])
def test_half_a_character_in_a_key_is_repaired(given: bytes) -> None:
    found = read(body(payload()).replace(b'"plan":', given))
    assert isinstance(found, Event)
    assert isinstance(Mapper(DEFAULT).map(found, now_ms=MOMENT, has_sandbox_account=True), Mapped)


def test_flattened_object_takes_no_documented_key() -> None:
    found = event(user={"id": "mallory"}, subscription={"status": "PAUSED"}, event={"name": "TRIAL_STARTED"})
    assert (found.text("user_id"), found.status) == ("customer-7", "AUTO_RENEWING")
    assert found.event_name == "SUBSCRIPTION_RENEWED"


def test_switched_off_profile_is_not_wiped() -> None:
    state = ProfileState().apply([event()])
    state = state.accepted(state.profile())
    off = Mapper(parse('{"profile": {"send": false}}'))
    assert off.profile_update(ADA, state) is None


@pytest.mark.parametrize(
    "attribution", [{"utm|x": "v"}, {"k" * 130: "v"}, {f"utm_{number}": "v" for number in range(300)}]
)
def test_attribution_keeps_to_the_limits(attribution: dict[str, str]) -> None:
    of = event_of(paid(9.99, 10.79, attribution=attribution))
    uses = Mapper(DEFAULT)
    found = uses.map(of, now_ms=MOMENT, has_sandbox_account=True)
    update = uses.profile_update(ADA, ProfileState().apply([of]))
    assert isinstance(found, Mapped)
    assert update is not None
    given = [(100, json.loads(encoded)["evtData"]) for _, encoded in found.records]
    for most, data in (*given, (256, json.loads(update.records[0])["profileData"])):
        assert len(data) <= most
        assert not [key for key in data if len(key) > 120 or "|" in key]


def test_event_of_a_joined_state_undoes_a_lapse() -> None:
    lapsed = ProfileState().apply([event()]).lapse(MOMENT + 60 * DAY, cancelled_hours=48, renewing_hours=336)
    renewed = ProfileState().apply(
        [event(at=MOMENT + 31 * DAY, **dates("effective_next_renewal_at", MOMENT + 62 * DAY))]
    )
    for state in (lapsed.joined(renewed), renewed.joined(lapsed)):
        assert state.profile()["has_active_subscription"] is True


def test_anonymous_word_beside_a_user_id_parks_nothing() -> None:
    found = Mapper(DEFAULT).map(event(anonymous_user_id="null"), now_ms=MOMENT, has_sandbox_account=True)
    assert isinstance(found, Mapped)


def test_documented_text_is_always_text() -> None:
    assert event(plan=True).values.get("plan") is not True


def test_amount_is_in_the_consoles_currency() -> None:
    given = paid(9.99, 10.79, plan_price_in_usd=..., cumulated_revenues_in_usd=..., plan_price_in_eur=9.99)
    found = Mapper(DEFAULT).map(event_of(given), now_ms=MOMENT, has_sandbox_account=True)
    assert isinstance(found, Mapped)
    data = json.loads(dict(found.records)["charged"])["evtData"]  # type: ignore[index]
    assert (data["Amount"], data["Currency"]) == (9.99, "EUR")


def test_sixty_thousand_new_keys_are_not_remembered() -> None:
    uses = Mapper(DEFAULT)

    def handle(number: int) -> None:
        new = {f"k{number}_{key}": 1 for key in range(60_000)}
        found = read(body(payload(**new)))
        assert isinstance(found, Event)
        assert isinstance(uses.map(found, now_ms=MOMENT, has_sandbox_account=True), Mapped)

    handle(0)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1, 4):
            handle(number)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000  # one event's keys alone take 4 MB


def test_endless_names_of_events_are_not_remembered() -> None:
    uses = SizedCache(str.lower, len)
    for number in range(2000):
        assert uses[f"NAME_{number}"] == f"name_{number}"
        assert uses["N" * 20_000 + str(number)].startswith("n")
    assert len(uses) <= 500
    assert max(map(len, uses)) < 20_000
