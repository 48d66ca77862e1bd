import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge_cli.configuration import compact
from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.clevertap.limits import PROHIBITED_CHARACTERS, RESERVED_EVENT_NAMES, RESERVED_PROFILE_KEYS
from purchasely_clevertap.mapping.settings import (
    DEFAULT,
    MAX_LATE_MINUTES,
    OFF_BY_DEFAULT,
    Anonymous,
    EventSetting,
    LateAction,
    RevenueCurrency,
    Sandbox,
    Settings,
    SettingsError,
    name_problem,
    parse,
)
from purchasely_clevertap.purchasely.catalogue import CATALOGUE


def parsed(**document: Any) -> Settings:
    return parse(json.dumps(document))


def refused(text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def problems(**document: Any) -> tuple[str, ...]:
    return refused(json.dumps(document))


def problem(**document: Any) -> str:
    (only,) = problems(**document)
    return only


# --- defaults and merging ---


def test_no_settings_are_the_default_ones() -> None:
    assert parse("{}") == DEFAULT
    assert json.loads(DEFAULT.model_dump_json()) == {
        "region": "eu1",
        "events": {"*": {"send": True}, "ACTIVATE": {"send": False}, "DEACTIVATE": {"send": False}},
        "event_properties": {"rename": {}, "omit": [], "only": None},
        "profile": {
            "send": True,
            "prefix": "",
            "rename": {},
            "omit": [],
            "lapse_after_hours": {"cancelled": 48, "renewing": 336},
        },
        "identity": {"anonymous": "hold", "hold_days": 30, "clevertap_id_keys": ["clevertap_id"], "refuse": []},
        "revenue": {
            "charged": True,
            "currency": "integration",
            "refunds": {"send": True, "name": "Refunded"},
            "proceeds": None,
        },
        "sandbox": "separate",
        "sandbox_region": None,
        "late_events": {"after_minutes": 110, "action": "send"},
    }


def test_every_setting_is_read() -> None:
    read = parsed(
        region="in1",
        events={"TRIAL_STARTED": {"send": True, "name": "Trial Started"}},
        event_properties={"rename": {"plan": "Plan"}, "omit": ["device_id"]},
        profile={"send": False, "rename": {"store": "Store"}, "omit": ["user_id"]},
        identity={"anonymous": "custom_id"},
        revenue={"charged": False, "currency": "integration"},
        sandbox="mix",
        sandbox_region="us1",
        late_events={"after_minutes": 60, "action": "profile_only"},
    )
    assert (read.region, read.sandbox, read.sandbox_region) == (Region.IN1, Sandbox.MIX, Region.US1)
    assert read.events["TRIAL_STARTED"] == EventSetting(send=True, name="Trial Started")
    assert (read.event_properties.rename, read.event_properties.omit) == ({"plan": "Plan"}, ("device_id",))
    assert (read.profile.send, read.profile.rename, read.profile.omit) == (False, {"store": "Store"}, ("user_id",))
    assert read.identity.anonymous is Anonymous.CUSTOM_ID
    assert (read.revenue.charged, read.revenue.currency) == (False, RevenueCurrency.INTEGRATION)
    assert (read.late_events.after_minutes, read.late_events.action) == (60, LateAction.PROFILE_ONLY)


def test_events_merge_over_the_default_ones() -> None:
    read = parsed(events={"TRIAL_STARTED": {"send": False}})
    assert set(read.events) == {"*", "ACTIVATE", "DEACTIVATE", "TRIAL_STARTED"}
    assert not any(map(read.sends, ("ACTIVATE", "DEACTIVATE", "TRIAL_STARTED")))


def test_lists_replace_the_default_ones() -> None:
    assert parsed(identity={"clevertap_id_keys": ["ct"]}).identity.clevertap_id_keys == ("ct",)


def test_a_part_keeps_its_other_defaults() -> None:
    read = parsed(identity={"hold_days": 7}).identity
    assert (read.anonymous, read.clevertap_id_keys) == (Anonymous.HOLD, ("clevertap_id",))


@pytest.mark.parametrize("every", [True, False])
def test_an_entry_without_send_takes_the_general_one(every: bool) -> None:
    read = parsed(events={"*": {"send": every}, "TRIAL_STARTED": {"name": "Trial"}, "NEW_EVENT": {}})
    assert read.sends("TRIAL_STARTED") is read.sends("NEW_EVENT") is read.sends("UNHEARD_OF") is every


def test_an_event_is_sent_unless_something_says_no() -> None:
    assert parsed(events={"*": {}}).sends("TRIAL_STARTED")


@pytest.mark.parametrize("name", OFF_BY_DEFAULT)
def test_entitlement_events_need_their_own_entry(name: str) -> None:
    assert not parsed(events={"*": {"send": True}}).sends(name)
    assert not parsed(events={name: {"name": "Entitlement"}}).sends(name)
    assert parsed(events={name: {"send": True}}).sends(name)
    assert parsed(events={"*": {"send": False}, name: {"send": True}}).sends(name)


def test_an_event_keeps_its_name_unless_it_has_another() -> None:
    read = parsed(events={"TRIAL_STARTED": {"name": "Trial Started"}, "TRIAL_CONVERTED": {"send": True}})
    assert read.event_name("TRIAL_STARTED") == "Trial Started"
    assert read.event_name("TRIAL_CONVERTED") == "TRIAL_CONVERTED"
    assert read.event_name("UNHEARD_OF") == "UNHEARD_OF"


def test_an_undocumented_event_can_be_set() -> None:
    read = parsed(events={"RETENTION.OFFER": {"name": "Retention Offer"}, "win.back": {"send": False}})
    assert read.sends("RETENTION.OFFER")
    assert read.event_name("RETENTION.OFFER") == "Retention Offer"
    assert not read.sends("win.back")


def test_settings_made_in_code_follow_the_same_rules() -> None:
    made = Settings(events={"TRIAL_STARTED": EventSetting(name="Trial")}, sandbox=Sandbox.SKIP)
    assert made == parsed(events={"TRIAL_STARTED": {"name": "Trial"}}, sandbox="skip")
    with pytest.raises(ValidationError, match="TRIAL_CONVERTED"):
        Settings(events={"TRIAL_STARTED": EventSetting(name="trial_converted")})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULT.region = Region.IN1  # type: ignore[misc]


# --- regions ---


@pytest.mark.parametrize(
    ("text", "region"), [("EU1", "eu1"), ("eu", "eu1"), ("EU", "eu1"), ("", "eu1"), ("Aps3", "aps3"), ("MEC1", "mec1")]
)
def test_a_region_is_read_in_any_case(text: str, region: str) -> None:
    assert parsed(region=text).region == region
    assert parsed(sandbox_region=text or None).sandbox_region == (region if text else None)


REGIONS = '"eu1", "in1", "sg1", "us1", "aps3" or "mec1"'


# --- values of the wrong kind ---

BOOL, TEXT, LIST, OBJECT = "true or false", "text", "a list", "an object"
MINUTES = f"a whole number of minutes from 1 to {MAX_LATE_MINUTES}"
ALLOWED = {
    "region": REGIONS,
    "events": OBJECT,
    "events.*": OBJECT,
    "events.*.send": BOOL,
    "events.TRIAL_STARTED": OBJECT,
    "events.TRIAL_STARTED.send": BOOL,
    "events.TRIAL_STARTED.name": TEXT,
    "event_properties": OBJECT,
    "event_properties.rename": OBJECT,
    "event_properties.rename.plan": TEXT,
    "event_properties.omit": LIST,
    "profile": OBJECT,
    "profile.send": BOOL,
    "profile.rename": OBJECT,
    "profile.rename.plan": TEXT,
    "profile.omit": LIST,
    "identity": OBJECT,
    "identity.anonymous": '"hold", "skip", "identity" or "custom_id"',
    "revenue": OBJECT,
    "revenue.charged": BOOL,
    "revenue.currency": '"customer" or "integration"',
    "sandbox": '"separate", "skip" or "mix"',
    "late_events": OBJECT,
    "late_events.after_minutes": MINUTES,
    "late_events.action": '"send", "flag", "profile_only" or "skip"',
}
KINDS = {BOOL: (True,), TEXT: ("x",), LIST: ([],), OBJECT: ({},), MINUTES: (5,)}
VALUES: tuple[object, ...] = (None, True, 1, 0, 1.5, 5, "x", "true", "110", [], {})


def document_with(path: str, value: object) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("path", ALLOWED)
def test_another_kind_of_value_is_refused(path: str) -> None:
    allowed = ALLOWED[path]
    for value in VALUES:
        if any(type(value) is type(fit) for fit in KINDS.get(allowed, ())):
            continue
        found = {"[]": "a list", "{}": "an object"}.get(str(value), json.dumps(value))
        hint = (
            ", or no such key at all for its default" if value is None and path != "events.TRIAL_STARTED.name" else ""
        )
        expected = f"{path}: found {found}; allowed: {allowed}{hint}"
        if value is None and not hint:
            expected = f'{path}: found null; allowed: text, or no "name" at all for Purchasely\'s own'
        assert problem(**document_with(path, value)) == expected


@pytest.mark.parametrize("minutes", [0, -1, -110, MAX_LATE_MINUTES + 1, 10**30, 110.0, 1e300])
def test_minutes_out_of_range_are_refused(minutes: float) -> None:
    expected = f"late_events.after_minutes: found {json.dumps(minutes)}; allowed: {MINUTES}"
    assert problem(late_events={"after_minutes": minutes}) == expected
    for taken in (1, MAX_LATE_MINUTES):
        assert parsed(late_events={"after_minutes": taken}).late_events.after_minutes == taken


SAME_REGION = f"{REGIONS}, or null for the same as region"
TOO = "CleverTap ignores case and spaces"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"region": "eu2"}, f'region: found "eu2"; allowed: {REGIONS}'),
    ({"sandbox_region": 4}, f"sandbox_region: found 4; allowed: {SAME_REGION}"),
    ({"sandbox_region": ""}, f'sandbox_region: found ""; allowed: {SAME_REGION}'),
    ({"event_properties": {"omit": ["plan", 1]}}, "event_properties.omit[1]: found 1; allowed: text"),
    ({"profile": {"omit": ["plan", 1]}}, "profile.omit[1]: found 1; allowed: text"),
    ({"revenue": {"zzz": 1}}, "revenue.zzz: unknown key; allowed: charged, currency, refunds, proceeds"),
    ({"events": {"TRIAL_STARTED": {"name": " "}}}, 'events.TRIAL_STARTED.name: " " is empty'),
    (
        {"events": {"TRIAL_STARTED": {"name": "x" * 513}}},
        f'events.TRIAL_STARTED.name: "{"x" * 100}…" has 513 characters, at most 512 are allowed',
    ),
    (
        {"events": {"TRIAL_STARTED": {"name": "trial_ converted"}}},
        f'events.TRIAL_STARTED.name: "trial_ converted" is the name of TRIAL_CONVERTED too: {TOO}',
    ),
    ({"events": {"foo": {}, "F OO": {}}}, f'events."F OO": "F OO" is the name of foo too: {TOO}'),
    (
        {"events": {"*": {"name": "Purchasely"}}},
        'events.*.name: found "Purchasely"; "*" stands for every event and takes "send" only',
    ),
    (
        {"event_properties": {"rename": {"plan": "Plan", "offer_type": "PL AN"}}},
        'event_properties.rename.offer_type: "PL AN" is the name of plan too',
    ),
    (
        {"profile": {"rename": {"plan": "Plan", "offer_type": "PL AN"}}},
        'profile.rename.offer_type: "PL AN" is the name of plan too',
    ),
    (
        {"event_properties": {"rename": {"is_late": "Late", "plan": "is_late"}}},
        'event_properties.rename.plan: "is_late" is the name of is_late too',
    ),
]


@pytest.mark.parametrize(
    ("document", "expected"), REFUSED, ids=[expected.partition(": ")[0] for _, expected in REFUSED]
)
def test_what_is_refused_says_where_and_why(document: dict[str, Any], expected: str) -> None:
    assert problem(**document) == expected


# --- text that is not settings ---


def test_no_json_is_refused_with_line_and_column() -> None:
    (found,) = refused('{\n  "region": "eu1",,\n}')
    assert found.startswith("the settings: found no JSON: ")
    assert found.endswith("line 2, column 19")


@pytest.mark.parametrize("text", ["", " ", "{", "region: eu1", "{'region': 'eu1'}", '{"region": "eu1"} {}'])
def test_no_json_has_one_problem(text: str) -> None:
    (found,) = refused(text)
    assert found.startswith("the settings: found no JSON: ")


@pytest.mark.parametrize(
    ("text", "found"), [("[]", "a list"), ("null", "null"), ('"eu1"', '"eu1"'), ("true", "true"), ("110", "110")]
)
def test_json_that_is_no_object_is_refused(text: str, found: str) -> None:
    assert refused(text) == (f"the settings: found {found}; allowed: a JSON object",)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse('\ufeff{"region": "in1"}').region is Region.IN1


def test_padded_settings_are_compacted() -> None:
    padded = '\n\ufeff {"region": "in1"}\r\n'
    assert parse(padded).region is Region.IN1
    assert compact(padded) == '{"region":"in1"}'


def test_a_repeated_key_is_refused_anywhere() -> None:
    text = '{"sandbox": "mix", "sandbox": "mix", "events": {"A": {"send": true, "send": false, "send": true}, "A": {}}}'
    assert refused(text) == (
        "sandbox: the key is here more than once; allowed: once",
        "events.A: the key is here more than once; allowed: once",
    )
    assert refused('{"profile": {"send": 1, "send": 0}, "events": {"A": {"send": true, "send": true}}}') == (
        "profile.send: the key is here more than once; allowed: once",
        "events.A.send: the key is here more than once; allowed: once",
    )


@pytest.mark.parametrize(
    ("number", "found"),
    [("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity"), ("1e999", "Infinity")],
)
def test_a_number_that_is_not_finite_is_refused(number: str, found: str) -> None:
    (only,) = refused(f'{{"late_events": {{"after_minutes": {number}}}}}')
    assert only == f"late_events.after_minutes: found {found}; allowed: a finite number"
    assert refused(f'{{"profile": {{"omit": ["plan", {number}]}}}}') == (
        f"profile.omit[1]: found {found}; allowed: a finite number",
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"region":' * 250 + "1" + "}" * 250,
        "[" * 200_000,
        '{"late_events": {"after_minutes": ' + "1" * (sys.get_int_max_str_digits() + 1) + "}}",
        '{"sandbox": "\\ud800"}',
        '{"sandbox": "\ud800"}',
    ],
    ids=["deep", "deeper", "digits", "escaped half character", "half character"],
)
def test_text_that_no_parser_takes_is_refused(text: str) -> None:
    (found,) = refused(text)
    assert found.startswith("the settings: found no JSON that can be read: ")
    found.encode()


# --- unknown keys ---


@pytest.mark.parametrize(
    ("document", "path", "nearest"),
    [
        ({"regoin": "eu1"}, "regoin", "region"),
        ({"event": {}}, "event", "events"),
        ({"Sandbox": "mix"}, "Sandbox", "sandbox"),
        ({"events": {"TRIAL_STARTED": {"nam": "Trial"}}}, "events.TRIAL_STARTED.nam", "name"),
        ({"event_properties": {"omits": []}}, "event_properties.omits", "omit"),
        ({"profile": {"sent": True}}, "profile.sent", "send"),
        ({"identity": {"anonymus": "skip"}}, "identity.anonymus", "anonymous"),
        ({"revenue": {"curency": "customer"}}, "revenue.curency", "currency"),
        ({"late_events": {"after_minute": 1}}, "late_events.after_minute", "after_minutes"),
    ],
)
def test_an_unknown_key_has_the_nearest_known_one(document: dict[str, Any], path: str, nearest: str) -> None:
    assert problem(**document).startswith(f'{path}: unknown key, did you mean "{nearest}"? allowed: ')


def test_the_value_of_an_unknown_key_is_not_shown() -> None:
    assert "s3cret" not in problem(passcode="s3cret")


def test_all_problems_are_told_at_once() -> None:
    text = '{"region": "x", "events": {"*": {"send": 1}}, "profile": {"omit": 1}, "sandbox": null, "extra\\u2028": 1}'
    found = refused(text)
    assert [line.split(":")[0] for line in found] == [
        "region",
        "events.*.send",
        "profile.omit",
        "sandbox",
        '"extra\\u2028"',
    ]
    assert "\n".join(found).splitlines() == list(found)


def test_a_long_value_is_shown_in_part() -> None:
    assert problem(sandbox="x" * 5000).startswith('sandbox: found "' + "x" * 100 + '…"; allowed')
    assert len(problem(**{"x" * 5000: 1})) < 300


# --- names of events ---


@pytest.mark.parametrize("name", [*RESERVED_EVENT_NAMES, "Charged", "app launched", "CHAR GED"])
def test_an_event_cannot_take_a_reserved_name(name: str) -> None:
    found = problem(events={"TRIAL_STARTED": {"name": name}})
    assert found.startswith(f'events.TRIAL_STARTED.name: "{name}" is reserved: ')


@pytest.mark.parametrize("character", sorted(PROHIBITED_CHARACTERS))
def test_a_name_has_no_prohibited_character(character: str) -> None:
    name = f"Trial{character}"
    found = problem(events={"TRIAL_STARTED": {"name": name, "send": False}})
    assert found.startswith(f"events.TRIAL_STARTED.name: {json.dumps(name)} has {character} in it; ")


def test_an_unknown_event_needs_a_usable_name() -> None:
    found = problem(events={"win.back": {"send": True}})
    assert found.startswith('events."win.back": "win.back" has . in it; ')
    assert found.endswith('; give it another "name" or switch it off')


@pytest.mark.parametrize(
    ("name", "known"),
    [("trial_started", "TRIAL_STARTED"), ("Trial Started", "TRIAL_STARTED"), ("ACTIVATE ", "ACTIVATE")],
)
def test_a_known_event_in_another_spelling_is_refused(name: str, known: str) -> None:
    found = problem(events={name: {"send": False}})
    assert found.endswith(f": unknown event; Purchasely writes it {known}")


def test_charged_is_not_switched_off_as_an_event() -> None:
    assert problem(events={"Charged": {"send": False}}) == (
        "events.Charged: unknown event; Charged is what a purchase becomes, see revenue.charged"
    )
    assert parsed(events={"Charged": {"name": "Card Charged"}}).event_name("Charged") == "Card Charged"


@pytest.mark.parametrize(
    "events",
    [
        {"TRIAL_STARTED": {"name": "ACTIVATE"}},
        {"TRIAL_STARTED": {"name": "TRIAL_CONVERTED"}, "TRIAL_CONVERTED": {"send": False}},
        {"TRIAL_STARTED": {"name": "TRIAL_CONVERTED"}, "TRIAL_CONVERTED": {"name": "TRIAL_STARTED"}},
        {"TRIAL_STARTED": {"name": "Trial"}, "TRIAL_CONVERTED": {"name": "Trial"}},
        {"*": {"send": False}, "TRIAL_STARTED": {"send": True, "name": "TRIAL_CONVERTED"}},
        {"*": {"send": False}, "TRIAL_STARTED": {"name": "Trial"}, "TRIAL_CONVERTED": {"name": "Trial"}},
        {f"NEW_{number}": {"send": False} for number in range(600)},
    ],
    ids=["of one that is off", "of one switched off", "exchanged", "shared", "of one not sent", "of none sent", "many"],
)
def test_a_name_that_nobody_uses_is_free(events: dict[str, Any]) -> None:
    read = parsed(events=events)
    assert all(read.event_name(name) == entry.get("name", name) for name, entry in events.items())


def test_clevertap_takes_512_names_with_charged() -> None:
    sent = sum(name not in OFF_BY_DEFAULT for name in CATALOGUE)
    events = {f"NEW_{number}": {"send": True} for number in range(512 - sent)}
    none: dict[str, Any] = {"charged": False, "refunds": {"send": False}}
    parsed(events=events, revenue=none)
    assert problem(events=events) == (
        "events: found 514 different names of events that are sent; allowed: at most 512, "
        "Charged and Refunded among them"
    )
    assert problem(events={**events, "ONE_MORE": {}}, revenue=none) == (
        "events: found 513 different names of events that are sent; allowed: at most 512"
    )


def test_a_name_without_problem_can_be_given() -> None:
    assert name_problem("Trial Started") is None
    assert name_problem("charged") == 'is reserved: "Charged" is what a purchase becomes, see revenue.charged'


# --- names of properties ---


@pytest.mark.parametrize("part", ["event_properties", "profile"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a$b", "has $ in it; CleverTap prohibits ! \" $ % & ' . : ; < > \\ |"),
        ("", "is empty"),
        ("x" * 121, "has 121 characters, at most 120 are allowed"),
        ("Store_Country", "is the name of store_country too"),
    ],
)
def test_a_property_name_must_be_usable_and_free(part: str, name: str, why: str) -> None:
    shown = json.dumps(name if len(name) <= 100 else name[:100] + "…", ensure_ascii=False)
    assert problem(**{part: {"rename": {"plan": name}}}) == f"{part}.rename.plan: {shown} {why}"


@pytest.mark.parametrize("part", ["event_properties", "profile"])
@pytest.mark.parametrize(
    "names",
    [
        {"rename": {"plan": "store", "store": "plan"}},
        {"rename": {"plan": "Plan"}},
        {"rename": {"plan": "plan"}},
        {"rename": {"plan": "store country"}},
        {"rename": {"plan": "Offer Type Seen"}},
        {"rename": {"plan": "store"}, "omit": ["store"]},
        {"rename": {"plan": "Plan", "store": "Plan"}, "omit": ["store"]},
        {"rename": {"purchased_at": "purchased_at_ms"}},
        {"rename": {"amount_in_usd": "Amount", "plan": "amount_in_usd"}},
        {"rename": {"plan": "amount_in_usd"}, "omit": ["amount_in_usd"]},
    ],
)
def test_a_property_name_that_nobody_uses_is_free(part: str, names: dict[str, Any]) -> None:
    parsed(**{part: names})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("is_late", "is the name of is_late too"),
        ("purchasely_device_type", "is the name of device_type too"),
        ("amount_in_usd", "is the name that Purchasely gives to money in that currency"),
        ("plan_price_in_eur", "is the name that Purchasely gives to money in that currency"),
    ],
)
def test_a_name_that_the_bridge_adds_is_refused(name: str, why: str) -> None:
    found = problem(event_properties={"rename": {"plan": name}})
    assert found == f'event_properties.rename.plan: "{name}" {why}'
    parsed(profile={"rename": {"plan": name}})


@pytest.mark.parametrize("name", [*RESERVED_PROFILE_KEYS, "identity", "OBJECTID", "e mail"])
def test_a_field_of_clevertap_is_no_profile_property(name: str) -> None:
    found = problem(profile={"rename": {"user_id": name}})
    assert found.startswith(f'profile.rename.user_id: "{name}" is reserved: ')
    parsed(event_properties={"rename": {"user_id": name}})


# --- whatever may come ---

ANY_TEXT = st.text(max_size=8)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
KEYS = st.sampled_from(["*", "TRIAL_STARTED", "send", "name", "rename", "omit", *Settings.model_fields]) | ANY_TEXT
JSON = st.recursive(
    SCALAR, lambda within: st.lists(within, max_size=4) | st.dictionaries(KEYS, within, max_size=4), max_leaves=12
)


def nearly(fit: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda dice: fit if dice else JSON)


PROPERTY_NAMES = st.sampled_from(["plan", "store", "Plan", "st ore", "is_late", "a.b", "", "Email"])
EVENT_NAMES = st.sampled_from(["*", "ACTIVATE", "TRIAL_STARTED", "trial_started", "Charged", "Trial", "T"])
RENAME = nearly(st.dictionaries(PROPERTY_NAMES, nearly(PROPERTY_NAMES), max_size=4))
OMIT = nearly(st.lists(nearly(PROPERTY_NAMES), max_size=4))
SEND = nearly(st.booleans())
EVENT = nearly(st.fixed_dictionaries({}, optional={"send": SEND, "name": nearly(EVENT_NAMES)}))
NEARLY_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "region": nearly(st.sampled_from(["eu1", "EU", "in1", "eu9"])),
        "events": nearly(st.dictionaries(EVENT_NAMES, EVENT, max_size=5)),
        "event_properties": nearly(st.fixed_dictionaries({}, optional={"rename": RENAME, "omit": OMIT})),
        "profile": nearly(st.fixed_dictionaries({}, optional={"send": SEND, "rename": RENAME, "omit": OMIT})),
        "identity": nearly(st.fixed_dictionaries({}, optional={"anonymous": nearly(st.sampled_from(Anonymous))})),
        "revenue": nearly(st.fixed_dictionaries({}, optional={"charged": SEND})),
        "sandbox": nearly(st.sampled_from(Sandbox)),
        "sandbox_region": nearly(st.sampled_from([None, "EU1", ""])),
        "late_events": nearly(st.fixed_dictionaries({}, optional={"after_minutes": nearly(st.integers(1, 200))})),
        "extra": JSON,
    },
)


def settings_or_error(text: str) -> Settings | SettingsError:
    try:
        return parse(text)
    except SettingsError as error:
        return error


def assert_tells_what_is_wrong(error: SettingsError) -> None:
    assert error.problems
    assert all(": " in problem for problem in error.problems)
    assert str(error).splitlines() == list(error.problems)
    assert all(problem.isprintable() for problem in error.problems)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_json_is_settings_or_has_problems(document: object) -> None:
    found = settings_or_error(json.dumps(document))
    if isinstance(found, SettingsError):
        assert_tells_what_is_wrong(found)


@settings(max_examples=300, deadline=None)
@given(NEARLY_SETTINGS)
def test_near_settings_are_settings_or_have_problems(document: object) -> None:
    found = settings_or_error(json.dumps(document))
    if isinstance(found, Settings):
        assert parse(found.model_dump_json()) == found
    else:
        assert_tells_what_is_wrong(found)


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text('{}[]",:0123456789-.eE \ntrufalsNI'))
def test_any_text_is_settings_or_has_problems(text: str) -> None:
    found = settings_or_error(text)
    if isinstance(found, SettingsError):
        assert_tells_what_is_wrong(found)


NEW_NAMES = st.lists(st.integers(1, 999).map("New Name {}".format), unique=True, min_size=6, max_size=6)


@st.composite
def valid_documents(draw: st.DrawFn) -> Mapping[str, Any]:
    names = draw(NEW_NAMES)
    events = draw(st.lists(st.sampled_from(list(CATALOGUE)), unique=True, min_size=2, max_size=2))
    return {
        "region": draw(st.sampled_from(Region)),
        "events": {
            "*": {"send": draw(st.booleans())},
            events[0]: {"name": names[0]},
            events[1]: {"name": names[1], "send": draw(st.booleans())},
            names[2]: {"send": draw(st.booleans())},
        },
        "event_properties": {"rename": {"plan": names[3]}, "omit": draw(st.lists(ANY_TEXT.filter(str.isascii)))},
        "profile": {"send": draw(st.booleans()), "rename": {"store": names[4], "plan": names[5]}},
        "identity": {"anonymous": draw(st.sampled_from(Anonymous))},
        "revenue": {"charged": draw(st.booleans()), "currency": draw(st.sampled_from(RevenueCurrency))},
        "sandbox": draw(st.sampled_from(Sandbox)),
        "sandbox_region": draw(st.none() | st.sampled_from(Region)),
        "late_events": {
            "after_minutes": draw(st.integers(1, MAX_LATE_MINUTES)),
            "action": draw(st.sampled_from(LateAction)),
        },
    }


@settings(max_examples=60, deadline=None)
@given(valid_documents())
def test_valid_settings_survive_being_written_and_read(document: dict[str, Any]) -> None:
    read = parsed(**document)
    assert parse(read.model_dump_json()) == read
    written = json.loads(read.model_dump_json())
    for key in ("region", "sandbox", "sandbox_region", "late_events"):
        assert written[key] == document[key]
    for key in ("identity", "revenue"):
        assert written[key].items() >= document[key].items()
    for name, entry in document["events"].items():
        assert written["events"][name].items() >= entry.items()
