"""One app that CleverTap fails delays no other one, also when SQS hides no more messages."""

import pytest

from chaos import tenants

HOUR = 3600.0
# At 10 events a second SQS's quota of hidden messages is used up after 3 hours and 20 minutes.
PAST_THE_QUOTA = 5 * HOUR


@pytest.mark.parametrize(("answer", "seconds"), [("503", PAST_THE_QUOTA), ("no answer", 2 * HOUR), ("401", HOUR)])
def test_a_failing_app_does_not_delay_another(answer: str, seconds: float) -> None:
    day = tenants.run(answer, seed=1, seconds=seconds)
    assert day.late == []
    assert len(day.delays) > seconds / 800
    assert (day.hidden == 1) is (seconds == PAST_THE_QUOTA)


def test_an_unfair_queue_does_not_pass() -> None:
    assert tenants.run("503", seed=1, seconds=PAST_THE_QUOTA, is_fair=False).late
