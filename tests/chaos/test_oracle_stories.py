"""The oracle finds the right result of every story and case, which was written by hand."""

import itertools
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import pytest

from chaos.oracle import Association, Expected, Policy, expect
from tests.stories import STORIES
from tests.story import PRODUCTION, SANDBOX, Case, Payload, Story, event_id, load_cases

CASES = load_cases()
APP = "default"


def policies(settings: Mapping[str, Any], *, sandbox: bool = True) -> dict[str, Policy]:
    return {APP: Policy.of(settings, PRODUCTION, SANDBOX if sandbox else None)}


def found(story: Story, events: Iterable[Payload]) -> Expected:
    return expect(
        [(APP, event) for event in events],
        policies(story.settings, sandbox=story.sandbox_account),
        associations=[Association(APP, at=at, **body) for at, body in story.associations],
        received={event_id(label): at for label, at in story.received.items()},
        now=story.sweep_at,
    )


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story(story: Story) -> None:
    expected = found(story, story.events)
    _check_records(story, expected)
    for right in story.profiles:
        profile = expected.profiles.get((right.account, right.person), {})
        assert {key: profile.get(key) for key in right.has} == dict(right.has)
        assert not profile.keys() & set(right.lacks)
        assert expected.ids.get((right.account, right.person), frozenset({right.person})) == (
            right.ids or {right.person}
        )
    people = {one for person in expected.profiles for one in expected.ids.get(person, {person[1]})}
    assert not people & set(story.nobody)
    labels = {event_id(label): label for label in story.outcomes}
    outcomes = {
        labels.get(one, one): outcome + (f" ({expected.reasons[app, one]})" if (app, one) in expected.reasons else "")
        for (app, one), outcome in expected.outcomes.items()
    }
    assert outcomes == {one["event_id"]: "delivered" for one in story.events if one["event_id"] not in labels} | dict(
        story.outcomes
    )


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_any_order_and_copies(story: Story) -> None:
    expected = found(story, story.events)
    for seed in range(3):
        events = [*story.events, *story.events[:2]]
        Random(seed).shuffle(events)  # noqa: S311 - any order will do
        assert found(story, events) == expected


def test_labels_of_stories() -> None:
    assert len({story.name for story in STORIES}) == len(STORIES)
    for story in STORIES:
        ids = [event["event_id"] for event in story.events]
        assert len(set(ids)) == len(ids)
        labels = {event_id(each.of) for each in story.sent or ()} | {event_id(label) for label in story.outcomes}
        assert labels <= set(ids)


def _check_records(story: Story, expected: Expected) -> None:
    if story.sent is None:
        return
    right = {(each.account, event_id(each.of), each.name): each for each in story.sent}
    assert expected.records.keys() == right.keys()
    for key, record in expected.records.items():
        sent = right[key]
        assert (record.person, record.was_anonymous) == (sent.person, sent.was_anonymous)
        assert record.at == story.time_of(sent)
        assert record.amount == (None if sent.amount is None else pytest.approx(sent.amount))
        assert record.currency == (None if sent.amount is None else sent.currency)
        assert record.charged_id == sent.has.get("Charged ID", record.charged_id)
        assert record.proceeds == (pytest.approx(sent.has["Proceeds"]) if "Proceeds" in sent.has else None)


def _money(expected: Expected, name: str) -> list[dict[str, object]]:
    found = [record for (_, _, each), record in expected.records.items() if each == name]
    amounts = sorted((record.amount or 0.0, record.currency) for record in found)
    return [{"Amount": amount, "Currency": currency} for amount, currency in amounts]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    right = case.right
    every_order = itertools.permutations(case.events)
    results = [expect([(APP, event) for event in events], policies(case.settings)) for events in every_order]
    expected = results[0]
    assert all(result == expected for result in results)
    [profile, *_] = [*expected.profiles.values(), {}]
    assert {key: profile.get(key) for key in right.get("profile", {})} == right.get("profile", {})
    assert not profile.keys() & set(right.get("profile_lacks", ()))
    if "events" in right:
        assert sorted(name for _, _, name in expected.records) == sorted(right["events"])
    if "charged" in right:
        assert _money(expected, "Charged") == right["charged"]
    if "refunded" in right:
        assert _money(expected, "Refunded") == right["refunded"]
    if "ts" in right:
        assert {record.at for record in expected.records.values()} == {right["ts"]}
    if "outcomes" in right:
        assert list(expected.outcomes.values()) == right["outcomes"]
    if "outcome" in right:
        outcomes = zip(expected.outcomes.values(), [*expected.reasons.values(), None], strict=False)
        assert {", ".join(filter(None, outcome)) for outcome in outcomes} == {right["outcome"]}


def test_device_of_two_people() -> None:
    [case] = [case for case in CASES if case.name == "05-device-of-two-people"]
    expected = expect([(APP, event) for event in case.events], policies(case.settings))
    device = case.events[0]["clevertap_id"]
    assert expected.ids == {(PRODUCTION, "ada"): {"ada", device}}
    assert expected.profiles.keys() == {(PRODUCTION, "ada"), (PRODUCTION, "ben")}


def test_lifetime_after_monthly_has_no_date() -> None:
    [case] = [case for case in CASES if case.name == "09-lifetime-after-monthly"]
    expected = expect([(APP, event) for event in case.events], policies(case.settings))
    assert "effective_next_renewal_at" not in expected.profiles[PRODUCTION, "reader-1"]
    assert expected.may_stay[PRODUCTION, "reader-1"]["effective_next_renewal_at"] == {"$D_1781814400"}
