"""What comes about a suppressed person is skipped, and nothing of it is kept or sent."""

import json
from itertools import permutations
from typing import Any

import pytest

from purchasely_clevertap.aws.changes import PACKING_KEY
from purchasely_clevertap.delivery.message import Message, MessageKind, Redrive
from purchasely_clevertap.delivery.suppression import IdKind, Mark, NamedId
from purchasely_clevertap.outcome import Delivered, Held, Parked, ParkReason, Skipped, SkipReason
from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cloud import DELIVERIES, SUBSCRIBERS, SUPPRESSION_KEY, Cloud, Worker
from tests.integration.storyteller import Teller
from tests.integration.webhook import NOW_MS, event, message
from tests.story import PRODUCTION

SUPPRESSED = Skipped(SkipReason.SUPPRESSED)


def suppress(cloud: Cloud, **ids: str) -> None:
    """As `bridge forget ada --suppress` does it; `ids` are of ada, by their kinds."""
    ada = NamedId("default", IdKind.USER, "ada")
    named = [ada, *(NamedId("default", IdKind(kind), each) for kind, each in ids.items())]
    cloud.ledger().suppress([Mark.of(each, ada, SUPPRESSION_KEY) for each in named], lambda: 60)


def persons(cloud: Cloud) -> list[dict[str, Any]]:
    """What is kept of anybody."""
    items = cloud.dynamodb.scan(TableName=SUBSCRIBERS)["Items"]
    return [item for item in items if "suppressed" not in item]


def associated(clevertap_id: str, **person: str) -> Message:
    body = json.dumps({"clevertap_id": clevertap_id, **person}).encode()
    return Message(f"m-{clevertap_id}", "default", body, NOW_MS, NOW_MS, kind=MessageKind.IDENTITY)


@pytest.mark.parametrize(
    "payload",
    [
        event(user="ada"),
        event(user="ada", environment="SANDBOX", clevertap_id="__h9", anonymous_user_id="a-9"),
        event("ACTIVATE", user="ada"),
        event(user=None, anonymous_user_id="a-1"),
        event(user=None, anonymous_user_id="a-1", clevertap_id="__h9"),
        event(user=None, anonymous_user_id="a-9", clevertap_id="__h1"),
    ],
)
def test_nothing_is_kept_or_sent(
    cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap, payload: dict[str, Any]
) -> None:
    suppress(cloud, anonymous="a-1", object="__h1")
    assert worker.outcome(message(payload)) == SUPPRESSED
    assert (persons(cloud), clevertap.taken) == ([], [])
    entry = cloud.entry(payload["event_id"])
    assert (entry["outcome"], entry["reason"]) == ("skipped", "suppressed")
    assert not {"ada", "a-1", "__h1", "a-9", "__h9"} & set(map(str, entry.values()))


@pytest.mark.parametrize(
    "payload",
    [
        event(user="ben"),
        event(user="a-1"),
        event(user="ada2"),
        event(user="ben", anonymous_user_id="a-1", clevertap_id="__h1"),
    ],
)
def test_another_persons_events_are_delivered(cloud: Cloud, worker: Worker, payload: dict[str, Any]) -> None:
    suppress(cloud, anonymous="a-1", object="__h1")
    assert worker.outcome(message(payload)) == Delivered()


def test_the_same_id_in_another_app_is_not_suppressed(cloud: Cloud, worker: Worker) -> None:
    cloud.put_secret("clevertap", {"production": {"account_id": "A", "passcode": "p"}}, app="second")
    suppress(cloud)
    assert worker.outcome(message(event(user="ada"), app="second")) == Delivered()


@pytest.mark.parametrize("mode", ["hold", "custom_id"])
def test_no_id_of_theirs_is_tied_to_another_user(
    cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap, mode: str
) -> None:
    cloud.put_settings({"identity": {"anonymous": mode}})
    suppress(cloud, anonymous="a-1", object="-ha-1")
    worker.outcomes(
        message(event(user="ben", anonymous_user_id="a-1", clevertap_id="-ha-1")),
        associated("-ha-1", user_id="ben"),
        associated("-ha-1", anonymous_user_id="b-1"),
    )
    known = {item["subscriber"]["S"] for item in persons(cloud)} - {PACKING_KEY}
    assert known == {"default#production#user#ben"}
    assert {sent.identity for sent in clevertap.taken} == {"ben"}


def test_an_association_of_theirs_ties_nothing(cloud: Cloud, worker: Worker, clevertap: ScriptedClevertap) -> None:
    suppress(cloud, anonymous="a-1")
    assert set(worker.outcomes(associated("__h5", user_id="ada"), associated("__h6", anonymous_user_id="a-1"))) == {
        SUPPRESSED
    }
    assert (persons(cloud), clevertap.taken) == ([], [])


def test_a_lapse_of_theirs_writes_nothing(cloud: Cloud, worker: Worker) -> None:
    suppress(cloud, anonymous="a-1", object="__h1")
    for kind, id_ in (("user", "ada"), ("anonymous", "a-1"), ("object", "__h1")):
        body = f"default#production#{kind}#{id_}".encode()
        worker.forward(Message(f"m-{kind}", "default", body, NOW_MS, NOW_MS, kind=MessageKind.LAPSE))
    assert persons(cloud) == []


def test_a_held_event_is_skipped_when_it_is_released(cloud: Cloud, worker: Worker) -> None:
    held = event(user=None, anonymous_user_id="a-1", event_id="e-1")
    assert worker.outcome(message(held)) == Held()
    suppress(cloud, anonymous="a-1")
    released = message(held)._replace(kind=MessageKind.HELD)
    assert worker.outcome(released) == SUPPRESSED
    entry = cloud.entry("e-1")
    assert (entry["outcome"], entry["reason"]) == ("skipped", "suppressed")
    assert not {"body", "held_for"} & entry.keys()


def test_a_redriven_event_is_skipped(cloud: Cloud, worker: Worker) -> None:
    payload = event("A.B", user="ada", event_id="e-1")
    assert worker.outcome(message(payload, dead_letter=True)) == Parked(
        ParkReason.DEAD_LETTER, "received 1 times and never handled to the end"
    )
    suppress(cloud)
    assert worker.outcome(message(payload, redrive=Redrive(None, frozenset()))) == SUPPRESSED
    assert cloud.entry("e-1")["outcome"] == "skipped"


@pytest.mark.parametrize("order", [*permutations(("visit", "login", "later")), ("visit login later",)])
def test_a_visitor_who_logs_in_as_them_is_suppressed(cloud: Cloud, order: tuple[str, ...]) -> None:
    teller = Teller(cloud, {})
    suppress(cloud)
    events = {
        "visit": event(user=None, anonymous_user_id="a-7", event_id="e-1"),
        "login": event(user="ada", anonymous_user_id="a-7", event_id="e-2", at=NOW_MS + 1),
        "later": event(user=None, anonymous_user_id="a-7", event_id="e-3", at=NOW_MS + 2),
    }
    for number, labels in enumerate(order):
        batch = [events[label] for label in labels.split()]
        teller.tell(batch, [NOW_MS + 60_000 * number] * len(batch))
    teller.finish()
    assert teller.outcomes == dict.fromkeys(("e-1", "e-2", "e-3"), "skipped (suppressed)")
    assert (teller.events(PRODUCTION), persons(cloud)) == ([], [])


def test_an_id_that_is_anothers_is_not_suppressed_with_them(cloud: Cloud) -> None:
    teller = Teller(cloud, {})
    suppress(cloud)
    bens = event(user="ben", anonymous_user_id="b-1", clevertap_id="__hb", event_id="e-1")
    adas = event(user="ada", anonymous_user_id="b-1", clevertap_id="__hb", event_id="e-2", at=NOW_MS + 1)
    again = event(user=None, anonymous_user_id="b-1", event_id="e-3", at=NOW_MS + 2)
    for number, payload in enumerate((bens, adas, again)):
        teller.tell([payload], [NOW_MS + 60_000 * number])
    assert teller.outcomes == {"e-1": "delivered", "e-2": "skipped (suppressed)", "e-3": "delivered"}


def test_a_mark_names_nobody_and_never_expires(cloud: Cloud, worker: Worker) -> None:
    suppress(cloud, anonymous="a-1", object="__h1")
    worker.outcome(message(event(user="ada")))
    kept = cloud.dynamodb.scan(TableName=SUBSCRIBERS)["Items"]
    assert not any(name in str(kept) for name in ("ada", "a-1", "__h1"))
    assert {name for item in kept for name in item} == {"subscriber", "suppressed"}


def test_unsuppressed_people_are_told_of_again(cloud: Cloud, worker: Worker) -> None:
    suppress(cloud)
    ada = NamedId("default", IdKind.USER, "ada")
    cloud.ledger().unsuppress([Mark.of(ada, ada, SUPPRESSION_KEY)], lambda: 60)
    assert worker.outcome(message(event(user="ada"))) == Delivered()


@pytest.mark.parametrize("events", [1, 40])
def test_it_costs_others_no_further_call(cloud: Cloud, worker: Worker, events: int) -> None:
    suppress(cloud)
    worker.forward(*(message(event(user=f"user-{number}")) for number in range(events)))
    # The entries with the marks, and the profiles.
    reads = worker.calls.of("BatchGetItem")
    assert len(reads) == 2
    assert len(reads[0]["RequestItems"][DELIVERIES]["Keys"]) == events
    assert len(reads[0]["RequestItems"][SUBSCRIBERS]["Keys"]) <= min(events, 16)
