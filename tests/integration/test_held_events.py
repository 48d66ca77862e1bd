"""Many events that wait for one login: all of them go to the user once and in order, whatever breaks off."""

from collections import Counter

import pytest

from tests.integration.cloud import DELIVERIES, Cloud, unreachable
from tests.integration.storyteller import SECONDS, Teller
from tests.integration.webhook import NOW_MS, Payload, event
from tests.story import PRODUCTION

MINUTE = 60_000


def visits(many: int) -> list[Payload]:
    """Events of one anonymous user, a minute apart."""
    return [
        event("SUBSCRIPTION_RENEWED", user=None, at=NOW_MS + number * MINUTE, purchasely_subscription_id="subs_1")
        for number in range(many)
    ]


def login(before: list[Payload]) -> Payload:
    """The event that says whose the others are."""
    return event(
        "SUBSCRIPTION_RECEIVED",
        at=before[-1]["event_created_at_ms"] + MINUTE,
        purchasely_subscription_id="subs_1",
        transferred_from_anonymous_user_id="anon-1",
    )


def tell(teller: Teller, events: list[Payload]) -> None:
    for start in range(0, len(events), 100):
        together = events[start : start + 100]
        teller.tell(together, [each["event_created_at_ms"] + SECONDS for each in together])


def check(teller: Teller, events: list[Payload]) -> None:
    assert Counter(teller.outcomes.values()) == {"delivered": len(events)}
    sent = teller.events(PRODUCTION)
    assert Counter(each.record["evtData"]["event_id"] for each in sent) == Counter(each["event_id"] for each in events)
    assert {each.identity for each in sent} == {"user-1"}
    assert sum(each.record["evtData"].get("was_anonymous") is True for each in sent) == len(events) - 1


def test_120_events_are_released_in_their_order(cloud: Cloud) -> None:
    teller = Teller(cloud, {})
    waiting = visits(120)  # more than a transaction takes
    tell(teller, waiting)
    assert Counter(teller.outcomes.values()) == {"held": 120}
    assert teller.events(PRODUCTION) == []
    known = login(waiting)
    tell(teller, [known])
    teller.finish()
    check(teller, [*waiting, known])
    released = [each.record["ts"] for each in teller.events(PRODUCTION) if "was_anonymous" in each.record["evtData"]]
    assert released == sorted(released)
    items = cloud.dynamodb.scan(TableName=DELIVERIES, FilterExpression="attribute_exists(body)")["Items"]
    assert items == [], "no body is kept longer than it waits"


@pytest.mark.parametrize(("broken", "after"), [("SendMessageBatch", 3), ("Query", 0)])
def test_a_broken_release_loses_and_doubles_nothing(cloud: Cloud, broken: str, after: int) -> None:
    teller, waiting = Teller(cloud, {}), visits(50)
    tell(teller, waiting)
    calls = teller.worker.calls
    calls.made.clear()
    calls.next(broken, *[lambda: None] * after, unreachable(), lambda: None, "InternalServerError")
    known = login(waiting)
    tell(teller, [known])
    teller.finish()
    check(teller, [*waiting, known])
    assert len(calls.of(broken)) > after, "it was broken indeed"
