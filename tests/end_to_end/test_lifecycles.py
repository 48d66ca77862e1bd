"""Whole lifecycles, sent signed to the webhook URL: CleverTap has every record once and right, and right people.

What is right follows from the webhooks alone, by the oracle of the chaos kit, which shares no code with the bridge.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import pytest

from bridge_cli.deliveries import Delivery
from chaos.oracle import Expected, Policy, expect
from chaos.verdict import Entry, Person, Reached, Remembered, judge
from chaos.verdict import reached as reached_by
from local_stack import PRODUCTION, SANDBOX, SHARED_SECRET
from purchasely_sender import Payload
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import Story
from tests.end_to_end.eventually import eventually

PERSONAL = ("user_id", "anonymous_user_id", "device_id", "clevertap_id", "purchase_token", "store_transaction_id")
TOLD = (
    *("trial_converts", "trial_not_converted", "refund", "upgrade", "grace_period_lost", "pause", "commitment"),
    *("two_subscriptions", "transfer", "anonymous_becomes_known", "anonymous", "shared_device", "one_time_purchase"),
    "sandbox",
)

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
def expected(default: App, events: list[Payload]) -> Expected:
    policy = Policy.of({}, PRODUCTION.account_id, SANDBOX.account_id)
    return expect([(default.name, event) for event in events], {default.name: policy}, received=int(time.time() * 1000))


@pytest.fixture(scope="module")
def outcomes(default: App, events: list[Payload], expected: Expected) -> dict[str, Delivery]:
    """What became of each event, once none of them is on its way any more; a held one may still be released."""

    def is_over(seen: dict[str, Delivery]) -> bool:
        held = {event_id for event_id, each in seen.items() if each.outcome == "held"}
        return all(expected.outcomes[default.name, event_id] == "held" for event_id in held)

    return eventually(lambda: default.settled(events), is_over)


@pytest.fixture(scope="module")
def reached(default: App, events: list[Payload], outcomes: dict[str, Delivery]) -> Reached:
    """What CleverTap has of these events and of the people whom they are about."""
    clevertap = CleverTap(default.stack.clevertap_url)
    named = {str(event[key]) for event in events for key in PERSONAL if key in event}
    people = {
        account: [each for each in listed if named & {*each.identities, *each.object_ids}]
        for account, listed in clevertap.profiles().items()
    }
    return reached_by(clevertap.stored(outcomes), people, (), ())


def test_every_record_outcome_and_person_is_right(
    default: App, expected: Expected, outcomes: dict[str, Delivery], reached: Reached
) -> None:
    entries = {(default.name, event_id): Entry(each.outcome, len(each.messages)) for event_id, each in outcomes.items()}
    remembered = Remembered(entries, (), sum(entry.webhooks for entry in entries.values()))

    assert judge(expected, reached, remembered).findings == []


def test_every_reason_is_right(expected: Expected, outcomes: dict[str, Delivery]) -> None:
    reasons = {event_id: each.reason for event_id, each in outcomes.items() if each.reason is not None}

    assert reasons == {event_id: reason for (_, event_id), reason in expected.reasons.items()}
    assert {each.outcome for each in outcomes.values()} == {"delivered", "skipped", "held"}


def test_a_wrong_profile_would_be_noticed(expected: Expected, reached: Reached) -> None:
    (one, *others) = (person for person in reached.people if person.properties.get("plan"))
    wrong = Person(one.account, one.ids, {**one.properties, "plan": "another"})

    assert judge(expected, replace(reached, people=[wrong, *others]), Remembered({}, (), 0)).stale


@pytest.mark.usefixtures("outcomes")
def test_clevertap_drops_nothing_of_it(clevertap: CleverTap) -> None:
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
