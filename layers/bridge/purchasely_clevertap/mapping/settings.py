"""The settings of an app: what CleverTap gets, under which names, and for whom.

`parse` reads the JSON text of the SSM parameter. Every key is optional. A text with a mistake is refused as a
whole, so that nothing is sent by settings that are half understood. docs/settings.md describes each key.
"""

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from purchasely_clevertap.clevertap.account import Environment, Region
from purchasely_clevertap.clevertap.limits import (
    CHARGED,
    MAX_EVENT_TYPES,
    RESERVED_PROFILE_KEYS,
    event_name_problem,
    normalized,
    property_key_problem,
)
from purchasely_clevertap.mapping.profile import PROFILE_PROPERTIES
from purchasely_clevertap.padding import unpadded
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import KEYS, money_key

EVERY_EVENT: Final = "*"
"""The key of `events` that stands for every event without an entry of its own."""

OFF_BY_DEFAULT: Final = ("ACTIVATE", "DEACTIVATE")
"""The events that double the lifecycle events: sent only when their own entry says so."""

OWN_NAMES: Final = {"device_type": "purchasely_device_type"}
"""Event properties that go by another name than Purchasely's when they are not renamed: CleverTap keeps a system
property of that name for the device of the SDK's session."""

LATE_PROPERTY: Final = "is_late"
"""The event property that `late_events.action` = `flag` adds."""

WAS_ANONYMOUS_PROPERTY: Final = "was_anonymous"
"""The event property of an event whose user was not known when it happened."""

BACKFILLED_PROPERTY: Final = "backfilled"
"""The event property of what `bridge backfill` brought, its Charged and Refunded too."""

ADDED_PROPERTIES: Final = (LATE_PROPERTY, WAS_ANONYMOUS_PROPERTY, BACKFILLED_PROPERTY)
"""What the bridge adds to an event's own properties."""

ALWAYS_OMITTED: Final = ("purchase_token",)
"""Left out unless `only` names it: like a credential, and of no use for campaigns."""

MAX_LATE_MINUTES: Final = 365 * 24 * 60
"""The greatest `late_events.after_minutes`, a year: Purchasely retries for 20 days only."""

MAX_HOLD_DAYS: Final = 90
"""The greatest `identity.hold_days`."""

MAX_LAPSE_HOURS: Final = 365 * 24
"""The greatest of `profile.lapse_after_hours`."""

_RESERVED_PROFILE_KEYS = {normalized(key): key for key in RESERVED_PROFILE_KEYS}

_BARE = re.compile(r"[\w*-]+")

# How much of a text a message repeats, in characters: enough to find it, short enough for a line of a log.
_SHOWN = 100

type _Path = tuple[str | int, ...]
type _Problem = tuple[_Path, str]  # the keys that lead there; what is wrong, in plain English


class SettingsError(ValueError):
    """Settings that are refused: `problems` has every reason, at least one; `str` has one on each line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Anonymous(StrEnum):
    """What becomes of an event of a user who has not logged in."""

    HOLD = "hold"
    SKIP = "skip"
    IDENTITY = "identity"
    CUSTOM_ID = "custom_id"


class RevenueCurrency(StrEnum):
    """Whose currency a `Charged` record is in: the customer's, or the default one of Purchasely's console."""

    CUSTOMER = "customer"
    INTEGRATION = "integration"


class Sandbox(StrEnum):
    """Where events of the stores' test environments go."""

    SEPARATE = "separate"
    SKIP = "skip"
    MIX = "mix"


class LateAction(StrEnum):
    """What becomes of an event that comes too late for CleverTap's live campaigns."""

    SEND = "send"
    FLAG = "flag"
    PROFILE_ONLY = "profile_only"
    SKIP = "skip"


class _PartError(ValueError):
    """What a validator found, each problem under its own path below the validated field."""

    def __init__(self, problems: Sequence[_Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{_dotted(path)}: {text}" for path, text in problems))


def _refuse(problems: Iterable[_Problem]) -> None:
    if found := tuple(problems):
        raise _PartError(found)


def _dotted(path: _Path) -> str:
    dotted = ""
    for key in path:
        if isinstance(key, int):
            dotted += f"[{key}]"
        else:
            dotted += ("." if dotted else "") + (key if len(key) <= _SHOWN and _BARE.fullmatch(key) else _shown(key))
    return dotted or "the settings"


def _shown(value: object) -> str:
    """`value` as JSON has it, short; of a list or an object only that it is one."""
    if isinstance(value, str):
        text = json.dumps(value if len(value) <= _SHOWN else value[:_SHOWN] + "…", ensure_ascii=False)
        return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else json.dumps(value)


def name_problem(name: str) -> str | None:
    """Why no event may be sent under `name`, as the end of a sentence; None if it may."""
    if normalized(name) == normalized(CHARGED):
        return f'is reserved: "{CHARGED}" is what a purchase becomes, see revenue.charged'
    return event_name_problem(name)


def _rename_problems(
    rename: Mapping[str, str], omit: Collection[str], names: Mapping[str, str], *, in_currency: bool
) -> Iterator[_Problem]:
    """`names` is what each known property is called unless it is renamed.

    Names that differ in case or spaces only are taken for the same: whether CleverTap does is not documented.
    """
    left = {normalized(name): key for key, name in names.items() if key not in rename and key not in omit}
    taken = left | {normalized(own): own for own in ADDED_PROPERTIES} if in_currency else left
    for key, name in rename.items():
        form = normalized(name)
        if problem := property_key_problem(name):
            yield ("rename", key), f"{_shown(name)} {problem}"
        elif key in omit:
            continue
        elif form in taken:
            yield ("rename", key), f"{_shown(name)} is the name of {_dotted((taken[form],))} too"
        elif in_currency and money_key(form) and form not in rename and form not in omit:
            yield ("rename", key), f"{_shown(name)} is the name that Purchasely gives to money in that currency"
        else:
            taken[form] = key


def _region(value: object) -> object:
    try:
        return Region.parse(value) if isinstance(value, str) else value
    except ValueError:
        return value  # the enum refuses it, in the same words as any other value


def _sandbox_region(value: object) -> object:
    # Region.parse takes "" for Europe; here a person may as well mean the same region, which is null.
    return _region(value) if value else value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EventSetting(_Part):
    """Whether an event is sent, under which name (Purchasely's without one), and with which properties.

    `where` has the allowed values of webhook keys; an event with another value is not sent. `only` is the list of
    properties that are sent, for this event instead of `event_properties.only`.
    """

    send: bool = True
    name: str | None = Field(default=None, exclude_if=lambda name: name is None)
    where: Mapping[str, tuple[str, ...]] | None = Field(default=None, exclude_if=lambda where: where is None)
    only: tuple[str, ...] | None = Field(default=None, exclude_if=lambda only: only is None)

    @field_validator("name")
    @classmethod
    def _can_be_a_name(cls, name: str | None) -> str | None:
        if name is None:
            _refuse([((), 'found null; allowed: text, or no "name" at all for Purchasely\'s own')])
        elif problem := name_problem(name):
            _refuse([((), f"{_shown(name)} {problem}")])
        return name


class EventProperties(_Part):
    """The properties of events: which go by another name, which are left out beside `ALWAYS_OMITTED`, and, with `only`,
    which alone are sent. Keys are Purchasely's."""

    rename: Mapping[str, str] = {}
    omit: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _has_usable_names(self) -> Self:
        names = {key: OWN_NAMES.get(key, key) for key in KEYS if not key.endswith("_ms")}
        _refuse(_rename_problems(self.rename, self.omit, names, in_currency=True))
        return self


_Hours = Annotated[int, Field(ge=1, le=MAX_LAPSE_HOURS)]


class LapseAfterHours(_Part):
    """How long after its date a subscription of which nothing more is heard has ended; null is never.

    `cancelled`: renewal is off. `renewing`: renewal is on, so the store may still be trying to charge.
    """

    cancelled: _Hours | None = 48
    renewing: _Hours | None = 336


class ProfileProperties(_Part):
    """Whether the profile is updated, and its properties: which go by another name, which are left out, and what all of
    their names begin with."""

    send: bool = True
    prefix: str = ""
    rename: Mapping[str, str] = {}
    omit: tuple[str, ...] = ()
    lapse_after_hours: LapseAfterHours = LapseAfterHours()

    @field_validator("prefix")
    @classmethod
    def _can_begin_a_name(cls, prefix: str) -> str:
        if prefix and (problem := property_key_problem(f"{prefix}{max(PROFILE_PROPERTIES, key=len)}")):
            _refuse([((), f"{_shown(prefix)} can begin no name: with it one {problem}")])
        return prefix

    @model_validator(mode="after")
    def _has_usable_names(self) -> Self:
        names = {key: self.prefix + key for key in PROFILE_PROPERTIES}
        _refuse(_rename_problems(self.rename, self.omit, names, in_currency=False))
        return self

    @field_validator("rename")
    @classmethod
    def _keeps_off_reserved_keys(cls, rename: Mapping[str, str]) -> Mapping[str, str]:
        _refuse(
            ((source,), f'{_shown(target)} is reserved: "{reserved}" has a meaning of its own at CleverTap')
            for source, target in rename.items()
            if (reserved := _RESERVED_PROFILE_KEYS.get(normalized(target)))
        )
        return rename


class IdentitySettings(_Part):
    """The person an event belongs to.

    `hold_days`: how long events of an anonymous user wait for their login. `clevertap_id_keys`: the webhook keys that
    may have a CleverTap id. `refuse`: user ids that are none, beside those that never are.
    """

    anonymous: Anonymous = Anonymous.HOLD
    hold_days: int = Field(default=30, ge=1, le=MAX_HOLD_DAYS)
    clevertap_id_keys: tuple[str, ...] = ("clevertap_id",)
    refuse: tuple[str, ...] = ()


class Refunds(_Part):
    """Whether money given back becomes an event of its own, and its name."""

    send: bool = True
    name: str = "Refunded"

    @field_validator("name")
    @classmethod
    def _can_be_a_name(cls, name: str) -> str:
        if problem := name_problem(name):
            _refuse([((), f"{_shown(name)} {problem}")])
        return name


_Share = Annotated[float, Field(ge=0, le=1, strict=False)]


class Revenue(_Part):
    """Whether a payment becomes a `Charged` record, in which currency, and what becomes of refunds.

    `proceeds`: the share of an amount that the store leaves, by store or `*`.
    """

    charged: bool = True
    currency: RevenueCurrency = RevenueCurrency.INTEGRATION
    refunds: Refunds = Refunds()
    proceeds: Mapping[str, _Share] | None = None


class LateEvents(_Part):
    """What becomes of an event older than `after_minutes` when it is uploaded."""

    after_minutes: int = Field(default=110, ge=1, le=MAX_LATE_MINUTES)
    action: LateAction = LateAction.SEND


def _with_defaults(events: Mapping[str, EventSetting]) -> dict[str, EventSetting]:
    """`events` merged over the default, with `send` in every entry."""
    every = EventSetting(send=events[EVERY_EVENT].send if EVERY_EVENT in events else True)
    merged = {EVERY_EVENT: every} | {name: EventSetting(send=False) for name in OFF_BY_DEFAULT}
    for name, entry in events.items():
        if name != EVERY_EVENT:
            send = entry.send if "send" in entry.model_fields_set else merged.get(name, every).send
            merged[name] = entry.model_copy(update={"send": send})
    return merged


def _key_problems(events: Mapping[str, EventSetting], merged: Mapping[str, EventSetting]) -> Iterator[_Problem]:
    """Entries that could never have the effect they are written for."""
    for name, entry in events.items():
        if name == EVERY_EVENT:
            for key in sorted(entry.model_fields_set - {"send"}):
                found = _shown(getattr(entry, key))
                yield (name, key), f'found {found}; "{EVERY_EVENT}" stands for every event and takes "send" only'
        elif name != EVERY_EVENT and name not in CATALOGUE:
            if known := _KNOWN_BY_LETTERS.get(_letters(name)):
                yield (name,), f"unknown event; Purchasely writes it {known}"
            elif entry.name is None and normalized(name) == normalized(CHARGED):
                yield (name,), f"unknown event; {CHARGED} is what a purchase becomes, see revenue.charged"
            elif entry.name is None and merged[name].send and (problem := event_name_problem(name)):
                yield (name,), f'{_shown(name)} {problem}; give it another "name" or switch it off'


def _letters(name: str) -> str:
    return normalized(name).replace("_", "").replace("-", "")


_KNOWN_BY_LETTERS = {_letters(name): name for name in CATALOGUE}


def _sent(events: Mapping[str, EventSetting]) -> Mapping[str, Sequence[str]]:
    """The events that are sent, of the catalogue and of `events`, under the form CleverTap tells their names by."""
    sent: dict[str, list[str]] = {}
    for name in dict.fromkeys([*CATALOGUE, *events]):
        entry = events.get(name) or events[EVERY_EVENT]
        if entry.send and name != EVERY_EVENT:
            sent.setdefault(normalized(entry.name or name), []).append(name)
    return sent


def _collisions(events: Mapping[str, EventSetting]) -> Iterator[_Problem]:
    for names in _sent(events).values():
        if len(names) > 1:
            renamed = [name for name in names if name in events and events[name].name is not None]
            if len(renamed) == len(names):  # each says that it shares the name
                continue
            last = (renamed or names)[-1]
            others = ", ".join(_dotted((name,)) for name in names if name != last)
            text = f"{_shown(events[last].name or last)} is the name of {others} too: CleverTap ignores case and spaces"
            yield ((last, "name") if renamed else (last,)), text


class Settings(_Part):
    """The settings of one app.

    `events` is complete: it has `EVERY_EVENT` and those `OFF_BY_DEFAULT`, and every entry says whether it is sent.
    """

    region: Annotated[Region, BeforeValidator(_region)] = Region.EU1
    events: Mapping[str, EventSetting] = _with_defaults({})
    event_properties: EventProperties = EventProperties()
    profile: ProfileProperties = ProfileProperties()
    identity: IdentitySettings = IdentitySettings()
    revenue: Revenue = Revenue()
    sandbox: Sandbox = Sandbox.SEPARATE
    sandbox_region: Annotated[Region | None, BeforeValidator(_sandbox_region)] = None
    late_events: LateEvents = LateEvents()

    @field_validator("events")
    @classmethod
    def _can_be_told_apart(cls, events: Mapping[str, EventSetting]) -> Mapping[str, EventSetting]:
        merged = _with_defaults(events)
        _refuse([*_key_problems(events, merged), *_collisions(merged)])
        return merged

    @model_validator(mode="after")
    def _tells_refunds_apart(self) -> Self:
        refunds = self.revenue.refunds
        if refunds.send and (same := _sent(self.events).get(normalized(refunds.name))):
            text = f"{_shown(refunds.name)} is the name of {_dotted((same[0],))} too: CleverTap ignores case and spaces"
            _refuse([(("revenue", "refunds", "name"), text)])
        return self

    @model_validator(mode="after")
    def _fits_an_account(self) -> Self:
        of_money = [CHARGED] * self.revenue.charged + [self.revenue.refunds.name] * self.revenue.refunds.send
        names = len(_sent(self.events)) + len(of_money)
        if names > MAX_EVENT_TYPES:
            text = f"found {names} different names of events that are sent; allowed: at most {MAX_EVENT_TYPES}"
            _refuse([(("events",), f"{text}, {' and '.join(of_money)} among them" if of_money else text)])
        return self

    def region_of(self, environment: Environment) -> Region:
        """Where the project for real or for test purchases is."""
        if environment is Environment.SANDBOX and self.sandbox_region is not None:
            return self.sandbox_region
        return self.region

    def sends(self, name: str) -> bool:
        """Whether the Purchasely event `name`, known or not, goes to CleverTap."""
        return (self.events.get(name) or self.events[EVERY_EVENT]).send

    def event_name(self, name: str) -> str:
        """The name at CleverTap of the Purchasely event `name`; that of an unknown event may be one it rejects."""
        entry = self.events.get(name)
        return name if entry is None or entry.name is None else entry.name


def warnings(settings: Settings) -> list[str]:
    """Names that nobody knows, each with the nearest one that is known: valid, but perhaps a slip."""
    found = [
        _unknown(f"events.{name}", name, CATALOGUE)
        for name in settings.events
        if name != EVERY_EVENT and name not in CATALOGUE
    ]
    lists: dict[str, Iterable[str]] = {
        "event_properties.rename": settings.event_properties.rename,
        "event_properties.omit": settings.event_properties.omit,
        "event_properties.only": settings.event_properties.only or (),
    }
    for name, entry in settings.events.items():
        lists[f"events.{name}.only"] = entry.only or ()
        lists[f"events.{name}.where"] = entry.where or ()
    found += [_unknown(path, key, KEYS) for path, keys in lists.items() for key in keys if not _is_known_key(key)]
    profile = {"profile.rename": settings.profile.rename, "profile.omit": settings.profile.omit}
    found += [
        _unknown(path, key, PROFILE_PROPERTIES)
        for path, keys in profile.items()
        for key in keys
        if key not in PROFILE_PROPERTIES and not key.startswith("attribution_")
    ]
    return found


def _is_known_key(key: str) -> bool:
    return key in KEYS or money_key(key) is not None or key.startswith(("attribution_", "commitment_"))


def _unknown(path: str, name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), 1, cutoff=0.5)
    hint = f", did you mean {nearest[0]}?" if nearest else ""
    return f"{path}: {_shown(name)} is no name that is known{hint}"


DEFAULT: Final = Settings()
"""The settings of an app that sets none."""


def parse(text: str) -> Settings:
    """The settings in the JSON `text`; `SettingsError` with everything that is wrong with it, if anything is."""
    text = unpadded(text)
    if problems := _json_problems(text):
        raise SettingsError(problems)
    try:
        return Settings.model_validate_json(text)
    except ValidationError as error:
        found = [problem for details in error.errors(include_url=False) for problem in _problems(details)]
    raise SettingsError(f"{_dotted(path)}: {message}" for path, message in found)


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys it had more than once."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.repeated = [key for key in self if keys.count(key) > 1] if len(self) < len(keys) else []


def _json_problems(text: str) -> Sequence[str]:
    """What is wrong with `text` before it is settings: all that a JSON parser forgives and a person would not."""
    try:
        document = json.loads(text, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        return [f"the settings: found no JSON: {error.msg}, line {error.lineno}, column {error.colno}"]
    except RecursionError:
        return ["the settings: found no JSON that can be read: too many objects or lists within each other"]
    except ValueError:
        return ["the settings: found no JSON that can be read: a number has too many digits"]
    if not isinstance(document, _Object):
        return [f"the settings: found {_shown(document)}; allowed: a JSON object"]
    return [f"{_dotted(path)}: {message}" for path, message in _forgiven(document)]


def _forgiven(document: _Object) -> Iterator[_Problem]:
    ahead: list[tuple[_Path, Any]] = [((), document)]
    while ahead:
        path, value = ahead.pop()
        if isinstance(value, _Object):
            yield from (((*path, key), "the key is here more than once; allowed: once") for key in value.repeated)
            ahead += [((*path, key), within) for key, within in reversed(value.items())]
        elif isinstance(value, list):
            ahead += [((*path, index), within) for index, within in reversed(list(enumerate(value)))]
        elif isinstance(value, float) and not math.isfinite(value):
            yield path, f"found {_shown(value)}; allowed: a finite number"


_ALLOWED = {
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
_NUMBERS = {
    "after_minutes": f"a whole number of minutes from 1 to {MAX_LATE_MINUTES}",
    "hold_days": f"a whole number of days from 1 to {MAX_HOLD_DAYS}",
    "cancelled": f"a whole number of hours from 1 to {MAX_LAPSE_HOURS}, or null for never",
    "renewing": f"a whole number of hours from 1 to {MAX_LAPSE_HOURS}, or null for never",
    "proceeds": "a share from 0 to 1",
}
_NUMBER_PROBLEMS = frozenset(
    {"int_type", "int_from_float", "float_type", "float_parsing", "greater_than_equal", "less_than_equal"}
)


def _allowed(path: _Path, kind: str) -> str | None:
    """What a value at that path may be, if the kind of the problem tells."""
    if kind in _NUMBER_PROBLEMS:
        return next((_NUMBERS[key] for key in reversed(path) if key in _NUMBERS), None)
    return _ALLOWED.get(kind)


def _problems(details: ErrorDetails) -> Iterator[_Problem]:
    """An error of pydantic in plain English."""
    path, kind, context = details["loc"], details["type"], details.get("ctx", {})
    if kind == "value_error" and isinstance(refused := context["error"], _PartError):
        yield from (((*path, *below), text) for below, text in refused.problems)
    elif kind == "extra_forbidden":
        known = list(_part(path[:-1]).model_fields)
        nearest = difflib.get_close_matches(str(path[-1]), known, 1)
        hint = f", did you mean {_shown(nearest[0])}?" if nearest else ";"
        yield path, f"unknown key{hint} allowed: {', '.join(known)}"
    elif kind == "enum" or _allowed(path, kind):
        allowed = _allowed(path, kind) or context["expected"].replace("'", '"')
        if path == ("sandbox_region",):
            allowed += ", or null for the same as region"
        elif details["input"] is None:
            allowed += ", or no such key at all for its default"
        yield path, f"found {_shown(details['input'])}; allowed: {allowed}"
    else:  # half a character, or deeper nesting than pydantic takes
        yield path, f"found no JSON that can be read: {details['msg']}"


def _part(path: _Path) -> type[BaseModel]:
    if not path:
        return Settings
    if path[0] == "events":
        return EventSetting
    part: type[BaseModel] = Settings
    for key in path:
        part = type(part.model_fields[str(key)].default)
    return part
