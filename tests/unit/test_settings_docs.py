import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.clevertap.limits import RESERVED_PROFILE_KEYS
from purchasely_clevertap.mapping.profile import PROFILE_PROPERTIES
from purchasely_clevertap.mapping.settings import (
    DEFAULT,
    OWN_NAMES,
    Anonymous,
    EventSetting,
    LateAction,
    RevenueCurrency,
    Sandbox,
    Settings,
    SettingsError,
    parse,
)

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
DOCUMENTS = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, f"{path}.{key}" if path else key)
    else:
        yield path, value


def keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield path + name
        if isinstance(field.default, BaseModel):
            yield from keys(type(field.default), f"{path}{name}.")


def section(name: str) -> str:
    return PAGE.split(f"## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_example_is_valid(document: str) -> None:
    assert isinstance(parse(document), Settings)


def test_every_part_has_an_example_that_says_it() -> None:
    said = set().union(*map(json.loads, DOCUMENTS[1:]))
    assert said == set(Settings.model_fields)


def test_the_whole_document_is_the_default() -> None:
    assert json.loads(DOCUMENTS[0]) == json.loads(DEFAULT.model_dump_json())


def test_the_table_has_every_default() -> None:
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \| .+ \|$", section("All settings and their defaults"), re.MULTILINE)
    assert [(key, json.loads(default)) for key, default in rows] == list(leaves(json.loads(DEFAULT.model_dump_json())))


@pytest.mark.parametrize("key", [*keys(Settings), *keys(EventSetting, "events.NAME.")])
def test_every_setting_is_described(key: str) -> None:
    assert f"`{key}`" in PAGE


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("`region`", Region),
        ("`identity`", Anonymous),
        ("`revenue`", RevenueCurrency),
        ("`sandbox`", Sandbox),
        ("`late_events`", LateAction),
    ],
)
def test_every_value_of_a_setting_has_a_row(part: str, values: type[StrEnum]) -> None:
    rows = section(part)
    assert [value for value in values if not re.search(rf"^\|.* ?`{value}`.*\|$", rows, re.MULTILINE)] == []


def test_the_page_names_what_the_rules_name() -> None:
    names = [*PROFILE_PROPERTIES, *OWN_NAMES, *OWN_NAMES.values()]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    assert [key for key in RESERVED_PROFILE_KEYS if key not in section("`profile`")] == []


def test_mistakes_on_the_page_are_those_of_the_code() -> None:
    (told,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    events: dict[str, Any] = {"TRIAL_STARTED": {"name": "trial_converted"}}
    found = [
        *problems({"region": "eu2"}),
        *problems({"events": {"TRIAL_STARTED": {"nam": "Trial"}}}),
        *problems({"events": events}),
    ]
    assert told.splitlines() == found


def problems(document: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse(json.dumps(document))
    return caught.value.problems
