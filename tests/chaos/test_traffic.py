"""The traffic of a run, and what must come of it by the contract."""

from chaos.traffic import Traffic, plan

NOW = 1_770_000_000.0


def traffic() -> Traffic:
    return plan(seed=1, events=600, now=NOW, seconds=300.0)


def test_traffic_holds_every_outcome() -> None:
    expected = traffic().expected
    assert set(expected.outcomes.values()) == {"delivered", "skipped", "parked", "held"}
    assert {"became_known", "event_switched_off"} <= set(expected.reasons.values())


def test_traffic_holds_every_kind_of_record_and_person() -> None:
    expected = traffic().expected
    names = {name for _, _, name in expected.records}
    assert {"Charged", "Refunded", "ONE_TIME_PURCHASE_ACTIVATED", "DEACTIVATE"} <= names
    assert any(record.was_anonymous for record in expected.records.values())
    assert any(len(ids) > 1 for ids in expected.ids.values())
