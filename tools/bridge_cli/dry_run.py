"""What CleverTap would get of an event, without anything being sent. Pure: no clock, no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.mapping.identity import Wait
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.outcome import Delivered, Held, Parked, ParkReason, Skipped
from purchasely_clevertap.purchasely.event import Unreadable, read

NEVER_HEARD_OF = ProfileState()
"""The subscriber of a forecast, so that its profile record is as full as it can be."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as CleverTap would get it, decoded."""

    kind: Kind
    content: Mapping[str, Any]

    @property
    def name(self) -> str | None:
        """The event's name at CleverTap; None for a profile."""
        return self.content.get("evtName")

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of the event or of the profile."""
        found: Mapping[str, Any] = self.content["profileData" if self.kind is Kind.PROFILE else "evtData"]
        return found

    @property
    def person(self) -> tuple[str, str]:
        """Whose record it is: `identity` or `objectId`, and its value."""
        key = "identity" if "identity" in self.content else "objectId"
        return key, self.content[key]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would become of an event: its outcome and why, and its records in the order of their upload.

    An event that is skipped or parked may still change the profile. `left_out` names the properties that would be cut
    or left out because CleverTap refuses them.
    """

    event_id: str
    event_name: str | None
    outcome: str
    reason: str | None = None
    detail: str | None = None
    account: Environment | None = None
    records: tuple[Record, ...] = ()
    left_out: tuple[str, ...] = ()

    def record(self, kind: Kind) -> Record | None:
        """The record of that kind, if there is one."""
        return next((record for record in self.records if record.kind is kind), None)


def forecast(body: bytes, mapper: Mapper, *, age_ms: int = 0, has_sandbox_account: bool = True) -> Forecast:
    """What would become of the webhook `body`, uploaded `age_ms` after its event; its subscriber was not heard of."""
    event = read(body)
    if isinstance(event, Unreadable):
        return Forecast(event.event_id, event.event_name, Parked.name, ParkReason.UNREADABLE, event.detail)
    now_ms = event.created_ms + age_ms
    mapped = mapper.map(event, now_ms=now_ms, has_sandbox_account=has_sandbox_account)
    if isinstance(mapped, Wait):
        days = mapper.settings.identity.hold_days
        detail = f"it waits for the login of its anonymous user, {days} days at most"
        return Forecast(event.event_id, event.event_name, Held.name, detail=detail)
    if isinstance(mapped, Skipped):
        return Forecast(event.event_id, event.event_name, mapped.name, mapped.reason)
    if isinstance(mapped, Parked):
        return Forecast(event.event_id, event.event_name, mapped.name, mapped.reason, mapped.detail)
    state = NEVER_HEARD_OF.apply([event], is_sent=lambda _: mapped.kept_back is None, price_of=mapper.price)
    update = mapper.profile_update(mapped.identity, state) if mapped.profile else None
    encoded = [
        *((Kind.PROFILE, record) for record in (update.records if update is not None else ())),
        *mapped.records,
        *mapper.purchase_records(event, mapped.identity, state),
    ]
    return Forecast(
        event.event_id,
        event.event_name,
        Delivered.name if mapped.kept_back is None else mapped.kept_back.name,
        mapped.kept_back.reason if mapped.kept_back is not None else None,
        mapped.kept_back.detail if isinstance(mapped.kept_back, Parked) else None,
        account=mapped.environment,
        records=tuple(Record(kind, orjson.loads(record)) for kind, record in encoded),
        left_out=mapped.left_out,
    )
