"""The forwarder against the emulated CleverTap, over HTTP: the real client, strict rules, real ways to fail."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from clevertap_emulator import (
    Emulator,
    FailEmpty,
    Hang,
    LostAnswer,
    Refuse,
    Status,
    Step,
)
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.delivery.message import Message
from purchasely_clevertap.outcome import Delivered, Outcome, Parked, Retried
from purchasely_sender import LIFECYCLES
from tests.integration.cloud import PRODUCTION, SANDBOX, Clock, Cloud, Worker
from tests.integration.webhook import NOW_MS, Payload, event, message, transaction

ACCOUNT = PRODUCTION["account_id"]
WHOLE = ("anonymous_becomes_known", "one_time_purchase_transfer", "pause", "refund", "sandbox", "two_subscriptions")


@pytest.fixture
def emulator(clock: Clock) -> Iterator[Emulator]:
    passcodes = {account["account_id"]: account["passcode"] for account in (PRODUCTION, SANDBOX)}
    with Emulator(passcodes, now=clock.seconds) as emulator:
        yield emulator


@pytest.fixture
def worker(cloud: Cloud, emulator: Emulator) -> Worker:
    return cloud.worker(Client(connect_timeout=1, read_timeout=0.5), endpoint=emulator.url)


def names(emulator: Emulator, account: str = ACCOUNT) -> Counter[str]:
    """How often each event was taken."""
    return Counter(str(stored.record["evtName"]) for stored in emulator.records(account) if "evtName" in stored.record)


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Retried)
    return outcome.shown_reason


def until_settled(cloud: Cloud, worker: Worker, messages: list[Message]) -> Counter[str]:
    """Lets everything that is retried come again until nothing is; how many messages met which outcome."""
    outcomes: dict[str, str] = {}
    for _ in range(12):
        outcomes |= {each.message.id: each.outcome.name for each in worker.forward(*messages).messages}
        messages = [each for each in messages if outcomes[each.id] == "in_flight"]
        cloud.clock.advance(330)
        if not messages:
            break
    return Counter(outcomes.values())


@pytest.mark.parametrize("position", [1, 2, 3, 4, 5, 6])
def test_a_refused_record_parks_its_own_event_alone(
    cloud: Cloud, emulator: Emulator, worker: Worker, position: int
) -> None:
    batch = [message(event(user=f"user-{n}", at=NOW_MS + n)) for n in range(3)]
    emulator.faults.add(Refuse(512, positions=[position]))
    outcomes = worker.outcomes(*batch)
    refused = (position - 1) // 2  # each event is a profile and an event record
    for number, outcome in enumerate(outcomes):
        if number == refused:
            assert isinstance(outcome, Parked)
            assert outcome.code == 512
        else:
            assert outcome == Delivered()
    assert len(emulator.records(ACCOUNT)) == 5
    (parked,) = cloud.parked()
    assert parked.body == batch[refused].body
    assert parked.attributes.get("accepted", "") == ("event" if position % 2 else "")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Status(503, body="<html>"), "server_error"),
        (FailEmpty(), "not_processed"),
        (Refuse(555), "record_error"),
        (Hang(30), "timeout"),
    ],
)
def test_what_was_not_taken_is_retried_and_taken_once(
    cloud: Cloud, emulator: Emulator, worker: Worker, fault: Step, why: str
) -> None:
    emulator.faults.add(fault)
    sent = message(transaction())
    assert reason(worker.outcome(sent)) == why
    assert emulator.records(ACCOUNT) == []
    cloud.clock.advance(60)
    assert worker.outcome(sent) == Delivered()
    assert names(emulator) == {"TRANSACTION_PROCESSED": 1, "Charged": 1}
    assert cloud.parked() == []


@pytest.mark.parametrize("fault", [LostAnswer(), Hang(30, taken=True)])
def test_only_records_with_a_lost_answer_are_doubled(
    cloud: Cloud, emulator: Emulator, worker: Worker, fault: Step
) -> None:
    emulator.faults.add(fault)
    sent = message(transaction())
    (handled,) = worker.forward(sent).messages
    assert handled.unconfirmed_sends == 3
    cloud.clock.advance(60)
    assert worker.outcome(sent) == Delivered()
    doubled = [stored.record for stored in emulator.records(ACCOUNT) if stored.answer_lost]
    assert len(doubled) == 3
    assert names(emulator) == {"TRANSACTION_PROCESSED": 2, "Charged": 2}


def shown_name(payload: Payload) -> str:
    """The event's name in CleverTap."""
    one_time = payload["purchase_type"] != "RENEWING_SUBSCRIPTION" and payload["event_name"] in (
        "ACTIVATE",
        "DEACTIVATE",
    )
    return f"ONE_TIME_PURCHASE_{payload['event_name']}D" if one_time else str(payload["event_name"])


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_lifecycle_arrives_exactly_once(cloud: Cloud, emulator: Emulator, worker: Worker, name: str) -> None:
    cloud.put_settings(
        {"events": {"ACTIVATE": {"send": True}, "DEACTIVATE": {"send": True}}, "identity": {"anonymous": "identity"}}
    )
    events: list[Payload] = list(LIFECYCLES[name].ending(7, datetime.fromtimestamp(NOW_MS / 1000, UTC)).events)
    emulator.faults.add(Status(503), Refuse(555, positions=[2]), FailEmpty())
    middle = len(events) // 2
    arriving = [message(payload) for payload in [*events[middle:], *events[:middle]]]
    sent = [each for each in events if "transferred_to_user_id" not in each or "user_id" in each]
    skipped = len(events) - len(sent)  # a login is no transfer: nothing is sent for the anonymous user
    assert until_settled(cloud, worker, arriving) == Counter(
        {"delivered": len(sent)} | ({"skipped": skipped} if skipped else {})
    )
    account = SANDBOX["account_id"] if events[0]["environment"] == "SANDBOX" else ACCOUNT
    taken = names(emulator, account)
    money = Counter({name: taken.pop(name, 0) for name in ("Charged", "Refunded")})
    assert taken == Counter(map(shown_name, sent))
    amounts = [float(payload.get("amount_in_customer_currency", 0)) for payload in sent]
    bought = {
        payload["store_transaction_id"] for payload in sent if shown_name(payload) == "ONE_TIME_PURCHASE_ACTIVATED"
    }
    assert money == {
        "Charged": sum(amount > 0 for amount in amounts) + len(bought),
        "Refunded": sum(amount < 0 for amount in amounts),
    }
    assert emulator.violations() == []
    assert emulator.max_concurrency == 1
