"""The deployed rows begin with a stack of their own, whatever an earlier run left behind."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from chaos import deployed
from local_stack import LocalStack, Options, find
from local_stack.background import Background


@pytest.fixture
def left_behind(tmp_path: Path) -> Iterator[Background]:
    """A process of a stack whose run crashed, and its files."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    process = Background.start("left", command, dict(os.environ), tmp_path / "chaos" / "left.log")
    processes = [asdict(process)]
    state = {"options": {}, "aws_url": "", "clevertap_url": "", "processes": processes, "outputs": {"a": "b"}}
    (tmp_path / "chaos" / "state.json").write_text(json.dumps(state))
    yield process
    process.stop()


def test_nothing_of_a_crashed_run_is_taken_up(
    tmp_path: Path, left_behind: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "chaos"
    assert find(folder) is not None
    found: list[bool] = []

    @contextmanager
    def running(folder: Path, _options: Options, _say: object) -> Iterator[LocalStack]:
        found.append(folder.exists())
        raise InterruptedError
        yield

    monkeypatch.setattr(deployed, "running", running)
    with pytest.raises(InterruptedError):
        deployed.run(folder, [], seed=1, say=lambda _: None, told=lambda *_: None)
    assert found == [False]
    assert not left_behind.alive
