"""What a backfill would do by the present settings, before anything is sent."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import orjson

from bridge_cli.dry_run import NEVER_HEARD_OF
from bridge_cli.times import iso
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.mapping.identity import Wait
from purchasely_clevertap.mapping.mapper import Mapped, Mapper
from purchasely_clevertap.outcome import BackfillMode, Parked, Skipped, SkipReason
from purchasely_clevertap.purchasely.event import Event

_MOST_NAMES: Final = 50
_OTHERS: Final = "(others)"
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class BackfillEffect:
    """What the present settings make of an event: `kept` says why nothing of it is sent, None if it is. `records` are
    its event records, `revenue` its Charged less its Refunded, by currency."""

    kept: Skipped | Parked | None
    records: int = 0
    reason: str | None = None
    revenue: Mapping[str, Decimal] = field(default_factory=dict)


class Forecaster:
    """Says what becomes of an event. Of a person it knows nothing, so it is what becomes of it at most."""

    def __init__(self, mapper: Mapper, mode: BackfillMode, *, has_sandbox_account: bool, now_ms: int) -> None:
        self._mapper = mapper
        self._mode = mode
        self._has_sandbox_account = has_sandbox_account
        self._now_ms = now_ms

    def of(self, event: Event) -> BackfillEffect:
        """The effect of an event."""
        mapper, mode = self._mapper, self._mode
        mapped = mapper.map(event, now_ms=self._now_ms, has_sandbox_account=self._has_sandbox_account, backfill=mode)
        if isinstance(mapped, Wait):
            mapped = Skipped(SkipReason.ANONYMOUS_USER)
        if not isinstance(mapped, Mapped):
            return BackfillEffect(mapped, reason=mapped.reason)
        kept = mapped.kept_back
        if isinstance(kept, Parked):  # it is not brought in only to wait for a person
            return BackfillEffect(kept, reason=kept.reason)
        records = list(mapped.records)
        if mode is BackfillMode.ALL and event.is_one_time:
            state = NEVER_HEARD_OF.apply([event], price_of=mapper.price)
            records += mapper.purchase_records(event, mapped.identity, state, backfill=mode)
        return BackfillEffect(None, len(records), kept.reason if kept else None, _revenue(records))


def _revenue(records: list[tuple[Kind, bytes]]) -> dict[str, Decimal]:
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for kind, record in records:
        if kind in (Kind.CHARGED, Kind.REFUNDED):
            told = orjson.loads(record)["evtData"]
            found[told["Currency"]] += Decimal(str(told["Amount"])) * (1 if kind is Kind.CHARGED else -1)
    return dict(found)


class BackfillPlan:
    """The count of a backfill's lines."""

    def __init__(self) -> None:
        self.lines = 0
        self.invalid = 0
        self.skipped = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.records = 0
        self.unknown: Counter[str] = Counter()
        self._names: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._revenue: defaultdict[str, Decimal] = defaultdict(Decimal)

    @property
    def to_send(self) -> int:
        """How many lines are put on the queue."""
        return self.lines - self.invalid - self.skipped

    @property
    def revenue(self) -> dict[str, Decimal]:
        """Charged less Refunded, by currency."""
        return {currency: total.quantize(_CENT) for currency, total in sorted(self._revenue.items())}

    @property
    def revenue_words(self) -> str:
        """What a person types to agree to it: 1234.50 USD, 10.00 EUR by the alphabet of the currencies."""
        return ", ".join(f"{total} {currency}" for currency, total in self.revenue.items())

    def add_unknown(self, keys: Iterable[str]) -> None:
        """Counts keys that nobody knows; of very many kinds only the first."""
        for key in keys:
            if key in self.unknown or len(self.unknown) < _MOST_NAMES:
                self.unknown[key] += 1

    def add_invalid(self) -> None:
        """Counts a bad line."""
        self.lines += 1
        self.invalid += 1

    def add(self, event: Event, effect: BackfillEffect) -> None:
        """Counts a line that can be sent."""
        self.lines += 1
        name = event.event_name
        self._names[name if name in self._names or len(self._names) < _MOST_NAMES else _OTHERS] += 1
        at = event.created_ms
        self.first_ms = at if self.first_ms is None else min(self.first_ms, at)
        self.last_ms = at if self.last_ms is None else max(self.last_ms, at)
        if effect.kept is not None:
            self.skipped += 1
        self.records += effect.records
        outcome = "would be parked" if isinstance(effect.kept, Parked) else "not sent" if effect.kept else "sent"
        self._reasons[outcome, effect.reason or "with its event record"] += 1
        for currency, amount in effect.revenue.items():
            self._revenue[currency] += amount

    def document(self, rate: float) -> dict[str, Any]:
        """For scripts."""
        return {
            "lines": self.lines,
            "invalid": self.invalid,
            "to_send": self.to_send,
            "skipped": self.skipped,
            "first": iso(self.first_ms),
            "last": iso(self.last_ms),
            "by_event": dict(self._names.most_common()),
            "by_outcome": {
                outcome: {reason: count for (of, reason), count in self._reasons.most_common() if of == outcome}
                for outcome in sorted({of for of, _ in self._reasons})
            },
            # At most: of a profile only what is news is sent.
            "data_points": {"event_records": self.records, "profile_updates_at_most": self.to_send},
            "revenue": {currency: str(total) for currency, total in self.revenue.items()},
            "unknown_columns": dict(self.unknown.most_common()),
            "seconds": round(self.to_send / rate),
        }
