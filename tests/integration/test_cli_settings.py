"""`bridge settings` and `bridge preview` against what is stored, and against what the forwarder really sends."""

import json
from pathlib import Path

import pytest

from bridge_cli.dry_run import forecast
from bridge_cli.sample import samples
from bridge_cli.settings_diff import Situation
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import parse
from purchasely_sender import encode
from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cloud import STAGE, Cloud
from tests.integration.installation import Installation
from tests.integration.webhook import message

PARAMETER = f"/purchasely-clevertap/{STAGE}/default/settings"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with settings that rename one event."""
    written = tmp_path / "settings.json"
    written.write_text('{"events": {"TRIAL_STARTED": {"name": "Trial Started"}}}\n')
    return written


def test_what_is_shown_can_be_put_again(bridge: Installation) -> None:
    bridge.cloud.put_settings({"region": "eu1", "sandbox": "skip"})
    result = bridge.run("settings", "show")
    assert json.loads(result.stdout) == {"region": "eu1", "sandbox": "skip"}
    assert result.stderr == f"{PARAMETER}, version 3\n"


def test_settings_can_be_shown_with_their_defaults(bridge: Installation) -> None:
    shown = json.loads(bridge.run("settings", "show", "--all").stdout)
    assert shown["late_events"] == {"after_minutes": 110, "action": "send"}


def test_an_app_without_settings_has_the_defaults(bridge: Installation) -> None:
    result = bridge.run("settings", "show", "second-app")
    assert (json.loads(result.stdout), result.exit_code) == ({}, 0)
    assert "the defaults hold" in result.stderr


def test_invalid_settings_are_shown_with_what_holds(bridge: Installation) -> None:
    bridge.cloud.put_settings('{"regoin": "in1"')
    result = bridge.run("settings", "show")
    assert (result.exit_code, result.stdout) == (1, '{"regoin": "in1"\n')
    assert "Not valid: the settings: found no JSON" in result.stderr
    document = bridge.json("settings", "show", exit_code=1)
    assert (document["valid"], document["stored"], document["version"]) == (False, '{"regoin": "in1"', 3)
    assert document["in_force"]["region"] == "eu1"


def test_diff_writes_nothing(bridge: Installation, file: Path) -> None:
    document = bridge.json("settings", "diff", str(file))
    assert {change["setting"] for change in document["settings"]} == {
        "events.TRIAL_STARTED.send",
        "events.TRIAL_STARTED.name",
    }
    changed = [event for event in document["events"] if event["changes"]]
    assert [(event["event"], event["situation"]) for event in changed] == [("TRIAL_STARTED", "purchase")]
    assert changed[0]["changes"][0]["words"] == "renamed: TRIAL_STARTED → Trial Started"
    assert len(document["events"]) == len(samples())
    assert bridge.settings() == '{"region": "eu1"}'


def test_people_see_the_settings_and_their_effect(bridge: Installation, file: Path) -> None:
    result = bridge.run("settings", "diff", str(file))
    assert "renamed: TRIAL_STARTED → Trial Started" in result.stdout
    assert f"Unchanged: {len(samples()) - 1} of {len(samples())} sample events." in result.stdout


def test_what_changes_nothing_is_said_to(bridge: Installation, file: Path) -> None:
    file.write_text('{"region": "EU1"}')
    assert bridge.run("settings", "diff", str(file)).stdout == "No setting changes.\n"
    file.write_text('{"events": {"NOT_AMONG_THEM": {"name": "New"}}}')
    assert "None of the 49 sample events changes for CleverTap." in bridge.run("settings", "diff", str(file)).stdout


def test_no_sandbox_account_changes_nothing_there(bridge: Installation, file: Path) -> None:
    file.write_text('{"sandbox": "skip"}')
    situations = {
        event["situation"] for event in bridge.json("settings", "diff", str(file))["events"] if event["changes"]
    }
    assert situations == {Situation.TEST_PURCHASE.name.lower()}
    bridge.set_up(sandbox=False)
    document = bridge.json("settings", "diff", str(file))
    assert not any(event["changes"] for event in document["events"])


def test_settings_are_written_as_in_the_file(bridge: Installation, file: Path) -> None:
    document = bridge.json("settings", "put", str(file), "--yes")
    assert (document["written"], document["version"]) == (True, 3)
    assert bridge.settings() == file.read_text()


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_a_person_sees_the_difference_and_decides(bridge: Installation, file: Path, typed: str, code: int) -> None:
    bridge.answer_questions()
    result = bridge.run("settings", "put", str(file), typed=typed)
    assert result.exit_code == code
    assert "renamed: TRIAL_STARTED → Trial Started" in result.stdout
    assert (bridge.settings() == file.read_text()) is (code == 0)


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_nothing_is_written_without_an_answer(bridge: Installation, file: Path, arguments: tuple[str, ...]) -> None:
    result = bridge.run("settings", "put", str(file), *arguments)
    assert result.exit_code == (0 if arguments else 1)
    assert bridge.settings() == '{"region": "eu1"}'
    if arguments:
        assert json.loads(result.stdout)["written"] is False


def test_what_is_not_valid_is_not_written(bridge: Installation, file: Path) -> None:
    file.write_text('{"regoin": "in1"}')
    result = bridge.run("settings", "put", str(file), "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "regoin: unknown key" in result.stderr
    assert bridge.settings() == '{"region": "eu1"}'


def test_a_region_that_refuses_is_not_written(bridge: Installation, file: Path) -> None:
    accounts = {"production": {"account_id": "PROJECT-1", "passcode": "mistyped"}}
    bridge.cloud.put_secret("clevertap", accounts)
    file.write_text('{"region": "in1"}')
    result = bridge.run("settings", "put", str(file), "--yes")
    assert result.exit_code == 1
    assert "production project PROJECT-1 in region in1: CleverTap refuses the credentials (401)" in result.stderr
    assert "mistyped" not in result.output
    assert bridge.settings() == '{"region": "eu1"}'
    # In the region where it was, nothing new has to be proven.
    file.write_text('{"sandbox": "skip"}')
    assert bridge.run("settings", "put", str(file), "--yes").exit_code == 0


def test_a_region_is_tried_for_each_project_that_moves(bridge: Installation, file: Path) -> None:
    file.write_text('{"region": "eu1", "sandbox_region": "us1"}')
    assert bridge.run("settings", "put", str(file), "--yes").exit_code == 0
    assert [(request.account, request.dry_run) for request in bridge.clevertap.requests()] == [("TEST-2", True)]


def test_long_settings_lose_their_white_space(bridge: Installation, file: Path) -> None:
    names = {f"EVENT_{number}": {"name": f"Event {number}"} for number in range(80)}
    file.write_text(json.dumps({"events": names}, indent=4))
    assert len(file.read_text()) > 4096
    assert bridge.run("settings", "put", str(file), "--yes").exit_code == 0
    assert len(bridge.settings()) < 4096
    assert json.loads(bridge.settings()) == {"events": names}
    names |= {f"EVENT_{number}": {"name": f"Event {number}"} for number in range(300)}
    file.write_text(json.dumps({"events": names}))
    result = bridge.run("settings", "put", str(file), "--yes")
    *warnings, refusal = result.stderr.splitlines()
    assert (result.exit_code, len(warnings)) == (1, 21)
    assert "a parameter at most 8192" in refusal


@pytest.mark.parametrize(
    "document",
    [
        {},
        {
            "events": {
                "*": {"send": False},
                "TRIAL_STARTED": {"send": True, "name": "Trial"},
                "ACTIVATE": {"send": True},
            },
            "event_properties": {"rename": {"plan": "Plan"}, "omit": ["store"]},
            "profile": {"rename": {"plan": "Plan"}, "omit": ["last_event"]},
        },
        {"profile": {"send": False}, "revenue": {"currency": "integration"}},
    ],
)
def test_a_preview_is_what_the_forwarder_sends(
    cloud: Cloud, clevertap: ScriptedClevertap, document: dict[str, object]
) -> None:
    cloud.put_settings(document)
    mapper, worker = Mapper(parse(json.dumps(document))), cloud.worker(clevertap)
    for number, (name, payload) in enumerate(samples().items()):
        # A user of its own each: the forecast is of one who was not heard of before.
        body = encode(payload | {"user_id": f"user-{number}", "purchasely_subscription_id": f"subs_{number}"})
        found = forecast(body, mapper)
        before = len(clevertap.taken)
        outcome = worker.outcome(message(body, id=f"message-of-{name}"))
        assert (outcome.name, getattr(outcome, "reason", None)) == (found.outcome, found.reason)
        assert [sent.record for sent in clevertap.taken[before:]] == [record.content for record in found.records]
