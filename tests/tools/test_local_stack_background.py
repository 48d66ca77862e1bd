"""Processes that outlive the command which started them."""

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local_stack.background import Background, LocalStackError, free_port, tail

LISTEN = (
    "import socket, time; s = socket.create_server(('127.0.0.1', {port})); print('here', flush=True); time.sleep(60)"
)
PARENT = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); p.wait()"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "some" / "process.log"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def listening(log: Path, port: int) -> Iterator[Background]:
    process = _python(LISTEN.format(port=port), log)
    process.require(port, 10)
    yield process
    process.stop()


def _python(code: str, log: Path) -> Background:
    return Background.start("a process", [sys.executable, "-c", code], {"PATH": os.defpath}, log)


def test_a_process_is_alive_until_it_is_stopped(listening: Background) -> None:
    assert listening.alive
    listening.stop()
    assert not listening.alive


def test_stopping_twice_is_no_fault(listening: Background) -> None:
    listening.stop()
    listening.stop()


def test_what_a_process_started_ends_with_it(log: Path, port: int) -> None:
    process = _python(PARENT.format(child=LISTEN.format(port=port)), log)
    process.require(port, 10)

    process.stop()

    assert free_port(port) == port


def test_a_process_with_the_same_number_is_left_alone(listening: Background) -> None:
    """Seen from another command, which knows only what was written down."""
    stranger = replace(Background("a process", os.getppid(), "1", ""), log=listening.log)

    assert not stranger.alive
    stranger.stop()
    os.kill(os.getppid(), 0)


def test_a_failed_start_is_reported(log: Path, port: int) -> None:
    process = _python("print('no such thing'); raise SystemExit(3)", log)

    with pytest.raises(LocalStackError, match=r"(?s)a process ended while starting:.*no such thing.*process\.log"):
        process.require(port, 10)


def test_a_command_that_is_not_there_is_reported(log: Path) -> None:
    with pytest.raises(LocalStackError, match=r"a process can't be started: .*/no/such/command"):
        Background.start("a process", ["/no/such/command"], {}, log)


def test_a_process_that_never_answers_is_reported(listening: Background) -> None:
    with pytest.raises(LocalStackError, match=r"(?s)did not answer within 0\.1 s:.*here"):
        listening.require(free_port(), 0.1)


def test_a_process_has_only_the_given_environment(log: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_PERSON", "private")
    process = _python("import os; print(sorted(os.environ), flush=True); raise SystemExit", log)
    with pytest.raises(LocalStackError, match="PATH") as raised:
        process.require(port, 10)

    assert "OF_THE_PERSON" not in str(raised.value)


def test_a_port_in_use_is_refused(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(LocalStackError, match=f"port {port} of 127.0.0.1"):
        free_port(port)


def test_a_tail_says_where_the_rest_of_the_log_is(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))

    assert tail(log, lines=2) == f"  line 98\n  line 99\n  ({log})"


def test_a_log_that_is_not_there_has_an_empty_tail(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log") == f"  ({tmp_path / 'none.log'})"
