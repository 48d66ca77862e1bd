"""Why an event was skipped or parked, and what a person can do, in words."""

from collections.abc import Mapping
from typing import Final

from purchasely_clevertap.outcome import ParkReason, SkipReason

REASONS: Final[Mapping[str, str]] = {
    SkipReason.EVENT_SWITCHED_OFF: "the setting events switches it off",
    SkipReason.ANONYMOUS_USER: "its user has not logged in, and identity.anonymous skips those, or hold_days are over",
    SkipReason.SANDBOX_SWITCHED_OFF: "it is a test purchase, and the setting sandbox skips those",
    SkipReason.NO_SANDBOX_ACCOUNT: "it is a test purchase, and the app has no CleverTap project for those",
    SkipReason.LATE: "it is late, and the setting late_events skips those",
    SkipReason.FILTERED: "the setting events.NAME.where keeps it out",
    SkipReason.NOTHING_TO_SEND: "it is news of a person, and no event",
    SkipReason.BECAME_KNOWN: "its anonymous user has logged in: the events go on under the user id",
    SkipReason.DISCARDED: "somebody discarded it when it was parked",
    SkipReason.SUPPRESSED: "its person was forgotten with --suppress",
    SkipReason.BACKFILLED: "`bridge backfill` told the profile of it, and nothing more was asked for",
    ParkReason.UNREADABLE: "it cannot be read",
    ParkReason.NO_USER: "it names nobody",
    ParkReason.UNUSABLE_IDENTITY: "CleverTap takes no such user id",
    ParkReason.UNUSABLE_EVENT_NAME: "CleverTap takes no such event name: give it another with the setting events",
    ParkReason.REFUSED_BY_CLEVERTAP: "CleverTap refuses it",
    ParkReason.RETRIES_EXHAUSTED: "CleverTap did not take it for as long as it is tried",
    ParkReason.DEAD_LETTER: "the forwarder died of it, again and again",
    ParkReason.ENTRY_TOO_LARGE: "its entry in the deliveries table had no room: see what fills it, then redrive",
    ParkReason.STATE_TOO_LARGE: "its person's item in the subscribers table has no room: make some, then redrive",
}
"""What each reason of an outcome means, as the end of a sentence that begins with the event."""


def explained(reason: str | None) -> str:
    """The reason and what it means; a reason of another version stands for itself."""
    if reason is None:
        return "no reason given"
    return f"{reason} ({REASONS[reason]})" if reason in REASONS else reason
