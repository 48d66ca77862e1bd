"""Virtual time: in order, without waiting, and nothing of a killed task has an effect."""

import time
from collections.abc import Callable

import pytest

from chaos.simulation import Killed, Simulation

type InTurns = Callable[..., None]


def test_the_first_to_wake_has_the_next_turn(simulation: Simulation, in_turns: InTurns) -> None:
    told: list[tuple[str, float]] = []

    def work(name: str, *naps: float) -> None:
        for nap in naps:
            simulation.sleep(nap)
            told.append((name, simulation.now))

    began = time.monotonic()
    in_turns(lambda: work("a", 3600, 3600), lambda: work("b", 5000, 100))
    assert told == [("a", 4600.0), ("b", 6000.0), ("b", 6100.0), ("a", 8200.0)]
    assert time.monotonic() - began < 5


def test_what_is_planned_happens_at_its_time(simulation: Simulation, in_turns: InTurns) -> None:
    told: list[float] = []
    simulation.at(30, lambda: told.append(simulation.now))
    in_turns(lambda: simulation.sleep(60))
    assert told == [1030.0]


def test_a_killed_task_does_nothing_more(simulation: Simulation, in_turns: InTurns) -> None:
    told: list[str] = []

    def dying() -> str:
        try:
            simulation.die()
        except Killed:
            # What the code under test would do in a `finally`: the next call of anything ends it again.
            simulation.sleep(1)
            told.append("alive")
        return "an answer"

    def work() -> None:
        told.append(str(simulation.invoke(dying, timeout=60)))
        simulation.sleep(1)
        told.append("the next")

    in_turns(work)
    assert told == ["None", "the next"]


def test_what_takes_too_long_is_killed_at_its_time(simulation: Simulation, in_turns: InTurns) -> None:
    told: list[object] = []

    def take(seconds: float) -> str:
        simulation.sleep(seconds)
        return "done"

    def work() -> None:
        told.append(simulation.invoke(lambda: take(59), timeout=60))
        told.append(simulation.invoke(lambda: take(61), timeout=60))
        told.append(simulation.now)

    in_turns(work)
    assert told == ["done", None, 1119.0]


def test_an_error_of_the_code_under_test_ends_the_run(in_turns: InTurns) -> None:
    def work() -> None:
        raise LookupError("of the product")

    with pytest.raises(LookupError, match="of the product"):
        in_turns(work)


def test_what_is_never_done_ends_with_its_time(simulation: Simulation) -> None:
    def for_ever() -> None:
        while True:
            simulation.sleep(10)

    simulation.start("task", for_ever)
    assert simulation.run(lambda: False, most=100) is False
    assert simulation.now <= 1100
    simulation.close()


def test_a_task_is_over_when_the_simulation_is_closed(simulation: Simulation) -> None:
    told: list[object] = []

    def work() -> None:
        told.append(simulation.invoke(lambda: simulation.sleep(50), timeout=60))

    simulation.start("task", work)
    simulation.run(lambda: False, most=10)
    simulation.close()
    assert told == []
