"""From a Purchasely event to what CleverTap gets of it, by the settings of the app. Pure: no clock, no network.

A `Mapper` prepares once for each version of the settings what is the same for every event.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import NoneType
from typing import Any, Final, NamedTuple

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.limits import (
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
from purchasely_clevertap.clevertap.records import Identity, event_record, profile_record
from purchasely_clevertap.mapping.profile import PROFILE_PROPERTIES, ProfileState, Value
from purchasely_clevertap.mapping.settings import (
    LATE_PROPERTY,
    OWN_NAMES,
    Anonymous,
    LateAction,
    RevenueCurrency,
    Sandbox,
    Settings,
    name_problem,
)
from purchasely_clevertap.outcome import Parked, ParkReason, Skipped, SkipReason
from purchasely_clevertap.purchasely.event import (
    DATES,
    EARLIEST_MS,
    KEYS,
    LATEST_MS,
    TRANSACTION,
    Event,
    Money,
    Shape,
    epoch_ms,
    money_key,
    number,
)


class Mapped(NamedTuple):
    """What CleverTap gets of one event: the encoded records, and whether the subscriber's profile may follow.

    `clipped` names the properties that were cut or left out because CleverTap would have refused them.
    """

    environment: Environment
    identity: Identity
    event: bytes | None
    charged: bytes | None
    profile: bool
    clipped: tuple[str, ...] = ()


class ProfileUpdate(NamedTuple):
    """A profile record, the whole profile CleverTap then has of ours, and the CleverTap id it ties to the user."""

    record: bytes
    properties: Mapping[str, Value]
    link: str | None


_INTEGER_BITS: Final = 63  # beyond, JSON writers and readers disagree
_PROHIBITED: Final = str.maketrans(dict.fromkeys(PROHIBITED_CHARACTERS, "_"))
_REMEMBERED: Final = 1000  # names, and shapes of events
_KINDS: Final = frozenset({str, int, float, bool})
_DELETE: Final = {"$delete": 1}
_ITEM_KEYS: Final = ("product", "plan", "store_product_id", "purchase_type", "offer_type")
_CHARGED_KEYS: Final = ("event_id", "source_event_name", "product", "plan", "store", "store_country", "environment")


class _Plan(NamedTuple):
    """How the properties of every event of one shape follow from its values.

    Most go as they are. Some keys are `dropped`, some `renamed` (the name, then the key, here and below). `moments` are
    dates, the key of the twin in milliseconds comes last; `odd` are texts that may be dates or numbers; `integers` and
    other `texts` may be too large. `clipped` are the keys that CleverTap would refuse whatever their value.
    """

    dropped: list[str]
    renamed: list[tuple[str, str]]
    moments: list[tuple[str, str, str]]
    odd: list[tuple[str, str]]
    integers: list[tuple[str, str]]
    texts: list[tuple[str, str]]
    clipped: list[str]


class Mapper:
    """Maps events by one version of an app's settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        omit = frozenset(settings.event_properties.omit)
        self._names = {**OWN_NAMES, **settings.event_properties.rename}
        self._omit = omit
        self._plan = lru_cache(_REMEMBERED)(self._planned)
        self._item_keys = tuple(key for key in _ITEM_KEYS if key not in omit)
        self._charged_keys = tuple(key for key in _CHARGED_KEYS if key not in omit)
        profile = settings.profile
        names = {key: profile.rename.get(key, key) for key in PROFILE_PROPERTIES if key not in profile.omit}
        self._profile_names = tuple(names.values())
        self._profile_renamed = [(name, key) for key, name in names.items() if name != key]
        self._late_ms = settings.late_events.after_minutes * 60_000
        self._evt_names: dict[str, str | None] = {}

    def map(self, event: Event, *, now_ms: int, has_sandbox_account: bool) -> Mapped | Skipped | Parked:
        """The records of `event` when they are uploaded at `now_ms`, or why there are none."""
        settings = self.settings
        if not settings.sends(event.event_name):
            return Skipped(SkipReason.EVENT_SWITCHED_OFF)
        environment = self._environment(event, has_sandbox_account=has_sandbox_account)
        if isinstance(environment, Skipped):
            return environment
        identity = self.identity(event)
        if not isinstance(identity, Identity):
            return identity
        created_ms = event.created_ms
        late = settings.late_events.action if now_ms - created_ms > self._late_ms else LateAction.SEND
        if late is LateAction.SKIP:
            return Skipped(SkipReason.LATE)
        name = self._event_name(event.event_name)
        if name is None:
            return Parked(
                ParkReason.UNUSABLE_EVENT_NAME,
                f"event name {event.event_name[:100]!r} {name_problem(settings.event_name(event.event_name))}; give it "
                f"another with the setting events.NAME.name, or switch it off, then redrive",
            )
        if late is LateAction.PROFILE_ONLY:
            return Mapped(environment, identity, None, None, settings.profile.send)
        clipped: list[str] = []
        properties = self._properties(event, clipped)
        if late is LateAction.FLAG:
            properties[LATE_PROPERTY] = True
        seconds = created_ms // 1000
        return Mapped(
            environment,
            identity,
            event_record(identity, name, seconds, properties),
            self._charged(event, identity, seconds) if event.event_name == TRANSACTION else None,
            settings.profile.send,
            tuple(clipped),
        )

    def profile_update(self, identity: Identity, state: ProfileState, *, whole: bool = False) -> ProfileUpdate | None:
        """What CleverTap must learn for its profile to be the subscriber's; None when it knows it all.

        A property of ours that no longer holds (the plan of a subscription that was transferred) is deleted. With
        `whole` nothing is taken for known: every property is told, and every other one of ours deleted.
        """
        sent, properties = state.sent, state.profile()
        for key in self.settings.profile.omit:
            properties.pop(key, None)
        if self._profile_renamed:
            properties |= {name: properties.pop(key) for name, key in self._profile_renamed if key in properties}
        changes: dict[str, Any] = properties
        if whole:
            changes = properties | {name: _DELETE for name in self._profile_names if name not in properties}
        elif sent:
            changes = {
                name: value
                for name, value in properties.items()
                # JSON and Python agree that 1 == 1.0, but Python also that 1 == True.
                if (known := sent.get(name)) != value or (type(known) is bool) is not (type(value) is bool)
            }
            if gone := sent.keys() - properties.keys():
                changes |= {name: _DELETE for name in self._profile_names if name in gone}
        link = None
        if None not in (identity.object_id, identity.user_id) and identity.object_id not in state.linked:
            link = identity.object_id
            changes = changes | {"identity": identity.user_id}
        if not changes:
            return None
        return ProfileUpdate(profile_record(identity, changes), properties, link)

    def identity(self, event: Event) -> Identity | Skipped | Parked:
        """The person `event` is about."""
        payload = event.payload
        user_id, anonymous = _given(payload.get("user_id")), _given(payload.get("anonymous_user_id"))
        object_id = payload.get("clevertap_id")
        if object_id is not None and OBJECT_ID.fullmatch(object_id) is None:
            object_id = None
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

    def _environment(self, event: Event, *, has_sandbox_account: bool) -> Environment | Skipped:
        if event.payload["environment"] == "PRODUCTION":
            return Environment.PRODUCTION
        match self.settings.sandbox:
            case Sandbox.MIX:
                return Environment.PRODUCTION
            case Sandbox.SKIP:
                return Skipped(SkipReason.SANDBOX_SWITCHED_OFF)
            case Sandbox.SEPARATE:
                return Environment.SANDBOX if has_sandbox_account else Skipped(SkipReason.NO_SANDBOX_ACCOUNT)

    def _event_name(self, name: str) -> str | None:
        """The name CleverTap gets, None if it would refuse it."""
        if name not in self._evt_names:
            given = self.settings.event_name(name)
            if len(self._evt_names) >= _REMEMBERED:
                self._evt_names.clear()
            self._evt_names[name] = None if name_problem(given) else given
        return self._evt_names[name]

    def _properties(self, event: Event, clipped: list[str]) -> dict[str, Any]:
        values, plan = event.values, self._plan(event.shape)
        # Most values keep their keys: to copy them all and to drop some is cheaper than to pick them one by one.
        properties = dict(values)
        for key in plan.dropped:
            del properties[key]
        for name, key in plan.renamed:
            properties[name] = values[key]
        for name, key, twin in plan.moments:
            if EARLIEST_MS <= (milliseconds := values[twin]) < LATEST_MS:
                properties[name] = f"$D_{milliseconds // 1000}"
            elif type(text := values.get(key)) is str:
                properties[name] = _date_or_amount(key, text, clipped)
        for name, key in plan.odd:
            properties[name] = _date_or_amount(key, values[key], clipped)
        for name, key in plan.integers:
            if (value := values[key]).bit_length() > _INTEGER_BITS:
                properties[name] = float(value)
        if event.longest > SAFE_CHARACTERS:
            for name, key in plan.texts:
                properties[name] = _clipped(key, values[key], clipped)
        clipped += plan.clipped
        return properties

    def _planned(self, shape: Shape) -> _Plan:
        plan = _Plan([], [], [], [], [], [], [])
        types = {key: kind for key, kind in shape.types.items() if kind is not NoneType}
        names: set[str] = set()
        kept: set[str] = set()
        for key in sorted(dict.fromkeys(_of_date(key, types) for key in types), key=_is_new):
            kind, twin = types.get(key), f"{key}_ms"
            is_moment = key in DATES and types.get(twin) is int
            if key in self._omit or (kind is None and not is_moment):
                continue
            name = self._property_name(key)
            has_value = kind in _KINDS or is_moment
            if not has_value or name in names or len(names) >= MAX_EVENT_PROPERTIES - 1:  # one is left for `is_late`
                plan.clipped.append(key)
                continue
            names.add(name)
            if name != self._names.get(key, key):
                plan.clipped.append(key)
            if name == key and kind in _KINDS:
                kept.add(key)
            if is_moment:
                plan.moments.append((name, key, twin))
            elif kind is str and (key.endswith("_at") or money_key(key)):
                plan.odd.append((name, key))
            else:
                if name != key:
                    plan.renamed.append((name, key))
                if kind is str:
                    plan.texts.append((name, key))
                elif kind is int:
                    plan.integers.append((name, key))
        plan.dropped.extend(shape.types.keys() - kept)
        return plan

    def _property_name(self, key: str) -> str:
        name = self._names.get(key, key)
        if property_key_problem(name):
            name = clip_key(name.translate(_PROHIBITED)).strip()
        return name or "_"

    def _charged(self, event: Event, identity: Identity, seconds: int) -> bytes | None:
        if not self.settings.revenue.charged:
            return None
        money = self._paid(event)
        if money is None or money.amount <= 0:
            return None
        properties: dict[str, Any] = {
            "Amount": money.amount,
            "Currency": money.currency,
            "Charged ID": clip_text(event.payload.get("store_transaction_id") or event.event_id),
        }
        if item := _texts(event, self._item_keys):
            properties["Items"] = [item]
        properties |= _texts(event, self._charged_keys)
        return event_record(identity, CHARGED, seconds, properties)

    def _paid(self, event: Event) -> Money | None:
        """The amount in the currency of the settings; in the other one, under its own code, if that is all there is."""
        in_customer_currency, in_integration_currency = event.customer_amount(), event.money("amount")
        if self.settings.revenue.currency is RevenueCurrency.CUSTOMER:
            return in_customer_currency or in_integration_currency
        return in_integration_currency or in_customer_currency


def _is_new(key: str) -> bool:
    """Whether the key is not documented: those that are have the first claim to their names, and to a place."""
    return key not in KEYS and money_key(key) is None


def _of_date(key: str, types: Mapping[str, type]) -> str:
    """The key itself, or that of the date whose milliseconds it holds."""
    date = key.removesuffix("_ms")
    return date if date in DATES or date in types else key


def _given(user_id: str | None) -> str | None:
    return user_id if user_id is not None and user_id.strip() else None


def _too_long(key: str, identity: str) -> Parked | None:
    size = len(identity) if identity.isascii() else len(identity.encode())
    if size <= MAX_VALUE_BYTES:
        return None
    detail = f"{key} has {size} bytes; at most {MAX_VALUE_BYTES} are allowed"
    return Parked(ParkReason.UNUSABLE_IDENTITY, detail)


def _texts(event: Event, keys: Iterable[str]) -> dict[str, str]:
    values = event.values
    return {key: clip_text(text) for key in keys if type(text := values.get(key)) is str and text}


def _clipped(key: str, value: str, clipped: list[str]) -> str:
    cut = clip_text(value)
    if cut != value:
        clipped.append(key)
    return cut


def _date_or_amount(key: str, text: str, clipped: list[str]) -> str | float:
    """What `text` says, as CleverTap has it; what it does not say stays text."""
    found = number(text) if money_key(key) else _date(text)
    return _clipped(key, text, clipped) if found is None else found


def _date(text: str) -> str | None:
    milliseconds = epoch_ms(text)
    return None if milliseconds is None else f"$D_{milliseconds // 1000}"


def _sdk_prefix(event: Event, anonymous_user_id: str) -> str:
    """The prefix of the SDK that made the id: by the store; else by its case, as iOS writes a UUID in upper case."""
    store = event.payload.get("store")
    if store == "APPLE_APP_STORE":
        return IOS_ID_PREFIX
    if store in ("GOOGLE_PLAY_STORE", "AMAZON_APPSTORE", "HUAWEI_APPGALLERY"):
        return ANDROID_ID_PREFIX
    return IOS_ID_PREFIX if anonymous_user_id.isupper() else ANDROID_ID_PREFIX
