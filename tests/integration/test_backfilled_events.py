"""What the forwarder does with an event of a backfill, by its mode."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchasely_clevertap.clevertap.response import Rejected
from purchasely_clevertap.delivery.message import Message, MessageKind, attributes
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.outcome import (
    BackfillMode,
    Delivered,
    Duplicate,
    Parked,
    Skipped,
    SkipReason,
)
from purchasely_clevertap.purchasely.event import Event, read
from tests.integration.clevertap import ScriptedClevertap, Step, answer
from tests.integration.cli import messages_of
from tests.integration.cloud import Cloud, Worker
from tests.integration.webhook import NOW_MS, Payload, encoded, event, message, transaction

YEAR_MS = 365 * 86_400_000
PRICE = {"plan_price_in_usd": 49.0}
LIFETIME: dict[str, Any] = {"purchase_type": "NON_CONSUMABLE", "purchasely_one_time_purchase_id": "otp-1", **PRICE}


def backfilled(payload: Payload, mode: BackfillMode) -> Message:
    return message(payload)._replace(kind=MessageKind.BACKFILL, backfill=mode)


def names(clevertap: ScriptedClevertap) -> list[str]:
    return sorted(clevertap.events)


def event_records(clevertap: ScriptedClevertap) -> list[dict[str, Any]]:
    return [sent.record for sent in clevertap.taken if sent.record["type"] == "event"]


def old(name: str = "SUBSCRIPTION_RENEWED", **more: Any) -> Payload:
    return event(name, at=NOW_MS - YEAR_MS, **more)


def paid(**more: Any) -> Payload:
    return transaction(at=NOW_MS - YEAR_MS, **more)


def test_a_profile_backfill_tells_the_profile_alone(worker: Worker, clevertap: ScriptedClevertap) -> None:
    told = [backfilled(each, BackfillMode.PROFILE) for each in (old(), paid(), old("ACTIVATE", **LIFETIME))]
    assert worker.outcomes(*told) == [Skipped(SkipReason.BACKFILLED)] * 3
    assert clevertap.events == []
    (profile,) = clevertap.profiles
    assert profile["plan"] == "monthly"
    assert "backfilled" not in profile


def test_an_events_backfill_sends_no_money(worker: Worker, clevertap: ScriptedClevertap) -> None:
    told = [backfilled(each, BackfillMode.EVENTS) for each in (old(), paid(), old("ACTIVATE", **LIFETIME))]
    assert worker.outcomes(*told) == [Delivered(), Delivered(), Delivered()]
    assert names(clevertap) == ["ONE_TIME_PURCHASE_ACTIVATED", "SUBSCRIPTION_RENEWED", "TRANSACTION_PROCESSED"]
    assert {record["evtData"]["backfilled"] for record in event_records(clevertap)} == {True}
    assert {record["ts"] for record in event_records(clevertap)} == {(NOW_MS - YEAR_MS) // 1000}


def test_a_whole_backfill_sends_the_money_too(worker: Worker, clevertap: ScriptedClevertap) -> None:
    told = [backfilled(each, BackfillMode.ALL) for each in (paid(), paid(amount=-9.99), old("ACTIVATE", **LIFETIME))]
    worker.forward(*told)
    assert names(clevertap).count("Charged") == 2
    assert names(clevertap).count("Refunded") == 1
    assert {record["evtData"]["backfilled"] for record in event_records(clevertap)} == {True}


@pytest.mark.parametrize("action", ["skip", "profile_only"])
def test_settings_of_late_events_keep_no_backfill(
    cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap, action: str
) -> None:
    cloud.put_settings({"late_events": {"action": action, "after_minutes": 5}})
    assert worker.outcome(backfilled(old(), BackfillMode.EVENTS)) == Delivered()
    assert worker.outcome(message(old())) == Skipped(SkipReason.LATE)
    assert len(clevertap.events) == 1


def test_the_same_event_twice_adds_nothing(worker: Worker, clevertap: ScriptedClevertap) -> None:
    payload = paid()
    assert worker.outcome(backfilled(payload, BackfillMode.ALL)) == Delivered()
    before = names(clevertap)
    assert worker.outcome(backfilled(payload, BackfillMode.ALL)) == Duplicate()
    assert worker.outcome(backfilled(payload, BackfillMode.EVENTS)) == Duplicate()
    assert names(clevertap) == before


def test_profiles_first_and_events_later(worker: Worker, clevertap: ScriptedClevertap) -> None:
    payload = paid()
    worker.forward(backfilled(payload, BackfillMode.PROFILE))
    assert worker.outcome(backfilled(payload, BackfillMode.PROFILE)) == Duplicate()
    assert worker.outcome(backfilled(payload, BackfillMode.ALL)) == Delivered()
    assert names(clevertap) == ["Charged", "TRANSACTION_PROCESSED"]


def test_a_webhook_after_a_profile_backfill_is_sent(worker: Worker, clevertap: ScriptedClevertap) -> None:
    payload = event()
    worker.forward(backfilled(payload, BackfillMode.PROFILE))
    assert worker.outcome(message(payload)) == Delivered()
    assert "backfilled" not in event_records(clevertap)[0]["evtData"]


@pytest.mark.parametrize("webhook_first", [True, False])
def test_a_webhook_counts_before_its_backfill(
    worker: Worker, clevertap: ScriptedClevertap, webhook_first: bool
) -> None:
    payload = paid()
    both = [message(payload), backfilled(payload, BackfillMode.EVENTS)]
    worker.forward(*(both if webhook_first else reversed(both)))
    assert names(clevertap) == ["Charged", "TRANSACTION_PROCESSED"]
    assert "backfilled" not in event_records(clevertap)[0]["evtData"]


def test_an_anonymous_user_is_not_waited_for(worker: Worker, clevertap: ScriptedClevertap) -> None:
    assert worker.outcome(backfilled(old(user=None), BackfillMode.ALL)) == Skipped(SkipReason.ANONYMOUS_USER)
    assert clevertap.events == []


@pytest.mark.parametrize("mode", BackfillMode)
def test_the_mode_survives_the_queue(cloud: Cloud, mode: BackfillMode) -> None:
    cloud.sqs.send_message(
        QueueUrl=cloud.events_url, MessageBody="{}", MessageAttributes=attributes("default", NOW_MS, backfill=mode)
    )
    (found,) = messages_of(cloud, cloud.events_url)
    assert (found.kind, found.backfill) == (MessageKind.BACKFILL, mode)


def test_a_redriven_backfill_is_one_still(cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap) -> None:
    clevertap.otherwise = answer(Rejected(513, "reserved"), of="TRANSACTION_PROCESSED")
    assert isinstance(worker.outcome(backfilled(paid(), BackfillMode.EVENTS)), Parked)
    (parked,) = messages_of(cloud, cloud.parked_url)
    clevertap.otherwise = Step()
    assert worker.outcome(parked) == Delivered()
    assert names(clevertap) == ["TRANSACTION_PROCESSED"]


EVENTS = st.lists(
    st.builds(
        lambda name, hours, plan, status: event(
            name, at=NOW_MS - hours * 3_600_000, plan=plan, subscription_status=status
        ),
        st.sampled_from(["SUBSCRIPTION_RENEWED", "RENEWAL_DISABLED", "SUBSCRIPTION_TERMINATED", "TRIAL_STARTED"]),
        st.integers(0, 5000),
        st.sampled_from(["monthly", "yearly"]),
        st.sampled_from(["AUTO_RENEWING", "DEACTIVATED", "IN_GRACE_PERIOD"]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: each["event_created_at_ms"],
)


def _event(payload: Payload) -> Event:
    found = read(encoded(payload))
    assert isinstance(found, Event)
    return found


@given(EVENTS, st.data())
def test_a_backfill_never_moves_a_profile_back(payloads: list[Payload], data: st.DataObject) -> None:
    live = [event_ for event_ in map(_event, payloads) if data.draw(st.booleans())]
    later = [each for each in map(_event, payloads) if each not in live]
    shuffled = data.draw(st.permutations([(each, True) for each in live] + [(each, False) for each in later]))
    state = ProfileState()
    for each, is_live in shuffled:
        state = state.apply([each], is_sent=lambda _, is_live=is_live: is_live)  # type: ignore[misc]
    expected = ProfileState()
    for each in sorted(map(_event, payloads), key=lambda each: each.created_ms):
        expected = expected.apply([each], is_sent=lambda told: told in live)
    assert state.profile() == expected.profile()
    assert orjson.loads(state.encoded())


@given(EVENTS, st.data())
def test_profile_first_or_webhook_first(payloads: list[Payload], data: st.DataObject) -> None:
    events = list(map(_event, payloads))
    twice = data.draw(st.permutations([(each, is_sent) for each in events for is_sent in (True, False)]))
    state = ProfileState()
    for each, is_sent in twice:
        state = state.apply([each], is_sent=lambda _, is_sent=is_sent: is_sent)  # type: ignore[misc]
    assert state.profile() == ProfileState().apply(events).profile()


def test_a_backfilled_transfer_is_no_refund(cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap) -> None:
    bought = old("ACTIVATE", **LIFETIME)
    lost = event("DEACTIVATE", at=NOW_MS - YEAR_MS + 1000, **LIFETIME)
    moved = event(
        "ONE_TIME_PURCHASE_TRANSFERRED", at=NOW_MS - YEAR_MS + 1000, transferred_to_user_id="user-2", **LIFETIME
    )
    for each in (bought, lost, moved):
        worker.forward(backfilled(each, BackfillMode.ALL))
    cloud.clock.advance(30)
    worker.forward(backfilled(lost, BackfillMode.ALL))
    assert names(clevertap).count("Charged") == 1
    assert "Refunded" not in names(clevertap)


def test_a_backfilled_refund_is_one(cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap) -> None:
    worker.forward(backfilled(old("ACTIVATE", **LIFETIME), BackfillMode.ALL))
    lost = backfilled(event("DEACTIVATE", at=NOW_MS - YEAR_MS + 1000, **LIFETIME), BackfillMode.ALL)
    worker.forward(lost)
    cloud.clock.advance(30)
    worker.forward(lost)
    assert names(clevertap).count("Refunded") == 1
