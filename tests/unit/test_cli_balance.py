"""The balance: what it counts, when it adds up, and which events it names when it does not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_cli.balance import Balance, Tally, balances
from bridge_cli.deliveries import Delivery

NOW = 1_770_000_000_000
SETTLED_AFTER = 300_000
OLD, NEW = NOW - SETTLED_AFTER - 1, NOW - 1

OUTCOMES = st.sampled_from([None, "delivered", "skipped", "parked"])


@dataclass(frozen=True)
class Placed:
    """An event, and the queue on which its message really stands: events, parked or none."""

    delivery: Delivery
    on: str | None


def delivery(number: int, outcome: str | None, *, app: str = "default", webhooks: int = 1, at: int = OLD) -> Delivery:
    reason = {"skipped": "anonymous_user", "parked": "unreadable"}.get(outcome or "")
    return Delivery(
        app=app,
        event_id=f"e-{number}",
        messages=frozenset(f"m-{number}-{webhook}" for webhook in range(webhooks)),
        received_at=at,
        outcome=outcome,
        reason=reason,
        settled_at=at if outcome else None,
    )


@st.composite
def deliveries(draw: st.DrawFn) -> list[Delivery]:
    return [
        delivery(
            number,
            draw(OUTCOMES),
            app=draw(st.sampled_from(["default", "second"])),
            webhooks=draw(st.integers(0, 3)),
            at=draw(st.sampled_from([OLD, NEW])),
        )
        for number in range(draw(st.integers(0, 12)))
    ]


@st.composite
def worlds(draw: st.DrawFn, *, lossless: bool) -> list[Placed]:
    """Events whose messages stand where they belong; a parked one may be on its way back. Else some stand nowhere."""
    placed = []
    for each in draw(deliveries()):
        where = {None: ["events"], "parked": ["parked", "events"]}.get(each.outcome, [None])
        lost = not lossless and each.outcome in (None, "parked") and draw(st.booleans())
        placed.append(Placed(each, None if lost else draw(st.sampled_from(where))))
    return placed


def drawn(world: Sequence[Placed], *, more_queued: int = 0) -> dict[str, Balance]:
    return balances(
        [each.delivery for each in world],
        queued=sum(each.on == "events" for each in world) + more_queued,
        parked={each.delivery.key for each in world if each.on == "parked"},
        now_ms=NOW,
        settled_after_ms=SETTLED_AFTER,
    )


def ids(balance: Balance) -> set[str]:
    return {*balance.missing, *balance.unqueued}


@given(deliveries(), st.integers(0, 20))
def test_every_webhook_has_one_outcome(listed: list[Delivery], queued: int) -> None:
    found = balances(listed, queued=queued, now_ms=NOW, settled_after_ms=SETTLED_AFTER)
    assert set(found) == {each.app for each in listed}
    for app, balance in found.items():
        of_app = [each for each in listed if each.app == app]
        assert balance.received == sum(max(len(each.messages), 1) for each in of_app)
        outcomes = (balance.delivered, balance.skipped, balance.parked, balance.in_flight)
        assert sum(outcomes) == len(of_app)
        assert balance.received == sum(outcomes) + balance.duplicate
        assert sum(balance.by_reason.get("parked", {}).values()) == balance.parked
        assert sum(balance.by_reason.get("skipped", {}).values()) == balance.skipped


@given(worlds(lossless=True), st.integers(0, 3))
def test_open_events_on_queues_add_up(world: list[Placed], duplicates: int) -> None:
    for balance in drawn(world, more_queued=duplicates).values():
        assert balance.adds_up
        assert not ids(balance)
        assert not balance.strays


@given(worlds(lossless=False))
def test_an_event_on_no_queue_is_named_when_sure(world: list[Placed]) -> None:
    lost = {each.delivery.event_id for each in world if each.on is None and each.delivery.outcome in (None, "parked")}
    old = {each.delivery.event_id for each in world if each.delivery.received_at == OLD}
    new_on_the_way = sum(each.on == "events" and each.delivery.received_at == NEW for each in world)
    found = drawn(world, more_queued=-new_on_the_way)
    named = set[str]().union(*map(ids, found.values()))
    if lost & old:
        assert lost & old <= named
        assert not all(balance.adds_up for balance in found.values())
    else:
        assert not named
    # Whoever is named is open, old, and not on the parked queue.
    assert named <= old - {each.delivery.event_id for each in world if each.on == "parked"}


@given(worlds(lossless=False), st.data())
def test_the_order_of_the_table_does_not_matter(world: list[Placed], data: st.DataObject) -> None:
    assert drawn(data.draw(st.permutations(world))) == drawn(world)


@given(deliveries(), st.data())
def test_looking_again_changes_nothing(listed: list[Delivery], data: st.DataObject) -> None:
    ledger = Tally()
    for each in listed:
        ledger.add(each)
    for index, each in enumerate(listed):
        if each.key in ledger.open:
            outcome = data.draw(OUTCOMES)
            listed[index] = delivery(
                int(each.event_id[2:]), outcome, app=each.app, webhooks=data.draw(st.integers(1, 3))
            )
            ledger.replace(listed[index])
    again = Tally()
    for each in listed:
        again.add(each)
    after, fresh = (
        each.balances(queued=0, parked=(), now_ms=NOW, settled_after_ms=SETTLED_AFTER) for each in (ledger, again)
    )
    assert after == fresh
    assert ledger.open == again.open


@pytest.mark.parametrize(
    "one",
    [delivery(1, None, at=NEW), replace(delivery(1, None), lease_until=NOW + 1), delivery(1, "parked")],
    ids=["it came just now", "a worker is at it", "the parked queue was not looked at"],
)
def test_what_may_be_somewhere_is_not_missed(one: Delivery) -> None:
    (balance,) = balances([one], queued=0, now_ms=NOW, settled_after_ms=SETTLED_AFTER).values()
    assert balance.adds_up


@pytest.mark.parametrize("outcome", [None, "delivered"])
def test_a_parking_that_is_not_remembered_is_a_stray(outcome: str | None) -> None:
    (balance,) = drawn([Placed(delivery(1, outcome), "parked")]).values()
    assert balance.adds_up
    assert (balance.strays, balance.missing) == (("e-1",), ())


def test_reasons_are_told_from_the_most_frequent_on() -> None:
    listed = [replace(delivery(number, "skipped"), reason=reason) for number, reason in enumerate("abbcbb")]
    (balance,) = balances(listed, queued=0, now_ms=NOW, settled_after_ms=0).values()
    assert list(balance.by_reason["skipped"].items()) == [("b", 4), ("a", 1), ("c", 1)]


def test_two_events_of_one_id_are_counted_once_each() -> None:
    first = replace(delivery(1, "skipped"), messages=frozenset({"m-1", "m-2", "m-3"}))
    second = replace(delivery(2, "delivered"), event_id="e-1~0a1b2c3d", messages=frozenset({"m-2", "m-3"}))
    for listed in ([first, second], [second, first]):
        (balance,) = balances(listed, queued=0, now_ms=NOW, settled_after_ms=0).values()
        assert (balance.received, balance.delivered, balance.skipped, balance.duplicate) == (3, 1, 1, 1)
        assert balance.adds_up
