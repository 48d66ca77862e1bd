"""The keys under which an app, an event and a person are known. Both functions use them, so they load nothing large."""

import re
from typing import Final

from purchasely_clevertap.clevertap.account import Environment

APP: Final = re.compile(r"[a-z0-9-]{1,40}")
"""What an app may be called, the last part of its webhook URL; for `fullmatch`."""

RETENTION_SECONDS: Final = 30 * 24 * 3600
"""How long the ledger remembers an event. Longer than a signed request is accepted (22 days)."""


def entry_key(app: str, event_id: str) -> str:
    """The key of an event in the deliveries table."""
    return f"{app}#{event_id}"


def profile_key(app: str, environment: Environment, *, user_id: str | None, object_id: str | None) -> str:
    """The key of a person in the subscribers table: by user id, or by CleverTap id when no user is known."""
    person = f"user#{user_id}" if user_id is not None else f"object#{object_id}"
    return f"{app}#{environment}#{person}"
