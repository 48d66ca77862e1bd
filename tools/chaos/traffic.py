"""Whole lifecycles of many subscribers, in two apps with different settings, within a few minutes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType

from purchasely_sender import LIFECYCLES, SPECIALS, Payload, Webhook, signed

from . import former_oracle, oracle
from .oracle import Expected

SHARED_SECRET = "a-shared-secret"  # noqa: S105 - known to an AWS in ledger only
ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {"PRODUCTION": "production-passcode", "SANDBOX": "sandbox-passcode", "SECOND": "second-passcode"}
)
SETTINGS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "default": {},
        "second": {
            "events": {"ACTIVATE": {"send": True}},
            "identity": {"anonymous": "identity"},
            "sandbox": "mix",
            "revenue": {"charged": False},
        },
    }
)
POLICIES: Mapping[str, former_oracle.Policy] = MappingProxyType(
    {
        "default": former_oracle.Policy(production="PRODUCTION", sandbox="SANDBOX"),
        "second": former_oracle.Policy(
            production="SECOND",
            sandbox="SECOND",
            switched_off=frozenset({"DEACTIVATE"}),
            anonymous_is_identity=True,
            charged=False,
        ),
    }
)
# The same for a bridge that follows the contract of records and profiles (`plan(contract=True)`).
CONTRACT_SETTINGS: Mapping[str, Mapping[str, object]] = MappingProxyType(
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
CONTRACT_POLICIES: Mapping[str, oracle.Policy] = MappingProxyType(
    {
        "default": oracle.Policy.of(CONTRACT_SETTINGS["default"], "PRODUCTION", "SANDBOX"),
        "second": oracle.Policy.of(CONTRACT_SETTINGS["second"], "SECOND", None),
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
# Of the lifecycles by the contract, those whose webhooks carry the CleverTap id of the device.
_WITH_DEVICE_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Planned:
    """A webhook to be sent `after` seconds from the beginning, behind the others of its `user`."""

    app: str
    user: str
    after: float
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Traffic:
    """The webhooks, and what must come of them. `unusable` are the events that stay parked."""

    webhooks: tuple[Planned, ...]
    expected: Expected
    unusable: frozenset[tuple[str, str]]


def plan(
    *, seed: int, events: int, now: float, seconds: float, shuffled: bool = False, contract: bool = False
) -> Traffic:
    """About `events` events, told by whole lifecycles of every kind that end before `now` (epoch seconds).

    They come within `seconds`, each user's in their order; `shuffled` forgets all order. By the `contract` of records
    and profiles some carry the CleverTap id of their device, and much more is expected of them.
    """
    random = Random(f"traffic {seed}")  # noqa: S311 - imitated data, not secrets
    moment = datetime.fromtimestamp(int(now) - 60, UTC)
    told: list[tuple[str, Payload]] = []
    webhooks: list[Planned] = []
    for app, story in _stories(random, seed, moment):
        if len(told) >= events:
            break
        after = random.uniform(0, seconds / 2)
        with_device = contract and random.random() < _WITH_DEVICE_SHARE
        for payload in story:
            event = payload | {"clevertap_id": _clevertap_id(payload)} if with_device else payload
            # What happens at one moment is also sent at one moment.
            after += random.choice((0.0, 0.0, random.expovariate(1 / 10)))
            at = random.uniform(0, seconds) if shuffled else after
            told.append((app, event))
            user = str(len(webhooks)) if shuffled else str(event.get("user_id") or event.get("anonymous_user_id"))
            webhooks.append(Planned(app, user, at, signed(event, SHARED_SECRET, int(now))))
    if contract:
        expected = oracle.expect(told, CONTRACT_POLICIES, received=int(now * 1000))
    else:
        expected = former_oracle.expect(told, POLICIES)
    unusable = set()
    for name in _UNUSABLE:
        webhook = SPECIALS[name](SHARED_SECRET, int(now), seed)
        webhooks.append(Planned("default", name, random.uniform(0, seconds), webhook))
        unusable.add(("default", _event_id(webhook.body)))
    expected.outcomes.update(dict.fromkeys(unusable, "parked"))
    webhooks.sort(key=lambda each: each.after)
    return Traffic(tuple(webhooks), expected, frozenset(unusable))


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
