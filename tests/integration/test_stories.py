"""Every story of the contract, told to the real forwarder, ends in its right result, in any order and batches."""

from datetime import datetime
from random import Random
from typing import Any

import pytest

from tests.integration.cloud import Cloud
from tests.integration.storyteller import SECONDS, Teller
from tests.stories import STORIES
from tests.story import PRODUCTION, SANDBOX, Case, Payload, Story, event_id, load_cases


def created(event: Payload) -> int:
    """When Purchasely first sent it, by hand; some moment for an event that does not say so."""
    if "event_created_at" not in event:
        return 1_780_000_000_000
    milliseconds = event.get("event_created_at_ms")
    if isinstance(milliseconds, int) and milliseconds > 10**12:
        return milliseconds
    text = (
        event["event_created_at"].upper().replace(" UTC", "+00:00").replace("+0200", "+02:00").replace(":60Z", ":59Z")
    )
    moment = datetime.fromisoformat(text if text[-6:-5] in "+-" or text.endswith("Z") else f"{text}+00:00")
    return int(moment.timestamp() * 1000)


def received(story: Story, event: Payload) -> int:
    told = {event_id(label): at for label, at in story.received.items()}
    return told.get(event["event_id"], created(event) + SECONDS)


def tell(cloud: Cloud, story: Story, order: list[list[Payload]]) -> Teller:
    teller = Teller(cloud, story.settings, sandbox=story.sandbox_account)
    associations = list(story.associations)
    for batch in order:
        for at, body in [each for each in associations if each[0] <= max(map(created, batch))]:
            teller.associate(body, at)
            associations.remove((at, body))
        teller.tell(batch, [received(story, event) for event in batch])
    for at, body in associations:
        teller.associate(body, at)
    teller.finish()
    if story.sweep_at is not None:
        teller.sweep(story.sweep_at)
    return teller


def check(teller: Teller, story: Story) -> None:
    labels = {event_id(label): label for label in story.outcomes}
    right = {event["event_id"]: "delivered" for event in story.events} | {
        event_id(label): outcome for label, outcome in story.outcomes.items()
    }
    assert {labels.get(one, one): outcome for one, outcome in teller.outcomes.items()} == {
        labels.get(one, one): outcome for one, outcome in right.items()
    }
    if story.sent is not None:
        check_records(teller, story)
    for profile in story.profiles:
        found = teller.profile(profile.person, profile.account)
        assert {key: found.get(key) for key in profile.has} == dict(profile.has)
        assert not {key: found[key] for key in profile.lacks if key in found}
        assert teller.people(profile.account).get(profile.person) == (profile.ids or {profile.person})
    assert not set(teller.people(PRODUCTION)) & set(story.nobody)
    assert teller.objections() == []


def check_records(teller: Teller, story: Story) -> None:
    found: dict[tuple[str, str, str], Any] = {}
    for account in (PRODUCTION, SANDBOX):
        for sent in teller.events(account):
            key = (account, sent.record["evtData"].get("event_id", ""), sent.name)
            assert key not in found, f"twice: {key}"
            found[key] = sent
    right = {(each.account, event_id(each.of), each.name): each for each in story.sent or ()}
    if all(event for _, event, _ in found):
        assert found.keys() == right.keys()
    for key, each in right.items():
        if key not in found:
            continue
        sent = found[key]
        properties = sent.record["evtData"]
        assert sent.record["ts"] == story.time_of(each)
        assert each.person in teller.people(each.account)[sent.identity]
        assert (properties.get("was_anonymous") is True) == each.was_anonymous
        assert {name: properties.get(name) for name in each.has} == dict(each.has)
        assert not properties.keys() & set(each.lacks)
        if each.amount is not None:
            assert (properties["Amount"], properties["Currency"]) == (pytest.approx(each.amount), each.currency)
            assert type(properties["Amount"]) is float


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_one_by_one(cloud: Cloud, story: Story) -> None:
    check(tell(cloud, story, [[event] for event in story.events]), story)


@pytest.mark.parametrize("story", [each for each in STORIES if each.any_order], ids=lambda story: story.name)
def test_a_story_in_any_order_and_batches(cloud: Cloud, story: Story) -> None:
    random = Random(story.name)  # noqa: S311 - any order will do
    events = list(story.events)
    random.shuffle(events)
    batches: list[list[Payload]] = [[]]
    for event in events:
        if batches[-1] and random.random() < 0.4:
            batches.append([])
        batches[-1].append(event)
    check(tell(cloud, story, batches), story)


CASES = load_cases()


def tell_case(cloud: Cloud, case: Case) -> Teller:
    teller = Teller(cloud, case.settings)
    for step in case.steps:
        teller.tell(step, [created(event) + SECONDS for event in step])
    for body in case.raw_bodies:
        teller.tell([body.encode()], [1_780_000_003_000])
    teller.finish()
    return teller


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case(cloud: Cloud, case: Case) -> None:
    teller, right = tell_case(cloud, case), case.right
    events = [sent for sent in teller.events(PRODUCTION) if sent.name not in ("Charged", "Refunded")]
    if "events" in right:
        assert [sent.name for sent in teller.events(PRODUCTION)] == right["events"]
    for name in ("charged", "refunded"):
        if name in right:
            money = [
                {key: sent.record["evtData"][key] for key in ("Amount", "Currency")}
                for sent in teller.events(PRODUCTION)
                if sent.name == name.capitalize()
            ]
            assert money == right[name]
    person = events[0].identity if events else "reader-1"
    profile = teller.profile(person, PRODUCTION)
    for key, value in right.get("profile", {}).items():
        assert profile.get(key) == value, key
    assert not profile.keys() & set(right.get("profile_lacks", ()))
    if "ts" in right:
        assert events[0].record["ts"] == right["ts"]
    for key, value in right.get("event_property", {}).items():
        found = events[0].record["evtData"].get(key)
        assert found == value or (key == "audience" and found == "gold \ufffd")
    if "outcomes" in right:
        assert sorted(each.partition(" ")[0] for each in teller.outcomes.values()) == sorted(right["outcomes"])
    if right.get("outcome") == "delivered":
        assert set(teller.outcomes.values()) == {"delivered"}
    assert teller.objections() == []


def test_a_device_of_two_people_is_the_first_one_s(cloud: Cloud) -> None:
    (case,) = (each for each in CASES if each.name.startswith("05"))
    teller = tell_case(cloud, case)
    device = "-11112222333344445555666677778888"
    assert teller.people(PRODUCTION) == {
        "ada": frozenset({"ada", device}),
        device: frozenset({"ada", device}),
        "ben": frozenset({"ben"}),
    }
    assert teller.conflicts == 1


def test_version_2_is_parked_with_what_to_choose(cloud: Cloud) -> None:
    (case,) = (each for each in CASES if each.name.startswith("13"))
    tell_case(cloud, case)
    (parked,) = cloud.parked()
    assert (parked.attributes["reason"], parked.attributes["detail"]) == (
        "unreadable",
        "version 2: choose version 3 in Purchasely's webhook settings",
    )
