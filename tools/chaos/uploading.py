"""The bridge's own HTTP client, its requests made one by one under a script, against the emulated CleverTap."""

import http.client
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import override

from clevertap_emulator import Emulator, Hang, LostAnswer, Step
from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.client import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, Client
from purchasely_clevertap.clevertap.response import Malformed, RecordResult, Unknown, Upload
from purchasely_clevertap.outcome import RetryReason

from .simulation import Simulation, Task

# Where nobody listens: the port of "discard".
_NOWHERE = "http://127.0.0.1:9"


class Moment(StrEnum):
    """When a worker is killed."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class TakenLate:
    """No answer; CleverTap gets to the request only when its sender has given up, `seconds` after it was sent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NoConnection:
    """CleverTap cannot be reached."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The worker is killed before the request, while CleverTap is at it, or with the answer in its hands."""

    moment: Moment


type UploadFault = Step | TakenLate | NoConnection | Kill


@dataclass(frozen=True, slots=True)
class Request:
    """An upload request by its number at the emulated CleverTap."""

    number: int
    records: Sequence[bytes]


class WatchedClient(Client):
    """Makes the real requests. `fault` is asked for each of them, by the number of its records, what happens to it.

    `made` holds the requests of each worker's invocation; who sees it end takes them out. `requests` counts what has
    reached CleverTap, `late` what it has yet to get to. `timed_out` are the records whose answer came too late, for
    the script or a busy machine: by number of their request and position in it.
    """

    def __init__(
        self,
        simulation: Simulation,
        emulator: Emulator,
        fault: Callable[[int], UploadFault | None],
        *,
        read_timeout: float,
    ) -> None:
        super().__init__(connect_timeout=CONNECT_TIMEOUT_SECONDS, read_timeout=read_timeout)
        self.requests = 0
        self.late = 0
        self.timed_out: set[tuple[int, int]] = set()
        self.made: dict[Task | None, list[Request]] = {}
        self._simulation = simulation
        self._emulator = emulator
        self._fault = fault
        # What the real time-out is longer than the one used here.
        self._time_saved = READ_TIMEOUT_SECONDS - read_timeout

    @override
    def upload(self, account: Credentials, records: Sequence[bytes], *, time_left: Callable[[], float]) -> Upload:
        return super().upload(account, records, time_left=lambda: time_left() - self._time_saved)

    @override
    def _send(
        self, account: Credentials, records: Sequence[bytes], *, query: str = ""
    ) -> tuple[RecordResult, ...] | Malformed:
        simulation, task = self._simulation, self._simulation.current
        fault = self._fault(len(records))
        simulation.sleep(simulation.random.uniform(0.01, 0.5))
        match fault:
            case Kill(Moment.BEFORE):
                simulation.die()
            case Kill(Moment.DURING):
                self._emulator.faults.add(LostAnswer())
            case TakenLate(seconds):
                self._emulator.faults.add(Hang(self._read_timeout_and_more))
                self.late += 1
                simulation.at(seconds, lambda: self._taken_late(account, records))
            case None | NoConnection() | Kill():
                pass
            case _:
                self._emulator.faults.add(fault)
        if isinstance(fault, NoConnection):
            answer = super()._send(Credentials(account.account_id, account.passcode, _NOWHERE), records, query=query)
        else:
            self.requests += 1
            self.made.setdefault(task, []).append(Request(self.requests, records))
            answer = super()._send(account, records, query=query)
        if isinstance(fault, Kill):
            simulation.die()
        if not isinstance(answer, Malformed) and answer[0] == Unknown(RetryReason.TIMEOUT):
            self.timed_out |= {(self.requests, position) for position in range(1, len(records) + 1)}
            # Virtual time must not run ahead of what CleverTap is at in real time.
            while len(self._emulator.requests()) < self.requests or self._emulator.under_way:
                time.sleep(0.01)
            simulation.sleep(READ_TIMEOUT_SECONDS)
        simulation.sleep(simulation.random.uniform(0.01, 0.5))
        return answer

    @property
    def _read_timeout_and_more(self) -> float:
        return READ_TIMEOUT_SECONDS - self._time_saved + 0.1

    def _taken_late(self, account: Credentials, records: Sequence[bytes]) -> None:
        self.late -= 1
        self._emulator.faults.add(LostAnswer())
        self.requests += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._emulator.port, timeout=10)
        headers = {
            "Content-Type": "application/json",
            "X-CleverTap-Credentials-Id": account.account_id,
            "X-CleverTap-Passcode": account.passcode,
        }
        connection.request("POST", "/1/upload", b'{"d":[' + b",".join(records) + b"]}", headers)
        try:
            connection.getresponse()
        except http.client.HTTPException:
            return
        finally:
            connection.close()


def event_of(record: bytes) -> tuple[str, str] | None:
    """The event id and the name of an event record; None for a profile."""
    fields = json.loads(record)
    return (fields["evtData"]["event_id"], fields["evtName"]) if fields["type"] == "event" else None
