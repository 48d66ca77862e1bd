"""`bridge forget`: what is kept of one person goes, and nothing of anybody else."""

import json
from typing import Any

import pytest

from bridge_cli.commands.forget import REMAINS
from bridge_cli.subscribers import remembered
from bridge_cli.times import now_ms
from purchasely_clevertap.clevertap.response import Rejected
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cli import Cli, count, forward, park, tables
from tests.integration.cloud import Clock, Cloud, Worker
from tests.integration.webhook import encoded, event, message


@pytest.fixture
def clock() -> Clock:
    return Clock(now_ms())


def test_forget_removes_the_person_and_nobody_else(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.otherwise = answer(Rejected(512, "no"), of="SUBSCRIPTION_PAUSED")
    forward(
        worker,
        cloud,
        event(user=None, anonymous_user_id="a-gone", clevertap_id="__hgone", event_id="e-1"),
        event(user="user-gone", anonymous_user_id="a-gone", clevertap_id="__hgone", event_id="e-2"),
        event(user="user-gone", environment="SANDBOX", event_id="e-3"),
        event("SUBSCRIPTION_PAUSED", user="user-gone", event_id="e-4"),
        event("SUBSCRIPTION_PAUSED", user="user-kept", event_id="e-5"),
        event(user="user-gone-not", event_id="e-6"),
    )

    document = cli.json("forget", "user-gone", "--yes")

    assert document["done"]
    assert document["subscribers"] == [
        "default#production#anonymous#a-gone",
        "default#production#object#__hgone",
        "default#production#user#user-gone",
        "default#sandbox#user#user-gone",
    ]
    assert document["events"] == ["e-1", "e-2", "e-3", "e-4"]
    assert (document["parked"], document["parked_mentions"]) == (["e-4"], [])
    assert document["remains"] == list(REMAINS)
    left = tables(cloud).replace("user-gone-not", "")
    assert "gone" not in left.replace("subs_user-gone", "")
    assert "subs_user-gone'" not in left
    assert "user-kept" in left
    # The events keep their outcomes; the parked one was given up.
    assert cloud.entry("e-1")["outcome"] == "delivered"
    assert (cloud.entry("e-4")["outcome"], cloud.entry("e-4")["reason"]) == ("skipped", "discarded")
    assert [parked.attributes["event_id"] for parked in cloud.parked()] == ["e-5"]
    assert cli.json("balance", "--after", "60")["adds_up"]


def test_nothing_goes_before_somebody_has_agreed(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud, event(event_id="e-1"))
    before = tables(cloud)
    cli.answer_questions()
    refused = cli.run("forget", "user-1", typed="n\n")
    assert refused.exit_code == 0
    assert "production, user user-1" in refused.stdout
    assert not cli.json("forget", "user-1")["done"]
    assert tables(cloud) == before
    agreed = cli.run("forget", "user-1", typed="y\n")
    assert "Removed: 1 states, the person from 1 events, 0 held and 0 parked events." in agreed.stdout
    assert "point-in-time recovery" in agreed.stdout
    assert "user-1" not in tables(cloud)


def test_with_nobody_to_ask_nothing_is_forgotten(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud, event(event_id="e-1"))
    before = tables(cloud)
    result = cli.run("forget", "user-1")
    assert (result.exit_code, "give --yes" in result.stderr) == (1, True)
    assert tables(cloud) == before


def test_somebody_of_whom_nothing_is_kept_is_said(cli: Cli) -> None:
    result = cli.run("forget", "user-1", "--yes")
    assert result.exit_code == 0
    assert "Nothing is kept about user-1 in app default." in result.output


def test_anothers_event_naming_the_person_is_kept(cloud: Cloud, cli: Cli) -> None:
    body = encoded(event(user="user-2", transferred_from_user_id="user-1"))
    park(cloud, message(body, id="1"))
    document = cli.json("forget", "user-1", "--yes")
    assert (document["parked"], document["parked_mentions"]) == ([], ["e-1"])
    assert "names this person as the other side" in cli.run("forget", "user-1", "--yes").output
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_forgetting_one_user_took_the_others_of_the_device(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud, event(user="ada", clevertap_id="__h1", event_id="e-1"))
    forward(worker, cloud, event(user="ben", clevertap_id="__h1", event_id="e-2"))
    park(cloud, message(encoded(event(user="ben", clevertap_id="__h1")), id="3"))
    document = cli.json("forget", "ada", "--yes")
    assert document["subscribers"] == ["default#production#object#__h1", "default#production#user#ada"]
    assert (document["events"], document["parked"]) == (["e-1"], [])
    assert cloud.subscriber("default#production#user#ben") != {}
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_an_anonymous_id_took_the_user_of_that_name(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud, event(user="ben", event_id="e-1"))
    forward(worker, cloud, event(user="ada", anonymous_user_id="ben", event_id="e-2"))
    document = cli.json("forget", "ada", "--yes")
    assert "default#production#user#ben" not in document["subscribers"]
    assert cloud.subscriber("default#production#user#ben") != {}
    assert document["events"] == ["e-2"]


def test_export_writes_all_of_the_person_and_nobody_else(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud, event(user="ada", clevertap_id="__h1", anonymous_user_id="a-1", event_id="e-1"))
    forward(worker, cloud, event(user="ben", clevertap_id="__h1", event_id="e-2"))
    park(cloud, message(encoded(event(user="ada", note="said")), id="3"), message(encoded(event(user="ben")), id="4"))
    document = cli.json("export", "ada")
    assert document["ids"] == {"user": ["ada"], "anonymous": ["a-1"], "clevertap": ["__h1"]}
    assert [each["event_id"] for each in document["events"]] == ["e-1"]
    assert [json.loads(each["body"])["note"] for each in document["parked"]] == ["said"]
    assert "ben" not in json.dumps(document)


def test_export_has_the_bodies_that_wait(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud, event(user=None, anonymous_user_id="a-1", event_id="e-1", note="held"))
    document = cli.json("export", "a-1")
    assert [(each["event_id"], each["outcome"], each["body"]["note"]) for each in document["held"]] == [
        ("e-1", "held", "held")
    ]


@pytest.mark.parametrize("asked", ["ada", "a-1"])
def test_trace_and_forget_find_the_same_person(cloud: Cloud, cli: Cli, worker: Worker, asked: str) -> None:
    forward(
        worker,
        cloud,
        event(user="ada", event_id="e-1", anonymous_user_id="a-1", clevertap_id="__h1"),
        event(user="ben", event_id="e-2", anonymous_user_id="a-1"),
    )
    traced = cli.json("trace", asked)
    forgotten = cli.json("forget", asked)
    keys = {f"default#{each['account']}#{each['kind']}#{each['id']}" for each in traced["subscribers"]}
    assert keys == set(forgotten["subscribers"])
    assert "default#production#user#ben" not in forgotten["subscribers"]
    assert "default#production#user#ada" in forgotten["subscribers"]


def test_the_same_id_in_another_app_is_another_person(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    cloud.put_secret("clevertap", {"production": {"account_id": "A", "passcode": "p"}}, app="second")
    worker.outcome(message(event(event_id="e-1"), app="second", sent_at=cloud.clock()))
    park(cloud, message(encoded(event()), id="2", app="second"))
    before = tables(cloud)
    assert cli.json("forget", "user-1", "--yes")["subscribers"] == []
    assert tables(cloud) == before
    assert cli.json("forget", "user-1", "--app", "second", "--yes")["parked"] == ["e-2"]


def test_what_a_worker_keeps_anew_meanwhile_is_told(
    cloud: Cloud, cli: Cli, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward(worker, cloud, event(event_id="e-1"))

    def kept_again(*arguments: Any) -> Any:
        forward(worker, cloud, event(event_id="e-2"))
        return remembered(*arguments)

    monkeypatch.setattr("bridge_cli.commands.forget.remembered", kept_again)
    result = cli.run("forget", "user-1", "--yes")
    assert result.exit_code == 1
    assert "has kept the state anew" in result.stderr
