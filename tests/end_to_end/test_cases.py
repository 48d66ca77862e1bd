"""The cases that once went wrong, each sent to the deployed stack as an app of its own: what CleverTap has is right."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local_stack import PRODUCTION
from purchasely_sender import signed
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap, Record
from tests.story import Case, load_cases

CASES = load_cases()


def of_its_own(body: str, case: Case) -> str:
    """The body about people whom no other case is about: the emulated CleverTap's accounts are for all of them."""
    for user in ("reader-1", "reader-2", "ada", "ben", "a", "b"):
        for separator in (":", ": "):
            name = f'"user_id"{separator}'
            body = body.replace(f'{name}"{user}"', f'{name}"{user} of {case.name}"')
    return body


def bodies(case: Case) -> Iterator[list[bytes]]:
    """Step by step, what is sent."""
    for step in case.steps:
        yield [of_its_own(json.dumps(event), case).encode() for event in step]
    if case.raw_bodies:
        yield [of_its_own(body, case).encode() for body in case.raw_bodies]


def tell(app: App, case: Case) -> Counter[str]:
    """Each step once the one before it is over; how often each outcome was met."""
    if case.settings:
        app.put_settings(**case.settings)
    sent = 0
    for step in bodies(case):
        for body in step:
            assert app.send(signed(body, app.secret, int(time.time()))) == 200
        sent += len(step)
        assert app.balance().received == sent
    return Counter(str(each.outcome) for each in app.deliveries().values())


def records(clevertap: CleverTap, app: App) -> list[Record]:
    """The event records of the app's events, in the order in which CleverTap took them."""
    ids = app.deliveries().keys()
    return [each.record for each in clevertap.taken() if each.record.get("evtData", {}).get("event_id") in ids]


def money(taken: list[Record], name: str) -> list[Mapping[str, Any]]:
    return [
        {key: record["evtData"][key] for key in ("Amount", "Currency")} for record in taken if record["evtName"] == name
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_gives_its_right_value(app: App, clevertap: CleverTap, case: Case) -> None:
    outcomes, right = tell(app, case), case.right
    taken = records(clevertap, app)
    if "events" in right:
        assert [record["evtName"] for record in taken] == right["events"]
    if "charged" in right:
        assert money(taken, "Charged") == right["charged"]
    if "refunded" in right:
        assert money(taken, "Refunded") == right["refunded"]
    if "ts" in right:
        assert taken[0]["ts"] == right["ts"]
    for key, value in right.get("event_property", {}).items():
        found = taken[0]["evtData"].get(key)
        assert found == value or (case.name == "06-cut-emoji" and found in ("gold \ufffd", None))
    if "profile" in right:
        user = json.loads(of_its_own(json.dumps(case.events[0]), case))["user_id"]
        profile = clevertap.profile(user) or {}
        assert {key: profile.get(key) for key in right["profile"]} == right["profile"]
        assert not profile.keys() & set(right.get("profile_lacks", ()))
    if "outcomes" in right:
        assert outcomes == Counter(right["outcomes"])
    if right.get("outcome") == "delivered":
        assert outcomes.keys() == {"delivered"}
    assert clevertap.violations() == []


def test_a_device_of_two_people_ties_the_first_of_them(app: App, clevertap: CleverTap) -> None:
    (case,) = (each for each in CASES if each.name == "05-device-of-two-people")
    tell(app, case)
    ada, ben = (f"{user} of {case.name}" for user in ("ada", "ben"))
    device = case.events[0]["clevertap_id"]
    people = [
        {*each.identities, *each.object_ids}
        for each in clevertap.profiles()[PRODUCTION.account_id]
        if {ada, ben} & set(each.identities)
    ]
    assert people == [{ada, device}, {ben}]


def test_version_2_is_parked_and_says_what_to_choose(app: App) -> None:
    (case,) = (each for each in CASES if each.name == "13-version-2")
    assert tell(app, case) == {"parked": 1}
    parked = app.parked(next(iter(app.deliveries())))
    assert (parked["reason"], parked["detail"]) == (
        "unreadable",
        "version 2: choose version 3 in Purchasely's webhook settings",
    )
