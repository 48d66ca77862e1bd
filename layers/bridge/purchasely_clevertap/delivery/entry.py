"""What the ledger has of an event and of a person, and what it is asked to write."""

from typing import Final, NamedTuple

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.outcome import Outcome

LEASE_MS: Final = 90_000
"""How long a claim or a lease lasts. Longer than a worker lives (the forwarder's timeout is 60 s), so one that expired
is a dead worker's."""


class Entry(NamedTuple):
    """What the ledger has of an event. Times are epoch milliseconds.

    `messages` are the SQS messages that brought it, `accepted` the kinds of its records that CleverTap has.
    `attempts` counts claims and outcomes, so an entry with the same count has not changed hands.
    `unconfirmed_sends` counts how often CleverTap may have taken records without the ledger having heard of it.
    `about` tells events of the same id apart: environment and name. `is_stored`: there is an item of it.
    `is_unread`: DynamoDB has not given it in time, so nothing is known.
    """

    messages: frozenset[str] = frozenset()
    outcome: str | None = None
    lease_until: int = 0
    attempts: int = 0
    accepted: frozenset[str] = frozenset()
    unconfirmed_sends: int = 0
    about: str | None = None
    is_stored: bool = False
    is_unread: bool = False

    @property
    def is_abandoned(self) -> bool:
        """Whether the worker that last claimed the event died with it; asked once its lease has expired."""
        return self.outcome is None and self.lease_until > 0


class StoredProfile(NamedTuple):
    """What the ledger has of a person. `version` counts the writes. `is_full`: their item has no room for a state.

    `is_unread`: DynamoDB has not given it in time, so nothing is known.
    """

    state: ProfileState = ProfileState()
    version: int = 0
    lease_until: int = 0
    is_full: bool = False
    is_unread: bool = False

    @property
    def is_uncertain(self) -> bool:
        """Whether CleverTap may hold a profile that the state does not tell of.

        A worker clears the lease once it knows the result; a lease that expired means a crash or a lost response.
        """
        return self.lease_until > 0


class Claim(NamedTuple):
    """An event that a worker wants for itself. `seen` is its entry as the worker read it: if it has changed since, the
    claim is refused. `message_id` is noted along; `about` says which event it is."""

    key: str
    seen: Entry
    message_id: str | None
    about: str | None = None


class ClaimGroup(NamedTuple):
    """Events that are granted together with the lease of their person's profile, or without any profile."""

    claims: tuple[Claim, ...]
    profile_key: str | None = None


class Grant(NamedTuple):
    """What a worker got of a `ClaimGroup`: the keys of its events, and the profile that it holds the lease of.

    `full_entries` are those of its events whose item had no room for the claim until something was taken off. With
    `is_profile_full` it has its events without the lease, as the person's item has no room.
    """

    entries: frozenset[str] = frozenset()
    profile: StoredProfile | None = None
    full_entries: frozenset[str] = frozenset()
    is_profile_full: bool = False


class Hold(NamedTuple):
    """What is kept of an event that waits for a login: the key of its anonymous person, its body as an SQS message, and
    when it was received and until when it waits (epoch milliseconds)."""

    person_key: str
    body: str
    received_at: int
    until: int


class HeldEvent(NamedTuple):
    """An event that waits: its key, and what is kept of it."""

    key: str
    hold: Hold


class Tie(NamedTuple):
    """What a user's event says: the anonymous id or the CleverTap id of `key` is this user's."""

    key: str
    user_id: str


class Tied(NamedTuple):
    """What became of a `Tie`: whose it is now (None while another worker is at it), what was known of it, and the
    CleverTap id of an anonymous id. `is_full`: its item has no room, so it can never be tied."""

    user_id: str | None = None
    state: ProfileState = ProfileState()
    object_id: str | None = None
    is_full: bool = False


class Settlement(NamedTuple):
    """What is written of an event once a worker knows its outcome.

    The outcome of an event that comes again frees its claim. `claim` says what the worker saw; `is_claimed`, whether
    the event is its own since. `unconfirmed_sends` is the whole count. With
    `keeps_facts` only the outcome and its reason are written over what the entry says of the event.
    """

    claim: Claim
    outcome: Outcome
    is_claimed: bool
    accepted: frozenset[str] = frozenset()
    event_name: str | None = None
    event_at: int | None = None
    environment: Environment | None = None
    profile_key: str | None = None
    unconfirmed_sends: int = 0
    keeps_facts: bool = False
    hold: Hold | None = None


class ProfileSave(NamedTuple):
    """The state of a person whose lease the worker holds; saving it ends the lease.

    With `lease_until` (epoch milliseconds) nobody gets the lease before then, and who does knows that CleverTap may
    hold another profile.
    """

    key: str
    state: ProfileState
    lease_until: int = 0
