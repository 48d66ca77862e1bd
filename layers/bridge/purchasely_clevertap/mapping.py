"""From a Purchasely event to what CleverTap gets of it, by the settings of the app. Pure: no clock, no network.

A `Mapper` prepares once for each version of the settings what is the same for every event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from .clevertap.limits import (
    ANDROID_ID_PREFIX,
    CHARGED,
    CUSTOM_ID,
    IOS_ID_PREFIX,
    MAX_EVENT_PROPERTIES,
    MAX_VALUE_BYTES,
    OBJECT_ID,
    PROHIBITED_CHARACTERS,
    SAFE_CHARACTERS,
    clip_key,
    clip_text,
    property_key_problem,
)
from .clevertap.record import Identity, event_record, profile_record
from .fate import Parked, ParkReason, Skipped, SkipReason
from .purchasely.event import DATES, MILLISECONDS, TRANSACTION, Event, Money, is_in_currency, number
from .settings import (
    LATE_PROPERTY,
    OWN_NAMES,
    Anonymous,
    LateAction,
    RevenueCurrency,
    Sandbox,
    Settings,
    name_problem,
)
from .subscriber import PROFILE_PROPERTIES, Subscriber, Value


class Account(StrEnum):
    """Which of the app's two CleverTap accounts."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class Mapped(NamedTuple):
    """What CleverTap gets of one event: the encoded records, and whether the subscriber's profile may follow.

    `clipped` names the properties that were cut or left out because CleverTap would have refused them.
    """

    account: Account
    identity: Identity
    event: bytes | None
    charged: bytes | None
    profile: bool
    clipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileUpdate:
    """A profile record, the whole profile CleverTap then has of ours, and the CleverTap id it ties to the user."""

    record: bytes
    properties: Mapping[str, Value]
    link: str | None


_PLAIN: Final = tuple(key for key in Event.model_fields if key not in DATES and key not in MILLISECONDS)
_INTEGER_BITS: Final = 63  # beyond, JSON writers and readers disagree
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_PROHIBITED: Final = str.maketrans(dict.fromkeys(PROHIBITED_CHARACTERS, "_"))
_NAMES_REMEMBERED: Final = 1000
_ITEM_KEYS: Final = ("product", "plan", "store_product_id", "purchase_type", "offer_type")
_CHARGED_KEYS: Final = ("event_id", "source_event_name", "product", "plan", "store", "store_country", "environment")


class Mapper:
    """Maps events by one version of an app's settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        omit = frozenset(settings.event_properties.omit)
        self._names = {**OWN_NAMES, **settings.event_properties.rename}
        names = {key: self._names.get(key, key) for key in Event.model_fields if key not in omit}
        self._plain = tuple((key, names[key]) for key in _PLAIN if key in names)
        self._dates = tuple((key, key + "_ms", names[key]) for key in DATES if key in names)
        self._extra_names: dict[str, str | None] = dict.fromkeys(omit)
        self._item_keys = tuple(key for key in _ITEM_KEYS if key not in omit)
        self._charged_keys = tuple(key for key in _CHARGED_KEYS if key not in omit)
        profile = settings.profile
        self._profile_names = {
            key: profile.rename.get(key, key) for key in PROFILE_PROPERTIES if key not in profile.omit
        }
        self._late_ms = settings.late_events.after_minutes * 60_000
        self._evt_names: dict[str, str | None] = {}

    def map(self, event: Event, *, now_ms: int, has_sandbox_account: bool) -> Mapped | Skipped | Parked:
        """The records of `event` when they are uploaded at `now_ms`, or why there are none."""
        settings = self.settings
        if not settings.sends(event.event_name):
            return Skipped(SkipReason.EVENT_SWITCHED_OFF)
        account = self._account(event, has_sandbox_account=has_sandbox_account)
        if isinstance(account, Skipped):
            return account
        identity = self.identity(event)
        if not isinstance(identity, Identity):
            return identity
        late = now_ms - event.created_ms > self._late_ms
        if late and settings.late_events.action is LateAction.SKIP:
            return Skipped(SkipReason.LATE)
        name = self._event_name(event.event_name)
        if name is None:
            return Parked(
                ParkReason.UNUSABLE_EVENT_NAME,
                f"event name {event.event_name[:100]!r} {name_problem(settings.event_name(event.event_name))}; give it "
                f"another with the setting events.NAME.name, or switch it off, then redrive",
            )
        if late and settings.late_events.action is LateAction.PROFILE_ONLY:
            return Mapped(account, identity, None, None, profile=settings.profile.send)
        clipped: list[str] = []
        properties = self._properties(event, clipped)
        if late and settings.late_events.action is LateAction.FLAG:
            properties[LATE_PROPERTY] = True
        seconds = event.created_ms // 1000
        return Mapped(
            account,
            identity,
            event_record(identity, name, seconds, properties),
            self._charged(event, identity, seconds),
            profile=settings.profile.send,
            clipped=tuple(clipped),
        )

    def profile_update(
        self, identity: Identity, subscriber: Subscriber, *, whole: bool = False
    ) -> ProfileUpdate | None:
        """What CleverTap must learn for its profile to be the subscriber's; None when it knows it all.

        A property of ours that no longer holds (the plan of a subscription that was transferred) is deleted. With
        `whole` nothing is taken for known: every property is told, and every other one of ours deleted.
        """
        names = self._profile_names
        properties = {names[key]: value for key, value in subscriber.profile().items() if key in names}
        sent = subscriber.sent
        changes: dict[str, Any] = {
            name: value
            for name, value in properties.items()
            if whole or name not in sent or not _same(sent[name], value)
        }
        if whole or sent:
            gone = (name for name in names.values() if (whole or name in sent) and name not in properties)
            changes |= {name: {"$delete": 1} for name in gone}
        link = None
        if None not in (identity.object_id, identity.user_id) and identity.object_id not in subscriber.linked:
            link = identity.object_id
            changes["identity"] = identity.user_id
        if not changes:
            return None
        return ProfileUpdate(profile_record(identity, changes), properties, link)

    def identity(self, event: Event) -> Identity | Skipped | Parked:
        """The person `event` is about."""
        user_id, anonymous = _given(event.user_id), _given(event.anonymous_user_id)
        object_id = event.clevertap_id if event.clevertap_id and OBJECT_ID.fullmatch(event.clevertap_id) else None
        if user_id is not None:
            # Only a profile record ties the two together, so without profiles the user id alone must do.
            return _too_long("user_id", user_id) or Identity(user_id, object_id if self.settings.profile.send else None)
        if object_id is not None:
            return Identity(object_id=object_id)
        if anonymous is None:
            return Parked(ParkReason.NO_USER, "neither user_id nor anonymous_user_id nor clevertap_id names a person")
        match self.settings.identity.anonymous:
            case Anonymous.SKIP:
                return Skipped(SkipReason.ANONYMOUS_USER)
            case Anonymous.IDENTITY:
                return _too_long("anonymous_user_id", anonymous) or Identity(anonymous)
            case Anonymous.CUSTOM_ID:
                if CUSTOM_ID.fullmatch(anonymous) is None:
                    return Parked(
                        ParkReason.UNUSABLE_IDENTITY,
                        "anonymous_user_id cannot be a custom CleverTap id: 1 to 64 of A-Z a-z 0-9 ( ) ! : @ $ _ -",
                    )
                return Identity(object_id=_sdk_prefix(event, anonymous) + anonymous)

    def _account(self, event: Event, *, has_sandbox_account: bool) -> Account | Skipped:
        if event.environment == "PRODUCTION":
            return Account.PRODUCTION
        match self.settings.sandbox:
            case Sandbox.MIX:
                return Account.PRODUCTION
            case Sandbox.SKIP:
                return Skipped(SkipReason.SANDBOX_SWITCHED_OFF)
            case Sandbox.SEPARATE:
                return Account.SANDBOX if has_sandbox_account else Skipped(SkipReason.NO_SANDBOX_ACCOUNT)

    def _event_name(self, name: str) -> str | None:
        """The name CleverTap gets, None if it would refuse it."""
        if name not in self._evt_names:
            given = self.settings.event_name(name)
            if len(self._evt_names) >= _NAMES_REMEMBERED:
                self._evt_names.clear()
            self._evt_names[name] = None if name_problem(given) else given
        return self._evt_names[name]

    def _properties(self, event: Event, clipped: list[str]) -> dict[str, Any]:
        values = event.__dict__
        properties: dict[str, Any] = {
            name: value if type(value) is not str or len(value) <= SAFE_CHARACTERS else _clipped(key, value, clipped)
            for key, name in self._plain
            if (value := values[key]) is not None
        }
        for key, twin, name in self._dates:
            milliseconds = values[twin]
            if milliseconds is not None:
                properties[name] = f"$D_{milliseconds // 1000}"
            elif values[key] is not None:
                properties[name] = f"$D_{int(values[key].timestamp())}"
        for key, value in event.extra.items():
            self._add_extra(properties, key, value, event.extra, clipped)
        return properties

    def _add_extra(
        self, properties: dict[str, Any], key: str, value: object, extra: Mapping[str, object], clipped: list[str]
    ) -> None:
        if value is None:
            return
        if key.endswith("_ms"):
            twin = key[:-3]
            if twin in DATES or extra.get(twin) is not None:
                return
        name = self._extra_name(key)
        if name is None:
            return
        if isinstance(value, str):
            if is_in_currency(key) and (amount := number(value)) is not None:
                value = amount
            elif key.endswith("_at") and (seconds := _epoch_seconds(value)) is not None:
                value = f"$D_{seconds}"
            elif len(value) > SAFE_CHARACTERS:
                value = _clipped(key, value, clipped)
        elif number(value) is None and not isinstance(value, bool):
            clipped.append(key)
            return
        elif isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
            value = float(value)
        if name in properties or len(properties) >= MAX_EVENT_PROPERTIES - 1:  # one is left for `is_late`
            clipped.append(key)
            return
        if name != self._names.get(key, key):
            clipped.append(key)
        properties[name] = value

    def _extra_name(self, key: str) -> str | None:
        if key not in self._extra_names:
            if len(self._extra_names) >= _NAMES_REMEMBERED:
                self._extra_names = dict.fromkeys(self.settings.event_properties.omit)
            name = self._names.get(key, key)
            if property_key_problem(name):
                name = clip_key(name.translate(_PROHIBITED)).strip()
            self._extra_names[key] = name or "_"
        return self._extra_names[key]

    def _charged(self, event: Event, identity: Identity, seconds: int) -> bytes | None:
        if event.event_name != TRANSACTION or not self.settings.revenue.charged:
            return None
        money = self._paid(event)
        if money is None or money.amount <= 0:
            return None
        values = event.__dict__
        properties: dict[str, Any] = {
            "Amount": money.amount,
            "Currency": money.currency,
            "Charged ID": clip_text(event.store_transaction_id or event.event_id),
        }
        if item := {key: clip_text(values[key]) for key in self._item_keys if values[key]}:
            properties["Items"] = [item]
        properties.update((key, clip_text(values[key])) for key in self._charged_keys if values[key])
        return event_record(identity, CHARGED, seconds, properties)

    def _paid(self, event: Event) -> Money | None:
        """The amount in the currency of the settings; in the other one, under its own code, if that is all there is."""
        in_customer_currency, in_integration_currency = event.customer_amount(), event.money("amount")
        if self.settings.revenue.currency is RevenueCurrency.CUSTOMER:
            return in_customer_currency or in_integration_currency
        return in_integration_currency or in_customer_currency


def _given(user_id: str | None) -> str | None:
    return user_id if user_id is not None and user_id.strip() else None


def _too_long(key: str, identity: str) -> Parked | None:
    size = len(identity) if identity.isascii() else len(identity.encode())
    if size <= MAX_VALUE_BYTES:
        return None
    detail = f"{key} has {size} bytes; at most {MAX_VALUE_BYTES} are allowed"
    return Parked(ParkReason.UNUSABLE_IDENTITY, detail)


def _same(known: Value, new: Value) -> bool:
    # JSON and Python agree that 1 == 1.0, but Python also that 1 == True.
    return known == new and isinstance(known, bool) == isinstance(new, bool)


def _clipped(key: str, value: str, clipped: list[str]) -> str:
    cut = clip_text(value)
    if cut != value:
        clipped.append(key)
    return cut


def _epoch_seconds(text: str) -> int | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Out of reach it stays text: `$D_` with a negative number, say, is not documented.
    return int(date.timestamp()) if date.tzinfo is not None and _EARLIEST <= date < _LATEST else None


def _sdk_prefix(event: Event, anonymous_user_id: str) -> str:
    """The prefix of the SDK that made the id: by the store; else by its case, as iOS writes a UUID in upper case."""
    if event.store == "APPLE_APP_STORE":
        return IOS_ID_PREFIX
    if event.store in ("GOOGLE_PLAY_STORE", "AMAZON_APPSTORE", "HUAWEI_APPGALLERY"):
        return ANDROID_ID_PREFIX
    return IOS_ID_PREFIX if anonymous_user_id.isupper() else ANDROID_ID_PREFIX
