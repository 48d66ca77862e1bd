"""`bridge parked`: what waits is listed, shown, sent back and given up, and no event is lost on the way."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bridge_cli.cli_error import CliError
from bridge_cli.discarding import discard
from bridge_cli.parked_messages import HOLD_SECONDS, Choice, TakenMessages
from bridge_cli.times import now_ms
from purchasely_clevertap.aws.queues import ParkRequest, SendQueue
from purchasely_clevertap.clevertap.response import Rejected
from purchasely_clevertap.delivery.entry import Claim, ClaimGroup
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES, attributes, encode_body
from purchasely_clevertap.outcome import Delivered, Parked, ParkReason
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cli import Cli, count, messages_of, park
from tests.integration.cloud import WRITES, Answered, Clock, Cloud, Worker, unreachable
from tests.integration.webhook import encoded, event, message, transaction

REFUSED = Rejected(513, "Event name is reserved")


@pytest.fixture
def clock() -> Clock:
    return Clock(now_ms())


@pytest.fixture
def held(cloud: Cloud, cli: Cli) -> Iterator[TakenMessages]:  # noqa: ARG001 - it patches the wait
    messages = TakenMessages(cloud.sqs, cloud.parked_url, clock=cloud.clock.seconds)
    yield messages
    messages.release()


# What waits


def test_the_list_gives_every_message_back(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="1", app="second"), event_name=None)
    park(cloud, *(message(event(), id=str(number)) for number in range(2, 26)), reason=ParkReason.NO_USER)
    document = cli.json("parked", "list")
    assert (document["events"], document["messages"], document["held_elsewhere"]) == (25, 25, 0)
    assert document["by_reason"] == {"no_user": 24, "unreadable": 1}
    (one,) = cli.json("parked", "list", "--app", "second")["parked"]
    assert one == {
        "event_id": "e-1",
        "app": "second",
        "event_name": None,
        "reason": "unreadable",
        "code": None,
        "received_at": one["received_at"],
        "parked_at": one["parked_at"],
        "message_id": "1",
        "accepted": [],
        "messages": 1,
    }
    assert count(cloud, cloud.parked_url) == (25, 0)


def test_a_list_quotes_nothing_of_a_body(cloud: Cloud, cli: Cli) -> None:
    quoting = Parked(ParkReason.REFUSED_BY_CLEVERTAP, "Email ada@example.com is not valid", 515)
    request = ParkRequest(message(event(), id="1"), quoting, "e-1", "ACTIVATE", frozenset())
    assert SendQueue(cloud.sqs, queue_url=cloud.parked_url).send([request], now_ms=cloud.clock()) == [None]
    for command in (("list",), ("redrive", "--all"), ("discard", "--all")):
        for form in ((), ("--json",)):
            assert "ada@" not in cli.run("parked", *command, *form).output
    assert "ada@example.com" in cli.run("parked", "show", "e-1").output
    assert cli.json("parked", "show", "e-1")["detail"] == quoting.detail


@pytest.mark.parametrize(
    ("command", "operations"),
    [("redrive", ["SendMessageBatch"]), ("discard", ["BatchExecuteStatement", "TransactWriteItems"])],
)
def test_a_command_without_the_right_says_so(cloud: Cloud, cli: Cli, command: str, operations: list[str]) -> None:
    park(cloud, message(event(), id="1"))
    cli.deny(*operations)
    result = cli.run("parked", command, "--reason", "unreadable", "--yes")
    assert result.exit_code == 3
    assert "AccessDeniedException" in result.stderr
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_the_list_has_the_newest_up_to_a_limit(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="old"))
    cloud.clock.advance(60)
    park(cloud, message(b"no", id="new"))
    output = cli.run("parked", "list", "--limit", "1").output
    assert "e-new" in output
    assert "e-old" not in output
    assert "1 parked before: --limit 0 shows all" in output


def test_messages_held_elsewhere_are_mentioned(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="1"))
    cloud.sqs.receive_message(QueueUrl=cloud.parked_url, VisibilityTimeout=60)
    assert "1 more messages are with another command" in cli.run("parked", "list").output
    assert cli.json("parked", "list")["held_elsewhere"] == 1


def test_an_event_is_shown_with_its_exact_body(cloud: Cloud, cli: Cli) -> None:
    body = encoded(event(user="Zoë"))
    park(cloud, message(body, id="1"))
    document = cli.json("parked", "show", "e-1")
    assert document["body"].encode() == body
    assert document["reason"] == "unreadable"
    assert document["body_base64"] is None
    result = cli.run("parked", "show", "e-1")
    assert "Zoë" in result.stdout
    assert "personal data" in result.stderr


def test_a_body_that_is_no_text_is_shown_in_base64(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"\xff\x00", id="1"))
    document = cli.json("parked", "show", "e-1")
    assert (document["body"], document["body_base64"]) == (None, "/wA=")


def test_what_is_not_parked_can_not_be_shown(cli: Cli) -> None:
    result = cli.run("parked", "show", "e-1")
    assert result.exit_code == 1
    assert "e-1 is not on the parked queue" in result.stderr


def test_the_same_event_of_two_apps_is_named_by_app(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"a", id="1"), message(b"b", id="2", app="second"), ids=["e", "e"])
    assert "--app: default, second" in cli.run("parked", "show", "e").stderr
    assert cli.json("parked", "show", "e", "--app", "second")["body"] == "b"


# Sent back


def test_a_redrive_sends_only_the_rest(cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap) -> None:
    clevertap.script.append(answer(REFUSED, of="Charged"))
    assert isinstance(worker.outcome(message(transaction(event_id="e-1"), id="m-1")), Parked)
    cloud.clock.advance(120)

    document = cli.json("parked", "redrive", "--yes")

    assert document["redriven"] == ["e-1"]
    assert (document["failed"], document["still_on_the_queue"]) == ([], [])
    assert count(cloud, cloud.parked_url) == (0, 0)
    (redriven,) = messages_of(cloud, cloud.events_url)
    assert worker.outcome(redriven) == Delivered()
    assert Counter(clevertap.events) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    # It is the same webhook as before, not one more.
    assert cloud.entry("e-1")["messages"] == {"m-1"}


def test_an_event_that_still_fails_is_parked_again(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.script.extend(answer(REFUSED, of="SUBSCRIPTION_RENEWED") for _ in range(2))
    body = encoded(event(event_id="e-1"))
    worker.outcome(message(body, id="m-1"))
    for expected in (Parked, Delivered):
        cloud.clock.advance(120)
        assert cli.json("redrive", "e-1", "--yes")["redriven"] == ["e-1"]
        (redriven,) = messages_of(cloud, cloud.events_url)
        assert redriven.body == body
        assert isinstance(worker.outcome(redriven), expected)
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]


def test_nothing_moves_before_a_person_agreed(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="1"))
    cli.answer_questions()
    refused = cli.run("parked", "redrive", typed="n\n")
    assert refused.exit_code == 0
    assert "e-1" in refused.stdout
    assert "Send 1 event back" in refused.stderr
    assert count(cloud, cloud.parked_url) == (1, 0)
    assert count(cloud, cloud.events_url) == (0, 0)
    assert "Sent back: 1 event." in cli.run("parked", "redrive", typed="y\n").stdout
    assert count(cloud, cloud.events_url) == (1, 0)


@pytest.mark.parametrize("command", [("redrive",), ("parked", "discard", "--all")])
def test_with_nobody_to_ask_it_says_what_to_do_instead(cloud: Cloud, cli: Cli, command: tuple[str, ...]) -> None:
    park(cloud, message(b"no", id="1"))
    result = cli.run(*command)
    assert (result.exit_code, result.stderr) == (
        1,
        "bridge: nothing is done: give --yes, as there is no terminal to ask at\n",
    )
    assert count(cloud, cloud.parked_url) == (1, 0)


@pytest.mark.parametrize("command", [("parked", "list"), ("redrive", "--yes"), ("parked", "discard", "--yes")])
def test_a_misspelt_reason_is_refused(cli: Cli, command: tuple[str, ...]) -> None:
    result = cli.run(*command, "--reason", "unreadible")
    assert result.exit_code == 2
    assert "'unreadable'" in result.stderr


def test_a_script_without_yes_only_hears_what_would_be(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="1"))
    document = cli.json("parked", "redrive")
    assert (document["done"], document["selected"]) == (False, ["e-1"])
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_only_what_is_chosen_goes_back(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"1", id="1"), message(b"2", id="2", app="second"))
    park(cloud, message(b"3", id="3"), reason=ParkReason.NO_USER, event_name="OTHER")
    assert cli.json("redrive", "--reason", "no_user", "--yes")["redriven"] == ["e-3"]
    assert cli.json("redrive", "--app", "second", "--event-name", "ACTIVATE", "--yes")["redriven"] == ["e-2"]
    assert cli.json("redrive", "--until", "1h", "--yes")["redriven"] == []
    assert [each.body for each in messages_of(cloud, cloud.parked_url)] == [b"1"]


def test_an_id_that_is_not_parked_is_named(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"1", id="1"))
    document = cli.json("redrive", "e-1", "e-7", "--yes", exit_code=1)
    assert (document["redriven"], document["not_found"]) == (["e-1"], ["e-7"])


def test_an_event_parked_twice_goes_back_once(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"1", id="1"), accepted=["charged"])
    cloud.clock.advance(1)
    park(cloud, message(b"1", id="1"), accepted=["event"])
    assert cli.json("redrive", "--yes")["redriven"] == ["e-1"]
    (redriven,) = messages_of(cloud, cloud.events_url)
    assert redriven.redrive is not None
    assert redriven.redrive.accepted == {"charged", "event"}
    assert count(cloud, cloud.parked_url) == (0, 0)


def test_a_message_put_there_by_hand_is_redriven(cloud: Cloud, cli: Cli) -> None:
    body = encoded(event(event_id="e-1"))
    cloud.sqs.send_message(
        QueueUrl=cloud.parked_url, MessageBody=encode_body(body), MessageAttributes=attributes("default", 5)
    )
    assert cli.json("redrive", "e-1", "--yes")["redriven"] == ["e-1"]
    (redriven,) = messages_of(cloud, cloud.events_url)
    assert (redriven.app, redriven.body, redriven.received_at) == ("default", body, 5)
    assert redriven.redrive is not None


def test_many_parked_events_go_back_ten_a_call(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, *(message(b"no", id=str(number)) for number in range(95)))
    cloud.calls.made.clear()
    held.take()
    done = held.redrive(Choice().of(held.messages), to=cloud.events_url)
    assert len(done.sent) == len(set(done.sent)) == 95
    assert (count(cloud, cloud.parked_url), count(cloud, cloud.events_url)) == ((0, 0), (95, 0))
    calls = Counter(name for name, _ in cloud.calls.made)
    assert (calls["SendMessageBatch"], calls["DeleteMessageBatch"]) == (10, 10)
    assert calls["ReceiveMessage"] <= 12


def test_large_bodies_go_back_in_several_calls(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, *(message(b"x" * MAX_BODY_BYTES, id=str(number)) for number in range(3)))
    held.take()
    assert len(held.redrive(Choice().of(held.messages), to=cloud.events_url).sent) == 3
    assert [len(each.body) for each in messages_of(cloud, cloud.events_url)] == [MAX_BODY_BYTES] * 3


def test_what_the_queue_refuses_stays_parked(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, *(message(b"no", id=str(number)) for number in range(3)))
    held.take()
    events = Choice().of(held.messages)
    taken = {"Id": "0", "MessageId": "x", "MD5OfMessageBody": "x"}
    refused = {"Id": "1", "SenderFault": True, "Code": "InvalidMessageContents"}
    cloud.calls.next("SendMessageBatch", Answered({"Successful": [taken], "Failed": [refused]}))
    done = held.redrive(events, to=cloud.events_url)
    keys = [each.key for each in events]
    assert done.sent == (keys[0],)
    assert done.failed == {keys[1]: "InvalidMessageContents", keys[2]: "unanswered"}
    held.release()
    assert count(cloud, cloud.parked_url) == (2, 0)


@pytest.mark.parametrize("fault", ["ServiceUnavailable", unreachable()])
def test_an_event_whose_sending_fails_stays_parked(cloud: Cloud, held: TakenMessages, fault: Any) -> None:
    park(cloud, message(b"no", id="1"))
    held.take()
    cloud.calls.next("SendMessageBatch", fault)
    done = held.redrive(Choice().of(held.messages), to=cloud.events_url)
    assert (done.sent, set(done.failed)) == ((), {("default", "e-1")})
    held.release()
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_a_redrive_not_removed_is_a_duplicate_later(
    cloud: Cloud, held: TakenMessages, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.script.append(answer(REFUSED, of="SUBSCRIPTION_RENEWED"))
    worker.outcome(message(event(event_id="e-1"), id="m-1"))
    cloud.clock.advance(120)
    held.take()
    cloud.calls.next("DeleteMessageBatch", unreachable())
    assert held.redrive(Choice().of(held.messages), to=cloud.events_url).kept == (("default", "e-1"),)
    held.release()
    held.take()
    held.redrive(Choice().of(held.messages), to=cloud.events_url)
    for redriven in messages_of(cloud, cloud.events_url):
        worker.outcome(redriven)
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]
    assert cloud.entry("e-1")["outcome"] == "delivered"


def test_too_long_a_thought_sends_nothing(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, message(b"no", id="1"))
    held.take()
    cloud.clock.advance(HOLD_SECONDS)
    with pytest.raises(CliError, match="15 minutes"):
        held.redrive(Choice().of(held.messages), to=cloud.events_url)
    assert count(cloud, cloud.events_url) == (0, 0)


@given(
    st.lists(st.sampled_from(["", "refused", "unanswered", "down", "kept", "late"]), max_size=6),
    st.lists(st.integers(0, 12), min_size=1, max_size=13),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_fault_loses_an_event(monkeypatch: pytest.MonkeyPatch, faults: list[str], numbers: list[int]) -> None:
    with mock_aws():
        cloud = Cloud(Clock(now_ms()))
        Cli(cloud, monkeypatch)
        park(cloud, *(message(b"%d" % number, id=str(number)) for number in numbers))
        held = TakenMessages(cloud.sqs, cloud.parked_url, clock=cloud.clock.seconds)
        for fault in faults:
            match fault:
                case "refused":
                    failed = [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]
                    cloud.calls.next("SendMessageBatch", Answered({"Failed": failed}))
                case "unanswered":
                    cloud.calls.next("SendMessageBatch", Answered({}))
                case "down":
                    cloud.calls.next("SendMessageBatch", unreachable())
                case "kept":
                    cloud.calls.next("DeleteMessageBatch", unreachable())
                case "late":
                    cloud.calls.next("SendMessageBatch", lambda: cloud.clock.advance(HOLD_SECONDS))
        with suppress(CliError):
            held.take()
            held.redrive(Choice().of(held.messages), to=cloud.events_url)
        held.release()
        bodies = {each.body for url in (cloud.events_url, cloud.parked_url) for each in messages_of(cloud, url)}
        assert bodies == {b"%d" % number for number in numbers}


# Given up


def test_a_discarded_event_is_skipped_for_good(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.script.append(answer(REFUSED, of="SUBSCRIPTION_RENEWED"))
    body = encoded(event(event_id="e-1"))
    worker.outcome(message(body, id="m-1"))
    before = cloud.entry("e-1")

    document = cli.json("parked", "discard", "e-1", "--yes")

    assert (document["discarded"], document["leftovers"], document["failed"]) == (["e-1"], [], [])
    after = cloud.entry("e-1")
    assert (after["outcome"], after["reason"], after["messages"]) == ("skipped", "discarded", {"m-1"})
    assert "code" not in after
    assert (after["event_name"], after["event_at"]) == (before["event_name"], before["event_at"])
    assert count(cloud, cloud.parked_url) == (0, 0)
    # A copy that Purchasely sends later does not bring it back.
    assert worker.outcome(message(body, id="m-2")).name == "duplicate"
    (balance,) = cli.json("balance", "--after", "0")["apps"]
    assert (balance["received"], balance["skipped"], balance["duplicate"], balance["adds_up"]) == (2, 1, 1, True)


def test_discarding_everything_must_be_said(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="1"))
    assert cli.run("parked", "discard", "--yes").exit_code == 2
    assert cli.json("parked", "discard", "--all", "--yes")["discarded"] == ["e-1"]


def test_a_discard_not_agreed_to_changes_nothing(cloud: Cloud, cli: Cli) -> None:
    park(cloud, message(b"no", id="1"))
    cli.answer_questions()
    assert cli.run("parked", "discard", "--all", typed="n\n").exit_code == 0
    assert cli.json("parked", "discard", "--all")["done"] is False
    assert cloud.entry("e-1") == {}
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_a_leftover_is_removed_and_stays_delivered(cloud: Cloud, cli: Cli, worker: Worker) -> None:
    worker.outcome(message(event(event_id="e-1"), id="1"))
    park(cloud, message(b"no", id="1"))
    document = cli.json("parked", "discard", "e-1", "--yes")
    assert (document["discarded"], document["leftovers"]) == ([], ["e-1"])
    assert cloud.entry("e-1")["outcome"] == "delivered"
    assert count(cloud, cloud.parked_url) == (0, 0)


def test_an_expired_message_can_be_discarded(
    cloud: Cloud, cli: Cli, worker: Worker, clevertap: ScriptedClevertap
) -> None:
    clevertap.script.append(answer(REFUSED, of="SUBSCRIPTION_RENEWED"))
    worker.outcome(message(event(event_id="e-1"), id="m-1"))
    cloud.parked()
    document = cli.json("parked", "discard", "e-1", "e-2", "--yes", exit_code=1)
    assert (document["discarded"], document["not_on_the_queue"], document["not_found"]) == (["e-1"], ["e-1"], ["e-2"])
    assert cloud.entry("e-1")["reason"] == "discarded"


def claim(cloud: Cloud) -> None:
    """A forwarder claims the event e-1."""
    ledger = cloud.ledger(owner="forwarder")
    claimed = Claim("default#e-1", ledger.read(["default#e-1"], lambda: 60)["default#e-1"], "1")
    (grant,) = ledger.claim([ClaimGroup((claimed,))], lambda: 60, now_ms=cloud.clock())
    assert grant.entries


def test_an_event_that_a_worker_is_at_is_not_discarded(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, message(b"no", id="1"))
    claim(cloud)
    held.take()
    done = discard(cloud.ledger(), held, Choice().of(held.messages), (), now_ms=cloud.clock())
    assert done.events == ()
    assert done.failed == {("default", "e-1"): "the forwarder is at it: try again in two minutes"}
    held.release()
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_an_event_that_changes_is_not_discarded(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, message(b"no", id="1"))
    held.take()

    cloud.calls.next(WRITES, lambda: claim(cloud))
    done = discard(cloud.ledger(), held, Choice().of(held.messages), (), now_ms=cloud.clock())
    assert set(done.failed) == {("default", "e-1")}
    held.release()
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_what_is_not_remembered_is_not_removed(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, message(b"no", id="1"))
    held.take()
    cloud.calls.next(WRITES, unreachable())
    with pytest.raises(CliError, match="nothing was removed"):
        discard(cloud.ledger(), held, Choice().of(held.messages), (), now_ms=cloud.clock())
    held.release()
    assert count(cloud, cloud.parked_url) == (1, 0)


def test_a_discard_whose_message_stays_is_told(cloud: Cloud, held: TakenMessages) -> None:
    park(cloud, message(b"no", id="1"))
    held.take()
    cloud.calls.next("DeleteMessageBatch", unreachable())
    events = Choice().of(held.messages)
    first = discard(cloud.ledger(), held, events, (), now_ms=cloud.clock())
    assert (first.events, set(first.failed)) == ((), {("default", "e-1")})
    again = discard(cloud.ledger(), held, events, (), now_ms=cloud.clock())
    assert again.leftovers == (("default", "e-1"),)
    assert cloud.entry("e-1")["reason"] == "discarded"
