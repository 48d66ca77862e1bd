"""The benchmark measures what is there, with few repetitions: its numbers are nobody's concern here."""

import json
from pathlib import Path

import pytest

from benchmark import __main__ as command
from benchmark import cold_start, forwarding, ingest


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def ended(arguments: list[str]) -> object:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    return stopped.value.code


def test_the_command_measures_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    assert ended(["--quick", "--only", "mapping"]) == 0
    first, *_ = json.loads((tmp_path / "bench.json").read_text())

    assert (first["name"], first["unit"], first["target"]) == ("mapping: rate", "events/s", 0.75)
    assert first["ratio"] == first["value"] / first["baseline"] > 0
    assert "mapping: rate" in capsys.readouterr().out


def test_the_ingest_is_measured() -> None:
    first, logged = ingest.rows(quick=True)

    assert first.ratio is not None
    assert first.ratio > 1  # it does what it is compared with, and more
    assert logged.value > 100


def test_the_forwarder_is_measured(tmp_path: Path) -> None:
    extent = forwarding.Extent(350, (5, 20, 50), rounds=1)
    rows = {row.name: row for row in forwarding.rows(tmp_path, extent)}

    assert rows["forwarder: calls of SQS"].holds
    assert rows["forwarder: calls of DynamoDB, by event"].value >= 350 / 100 * 4
    assert rows["forwarder: requests to CleverTap, of 350 events"].value == 2  # production and sandbox
    assert 1 < rows["forwarder: records of an event"].value < 3
    assert rows["forwarder, defaults: records of an event"].value < rows["forwarder: records of an event"].value
    assert rows["forwarder: memory with 50 messages"].value > 1


@pytest.mark.usefixtures("built")
def test_each_function_is_started_and_answers(tmp_path: Path) -> None:
    rows = {row.name: row for row in cold_start.rows(tmp_path, starts=1)}

    assert rows["cold start: ingest"].baseline == rows["cold start: boto3 and one message"].value
    assert rows["cold start: forwarder"].value > rows["cold start: a handler that does nothing"].value > 0
    assert rows["cold start: forwarder, memory"].value > 20
    assert list(tmp_path.glob("packages/*")) == []
