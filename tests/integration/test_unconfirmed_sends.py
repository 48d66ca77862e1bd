"""What the chaos kit once found: each test is named after what went wrong."""

import pytest

from purchasely_clevertap.clevertap.response import NotTaken
from purchasely_clevertap.delivery.entry import LEASE_MS
from purchasely_clevertap.delivery.message import Message, Redrive
from purchasely_clevertap.outcome import Delivered, Duplicate, Outcome, Parked, Retried, RetryReason
from tests.integration.clevertap import (
    Killed,
    ScriptedClevertap,
    answer,
    killed_after,
    killed_before,
    lost_answer,
    while_uploading,
)
from tests.integration.cloud import WRITES, Cancelled, Cloud, Worker, unreachable
from tests.integration.webhook import NOW_MS, event, message

REST_SECONDS = 60  # longer than a subscriber rests after an upload without an answer
NEXT_LEASE_SECONDS = LEASE_MS / 1000


def killed(worker: Worker, *messages: Message) -> None:
    with pytest.raises(Killed):
        worker.forward(*messages)


def reasons(outcomes: list[Outcome]) -> list[str]:
    return [each.reason if isinstance(each, Retried) else each.name for each in outcomes]


def status(at: int, value: str) -> Message:
    """An event that tells the status of the user's subscription, `at` seconds after the first."""
    return message(event("RENEWAL_DISABLED", at=NOW_MS + at * 1000, subscription_status=value))


# Profiles


@pytest.mark.parametrize("how", [lost_answer, killed_after])
def test_a_lost_value_that_went_back_was_stale(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker, how: type
) -> None:
    worker.forward(status(0, "AUTO_RENEWING"))
    clevertap.script.append(how())
    if how is killed_after:
        killed(worker, status(1, "AUTO_RENEWING_CANCELED"))
    else:
        worker.forward(status(1, "AUTO_RENEWING_CANCELED"))
    assert clevertap.profile("user-1")["subscription_status"] == "AUTO_RENEWING_CANCELED"
    cloud.clock.advance(NEXT_LEASE_SECONDS)
    assert cloud.worker(clevertap, name="worker-2").outcome(status(2, "AUTO_RENEWING")) == Delivered()
    assert clevertap.profile("user-1")["subscription_status"] == "AUTO_RENEWING"


def test_a_property_of_a_lost_upload_stayed_for_ever(
    cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker
) -> None:
    offer = {"offer_type": "PROMOTIONAL_OFFER", "promotional_offer_id": "stay"}
    worker.forward(message(event("SUBSCRIPTION_STARTED")))
    clevertap.script.append(lost_answer())
    worker.forward(message(event("PROMOTIONAL_OFFER_STARTED", at=NOW_MS + 1000, **offer)))
    assert clevertap.profile("user-1")["promotional_offer_id"] == "stay"
    cloud.clock.advance(REST_SECONDS)
    worker.forward(message(event("SUBSCRIPTION_RENEWED", at=NOW_MS + 2000, offer_type="NONE")))
    assert clevertap.profile("user-1")["promotional_offer_id"] == "NONE"


def test_a_second_failure_forgot_the_doubt(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    worker.forward(status(0, "AUTO_RENEWING"))
    clevertap.script.extend([lost_answer(), answer(NotTaken(RetryReason.RECORD_ERROR))])
    worker.forward(status(1, "DEACTIVATED"))
    cloud.clock.advance(REST_SECONDS)
    worker.forward(status(2, "AUTO_RENEWING"))
    cloud.clock.advance(REST_SECONDS)
    worker.forward(status(3, "AUTO_RENEWING"))
    assert clevertap.profile("user-1")["subscription_status"] == "AUTO_RENEWING"


def test_a_lease_given_back_forgot_the_doubt(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = status(1, "DEACTIVATED")
    worker.forward(status(0, "AUTO_RENEWING"))
    clevertap.script.append(lost_answer())
    worker.forward(sent)
    cloud.clock.advance(REST_SECONDS)
    # This worker has the subscriber, but loses the event to another claim: its first statement.
    worker.calls.next(WRITES, Cancelled(["ConditionalCheckFailed", "None"]))
    assert reasons([worker.outcome(sent)]) == ["busy"]
    worker.forward(status(2, "AUTO_RENEWING"))
    assert clevertap.profile("user-1")["subscription_status"] == "AUTO_RENEWING"


def test_an_outcome_without_its_state_lost_facts(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    def refuse_the_state() -> None:
        worker.calls.next(WRITES, Cancelled(["ConditionalCheckFailed"]))

    clevertap.script.append(while_uploading(refuse_the_state))
    (handled,) = worker.forward(message(event(event_id="e-1", plan="yearly"))).messages
    assert handled.unsettled
    assert "outcome" not in cloud.entry("e-1")


# What is counted


def test_a_double_was_lost_with_the_second_worker(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event(event_id="e-1"))
    clevertap.script.append(killed_after())
    killed(worker, sent)
    cloud.clock.advance(NEXT_LEASE_SECONDS)
    cloud.worker(clevertap, name="worker-2").forward(sent)  # and nobody hears of it
    assert (cloud.entry("e-1")["outcome"], cloud.entry("e-1")["unconfirmed_sends"]) == ("delivered", 1)


def test_a_double_was_lost_for_a_busy_person(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event(event_id="e-1"))
    clevertap.script.append(killed_after())
    killed(worker, sent)
    cloud.clock.advance(NEXT_LEASE_SECONDS)
    other = cloud.worker(clevertap, name="worker-2")
    other.calls.next(WRITES, Cancelled(["None", "ConditionalCheckFailed"]))
    assert reasons([other.outcome(sent)]) == ["busy"]
    assert cloud.entry("e-1")["unconfirmed_sends"] == 1


def test_a_double_was_lost_in_a_dead_letter(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event(event_id="e-1"), id="m-1")
    clevertap.script.append(killed_after())
    killed(worker, sent)
    cloud.clock.advance(NEXT_LEASE_SECONDS)
    (handled,) = cloud.worker(clevertap).forward(message(event(event_id="e-1"), id="m-1", dead_letter=True)).messages
    assert isinstance(handled.outcome, Parked)
    assert handled.taken_over
    assert cloud.entry("e-1")["unconfirmed_sends"] == 1


def test_an_event_without_doubt_says_nothing_of_it(cloud: Cloud, worker: Worker) -> None:
    worker.forward(message(event(event_id="e-1")))
    assert "unconfirmed_sends" not in cloud.entry("e-1")


# Messages


def test_two_workers_each_took_the_other_for_a_copy(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event(event_id="e-1")
    first, second = message(payload, id="m-1"), message(payload, id="m-2")
    other = cloud.worker(clevertap, name="worker-2")
    others: list[Outcome] = []
    clevertap.script.append(answer(NotTaken(RetryReason.SERVER_ERROR, 500)))
    # SQS has delivered both to both, in another order.
    clevertap.script[0] = type(clevertap.script[0])(
        clevertap.script[0].result, during=lambda: others.extend(other.outcomes(second, first))
    )
    assert reasons(worker.outcomes(first, second)) == ["server_error", "server_error"]
    assert reasons(others) == ["busy", "busy"]


def test_a_webhook_that_was_not_noted_was_forgotten(cloud: Cloud, worker: Worker) -> None:
    payload = event(event_id="e-1")
    webhooks = [message(payload, id=f"m-{number}") for number in range(3)]
    # The claim is written, as is what makes a new person be; the note of the copies is not.
    worker.calls.next("TransactWriteItems", lambda: None, lambda: None, unreachable())
    assert reasons(worker.outcomes(*webhooks)) == ["delivered", "ledger_unavailable", "ledger_unavailable"]
    assert worker.outcomes(*webhooks[1:]) == [Duplicate(), Duplicate()]
    assert cloud.entry("e-1")["messages"] == {"m-0", "m-1", "m-2"}


def test_what_nobody_could_note_comes_again_counted(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    sent = message(event(event_id="e-1"))

    def out_of_reach() -> None:
        worker.calls.always(WRITES, unreachable())
        worker.calls.always("SendMessageBatch", unreachable())

    clevertap.script.append(while_uploading(out_of_reach))
    assert reasons([worker.outcome(sent)]) == ["unsettled"]
    worker.calls.mend()
    cloud.clock.advance(NEXT_LEASE_SECONDS)
    (handled,) = worker.forward(sent).messages
    assert (handled.outcome, handled.taken_over) == (Delivered(), True)


def test_an_early_note_spares_the_next_webhook(cloud: Cloud, clevertap: ScriptedClevertap, worker: Worker) -> None:
    payload = event(event_id="e-1")
    clevertap.script.append(killed_before())
    killed(worker, message(payload, id="m-1"))
    cloud.clock.advance(NEXT_LEASE_SECONDS)
    note = message(payload, id="m-note", redrive=Redrive("m-1", frozenset({"event"})))
    assert worker.outcomes(message(payload, id="m-2"), note) == [Duplicate(), Delivered()]
    assert clevertap.events == []
