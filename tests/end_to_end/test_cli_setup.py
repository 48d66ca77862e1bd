"""Setting up on the deployed stack as a new user would, to the first event; and a new secret under traffic."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from bridge_cli.sample import renewed, samples
from local_stack import PRODUCTION, SANDBOX, LocalStack
from purchasely_sender import Sender, signed
from tests.end_to_end.test_cli import bridge, run


@pytest.fixture
def app() -> str:
    """The name of an app that nobody has set up."""
    return f"app-{uuid4().hex[:12]}"


def file(folder: Path, content: str) -> str:
    """A file that holds a secret."""
    path = folder / uuid4().hex
    path.write_text(content)
    return str(path)


def options(folder: Path, secret: str) -> list[str]:
    """All that an app needs."""
    return [
        *("--clevertap-region", "EU1", "--project-id", PRODUCTION.account_id),
        *("--passcode-file", file(folder, PRODUCTION.passcode)),
        *("--sandbox-project-id", SANDBOX.account_id, "--sandbox-passcode-file", file(folder, SANDBOX.passcode)),
        *("--purchasely-secret-file", file(folder, secret)),
        "--yes",
    ]


def test_an_app_is_set_up_checked_and_reached(stack: LocalStack, app: str, tmp_path: Path) -> None:
    wrong = ["--passcode-file", file(tmp_path, "wrong"), "--purchasely-secret-file", file(tmp_path, "secret-1")]
    refused = run(stack, "setup", app, *options(tmp_path, "secret-1")[:4], *wrong)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert run(stack, "send", "--app", app, "TRIAL_STARTED").returncode == 1

    document = bridge(stack, "setup", app, *options(tmp_path, "secret-1"))
    assert document["webhook_url"] == stack.webhook_url(app)
    assert len(document["written"]) == 3
    assert (document["test_webhook"]["status"], document["test_webhook"]["outcome"]) == (200, "skipped")

    found = {each["subject"]: each for each in json.loads(run(stack, "check", app, "--json").stdout)["findings"]}
    assert all(each["good"] for subject, each in found.items() if subject.startswith(app))
    assert found["forwarder takes events"]["good"]
    assert found["alarms"]["good"]

    settings = file(tmp_path, '{"region": "eu1", "events": {"TRIAL_STARTED": {"name": "Trial Started"}}}')
    assert bridge(stack, "settings", "put", settings, app, "--yes")["version"] == 2
    (webhook,) = bridge(stack, "send", "--app", app, "TRIAL_STARTED")["webhooks"]
    ends = time.monotonic() + 60
    while (event := bridge(stack, "trace", webhook["event_id"], "--app", app)["event"])["outcome"] == "in_flight":
        assert time.monotonic() < ends, event
        time.sleep(0.5)
    assert event["outcome"] == "delivered"


def test_a_deployment_proves_itself(stack: LocalStack, app: str, tmp_path: Path) -> None:
    bridge(stack, "setup", app, *options(tmp_path, "secret-of-a-proof"))
    done = run(stack, "check", app, "--deep", "--json")
    found = {each["subject"]: each for each in json.loads(done.stdout)["findings"]}
    proven = ["ingest function", "forwarder function", "sweep function", "dashboards", "clock"]
    proven += [f"{app}: test webhook", f"{app}: log lines"]
    assert {subject: found[subject]["good"] for subject in proven} == dict.fromkeys(proven, True)
    # What the emulated AWS does not do is never green.
    assert (found[f"{app}: metrics"]["good"], found["KMS key"]["good"]) == (None, None)
    assert "not looked at" in found[f"{app}: metrics"]["found"]
    assert not any(told in done.stdout for told in ("secret-of-a-proof", PRODUCTION.passcode, "000000000000"))


@contextmanager
def traffic(url: str, secrets: list[str]) -> Iterator[Counter[int | None]]:
    """Webhooks all the time, each signed with the last of `secrets`; what they were answered."""
    answers: Counter[int | None] = Counter()
    over = threading.Event()

    def send() -> None:
        with Sender() as sender:
            # Not more than this: the emulated CloudWatch finds nothing behind 10000 lines of log.
            while not over.wait(0.1):
                event = renewed(samples()["ACTIVATE"])
                answers[sender.send(url, signed(event, secrets[-1], int(time.time()))).status] += 1

    senders = [threading.Thread(target=send) for _ in range(2)]
    for each in senders:
        each.start()
    try:
        yield answers
    finally:
        over.set()
        for each in senders:
            each.join()


def test_rotation_under_traffic_refuses_nothing(stack: LocalStack, app: str, tmp_path: Path) -> None:
    bridge(stack, "setup", app, *options(tmp_path, "secret-1"))
    console = ["secret-1"]
    with traffic(stack.webhook_url(app), console) as answers:
        begun = bridge(stack, "rotate", "purchasely", app, "--secret-file", file(tmp_path, "secret-2"), "--yes")
        assert [proof["status"] for proof in begun["proofs"]] == [200, 200]
        console.append("secret-2")
        time.sleep(1)
        ended = bridge(stack, "rotate", "purchasely", app, "--retire", "--yes")
        assert (ended["accepted"], [proof["status"] for proof in ended["proofs"]]) == (1, [200])
        passcode = file(tmp_path, PRODUCTION.passcode)
        assert bridge(stack, "rotate", "clevertap", app, "--passcode-file", passcode)["written"] is False
    # No answer at all is none of ingest's: a machine that is too busy to start its functions within 10 s.
    assert set(answers) <= {200, None}
    assert answers[200] > 50
