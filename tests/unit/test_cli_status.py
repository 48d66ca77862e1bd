"""The status: what counts as received since, and what waits now."""

from dataclasses import replace

from bridge_cli.commands.status import Oldest, Status, statuses
from bridge_cli.deliveries import Delivery

SINCE = 1_770_000_000_000
LONG_AGO = SINCE - 1


def delivery(number: int, outcome: str | None, *, at: int = SINCE, reason: str | None = None) -> Delivery:
    return Delivery(
        "default",
        f"e-{number}",
        messages=frozenset({f"m-{number}"}),
        received_at=at,
        outcome=outcome,
        reason=reason,
        settled_at=at + 1000 * number if outcome else None,
    )


def status(*deliveries: Delivery) -> Status:
    return statuses(deliveries, since_ms=SINCE)["default"]


def test_only_what_came_since_counts() -> None:
    found = status(
        delivery(1, "delivered"), delivery(2, "delivered", at=LONG_AGO), delivery(3, "skipped", reason="late")
    ).received
    assert (found.received, found.delivered, found.skipped) == (2, 1, 1)
    assert found.by_reason == {"skipped": {"late": 1}}


def test_what_waits_counts_whenever_it_was_received() -> None:
    found = status(
        delivery(1, None, at=LONG_AGO, reason="throttled"),
        delivery(2, None),
        delivery(3, "parked", at=LONG_AGO - 5, reason="unreadable"),
        delivery(4, "parked", reason="unreadable"),
    )
    assert (found.in_flight, found.waits) == (2, {"throttled": 1})
    assert found.parked == {"unreadable": 2}
    assert found.oldest_in_flight == Oldest("default", "e-1", LONG_AGO)
    assert found.oldest_parked == Oldest("default", "e-3", LONG_AGO - 5)


def test_the_error_rate_is_of_what_was_received() -> None:
    found = status(
        delivery(1, "delivered"),
        delivery(2, "parked", reason="unreadable"),
        delivery(3, None, reason="server_error"),
        delivery(4, None),
        delivery(5, "parked", at=LONG_AGO, reason="unreadable"),
    )
    assert found.error_rate == 0.5


def test_without_events_there_is_no_rate_and_no_delay() -> None:
    found = status(delivery(1, "delivered", at=LONG_AGO))
    assert (found.error_rate, found.median_delay, found.longest_delay) == (None, None, None)


def test_delays_are_of_what_was_delivered() -> None:
    found = status(*(delivery(number, "delivered") for number in (1, 2, 9)), delivery(50, "skipped", reason="late"))
    assert (found.median_delay, found.longest_delay) == (2000, 9000)


def test_an_event_without_note_counts_by_its_outcome() -> None:
    noted = [delivery(1, "delivered"), delivery(2, "delivered", at=LONG_AGO - 9000), delivery(3, None)]
    found = status(*(replace(each, received_at=None) for each in noted))
    assert (found.received.delivered, found.received.in_flight) == (1, 1)
    assert (found.median_delay, found.oldest_in_flight) == (None, None)


def test_each_app_has_a_status_of_its_own() -> None:
    found = statuses([delivery(1, "delivered"), replace(delivery(2, None), app="second")], since_ms=SINCE)
    assert list(found) == ["default", "second"]
    assert (found["default"].in_flight, found["second"].in_flight) == (0, 1)
