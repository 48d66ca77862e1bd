"""The events that are measured: those of all lifecycles, each with what was known of its subscriber before it."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any

from local_stack import PRODUCTION, SANDBOX
from purchasely_clevertap.aws.changes import PACKING_KEY
from purchasely_clevertap.aws.packing import packed
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.delivery.keys import entry_key, profile_key
from purchasely_clevertap.mapping.mapper import Mapped, Mapper
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.mapping.settings import parse
from purchasely_clevertap.outcome import Skipped, SkipReason
from purchasely_clevertap.purchasely.event import Event, read
from purchasely_sender import LIFECYCLES, Scenario, encode
from purchasely_sender.samples import batch, queue_message

APP = "default"
EVERYTHING = json.dumps(
    {
        "events": {"ACTIVATE": {"send": True}, "DEACTIVATE": {"send": True}},
        "event_properties": {"omit": []},
        "identity": {"anonymous": "identity"},
    }
)
"""Settings with which CleverTap gets every event of everybody: the dearest."""

_WAITED_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it comes: its body, whose it is, and what is known of them before it."""

    body: bytes
    event_id: str
    event_name: str
    subscriber: str
    before: ProfileState


def events(number: int, mapper: Mapper, *, at: datetime | None = None) -> list[Told]:
    """So many events, no two of them of one person: every event of every lifecycle, then again with other people.

    They happened within the lifecycles that end `at`, now if not given.
    """
    return list(islice(_events(mapper, at or datetime.now(UTC)), number))


def whole(mapper: Mapper) -> list[Told]:
    """Every event of every lifecycle, once."""
    at = datetime.now(UTC)
    return [told for scenario in LIFECYCLES.values() for told in _lifecycle(scenario, 1, at, mapper)]


def sends(mapper: Mapper, told: Told) -> bool:
    """Whether CleverTap gets the event by the settings of `mapper`."""
    event = read(told.body)
    if not isinstance(event, Event):
        return False
    mapped = mapper.map(event, now_ms=event.created_ms, has_sandbox_account=True)
    return isinstance(mapped, Mapped) and mapped.kept_back is None


def of_known_users(told: Sequence[Told]) -> list[Told]:
    """Those that are about users who have logged in, and that no event waits for."""
    return [each for each in told if b"anonymous_user_id" not in each.body]


def without_news(told: Sequence[Told], mapper: Mapper) -> list[Told]:
    """Those that `mapper` does not send, each with a person of whom its news is known, and CleverTap's profile too."""
    found: list[Told] = []
    for each in told:
        event = read(each.body)
        if not isinstance(event, Event) or event.is_one_time or sends(mapper, each):
            continue
        mapped = mapper.map(event, now_ms=event.created_ms, has_sandbox_account=True)
        if not isinstance(mapped, Mapped) or not mapped.profile:
            continue
        account = PRODUCTION if mapped.environment is Environment.PRODUCTION else SANDBOX
        state = each.before.apply([event], is_sent=lambda _: False, price_of=mapper.price)
        state = state.for_project(account.account_id)
        update = mapper.profile_update(mapped.identity, state)
        if update is not None:
            state = state.accepted(update.properties, update.links)
        found.append(replace(each, before=state))
    return found


def queued(told: Sequence[Told]) -> Mapping[str, Any]:
    """The events as Lambda hands them to the forwarder, so late that none waits for another one."""
    sent = int(time.time() * 1000) - _WAITED_MS
    return batch(*(queue_message(each.body.decode(), APP, sent=sent) for each in told))


def remembered(told: Sequence[Told], messages: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The items of both tables when the forwarder gets the events: noted at ingest, and the subscribers' states."""
    now = int(time.time() * 1000)
    deliveries: dict[str, Any] = {}
    subscribers: dict[str, Any] = {}
    for each, message in zip(told, messages["Records"], strict=True):
        key = entry_key(APP, each.event_id)
        deliveries[key] = {
            "event": {"S": key},
            "messages": {"SS": [message["messageId"]]},
            "received_at": {"N": str(now)},
            "expires_at": {"N": str(now // 1000 + 30 * 86_400)},
        }
        if each.before != ProfileState():
            subscribers[each.subscriber] = {
                "subscriber": {"S": each.subscriber},
                "packed": {"S": packed(each.before.encoded())},
                "version": {"N": "2"},
                "lease_until": {"N": "0"},
            }
    subscribers[PACKING_KEY] = {"subscriber": {"S": PACKING_KEY}, "packed_from": {"N": "0"}}
    return {"DeliveriesTable": deliveries, "SubscribersTable": subscribers}


def everything() -> Mapper:
    """The mapper of `EVERYTHING`."""
    return Mapper(parse(EVERYTHING))


def _events(mapper: Mapper, at: datetime) -> Iterator[Told]:
    scenarios = list(LIFECYCLES.values())
    lengths = [len(scenario(1, at).events) for scenario in scenarios]
    for seed in count(1):
        for scenario, length in zip(scenarios, lengths, strict=True):
            for index in range(length):
                # Each event from a lifecycle of its own, so that no two are about one person.
                lifecycle = _lifecycle(scenario, seed * 1000 + index, at, mapper)
                yield lifecycle[min(index, len(lifecycle) - 1)]


def _lifecycle(scenario: Scenario, seed: int, at: datetime, mapper: Mapper) -> list[Told]:
    known: dict[str, ProfileState] = {}
    told: list[Told] = []
    for payload in scenario.ending(seed, at).events:
        body = encode(payload)
        event = read(body)
        if not isinstance(event, Event):
            raise TypeError(f"a lifecycle's event is unreadable: {event.detail}")
        mapped = mapper.map(event, now_ms=event.created_ms, has_sandbox_account=True)
        if mapped == Skipped(SkipReason.BECAME_KNOWN):
            continue  # the user's event tells the same
        if not isinstance(mapped, Mapped):
            raise TypeError(f"a lifecycle's event is not sent: {mapped}")
        subscriber = profile_key(APP, mapped.environment, mapped.identity)
        before = known.get(subscriber, ProfileState())
        told.append(Told(body, event.event_id, event.event_name, subscriber, before))
        after = before.apply([event], price_of=mapper.price)
        update = mapper.profile_update(mapped.identity, after)
        known[subscriber] = after if update is None else after.accepted(update.properties, update.links)
    return told
