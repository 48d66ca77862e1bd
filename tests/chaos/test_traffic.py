"""The traffic of a few runs, and what must come of it by the contract."""

from chaos.traffic import plan

PLANS = [plan(seed=seed, events=600, now=1_770_000_000.0, seconds=300.0) for seed in (1, 2, 3)]


def test_traffic_holds_every_outcome() -> None:
    outcomes = {outcome for each in PLANS for outcome in each.expected.outcomes.values()}
    assert outcomes == {"delivered", "skipped", "parked", "held"}
    reasons = {reason for each in PLANS for reason in each.expected.reasons.values()}
    assert {"became_known", "event_switched_off"} <= reasons


def test_traffic_holds_every_kind_of_record_and_person() -> None:
    names = {name for each in PLANS for _, _, name in each.expected.records}
    assert {"Charged", "Refunded", "ONE_TIME_PURCHASE_ACTIVATED", "DEACTIVATE", "INSTALLMENT_PAID"} <= names
    assert any(record.was_anonymous for each in PLANS for record in each.expected.records.values())
    assert any(len(ids) > 1 for each in PLANS for ids in each.expected.ids.values())
