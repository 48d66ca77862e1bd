"""`bridge settings`: what other settings change for CleverTap, shown on the sample events; and files with settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from bridge_cli.__main__ import bridge
from bridge_cli.dry_run import forecast
from bridge_cli.sample import as_test_purchase, samples
from bridge_cli.settings_diff import Situation, What, effects, setting_changes
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT, Settings, parse
from purchasely_sender import encode

FEW = {name: samples()[name] for name in ("ACTIVATE", "TRIAL_STARTED", "TRANSACTION_PROCESSED", "LOYALTY_TIER_REACHED")}


def changes(before: object, after: object) -> dict[tuple[str, Situation], list[str]]:
    """The words of each change, by event and situation; nothing where nothing changes."""
    old, new = (parse(json.dumps(document)) for document in (before, after))
    return {
        (effect.event, effect.situation): [change.words for change in effect.changes]
        for effect in effects(old, new, FEW)
        if effect.changes
    }


def test_default_settings_change_nothing() -> None:
    found = effects(DEFAULT, parse("{}"), samples())
    assert [effect.event for effect in found] == list(samples())
    assert not any(effect.changes for effect in found)


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("TRIAL_STARTED", {"send": False}, ["now skipped: event_switched_off"]),
        ("TRIAL_STARTED", {"name": "Trial Started"}, ["renamed: TRIAL_STARTED → Trial Started"]),
        ("ACTIVATE", {"send": True, "name": "Access"}, ["now sent: event", "renamed: ACTIVATE → Access"]),
    ],
)
def test_an_entry_changes_its_own_event_alone(name: str, entry: object, words: list[str]) -> None:
    assert changes({}, {"events": {name: entry}}) == {(name, Situation.PURCHASE): words}


def test_the_entry_for_every_event_shows_on_a_new_one() -> None:
    found = changes({"events": {"*": {"send": False}, "TRIAL_STARTED": {"send": True}}}, {})
    assert set(found) == {
        ("TRANSACTION_PROCESSED", Situation.PURCHASE),
        ("LOYALTY_TIER_REACHED", Situation.PURCHASE),
    }
    assert found["TRANSACTION_PROCESSED", Situation.PURCHASE] == ["now sent: event"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"rename": {"plan": "Plan"}}, ["property renamed: plan → Plan"]),
        ({"rename": {"plan": "Plan"}}, {}, ["property renamed: Plan → plan"]),
        ({"rename": {"plan": "Plan"}}, {"rename": {"plan": "Tier"}}, ["property renamed: Plan → Tier"]),
        ({}, {"rename": {"device_type": "Device"}}, ["property renamed: purchasely_device_type → Device"]),
        ({}, {"rename": {"amount_in_usd": "Dollars"}}, []),
        (
            {},
            {"rename": {"plan": "product", "product": "plan"}},
            ["property renamed: product → plan", "property renamed: plan → product"],
        ),
        (
            {},
            {"rename": {"product": "plan"}, "omit": ["plan"]},
            ["property left out: plan", "property renamed: product → plan"],
        ),
        (
            {"omit": ["store"]},
            {"rename": {"plan": "Tier", "store": "plan"}},
            ["property renamed: plan → Tier", "property added: plan"],
        ),
        ({}, {"omit": ["plan"]}, ["property left out: plan"]),
        ({"omit": ["plan"]}, {}, ["property added: plan"]),
        ({"rename": {"plan": "Plan"}}, {"omit": ["plan"]}, ["property left out: Plan"]),
        ({"only": ["plan"]}, {"only": ["plan", "purchase_token"]}, ["property added: purchase_token"]),
    ],
)
def test_properties_are_renamed_left_out_and_added(before: object, after: object, words: list[str]) -> None:
    event = FEW["TRIAL_STARTED"] | {"purchase_token": "a-token"}
    old, new = (parse(json.dumps({"event_properties": part})) for part in (before, after))
    (effect,) = effects(old, new, {"TRIAL_STARTED": event})
    assert sorted(change.words for change in effect.changes) == sorted(words)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"App Launched": {"name": "Opened"}}, {}, ["now parked: unusable_event_name"]),
        ({}, {"App Launched": {"name": "Opened"}}, ["now sent: event", "renamed: App Launched → Opened"]),
        ({"*": {"send": False}}, {}, ["now parked: unusable_event_name"]),
        ({}, {"*": {"send": False}}, ["now skipped: event_switched_off"]),
    ],
)
def test_an_unusable_event_name_is_parked(before: object, after: object, words: list[str]) -> None:
    event = FEW["LOYALTY_TIER_REACHED"] | {"event_name": "App Launched"}
    old, new = (parse(json.dumps({"events": part})) for part in (before, after))
    found = effects(old, new, {"App Launched": event})
    assert [change.words for change in found[0].changes] == words


def test_the_properties_of_charged_are_never_renamed() -> None:
    swapped = changes({}, {"event_properties": {"rename": {"plan": "product", "product": "plan"}}})
    assert not any("Charged" in words for words in swapped["TRANSACTION_PROCESSED", Situation.PURCHASE])


def test_a_property_with_a_currency_is_renamed() -> None:
    found = changes({}, {"event_properties": {"rename": {"amount_in_usd": "Dollars"}}})
    assert found == {("TRANSACTION_PROCESSED", Situation.PURCHASE): ["property renamed: amount_in_usd → Dollars"]}


def test_profile_and_charged_are_told_apart() -> None:
    found = changes(
        {"revenue": {"currency": "customer"}},
        {
            "profile": {"rename": {"plan": "Plan"}, "omit": ["last_event"]},
            "revenue": {"currency": "integration"},
            "event_properties": {"omit": ["source_event_name"]},
        },
    )
    assert found["TRANSACTION_PROCESSED", Situation.PURCHASE] == [
        "profile: property left out: last_event",
        "profile: property renamed: plan → Plan",
        "property left out: source_event_name",
        "Charged: Amount changed: 9.99 → 10.79",
        "Charged: Currency changed: EUR → USD",
        "Charged: property left out: source_event_name",
    ]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"revenue": {"charged": False}}, ["Charged left out"]),
        ({"profile": {"send": False}}, ["profile left out"]),
    ],
)
def test_whole_records_are_left_out_and_added(after: object, words: list[str]) -> None:
    there, back = changes({}, after), changes(after, {})
    assert there["TRANSACTION_PROCESSED", Situation.PURCHASE] == words
    assert back["TRANSACTION_PROCESSED", Situation.PURCHASE] == [words[0].replace("left out", "added")]


@pytest.mark.parametrize(
    ("before", "after", "situation", "words"),
    [
        ({}, {"sandbox": "skip"}, Situation.TEST_PURCHASE, ["now skipped: sandbox_switched_off"]),
        ({}, {"sandbox": "mix"}, Situation.TEST_PURCHASE, ["to the production account, no longer to sandbox"]),
        ({}, {"identity": {"anonymous": "identity"}}, Situation.NO_LOGIN, ["now sent: profile, event"]),
        ({}, {"identity": {"anonymous": "skip"}}, Situation.NO_LOGIN, ["now skipped: anonymous_user"]),
        ({"identity": {"anonymous": "skip"}}, {}, Situation.NO_LOGIN, ["now held until the login"]),
        (
            {"identity": {"anonymous": "identity"}},
            {"identity": {"anonymous": "custom_id"}},
            Situation.NO_LOGIN,
            ["under objectId, no longer under identity"],
        ),
        ({}, {"late_events": {"action": "skip"}}, Situation.LATE, ["now skipped: late"]),
        ({}, {"late_events": {"action": "flag"}}, Situation.LATE, ["property added: is_late"]),
        ({}, {"late_events": {"action": "profile_only"}}, Situation.LATE, ["now skipped: late"]),
        (
            {"late_events": {"action": "skip", "after_minutes": 60}},
            {"late_events": {"action": "skip", "after_minutes": 90}},
            Situation.LATE,
            ["now sent: event"],
        ),
        (
            {"late_events": {"action": "skip", "after_minutes": 90}},
            {"late_events": {"action": "skip", "after_minutes": 60}},
            Situation.LATE,
            ["now skipped: late"],
        ),
    ],
)
def test_a_change_is_shown_in_its_situation(
    before: object, after: object, situation: Situation, words: list[str]
) -> None:
    found = changes(before, after)
    assert found["TRIAL_STARTED", situation] == words
    assert {each for _, each in found} == {situation}


def test_a_situation_shows_only_its_own_changes() -> None:
    found = changes({}, {"event_properties": {"rename": {"plan": "Plan"}}, "sandbox": "skip"})
    assert found["TRIAL_STARTED", Situation.PURCHASE] == ["property renamed: plan → Plan"]
    assert found["TRIAL_STARTED", Situation.TEST_PURCHASE] == ["now skipped: sandbox_switched_off"]
    assert ("TRIAL_STARTED", Situation.LATE) not in found


def test_no_sandbox_account_skips_before_and_after() -> None:
    mixed = parse('{"sandbox": "mix"}')
    found = effects(DEFAULT, mixed, FEW, has_sandbox_account=False)
    sandbox = {effect.event: effect.changes for effect in found if effect.situation is Situation.TEST_PURCHASE}
    assert [change.what for change in sandbox["TRIAL_STARTED"]] == [What.NOW_SENT]


def test_settings_are_compared_with_their_defaults() -> None:
    after = parse('{"region": "IN1", "sandbox": "separate", "events": {"TRIAL_STARTED": {"name": "Trial"}}}')
    found = {change.setting: (change.before, change.after) for change in setting_changes(DEFAULT, after)}
    assert found == {
        "region": ("eu1", "in1"),
        "events.TRIAL_STARTED.send": (None, True),
        "events.TRIAL_STARTED.name": (None, "Trial"),
    }


_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "events": st.dictionaries(
            st.sampled_from(["*", "ACTIVATE", "TRIAL_STARTED", "TRANSACTION_PROCESSED"]),
            st.fixed_dictionaries({"send": st.booleans()}),
        ),
        "event_properties": st.fixed_dictionaries(
            {},
            optional={
                "rename": st.dictionaries(
                    st.sampled_from(["plan", "product", "device_type", "amount_in_usd"]),
                    st.uuids().map(lambda uuid: f"P {uuid.hex[:6]}"),
                ),
                "omit": st.lists(st.sampled_from(["plan", "store", "device_type"]), unique=True),
            },
        ),
        "profile": st.fixed_dictionaries(
            {}, optional={"send": st.booleans(), "omit": st.lists(st.sampled_from(["plan", "store"]), unique=True)}
        ),
        "identity": st.fixed_dictionaries({"anonymous": st.sampled_from(["skip", "identity", "custom_id"])}),
        "revenue": st.fixed_dictionaries(
            {"charged": st.booleans(), "currency": st.sampled_from(["customer", "integration"])}
        ),
        "sandbox": st.sampled_from(["separate", "skip", "mix"]),
    },
).map(lambda document: parse(json.dumps(document)))


@examples(max_examples=40, deadline=None)
@given(_SETTINGS, _SETTINGS, st.sampled_from(sorted(FEW)), st.booleans())
def test_changes_are_shown_if_and_only_if_there_are(
    before: Settings, after: Settings, name: str, test_purchase: bool
) -> None:
    payload = as_test_purchase(FEW[name]) if test_purchase else FEW[name]
    was, will_be = (forecast(encode(payload), Mapper(each)) for each in (before, after))
    (effect,) = (each for each in effects(before, after, {name: payload}) if each.situation is Situation.PURCHASE)
    same = (was.account, was.records) == (will_be.account, will_be.records)
    assert bool(effect.changes) is not same


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(bridge, ["settings", *arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_a_valid_file_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"region": "in1"}')
    assert run("check", str(file)) == (0, f"{file} is valid.\n", "")


def test_every_problem_of_a_file_is_listed() -> None:
    code, out, _ = run("check", "-", stdin='{"regoin": "in1", "sandbox": "no"}')
    assert code == 1
    assert len(out.splitlines()) == 2
    assert 'did you mean "region"?' in out


def test_problems_come_as_json_too() -> None:
    code, out, _ = run("check", "-", "--json", stdin='{"sandbox": "no"}')
    document: Mapping[str, Any] = json.loads(out)
    assert (code, document["valid"], len(document["problems"])) == (1, False, 1)


@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfe", "is not text in UTF-8"), (None, "cannot be read")])
def test_an_unreadable_file_is_said_in_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_bytes(content)
    code, out, err = run("check", str(file))
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert said in err


def test_markup_in_a_file_is_shown_as_it_is() -> None:
    _, out, _ = run("check", "-", stdin='{"[red]": 1}')
    assert "[red]" in out
