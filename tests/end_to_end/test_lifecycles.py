"""Whole lifecycles, sent signed to the webhook URL: CleverTap has every event once and right, and right profiles."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pytest

from bridge_cli.deliveries import Delivery
from local_stack import PRODUCTION, SANDBOX, SHARED_SECRET
from purchasely_sender import Payload
from tests.end_to_end import expectation
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap, Taken
from tests.end_to_end.conftest import Story

# What each ends with, of the events that share its last instant the one that says most.
LAST_EVENTS = {
    "trial_converts": "SUBSCRIPTION_RENEWED",
    "trial_not_converted": "SUBSCRIPTION_TERMINATED",
    "refund": "SUBSCRIPTION_REFUNDED_REVOKED",
    "upgrade": "SUBSCRIPTION_RENEWED",
    "grace_period_lost": "SUBSCRIPTION_TERMINATED",
    "pause": "SUBSCRIPTION_RENEWED",
    "two_subscriptions": "SUBSCRIPTION_RENEWED",
}
PERSONAL = ("user_id", "anonymous_user_id", "device_id", "purchase_token", "store_transaction_id")
TOLD = (*LAST_EVENTS, "transfer", "anonymous_becomes_known", "anonymous", "sandbox")

type Stories = Mapping[str, Sequence[Payload]]


@pytest.fixture(scope="module")
def stories(default: App, story: Story) -> Stories:
    told = {name: story(name) for name in TOLD}
    for events in told.values():
        default.tell(*events)
    return told


@pytest.fixture(scope="module")
def events(stories: Stories) -> list[Payload]:
    return [event for each in stories.values() for event in each]


@pytest.fixture(scope="module")
def outcomes(default: App, events: list[Payload]) -> dict[str, Delivery]:
    return default.settled(events)


@pytest.fixture(scope="module")
def records(default: App, outcomes: dict[str, Delivery]) -> dict[str, list[Taken]]:
    """The event records of each event that CleverTap has, Charged among them."""
    found: dict[str, list[Taken]] = {}
    for taken in CleverTap(default.stack.clevertap_url).taken():
        if (event_id := taken.record.get("evtData", {}).get("event_id")) in outcomes:
            found.setdefault(event_id, []).append(taken)
    return found


def test_each_event_is_delivered_or_skipped_for_a_reason(events: list[Payload], outcomes: dict[str, Delivery]) -> None:
    expected = {
        event["event_id"]: ("delivered", None)
        if expectation.is_sent(event)
        else ("skipped", "event_switched_off" if "ACTIVATE" in event["event_name"] else "anonymous_user")
        for event in events
    }

    assert {event_id: (outcome.outcome, outcome.reason) for event_id, outcome in outcomes.items()} == expected


def test_clevertap_has_each_event_once_and_as_it_was_told(
    events: list[Payload], records: dict[str, list[Taken]]
) -> None:
    told = {event["event_id"]: [expectation.event_record(event)] for event in events if expectation.is_sent(event)}
    taken = {event_id: [each.record for each in found if each.name != "Charged"] for event_id, found in records.items()}

    assert taken == told


def test_each_payment_is_charged_once_and_a_refund_never(
    events: list[Payload], records: dict[str, list[Taken]]
) -> None:
    payments = [charge for event in events if expectation.is_sent(event) and (charge := expectation.charge(event))]
    charged = {
        event_id: each.record["evtData"]
        for event_id, found in records.items()
        for each in found
        if each.name == "Charged"
    }
    count = sum(each.name == "Charged" for found in records.values() for each in found)

    assert any(event.get("amount_in_customer_currency", 0) < 0 for event in events), "no refund was told"
    assert len(payments) == len(charged) == count
    assert [{key: charged[payment["event_id"]][key] for key in payment} for payment in payments] == payments


def test_a_sandbox_event_is_in_the_sandbox_account_alone(
    events: list[Payload], records: dict[str, list[Taken]]
) -> None:
    accounts = {"PRODUCTION": PRODUCTION.account_id, "SANDBOX": SANDBOX.account_id}
    environments = {event["event_id"]: event["environment"] for event in events}

    assert set(environments.values()) == {"PRODUCTION", "SANDBOX"}
    assert {
        event_id
        for event_id, found in records.items()
        for each in found
        if each.account != accounts[environments[event_id]]
    } == set()


@pytest.mark.parametrize("name", LAST_EVENTS)
@pytest.mark.usefixtures("outcomes")
def test_the_profile_ends_as_the_story_does(stories: Stories, clevertap: CleverTap, name: str) -> None:
    events = stories[name]

    assert clevertap.profile(events[0]["user_id"]) == expectation.profile(events, LAST_EVENTS[name])


@pytest.mark.usefixtures("outcomes")
def test_a_transfer_leaves_the_former_owner_without_and_the_new_one_with_the_subscription(
    stories: Stories, clevertap: CleverTap
) -> None:
    owners = list(dict.fromkeys(event["user_id"] for event in stories["transfer"]))
    former, new = (clevertap.profile(owner) for owner in owners)

    assert former is not None
    assert former["has_active_subscription"] is False
    assert former.keys() & {"plan", "product", "subscription_status", "effective_next_renewal_at"} == set()
    assert new == expectation.profile(
        [event for event in stories["transfer"] if event["user_id"] == owners[1]], "SUBSCRIPTION_RENEWED"
    )


@pytest.mark.usefixtures("outcomes")
def test_a_visitor_who_logs_in_becomes_a_user_and_was_none_before(stories: Stories, clevertap: CleverTap) -> None:
    events = stories["anonymous_becomes_known"]
    known = [event for event in events if "user_id" in event]

    assert clevertap.profile(events[0]["anonymous_user_id"]) is None
    assert clevertap.profile(known[0]["user_id"]) == expectation.profile(known, "SUBSCRIPTION_RENEWED")


@pytest.mark.usefixtures("outcomes")
def test_a_tester_has_a_profile_in_the_sandbox_account_alone(stories: Stories, clevertap: CleverTap) -> None:
    events = stories["sandbox"]

    assert clevertap.profile(events[0]["user_id"]) is None
    assert clevertap.profile(events[0]["user_id"], SANDBOX.account_id) == expectation.profile(
        events, "SUBSCRIPTION_TERMINATED"
    )


@pytest.mark.usefixtures("outcomes")
def test_clevertap_gets_nothing_that_it_would_drop_or_miscount(clevertap: CleverTap) -> None:
    assert clevertap.violations() == []


@pytest.mark.parametrize("group", ["IngestLogGroup", "ForwarderLogGroup"])
@pytest.mark.usefixtures("outcomes")
def test_no_log_line_names_a_person_or_holds_a_secret(
    default: App, events: list[Payload], group: Literal["IngestLogGroup", "ForwarderLogGroup"]
) -> None:
    log = "\n".join(default.stack.logs(group))
    private = {event[key] for event in events for key in PERSONAL if key in event}
    secrets = {SHARED_SECRET, PRODUCTION.passcode, SANDBOX.passcode}

    assert default.name in log
    assert {text for text in private | secrets if text in log} == set()
