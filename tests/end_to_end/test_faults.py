"""CleverTap fails for a while: nothing is lost, doubled or parked, and nobody has to do anything about an outage."""

from local_stack import PRODUCTION, CleverTapAccount
from purchasely_sender import Payload
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import Story
from tests.end_to_end.eventually import eventually


def names_of(event: Payload) -> list[str]:
    """The records that CleverTap is to have of an event."""
    return [event["event_name"], *(["Charged"] if event.get("amount_in_usd", 0) > 0 else [])]


def names_at(clevertap: CleverTap, events: list[Payload]) -> list[list[str]]:
    """The records that CleverTap has of each event."""
    return [[taken.name for taken in clevertap.of(event["event_id"])] for event in events]


def statuses(clevertap: CleverTap, before: int) -> list[int]:
    """What the requests were answered with, but for those `before`."""
    return [request["status"] for request in clevertap.requests()[before:]]


def test_an_outage_ends_with_everything_once(app: App, clevertap: CleverTap, story: Story) -> None:
    events = [event for event in story("trial_converts") if event["event_name"] != "ACTIVATE"]
    before = len(clevertap.requests())
    clevertap.fail(fault="status", status=503)
    app.tell(*events)
    eventually(lambda: statuses(clevertap, before).count(503), lambda count: count >= 2)
    during = app.deliveries()
    clevertap.mend()

    outcomes = app.settled(events)

    assert {each.outcome for each in during.values()} == {None}
    assert {each.outcome for each in outcomes.values()} == {"delivered"}
    assert names_at(clevertap, events) == [names_of(event) for event in events]


def test_a_wrong_passcode_parks_nothing(app: App, clevertap: CleverTap, story: Story) -> None:
    events = [event for event in story("trial_converts") if event["event_name"] != "ACTIVATE"]
    app.put_clevertap_secret(CleverTapAccount(PRODUCTION.account_id, "mistyped"))
    before = len(clevertap.requests())
    app.tell(*events)
    eventually(lambda: statuses(clevertap, before).count(401), lambda count: count >= 2)
    during = app.deliveries()
    app.put_clevertap_secret()

    outcomes = app.settled(events)

    assert {each.outcome for each in during.values()} == {None}
    assert {each.outcome for each in outcomes.values()} == {"delivered"}
    assert names_at(clevertap, events) == [names_of(event) for event in events]
