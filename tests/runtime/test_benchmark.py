"""The benchmark starts both functions and what they are compared with."""

from pathlib import Path

import pytest

from benchmark import cold_start


@pytest.mark.usefixtures("built")
def test_each_function_is_started_and_answers(tmp_path: Path) -> None:
    rows = {row.name: row for row in cold_start.rows(tmp_path, starts=1)}

    assert rows["cold start: ingest"].baseline == rows["cold start: boto3 and one message"].value
    assert rows["cold start: forwarder"].value > rows["cold start: a handler that does nothing"].value > 0
    assert rows["cold start: forwarder, memory"].value > 20
    assert list(tmp_path.glob("packages/*")) == []
