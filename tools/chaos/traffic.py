"""Whole lifecycles of many subscribers, in two apps with different settings, within a few minutes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from random import Random
from types import MappingProxyType

from purchasely_sender import LIFECYCLES, SPECIALS, Payload, Webhook, signed

from .oracle import Association, Expected, Policy, expect

SHARED_SECRET = "a-shared-secret"  # noqa: S105 - known to an AWS in ledger only
ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {"PRODUCTION": "production-passcode", "SANDBOX": "sandbox-passcode", "SECOND": "second-passcode"}
)
SETTINGS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "default": {},
        "second": {
            "events": {"ACTIVATE": {"send": True}, "DEACTIVATE": {"send": True}},
            "identity": {"anonymous": "custom_id"},
            "sandbox": "mix",
            "revenue": {"charged": False, "refunds": {"send": False}},
        },
    }
)
POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "default": Policy.of(SETTINGS["default"], "PRODUCTION", "SANDBOX"),
        "second": Policy.of(SETTINGS["second"], "SECOND", None),
    }
)
CREDENTIALS: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "default": {
            "production": {"account_id": "PRODUCTION", "passcode": ACCOUNTS["PRODUCTION"]},
            "sandbox": {"account_id": "SANDBOX", "passcode": ACCOUNTS["SANDBOX"]},
        },
        "second": {"production": {"account_id": "SECOND", "passcode": ACCOUNTS["SECOND"]}},
    }
)

# Never of any use, and answered 200 all the same: they end in the parked queue, and stay there.
_UNUSABLE = ("not_json", "reserved_name")
_SECOND_APP_SHARE = 0.25
# Of the lifecycles, those whose webhooks carry the CleverTap id of the device, and those whose app's backend tells it.
_WITH_DEVICE_SHARE = 0.3
_ASSOCIATED_SHARE = 0.2
# Nothing of a person who is to be forgotten is on its way then: what is would be remembered anew.
FORGOTTEN_AFTER_SECONDS = 400.0
_BEFORE_SECONDS = (5.0, 100.0)
_AFTERWARDS_SECONDS = (450.0, 600.0)
# When everything is over by its dates, and no event is held any more.
SWEPT_AFTER_SECONDS = 40 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A webhook to be sent `after` seconds from the beginning, behind the others of its `user`.

    `association` is what the app's backend tells; it is signed when it is sent.
    """

    app: str
    user: str
    after: float
    webhook: Webhook
    association: Payload | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """The webhooks, and what must come of them; `swept` is the same after a sweep `SWEPT_AFTER_SECONDS` later.

    `unusable` are the events that stay parked. `forgotten` are users of the app named default, to be forgotten
    `FORGOTTEN_AFTER_SECONDS` from the beginning.
    """

    webhooks: tuple[Planned, ...]
    expected: Expected
    swept: Expected
    unusable: frozenset[tuple[str, str]]
    forgotten: tuple[str, ...] = ()


def plan(*, seed: int, events: int, now: float, seconds: float, shuffled: bool = False, phones: int = 0) -> Traffic:
    """About `events` events, told by whole lifecycles of every kind that end before `now` (epoch seconds).

    They come within `seconds`, each user's in their order; `shuffled` forgets all order. Some carry the CleverTap id of
    their device; of others the app's backend tells it. Beside them are `phones` that several people use, the second of
    whom is to be forgotten.
    """
    random = Random(f"traffic {seed}")  # noqa: S311 - imitated data, not secrets
    moment = datetime.fromtimestamp(int(now) - 60, UTC)
    told: list[tuple[str, Payload]] = []
    webhooks: list[Planned] = []
    associations: list[Association] = []
    for app, story in _stories(random, seed, moment):
        if len(told) >= events:
            break
        after = random.uniform(0, seconds / 2)
        with_device = random.random() < _WITH_DEVICE_SHARE
        for payload in story:
            event = payload | {"clevertap_id": _clevertap_id(payload)} if with_device else payload
            # What happens at one moment is also sent at one moment.
            after += random.choice((0.0, 0.0, random.expovariate(1 / 10)))
            at = random.uniform(0, seconds) if shuffled else after
            told.append((app, event))
            user = str(len(webhooks)) if shuffled else str(event.get("user_id") or event.get("anonymous_user_id"))
            webhooks.append(Planned(app, user, at, signed(event, SHARED_SECRET, int(now))))
        if app == "default" and not with_device and random.random() < _ASSOCIATED_SHARE:
            association = _association(story[0])
            at = random.uniform(0, seconds)
            associations.append(Association(app, at=int(now * 1000), **association))
            webhook = signed(association, SHARED_SECRET, int(now))
            webhooks.append(Planned(app, f"backend {len(webhooks)}", at, webhook, association))
    shared = [_phone(random, seed, number, moment) for number in range(phones)]
    for phone in shared:
        for after, event in phone.events:
            told.append(("default", event))
            user = str(event.get("user_id") or event["anonymous_user_id"])
            webhooks.append(Planned("default", user, after, signed(event, SHARED_SECRET, int(now))))
    not_json, reserved = (SPECIALS[name](SHARED_SECRET, int(now), seed) for name in _UNUSABLE)
    webhooks += [
        Planned("default", name, random.uniform(0, seconds), webhook)
        for name, webhook in zip(_UNUSABLE, (not_json, reserved), strict=True)
    ]
    told.append(("default", json.loads(reserved.body)))

    def expected_of(some: Sequence[tuple[str, Payload]], swept_at: int | None) -> Expected:
        return expect(some, POLICIES, associations=associations, received=int(now * 1000), now=swept_at)

    expected, swept = (
        _with_forgotten(expected_of(told, swept_at), shared, told, partial(expected_of, swept_at=swept_at))
        for swept_at in (None, int((now + SWEPT_AFTER_SECONDS) * 1000))
    )
    for each in (expected, swept):
        each.outcomes.update({("default", _event_id(not_json.body)): "parked"})
    unusable = {key for key, outcome in expected.outcomes.items() if outcome == "parked"}
    webhooks.sort(key=lambda each: each.after)
    forgotten = tuple(phone.forgotten for phone in shared)
    return Traffic(tuple(webhooks), expected, swept, frozenset(unusable), forgotten)


@dataclass(frozen=True, slots=True)
class _Phone:
    """The events of a phone, each with when it is sent; `forgotten` is the user who is to be forgotten, `before` the
    ids of their events until then."""

    events: tuple[tuple[float, Payload], ...]
    forgotten: str
    before: frozenset[str]


def _phone(random: Random, seed: int, number: int, moment: datetime) -> _Phone:
    """Two users, one after the other, with one anonymous id and one CleverTap id, and a visitor who logs in later."""
    first, second = (
        LIFECYCLES["renewals"].ending(1_000_003 * seed - 3 * number - each, moment, "usd").events for each in (1, 2)
    )
    visitor = LIFECYCLES["anonymous_becomes_known"].ending(1_000_003 * seed - 3 * number - 3, moment, "usd").events
    common = {
        "device_id": first[0]["device_id"],
        "anonymous_user_id": f"phone-{seed}-{number}",
        "clevertap_id": _clevertap_id(first[0]),
    }
    half = len(second) // 2
    begin, end = _BEFORE_SECONDS
    sent = [(begin * index / len(first), event | common) for index, event in enumerate(first[:half])]
    sent += [(random.uniform(end, _AFTERWARDS_SECONDS[1]), event | common) for event in first[half:]]
    sent += [(random.uniform(begin, end), event | common) for event in second[:half]]
    sent += [(random.uniform(*_AFTERWARDS_SECONDS), event | common) for event in second[half:]]
    sent += [
        (random.uniform(*(_BEFORE_SECONDS if event.get("user_id") is None else _AFTERWARDS_SECONDS)), event)
        for event in visitor
    ]
    before = frozenset(str(event["event_id"]) for event in second[:half])
    return _Phone(tuple(sent), str(second[0]["user_id"]), before)


def _with_forgotten(
    expected: Expected,
    phones: Sequence[_Phone],
    told: Sequence[tuple[str, Payload]],
    expected_of: Callable[[Sequence[tuple[str, Payload]]], Expected],
) -> Expected:
    """What must come of it when people are forgotten: their profiles begin anew.

    CleverTap keeps what it was told of a profile before; nothing else may be there, and nobody else's changes.
    """
    profiles, may_stay = dict(expected.profiles), dict(expected.may_stay)
    for phone in phones:
        person = "PRODUCTION", phone.forgotten
        theirs = [(app, event) for app, event in told if event.get("user_id") == phone.forgotten]
        anew = expected_of([each for each in theirs if each[1]["event_id"] not in phone.before])
        former = expected_of([each for each in theirs if each[1]["event_id"] in phone.before])
        profiles[person] = anew.profiles[person]
        left = {
            key: frozenset({value}) for key, value in former.profiles[person].items() if key not in profiles[person]
        }
        may_stay[person] = {**former.may_stay.get(person, {}), **anew.may_stay.get(person, {}), **left}
    return replace(expected, profiles=profiles, may_stay=may_stay)


def _stories(random: Random, seed: int, moment: datetime) -> Iterator[tuple[str, tuple[Payload, ...]]]:
    scenarios = list(LIFECYCLES.values())
    number = 0
    while True:
        random.shuffle(scenarios)
        for scenario in scenarios:
            number += 1
            app = "second" if random.random() < _SECOND_APP_SHARE else "default"
            currency = random.choice(("usd", "eur"))
            yield app, scenario.ending(1_000_003 * seed + number, moment, currency).events


def _association(event: Payload) -> dict[str, str]:
    """What the app's backend says of the person of an event."""
    key = "user_id" if event.get("user_id") else "anonymous_user_id"
    return {"clevertap_id": _clevertap_id(event), key: str(event[key])}


def _clevertap_id(event: Payload) -> str:
    """The id that CleverTap's SDK gave the device of the event."""
    return f"-{event['device_id'].replace('-', '').lower()}"


def _event_id(body: bytes) -> str:
    try:
        return str(json.loads(body)["event_id"])
    except ValueError:
        # The bridge's own rule for a body without an id: docs/decisions.md does not tell it, the balance does.
        from hashlib import sha256

        return f"sha256-{sha256(body).hexdigest()[:40]}"
