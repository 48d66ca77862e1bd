"""The balance of an app: received = delivered + skipped + duplicate + parked + in flight.

`received` is what the door noted when it answered 200; the fates are what the forwarder remembered. An event that
has no fate must be on the events queue: if there are more of those than the queue holds, something is missing,
and the ids say what.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .deliveries import Delivery


@dataclass(frozen=True, slots=True)
class Balance:
    """Counts of webhooks. `by_reason` splits skipped and parked; `missing` are ids of events that are nowhere."""

    app: str
    received: int = 0
    delivered: int = 0
    skipped: int = 0
    duplicate: int = 0
    parked: int = 0
    in_flight: int = 0
    by_reason: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Whether every webhook is accounted for."""
        accounted = self.delivered + self.skipped + self.duplicate + self.parked + self.in_flight
        return self.received == accounted and not self.missing


def balances(deliveries: Iterable[Delivery], *, queued: int, now_ms: int, settled_after_ms: int) -> dict[str, Balance]:
    """The balance of each app in `deliveries`, when the queues hold `queued` messages at `now_ms`.

    The queues count all apps together and approximately, so an event without a fate is missing only when there are
    more such events than messages, and then only if it came more than `settled_after_ms` ago.
    """
    by_app: dict[str, list[Delivery]] = {}
    for each in deliveries:
        by_app.setdefault(each.app, []).append(each)
    in_flight = sum(each.fate is None for listed in by_app.values() for each in listed)
    return {
        app: _balance(app, listed, suspicious=in_flight > queued, before_ms=now_ms - settled_after_ms)
        for app, listed in sorted(by_app.items())
    }


def _balance(app: str, deliveries: Iterable[Delivery], *, suspicious: bool, before_ms: int) -> Balance:
    fates: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {"skipped": Counter(), "parked": Counter()}
    received = 0
    missing: list[str] = []
    for each in deliveries:
        webhooks = max(len(each.messages), 1)
        received += webhooks
        fates["duplicate"] += webhooks - 1
        fates[each.fate or "in_flight"] += 1
        if each.fate in reasons:
            reasons[each.fate][each.reason or "unknown"] += 1
        if each.fate is None and suspicious and (each.received_at or 0) < before_ms:
            missing.append(each.event_id)
    return Balance(
        app=app,
        received=received,
        delivered=fates["delivered"],
        skipped=fates["skipped"],
        duplicate=fates["duplicate"],
        parked=fates["parked"],
        in_flight=fates["in_flight"],
        by_reason={fate: dict(counter.most_common()) for fate, counter in reasons.items() if counter},
        missing=tuple(sorted(missing)),
    )
