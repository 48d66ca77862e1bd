"""People: whose each event is, and by which ids CleverTap knows each person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .policy import Policy
from .reading import DAY, RECEIVED, Event, is_id

type Outcome = Literal["delivered", "skipped", "parked", "held"]


@dataclass(frozen=True, slots=True)
class Association:
    """What an app's backend told at `at` (epoch milliseconds): the CleverTap id of a user or of an anonymous user."""

    app: str
    clevertap_id: str
    at: int
    user_id: str | None = None
    anonymous_user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event belongs: to a person, or nowhere for a reason."""

    person: str | None
    outcome: Outcome = "delivered"
    reason: str | None = None
    was_anonymous: bool = False


@dataclass(frozen=True, slots=True)
class _Claim:
    """`holder` was seen first at `at`; the bridge heard of it at `received`."""

    at: int
    holder: str
    received: int


class People:
    """Everybody whom the events of one app for one CleverTap account are about.

    A person goes by the user id; who has none by the CleverTap id, or by the anonymous id where that is the identity.
    """

    def __init__(self, policy: Policy, events: Sequence[Event], associations: Iterable[Association]) -> None:
        self._policy = policy
        self._logins: dict[str, list[_Claim]] = {}  # anonymous id -> user ids
        self._devices: dict[str, list[_Claim]] = {}  # CleverTap id -> user ids
        self._associated: dict[str, list[_Claim]] = {}  # anonymous id -> CleverTap ids
        self._visitors: dict[str, set[str]] = {}  # CleverTap id -> anonymous ids
        self._custom_ids: dict[str, set[str]] = {}  # anonymous id -> CleverTap ids that the SDK makes of it
        for event in events:
            self._learn(event)
        for each in associations:
            if each.user_id is not None:
                _claim(self._devices, each.clevertap_id, _Claim(each.at, each.user_id, each.at))
            elif each.anonymous_user_id is not None:
                _claim(self._associated, each.anonymous_user_id, _Claim(each.at, each.clevertap_id, each.at))
                self._visitors.setdefault(each.clevertap_id, set()).add(each.anonymous_user_id)

    def ids(self) -> Mapping[str, frozenset[str]]:
        """All ids at CleverTap of each person who is tied to more than one."""
        found: dict[str, set[str]] = {}
        for device in self._devices.keys() | self._visitors.keys():
            found.setdefault(self._owner(device), set()).add(device)
        for visitor, made in self._custom_ids.items():
            if visitor in self._logins:
                found.setdefault(_first(self._logins[visitor]).holder, set()).update(made)
        return {person: frozenset({person, *ids}) for person, ids in found.items()}

    def contested(self) -> Mapping[str, frozenset[str]]:
        """The CleverTap ids that several users were seen with, and those users."""
        users = {device: frozenset(claim.holder for claim in claims) for device, claims in self._devices.items()}
        return {device: holders for device, holders in users.items() if len(holders) > 1}

    def place(self, event: Event, now: int | None) -> Place:
        """Where the event belongs, as of `now` (epoch milliseconds); None: nothing has waited for too long."""
        if event.is_login:
            return Place(None, "skipped", "became_known")
        if event.user is None and event.visitor is None:
            return Place(None, "parked", "no_user")
        name = event.user if event.user is not None else str(event.visitor)
        if not self._usable(name):
            return Place(None, "parked", "unusable_identity")
        place = Place(name) if event.user is not None else self._place_of_visitor(event, name, now)
        if place.person in self._policy.suppressed or name in self._policy.suppressed:
            return Place(None, "skipped", "suppressed")
        return place

    def _learn(self, event: Event) -> None:
        device, user = self._clevertap_id(event), event.user
        if user is not None and self._usable(user):
            if device is not None:
                _claim(self._devices, device, _Claim(event.at, user, event.received))
            visitors = [event.text("anonymous_user_id")]
            if event.name in RECEIVED:
                visitors.append(event.text("transferred_from_anonymous_user_id"))
            for visitor in visitors:
                if visitor is not None and self._usable(visitor):
                    _claim(self._logins, visitor, _Claim(event.at, user, event.received))
        elif device is not None and event.visitor is not None:
            self._visitors.setdefault(device, set()).add(event.visitor)
        elif event.visitor is not None and self._policy.anonymous == "custom_id" and not self._waits(event):
            custom_id = _custom_id(event.visitor, event.text("store"))
            self._custom_ids.setdefault(event.visitor, set()).add(custom_id)

    def _place_of_visitor(self, event: Event, visitor: str, now: int | None) -> Place:
        mode, device, waits = self._policy.anonymous, self._clevertap_id(event), self._waits(event)
        logins = self._logins.get(visitor, []) if mode in ("hold", "custom_id") else []
        associated = self._associated.get(visitor, [])
        if waits:
            named = min((claim.received for claim in (*logins, *associated)), default=None)
            if self._is_over(event, named if named is not None else now, released=named is not None):
                return Place(None, "skipped", "anonymous_user")
            if named is None:
                return Place(None, "held")
        if logins:
            return Place(_first(logins).holder, was_anonymous=waits)
        if device is not None:
            return Place(self._owner(device))
        if waits or any(claim.received <= event.received for claim in associated):
            return Place(self._owner(_first(associated).holder), was_anonymous=waits)
        if mode == "skip":
            return Place(None, "skipped", "anonymous_user")
        return Place(visitor if mode == "identity" else _custom_id(visitor, event.text("store")))

    def _is_over(self, event: Event, until: int | None, *, released: bool) -> bool:
        """Whether the event had waited for too long; on its last day it can still be released."""
        longest = self._policy.hold_days * DAY
        return until is not None and (
            until - event.received > longest if released else until - event.received >= longest
        )

    def _waits(self, event: Event) -> bool:
        """Whether the event of an anonymous user waits until somebody is named."""
        mode = self._policy.anonymous
        by_mode = mode == "hold" or (mode == "custom_id" and event.text("channel") == "web2app")
        return by_mode and self._clevertap_id(event) is None

    def _owner(self, device: str) -> str:
        """The person with that CleverTap id: the first user seen with it, else the user whom its visitor became."""
        if device in self._devices:
            return _first(self._devices[device]).holder
        became = [claim for visitor in self._visitors.get(device, ()) for claim in self._logins.get(visitor, ())]
        return _first(became).holder if became and self._policy.anonymous in ("hold", "custom_id") else device

    def _clevertap_id(self, event: Event) -> str | None:
        values = (event.text(key) for key in self._policy.clevertap_id_keys)
        return next((value for value in values if value is not None and is_id(value)), None)

    def _usable(self, name: str) -> bool:
        return is_id(name) and name not in self._policy.refuse


def _custom_id(visitor: str, store: str | None) -> str:
    """The CleverTap id that the SDK makes of an anonymous id (docs/app-side.md)."""
    if store in ("GOOGLE_PLAY_STORE", "AMAZON_APPSTORE", "HUAWEI_APPGALLERY"):
        return f"__h{visitor}"
    return f"-h{visitor}" if store == "APPLE_APP_STORE" or visitor.isupper() else f"__h{visitor}"


def _claim(claims: dict[str, list[_Claim]], key: str, claim: _Claim) -> None:
    claims.setdefault(key, []).append(claim)


def _first(claims: Iterable[_Claim]) -> _Claim:
    return min(claims, key=lambda each: (each.at, each.holder, each.received))
