"""`bridge send` through ingest to CleverTap."""

import json
from pathlib import Path

import pytest

from bridge_cli.sample import samples
from purchasely_sender import encode
from tests.integration.installation import Installation


def test_a_sample_event_goes_all_the_way(bridge: Installation) -> None:
    document = bridge.json("send", "TRANSACTION_PROCESSED")
    (webhook,) = document["webhooks"]
    assert (webhook["event_name"], webhook["status"]) == ("TRANSACTION_PROCESSED", 200)
    assert bridge.cloud.entry(webhook["event_id"])["outcome"] == "delivered"
    assert bridge.uploaded == ["TRANSACTION_PROCESSED", "Charged"]


def test_people_see_each_answer(bridge: Installation) -> None:
    result = bridge.run("send", "TRIAL_STARTED", "ACTIVATE")
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [["200", "TRIAL_STARTED"], ["200", "ACTIVATE"]]


def test_a_test_purchase_goes_to_the_project_for_those(bridge: Installation) -> None:
    bridge.run("send", "--sandbox", "TRIAL_STARTED")
    assert [stored.record["type"] for stored in bridge.clevertap.records("TEST-2")] == ["profile", "event"]
    assert bridge.clevertap.records("PROJECT-1") == []


def test_a_lifecycle_is_sent_in_order(bridge: Installation) -> None:
    document = bridge.json("send", "lifecycle", "trial_converts", "--user-id", "me")
    names = [webhook["event_name"] for webhook in document["webhooks"] if webhook["event_name"] != "ACTIVATE"]
    assert bridge.uploaded == [
        uploaded for name in names for uploaded in ([name, "Charged"] if name == "TRANSACTION_PROCESSED" else [name])
    ]
    assert {stored.record["identity"] for stored in bridge.clevertap.records("PROJECT-1")} == {"me"}


def test_a_file_that_is_sent_twice_is_delivered_once(bridge: Installation, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(encode(samples()["TRIAL_STARTED"]))
    for _ in range(2):
        assert bridge.run("send", str(file)).exit_code == 0
    assert bridge.uploaded == ["TRIAL_STARTED"]


def test_a_refusal_holds_back_what_follows(bridge: Installation) -> None:
    bridge.cloud.calls.always("SendMessage", "InternalFailure")
    document = bridge.json("send", "lifecycle", "trial_converts", exit_code=1)
    first, *others = document["webhooks"]
    assert first["status"] == 503
    assert {(webhook["status"], webhook["answer"]) for webhook in others} == {(None, "held back")}
    result = bridge.run("send", "TRIAL_STARTED")
    assert result.exit_code == 1
    assert result.stdout.startswith("503 TRIAL_STARTED")


def test_it_is_signed_with_the_current_secret(bridge: Installation) -> None:
    bridge.cloud.put_secret("purchasely", {"shared_secrets": ["REPLACE_ME", "current", "former"]})
    assert bridge.run("send", "ACTIVATE").exit_code == 0


def test_production_needs_a_yes(bridge: Installation) -> None:
    bridge.deployed.endpoint = ""
    assert "give --yes" in bridge.json("send", "TRIAL_STARTED", exit_code=1)["error"]["message"]
    result = bridge.run("send", "TRIAL_STARTED")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "1 production event goes to CleverTap's production project; give --yes, or --sandbox" in result.stderr
    assert bridge.uploaded == []
    assert bridge.run("send", "TRIAL_STARTED", "--sandbox").exit_code == 0
    assert bridge.run("send", "TRIAL_STARTED", "--yes").exit_code == 0
    assert bridge.uploaded == ["TRIAL_STARTED", "TRIAL_STARTED"]


@pytest.mark.parametrize(("typed", "sent"), [("y\n", 1), ("\n", 0)])
def test_a_person_decides(bridge: Installation, typed: str, sent: int) -> None:
    bridge.deployed.endpoint = ""
    bridge.answer_questions()
    result = bridge.run("send", "TRIAL_STARTED", typed=typed)
    assert result.exit_code == (0 if sent else 1)
    assert len(bridge.uploaded) == sent


@pytest.mark.parametrize(
    ("arguments", "exit_code", "error"),
    [
        (("TRIAL_STARTED", "--app", "nobody"), 1, "not_set_up"),
        (("lifecycle", "no_such"), 1, "not_found"),
        (("lifecycle",), 2, "usage"),
        (("TRIAL_STARTED", "no-such-file"), 1, "not_found"),
    ],
)
def test_what_cannot_be_sent_is_an_error(
    bridge: Installation, arguments: tuple[str, ...], exit_code: int, error: str
) -> None:
    assert bridge.json("send", *arguments, exit_code=exit_code)["error"]["code"] == error
    result = bridge.run("send", *arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (exit_code, "", 1)
    assert bridge.uploaded == []


def test_no_secret_is_shown(bridge: Installation) -> None:
    shown = bridge.run("send", "TRIAL_STARTED").output + json.dumps(bridge.json("send", "ACTIVATE"))
    assert "secret-1" not in shown
