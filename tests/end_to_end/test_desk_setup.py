"""Setting up on the deployed stack as a new user would, to the first event; and a new secret under traffic."""

import json
import time
from pathlib import Path
from uuid import uuid4

import pytest

from local_stack import PRODUCTION, SANDBOX, LocalStack
from tests.end_to_end.test_desk import bridge, run


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
    ]


def test_an_app_is_set_up_checked_and_reached(stack: LocalStack, app: str, tmp_path: Path) -> None:
    refused = run(stack, "setup", app, *options(tmp_path, "secret-1")[:4], "--passcode-file", file(tmp_path, "wrong"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert run(stack, "send", "--app", app, "TRIAL_STARTED").returncode == 1

    document = bridge(stack, "setup", app, *options(tmp_path, "secret-1"))
    assert document["webhook_url"] == stack.webhook_url(app)
    assert len(document["written"]) == 3
    assert (document["test_webhook"]["status"], document["test_webhook"]["fate"]) == (200, "skipped")

    found = {each["subject"]: each for each in json.loads(run(stack, "check", app, "--json").stdout)["findings"]}
    assert all(each["good"] for subject, each in found.items() if subject.startswith(app))
    assert found["forwarder takes events"]["good"]
    assert found["alarms"]["good"]

    settings = file(tmp_path, '{"region": "eu1", "events": {"TRIAL_STARTED": {"name": "Trial Started"}}}')
    assert bridge(stack, "settings", "put", settings, app, "--yes")["version"] == 2
    (webhook,) = bridge(stack, "send", "--app", app, "TRIAL_STARTED")["webhooks"]
    ends = time.monotonic() + 60
    while (event := bridge(stack, "trace", webhook["event_id"], "--app", app)["event"])["fate"] is None:
        assert time.monotonic() < ends, event
        time.sleep(0.5)
    assert event["fate"] == "delivered"
