"""Measuring what is compared in turns, so that a machine that slows down slows all of it down."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

type Measure = Callable[[], float]


def medians(measures: Mapping[str, Measure], rounds: int) -> dict[str, float]:
    """The median of each measure over `rounds` rounds, in each of which every measure has its turn."""
    return {name: median(values) for name, values in in_turns(measures, rounds).items()}


def bests(measures: Mapping[str, Measure], rounds: int) -> dict[str, float]:
    """The least of each measure: what disturbs a tight loop only ever makes it longer."""
    return {name: min(values) for name, values in in_turns(measures, rounds).items()}


def in_turns(measures: Mapping[str, Measure], rounds: int) -> dict[str, list[float]]:
    """Every value of every measure; each round begins with another one."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    names = list(measures)
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            values[name].append(measures[name]())
    return values


def processor_seconds(work: Callable[[], object]) -> float:
    """The processor's time for `work`, in this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def slopes(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """How much y grows for one more x between the last two points, and between the two before the last."""
    (first, one), (second, two), (third, three) = points[-3:]
    return (three - two) / (third - second), (two - one) / (second - first)
