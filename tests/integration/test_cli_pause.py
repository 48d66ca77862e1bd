"""`bridge pause` and `bridge resume`: the forwarder stops and goes on, and whoever looks is told."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.integration.cloud import Cloud
from tests.integration.installation import Deployed, Installation, installed


@pytest.fixture
def bridge(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with installed(cloud, monkeypatch) as installation:
        installation.set_up()
        yield installation


def states(bridge: Installation) -> set[str]:
    return set(bridge.deployed.switched.values())


def test_a_pause_stops_both_queues_until_resume(bridge: Installation) -> None:
    paused = bridge.json("pause", "--yes")
    assert paused["paused"] is True
    assert [(each["queue"], each["state"]) for each in paused["event_sources"]] == [
        ("events", "Disabled"),
        ("dead letters", "Disabled"),
    ]
    bridge.cloud.sqs.send_message(QueueUrl=bridge.cloud.events_url, MessageBody="{}")
    resumed = bridge.json("resume", "--yes")
    assert (resumed["paused"], resumed["waiting"]) == (False, 1)
    assert {each["state"] for each in resumed["event_sources"]} == {"Enabled"}


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_script_without_yes_changes_nothing(bridge: Installation, command: str) -> None:
    if command == "resume":
        bridge.json("pause", "--yes")
    before = states(bridge)
    assert bridge.json(command, exit_code=1)["error"]["code"] == "declined"
    assert states(bridge) == before


def test_a_person_is_asked(bridge: Installation) -> None:
    bridge.answer_questions()
    assert bridge.run("pause", typed="n\n").exit_code == 1
    assert states(bridge) == set()
    assert "bridge resume" in bridge.run("pause", typed="y\n").stdout
    assert states(bridge) == {"Disabled"}


def test_what_is_paused_is_not_asked_about_again(bridge: Installation) -> None:
    assert bridge.run("resume").exit_code == 0, "it runs"
    bridge.json("pause", "--yes")
    assert bridge.run("pause").exit_code == 0, "it is paused"


def test_check_and_status_know_of_it(bridge: Installation) -> None:
    assert bridge.json("status")["paused"] is False
    bridge.json("pause", "--yes")
    findings = {each["subject"]: each for each in bridge.json("check", exit_code=1)["findings"]}
    assert findings["forwarder takes events"]["todo"] == "bridge resume"
    assert bridge.json("status")["paused"] is True
    assert "bridge resume" in bridge.run("status").stdout


def test_a_change_under_way_is_waited_for(bridge: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    update, refusals = Deployed.update_event_source_mapping, iter([True, True])

    def in_use(self: Deployed, UUID: str, Enabled: bool) -> object:  # noqa: N803 - boto3's names
        if next(refusals, False):
            raise ClientError({"Error": {"Code": "ResourceInUseException"}}, "UpdateEventSourceMapping")
        return update(self, UUID, Enabled)

    monkeypatch.setattr(Deployed, "update_event_source_mapping", in_use)
    assert bridge.json("pause", "--yes")["paused"] is True
    assert states(bridge) == {"Disabled"}


def test_a_change_without_end_is_given_up(bridge: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deployed, "update_event_source_mapping", lambda _self, **_: {"State": "Disabling"})
    assert "still at it" in bridge.json("pause", "--yes", exit_code=1)["error"]["message"]


def test_without_the_right_nothing_is_paused(bridge: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_self: Deployed, **_: object) -> object:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "UpdateEventSourceMapping")

    monkeypatch.setattr(Deployed, "update_event_source_mapping", denied)
    assert bridge.json("pause", "--yes", exit_code=3)["error"]["code"] == "AccessDeniedException"


def test_without_a_mapping_there_is_nothing_to_pause(bridge: Installation) -> None:
    bridge.deployed.mappings = []
    assert "deploy again" in bridge.json("pause", "--yes", exit_code=1)["error"]["message"]
