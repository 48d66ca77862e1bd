"""What becomes of an event. Every accepted event ends as exactly one of delivered, skipped,
duplicate, held or parked."""

from dataclasses import dataclass
from enum import StrEnum


class SkipReason(StrEnum):
    """Why settings or policy keep an event from CleverTap."""

    EVENT_SWITCHED_OFF = "event_switched_off"
    ANONYMOUS_USER = "anonymous_user"
    SANDBOX_SWITCHED_OFF = "sandbox_switched_off"
    NO_SANDBOX_ACCOUNT = "no_sandbox_account"
    LATE = "late"
    FILTERED = "filtered"
    NOTHING_TO_SEND = "nothing_to_send"  # no event: news of a person
    BECAME_KNOWN = "became_known"  # an anonymous user logged in: no transfer
    DISCARDED = "discarded"  # by a person, from the parked queue
    SUPPRESSED = "suppressed"  # its person was forgotten, and is to stay so
    BACKFILLED = "backfilled"  # a backfill tells the profile of it, and no more


class BackfillMode(StrEnum):
    """How much of an event of a backfill CleverTap gets."""

    PROFILE = "profile"  # the person's profile learns from it
    EVENTS = "events"  # its event record too
    ALL = "all"  # and its money


class ParkReason(StrEnum):
    """Why an event waits for a person."""

    UNREADABLE = "unreadable"
    NO_USER = "no_user"
    UNUSABLE_IDENTITY = "unusable_identity"
    UNUSABLE_EVENT_NAME = "unusable_event_name"
    REFUSED_BY_CLEVERTAP = "refused_by_clevertap"
    RETRIES_EXHAUSTED = "retries_exhausted"
    DEAD_LETTER = "dead_letter"
    ENTRY_TOO_LARGE = "entry_too_large"  # the event's item had no room: something else than the bridge filled it
    STATE_TOO_LARGE = "state_too_large"  # the person's item has no room


class RetryReason(StrEnum):
    """Why an event comes again."""

    BUSY = "busy"  # another worker is at the event, or at its profile
    NOT_REACHED = "not_reached"
    TOO_EARLY = "too_early"  # what it means depends on what comes within seconds

    # The app's set-up
    SETTINGS_UNAVAILABLE = "settings_unavailable"
    CREDENTIALS_UNUSABLE = "credentials_unusable"
    SETUP_FAULT = "setup_fault"  # CleverTap's verdict on the set-up; the code is its HTTP status

    # AWS
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    PARKED_QUEUE_UNAVAILABLE = "parked_queue_unavailable"
    UNSETTLED = "unsettled"
    ARCHIVE_UNAVAILABLE = "archive_unavailable"  # a message that only archives

    # CleverTap certainly did not take the record
    CIRCUIT_OPEN = "circuit_open"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNEXPECTED_STATUS = "unexpected_status"
    NOT_PROCESSED = "not_processed"
    REQUEST_REFUSED = "request_refused"  # whatever is in it: HTTP 400, 413, or a firewall's 403
    RECORD_ERROR = "record_error"
    CONNECT = "connect"
    NO_TIME_LEFT = "no_time_left"
    NOT_SENT = "not_sent"

    # CleverTap may have taken the record
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    GATEWAY = "gateway"
    NOT_JSON = "not_json"
    COUNT_MISMATCH = "count_mismatch"


class GiveUp(StrEnum):
    """Which limit ends the retries of an event: see `RetryPolicy`."""

    OUTAGE = "outage"  # passes by itself: two days
    SETUP = "setup"  # somebody must mend something: twelve days, nearly as long as SQS keeps a message


@dataclass(frozen=True, slots=True)
class Delivered:
    """CleverTap has taken every record of the event."""

    name = "delivered"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Settings or policy keep the event from CleverTap."""

    reason: SkipReason
    name = "skipped"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event already has its outcome; this is another copy of it."""

    name = "duplicate"


@dataclass(frozen=True, slots=True)
class Held:
    """The event waits for the login of its anonymous user."""

    name = "held"


@dataclass(frozen=True, slots=True)
class Parked:
    """The event waits in the parked queue. `code` is that of CleverTap's answer, `detail` is for a person."""

    reason: ParkReason
    detail: str
    code: int | None = None
    name = "parked"


@dataclass(frozen=True, slots=True)
class Retried:
    """The event has no outcome yet and comes again, until the limit that `give_up` names.

    `detail` is for the log. `code` is the HTTP status of a set-up fault.
    """

    reason: RetryReason
    give_up: GiveUp = GiveUp.OUTAGE
    detail: str | None = None
    code: int | None = None
    name = "in_flight"

    @property
    def shown_reason(self) -> str:
        """The reason as the log and the ledger have it: that of a set-up fault ends in its HTTP status."""
        return self.reason if self.code is None else f"{self.reason}_{self.code}"


BUSY = Retried(RetryReason.BUSY)

Settled = Delivered | Skipped | Duplicate | Held | Parked
Outcome = Settled | Retried
