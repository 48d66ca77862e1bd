"""Virtual time, in which several workers run the real code one step at a time.

Each task is a thread, but only one of them runs: it gives its turn up whenever it sleeps, and the task that wakes
first has the next turn. Every call of AWS and every upload sleeps for the time it takes, so the same seed makes the
same interleaving, and an hour of waiting takes no time.
"""

import heapq
import threading
from collections.abc import Callable
from itertools import count
from random import Random


class Killed(BaseException):
    """The worker dies here, as by `kill -9`: no code of its own has an effect after it."""


class Task:
    """A thread of the simulation. `dies_at` is when it is killed, in epoch seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.dies_at: float | None = None
        self.turn = threading.Semaphore(0)


class Simulation:
    """`now` is in epoch seconds. `random` decides everything that chance decides."""

    def __init__(self, *, seed: int, start: float) -> None:
        self.random = Random(seed)  # noqa: S311 - faults are scripted, not secret
        self.now = start
        self.current: Task | None = None
        self._back = threading.Semaphore(0)
        self._order = count()
        self._due: list[tuple[float, int, Task | Callable[[], None]]] = []
        self._threads: dict[Task, threading.Thread] = {}
        self._failure: BaseException | None = None
        self._closed = False

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return int(self.now * 1000)

    def seconds(self) -> float:
        """Epoch seconds, as a function to hand over."""
        return self.now

    def start(self, name: str, work: Callable[[], None], *, delay: float = 0.0) -> Task:
        """A task that does `work`. What it raises, `Killed` apart, ends the run."""
        task = Task(name)

        def run() -> None:
            task.turn.acquire()
            try:
                if not task.dead:
                    work()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001 - handed to the thread that runs the simulation
                self._failure = error
            finally:
                del self._threads[task]
                self._back.release()

        self._threads[task] = threading.Thread(target=run, name=name, daemon=True)
        self._threads[task].start()
        self._push(delay, task)
        return task

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """`action` in `delay` seconds; it takes no time and must not sleep."""
        self._push(delay, action)

    def sleep(self, seconds: float) -> None:
        """The running task's turn ends; it has the next one in `seconds`. Outside of a task no time passes.

        Raises `Killed` when the task is dead or dies meanwhile.
        """
        task = self.current
        if task is None:
            return
        if task.dead:
            raise Killed
        wake = self.now + max(seconds, 0.0)
        dies = task.dies_at is not None and wake >= task.dies_at
        self._push((task.dies_at if dies and task.dies_at is not None else wake) - self.now, task)
        self._back.release()
        task.turn.acquire()
        if dies or task.dead:
            task.dead = True
            raise Killed

    def die(self) -> None:
        """Kills what the running task is at, here."""
        if self.current is not None:
            self.current.dead = True
        raise Killed

    def invoke[T](self, work: Callable[[], T], *, timeout: float) -> T | None:
        """What `work` returns; None when it was killed, at the latest after `timeout` seconds. The task lives on."""
        task = self.current
        if task is None:
            raise RuntimeError("only a task is killed")
        task.dies_at = self.now + timeout
        try:
            return work()
        except Killed:
            if self._closed:
                raise
            task.dead = False
            return None
        finally:
            task.dies_at = None

    def run(self, done: Callable[[], bool], *, most: float) -> bool:
        """Runs until `done`, or until nothing is left to do, or for `most` seconds; says whether it was `done`."""
        end = self.now + most
        while not done():
            if not self._due or self._due[0][0] > end:
                return False
            at, _, due = heapq.heappop(self._due)
            self.now = max(self.now, at)
            if isinstance(due, Task):
                self._resume(due)
            else:
                due()
            if self._failure is not None:
                raise self._failure
        return True

    def close(self) -> None:
        """Ends what still sleeps."""
        self._closed = True
        while self._threads:
            task = next(iter(self._threads))
            task.dead = True
            self._resume(task)

    def _push(self, delay: float, due: Task | Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + delay, next(self._order), due))

    def _resume(self, task: Task) -> None:
        if task not in self._threads:
            return
        self.current = task
        task.turn.release()
        self._back.acquire()
        self.current = None
