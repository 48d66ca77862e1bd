"""`bridge setup` from the first question to the test webhook, with AWS by moto and an emulated CleverTap."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge_cli import probe
from bridge_cli.sample import renewed, samples
from purchasely_sender import encode
from tests.integration.cloud import STAGE, Cloud
from tests.integration.installation import PLACEHOLDERS, STACK, Installation, installed


@pytest.fixture
def bridge(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with installed(cloud, monkeypatch) as installation:
        yield installation


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """All that an app needs, as options."""
    files = {"passcode": "passcode-1", "secret": "secret-1"}
    for name, content in files.items():
        (tmp_path / name).write_text(f"{content}\n")
    return [
        *("--clevertap-region", "EU1", "--project-id", "PROJECT-1"),
        *("--passcode-file", str(tmp_path / "passcode"), "--purchasely-secret-file", str(tmp_path / "secret")),
        "--yes",
    ]


def test_a_script_without_yes_writes_nothing(bridge: Installation, options: Sequence[str]) -> None:
    document = bridge.json("setup", *options[:-1], exit_code=1)
    assert document["error"]["code"] == "declined"
    assert bridge.secret("purchasely") == {"shared_secrets": ["REPLACE_ME"]}
    assert bridge.run("setup", *options).exit_code == 0
    assert bridge.run("setup", *options[:-1]).exit_code == 0, "there is nothing to write"


def test_a_fresh_stack_is_set_up_and_proven(bridge: Installation, options: Sequence[str]) -> None:
    result = bridge.run("setup", *options)
    assert result.exit_code == 0, result.output
    assert bridge.secret("purchasely") == {"shared_secrets": ["secret-1"]}
    assert bridge.secret("clevertap") == {"production": {"account_id": "PROJECT-1", "passcode": "passcode-1"}}
    assert json.loads(bridge.settings()) == {"region": "eu1"}
    assert "answered 200, and its event skipped, as it should: no_sandbox_account" in result.stdout
    assert f"\n  {bridge.url}/default\n" in result.stdout
    assert "no CleverTap project" in result.stdout
    assert [(request.dry_run, request.taken) for request in bridge.clevertap.requests()] == [(True, 0)]
    assert bridge.uploaded == []


def test_scripts_get_the_url_the_proofs_and_no_secret(bridge: Installation, options: Sequence[str]) -> None:
    document = bridge.json("setup", "second-app", *options)
    assert document["webhook_url"] == f"{bridge.url}/second-app"
    assert document["projects"] == {"production": {"project_id": "PROJECT-1", "region": "eu1", "accepted": True}}
    assert document["written"] == [
        f"purchasely-clevertap/{STAGE}/second-app/clevertap",
        f"/purchasely-clevertap/{STAGE}/second-app/settings",
        f"purchasely-clevertap/{STAGE}/second-app/purchasely",
    ]
    told: Any = document["test_webhook"]
    assert (told["good"], told["status"], told["outcome"], told["reason"]) == (
        True,
        200,
        "skipped",
        "no_sandbox_account",
    )
    assert bridge.cloud.entry(told["event_id"], app="second-app")["outcome"] == "skipped"
    assert "passcode-1" not in json.dumps(document)
    assert "secret-1" not in json.dumps(document)


def test_a_person_is_asked_and_never_shown_a_secret(bridge: Installation) -> None:
    bridge.answer_questions()
    answers = ["in1", "PROJECT-1", "passcode-1", "y", "TEST-2", "passcode-2", "us1", "secret-1"]
    result = bridge.run("setup", typed="".join(f"{answer}\n" for answer in answers))
    assert result.exit_code == 0, result.output
    assert json.loads(bridge.settings()) == {"region": "in1", "sandbox_region": "us1"}
    assert bridge.secret("clevertap")["sandbox"] == {"account_id": "TEST-2", "passcode": "passcode-2"}
    assert "passcode-" not in result.output
    assert "secret-1" not in result.output


@pytest.mark.parametrize("wrong", ["passcode", "project"])
def test_refused_credentials_are_not_written(
    bridge: Installation, options: list[str], tmp_path: Path, wrong: str
) -> None:
    if wrong == "passcode":
        (tmp_path / "passcode").write_text("mistyped")
    else:
        options[3] = "PROJECT-9"
    result = bridge.run("setup", *options)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "CleverTap refuses the credentials (401)" in result.stderr
    assert "mistyped" not in result.output
    assert {name: bridge.secret(name) for name in PLACEHOLDERS} == PLACEHOLDERS
    assert bridge.settings() == "{}"


def test_other_settings_and_other_accounts_stay(bridge: Installation, options: Sequence[str]) -> None:
    bridge.set_up()
    bridge.cloud.put_settings({"region": "in1", "sandbox": "skip", "profile": {"send": False}})
    assert bridge.run("setup", *options).exit_code == 0
    assert json.loads(bridge.settings()) == {"region": "eu1", "sandbox": "skip", "profile": {"send": False}}
    assert bridge.secret("clevertap")["sandbox"] == {"account_id": "TEST-2", "passcode": "passcode-2"}


def test_setting_up_again_writes_nothing(bridge: Installation, options: Sequence[str]) -> None:
    bridge.set_up()
    version = bridge.cloud.ssm.get_parameter(Name=f"/purchasely-clevertap/{STAGE}/default/settings")["Parameter"]
    document = bridge.json("setup", *options)
    assert document["written"] == []
    assert set(document["projects"]) == {"production", "sandbox"}
    assert document["test_webhook"]["outcome"] == "skipped"
    again = bridge.cloud.ssm.get_parameter(Name=f"/purchasely-clevertap/{STAGE}/default/settings")["Parameter"]
    assert again["Version"] == version["Version"]


def test_a_new_secret_stands_beside_the_former_one(bridge: Installation, options: Sequence[str]) -> None:
    bridge.set_up(shared_secret="former")
    result = bridge.run("setup", *options)
    assert bridge.secret("purchasely") == {"shared_secrets": ["secret-1", "former"]}
    assert "bridge rotate purchasely default --retire" in result.stdout


def test_an_ingest_unaware_of_the_app_is_waited_for(bridge: Installation, options: Sequence[str]) -> None:
    assert bridge.post(b"{}", secret="secret-1", app="second-app") == 404
    document = bridge.json("setup", "second-app", *options)
    assert document["test_webhook"]["outcome"] == "skipped"
    assert 20 < bridge.seconds - 1000 < 45


def test_an_event_without_an_outcome_is_an_error(bridge: Installation, options: Sequence[str]) -> None:
    bridge.forwards = False
    document = bridge.json("setup", *options, exit_code=1)
    told = document["test_webhook"]
    assert (told["good"], told["status"], told["outcome"]) == (False, 200, None)
    assert "bridge trace" in told["words"]


def test_an_event_that_is_not_skipped_is_an_error(
    bridge: Installation, options: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = renewed(samples()["TRIAL_STARTED"])
    monkeypatch.setattr(probe, "harmless", lambda: probe.Probe(event["event_id"], encode(event)))
    told = bridge.json("setup", *options, exit_code=1)["test_webhook"]
    assert (told["good"], told["outcome"]) == (False, "delivered")
    assert "was not skipped, it is delivered" in told["words"]


def test_a_refused_webhook_undoes_nothing(
    bridge: Installation, options: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Installation, "take", lambda *_: 429)
    result = bridge.run("setup", *options)
    assert result.exit_code == 1
    assert "(429)" in result.stdout
    assert "Paste" not in result.stdout
    assert bridge.secret("purchasely") == {"shared_secrets": ["secret-1"]}


def test_without_the_table_ingests_answer_remains(bridge: Installation, options: Sequence[str]) -> None:
    bridge.cloud.calls.next("GetItem", "AccessDeniedException")
    result = bridge.run("setup", *options)
    assert result.exit_code == 0, result.output
    assert "answered 200; what became of its event was not looked up: AWS refused GetItem" in result.stdout


def test_invalid_settings_stop_it_at_once(bridge: Installation, options: Sequence[str]) -> None:
    bridge.cloud.put_settings('{"regoin": "in1"}')
    result = bridge.run("setup", *options)
    assert result.exit_code == 1
    assert "regoin: unknown key" in result.stderr
    assert bridge.clevertap.requests() == []
    assert bridge.secret("purchasely") == PLACEHOLDERS["purchasely"]


def test_a_stack_that_is_not_whole_is_not_set_up(bridge: Installation, options: Sequence[str]) -> None:
    bridge.deployed.status = "ROLLBACK_COMPLETE"
    result = bridge.run("setup", *options)
    assert result.exit_code == 1
    assert result.stderr == f"bridge: stack {STACK} is ROLLBACK_COMPLETE: deploy it again first\n"


@pytest.mark.parametrize("app", ["Second", "a" * 41, "a/b", "a_b", ""])
def test_what_can_be_no_app_is_refused(bridge: Installation, app: str) -> None:
    result = bridge.run("setup", app)
    assert result.exit_code == 2
    assert "1 to 40 of a-z, 0-9 and -" in result.stderr


def test_a_secret_that_is_no_json_is_not_overwritten(bridge: Installation, options: Sequence[str]) -> None:
    bridge.cloud.put_secret("purchasely", "secret-of-somebody")
    result = bridge.run("setup", *options)
    assert result.exit_code == 1
    assert "is not JSON" in result.stderr
    assert "secret-of-somebody" not in result.output


@pytest.mark.parametrize("key", ["", "arn:aws:kms:eu-west-1:123456789012:key/ours"])
def test_a_further_app_has_the_stacks_key(bridge: Installation, options: Sequence[str], key: str) -> None:
    bridge.deployed.key = key
    assert bridge.run("setup", "second-app", *options).exit_code == 0
    client = bridge.cloud.secretsmanager
    for name in ("clevertap", "purchasely"):
        described = client.describe_secret(SecretId=f"purchasely-clevertap/{STAGE}/second-app/{name}")
        assert described.get("KmsKeyId", "") == key


@pytest.mark.parametrize(
    ("content", "said"), [("two words", "has a space"), ("", "is empty"), (None, "cannot be read")]
)
def test_a_file_without_a_secret_is_refused(
    bridge: Installation, options: Sequence[str], tmp_path: Path, content: str | None, said: str
) -> None:
    (tmp_path / "passcode").unlink()
    if content is not None:
        (tmp_path / "passcode").write_text(content)
    result = bridge.run("setup", *options)
    assert result.exit_code == 1
    assert result.stderr.startswith("bridge: --passcode-file")
    assert said in result.stderr
    assert content is None or not content or content not in result.stderr


def test_a_secret_may_come_from_stdin(bridge: Installation, options: list[str]) -> None:
    options[options.index("--passcode-file") + 1] = "-"
    result = bridge.run("setup", *options, typed="passcode-1\n")
    assert result.exit_code == 0, result.output
