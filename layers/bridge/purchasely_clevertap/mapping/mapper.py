"""From a Purchasely event to what CleverTap gets of it, by the settings of the app. Pure: no clock, no network.

A `Mapper` prepares once for each version of the settings what is the same for every event.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.clevertap.limits import (
    CHARGED,
    MAX_EVENT_PROPERTIES,
    PROHIBITED_CHARACTERS,
    SAFE_CHARACTERS,
    clip_key,
    clip_text,
    property_key_problem,
)
from purchasely_clevertap.clevertap.records import Identity, Kind, event_record, profile_record
from purchasely_clevertap.mapping import identity as identities
from purchasely_clevertap.mapping.identity import Link, Names, Wait
from purchasely_clevertap.mapping.profile import (
    NONE,
    PROFILE_PROPERTIES,
    ProfileState,
    charge_key,
)
from purchasely_clevertap.mapping.settings import (
    ADDED_PROPERTIES,
    ALWAYS_OMITTED,
    BACKFILLED_PROPERTY,
    LATE_PROPERTY,
    OWN_NAMES,
    WAS_ANONYMOUS_PROPERTY,
    LateAction,
    RevenueCurrency,
    Sandbox,
    Settings,
    name_problem,
)
from purchasely_clevertap.outcome import BackfillMode, Parked, ParkReason, Skipped, SkipReason
from purchasely_clevertap.purchasely.event import (
    KEYS,
    PURCHASE_ACTIVATED,
    PURCHASE_DEACTIVATED,
    TRANSACTION,
    Event,
    EventKeys,
    Money,
    Value,
    money_key,
)
from purchasely_clevertap.sized_cache import SizedCache, size_of_names


class Mapped(NamedTuple):
    """What CleverTap gets of one event: the encoded records, and whether the person's profile learns from it.

    `records` are the event's own, in the order of their upload. `kept_back` is the outcome of an event whose own record
    is not among them. `left_out` names the properties that were cut or left out.
    """

    environment: Environment
    identity: Identity
    records: tuple[tuple[Kind, bytes], ...]
    profile: bool
    kept_back: Skipped | Parked | None = None
    left_out: tuple[str, ...] = ()


class ProfileUpdate(NamedTuple):
    """Profile records, the whole profile that CleverTap then has of ours, and the CleverTap ids that are then tied."""

    records: tuple[bytes, ...]
    properties: Mapping[str, Value]
    links: tuple[str, ...] = ()


_NO_LINK: Final = Link()
_PROHIBITED: Final = str.maketrans(dict.fromkeys(PROHIBITED_CHARACTERS, "_"))
_OWN_PROPERTIES: Final = len(ADDED_PROPERTIES)  # places kept for them
_ITEM_KEYS: Final = ("product", "plan", "store_product_id", "purchase_type", "offer_type")
_CHARGED_KEYS: Final = (
    "event_id",
    "source_event_name",
    "product",
    "plan",
    "store",
    "store_country",
    "environment",
    "presentation",
    "placement",
    "audience",
    "ab_test",
    "ab_test_variant",
    "offer_type",
    "channel",
    "provider",
)
_ATTRIBUTION: Final = "attribution_"
_MOST_ATTRIBUTION: Final = 50  # with all else of a Charged far below the properties that an event may have
# The events of a transfer come within seconds of each other.
_TRANSFER_MS: Final = 20_000
_DIGITS: Final = 6  # of a share of an amount: no currency has more


class _Plan(NamedTuple):
    """How values and dates become properties: some keys of values are dropped, some have another name.

    `renamed` and `dates` are names with their keys, `keys` has the key of every name. `left_out` are the keys that
    CleverTap would refuse as they are.
    """

    dropped: list[str]
    renamed: list[tuple[str, str]]
    dates: list[tuple[str, str]]
    left_out: list[str]
    keys: dict[str, str]


class _Choice(NamedTuple):
    """What the settings say of the events of one name: what keeps them all back, their name at CleverTap, which values
    they must have, and the only properties that they have."""

    kept_back: Skipped | Parked | None
    name: str
    where: Mapping[str, tuple[str, ...]] | None
    only: frozenset[str] | None


class Mapper:
    """Maps events by one version of an app's settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._own_names = {**OWN_NAMES, **settings.event_properties.rename}
        self._omit = frozenset(settings.event_properties.omit)
        self._only = None if settings.event_properties.only is None else frozenset(settings.event_properties.only)
        self._late_ms = settings.late_events.after_minutes * 60_000
        profile = settings.profile
        self._profile_names = {
            key: profile.rename.get(key, profile.prefix + key) for key in PROFILE_PROPERTIES if key not in profile.omit
        }
        self._profile_keys = frozenset(self._profile_names.values())
        self._plain_profile = not profile.prefix and not profile.rename and not profile.omit
        self._choice = SizedCache(self._chosen, len)
        self._plan = SizedCache(self._planned, lambda choice: _size(choice[0]))
        self._payment_keys = SizedCache(self._planned_payment, _size)

    def environment(self, event: Event, *, has_sandbox_account: bool) -> Environment | Skipped:
        """The project that the event goes to."""
        if event.environment == "PRODUCTION":
            return Environment.PRODUCTION
        match self.settings.sandbox:
            case Sandbox.MIX:
                return Environment.PRODUCTION
            case Sandbox.SKIP:
                return Skipped(SkipReason.SANDBOX_SWITCHED_OFF)
            case Sandbox.SEPARATE:
                return Environment.SANDBOX if has_sandbox_account else Skipped(SkipReason.NO_SANDBOX_ACCOUNT)

    def names(self, event: Event) -> Names | Parked:
        """What the event calls its person."""
        return identities.names(event, self.settings.identity)

    def is_sent(self, event: Event) -> bool:
        """Whether the settings send the event's record, if it is not late."""
        return _kept_back(event, self._choice[event.event_name]) is None

    def map(
        self,
        event: Event,
        *,
        now_ms: int,
        has_sandbox_account: bool,
        link: Link = _NO_LINK,
        backfill: BackfillMode | None = None,
    ) -> Mapped | Wait | Skipped | Parked:
        """The records of `event` when they are uploaded at `now_ms`, or why nothing of it is known to CleverTap.

        The money of a one-time purchase depends on what is known of the person: `purchase_records` has it. An event of
        a `backfill` is late by its nature, so the settings of late events keep it from nobody.
        """
        environment = self.environment(event, has_sandbox_account=has_sandbox_account)
        if isinstance(environment, Skipped):
            return environment
        if identities.became_known(event):
            return Skipped(SkipReason.BECAME_KNOWN)
        named = self.names(event)
        if isinstance(named, Parked):
            return named
        person = identities.identity(event, named, link, self.settings.identity)
        if not isinstance(person, Identity):
            return person
        settings, choice = self.settings, self._choice[event.event_name]
        kept_back = _kept_back(event, choice)
        late = settings.late_events.action if now_ms - event.created_ms > self._late_ms else LateAction.SEND
        if backfill is BackfillMode.PROFILE:
            kept_back = Skipped(SkipReason.BACKFILLED)
        elif backfill is None and kept_back is None and late in (LateAction.SKIP, LateAction.PROFILE_ONLY):
            kept_back = Skipped(SkipReason.LATE)
        own: dict[str, Value] = {}
        if late is LateAction.FLAG:
            own[LATE_PROPERTY] = True
        if backfill is not None:
            own[BACKFILLED_PROPERTY] = True
        if named.user_id is None and self._was_anonymous(event, named):
            own[WAS_ANONYMOUS_PROPERTY] = True
        learns = settings.profile.send or event.is_one_time
        records: list[tuple[Kind, bytes]] = []
        left_out: list[str] = []
        seconds = event.created_ms // 1000
        if kept_back is None:
            properties = self._properties(event, left_out)
            properties |= own
            records.append((Kind.EVENT, event_record(person, choice.name, seconds, properties)))
        is_paid = backfill in (None, BackfillMode.ALL) and event.event_name == TRANSACTION
        if is_paid and (money := self._money(event, "amount")) is not None:
            records += self._payment(event, person, money, own)
        if kept_back is not None and not learns and not records:
            return kept_back
        return Mapped(environment, person, tuple(records), learns, kept_back, tuple(left_out))

    def price(self, event: Event) -> Money | None:
        """What a one-time purchase costs."""
        return self._money(event, "plan_price")

    def purchase_records(
        self, event: Event, person: Identity, state: ProfileState, *, backfill: BackfillMode | None = None
    ) -> tuple[tuple[Kind, bytes], ...]:
        """The money of a one-time purchase: charged once for a transaction of the store, refunded if it was charged."""
        is_paid = backfill in (None, BackfillMode.ALL)
        if not is_paid or event.event_name not in (PURCHASE_ACTIVATED, PURCHASE_DEACTIVATED):
            return ()
        charge = state.charges.get(charge_key(event) or "")
        if charge is None or charge.amount is None or charge.currency is None:
            return ()
        named = self.names(event)
        own: dict[str, Value] = {} if backfill is None else {BACKFILLED_PROPERTY: True}
        if isinstance(named, Names) and self._was_anonymous(event, named):
            own[WAS_ANONYMOUS_PROPERTY] = True
        records: list[tuple[Kind, bytes]] = []
        if charge.charged_by == event.event_id:
            records += self._payment(event, person, Money(charge.amount, charge.currency), own)
        if charge.refund == event.event_id and charge.is_refunded and self.settings.revenue.charged:
            # The refund may have been heard of before the purchase: its record is that of its own event.
            revoked = event
            if charge.revoked_by not in (None, event.event_id) and charge.revoked_ms is not None:
                values = {**event.values, "event_id": str(charge.revoked_by)}
                revoked = event._replace(values=values, created_ms=charge.revoked_ms)
            records += self._payment(revoked, person, Money(-charge.amount, charge.currency), own)
        return tuple(records)

    def is_too_early(self, event: Event, state: ProfileState, *, age_ms: int) -> bool:
        """Whether an event of a one-time purchase may be a refund or half of a transfer: what comes within seconds
        tells. `age_ms` is the time since it was received."""
        if event.event_name != PURCHASE_DEACTIVATED or age_ms >= _TRANSFER_MS:
            return False
        charge = state.charges.get(charge_key(event) or "")
        return charge is not None and charge.refund == event.event_id and charge.is_refunded

    def profile_update(
        self, person: Identity, state: ProfileState, *, links: tuple[str, ...] = (), whole: bool = False
    ) -> ProfileUpdate | None:
        """What CleverTap must learn for its profile to be the person's; None when it knows it all.

        A property of ours that no longer holds is said to be none: `NONE`, false or 0; a date stays as it was. With
        `whole` nothing is taken for known. `links` are CleverTap ids to be tied to the user.
        """
        if not self.settings.profile.send:
            return None
        sent, properties = state.sent, self._named(state.profile())
        gone = {
            name: none
            for name, value in sent.items()
            if name not in properties
            and (name in self._profile_keys or _ATTRIBUTION in name)
            and (none := _none(value)) is not None
        }
        told: dict[str, Value] = {**gone, **properties}
        changes: dict[str, Any] = told
        if not whole:
            changes = {
                name: value
                for name, value in told.items()
                # JSON and Python agree that 1 == 1.0, but Python also that 1 == True.
                if (known := sent.get(name)) != value or (type(known) is bool) is not (type(value) is bool)
            }
        records = [profile_record(Identity(object_id=link), {"identity": person.user_id}) for link in links]
        if changes:
            records.append(profile_record(person, changes))
        if not records:
            return None
        kept = {name: value for name, value in sent.items() if name not in told}
        return ProfileUpdate(tuple(records), {**kept, **told}, links)

    def _was_anonymous(self, event: Event, named: Names) -> bool:
        """Whether the event waited until it was known whose it is."""
        if named.user_id is not None or named.clevertap_id is not None:
            return False
        return identities.waits_for_login(event, self.settings.identity)

    def _chosen(self, event_name: str) -> _Choice:
        """What the settings say of the events of one name."""
        entry = self.settings.events.get(event_name)
        name = self.settings.event_name(event_name)
        kept_back: Skipped | Parked | None = None
        if not self.settings.sends(event_name):
            kept_back = Skipped(SkipReason.EVENT_SWITCHED_OFF)
        elif problem := name_problem(name):
            kept_back = Parked(
                ParkReason.UNUSABLE_EVENT_NAME,
                f"event name {event_name[:100]!r} {problem}; "
                "give it another with the setting events.NAME.name, or switch it off, then redrive",
            )
        return _Choice(
            kept_back,
            name,
            entry.where if entry is not None else None,
            self._only if entry is None or entry.only is None else frozenset(entry.only),
        )

    def _properties(self, event: Event, left_out: list[str]) -> dict[str, Any]:
        values, moments = event.values, event.moments
        plan = self._plan[event.keys, self._choice[event.event_name].only]
        # Most values keep their keys: to copy all and to drop some is cheaper than to pick them one by one.
        properties: dict[str, Any] = dict(values)
        for key in plan.dropped:
            del properties[key]
        for name, key in plan.renamed:
            properties[name] = values[key]
        lengths = [len(value) for value in properties.values() if value.__class__ is str]
        for name, key in plan.dates:
            properties[name] = f"$D_{moments[key] // 1000}"
        left_out += event.left_out
        left_out += plan.left_out
        if max(lengths, default=0) > SAFE_CHARACTERS:
            for name, value in properties.items():
                if isinstance(value, str) and (cut := clip_text(value)) != value:
                    properties[name] = cut
                    left_out.append(plan.keys.get(name, name))
        return properties

    def _planned(self, choice: tuple[EventKeys, frozenset[str] | None]) -> _Plan:
        """The properties of every event that has these values and dates, if only some keys are wanted of those alone.

        Those that are documented have the first claim to their names, and to a place.
        """
        keys, only = choice
        plan = _Plan(list(keys.values), [], [], [], {})
        for key, is_date in sorted(
            [*((key, False) for key in keys.values), *((key, True) for key in keys.dates)], key=_is_new
        ):
            if key in self._omit or (key not in only if only is not None else key in ALWAYS_OMITTED):
                continue
            name, is_changed = self._property_name(key)
            if name in plan.keys or len(plan.keys) >= MAX_EVENT_PROPERTIES - _OWN_PROPERTIES:
                plan.left_out.append(key)
                continue
            plan.keys[name] = key
            if is_changed:
                plan.left_out.append(key)
            if is_date:
                plan.dates.append((name, key))
            elif name == key:
                plan.dropped.remove(key)
            else:
                plan.renamed.append((name, key))
        return plan

    def _property_name(self, key: str) -> tuple[str, bool]:
        """The name that CleverTap gets, and whether it had to be changed for that."""
        given = name = self._own_names.get(key, key)
        if property_key_problem(name):
            name = clip_key(name.translate(_PROHIBITED)).strip() or "_"
        return name, name != given

    def _payment(
        self, event: Event, person: Identity, money: Money, own: dict[str, Value]
    ) -> Iterator[tuple[Kind, bytes]]:
        """The Charged of a positive amount, the refund of a negative one."""
        revenue = self.settings.revenue
        if money.amount > 0:
            kind, name, is_sent = Kind.CHARGED, CHARGED, revenue.charged
        else:
            kind, name, is_sent = Kind.REFUNDED, revenue.refunds.name, revenue.refunds.send
        if money.amount == 0 or not is_sent:
            return
        amount = abs(money.amount)
        properties: dict[str, Any] = {
            "Amount": amount,
            "Currency": money.currency,
            "Charged ID": clip_text(event.text("store_transaction_id") or event.event_id),
        }
        if revenue.proceeds is not None:
            share = revenue.proceeds.get(event.text("store") or "", revenue.proceeds.get("*"))
            if share is not None:
                properties["Proceeds"] = round(amount * share, _DIGITS)
        values = event.values
        item_keys, own_keys = self._payment_keys[event.keys]
        if kind is Kind.CHARGED and item_keys:
            properties["Items"] = [{key: clip_text(str(values[key])) for key in item_keys}]
        for key in own_keys:
            properties[key] = clip_text(str(values[key]))
        yield kind, event_record(person, name, event.created_ms // 1000, properties | own)

    def _planned_payment(self, keys: EventKeys) -> tuple[list[str], list[str]]:
        """Of the keys of an event's values, those that an item has and those that its Charged and Refunded have."""
        kept = [key for key in keys.values if key not in self._omit]
        attribution = islice(filter(_is_attribution, kept), _MOST_ATTRIBUTION)
        return [key for key in _ITEM_KEYS if key in kept], [
            *(key for key in _CHARGED_KEYS if key in kept),
            *attribution,
        ]

    def _money(self, event: Event, kind: str) -> Money | None:
        """The amount in the currency of the settings.

        In the console's currency sums mean something, so the customer's amount takes its place only if that is in the
        same currency, and no other one does; the console's takes the place of the customer's under its own code.
        """
        if self.settings.revenue.currency is RevenueCurrency.CUSTOMER:
            return event.customer_money(kind) or event.money(kind)
        console, currency = event.money(kind), event.currency
        if console is not None and currency in (None, console.currency):
            return console
        customer = event.customer_money(kind)
        return customer if customer is not None and currency in (None, customer.currency) else None

    def _named(self, properties: dict[str, Value]) -> dict[str, Value]:
        """The profile properties under the names of the settings."""
        if self._plain_profile:
            return properties
        named: dict[str, Value] = {}
        profile = self.settings.profile
        for key, value in properties.items():
            if key in profile.omit:
                continue
            named[self._profile_names.get(key) or profile.rename.get(key, profile.prefix + key)] = value
        return named


def _size(keys: EventKeys) -> int:
    return size_of_names(keys.values) + size_of_names(keys.dates)


def _kept_back(event: Event, choice: _Choice) -> Skipped | Parked | None:
    """What becomes of an event of which no record is sent; None if one is."""
    if isinstance(choice.kept_back, Skipped):
        return choice.kept_back
    if choice.where is not None:
        for key, allowed in choice.where.items():
            if _as_text(event.values.get(key)) not in allowed:
                return Skipped(SkipReason.FILTERED)
    return choice.kept_back


def _is_new(keyed: tuple[str, bool]) -> bool:
    """Whether the key is not documented."""
    key, _ = keyed
    return key not in KEYS and money_key(key) is None


def _is_attribution(key: str) -> bool:
    """Whether it is a campaign's key that CleverTap takes."""
    return key.startswith(_ATTRIBUTION) and property_key_problem(key) is None


def _as_text(value: Value | None) -> str | None:
    """A value as settings write it."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _none(value: Value) -> Value | None:
    """What takes the place of a value that no longer holds; None for a date, which stays."""
    if isinstance(value, str):
        return None if value.startswith("$D_") else NONE
    return False if isinstance(value, bool) else type(value)(0)
