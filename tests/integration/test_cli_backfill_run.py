"""`bridge backfill` on queues and tables, with the real forwarder behind them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge_cli.account import Account
from bridge_cli.backfill.sending import Sending
from bridge_cli.probe import Stopwatch
from bridge_cli.times import now_ms
from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cli import Cli, count, messages_of
from tests.integration.cloud import Answered, Calls, Clock, Cloud, Worker
from tests.integration.webhook import event, message, transaction

YEAR_MS = 365 * 86_400_000


@pytest.fixture
def clock() -> Clock:
    return Clock(now_ms())


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a run stays in the test, and nobody waits for the rate."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("bridge_cli.commands.backfill.Stopwatch", lambda: Stopwatch(lambda: 0.0, lambda _: None))


def payments(number: int = 25) -> list[dict[str, Any]]:
    """What an old app has been paid: 10 USD each, by users of their own, without ids of events."""
    made = []
    for each in range(number):
        payload = transaction(amount=10, user=f"old-{each}", at=now_ms() - YEAR_MS, plan_price_in_usd=10)
        made.append({**payload, "amount_in_usd": 10, "customer_currency": "USD"})
        del made[-1]["event_id"]
    return made


def written(folder: Path, payloads: Sequence[Any], name: str = "old.ndjson") -> str:
    path = folder / name
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in payloads))
    return str(path)


def lines(cli: Cli, *arguments: str, exit_code: int = 0) -> list[dict[str, Any]]:
    result = cli.run("backfill", *arguments, "--json")
    assert result.exit_code == exit_code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def report(cli: Cli, *arguments: str, exit_code: int = 0) -> tuple[int, ...]:
    """Lines, sent, known before, skipped, invalid."""
    told = lines(cli, *arguments, "--yes", exit_code=exit_code)[-1]["report"]
    assert told["adds_up"] is (exit_code == 0)
    return tuple(told[key] for key in ("lines", "sent", "known", "skipped", "invalid"))


def forward(cloud: Cloud, worker: Worker) -> None:
    found = messages_of(cloud, cloud.events_url)
    for start in range(0, len(found), 10):
        worker.forward(*found[start : start + 10])


def test_the_same_file_twice_adds_nothing(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap, tmp_path: Path
) -> None:
    file = written(tmp_path, payments())
    assert report(cli, file) == (25, 25, 0, 0, 0)
    forward(cloud, worker)
    assert clevertap.events == []
    assert len(clevertap.profiles) == 25
    assert report(cli, file) == (25, 0, 25, 0, 0)
    assert count(cloud, cloud.events_url) == (0, 0)


def test_revenue_is_sent_by_a_whole_backfill_alone(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap, tmp_path: Path
) -> None:
    file = written(tmp_path, payments(3))
    report(cli, file, "--as", "profile")
    forward(cloud, worker)
    assert clevertap.events == []
    assert report(cli, file, "--as", "all", "--revenue", "30.00 USD") == (3, 3, 0, 0, 0)
    forward(cloud, worker)
    assert sorted(clevertap.events) == ["Charged"] * 3 + ["TRANSACTION_PROCESSED"] * 3
    assert report(cli, file, "--as", "events") == (3, 0, 3, 0, 0)


def test_events_come_without_revenue(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap, tmp_path: Path
) -> None:
    report(cli, written(tmp_path, payments(3)), "--as", "events")
    forward(cloud, worker)
    assert clevertap.events == ["TRANSACTION_PROCESSED"] * 3


@pytest.mark.parametrize("told", [["--revenue", "29.00 USD"], []])
def test_revenue_wants_its_sum(cloud: Cloud, cli: Cli, tmp_path: Path, told: list[str]) -> None:
    file = written(tmp_path, payments(3))
    assert cli.run("backfill", file, "--as", "all", *told, "--yes").exit_code == 1
    assert count(cloud, cloud.events_url) == (0, 0)


def test_a_person_types_the_sum_and_agrees(cloud: Cloud, cli: Cli, tmp_path: Path) -> None:
    cli.answer_questions()
    result = cli.run("backfill", written(tmp_path, payments(3)), "--as", "all", typed="30.00 USD\ny\n")
    assert result.exit_code == 0
    assert count(cloud, cloud.events_url) == (3, 0)
    assert cli.run("backfill", written(tmp_path, payments(2)), typed="n\n").exit_code == 1
    assert count(cloud, cloud.events_url) == (3, 0)


def test_nothing_is_sent_while_a_line_is_bad(cloud: Cloud, cli: Cli, tmp_path: Path) -> None:
    file, errors = written(tmp_path, [*payments(2), "no json", {"plan": 1}]), tmp_path / "errors.csv"
    assert cli.run("backfill", file, "--yes", "--errors", str(errors)).exit_code == 1
    assert count(cloud, cloud.events_url) == (0, 0)
    told = errors.read_text().splitlines()
    assert [line.split(",")[1:3] for line in told[1:]] == [
        ["3", ""],
        ["4", "event_name"],
        ["4", "environment"],
        ["4", "event_created_at"],
        ["4", "user_id"],
    ]
    assert errors.stat().st_mode & 0o077 == 0
    assert report(cli, file, "--skip-invalid") == (4, 2, 0, 0, 2)
    assert count(cloud, cloud.events_url) == (2, 0)


def test_what_settings_keep_back_is_not_queued(cloud: Cloud, cli: Cli, tmp_path: Path) -> None:
    cloud.put_settings({"sandbox": "skip"})
    anonymous = event(user=None, at=now_ms() - YEAR_MS)
    sandbox = event(at=now_ms() - YEAR_MS, environment="SANDBOX")
    assert report(cli, written(tmp_path, [anonymous, sandbox, *payments(1)])) == (3, 1, 0, 2, 0)
    assert count(cloud, cloud.events_url) == (1, 0)


def test_what_a_webhook_brought_is_known(cli: Cli, worker: Worker, tmp_path: Path) -> None:
    live = event(at=now_ms() - 1000)
    worker.forward(message(live))
    assert report(cli, written(tmp_path, [live])) == (1, 0, 1, 0, 0)


def test_without_yes_a_script_only_hears_the_plan(cloud: Cloud, cli: Cli, tmp_path: Path) -> None:
    (told,) = lines(cli, written(tmp_path, payments(3)), "--rate", "1")
    assert (told["plan"]["lines"], told["plan"]["to_send"], told["plan"]["seconds"]) == (3, 3, 3)
    assert count(cloud, cloud.events_url) == (0, 0)


class Died(BaseException):
    """The machine goes off."""


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("is_taken", [False, True])
def test_killed_and_resumed(
    cloud: Cloud,
    cli: Cli,
    worker: Worker,
    clevertap: ScriptedClevertap,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    is_taken: bool,
) -> None:
    file, put, made = written(tmp_path, payments()), Sending._put, []  # noqa: SLF001 - where the machine goes off

    def die(sending: Sending, bodies: list[bytes]) -> None:
        made.append(len(bodies))
        if len(made) != batch or is_taken:
            put(sending, bodies)
        if len(made) == batch:
            raise Died

    monkeypatch.setattr(Sending, "_put", die)
    with pytest.raises(Died):
        cli.run("backfill", file, "--as", "events", "--yes")
    before = count(cloud, cloud.events_url)[0]
    assert before == sum(made[: batch if is_taken else batch - 1])
    assert cli.run("backfill", file, "--as", "events", "--yes").exit_code == 1
    told = lines(cli, file, "--as", "events", "--yes", "--resume")[-1]["report"]
    assert (told["lines"], told["sent"], told["doubted"]) == (25, 25, made[batch - 1])
    assert count(cloud, cloud.events_url)[0] == 25 + is_taken * made[batch - 1]
    forward(cloud, worker)
    assert clevertap.events == ["TRANSACTION_PROCESSED"] * 25


def test_ctrl_c_stops_and_resume_goes_on(
    cloud: Cloud, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("bridge_cli.commands.backfill.Stopwatch", lambda: Stopwatch(lambda: 0.0, wait))
    file = written(tmp_path, payments())
    assert report(cli, file, exit_code=1) == (20, 20, 0, 0, 0)
    assert count(cloud, cloud.events_url) == (20, 0)
    assert report(cli, file, "--resume") == (25, 25, 0, 0, 0)
    assert count(cloud, cloud.events_url) == (25, 0)


def test_a_queue_that_takes_nothing_ends_the_run(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, payments(3))
    refused = {"Failed": [{"Id": str(each), "Code": "InternalError", "SenderFault": False} for each in range(3)]}
    calls, client = Calls(), Account.client
    monkeypatch.setattr(Account, "client", lambda account, service: calls.watch(client(account, service)))
    calls.always("SendMessageBatch", Answered(refused))
    assert cli.run("backfill", file, "--yes").exit_code == 1
    calls.mend()
    assert report(cli, file, "--resume") == (3, 3, 0, 0, 0)


def test_a_subscriber_list_from_stdin(cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap) -> None:
    table = (
        "user_id,subscription_id,plan,status,started_at,renews_at\n"
        "ada,s-1,yearly,active,2024-03-01,2099-03-01\n"
        "ben,s-2,monthly,expired,2024-03-01,\n"
    )
    result = cli.run("backfill", "-", "--as", "subscribers", "--as-of", "2026-01-01", "--yes", typed=table)
    assert result.exit_code == 0, result.output
    forward(cloud, worker)
    ada, ben = (clevertap.profile(user) for user in ("ada", "ben"))
    assert (ada["plan"], ada["has_active_subscription"]) == ("yearly", True)
    assert (ben["plan"], ben["subscriber_state"]) == ("monthly", "expired")
    assert clevertap.events == []


def test_a_backfill_moves_no_profile_back(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap, tmp_path: Path
) -> None:
    worker.forward(message(event(user="ada", at=now_ms() - 1000, plan="yearly")))
    older = event(user="ada", at=now_ms() - YEAR_MS, plan="monthly", placement="home")
    report(cli, written(tmp_path, [older]))
    forward(cloud, worker)
    assert clevertap.profile("ada")["plan"] == "yearly"
    assert clevertap.profile("ada")["placement"] == "home"


def test_a_file_that_is_not_there(cli: Cli) -> None:
    assert cli.run("backfill", "nowhere.csv").exit_code == 1


def test_trace_tells_of_a_profile_backfill(cloud: Cloud, cli: Cli, worker: Worker, tmp_path: Path) -> None:
    report(cli, written(tmp_path, [event(event_id="e-1", at=now_ms() - YEAR_MS)]))
    forward(cloud, worker)
    told = cli.json("trace", "e-1", "--no-logs")["event"]
    assert (told["outcome"], told["reason"]) == ("skipped", "backfilled")
