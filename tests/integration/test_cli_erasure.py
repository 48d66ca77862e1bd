"""`bridge forget --at-clevertap`, `--suppress` and `--unsuppress`, and the dead letters."""

import json
from typing import Any

import pytest

from bridge_cli.clevertap_erasure import Erasure, erase
from clevertap_emulator import Deletion, FailEmpty, LostAnswer, NotJson, Status, Step
from purchasely_clevertap.clevertap.account import Credentials, Environment
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.delivery.message import MessageKind, attributes, encode_body
from purchasely_clevertap.outcome import Delivered, Duplicate, Skipped, SkipReason
from tests.integration.cli import Cli, count, forward, messages_of, park, tables
from tests.integration.cloud import DELIVERIES, Cloud, Worker
from tests.integration.installation import Installation
from tests.integration.webhook import encoded, event, message

SUPPRESSED = Skipped(SkipReason.SUPPRESSED)


@pytest.fixture
def forwarder(bridge: Installation) -> Worker:
    """One that uploads to the emulated CleverTap."""
    return bridge.cloud.worker(Client(), endpoint=bridge.clevertap.url)


def asked(deletions: list[Deletion]) -> list[tuple[str, str | None, tuple[str, ...]]]:
    return [(each.account, each.kind, each.ids) for each in deletions]


def two_people(cloud: Cloud) -> list[dict[str, Any]]:
    """Ada and Ben share a phone: one CleverTap id, one anonymous id. Ada was there first."""
    at = cloud.clock()
    phone = {"clevertap_id": "__hphone", "anonymous_user_id": "a-phone"}
    return [
        event(user="ada", event_id="e-1", at=at, **phone),
        event(user="ben", event_id="e-2", at=at + 1000, **phone),
        event(user="ada", event_id="e-3", at=at + 2000, environment="SANDBOX"),
        event(user=None, anonymous_user_id="b-visit", event_id="e-4", at=at + 3000),
    ]


def dead_letter(cloud: Cloud, body: bytes, *, kind: MessageKind = MessageKind.WEBHOOK) -> str:
    return cloud.sqs.send_message(
        QueueUrl=cloud.dead_letters_url,
        MessageBody=encode_body(body),
        MessageAttributes=attributes("default", cloud.clock(), kind),
    )["MessageId"]


# At CleverTap


def test_every_project_deletes_the_person(bridge: Installation, forwarder: Worker) -> None:
    forward(forwarder, bridge.cloud, *two_people(bridge.cloud))
    document = bridge.json("forget", "ada", "--at-clevertap", "--yes")
    assert asked(bridge.clevertap.deletions()) == [
        ("PROJECT-1", "identity", ("ada",)),
        ("PROJECT-1", "objectId", ("__hphone",)),
        ("TEST-2", "identity", ("ada",)),
    ]
    assert document["clevertap"] == {
        "production": {"project_id": "PROJECT-1", "identities": 1, "clevertap_ids": 1, "deleted": True},
        "sandbox": {"project_id": "TEST-2", "identities": 1, "clevertap_ids": 0, "deleted": True},
    }
    assert [each.identities for each in bridge.clevertap.profiles("PROJECT-1")] == [("ben",)]
    assert bridge.clevertap.profiles("TEST-2") == []
    assert "ada" not in tables(bridge.cloud).replace("subs_ada", "")


def test_without_the_option_clevertap_is_left_alone(bridge: Installation, forwarder: Worker) -> None:
    forward(forwarder, bridge.cloud, event(user="ada"))
    assert bridge.json("forget", "ada", "--yes")["clevertap"] is None
    assert bridge.clevertap.deletions() == []


def test_without_agreement_nothing_is_asked_of_clevertap(bridge: Installation, forwarder: Worker) -> None:
    forward(forwarder, bridge.cloud, event(user="ada"))
    before = tables(bridge.cloud)
    document = bridge.json("forget", "ada", "--at-clevertap", "--suppress")
    assert (document["done"], document["clevertap"]["production"]["deleted"]) == (False, False)
    assert document["counts"]["suppressed"] > 0
    assert bridge.run("forget", "ada", "--at-clevertap", "--suppress").exit_code == 1
    assert (bridge.clevertap.deletions(), tables(bridge.cloud)) == ([], before)


def test_a_stranger_is_deleted_by_the_user_id(bridge: Installation) -> None:
    bridge.set_up(sandbox=False)
    assert bridge.json("forget", "nobody", "--at-clevertap", "--yes")["done"]
    assert asked(bridge.clevertap.deletions()) == [("PROJECT-1", "identity", ("nobody",))]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Status(401), "401"),
        (Status(429), "429"),
        (Status(503), "503"),
        (Status(403, "<html>no</html>"), "403"),
        (FailEmpty(), "200"),
        (NotJson(), "200"),
        (LostAnswer(), "did not answer"),
    ],
)
def test_a_refusal_leaves_all_that_is_known(bridge: Installation, forwarder: Worker, fault: Step, words: str) -> None:
    forward(forwarder, bridge.cloud, *two_people(bridge.cloud))
    before = tables(bridge.cloud)
    bridge.clevertap.faults.add(fault)
    error = bridge.json("forget", "ada", "--at-clevertap", "--yes", exit_code=1)["error"]
    assert error["code"] == "refused_by_clevertap"
    assert "production PROJECT-1: " in error["message"]
    assert words in error["message"]
    assert "sandbox TEST-2: deleted" in error["message"]
    assert tables(bridge.cloud) == before

    assert bridge.json("forget", "ada", "--at-clevertap", "--yes")["done"]
    assert [each.identities for each in bridge.clevertap.profiles("PROJECT-1")] == [("ben",)]


def test_an_app_without_a_project_is_told(bridge: Installation) -> None:
    error = bridge.json("forget", "ada", "--app", "other", "--at-clevertap", "--yes", exit_code=1)["error"]
    assert error["code"] == "not_set_up"


def test_anonymous_identities_are_deleted_where_they_are_users(bridge: Installation, forwarder: Worker) -> None:
    bridge.cloud.put_settings({"identity": {"anonymous": "identity"}})
    forward(
        forwarder,
        bridge.cloud,
        event(user=None, anonymous_user_id="a-1"),
        event(user="ben"),
        event(user=None, anonymous_user_id="ben"),
    )
    bridge.json("forget", "a-1", "--at-clevertap", "--yes")
    bridge.json("forget", "ben", "--at-clevertap", "--yes")
    ids = [each.ids for each in bridge.clevertap.deletions() if each.account == "PROJECT-1"]
    assert ids == [("a-1",), ("ben",)]


def test_more_ids_than_a_request_takes_go_in_several(bridge: Installation) -> None:
    guids = tuple(f"__h{number}" for number in range(150))
    credentials = Credentials("PROJECT-1", "passcode-1", bridge.clevertap.url)
    (done,) = erase([Erasure(Environment.PRODUCTION, credentials, ("ada",), guids)], app="default", hint="")
    assert done.is_done
    assert [len(each.ids) for each in bridge.clevertap.deletions()] == [1, 100, 50]


# Suppressed


def test_what_comes_later_is_skipped_until_they_return(bridge: Installation, forwarder: Worker) -> None:
    cloud = bridge.cloud
    forward(forwarder, cloud, event(user="ada", anonymous_user_id="a-1", clevertap_id="__h1"))
    document = bridge.json("forget", "ada", "--suppress", "--yes")
    assert document["counts"]["suppressed"] == 3
    later = [
        event(user="ada"),
        event(user=None, anonymous_user_id="a-1"),
        event(user=None, anonymous_user_id="a-2", clevertap_id="__h1"),
    ]
    assert forwarder.outcomes(*(message(each, sent_at=cloud.clock()) for each in later)) == [SUPPRESSED] * 3
    left = tables(cloud)
    assert not any(f"'{name}'" in left or f"#{name}'" in left for name in ("ada", "a-1", "a-2", "__h1"))
    assert bridge.json("balance", "--after", "0")["adds_up"]
    assert "skipped: suppressed" in bridge.run("trace", later[0]["event_id"], "--no-logs").output
    assert "is suppressed" in bridge.run("trace", "ada").output

    assert bridge.json("forget", "ada", "--unsuppress")["done"] is False
    assert bridge.json("forget", "ada", "--unsuppress", "--yes") == {
        "app": "default",
        "id": "ada",
        "marks": 3,
        "done": True,
    }
    assert forwarder.outcome(message(event(user="ada"), sent_at=cloud.clock())) == Delivered()
    assert "is not suppressed" in bridge.run("forget", "ada", "--unsuppress", "--yes").output


def test_a_person_returns_by_any_id_and_alone(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    forward(worker, cloud, event(user="ada", anonymous_user_id="a-1"), event(user="ben", anonymous_user_id="b-1"))
    for user in ("ada", "ben"):
        cli.json("forget", user, "--suppress", "--yes")
    assert cli.json("forget", "a-1", "--unsuppress", "--yes")["marks"] == 2
    outcomes = worker.outcomes(*(message(event(user=user), sent_at=cloud.clock()) for user in ("ada", "ben")))
    assert outcomes == [Delivered(), SUPPRESSED]


def test_a_person_never_heard_of_can_be_suppressed(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    assert cli.json("forget", "ada", "--suppress", "--yes")["done"]
    assert worker.outcome(message(event(user="ada"), sent_at=cloud.clock())) == SUPPRESSED


def test_suppressing_twice_is_suppressing_once(cloud: Cloud, cli: Cli) -> None:
    cli.json("forget", "ada", "--suppress", "--yes")
    before = tables(cloud)
    cli.json("forget", "ada", "--suppress", "--yes")
    assert tables(cloud) == before


def test_unsuppress_goes_with_nothing_else(cli: Cli) -> None:
    assert cli.run("forget", "ada", "--unsuppress", "--suppress").exit_code == 2
    assert cli.run("forget", "ada", "--unsuppress").exit_code == 0
    cli.run("forget", "ada", "--suppress", "--yes")
    assert "give --yes" in cli.run("forget", "ada", "--unsuppress").stderr


def test_a_suppressed_person_stays_so_if_clevertap_fails(bridge: Installation, forwarder: Worker) -> None:
    forward(forwarder, bridge.cloud, event(user="ada"))
    bridge.clevertap.faults.add(Status(503), times=None)
    error = bridge.json("forget", "ada", "--at-clevertap", "--suppress", "--yes", exit_code=1)["error"]
    assert "is suppressed already" in error["message"]
    assert forwarder.outcome(message(event(user="ada"), sent_at=bridge.cloud.clock())) == SUPPRESSED


# Two people


@pytest.mark.parametrize("options", [(), ("--suppress",), ("--suppress", "--at-clevertap")])
def test_the_other_person_of_a_device_stays_as_they_were(
    bridge: Installation, forwarder: Worker, options: tuple[str, ...]
) -> None:
    cloud = bridge.cloud
    forward(forwarder, cloud, *two_people(cloud))
    bens = encoded(event(user="ben", clevertap_id="__hphone", anonymous_user_id="a-phone", event_id="e-5"))
    unreadable = b'{"user_id": "ben", "note": "adaptable", "transferred_from_user_id": ada-not'
    park(cloud, message(bens, id="5"), message(unreadable, id="6"), message(encoded(event(user="ada")), id="7"))
    dead_letter(cloud, bens)
    dead_letter(cloud, b"default#production#user#ben", kind=MessageKind.LAPSE)
    kept = (cloud.entry("e-2"), cloud.entry("e-4"), cloud.subscriber("default#production#user#ben"))

    document = bridge.json("forget", "ada", *options, "--yes")

    assert (document["parked"], document["dead_letters"], document["held"]) == (["e-7"], [], [])
    assert (cloud.entry("e-2"), cloud.entry("e-4"), cloud.subscriber("default#production#user#ben")) == kept
    assert {parked.body for parked in cloud.parked()} == {bens, unreadable}
    assert len(messages_of(cloud, cloud.dead_letters_url)) == 2
    assert ("ben",) in [each.identities for each in bridge.clevertap.profiles("PROJECT-1")]
    # And Ben's next event changes his profile alone.
    phone = {"clevertap_id": "__hphone", "anonymous_user_id": "a-phone"}
    again = event(user="ben", event_id="e-8", at=cloud.clock(), plan="yearly", **phone)
    assert forwarder.outcome(message(again, sent_at=cloud.clock())) == Delivered()
    assert "ada" not in str(bridge.clevertap.records("PROJECT-1")[-2:])


def test_a_device_of_a_suppressed_person_is_tied_to_nobody(bridge: Installation, forwarder: Worker) -> None:
    cloud = bridge.cloud
    forward(forwarder, cloud, *two_people(cloud))
    bridge.json("forget", "ada", "--suppress", "--yes")
    again = event(user="ben", at=cloud.clock(), clevertap_id="__hphone", anonymous_user_id="a-phone")
    forward(forwarder, cloud, again)
    assert cloud.subscriber("default#production#object#__hphone") == {}
    bens = next(each for each in bridge.clevertap.profiles("PROJECT-1") if "ben" in each.identities)
    assert bens.object_ids == ()


# Dead letters


@pytest.mark.parametrize(
    "body",
    [
        encoded(event(user="ada", event_id="e-9")),
        b"\xef\xbb\xbf" + encoded(event(user="ada", event_id="e-9")),
        b'{"event_id": "e-9", "user_id": "ada", "broken',
        b'{"event_id": "e-9", "anonymous_user_id": "a-visitor-1", \xff\xfe\x00',
        b"event_id=e-9&anonymous_user_id=a-visitor-1&x=1",
        b"<event><user>a-visitor-1</user></event>",
    ],
)
def test_a_dead_letter_of_the_person_goes(cloud: Cloud, cli: Cli, worker: Worker, body: bytes) -> None:
    forward(worker, cloud, event(user="ada", anonymous_user_id="a-visitor-1", event_id="e-1"))
    id_ = dead_letter(cloud, body)
    document = cli.json("forget", "ada", "--yes")
    assert document["counts"]["dead_letters"] == 1
    assert count(cloud, cloud.dead_letters_url) == (0, 0)
    entry = cloud.entry(document["dead_letters"][0])
    assert (entry["outcome"], entry["reason"], entry["messages"]) == ("skipped", "discarded", {id_})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"default#production#user#ada", MessageKind.LAPSE),
        (b"default#production#anonymous#a-1", MessageKind.RELEASE),
        (json.dumps({"clevertap_id": "__h9", "user_id": "ada"}).encode(), MessageKind.IDENTITY),
    ],
)
def test_news_of_the_person_goes_without_an_entry(
    cloud: Cloud, cli: Cli, worker: Worker, body: bytes, kind: MessageKind
) -> None:
    forward(worker, cloud, event(user="ada", anonymous_user_id="a-1", event_id="e-1"))
    dead_letter(cloud, body, kind=kind)
    assert cli.json("forget", "ada", "--yes")["counts"]["dead_letters"] == 1
    assert count(cloud, cloud.dead_letters_url) == (0, 0)
    assert len(cloud.dynamodb.scan(TableName=DELIVERIES)["Items"]) == 1


def test_a_dead_letter_that_the_forwarder_has_is_told(cloud: Cloud, cli: Cli) -> None:
    dead_letter(cloud, encoded(event(user="ada")))
    cloud.sqs.receive_message(QueueUrl=cloud.dead_letters_url, VisibilityTimeout=60)
    result = cli.run("forget", "ada", "--suppress", "--yes")
    assert result.exit_code == 1
    assert "with the forwarder" in result.stderr


def test_an_event_on_both_queues_gets_one_outcome(cloud: Cloud, cli: Cli) -> None:
    body = encoded(event(user="ada", event_id="e-1"))
    dead_letter(cloud, body)
    park(cloud, message(body, id="1"))
    assert cli.json("forget", "ada", "--yes")["done"]
    assert (cloud.entry("e-1")["outcome"], cloud.entry("e-1")["attempts"]) == ("skipped", 1)
    assert (count(cloud, cloud.dead_letters_url), count(cloud, cloud.parked_url)) == ((0, 0), (0, 0))


def test_what_waits_in_flight_is_skipped_when_it_comes(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    visit = message(event(user=None, anonymous_user_id="a-1", event_id="e-1"), sent_at=cloud.clock())
    worker.outcome(visit)
    released = visit._replace(kind=MessageKind.HELD, id="released")
    forward(worker, cloud, event(user="ada", anonymous_user_id="a-1", event_id="e-2"))
    document = cli.json("forget", "ada", "--suppress", "--yes")
    assert document["held"] == ["e-1"]
    assert worker.outcome(released) == Duplicate()
    assert (cloud.entry("e-1")["outcome"], cloud.entry("e-1")["reason"]) == ("skipped", "discarded")
    assert worker.outcome(message(event(user="ada"), sent_at=cloud.clock())) == SUPPRESSED
