"""A process that outlives the command which started it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 5.0
"""How long a process may take to end before it is killed."""

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Those that this very command has started: a child that ended is only gone when its parent has waited for it."""


class LocalStackError(Exception):
    """What kept the local stack from doing as told, in words for the person who told it."""


@dataclass(frozen=True, slots=True)
class Background:
    """One such process. `started` is the kernel's start time, so that a number used again is never taken for it."""

    name: str
    pid: int
    started: str
    log: str

    @classmethod
    def start(cls, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> "Background":
        """Starts `command` in a session of its own, so that `stop` also reaches what it starts in turn.

        LocalStackError when there is no such command; that it ends soon after is for `require` to say.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            try:
                process = subprocess.Popen(
                    command,
                    env=dict(environment),
                    cwd=log.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise LocalStackError(f"{name} can't be started: {error}") from error
        _children[process.pid] = process
        return cls(name, process.pid, _started(process.pid) or "", str(log))

    @property
    def alive(self) -> bool:
        if child := _children.get(self.pid):
            return child.poll() is None
        return _started(self.pid) == self.started

    @property
    def processor_seconds(self) -> float:
        """The processor's time that the process and all that it has started have taken, but for those that ended."""
        ticks = sum(int(status[10]) + int(status[11]) for status in _statuses() if status[2] == str(self.pid))
        return ticks / os.sysconf("SC_CLK_TCK")

    @property
    def most_memory(self) -> int:
        """The most bytes that the largest of the process and all that it has started has held at once."""
        pids = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())
        mine = (pid for pid in pids if (status := _status(pid)) and status[2] == str(self.pid))
        return max(map(_most_memory, mine), default=0)

    def stop(self) -> None:
        """Ends the process and all that it has started; nothing happens when it is gone."""
        if self.alive:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, number)
                if _wait(lambda: not self.alive and not _group(self.pid), STOP_SECONDS):
                    break
        _children.pop(self.pid, None)

    def require(self, port: int, seconds: float) -> None:
        """Waits until it answers on `port`. LocalStackError with its last words when it ends or stays silent."""
        _wait(lambda: not self.alive or _answers(port), seconds)
        if not self.alive:
            raise LocalStackError(f"{self.name} ended while starting:\n{tail(Path(self.log))}")
        if not _answers(port):
            raise LocalStackError(f"{self.name} did not answer within {seconds:g} s:\n{tail(Path(self.log))}")


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, or any free port of 127.0.0.1. LocalStackError when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise LocalStackError(f"port {wanted} of 127.0.0.1 can't be used: {error.strerror}") from error
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path, lines: int = 25) -> str:
    """The end of a log, with the place of the rest."""
    text = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([*(f"  {line}" for line in text[-lines:]), f"  ({log})"])


def _started(pid: int) -> str | None:
    """When the kernel started the process, in ticks since boot. None when there is none, or only its remains."""
    status = _status(pid)
    return status[18] if status else None


def _group(leader: int) -> bool:
    """Whether any process of the group is left."""
    return any(status[1] == str(leader) for status in _statuses())


def _statuses() -> Iterator[list[str]]:
    """Those of all processes there are."""
    pids = (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    return (status for status in map(_status, pids) if status)


def _status(pid: int) -> list[str] | None:
    """What /proc tells of a process behind its state: parent, group, session … (proc(5)). None for one that ended."""
    try:
        # The name stands in brackets and may hold anything, brackets too.
        state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else fields


def _most_memory(pid: int) -> int:
    """The bytes of VmHWM (proc_pid_status(5)); 0 for a process that ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    """Waits until `done`, and says whether it is."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
