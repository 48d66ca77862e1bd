"""From the bytes of an event to those of its CleverTap records, against reading and writing the same bytes as JSON."""

import json
import time
from collections.abc import Sequence

from purchasely_clevertap.mapping.mapper import Mapped, Mapper
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.purchasely.event import Event, read

from . import traffic
from .rounds import bests, processor_seconds
from .row import Row, compared, told
from .traffic import Told

_ROUNDS, _QUICK_ROUNDS = 25, 9
_PASSES = 4
_TARGET = 0.75


def rows(*, quick: bool = False) -> list[Row]:
    """The rate of the mapping, one core, over every event of every lifecycle.

    The target is for the records that are the event's own. A profile is the subscriber's: the forwarder makes one for
    all events of a batch, so one for each event only tells the dearest case.
    """
    mapper = traffic.everything()
    events = traffic.whole(mapper)
    found = bests(
        {
            "mapping": lambda: processor_seconds(lambda: _map(mapper, events)),
            "records": lambda: processor_seconds(lambda: _map_alone(mapper, events)),
            "json": lambda: processor_seconds(lambda: _json(events)),
        },
        _QUICK_ROUNDS if quick else _ROUNDS,
    )
    seconds = {name: value / (_PASSES * len(events)) for name, value in found.items()}
    rates = {name: 1 / value for name, value in seconds.items()}
    return [
        compared("mapping: rate", rates["records"], "events/s", rates["json"], _TARGET, at_least=True),
        compared("mapping: rate with a profile for each", rates["mapping"], "events/s", rates["json"]),
        compared("mapping: processor", seconds["records"] * 1e6, "µs/event", seconds["json"] * 1e6),
        compared(
            "mapping: processor with a profile for each", seconds["mapping"] * 1e6, "µs/event", seconds["json"] * 1e6
        ),
        told("mapping: an event's body", sum(len(each.body) for each in events) / len(events), "bytes"),
    ]


def records(mapper: Mapper, body: bytes, before: ProfileState, now_ms: int) -> tuple[bytes, ...]:
    """What CleverTap gets of the event in `body`, about a person of whom `before` is known."""
    event = read(body)
    if not isinstance(event, Event):
        return ()
    mapped = mapper.map(event, now_ms=now_ms, has_sandbox_account=True)
    if not isinstance(mapped, Mapped):
        return ()
    state = before.apply([event], price_of=mapper.price)
    update = mapper.profile_update(mapped.identity, state)
    own = [*mapped.records, *mapper.purchase_records(event, mapped.identity, state)]
    return (*(update.records if update else ()), *(record for _, record in own))


def pass_over(mapper: Mapper, events: Sequence[Told]) -> None:
    """Maps each event once."""
    now_ms = int(time.time() * 1000)
    for each in events:
        records(mapper, each.body, each.before, now_ms)


def _map(mapper: Mapper, events: Sequence[Told]) -> None:
    for _ in range(_PASSES):
        pass_over(mapper, events)


def _map_alone(mapper: Mapper, events: Sequence[Told]) -> None:
    now_ms = int(time.time() * 1000)
    for _ in range(_PASSES):
        for each in events:
            event = read(each.body)
            if isinstance(event, Event):
                mapper.map(event, now_ms=now_ms, has_sandbox_account=True)


def _json(events: Sequence[Told]) -> None:
    for _ in range(_PASSES):
        for each in events:
            json.dumps(json.loads(each.body))
