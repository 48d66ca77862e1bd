"""What the tests of the chaos kit share."""

from collections.abc import Callable
from typing import Any

import pytest

from chaos.simulation import Simulation


@pytest.fixture
def simulation() -> Simulation:
    return Simulation(seed=1, start=1000.0)


@pytest.fixture
def in_turns(simulation: Simulation) -> Callable[..., None]:
    """Runs each function as a task of its own, until all are done."""

    def run(*works: Callable[[], Any]) -> None:
        left = len(works)

        def counted(work: Callable[[], Any]) -> Callable[[], None]:
            def done() -> None:
                nonlocal left
                try:
                    work()
                finally:
                    left -= 1

            return done

        for number, work in enumerate(works):
            simulation.start(f"task {number}", counted(work))
        simulation.run(lambda: left == 0, most=1_000_000)
        simulation.close()

    return run
