"""Whole lifecycles of many subscribers, in two apps with different settings, within a few minutes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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

    `unusable` are the events that stay parked.
    """

    webhooks: tuple[Planned, ...]
    expected: Expected
    swept: Expected
    unusable: frozenset[tuple[str, str]]


def plan(*, seed: int, events: int, now: float, seconds: float, shuffled: bool = False) -> Traffic:
    """About `events` events, told by whole lifecycles of every kind that end before `now` (epoch seconds).

    They come within `seconds`, each user's in their order; `shuffled` forgets all order. Some carry the CleverTap id of
    their device; of others the app's backend tells it.
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
    not_json, reserved = (SPECIALS[name](SHARED_SECRET, int(now), seed) for name in _UNUSABLE)
    webhooks += [
        Planned("default", name, random.uniform(0, seconds), webhook)
        for name, webhook in zip(_UNUSABLE, (not_json, reserved), strict=True)
    ]
    told.append(("default", json.loads(reserved.body)))
    expected, swept = (
        expect(told, POLICIES, associations=associations, received=int(now * 1000), now=swept_at)
        for swept_at in (None, int((now + SWEPT_AFTER_SECONDS) * 1000))
    )
    for each in (expected, swept):
        each.outcomes.update({("default", _event_id(not_json.body)): "parked"})
    unusable = {key for key, outcome in expected.outcomes.items() if outcome == "parked"}
    webhooks.sort(key=lambda each: each.after)
    return Traffic(tuple(webhooks), expected, swept, frozenset(unusable))


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
