"""What can't be delivered is answered 200, waits on the parked queue with its reason, and can be sent back."""

import time

from purchasely_sender import SPECIALS
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import Story

UNREADABLE = ("not_json", "not_an_object", "not_utf8", "empty_body")


def test_a_body_that_is_no_event_is_parked_as_it_is(app: App) -> None:
    webhooks = [SPECIALS[name](app.secret, int(time.time()), seed) for seed, name in enumerate(UNREADABLE)]

    assert [app.send(webhook) for webhook in webhooks] == [200] * len(webhooks)

    balance = app.balance()
    assert (balance.parked, balance.by_reason["parked"]) == (len(webhooks), {"unreadable": len(webhooks)})
    parked = [app.parked(event_id) for event_id in app.deliveries()]
    assert {each.body for each in parked} == {webhook.body for webhook in webhooks}
    assert {each["reason"] for each in parked} == {"unreadable"}
    assert all(each["detail"] for each in parked)


def test_an_unusable_name_is_parked(app: App) -> None:
    webhook = SPECIALS["reserved_name"](app.secret, int(time.time()))
    assert app.send(webhook) == 200

    outcome = app.only()

    assert (outcome.outcome, outcome.reason, outcome.code) == ("parked", "unusable_event_name", None)
    parked = app.parked(outcome.event_id)
    assert parked.body == webhook.body
    assert parked["reason"] == "unusable_event_name"
    assert "code" not in parked.attributes


def test_an_event_ahead_gets_the_time_of_receipt(app: App, clevertap: CleverTap) -> None:
    now = int(time.time())
    webhook = SPECIALS["dated_ahead"](app.secret, now)
    assert app.send(webhook) == 200

    outcome = app.only()

    assert outcome.outcome == "delivered"
    assert all(abs(taken.record["ts"] - now) < 120 for taken in clevertap.of(outcome.event_id))


def test_a_redrive_sends_only_what_is_missing(app: App, clevertap: CleverTap, story: Story) -> None:
    (payment, *_) = (event for event in story("renewals") if event["event_name"] == "TRANSACTION_PROCESSED")
    clevertap.fail(fault="refuse", code=512, event_name="Charged", identity=payment["user_id"])
    app.tell(payment)
    refused = app.only()
    taken_before = [taken.name for taken in clevertap.of(payment["event_id"])]
    clevertap.mend()

    parked = app.parked(payment["event_id"])
    app.redrive(parked)

    assert (refused.outcome, refused.code, parked["code"], parked["accepted"]) == ("parked", 512, "512", "event")
    assert taken_before == ["TRANSACTION_PROCESSED"]
    app.becomes("delivered", payment)
    assert [taken.name for taken in clevertap.of(payment["event_id"])] == ["TRANSACTION_PROCESSED", "Charged"]
    balance = app.balance()
    assert (balance.received, balance.delivered, balance.parked, balance.duplicate) == (1, 1, 0, 0)


def test_a_refused_event_leaves_the_others_alone(app: App, clevertap: CleverTap, story: Story) -> None:
    events = [event for event in story("renewals") if event["event_name"] != "ACTIVATE"]
    clevertap.fail(fault="refuse", code=512, event_name="SUBSCRIPTION_STARTED", identity=events[0]["user_id"])
    app.tell(*events)

    outcomes = app.settled(events)

    assert [outcomes[event["event_id"]].outcome for event in events] == ["parked", *["delivered"] * (len(events) - 1)]
