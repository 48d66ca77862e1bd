"""`bridge rotate` under traffic: no webhook is refused, nothing is taken away before its successor is proven."""

import json
import time
from pathlib import Path
from unittest.mock import ANY

import pytest

from bridge_cli.sample import renewed, samples
from bridge_cli.times import iso, readable
from purchasely_clevertap.ingest import Request
from purchasely_sender import encode, signed
from tests.integration.cli import log
from tests.integration.installation import ACCOUNTS, SECRET, Installation

MINUTES = 60.0


@pytest.fixture
def new(tmp_path: Path) -> str:
    """A file with a new secret."""
    (tmp_path / "new").write_text("new-secret\n")
    return str(tmp_path / "new")


def answer(bridge: Installation, secret: str) -> int:
    """Ingest's answer to a webhook that Purchasely signs with `secret` now."""
    return bridge.post(encode(renewed(samples()["TRIAL_STARTED"])), secret=secret)


def test_no_webhook_is_refused_from_beginning_to_end(bridge: Installation, new: str) -> None:
    # an ingest function that has just read the secret, which it then asks for no more for ten seconds.
    assert answer(bridge, SECRET) == 200
    assert answer(bridge, "somebody-else's") == 401

    assert bridge.run("rotate", "purchasely", "--secret-file", new, "--yes").exit_code == 0
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret", SECRET]}
    # While it is changed in Purchasely's console, both come.
    assert [answer(bridge, "new-secret"), answer(bridge, SECRET)] == [200, 200]

    assert bridge.run("rotate", "purchasely", "--retire", "--yes").exit_code == 0
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret"]}
    assert answer(bridge, "new-secret") == 200
    bridge.wait(5 * MINUTES)
    assert [answer(bridge, "new-secret"), answer(bridge, SECRET)] == [200, 401]


def test_a_secret_taken_without_probe_is_taken_then(bridge: Installation, new: str) -> None:
    other = bridge.ingest()

    def answered(secret: str) -> int:
        webhook = signed(b"{}", secret, int(time.time()))
        return other.receive(Request("default", webhook.headers, webhook.body), now=time.time()).status

    assert [answered(SECRET), answered("somebody-else's"), answered("new-secret")] == [200, 401, 401]
    bridge.run("rotate", "purchasely", "--secret-file", new, "--yes")
    assert [answered("new-secret"), answered(SECRET)] == [200, 200]


def test_each_accepted_secret_is_proven_at_ingest(bridge: Installation, new: str) -> None:
    document = bridge.json("rotate", "purchasely", "--secret-file", new, "--yes")
    assert (document["accepted"], document["written"]) == (2, True)
    assert [(proof["position"], proof["status"]) for proof in document["proofs"]] == [(0, 200), (1, 200)]
    assert "new-secret" not in json.dumps(document)
    assert bridge.uploaded == []


def test_a_secret_never_taken_keeps_both(bridge: Installation, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "take", lambda *_: 401)
    result = bridge.run("rotate", "purchasely", "--secret-file", new, "--yes")
    assert result.exit_code == 1
    assert "change nothing in Purchasely's console" in result.stderr
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret", SECRET]}


def test_an_interrupted_rotation_goes_on(bridge: Installation, new: str) -> None:
    bridge.run("rotate", "purchasely", "--secret-file", new, "--yes")
    document = bridge.json("rotate", "purchasely", "--secret-file", new, "--yes")
    assert (document["accepted"], document["written"], len(document["proofs"])) == (2, False, 2)


def test_the_present_secret_is_no_new_one(bridge: Installation, tmp_path: Path) -> None:
    (tmp_path / "same").write_text(SECRET)
    result = bridge.run("rotate", "purchasely", "--secret-file", str(tmp_path / "same"), "--yes")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "the current secret already" in result.stderr


def test_a_person_types_the_secret_unseen(bridge: Installation) -> None:
    bridge.answer_questions()
    result = bridge.run("rotate", "purchasely", typed="new-secret\ny\n")
    assert result.exit_code == 0, result.output
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret"]}
    assert "new-secret" not in result.output


@pytest.mark.parametrize("typed", ["n\n", "\n"])
def test_a_person_who_does_not_agree_keeps_both(bridge: Installation, new: str, typed: str) -> None:
    bridge.answer_questions()
    result = bridge.run("rotate", "purchasely", "--secret-file", new, "--yes", typed=typed)
    assert result.exit_code == 0, result.output
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret", SECRET]}
    assert bridge.run("rotate", "purchasely", "--retire", typed=typed).exit_code == 1
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret", SECRET]}


def test_nothing_is_retired_without_an_answer(bridge: Installation, new: str) -> None:
    bridge.run("rotate", "purchasely", "--secret-file", new, "--yes")
    result = bridge.run("rotate", "purchasely", "--retire")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "give --yes" in result.stderr
    assert bridge.json("rotate", "purchasely", "--retire") == {
        "app": "default",
        "accepted": 2,
        "written": False,
        "proofs": [],
        "former_use": {"known": False, "last_at": None, "words": ANY},
    }
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret", SECRET]}


@pytest.fixture
def later(bridge: Installation, new: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """An hour after a new secret was accepted beside the old one; epoch milliseconds."""
    bridge.run("rotate", "purchasely", "--secret-file", new, "--yes")
    moment = time.time_ns() // 1_000_000 + 3_600_000
    monkeypatch.setattr("bridge_cli.commands.rotate.now_ms", lambda: moment)
    return moment


def accepted(app: str = "default", signed_with: str | None = "former") -> dict[str, str]:
    """A line of ingest's log."""
    return {"message": "accepted", "app": app} | ({} if signed_with is None else {"signed_with": signed_with})


def test_a_secret_in_use_is_not_retired_unknowingly(bridge: Installation, later: int) -> None:
    last = later - 60_000
    log("IngestLogGroup", last - 2, [accepted(), accepted(), accepted(), accepted("other"), accepted(signed_with=None)])
    use = bridge.json("rotate", "purchasely", "--retire")["former_use"]
    assert (use["known"], use["last_at"]) == (True, iso(last))
    bridge.answer_questions()
    result = bridge.run("rotate", "purchasely", "--retire", typed="n\n")
    assert result.exit_code == 1
    assert f"still signed with a former secret, the last at {readable(last)}" in result.stdout
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret", SECRET]}


def test_an_unused_secret_is_known_for_it(bridge: Installation, later: int) -> None:
    # Other apps have former secrets, too; and what proved this one was signed with it on purpose.
    log("IngestLogGroup", later - 3_590_000, [accepted()])
    log("ForwarderLogGroup", later - 60_000, [accepted()])
    bridge.answer_questions()
    result = bridge.run("rotate", "purchasely", "--retire", typed="y\n")
    assert result.exit_code == 0, result.output
    assert "No webhook of the last 5" in result.stdout
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret"]}


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_a_ingest_that_logs_too_little_is_no_proof(bridge: Installation, later: int, level: str) -> None:
    log("IngestLogGroup", later - 60_000, [accepted()])
    bridge.deployed.log_level = level
    use = bridge.json("rotate", "purchasely", "--retire")["former_use"]
    assert (use["known"], use["last_at"]) == (False, None)
    assert f"LogLevel={level}" in use["words"]


def test_a_log_that_can_not_be_read_is_no_proof(bridge: Installation, later: int) -> None:
    assert later
    use = bridge.json("rotate", "purchasely", "--retire", "--yes")["former_use"]
    assert (use["known"], "ResourceNotFoundException" in use["words"]) == (False, True)
    assert bridge.secret("purchasely") == {"shared_secrets": ["new-secret"]}


def test_the_only_secret_is_not_retired(bridge: Installation) -> None:
    result = bridge.run("rotate", "purchasely", "--retire", "--yes")
    assert result.exit_code == 1
    assert "there is none to retire" in result.stderr


@pytest.mark.parametrize("command", [("purchasely",), ("clevertap",)])
def test_an_app_without_secrets_has_none_to_rotate(bridge: Installation, new: str, command: tuple[str, ...]) -> None:
    option = "--secret-file" if command == ("purchasely",) else "--passcode-file"
    result = bridge.run("rotate", *command, "other-app", option, new)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "bridge setup other-app" in result.stderr


def test_without_a_terminal_a_file_has_the_secret(bridge: Installation) -> None:
    result = bridge.run("rotate", "purchasely")
    assert result.exit_code == 2
    assert "give --secret-file" in result.stderr


@pytest.fixture
def passcode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A file with a new passcode of both projects, which CleverTap knows."""
    for account in ACCOUNTS:
        monkeypatch.setitem(ACCOUNTS, account, "new-passcode")
    (tmp_path / "passcode").write_text("new-passcode\n")
    return str(tmp_path / "passcode")


def test_a_passcode_is_written_once_accepted(passcode: str, bridge: Installation) -> None:
    document = bridge.json("rotate", "clevertap", "--passcode-file", passcode, "--yes")
    assert document == {"app": "default", "project": "production", "project_id": "PROJECT-1", "written": True}
    assert bridge.secret("clevertap")["production"] == {"account_id": "PROJECT-1", "passcode": "new-passcode"}
    assert bridge.secret("clevertap")["sandbox"]["passcode"] == "passcode-2"


def test_the_sandbox_has_its_own_passcode(passcode: str, bridge: Installation) -> None:
    assert bridge.run("rotate", "clevertap", "--sandbox", "--passcode-file", passcode, "--yes").exit_code == 0
    assert bridge.secret("clevertap")["sandbox"] == {"account_id": "TEST-2", "passcode": "new-passcode"}
    assert bridge.secret("clevertap")["production"]["passcode"] == "passcode-1"


def test_a_refused_passcode_is_not_written(bridge: Installation, new: str) -> None:
    result = bridge.run("rotate", "clevertap", "--passcode-file", new, "--yes")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "refuses the credentials (401)" in result.stderr
    assert "new-secret" not in result.output
    assert bridge.secret("clevertap")["production"]["passcode"] == "passcode-1"


def test_the_present_passcode_is_tried_and_not_written(bridge: Installation, tmp_path: Path) -> None:
    (tmp_path / "same").write_text("passcode-1")
    assert bridge.json("rotate", "clevertap", "--passcode-file", str(tmp_path / "same"), "--yes")["written"] is False


def test_no_sandbox_project_has_no_passcode(bridge: Installation, passcode: str) -> None:
    bridge.set_up(sandbox=False)
    result = bridge.run("rotate", "clevertap", "--sandbox", "--passcode-file", passcode, "--yes")
    assert result.exit_code == 1
    assert "has no sandbox project" in result.stderr
