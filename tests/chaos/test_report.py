"""The command and its table: what machines read, and when it fails."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chaos import __main__ as command
from chaos.report import Report
from chaos.verdict import Verdict

KEYS = ["fault", "runs", "events", "lost", "doubled", "stale", "late", "doubled_lost_answer", "slowest_webhook_ms"]


def ended(arguments: list[str]) -> object:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    return stopped.value.code


@pytest.fixture
def report() -> Report:
    report = Report(["one", "never run", "other"])
    report.add(
        "other", Verdict(events=5, lost=["a", "b"], stale=["c"], doubled=["d"], doubled_lost_answer=4, late=["e"])
    )
    report.add("one", Verdict(events=3))
    report.add("other", Verdict(events=6, doubled_lost_answer=1, slowest_webhook=0.361))
    report.add("other", Verdict(events=1, slowest_webhook=0.05))
    return report


def test_runs_of_a_fault_are_added_up(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "build" / "chaos.json")
    written = json.loads((tmp_path / "build" / "chaos.json").read_text())
    assert [list(row) for row in written] == [KEYS, KEYS]
    assert [list(row.values()) for row in written] == [
        ["one", 1, 3, 0, 0, 0, 0, 0, 0],
        ["other", 3, 12, 2, 1, 1, 1, 5, 361],
    ]


def test_the_table_has_a_line_for_each_fault(report: Report) -> None:
    console = Console(width=100)
    with console.capture() as shown:
        console.print(report.table())
    lines = [line.replace("│", " ").split() for line in shown.get().splitlines() if "│" in line]
    assert lines == [
        ["one", *"13000000"],
        ["other", "3", "12", "2", "1", "1", "1", "5", "361"],
        ["all", "4", "15", "2", "1", "1", "1", "5", "361"],
    ]


@pytest.mark.parametrize(
    ("verdict", "broken"),
    [
        (Verdict(events=1, doubled_lost_answer=1), False),
        (Verdict(events=1, lost=["a"]), True),
        (Verdict(events=1, doubled=["a"]), True),
        (Verdict(events=1, stale=["a"]), True),
        (Verdict(events=1, late=["a"]), True),
    ],
)
def test_a_row_is_broken_by_whatever_must_not_be(verdict: Verdict, broken: bool) -> None:
    report = Report(["one"])
    report.add("one", verdict)
    assert report.rows[0].broken is broken


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    return tmp_path


def test_a_chosen_fault_is_run_with_each_seed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--in-process", "--fault", "cannot", "--seed", "5", "--runs", "2", "--events", "30"]) == 0
    (row,) = json.loads((folder / "chaos.json").read_text())
    assert (row["fault"], row["runs"], row["events"] > 60) == ("cannot connect", 2, True)
    shown = capsys.readouterr().out
    assert "--fault 'cannot connect' --seed 6 --runs 1 --events 30" in shown
    assert "Seeds 5 to 6" in shown


def test_a_finding_fails_with_its_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(_faults: Sequence[str], _arguments: Any, seen: Any) -> None:
        seen.verdict("no fault", Verdict(events=9, stale=["profile of somebody"]), "--seed 77")

    monkeypatch.setattr(command, "_run_in_process", planted)
    assert ended(["--in-process", "--fault", "no fault"]) == 1
    shown = capsys.readouterr().out
    assert "✗ no fault --seed 77" in shown
    assert "stale: profile of somebody" in shown
    assert json.loads((folder / "chaos.json").read_text())[0]["stale"] == 1


def test_a_name_that_no_fault_has_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--fault", "no such fault"]) == 2
    assert "429 bursts" in capsys.readouterr().err
    assert not (folder / "chaos.json").exists()
