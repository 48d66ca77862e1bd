import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.outcome import GiveUp

HOUR_MS = 3_600_000
MAX_RECEIVES = 1000  # of the events queue, after which it would give a message up


def waits(retry_policy: RetryPolicy, chance: float, count: int) -> list[int]:
    return [retry_policy.wait(receives, lambda: chance) for receives in range(1, count + 1)]


def test_the_wait_doubles_from_the_base_to_the_most() -> None:
    assert waits(RetryPolicy(base=30, most=3600), 0, 9) == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_chance_takes_off_at_most_half() -> None:
    assert waits(RetryPolicy(base=30, most=3600), 1, 9) == [15, 30, 60, 120, 240, 480, 960, 1800, 1800]
    assert RetryPolicy(base=30).wait(1, lambda: 0.5) == 22


POLICIES = st.builds(RetryPolicy, base=st.floats(0, 10_000), most=st.floats(0, 1_000_000))


@given(POLICIES, st.integers(0, 10**9), st.floats(0, 1))
def test_a_wait_is_one_that_sqs_takes_and_never_none(retry_policy: RetryPolicy, receives: int, chance: float) -> None:
    for wait in (retry_policy.wait(receives, lambda: chance), retry_policy.wait_while_busy(lambda: chance)):
        assert type(wait) is int
        assert 1 <= wait <= 12 * 3600 - 60


@given(POLICIES, st.integers(1, 100), st.floats(0, 1))
def test_the_next_wait_is_never_shorter(retry_policy: RetryPolicy, receives: int, chance: float) -> None:
    assert retry_policy.wait(receives, lambda: chance) <= retry_policy.wait(receives + 1, lambda: chance)


def test_each_message_draws_its_own_chance() -> None:
    chances = iter([0.0, 1.0])
    retry_policy = RetryPolicy(base=1000)
    assert [retry_policy.wait(1, lambda: next(chances)) for _ in range(2)] == [1000, 500]


@pytest.mark.parametrize(("base", "chance", "wait"), [(30, 0, 15), (30, 1, 7), (2, 0, 2), (0.1, 0, 1)])
def test_a_busy_message_waits_for_seconds(base: float, chance: float, wait: int) -> None:
    assert RetryPolicy(base=base).wait_while_busy(lambda: chance) == wait


def test_an_outage_of_40_hours_is_waited_out() -> None:
    assert not RetryPolicy().is_over(40 * HOUR_MS, GiveUp.OUTAGE)
    assert RetryPolicy().is_over(48 * HOUR_MS, GiveUp.OUTAGE)
    assert not RetryPolicy().is_over(48 * HOUR_MS - 1, GiveUp.OUTAGE)


def test_a_setup_fault_is_retried_for_12_days() -> None:
    assert not RetryPolicy().is_over(11 * 24 * HOUR_MS, GiveUp.SETUP)
    assert RetryPolicy().is_over(12 * 24 * HOUR_MS, GiveUp.SETUP)
    assert RetryPolicy().setup_ms < 14 * 24 * HOUR_MS


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_the_limit_comes_before_the_queues_own(chance: float) -> None:
    seconds = waits(RetryPolicy(), chance, MAX_RECEIVES)
    assert sum(seconds) * 1000 > RetryPolicy().setup_ms
    assert sum(seconds[:200]) * 1000 > RetryPolicy().outage_ms


@pytest.mark.parametrize("policy", [RetryPolicy(), RetryPolicy(base=1, most=5)])
@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_what_only_archives_is_tried_to_the_end(policy: RetryPolicy, chance: float) -> None:
    seconds = [policy.wait_to_archive(receives, lambda: chance) for receives in range(1, MAX_RECEIVES)]
    assert sum(seconds) > 14 * 24 * 3600  # SQS drops it before it is received too often
    assert max(seconds) <= 3600
    assert seconds[0] <= policy.base
