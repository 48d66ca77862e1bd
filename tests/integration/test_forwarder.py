"""The way of a batch: what CleverTap gets, what becomes of each message, and what is remembered of it."""

import math
from collections import Counter
from collections.abc import Callable
from copy import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.response import NotTaken, RecordResult, Rejected, SetupFault, Unknown
from purchasely_clevertap.delivery.entry import LEASE_MS
from purchasely_clevertap.delivery.keys import RETENTION_SECONDS, entry_key
from purchasely_clevertap.delivery.message import Message, MessageKind, Redrive
from purchasely_clevertap.delivery.result import MessageResult
from purchasely_clevertap.outcome import (
    Delivered,
    Duplicate,
    GiveUp,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    RetryReason,
    Skipped,
    SkipReason,
)
from tests.integration.clevertap import (
    NEEDED_SECONDS,
    Killed,
    ScriptedClevertap,
    Step,
    answer,
    killed_after,
    killed_before,
    lost_answer,
    while_uploading,
)
from tests.integration.cli import messages_of
from tests.integration.cloud import (
    MADE,
    PRODUCTION,
    SANDBOX,
    WRITES,
    Answered,
    Cancelled,
    Clock,
    Cloud,
    Worker,
    unreachable,
)
from tests.integration.webhook import NOW_MS, Payload, encoded, event, message, transaction

HOUR = 3600
SETTLING_SECONDS = 8
PERSON = "default#production#user#user-1"


def why(outcome: Outcome) -> tuple[str, bool]:
    """The reason of a retry, and whether the limit for an outage ends it."""
    assert isinstance(outcome, Retried)
    return outcome.shown_reason, outcome.give_up is GiveUp.OUTAGE


def redriven(parked_body: bytes, *, accepted: str = "", id: str = "m-redriven", origin: str = "m-1") -> Message:
    """The message that a redrive makes of a parked one."""
    return message(parked_body, id=id, redrive=Redrive(origin, frozenset(filter(None, accepted.split(",")))))


def by_name(clevertap: ScriptedClevertap) -> Counter[str]:
    """How often each event record was taken."""
    return Counter(clevertap.events)


BUSY = ("busy", True)


# An event is delivered


def test_an_event_makes_two_records_and_an_entry(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    cloud.clock.advance(90)
    (handled,) = worker.forward(message(event(event_id="e-1"), id="m-1")).messages
    assert handled.outcome == Delivered()
    assert (handled.event_id, handled.event_name, handled.known_name) == ("e-1", "SUBSCRIPTION_RENEWED", True)
    assert handled.age_ms == 90_000
    assert [(sent.name, sent.identity) for sent in clevertap.taken] == [
        ("profile", "user-1"),
        ("SUBSCRIPTION_RENEWED", "user-1"),
    ]
    now = cloud.clock()
    assert cloud.entry("e-1") == {
        "event": "default#e-1",
        "messages": {"m-1"},
        "attempts": 1,
        "accepted": {"event"},
        "outcome": "delivered",
        "event_name": "SUBSCRIPTION_RENEWED",
        "event_at": NOW_MS,
        "about": "PRODUCTION/SUBSCRIPTION_RENEWED",
        "account": "production",
        "subscriber": PERSON,
        "settled_at": now,
        "expires_at": now // 1000 + RETENTION_SECONDS,
    }


def test_a_payment_becomes_a_charged_record_too(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    assert worker.outcome(message(transaction(event_id="e-1"))) == Delivered()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    assert cloud.entry("e-1")["accepted"] == {"event", "charged"}


def test_an_unknown_event_passes_and_is_marked(clevertap: ScriptedClevertap, worker: Worker) -> None:
    (handled,) = worker.forward(message(event("SOMETHING_NEW"))).messages
    assert (handled.outcome, handled.known_name) == (Delivered(), False)
    assert clevertap.events == ["SOMETHING_NEW"]


def test_an_upload_report_has_account_and_results(clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.script.append(answer(Rejected(513, "no"), of="Charged"))
    (uploaded,) = worker.forward(message(transaction())).uploads
    assert (uploaded.app, uploaded.environment, uploaded.records, uploaded.requests) == ("default", "production", 3, 1)
    assert uploaded.seconds > 0
    assert uploaded.results == {"accepted": 2, "rejected": 1}


def test_an_empty_batch_is_nothing(clevertap: ScriptedClevertap, worker: Worker) -> None:
    assert worker.forward().messages == ()
    assert clevertap.requests == []
    assert worker.calls.made == []


# Once, however often it comes


def test_a_message_that_comes_twice_is_delivered_once(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    sent = message(transaction(event_id="e-1"), id="m-1")
    assert worker.outcome(sent) == Delivered()
    assert worker.outcome(replace(sent, receives=2)) == Duplicate()
    assert cloud.worker(clevertap, name="worker-2").outcome(sent) == Duplicate()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    assert cloud.entry("e-1")["messages"] == {"m-1"}


def test_two_webhooks_of_one_event_deliver_it_once(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event(event_id="e-1")
    assert worker.outcome(message(payload, id="m-1")) == Delivered()
    assert worker.outcome(message(payload, id="m-2")) == Duplicate()
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]
    entry = cloud.entry("e-1")
    assert (entry["messages"], entry["outcome"]) == ({"m-1", "m-2"}, "delivered")


def test_copies_in_a_batch_each_have_an_outcome(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event(event_id="e-1")
    first = message(payload, id="m-1")
    batch = [first, message(payload, id="m-2"), replace(first, receipt_handle="another"), message(payload, id="m-3")]
    handled = worker.forward(*batch).messages
    assert Counter((each.message.id, each.outcome.name) for each in handled) == {
        ("m-1", "delivered"): 2,  # the same message received twice: it has one outcome
        ("m-2", "duplicate"): 1,
        ("m-3", "duplicate"): 1,
    }
    assert {each.message.receipt_handle for each in handled} == {each.receipt_handle for each in batch}
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]
    assert cloud.entry("e-1")["messages"] == {"m-1", "m-2", "m-3"}


def test_a_copy_comes_again_with_its_original(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event(event_id="e-1")
    clevertap.script.append(answer(NotTaken(RetryReason.SERVER_ERROR, 500)))
    first, second = worker.outcomes(message(payload, id="m-1"), message(payload, id="m-2"))
    assert (why(first), why(second)) == (("server_error", True), ("server_error", True))
    cloud.clock.advance(30)
    again = [message(payload, id="m-2", receives=2), message(payload, id="m-1", receives=2)]
    assert worker.outcomes(*again) == [Delivered(), Duplicate()]
    assert cloud.entry("e-1")["messages"] == {"m-1", "m-2"}


def test_a_claimed_event_is_left_to_its_worker(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = transaction()
    other = cloud.worker(clevertap, name="worker-2")
    others: list[Outcome] = []
    clevertap.script.append(while_uploading(lambda: others.append(other.outcome(message(payload)))))
    assert worker.outcome(message(payload)) == Delivered()
    assert [why(each) for each in others] == [BUSY]
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    assert len(clevertap.requests) == 1


def test_one_of_two_simultaneous_workers_delivers(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = transaction(event_id="e-1")
    other = cloud.worker(clevertap, name="worker-2")
    others: list[Outcome] = []
    # Both have looked, then the other is quicker to claim, and done before this one tries.
    worker.calls.next(WRITES, lambda: others.append(other.outcome(message(payload, id="m-1"))))
    assert why(worker.outcome(message(payload, id="m-1"))) == BUSY
    assert others == [Delivered()]
    assert worker.outcome(message(payload, id="m-1")) == Duplicate()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    assert cloud.entry("e-1")["attempts"] == 1


def test_the_same_event_id_of_two_apps_is_two_events(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    cloud.put_secret("clevertap", {"production": {"account_id": "SECOND-ID", "passcode": "p"}}, app="second")
    payload = event(event_id="e-1")
    assert worker.outcomes(message(payload), message(payload, app="second")) == [Delivered(), Delivered()]
    assert {sent.account_id for sent in clevertap.taken} == {"PRODUCTION-ID", "SECOND-ID"}


# A worker dies


def test_a_copy_is_none_whatever_shares_its_id(clevertap: ScriptedClevertap, worker: Worker) -> None:
    started, renewed = (event(name, event_id="e-1") for name in ("SUBSCRIPTION_STARTED", "SUBSCRIPTION_RENEWED"))
    assert worker.outcome(message(started)) == Delivered()
    assert worker.outcomes(message(renewed), message(started)) == [Delivered(), Duplicate()]
    assert worker.outcomes(message(started), message(renewed)) == [Duplicate(), Duplicate()]
    assert by_name(clevertap) == {"SUBSCRIPTION_STARTED": 1, "SUBSCRIPTION_RENEWED": 1}


def mended(event_id: str) -> tuple[Payload, Payload]:
    """A body that cannot be read, and the one that Purchasely sends in its place."""
    whole = event(event_id=event_id)
    return {**whole, "event_created_at_ms": None}, whole


def test_a_mended_body_is_delivered(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    broken, whole = mended("e-1")
    assert worker.outcome(message(broken)).name == "parked"
    assert worker.outcomes(message(whole), message(broken)) == [Delivered(), Duplicate()]
    assert by_name(clevertap) == {"SUBSCRIPTION_RENEWED": 1}
    assert cloud.entry("e-1")["outcome"] == "parked"


@pytest.mark.parametrize("turned", [False, True])
def test_broken_and_mended_are_two_in_a_batch(clevertap: ScriptedClevertap, worker: Worker, *, turned: bool) -> None:
    broken, whole = mended("e-1")
    sent = [message(broken, id="broken"), message(whole, id="whole")]
    found = {each.message.id: each.outcome.name for each in worker.forward(*(sent[::-1] if turned else sent)).messages}
    assert found == {"broken": "parked", "whole": "delivered"}
    assert by_name(clevertap) == {"SUBSCRIPTION_RENEWED": 1}


def test_a_redrive_that_can_be_read_ends_its_entry(cloud: Cloud, worker: Worker) -> None:
    broken, whole = mended("e-1")
    assert worker.outcome(message(broken, id="m-1")).name == "parked"
    # A later version of the bridge reads what this one could not.
    assert worker.outcome(redriven(encoded(whole))) == Delivered()
    assert cloud.entry("e-1")["outcome"] == "delivered"


@pytest.mark.parametrize(("dies", "times"), [(killed_before, 1), (killed_after, 2)])
def test_a_dead_workers_event_is_taken_over(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, dies: Callable[[], Step], times: int
) -> None:
    sent = message(event(event_id="e-1"), id="m-1")
    clevertap.script.append(dies())
    with pytest.raises(Killed):
        worker.forward(sent)
    other = cloud.worker(clevertap, name="worker-2")
    cloud.clock.advance(LEASE_MS / 1000 - 1)
    assert why(other.outcome(sent)) == BUSY
    cloud.clock.advance(1)
    (handled,) = other.forward(sent).messages
    assert (handled.outcome, handled.taken_over) == (Delivered(), True)
    assert handled.records == 2  # the event and its profile, as before
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"] * times
    assert cloud.entry("e-1")["attempts"] == 2


def test_a_death_leaves_one_request_unconfirmed(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("purchasely_clevertap.delivery.batch.MAX_RECORDS", 4)
    batch = [message(event(user=f"user-{n}", at=NOW_MS + n, event_id=f"e-{n}"), id=f"m-{n}") for n in range(6)]
    clevertap.script.extend([Step(), killed_after()])
    with pytest.raises(Killed):
        worker.forward(*batch)
    assert [cloud.entry(f"e-{n}").get("outcome") for n in range(6)] == ["delivered"] * 2 + [None] * 4
    cloud.clock.advance(LEASE_MS / 1000)
    handled = cloud.worker(clevertap, name="worker-2").forward(*batch).messages
    assert [each.outcome.name for each in handled] == ["duplicate"] * 2 + ["delivered"] * 4
    assert [each.taken_over for each in handled] == [False] * 2 + [True] * 4
    assert (
        sorted(Counter(sent.identity for sent in clevertap.taken if sent.name != "profile").values())
        == [1] * 4 + [2] * 2
    )


# Partial answers: every record's outcome is its own


def test_only_the_event_of_a_refused_record_is_parked(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    names = ["SUBSCRIPTION_STARTED", "RENEWAL_DISABLED", "RENEWAL_ENABLED"]
    batch = [message(event(name, user=name), id=f"m-{name}") for name in names]
    clevertap.script.append(answer(Rejected(512, "Event is bad"), of="RENEWAL_DISABLED"))
    assert worker.outcomes(*batch) == [
        Delivered(),
        Parked(ParkReason.REFUSED_BY_CLEVERTAP, "Event is bad", 512),
        Delivered(),
    ]
    (parked,) = cloud.parked()
    assert parked.body == batch[1].body
    assert {
        name: parked.attributes[name] for name in ("app", "reason", "detail", "code", "event_name", "message_id")
    } == {
        "app": "default",
        "reason": "refused_by_clevertap",
        "detail": "Event is bad",
        "code": "512",
        "event_name": "RENEWAL_DISABLED",
        "message_id": "m-RENEWAL_DISABLED",
    }
    assert worker.outcomes(*batch) == [Duplicate()] * 3
    assert len(clevertap.requests) == 1


@pytest.mark.parametrize(
    ("failed", "accepted"),
    [("TRANSACTION_PROCESSED", {"charged"}), ("Charged", {"event"}), ("profile", {"event", "charged"})],
    ids=["event", "charged", "profile"],
)
def test_only_the_record_that_failed_is_sent_again(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, failed: str, accepted: set[str]
) -> None:
    sent = message(transaction(event_id="e-1"))
    clevertap.script.append(answer(NotTaken(RetryReason.RECORD_ERROR), of=failed))
    assert why(worker.outcome(sent)) == ("record_error", True)
    entry = cloud.entry("e-1")
    assert (entry["accepted"], entry["reason"], entry["lease_until"]) == (accepted, "record_error", 0)
    assert "outcome" not in entry
    cloud.clock.advance(30)
    assert cloud.worker(clevertap, name="worker-2").outcome(sent) == Delivered()
    assert [sent.name for sent in clevertap.requests[1][1]] == [failed]
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    assert [profile["plan"] for profile in clevertap.profiles] == ["monthly"]


@pytest.mark.parametrize(("refused", "accepted"), [("Charged", "event"), ("TRANSACTION_PROCESSED", "charged")])
def test_a_redrive_sends_only_the_refused_record(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, refused: str, accepted: str
) -> None:
    clevertap.script.append(answer(Rejected(522, "Too many"), of=refused))
    assert worker.outcome(message(transaction(event_id="e-1"), id="m-1")).name == "parked"
    (parked,) = cloud.parked()
    assert parked.attributes["accepted"] == accepted
    again = redriven(parked.body, accepted=parked.attributes["accepted"])
    assert worker.outcome(again) == Delivered()
    assert [sent.name for sent in clevertap.requests[1][1]] == [refused]
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    entry = cloud.entry("e-1")
    assert (entry["outcome"], entry["accepted"], entry["messages"]) == ("delivered", {"event", "charged"}, {"m-1"})
    assert not {"reason", "code"} & set(entry)


@pytest.mark.parametrize(("refused", "accepted"), [("Charged", "event"), ("TRANSACTION_PROCESSED", "charged")])
def test_what_may_succeed_yet_is_tried_before_parking(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, refused: str, accepted: str
) -> None:
    sent = message(transaction())
    throttled = NotTaken(RetryReason.THROTTLED, 429)
    clevertap.script.append(Step(lambda sent: Rejected(512, "bad") if sent.name == refused else throttled))
    assert why(worker.outcome(sent)) == ("throttled", True)
    assert cloud.parked() == []
    cloud.clock.advance(60)
    clevertap.script.append(answer(Rejected(512, "bad"), of=refused))
    assert worker.outcome(sent).name == "parked"
    (parked,) = cloud.parked()
    assert parked.attributes["accepted"] == accepted


def test_a_refused_profile_parks_the_newest_event(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    older = message(event("SUBSCRIPTION_STARTED", at=NOW_MS - 1000), id="m-1")
    newer = message(event("RENEWAL_DISABLED", at=NOW_MS), id="m-2")
    clevertap.script.append(answer(Rejected(515, "Email is not valid"), of="profile"))
    assert worker.outcomes(newer, older) == [
        Parked(ParkReason.REFUSED_BY_CLEVERTAP, "Email is not valid", 515),
        Delivered(),
    ]
    (parked,) = cloud.parked()
    assert parked.attributes["accepted"] == "event"
    assert worker.outcome(redriven(parked.body, accepted="event")) == Delivered()
    assert [sent.name for sent in clevertap.requests[1][1]] == ["profile"]
    assert by_name(clevertap) == {"SUBSCRIPTION_STARTED": 1, "RENEWAL_DISABLED": 1}


def test_a_profile_sent_meanwhile_is_not_repeated(clevertap: ScriptedClevertap, worker: Worker) -> None:
    older = message(event("SUBSCRIPTION_STARTED", at=NOW_MS))
    clevertap.script.append(answer(NotTaken(RetryReason.RECORD_ERROR), of="profile"))
    assert why(worker.outcome(older)) == ("record_error", True)
    assert worker.outcome(message(event("RENEWAL_DISABLED", at=NOW_MS + 1000))) == Delivered()
    assert worker.outcome(older) == Delivered()
    assert len(clevertap.requests) == 2


# CleverTap fails


@pytest.mark.parametrize(
    "result",
    [
        NotTaken(RetryReason.SERVER_ERROR, 503),
        NotTaken(RetryReason.THROTTLED, 429),
        NotTaken(RetryReason.CONNECT),
        NotTaken(RetryReason.RECORD_ERROR),
    ],
    ids=lambda result: result.reason,
)
def test_what_was_not_taken_is_free_for_any_worker(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, result: NotTaken
) -> None:
    sent = message(event(event_id="e-1"))
    clevertap.script.append(answer(result))
    (handled,) = worker.forward(sent).messages
    assert why(handled.outcome) == (result.reason, True)
    assert (handled.unconfirmed_sends, handled.age_ms, handled.unsettled) == (0, None, False)
    assert cloud.parked() == []
    assert cloud.entry("e-1")["reason"] == result.reason
    (handled,) = cloud.worker(clevertap, name="worker-2").forward(sent).messages
    assert (handled.outcome, handled.taken_over, handled.unconfirmed_sends) == (Delivered(), False, 0)


def test_lost_answers_are_retried_and_counted(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(transaction(event_id="e-1"))
    clevertap.script.append(lost_answer())
    (handled,) = worker.forward(sent).messages
    assert why(handled.outcome) == ("timeout", True)
    assert handled.unconfirmed_sends == 3  # the event, its Charged and its profile
    assert cloud.entry("e-1")["unconfirmed_sends"] == 3
    cloud.clock.advance(60)
    assert worker.outcome(sent) == Delivered()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 2, "Charged": 2}
    assert cloud.entry("e-1")["unconfirmed_sends"] == 3


def test_a_lost_profile_counts_for_bare_events(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    cloud.put_settings({"late_events": {"action": "profile_only"}})
    late = [message(event(at=NOW_MS - hours * HOUR * 1000)) for hours in (5, 4)]
    clevertap.script.append(lost_answer())
    assert [why(each) for each in worker.outcomes(*late)] == [("timeout", True)] * 2


def test_a_lost_answer_concerns_its_own_request(
    clevertap: ScriptedClevertap, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("purchasely_clevertap.delivery.batch.MAX_RECORDS", 2)
    batch = [message(event(user=f"user-{n}", at=NOW_MS + n)) for n in range(3)]
    clevertap.script.extend([Step(), lost_answer()])
    handled = worker.forward(*reversed(batch)).messages
    # The oldest goes first. The newest is not even sent: the account does not answer.
    assert [each.unconfirmed_sends for each in handled] == [0, 2, 0]
    assert [getattr(each.outcome, "reason", None) for each in handled] == ["circuit_open", "timeout", None]
    assert len(clevertap.requests) == 2


@pytest.mark.parametrize(
    "found",
    [
        {"production": PRODUCTION, "sandbox": SANDBOX},
        {"production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}},
        "no json",
    ],
    ids=["the same", "placeholders", "rubbish"],
)
def test_a_401_rereads_the_credentials_once(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, found: object
) -> None:
    worker.forward(message(event()))
    cloud.put_secret("clevertap", found)
    cloud.clock.advance(60)
    clevertap.script.append(answer(SetupFault(401, "no")))
    assert why(worker.outcome(message(event()))) == ("setup_fault_401", False)
    assert len(clevertap.requests) == 2
    assert len(worker.calls.of("GetSecretValue")) == 2


def test_a_401_finds_a_changed_passcode(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(message(event()))
    cloud.put_secret("clevertap", {"production": {"account_id": "PRODUCTION-ID", "passcode": "changed"}})
    cloud.clock.advance(60)
    clevertap.script.append(answer(SetupFault(401, "no")))
    forwarded = worker.forward(message(transaction()))
    assert forwarded.messages[0].outcome == Delivered()
    assert (forwarded.uploads[0].requests, forwarded.uploads[0].seconds) == (2, 0.5)
    assert [account.passcode for account, _ in clevertap.requests][1:] == ["production-passcode", "changed"]
    assert worker.outcome(message(event())) == Delivered()  # the circuit is closed again


def test_a_401_stops_the_further_requests_of_the_batch(
    clevertap: ScriptedClevertap, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("purchasely_clevertap.delivery.batch.MAX_RECORDS", 2)
    clevertap.otherwise = answer(SetupFault(401, "no"))
    batch = [message(event(user=f"user-{n}")) for n in range(4)]
    assert {why(each) for each in worker.outcomes(*batch)} == {("setup_fault_401", False)}
    assert len(clevertap.requests) == 1


# RetryPolicy


def test_an_outage_is_parked_after_48_hours(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.otherwise = answer(NotTaken(RetryReason.SERVER_ERROR, 503))
    sent = message(event(event_id="e-1"), id="m-1", sent_at=NOW_MS)
    cloud.clock.advance(48 * HOUR - 1)
    assert why(worker.outcome(sent)) == ("server_error", True)
    assert cloud.parked() == []
    cloud.clock.advance(600)
    outcome = worker.outcome(sent)
    assert isinstance(outcome, Parked)
    assert outcome.reason is ParkReason.RETRIES_EXHAUSTED
    assert "server_error" in outcome.detail
    (parked,) = cloud.parked()
    assert (parked.body, parked.attributes["reason"]) == (sent.body, "retries_exhausted")
    assert cloud.entry("e-1")["outcome"] == "parked"
    clevertap.otherwise = Step()
    cloud.clock.advance(600)
    assert worker.outcome(redriven(parked.body)) == Delivered()


def test_an_open_circuit_does_not_stop_the_parking(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.otherwise = answer(NotTaken(RetryReason.SERVER_ERROR, 503))
    cloud.clock.advance(48 * HOUR)
    worker.forward(message(event(), sent_at=cloud.clock()))
    assert worker.outcome(message(event(), sent_at=NOW_MS)).name == "parked"
    assert len(clevertap.requests) == 1


def test_a_redriven_event_has_all_its_retries_again(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.otherwise = answer(NotTaken(RetryReason.SERVER_ERROR, 503))
    payload = event()
    cloud.clock.advance(48 * HOUR)
    assert worker.outcome(message(payload, sent_at=NOW_MS)).name == "parked"
    cloud.clock.advance(600)
    again = replace(redriven(encoded(payload)), sent_at=cloud.clock())
    assert why(worker.outcome(again)) == ("server_error", True)


@pytest.mark.parametrize("hours", [48, 11 * 24])
def test_a_setup_fault_is_retried_for_12_days(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, hours: int
) -> None:
    clevertap.otherwise = answer(SetupFault(401, "no"))
    cloud.clock.advance(hours * HOUR)
    batch = [message(event(user=f"user-{n}"), sent_at=NOW_MS) for n in range(3)]
    assert [why(each) for each in worker.outcomes(*batch)] == [("setup_fault_401", False)] * 3
    # While the account is left alone for that fault it is still one of the set-up.
    assert [why(each) for each in worker.outcomes(*batch)] == [("circuit_open", False)] * 3
    assert cloud.parked() == []
    cloud.clock.advance(12 * 24 * HOUR)
    assert worker.outcome(batch[0]).name == "parked"


def test_the_last_fault_decides_how_long_to_retry(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event())
    for result, patient in (
        (NotTaken(RetryReason.SERVER_ERROR, 503), True),
        (SetupFault(401, "no"), False),
        (NotTaken(RetryReason.CONNECT), True),
    ):
        clevertap.script.append(answer(result))
        assert why(worker.outcome(sent))[1] is patient
        assert why(worker.outcome(sent)) == ("circuit_open", patient)
        cloud.clock.advance(300)


# The circuit breaker


def test_a_failing_account_gets_one_request_at_a_time(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    clevertap.otherwise = answer(NotTaken(RetryReason.SERVER_ERROR, 503))
    sent = message(event(event_id="e-1"))
    waits = []
    for _ in range(6):
        assert why(worker.outcome(sent)) == ("server_error", True)
        requests, waited = len(clevertap.requests), 0
        while True:
            cloud.clock.advance(15)
            waited += 15
            if why(worker.outcome(sent)) != ("circuit_open", True):
                break
            assert len(clevertap.requests) == requests
        waits.append(waited)
        assert len(clevertap.requests) == requests + 1
        cloud.clock.advance(600)
    assert waits[0] == 30
    assert waits == sorted(waits)
    assert waits[-1] == 300
    clevertap.otherwise = Step()
    assert worker.outcome(sent) == Delivered()
    assert worker.outcome(message(event())) == Delivered()


@pytest.mark.parametrize(
    ("result", "next_one"),
    [
        (NotTaken(RetryReason.THROTTLED, 429), "circuit_open"),
        (NotTaken(RetryReason.SERVER_ERROR, 503), "circuit_open"),
        (NotTaken(RetryReason.UNEXPECTED_STATUS, 302), "circuit_open"),
        (NotTaken(RetryReason.NOT_PROCESSED), "circuit_open"),
        (NotTaken(RetryReason.CONNECT), "circuit_open"),
        (Unknown(RetryReason.GATEWAY), "circuit_open"),
        (SetupFault(401, "no"), "circuit_open"),
        (NotTaken(RetryReason.RECORD_ERROR), "delivered"),
        (NotTaken(RetryReason.NO_TIME_LEFT), "delivered"),
        (Rejected(512, "bad"), "delivered"),
    ],
)
def test_only_what_an_account_causes_opens_its_circuit(
    clevertap: ScriptedClevertap, worker: Worker, result: RecordResult, next_one: str
) -> None:
    clevertap.script.append(answer(result))
    worker.forward(message(event(user="user-1")))
    outcome = worker.outcome(message(event(user="user-2")))
    assert (outcome.shown_reason if isinstance(outcome, Retried) else outcome.name) == next_one


def test_a_failing_account_leaves_others_alone(clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.otherwise = Step(
        lambda sent: NotTaken(RetryReason.CONNECT) if sent.account_id == "PRODUCTION-ID" else Step().result(sent)
    )
    for _ in range(2):
        production, sandbox = worker.outcomes(message(event()), message(event(environment="SANDBOX")))
        assert (production.name, sandbox.name) == ("in_flight", "delivered")
    assert [account.account_id for account, _ in clevertap.requests] == ["PRODUCTION-ID", "SANDBOX-ID", "SANDBOX-ID"]


# Time


def test_without_time_nothing_is_uploaded(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event(event_id="e-1"))
    left = NEEDED_SECONDS + SETTLING_SECONDS
    assert why(worker.outcome(sent, seconds_left=left)) == ("no_time_left", True)
    assert clevertap.requests == []
    entry = cloud.entry("e-1")
    assert entry["lease_until"] == 0
    assert not {"outcome", "accepted", "lease_owner"} & set(entry)
    assert cloud.subscriber(PERSON)["lease_until"] == 0
    assert cloud.worker(clevertap, name="worker-2").outcome(sent, seconds_left=left + 0.1) == Delivered()


def test_a_batch_out_of_time_settles_what_it_sent(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("purchasely_clevertap.delivery.batch.MAX_RECORDS", 2)
    batch = [message(event(user=f"user-{n}", at=NOW_MS + n, event_id=f"e-{n}")) for n in range(3)]
    clevertap.otherwise = while_uploading(lambda: cloud.clock.advance(20))
    first, *rest = worker.outcomes(*batch, seconds_left=50)
    assert first == Delivered()
    assert [why(each) for each in rest] == [("no_time_left", True)] * 2
    assert cloud.entry("e-0")["outcome"] == "delivered"
    assert [cloud.entry(f"e-{n}")["lease_until"] for n in (1, 2)] == [0, 0]


# The ledger fails


@pytest.mark.parametrize("fault", ["InternalServerError", "ProvisionedThroughputExceededException", unreachable()])
@pytest.mark.parametrize("read", [0, 1])
def test_an_unreadable_ledger_stops_everything(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, fault: str, read: int
) -> None:
    batch = [message(event()), message(b"unreadable"), message(event("ACTIVATE"))]
    worker.calls.next("BatchGetItem", *[lambda: None] * read, fault)
    assert [why(each) for each in worker.outcomes(*batch)] == [("ledger_unavailable", False)] * 3
    assert clevertap.requests == []
    assert cloud.parked() == []
    assert [each.name for each in worker.outcomes(*batch)] == ["delivered", "parked", "skipped"]
    assert len(cloud.parked()) == 1


def test_an_unheard_claim_ends_with_its_lease(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    cloud.put_settings({"sandbox": "skip"})
    sent = message(event())
    # The claim and the lease are made; the next write, for what needs no upload, is the one that fails.
    worker.calls.next(WRITES, lambda: None, lambda: None, unreachable())
    first, skipped = worker.outcomes(sent, message(event(environment="SANDBOX")))
    assert (why(first), why(skipped)) == (("ledger_unavailable", False), ("ledger_unavailable", False))
    assert clevertap.requests == []
    assert why(worker.outcome(sent)) == BUSY
    cloud.clock.advance(LEASE_MS / 1000)
    assert worker.outcome(sent) == Delivered()
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]


def test_the_events_queue_keeps_what_was_taken(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(transaction(event_id="e-1"), id="m-1", sent_at=NOW_MS - HOUR * 1000)
    clevertap.script.append(while_uploading(lambda: worker.calls.always(WRITES, unreachable())))
    assert worker.outcome(sent) == Delivered()
    [left] = messages_of(cloud, cloud.events_url)
    assert (left.body, left.sent_at) == (sent.body, sent.sent_at)
    assert left.redrive == Redrive("m-1", frozenset({"charged", "event"}))
    worker.calls.mend()
    cloud.clock.advance(LEASE_MS / 1000)
    assert worker.outcome(left) == Delivered()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    entry = cloud.entry("e-1")
    assert (entry["outcome"], entry["messages"], entry["accepted"]) == ("delivered", {"m-1"}, {"event", "charged"})


def test_twenty_refused_settlements_send_nothing_twice(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    """Each goes by way of the events queue once more: more often than Lambda lets a function call itself by default."""
    waiting = message(transaction(event_id="e-1"), id="m-1")
    for number in range(20):
        # The claim is made, and nothing after it; at first this takes three calls.
        worker.calls.next(WRITES, *[lambda: None] * (1 if number else 3))
        worker.calls.always(WRITES, unreachable())
        worker.forward(waiting)
        [waiting] = messages_of(cloud, cloud.events_url)
        worker.calls.mend()
        cloud.clock.advance(LEASE_MS / 1000)
    assert worker.outcome(waiting) == Delivered()
    assert messages_of(cloud, cloud.events_url) == []
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    assert (cloud.entry("e-1")["outcome"], cloud.entry("e-1")["messages"]) == ("delivered", {"m-1"})


def test_a_half_delivered_event_gets_its_other_half(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(transaction(event_id="e-1"), id="m-1")
    fault = answer(NotTaken(RetryReason.RECORD_ERROR), of="TRANSACTION_PROCESSED")
    gone = while_uploading(lambda: worker.calls.always(WRITES, unreachable()))
    clevertap.script.append(replace(fault, during=gone.during))
    # The message on the queue stands for it now; a second one would be a second event.
    assert worker.outcome(sent) == Duplicate()
    (left,) = cloud.drain(cloud.events_url)
    assert left.attributes["accepted"] == "charged"
    worker.calls.mend()
    cloud.clock.advance(LEASE_MS / 1000)
    assert worker.outcome(redriven(left.body, accepted="charged")) == Delivered()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}


def test_an_unsettled_retry_comes_again_by_itself(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event())
    gone = while_uploading(lambda: worker.calls.always(WRITES, unreachable()))
    clevertap.script.append(replace(answer(NotTaken(RetryReason.SERVER_ERROR, 503)), during=gone.during))
    assert isinstance(worker.outcome(sent), Retried)
    assert cloud.drain(cloud.events_url) == []
    worker.calls.mend()
    cloud.clock.advance(LEASE_MS / 1000)
    assert worker.outcome(sent) == Delivered()
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]


def test_throttling_while_settling_is_waited_out(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.script.append(while_uploading(lambda: worker.calls.next(WRITES, *["ThrottlingException"] * 5)))
    (handled,) = worker.forward(message(event(event_id="e-1"))).messages
    assert (handled.outcome, handled.unsettled) == (Delivered(), False)
    assert cloud.entry("e-1")["outcome"] == "delivered"
    assert len(worker.pauses) == 5


def test_a_lease_lost_while_uploading_is_unsettled(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event(event_id="e-1"))
    other = cloud.worker(clevertap, name="worker-2")

    def overtaken() -> None:
        cloud.clock.advance(LEASE_MS / 1000)
        assert other.outcome(sent) == Delivered()

    clevertap.script.append(while_uploading(overtaken))
    (handled,) = worker.forward(sent, seconds_left=600).messages
    assert handled.unsettled
    assert cloud.entry("e-1")["outcome"] == "delivered"


def test_an_unsettled_skip_comes_again(cloud: Cloud, worker: Worker) -> None:
    sent = message(event("ACTIVATE", event_id="e-1"))
    worker.calls.next(WRITES, unreachable())
    assert why(worker.outcome(sent)) == ("ledger_unavailable", False)
    assert worker.outcome(sent) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert cloud.entry("e-1")["outcome"] == "skipped"


# What is parked without an upload


UNREADABLE = [
    *(b"", b"{", b"[]", b"\xff\xfe", b"null", b"{}", b'{"event_name": "ACTIVATE"}'),
    encoded(event(environment="MARS")),
]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        *((body, "unreadable") for body in UNREADABLE),
        (encoded({**event(user=None), "anonymous_user_id": None}), "no_user"),
    ],
)
def test_what_cannot_be_delivered_is_parked_as_it_is(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, body: bytes, reason: str
) -> None:
    sent = message(body, id="m-1")
    (handled,) = worker.forward(sent).messages
    assert isinstance(handled.outcome, Parked)
    assert handled.outcome.reason == reason
    (parked,) = cloud.parked()
    assert parked.body == body
    assert (parked.attributes["reason"], parked.attributes["message_id"]) == (reason, "m-1")
    assert parked.attributes["detail"]
    assert cloud.entry(handled.event_id)["outcome"] == "parked"
    assert clevertap.requests == []
    assert worker.outcome(sent) == Duplicate()
    assert cloud.parked() == []


def test_2846_copies_were_parked_of_what_could_not_be_settled(cloud: Cloud, worker: Worker) -> None:
    worker.calls.always(WRITES, Cancelled(["ValidationError"]))
    sent = message(b"not JSON")
    for _ in range(10):
        assert why(worker.outcome(sent)) == BUSY
    assert cloud.parked() == []
    worker.calls.mend()
    assert isinstance(worker.outcome(sent), Parked)
    assert len(cloud.parked()) == 1


def test_a_person_is_remembered_for_1100_days(cloud: Cloud, worker: Worker) -> None:
    worker.forward(message(event()))
    key = "default#production#user#user-1"
    until = int(cloud.subscriber(key)["expires_at"])
    assert until == cloud.clock.ms // 1000 + 1100 * 24 * 3600
    cloud.clock.advance(24 * 3600)
    worker.forward(message(event(at=cloud.clock.ms)))
    assert int(cloud.subscriber(key)["expires_at"]) == until + 24 * 3600, "from the last event on"


def test_unusable_event_name_teaches_the_profile(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    ended = event("App Launched", subscription_status="DEACTIVATED")
    for _ in range(2):
        outcome = worker.outcome(message(ended))
        assert isinstance(outcome, Parked | Duplicate)
    assert [parked.attributes["reason"] for parked in cloud.parked()] == ["unusable_event_name"]
    [profile] = clevertap.profiles
    assert profile["has_active_subscription"] is False
    assert "last_event" not in profile, "it is not sent"


@pytest.mark.parametrize(
    "ids",
    [
        {"clevertap_id": "__h1", "user_id": "null"},
        {"clevertap_id": "__h1", "anonymous_user_id": "undefined"},
        {"clevertap_id": "null", "user_id": "user-1"},
        {"clevertap_id": "__h1", "user_id": "Demo"},
    ],
)
def test_association_of_nobody_ties_nobody(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, ids: dict[str, str]
) -> None:
    cloud.put_settings({"identity": {"refuse": ["demo"]}})
    worker.forward(replace(message(ids), kind=MessageKind.IDENTITY))
    assert [parked.attributes["reason"] for parked in cloud.parked()] == ["unusable_identity"]
    assert clevertap.requests == []


def test_a_message_that_does_not_say_its_app_is_parked(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    sent = message(event(), app="")
    outcome = worker.outcome(sent)
    assert isinstance(outcome, Parked)
    assert outcome.reason is ParkReason.UNREADABLE
    (parked,) = cloud.parked()
    assert parked.body == sent.body
    assert "app" not in parked.attributes
    assert clevertap.requests == []


def test_a_dead_letter_is_parked_unread(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadly(_: bytes) -> None:
        raise Killed

    monkeypatch.setattr("purchasely_clevertap.delivery.batch.read", deadly)
    sent = message(event(event_id="e-1"), id="m-1", receives=1000, dead_letter=True)
    outcome = worker.outcome(sent)
    assert isinstance(outcome, Parked)
    assert outcome.reason is ParkReason.DEAD_LETTER
    (parked,) = cloud.parked()
    assert parked.body == sent.body
    assert parked.attributes["reason"] == "dead_letter"
    assert (parked.attributes["event_id"], parked.attributes["message_id"]) == ("e-1", "m-1")
    entry = cloud.entry("e-1")
    assert (entry["outcome"], entry["reason"], entry["messages"]) == ("parked", "dead_letter", {"m-1"})
    assert clevertap.requests == []


def test_a_dead_letter_of_a_delivered_event_is_a_copy(cloud: Cloud, worker: Worker) -> None:
    payload = event()
    worker.forward(message(payload, id="m-1"))
    assert worker.outcome(message(payload, id="m-1", dead_letter=True)) == Duplicate()
    assert cloud.parked() == []


def test_a_claimed_dead_letter_waits_for_the_lease(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event()
    clevertap.script.append(killed_before())
    with pytest.raises(Killed):
        worker.forward(message(payload, id="m-1"))
    dead = message(payload, id="m-1", dead_letter=True)
    assert why(worker.outcome(dead)) == BUSY
    assert cloud.parked() == []
    cloud.clock.advance(LEASE_MS / 1000)
    assert worker.outcome(dead).name == "parked"


def test_a_redriven_dead_letter_is_delivered(cloud: Cloud, worker: Worker) -> None:
    worker.forward(message(event(event_id="e-1"), id="m-1", dead_letter=True))
    (parked,) = cloud.parked()
    assert worker.outcome(redriven(parked.body)) == Delivered()
    assert cloud.entry("e-1")["outcome"] == "delivered"


# The parked queue fails


def test_what_the_parked_queue_refuses_is_retried(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    batch = [
        message(b"unreadable"),
        message(transaction(event_id="e-1"), id="m-1"),
        message(event("ACTIVATE", event_id="e-2"), dead_letter=True),
    ]
    worker.calls.always("SendMessageBatch", unreachable())
    clevertap.script.append(answer(Rejected(512, "bad"), of="Charged"))
    assert [why(each) for each in worker.outcomes(*batch)] == [("parked_queue_unavailable", False)] * 3
    entry = cloud.entry("e-1")
    assert "outcome" not in entry
    assert entry["accepted"] == {"event"}
    assert "outcome" not in cloud.entry("e-2")
    worker.calls.mend()
    clevertap.script.append(answer(Rejected(512, "bad"), of="Charged"))
    assert [each.name for each in worker.outcomes(*batch)] == ["parked"] * 3
    assert Counter(parked.attributes["reason"] for parked in cloud.parked()) == {
        "unreadable": 1,
        "refused_by_clevertap": 1,
        "dead_letter": 1,
    }
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1}
    assert worker.outcomes(*batch) == [Duplicate()] * 3


# Skipped


@pytest.mark.parametrize(
    ("payload", "app_settings", "reason"),
    [
        (event("ACTIVATE"), {}, SkipReason.EVENT_SWITCHED_OFF),
        (event("RENEWAL_DISABLED"), {"events": {"*": {"send": False}}}, SkipReason.EVENT_SWITCHED_OFF),
        (event(), {"events": {"SUBSCRIPTION_RENEWED": {"where": {"store": ["STRIPE"]}}}}, SkipReason.FILTERED),
        (event(user=None), {"identity": {"anonymous": "skip"}}, SkipReason.ANONYMOUS_USER),
        (event(environment="SANDBOX"), {"sandbox": "skip"}, SkipReason.SANDBOX_SWITCHED_OFF),
        (event(at=NOW_MS - 2 * HOUR * 1000), {"late_events": {"action": "skip"}}, SkipReason.LATE),
    ],
)
def test_what_settings_hold_back_is_skipped(
    cloud: Cloud,
    clevertap: ScriptedClevertap,
    worker: Worker,
    payload: Payload,
    app_settings: Payload,
    reason: SkipReason,
) -> None:
    cloud.put_settings(app_settings)
    sent = message(payload, id="m-1")
    assert worker.outcome(sent) == Skipped(reason)
    entry = cloud.entry(payload["event_id"])
    assert (entry["outcome"], entry["reason"], entry["messages"]) == ("skipped", reason, {"m-1"})
    assert clevertap.events == []
    goes_nowhere = reason in (SkipReason.ANONYMOUS_USER, SkipReason.SANDBOX_SWITCHED_OFF)
    assert len(clevertap.profiles) == (0 if goes_nowhere else 1)
    assert cloud.parked() == []
    assert worker.outcome(sent) == Duplicate()


def test_a_sandbox_event_needs_a_sandbox_account(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    cloud.put_secret("clevertap", {"production": {"account_id": "PRODUCTION-ID", "passcode": "p"}})
    assert worker.outcomes(message(event(environment="SANDBOX")), message(event())) == [
        Skipped(SkipReason.NO_SANDBOX_ACCOUNT),
        Delivered(),
    ]
    assert {sent.account_id for sent in clevertap.taken} == {"PRODUCTION-ID"}


def test_a_late_event_without_news_sends_nothing(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    cloud.put_settings({"late_events": {"action": "profile_only"}})
    late = NOW_MS - 3 * HOUR * 1000
    skipped = Skipped(SkipReason.LATE)
    assert worker.outcome(message(event("SUBSCRIPTION_STARTED", at=late))) == skipped
    assert (clevertap.events, len(clevertap.profiles)) == ([], 1)
    assert worker.outcome(message(event("RENEWAL_ENABLED", at=late - 1000, event_id="e-1"))) == skipped
    assert len(clevertap.requests) == 1
    assert cloud.entry("e-1")["outcome"] == "skipped"


# Apps and environments


def test_each_project_gets_its_own_upload(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    second = {"production": {"account_id": "SECOND-ID", "passcode": "second-passcode"}}
    cloud.put_secret("clevertap", second, app="second")
    cloud.put_settings({"region": "in1", "sandbox_region": "us1"})
    cloud.put_settings({"region": "sg1", "sandbox": "mix"}, app="second")
    batch = [
        message(event(user="a")),
        message(event(user="b", environment="SANDBOX")),
        message(event(user="c"), app="second"),
        message(event(user="d", environment="SANDBOX"), app="second"),
    ]
    assert worker.outcomes(*batch) == [Delivered()] * 4
    seen = {
        (account.account_id, account.passcode, account.endpoint, frozenset(sent.identity for sent in records))
        for account, records in clevertap.requests
    }
    assert seen == {
        ("PRODUCTION-ID", "production-passcode", "https://in1.api.clevertap.com", frozenset({"a"})),
        ("SANDBOX-ID", "sandbox-passcode", "https://us1.api.clevertap.com", frozenset({"b"})),
        ("SECOND-ID", "second-passcode", "https://sg1.api.clevertap.com", frozenset({"c", "d"})),
    }
    assert len(clevertap.requests) == 3


def test_each_project_has_its_own_profile_state(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(message(event(plan="monthly")), message(event(plan="yearly", environment="SANDBOX")))
    assert clevertap.profile("user-1")["plan"] == "monthly"
    assert clevertap.profile("user-1", "SANDBOX-ID")["plan"] == "yearly"
    assert cloud.subscriber("default#production#user#user-1")["version"]
    assert cloud.subscriber("default#sandbox#user#user-1")["version"]


@pytest.mark.parametrize("fault", ["placeholder", "no secret", "bad settings"])
def test_an_app_without_setup_delays_no_other(cloud: Cloud, worker: Worker, fault: str) -> None:
    keys = {"account_id": "SECOND-ID", "passcode": "p" if fault == "bad settings" else "REPLACE_ME"}
    if fault != "no secret":
        cloud.put_secret("clevertap", {"production": keys}, app="second")
    if fault == "bad settings":
        cloud.put_settings("{", app="second")
    waiting = message(event(), app="second", sent_at=NOW_MS - 11 * 24 * HOUR * 1000)
    first, second = worker.outcomes(message(event()), waiting)
    assert first == Delivered()
    assert why(second) == ("settings_unavailable" if fault == "bad settings" else "credentials_unusable", False)
    assert cloud.parked() == []
    cloud.put_secret("clevertap", {"production": {"account_id": "SECOND-ID", "passcode": "p"}}, app="second")
    cloud.put_settings({}, app="second")
    cloud.clock.advance(60)
    assert worker.outcome(waiting) == Delivered()


# Redriven


def parked_once(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, payload: Payload) -> bytes:
    clevertap.script.append(answer(Rejected(512, "bad")))
    assert worker.outcome(message(payload, id="m-1")).name == "parked"
    (parked,) = cloud.parked()
    return parked.body


def test_only_a_redrive_brings_a_parked_event_back(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    body = parked_once(cloud, clevertap, worker, event())
    assert worker.outcome(message(body, id="m-2")) == Duplicate()
    assert clevertap.events == []
    assert worker.outcome(redriven(body, id="m-r1")) == Delivered()
    assert worker.outcome(redriven(body, id="m-r2")) == Duplicate()
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]


@pytest.mark.parametrize("webhook_first", [True, False])
def test_a_redrive_beside_webhooks_is_not_lost(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, webhook_first: bool
) -> None:
    body = parked_once(cloud, clevertap, worker, event(event_id="e-1"))
    webhook, batch = message(body, id="m-2"), [redriven(body, id="m-3"), redriven(body, id="m-4")]
    batch.insert(0 if webhook_first else 2, webhook)
    handled = worker.forward(*batch).messages
    assert sorted((each.message.id, each.outcome.name) for each in handled) == [
        ("m-2", "duplicate"),
        ("m-3", "delivered"),
        ("m-4", "duplicate"),
    ]
    assert clevertap.events == ["SUBSCRIPTION_RENEWED"]
    assert cloud.entry("e-1")["messages"] == {"m-1", "m-2"}


def test_a_redrive_refused_again_keeps_its_message_id(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    body = parked_once(cloud, clevertap, worker, transaction(event_id="e-1"))
    clevertap.script.append(answer(Rejected(528, "Discarded"), of="Charged"))
    assert worker.outcome(redriven(body)).name == "parked"
    (parked,) = cloud.parked()
    assert (parked.attributes["code"], parked.attributes["message_id"]) == ("528", "m-1")
    assert parked.attributes["accepted"] == "event"
    assert cloud.entry("e-1")["code"] == 528
    assert worker.outcome(redriven(body, id="m-3")) == Delivered()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}


def test_a_redrive_says_what_was_accepted(clevertap: ScriptedClevertap, worker: Worker) -> None:
    assert worker.outcome(redriven(encoded(transaction()), accepted="charged")) == Delivered()
    assert by_name(clevertap) == {"TRANSACTION_PROCESSED": 1}


def test_a_delayed_redrive_is_delivered(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    again = redriven(parked_once(cloud, clevertap, worker, event(event_id="e-1")))
    clevertap.script.append(answer(NotTaken(RetryReason.THROTTLED, 429)))
    assert why(worker.outcome(again)) == ("throttled", True)
    assert "outcome" not in cloud.entry("e-1")
    assert why(worker.outcome(again)) == ("circuit_open", True)
    cloud.clock.advance(30)
    assert worker.outcome(again) == Delivered()


# Profiles


def test_a_batch_sends_one_profile_before_the_events(clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(
        message(event("RENEWAL_DISABLED", at=NOW_MS + 2000, subscription_status="AUTO_RENEWING_CANCELED")),
        message(event("SUBSCRIPTION_STARTED", at=NOW_MS)),
        message(event("SUBSCRIPTION_RENEWED", at=NOW_MS + 1000)),
    )
    assert [sent.name for sent in clevertap.taken] == [
        "profile",
        "SUBSCRIPTION_STARTED",
        "SUBSCRIPTION_RENEWED",
        "RENEWAL_DISABLED",
    ]
    assert clevertap.profiles[0]["subscription_status"] == "AUTO_RENEWING_CANCELED"
    assert clevertap.profiles[0]["last_event"] == "RENEWAL_DISABLED"


def test_unchanged_values_are_not_sent_again(clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(message(event("SUBSCRIPTION_STARTED", at=NOW_MS)))
    worker.forward(message(event("SUBSCRIPTION_RENEWED", at=NOW_MS + 60_000, plan="yearly")))
    first, second = clevertap.profiles
    assert {"plan", "store", "user_id", "has_active_subscription"} <= set(first)
    assert second == {
        "plan": "yearly",
        "active_plans": "yearly",
        "last_event": "SUBSCRIPTION_RENEWED",
        "last_event_at": f"$D_{NOW_MS // 1000 + 60}",
    }


def test_a_new_project_gets_the_whole_profile(cloud: Cloud, clevertap: ScriptedClevertap) -> None:
    cloud.worker(clevertap).forward(message(event("SUBSCRIPTION_STARTED", at=NOW_MS)))
    cloud.put_secret("clevertap", {"production": {"account_id": "SECOND-ID", "passcode": "p"}})
    after = cloud.worker(clevertap, name="worker-2")
    after.forward(message(event("SUBSCRIPTION_RENEWED", at=NOW_MS + 60_000)))
    after.forward(message(event("RENEWAL_DISABLED", at=NOW_MS + 120_000)))
    first, second, third = clevertap.profiles
    assert first.keys() == second.keys()
    assert second["last_event"] == "SUBSCRIPTION_RENEWED"
    assert third.keys() == {"last_event", "last_event_at"}


def test_without_profiles_nobody_is_leased(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    cloud.put_settings({"profile": {"send": False}})
    assert worker.outcomes(message(event()), message(event())) == [Delivered()] * 2
    assert clevertap.profiles == []
    assert cloud.subscriber(PERSON) == {}


def test_a_busy_person_delays_no_other(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    other = cloud.worker(clevertap, name="worker-2")
    second, stranger = message(event(event_id="e-2")), message(event(user="user-2"))
    meanwhile: list[Outcome] = []
    clevertap.script.append(while_uploading(lambda: meanwhile.extend(other.outcomes(second, stranger))))
    assert worker.outcome(message(event(event_id="e-1"))) == Delivered()
    assert (why(meanwhile[0]), meanwhile[1]) == (BUSY, Delivered())
    entry = cloud.entry("e-2")
    assert entry["lease_until"] == 0
    assert not {"outcome", "lease_owner"} & set(entry)
    (handled,) = other.forward(second).messages
    assert (handled.outcome, handled.taken_over) == (Delivered(), False)
    assert len(clevertap.events) == 3


def test_a_stale_read_overwrites_no_profile(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    other = cloud.worker(clevertap, name="worker-2")
    upgrade = message(event("SUBSCRIPTION_UPGRADED", at=NOW_MS + 5000, plan="yearly"))
    renewal = message(event("SUBSCRIPTION_RENEWED", at=NOW_MS, plan="monthly", event_id="e-1"))
    worker.calls.next(WRITES, lambda: other.forward(upgrade))
    assert why(worker.outcome(renewal)) == BUSY
    assert cloud.entry("e-1")["lease_until"] == 0
    assert worker.outcome(renewal) == Delivered()
    assert clevertap.profile("user-1")["plan"] == "yearly"
    worker.forward(message(event("RENEWAL_DISABLED", at=NOW_MS + 6000)))
    assert [profile.get("plan") for profile in clevertap.profiles] == ["yearly", "monthly"]


def test_a_profile_leased_in_vain_is_free_unchanged(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(message(event(at=NOW_MS)))
    before = cloud.subscriber(PERSON)
    payload = event(at=NOW_MS + 1000)
    other = cloud.worker(clevertap, name="worker-2")
    # The other one has the event, but not the subscriber: it parks a dead letter.
    worker.calls.next(WRITES, lambda: other.forward(message(payload, dead_letter=True)))
    assert why(worker.outcome(message(payload))) == BUSY
    after = cloud.subscriber(PERSON)
    assert (after["lease_until"], after["facts"]) == (0, before["facts"])
    assert other.outcome(message(event(at=NOW_MS + 2000))) == Delivered()


def test_a_lost_profile_is_sent_whole_after_a_rest(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(message(event("SUBSCRIPTION_STARTED", at=NOW_MS, plan="monthly")))
    renewal = message(event(at=NOW_MS + 1000, plan="yearly", event_id="e-2"))
    clevertap.script.append(lost_answer())
    assert why(worker.outcome(renewal)) == ("timeout", True)
    assert cloud.entry("e-2")["unconfirmed_sends"] > 0
    other = cloud.worker(clevertap, name="worker-2")  # its circuit is closed
    cloud.clock.advance(44)
    assert why(other.outcome(renewal)) == BUSY
    cloud.clock.advance(1)
    assert other.outcome(renewal) == Delivered()
    assert {"plan", "store", "user_id", "has_active_subscription"} <= set(clevertap.profiles[-1])
    assert clevertap.profile("user-1")["plan"] == "yearly"
    # From here on it is known again what CleverTap has.
    assert other.outcome(message(event(at=NOW_MS + 2000, plan="yearly"))) == Delivered()
    assert "plan" not in clevertap.profiles[-1]


def test_any_event_of_the_batch_links_a_clevertap_id(clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(
        message(event("SUBSCRIPTION_STARTED", at=NOW_MS, clevertap_id="an-id")),
        message(event("SUBSCRIPTION_RENEWED", at=NOW_MS + 1000)),
    )
    link, profile = (sent.record for sent in clevertap.taken if sent.name == "profile")
    assert (link["objectId"], link["profileData"]) == ("an-id", {"identity": "user-1"})
    assert profile["identity"] == "user-1"
    assert profile["profileData"]["last_event"] == "SUBSCRIPTION_RENEWED"
    worker.forward(message(event("SUBSCRIPTION_UPGRADED", at=NOW_MS + 2000, clevertap_id="an-id")))
    assert "identity" not in clevertap.profiles[-1]


def test_two_names_of_one_person_do_not_collide(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    cloud.put_settings({"identity": {"anonymous": "custom_id"}})
    known, unknown = message(event()), message(event(user=None, anonymous_user_id="user-1"))
    assert worker.outcomes(known, unknown) == [Delivered(), Delivered()]
    assert {sent.identity for sent in clevertap.taken} == {"user-1", "-huser-1"}


# What tells nothing new

PERSON = "default#production#user#user-1"


def activated(event_id: str = "e-2", *, at: int = NOW_MS) -> Message:
    """A switched-off event that tells the same as the renewal of its moment."""
    return message(event("ACTIVATE", event_id=event_id, at=at))


def test_an_event_without_news_leases_nobody(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(message(event(event_id="e-1")))
    before, requests = cloud.subscriber(PERSON), len(clevertap.requests)
    assert worker.outcome(activated()) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert cloud.subscriber(PERSON) == before
    assert cloud.entry("e-2")["reason"] == "event_switched_off"
    assert len(clevertap.requests) == requests
    assert worker.outcome(activated()) == Duplicate()


def test_a_switched_off_event_with_news_teaches(cloud: Cloud, worker: Worker) -> None:
    worker.forward(message(event(event_id="e-1")))
    before = cloud.subscriber(PERSON)
    assert worker.outcome(activated(at=NOW_MS + 1)) == Skipped(SkipReason.EVENT_SWITCHED_OFF)
    assert cloud.subscriber(PERSON)["facts"] != before["facts"]


def test_a_profile_in_doubt_is_told_without_news(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.script.append(answer(Unknown(RetryReason.TIMEOUT)))
    worker.forward(message(event(event_id="e-1")))
    cloud.clock.advance(1000)
    told = len([each for each in clevertap.taken if each.name == "profile"])
    worker.outcome(activated())
    assert len([each for each in clevertap.taken if each.name == "profile"]) == told + 1


# Volume


def test_a_thousand_events_take_two_uploads(clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.calls.always("BatchGetItem", Answered({"Responses": {}}))
    worker.calls.always(WRITES, Answered(MADE))
    batch = [message(event(user=f"user-{n % 500}", at=NOW_MS + n)) for n in range(1000)]
    forwarded = worker.forward(*batch)
    assert Counter(each.outcome.name for each in forwarded.messages) == {"delivered": 1000}
    records = len(clevertap.taken)
    assert records == 1500
    assert len(clevertap.requests) == math.ceil(records / 1000)
    assert sum(uploaded.requests for uploaded in forwarded.uploads) == len(clevertap.requests)
    calls = Counter(name for name, _ in worker.calls.made)
    ledger = calls["BatchGetItem"] + calls["BatchExecuteStatement"] + calls["TransactWriteItems"]
    assert ledger <= 200
    assert calls.total() == ledger + calls["GetParameter"] + calls["GetSecretValue"]
    assert (calls["GetParameter"], calls["GetSecretValue"]) == (1, 1)


def test_a_persons_many_events_go_in_order(clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.calls.always("BatchGetItem", Answered({"Responses": {}}))
    worker.calls.always(WRITES, Answered(MADE))
    batch = [message(event(at=NOW_MS + n * 1000)) for n in range(1200)]
    assert Counter(each.name for each in worker.outcomes(*reversed(batch))) == {"delivered": 1200}
    assert [len(records) for _, records in clevertap.requests] == [1000, 201]
    stamps = [sent.record["ts"] for sent in clevertap.taken if sent.name != "profile"]
    assert stamps == sorted(stamps)


# Properties


def story() -> list[Payload]:
    """What two users go through, in order."""
    minute = 60_000
    return [
        event("TRIAL_STARTED", at=NOW_MS, offer_type="FREE_TRIAL", plan="monthly"),
        event("SUBSCRIPTION_STARTED", at=NOW_MS, offer_type="FREE_TRIAL", plan="monthly"),
        transaction(at=NOW_MS + minute, cumulated_revenues_in_usd=9.99),
        event("RENEWAL_DISABLED", at=NOW_MS + 2 * minute, subscription_status="AUTO_RENEWING_CANCELED"),
        event("SUBSCRIPTION_UPGRADED", at=NOW_MS + 3 * minute, plan="yearly", previous_plan="monthly"),
        event("SUBSCRIPTION_TERMINATED", at=NOW_MS + 4 * minute, plan="yearly", subscription_status="DEACTIVATED"),
        event("SUBSCRIPTION_STARTED", user="user-2", at=NOW_MS + minute, plan="weekly"),
        event(
            "SUBSCRIPTION_TRANSFERRED",
            user="user-2",
            at=NOW_MS + 3 * minute,
            plan="weekly",
            transferred_to_user_id="user-1",
        ),
        event(
            "SUBSCRIPTION_RECEIVED",
            at=NOW_MS + 3 * minute,
            plan="weekly",
            purchasely_subscription_id="subs_user-2",
            transferred_from_user_id="user-2",
        ),
    ]


STORY = story()


def told(batches: list[list[Payload]]) -> dict[str, dict[str, object]]:
    """The profiles at CleverTap once it was told the story in these batches, by two workers in turn."""
    with mock_aws():
        cloud, clevertap = Cloud(Clock()), ScriptedClevertap()
        workers = [cloud.worker(clevertap, name=name) for name in ("worker-1", "worker-2")]
        for number, batch in enumerate(batches):
            outcomes = workers[number % 2].outcomes(*map(message, batch))
            assert {each.name for each in outcomes} <= {"delivered", "duplicate"}
        return {user: clevertap.profile(user) for user in ("user-1", "user-2")}


@pytest.fixture(scope="module")
def in_order() -> dict[str, dict[str, object]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        return told([[payload] for payload in STORY])


def test_the_story_ends_as_it_should(in_order: dict[str, dict[str, object]]) -> None:
    assert in_order["user-1"]["has_active_subscription"] is True
    assert in_order["user-1"]["plan"] == "weekly"
    assert in_order["user-2"]["has_active_subscription"] is False
    assert (in_order["user-2"]["plan"], in_order["user-2"]["subscription_status"]) == ("weekly", "DEACTIVATED")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shuffled=st.permutations(STORY),
    cuts=st.sets(st.integers(1, len(STORY) - 1), max_size=4),
    again=st.lists(st.sampled_from(STORY), max_size=3),
)
def test_any_order_of_arrival_makes_the_same_profiles(
    in_order: dict[str, dict[str, object]],
    shuffled: list[Payload],
    cuts: set[int],
    again: list[Payload],
) -> None:
    arriving = shuffled + again
    edges = [0, *sorted(cuts), len(arriving)]
    assert told([arriving[start:end] for start, end in pairwise(edges)]) == in_order


FAULTS: dict[str, Step] = {
    "none": Step(),
    "429": answer(NotTaken(RetryReason.THROTTLED, 429)),
    "555 for an event": answer(NotTaken(RetryReason.RECORD_ERROR), of="TRANSACTION_PROCESSED"),
    "555 for a charged": answer(NotTaken(RetryReason.RECORD_ERROR), of="Charged"),
    "555 for a profile": answer(NotTaken(RetryReason.RECORD_ERROR), of="profile"),
    "an event refused": answer(Rejected(512, "bad"), of="TRANSACTION_PROCESSED"),
    "a charged refused": answer(Rejected(522, "bad"), of="Charged"),
    "a profile refused": answer(Rejected(515, "bad"), of="profile"),
    "401": answer(SetupFault(401, "no")),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=5),
    users=st.lists(st.sampled_from(["user-1", "user-2"]), min_size=1, max_size=3),
    copies=st.integers(0, 2),
)
def test_any_answers_deliver_each_record_once(
    faults: list[str],
    users: list[str],
    copies: int,
) -> None:
    with mock_aws():
        cloud, clevertap = Cloud(Clock()), ScriptedClevertap()
        clevertap.script.extend(FAULTS[name] for name in faults)
        payloads = [transaction(user=user, at=NOW_MS + n, marker=n) for n, user in enumerate(users)]
        arriving = [message(payload) for payload in payloads + payloads[:copies]]
        workers = [cloud.worker(clevertap, name=name) for name in ("worker-1", "worker-2")]
        outcomes: dict[str, MessageResult] = {}
        for turn in range(40):
            handled = workers[turn % 2].forward(*arriving).messages
            assert Counter(each.message.id for each in handled) == Counter(each.id for each in arriving)
            outcomes |= {each.message.id: each for each in handled if not isinstance(each.outcome, Retried)}
            arriving = [each.message for each in handled if isinstance(each.outcome, Retried)]
            arriving += [
                redriven(parked.body, accepted=parked.attributes.get("accepted", ""), id=f"redriven-{turn}-{n}")
                for n, parked in enumerate(cloud.parked())
            ]
            cloud.clock.advance(330)
            if not arriving:
                break
        assert arriving == []
        assert Counter(
            (sent.name, sent.record["evtData"].get("marker"))
            for sent in clevertap.taken
            if sent.name == "TRANSACTION_PROCESSED"
        ) == {("TRANSACTION_PROCESSED", n): 1 for n in range(len(users))}
        assert clevertap.events.count("Charged") == len(users)
        for payload in payloads:
            entry = cloud.entry(payload["event_id"])
            assert (entry["event"], entry["outcome"]) == (entry_key("default", payload["event_id"]), "delivered")
        for user in set(users):
            assert clevertap.profile(user)["last_event_at"] == f"$D_{NOW_MS // 1000}"


# What is told of an event


def test_a_result_has_person_and_environment(worker: Worker) -> None:
    handled = worker.forward(
        message(event()),
        message(event(user=None, environment="SANDBOX")),
        message(b"unreadable"),
    ).messages
    assert [(each.user, each.environment) for each in handled] == [
        ("user-1", Environment.PRODUCTION),
        ("anon-1", None),  # skipped, so it goes nowhere
        (None, None),
    ]


def test_how_many_records_an_event_had_to_send_is_told(clevertap: ScriptedClevertap, worker: Worker) -> None:
    clevertap.script.append(answer(NotTaken(RetryReason.RECORD_ERROR), of="Charged"))
    sent = message(transaction())
    (handled,) = worker.forward(sent).messages
    assert (handled.outcome.name, handled.records) == ("in_flight", 3)  # its profile, the event, its Charged
    (handled,) = worker.forward(sent).messages
    assert (handled.outcome.name, handled.records) == ("delivered", 2)  # CleverTap has the event


def test_how_many_profiles_clevertap_took_is_told(clevertap: ScriptedClevertap, worker: Worker) -> None:
    people = [message(event(user=f"user-{n}")) for n in range(3)]
    clevertap.script.append(answer(Rejected(515, "no"), of="profile"))
    (upload,) = worker.forward(*people).uploads
    assert (upload.records, upload.profiles) == (6, 0)
    (upload,) = worker.forward(message(event(user="user-4"))).uploads
    assert (upload.records, upload.profiles) == (2, 1)


def test_a_configured_unknown_event_is_no_news(cloud: Cloud, worker: Worker) -> None:
    cloud.put_settings({"events": {"SOMETHING_NEW": {"send": True}}})
    (handled,) = worker.forward(message(event("SOMETHING_NEW"))).messages
    assert handled.known_name
