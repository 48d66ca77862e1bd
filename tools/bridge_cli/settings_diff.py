"""What other settings would change for CleverTap, shown on the sample events. Pure.

Every sample is a purchase of a user who has logged in. What settings say of test purchases, of anonymous users and of
late events would not show on those, so each sample is also looked at in those situations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bridge_cli.dry_run import Forecast, forecast
from bridge_cli.sample import as_test_purchase
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.profile import PROFILE_PROPERTIES
from purchasely_clevertap.mapping.settings import OWN_NAMES, ProfileProperties, Settings
from purchasely_clevertap.outcome import Delivered, Held, Parked
from purchasely_sender import Payload, encode

_ANONYMOUS: Final = "7C1B7E0A-52C5-4C0B-9A37-1F0D2B6E8A11"
_MINUTE_MS: Final = 60_000


class Situation(StrEnum):
    """How an event comes."""

    PURCHASE = "purchase"
    TEST_PURCHASE = "test purchase"
    NO_LOGIN = "user without a login"
    LATE = "late"


class What(StrEnum):
    """What changes for CleverTap."""

    NOW_SENT = "now_sent"
    NOW_SKIPPED = "now_skipped"
    NOW_PARKED = "now_parked"
    NOW_HELD = "now_held"
    OTHER_ACCOUNT = "other_account"
    OTHER_PERSON = "other_person"
    RECORD_ADDED = "record_added"
    RECORD_REMOVED = "record_removed"
    RENAMED = "renamed"
    PROPERTY_ADDED = "property_added"
    PROPERTY_REMOVED = "property_removed"
    PROPERTY_RENAMED = "property_renamed"
    PROPERTY_CHANGED = "property_changed"


@dataclass(frozen=True, slots=True)
class EffectChange:
    """One thing that changes; `record` is the kind of record, `name` the property that it is about."""

    what: What
    record: Kind | None = None
    name: str | None = None
    before: str | None = None
    after: str | None = None

    @property
    def words(self) -> str:
        """The change in plain English."""
        of = "" if self.record in (None, Kind.EVENT) else f"{_NAMES[self.record]}: "
        match self.what:
            case What.NOW_SENT:
                return f"now sent: {self.after}"
            case What.NOW_SKIPPED:
                return f"now skipped: {self.after}"
            case What.NOW_PARKED:
                return f"now parked: {self.after}"
            case What.NOW_HELD:
                return "now held until the login"
            case What.OTHER_ACCOUNT:
                return f"to the {self.after} account, no longer to {self.before}"
            case What.OTHER_PERSON:
                return f"under {self.after}, no longer under {self.before}"
            case What.RECORD_ADDED:
                return f"{_NAMES[self.record or Kind.EVENT]} added"
            case What.RECORD_REMOVED:
                return f"{_NAMES[self.record or Kind.EVENT]} left out"
            case What.RENAMED:
                return f"renamed: {self.before} → {self.after}"
            case What.PROPERTY_ADDED:
                return f"{of}property added: {self.name}"
            case What.PROPERTY_REMOVED:
                return f"{of}property left out: {self.name}"
            case What.PROPERTY_RENAMED:
                return f"{of}property renamed: {self.before} → {self.after}"
            case What.PROPERTY_CHANGED:
                return f"{of}{self.name} changed: {self.before} → {self.after}"


_NAMES: Final = {Kind.PROFILE: "profile", Kind.EVENT: "event", Kind.CHARGED: "Charged", Kind.REFUNDED: "refund"}


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes for one event. In another situation than a mere purchase, only what changes there beside that."""

    event: str
    situation: Situation
    changes: tuple[EffectChange, ...]


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting by its path, as in docs/settings.md; None where it is absent."""

    setting: str
    before: Any
    after: Any


def setting_changes(before: Settings, after: Settings) -> list[SettingChange]:
    """The settings that differ, defaults filled in."""
    old, new = (dict(_leaves(settings.model_dump(mode="json"))) for settings in (before, after))
    return [
        SettingChange(path, old.get(path), new.get(path))
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]


def effects(
    before: Settings, after: Settings, samples: Mapping[str, Payload], *, has_sandbox_account: bool = True
) -> list[Effect]:
    """The effect on each sample as a purchase, be it none, and in each other situation in which there is more."""
    old, new = Mapper(before), Mapper(after)
    late_minutes = min(before.late_events.after_minutes, after.late_events.after_minutes) + 1
    found: list[Effect] = []
    for name, payload in samples.items():
        usual: tuple[EffectChange, ...] = ()
        for situation in Situation:
            body = encode(_in(situation, payload))
            age_ms = late_minutes * _MINUTE_MS if situation is Situation.LATE else 0
            was, will_be = (
                forecast(body, mapper, age_ms=age_ms, has_sandbox_account=has_sandbox_account) for mapper in (old, new)
            )
            changes = tuple(_changes(was, will_be, old, new))
            if situation is Situation.PURCHASE:
                usual = changes
                found.append(Effect(name, situation, changes))
            elif more := tuple(change for change in changes if change not in usual):
                found.append(Effect(name, situation, more))
    return found


def _in(situation: Situation, payload: Payload) -> Payload:
    match situation:
        case Situation.TEST_PURCHASE:
            return as_test_purchase(payload)
        case Situation.NO_LOGIN:
            rest = {key: value for key, value in payload.items() if key != "user_id"}
            return rest | {"anonymous_user_id": _ANONYMOUS}
        case _:
            return payload


def _changes(was: Forecast, will_be: Forecast, old: Mapper, new: Mapper) -> Iterator[EffectChange]:
    if was.outcome != will_be.outcome:
        yield from _outcome_changes(was, will_be)
    if was.records and will_be.records and was.account is not will_be.account:
        yield EffectChange(What.OTHER_ACCOUNT, before=was.account, after=will_be.account)
    if (
        was.records
        and will_be.records
        and (former := was.records[0].person[0]) != (later := will_be.records[0].person[0])
    ):
        yield EffectChange(What.OTHER_PERSON, before=former, after=later)
    yield from _record_changes(was, will_be, old, new)


def _outcome_changes(was: Forecast, will_be: Forecast) -> Iterator[EffectChange]:
    if will_be.outcome == Delivered.name:
        added = [_NAMES[record.kind] for record in will_be.records if was.record(record.kind) is None]
        yield EffectChange(What.NOW_SENT, after=", ".join(added))
        event = will_be.record(Kind.EVENT)
        if event is not None and event.name != will_be.event_name:
            yield EffectChange(What.RENAMED, Kind.EVENT, before=will_be.event_name, after=event.name)
    else:
        what = {Parked.name: What.NOW_PARKED, Held.name: What.NOW_HELD}.get(will_be.outcome, What.NOW_SKIPPED)
        yield EffectChange(what, after=will_be.reason)


def _record_changes(was: Forecast, will_be: Forecast, old: Mapper, new: Mapper) -> Iterator[EffectChange]:
    """The changes of each record, but for what the change of the outcome says already."""
    other_outcome = was.outcome != will_be.outcome
    now_sent = other_outcome and will_be.outcome == Delivered.name
    for kind in Kind:
        before, after = was.record(kind), will_be.record(kind)
        if before is None and after is not None and not now_sent:
            yield EffectChange(What.RECORD_ADDED, kind)
        elif before is not None and after is None:
            if not other_outcome or (will_be.records and kind is not Kind.EVENT):
                yield EffectChange(What.RECORD_REMOVED, kind)
        elif before is not None and after is not None:
            if before.name != after.name:
                yield EffectChange(What.RENAMED, kind, before=before.name, after=after.name)
            former, later = before.properties, after.properties
            if other_outcome and kind is Kind.PROFILE:
                former, later = _without_last_event(former, old), _without_last_event(later, new)
            yield from _property_changes(kind, former, later, _renames(kind, old, new))


def _without_last_event(properties: Mapping[str, Any], mapper: Mapper) -> dict[str, Any]:
    """The profile without what only events that are sent change."""
    names = _profile_names(mapper.settings.profile)
    return {
        name: value for name, value in properties.items() if name not in (names["last_event"], names["last_event_at"])
    }


def _property_changes(
    kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any], renames: Mapping[str, str]
) -> Iterator[EffectChange]:
    renamed = {name: renames[name] for name in before if renames.get(name, name) != name and renames[name] in after}
    taken = set(renamed.values())
    for name, value in before.items():
        if name in renamed:
            yield EffectChange(What.PROPERTY_RENAMED, kind, name, name, renamed[name])
        elif name not in after or name in taken:
            yield EffectChange(What.PROPERTY_REMOVED, kind, name)
        elif after[name] != value:
            yield EffectChange(What.PROPERTY_CHANGED, kind, name, _shown(value), _shown(after[name]))
    for name in after:
        if name not in taken and (name not in before or name in renamed):
            yield EffectChange(What.PROPERTY_ADDED, kind, name)


def _renames(kind: Kind, old: Mapper, new: Mapper) -> Mapping[str, str]:
    """The name that each property has by the new settings, by its name of the old ones. Those of money are never
    renamed."""
    if kind in (Kind.CHARGED, Kind.REFUNDED):
        return {}
    former, later = (
        _profile_names(mapper.settings.profile)
        if kind is Kind.PROFILE
        else {**OWN_NAMES, **mapper.settings.event_properties.rename}
        for mapper in (old, new)
    )
    keys = {name: key for key, name in former.items()}
    return {name: later.get(key, key) for name, key in keys.items()} | {
        key: name for key, name in later.items() if key not in former
    }


def _profile_names(profile: ProfileProperties) -> Mapping[str, str]:
    return {key: profile.rename.get(key, profile.prefix + key) for key in PROFILE_PROPERTIES}


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, f"{path}.{key}" if path else key)
    else:
        yield path, value
