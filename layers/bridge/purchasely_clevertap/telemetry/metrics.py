"""What is measured, all of it in CloudWatch's namespace `PurchaselyCleverTap`."""

from enum import StrEnum
from typing import Final

NAMESPACE: Final = "PurchaselyCleverTap"


class Metric(StrEnum):
    """A metric, under the dimensions stage and service; some also under others, with few values: a reason, a configured
    app."""

    # Each function
    COLD_START = "ColdStart"

    # Ingest
    ACCEPTED = "Accepted"  # also by app and kind
    REFUSED = "Refused"  # also by reason
    BAD_SIGNATURES = "BadSignatures"
    UNVERIFIED = "Unverified"  # also by app and kind; 1 for a wrong signature, 0 for a right one
    UNAVAILABLE = "Unavailable"
    UNNOTED_WEBHOOKS = "UnnotedWebhooks"

    # What becomes of events
    DELIVERED = "Delivered"
    SKIPPED = "Skipped"
    DUPLICATE = "Duplicate"
    HELD = "Held"
    PARKED = "Parked"
    RETRIED = "Retried"
    SETTLED = "Settled"
    DEAD_LETTERS = "DeadLetters"
    UNKNOWN_EVENTS = "UnknownEvents"
    LEFT_OUT_VALUES = "LeftOutValues"
    EVENT_AGE = "EventAge"
    WAITING_AGE = "WaitingAge"

    # News of persons
    ASSOCIATIONS = "Associations"
    IDENTITY_CONFLICTS = "IdentityConflicts"
    LAPSED = "Lapsed"
    UNREADABLE_PROFILES = "UnreadableProfiles"

    # The ledger
    STATEMENTS_REFUSED = "StatementsRefused"

    # Uploads
    UPLOAD_REQUESTS = "UploadRequests"
    UPLOAD_TIME = "UploadTime"
    UPLOADED_RECORDS = "UploadedRecords"  # also by result
    PROFILE_UPDATES = "ProfileUpdates"
    LOST_ANSWERS = "LostAnswers"

    # What is wrong
    SETUP_FAULTS = "SetupFaults"
    SETTINGS_REFUSED = "SettingsRefused"
    STORAGE_FAULTS = "StorageFaults"
    CIRCUIT_OPEN = "CircuitOpen"
    UNSETTLED = "Unsettled"
    ARCHIVE_FAULTS = "ArchiveFaults"


_IN_MILLISECONDS: Final = frozenset({Metric.EVENT_AGE, Metric.WAITING_AGE, Metric.UPLOAD_TIME})


def unit(metric: Metric) -> str:
    """Its unit, as CloudWatch names it."""
    return "Milliseconds" if metric in _IN_MILLISECONDS else "Count"
