"""A script that does not say --yes changes nothing: no secret, no settings, no event and no person."""

import json
from pathlib import Path

import pytest

from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cli import park
from tests.integration.installation import Installation
from tests.integration.webhook import event, message

# What only looks: the parked queue's messages are hidden while a command has them, and shown again.
READS = ("Get", "BatchGet", "List", "Describe", "Query", "Scan", "ReceiveMessage", "ChangeMessageVisibility", "Filter")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files that the commands name."""
    for name, text in (("settings", '{"sandbox": "skip"}'), ("secret", "new-secret"), ("passcode", "passcode-1")):
        (tmp_path / name).write_text(text)
    (tmp_path / "events").write_text(json.dumps(event(event_id="old")))
    return tmp_path


SETUP = "setup --clevertap-region eu1 --project-id PROJECT-1 --passcode-file passcode --purchasely-secret-file secret"


@pytest.mark.parametrize(
    "command",
    [
        "settings put settings",
        SETUP,
        f"{SETUP} --sandbox-project-id TEST-2 --sandbox-passcode-file passcode",
        "rotate purchasely --secret-file secret",
        "rotate purchasely --retire",
        "rotate clevertap --passcode-file passcode",
        "redrive",
        "redrive e-1",
        "parked discard e-1",
        "parked discard --all",
        "forget user-1",
        "backfill events",
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_changes_without_yes(
    bridge: Installation, files: Path, monkeypatch: pytest.MonkeyPatch, command: str, *, as_json: bool
) -> None:
    cloud = bridge.cloud
    cloud.put_secret("purchasely", {"shared_secrets": ["secret-1", "former"]})
    cloud.put_secret("clevertap", {"production": {"account_id": "PROJECT-1", "passcode": "old"}})
    cloud.worker(ScriptedClevertap()).outcome(message(event(event_id="e-0")))
    park(cloud, message(event(event_id="e-1"), id="m-1"), ids=["e-1"])
    cloud.calls.made.clear()
    monkeypatch.chdir(files)
    result = bridge.run(*command.split(), *(["--json"] if as_json else []))
    assert [name for name, _ in cloud.calls.made if not name.startswith(READS)] == []
    assert as_json or result.exit_code != 0
