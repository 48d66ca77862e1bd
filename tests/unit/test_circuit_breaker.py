from dataclasses import dataclass

import pytest

from purchasely_clevertap.delivery.circuit_breaker import CircuitBreaker


@dataclass
class Clock:
    """A clock that is set by hand, in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(base=30, most=200, clock=clock)


def open_for(breaker: CircuitBreaker, clock: Clock) -> float:
    """How many seconds from now the account is left alone."""
    began = clock.now
    while breaker.is_open("account"):
        clock.now += 1
    waited, clock.now = clock.now - began, began
    return waited


def test_an_account_nothing_is_known_of_may_be_asked(breaker: CircuitBreaker) -> None:
    assert not breaker.is_open("account")


def test_one_failure_is_enough(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed("account")
    assert breaker.is_open("account")
    clock.now += 29.9
    assert breaker.is_open("account")
    clock.now += 0.1
    assert not breaker.is_open("account")


def test_the_cool_down_doubles_up_to_the_most(breaker: CircuitBreaker, clock: Clock) -> None:
    waits = []
    for _ in range(5):
        breaker.failed("account")
        waits.append(open_for(breaker, clock))
        clock.now += waits[-1]
    assert waits == [30, 60, 120, 200, 200]


def test_an_answer_closes_it_and_forgets_the_failures(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        breaker.failed("account")
    breaker.answered("account")
    assert not breaker.is_open("account")
    breaker.failed("account")
    assert open_for(breaker, clock) == 30


def test_the_end_of_a_cool_down_alone_forgets_nothing(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed("account")
    clock.now += 10_000
    assert not breaker.is_open("account")
    breaker.failed("account")
    assert open_for(breaker, clock) == 60


def test_accounts_do_not_share_their_failures(breaker: CircuitBreaker) -> None:
    breaker.failed("account")
    breaker.answered("another")
    assert breaker.is_open("account")
    assert not breaker.is_open("another")


def test_an_endless_outage_costs_few_requests(breaker: CircuitBreaker, clock: Clock) -> None:
    requests = 0
    for second in range(40 * 3600):
        clock.now = 1000.0 + second
        if not breaker.is_open("account"):
            requests += 1
            breaker.failed("account")
    assert requests <= 40 * 3600 / 200 + 5


def test_a_thousand_failures_do_not_overflow(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(2000):
        breaker.failed("account")
    assert open_for(breaker, clock) == 200
