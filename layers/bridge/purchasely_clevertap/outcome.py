"""What becomes of an event. Every accepted event ends as exactly one of delivered, skipped, duplicate or parked."""

from dataclasses import dataclass
from enum import StrEnum


class SkipReason(StrEnum):
    """Why settings or policy keep an event from CleverTap."""

    EVENT_SWITCHED_OFF = "event_switched_off"
    ANONYMOUS_USER = "anonymous_user"
    SANDBOX_SWITCHED_OFF = "sandbox_switched_off"
    NO_SANDBOX_ACCOUNT = "no_sandbox_account"
    LATE = "late"
    NOTHING_NEW = "nothing_new"


class ParkReason(StrEnum):
    """Why an event waits for a person."""

    UNREADABLE = "unreadable"
    NO_USER = "no_user"
    UNUSABLE_IDENTITY = "unusable_identity"
    UNUSABLE_EVENT_NAME = "unusable_event_name"
    REFUSED_BY_CLEVERTAP = "refused_by_clevertap"
    RETRIES_EXHAUSTED = "retries_exhausted"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class Delivered:
    """CleverTap has taken every record of the event."""

    outcome = "delivered"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Settings or policy keep the event from CleverTap."""

    reason: SkipReason
    outcome = "skipped"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event already has its outcome; this is another copy of it."""

    outcome = "duplicate"


@dataclass(frozen=True, slots=True)
class Parked:
    """The event waits in the parked queue. `code` is that of CleverTap's answer, `detail` is for a person."""

    reason: ParkReason
    detail: str
    code: int | None = None
    outcome = "parked"


@dataclass(frozen=True, slots=True)
class Retried:
    """The event has no outcome yet and comes again.

    `patient` says whether the wait counts against the event's retry_policy: a fault of the set-up never parks an event.
    `detail` is for the log.
    """

    reason: str
    patient: bool = True
    detail: str | None = None
    outcome = "in_flight"


# Another worker is at the event, or at its subscriber.
BUSY = Retried("busy")

Settled = Delivered | Skipped | Duplicate | Parked
Outcome = Settled | Retried
