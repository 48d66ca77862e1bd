"""`bridge preview`: what CleverTap would get of an event, or why nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge_cli.__main__ import bridge
from bridge_cli.dry_run import forecast
from bridge_cli.reason import REASONS, explained
from bridge_cli.sample import samples
from purchasely_clevertap.clevertap.records import Kind
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT, parse
from purchasely_clevertap.outcome import ParkReason, SkipReason
from purchasely_sender import encode
from tests.unit.samples import body, paid, payload

MINUTE_MS = 60_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.json"


def run(*arguments: str) -> tuple[int, str, str]:
    basis = () if "--settings" in arguments else ("--defaults",)
    result = CliRunner().invoke(bridge, ["preview", *arguments, *basis])
    return result.exit_code, result.stdout, result.stderr


def document(*arguments: str) -> dict[str, Any]:
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_records_come_in_the_order_of_the_upload() -> None:
    found = forecast(body(paid(9.99, 10.79)), Mapper(DEFAULT))
    assert [record.kind for record in found.records] == [Kind.PROFILE, Kind.EVENT, Kind.CHARGED]
    assert (found.outcome, found.reason, found.account) == ("delivered", None, "production")


def test_records_are_those_of_the_mapping() -> None:
    profile, event = document("TRIAL_STARTED")["records"]
    sample = samples()["TRIAL_STARTED"]
    assert profile["profileData"]["plan"] == sample["plan"]
    assert event["evtName"] == "TRIAL_STARTED"
    assert event["ts"] == sample["event_created_at_ms"] // 1000
    assert event["identity"] == profile["identity"] == sample["user_id"]


@pytest.mark.parametrize(
    ("given", "settings", "outcome", "reason"),
    [
        (payload("ACTIVATE"), {"profile": {"send": False}}, "skipped", "event_switched_off"),
        (payload(user_id=..., anonymous_user_id="a"), {}, "held", None),
        (
            payload(user_id=..., anonymous_user_id="a"),
            {"identity": {"anonymous": "skip"}},
            "skipped",
            "anonymous_user",
        ),
        (payload(environment="SANDBOX"), {"sandbox": "skip"}, "skipped", "sandbox_switched_off"),
        (payload(user_id=...), {}, "parked", "no_user"),
        (payload("Charged"), {"profile": {"send": False}}, "parked", "unusable_event_name"),
        (payload(environment=...), {}, "parked", "unreadable"),
    ],
)
def test_without_records_it_says_why(given: dict[str, Any], settings: object, outcome: str, reason: str) -> None:
    found = forecast(body(given), Mapper(parse(json.dumps(settings))))
    assert (found.outcome, found.reason, found.records) == (outcome, reason, ())


def test_a_test_purchase_goes_to_the_sandbox() -> None:
    bought = body(payload(environment="SANDBOX"))
    assert forecast(bought, Mapper(DEFAULT)).account == "sandbox"
    assert forecast(bought, Mapper(DEFAULT), has_sandbox_account=False).reason == "no_sandbox_account"


def test_an_event_is_as_old_as_it_is_said_to_be() -> None:
    mapper = Mapper(parse('{"late_events": {"action": "skip", "after_minutes": 10}}'))
    assert forecast(body(payload()), mapper, age_ms=10 * MINUTE_MS).outcome == "delivered"
    assert forecast(body(payload()), mapper, age_ms=10 * MINUTE_MS + 1).reason == "late"


def test_a_late_event_without_profile_is_skipped() -> None:
    mapper = Mapper(parse('{"late_events": {"action": "profile_only"}, "profile": {"send": false}}'))
    found = forecast(body(payload()), mapper, age_ms=200 * MINUTE_MS)
    assert (found.outcome, found.reason, found.records) == ("skipped", "late", ())


def test_what_is_cut_is_named() -> None:
    assert forecast(body(payload(content_id="x" * 600)), Mapper(DEFAULT)).left_out == ("content_id",)


def test_every_reason_is_explained() -> None:
    assert set(REASONS) == {*SkipReason, *ParkReason}
    assert explained("late") == "late (it is late, and the setting late_events skips those)"
    assert explained("of_another_version") == "of_another_version"


def test_the_sample_events_are_those_of_the_repository() -> None:
    folder = Path(__file__).parents[2] / "events" / "purchasely"
    assert {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.iterdir()} == dict(samples())


def test_a_sample_or_a_file_may_be_named(file: Path) -> None:
    file.write_bytes(encode(samples()["TRIAL_STARTED"]))
    assert document("trial_started") == document(str(file)) == document("TRIAL_STARTED")


def test_settings_of_a_file_count(file: Path) -> None:
    file.write_text('{"events": {"TRIAL_STARTED": {"name": "Trial Started"}}, "late_events": {"action": "flag"}}')
    _, event = document("TRIAL_STARTED", "--settings", str(file), "--age", "120")["records"]
    assert event["evtName"] == "Trial Started"
    assert event["evtData"]["is_late"] is True


def test_people_see_where_it_goes_and_each_record() -> None:
    code, out, _ = run("TRANSACTION_PROCESSED")
    assert code == 0
    assert out.startswith(
        "TRANSACTION_PROCESSED would be uploaded to the production account, as: profile, TRANSACTION_PROCESSED, Charged"
    )
    assert '"Amount": 10.79' in out
    assert "Étudiants" in out


def test_people_see_why_an_event_is_not_sent() -> None:
    code, out, _ = run("ACTIVATE")
    why, told = out.splitlines()[:2]
    assert (code, why) == (0, "ACTIVATE would be skipped: event_switched_off (the setting events switches it off).")
    assert told.endswith("as: profile")


def test_an_unreadable_body_says_what_is_wrong(file: Path) -> None:
    file.write_text("[1]")
    _, out, _ = run(str(file))
    assert "would be parked: unreadable" in out
    assert "not an object" in out


def test_orders_to_the_terminal_are_not_obeyed(file: Path) -> None:
    file.write_bytes(body(payload(plan="\x1b[31m[red]\x9b31m")))
    _, out, _ = run(str(file))
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert "[red]" in out


@pytest.mark.parametrize(
    ("word", "said"), [("TRIAL_STARTD", "did you mean TRIAL_STARTED?"), ("no-such-thing", "neither a sample event")]
)
def test_an_unknown_event_is_said_in_one_line(word: str, said: str) -> None:
    code, out, err = run(word)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert said in err


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    code, _, err = run(str(tmp_path))
    assert (code, len(err.splitlines())) == (1, 1)
    assert "cannot be read" in err


def test_invalid_settings_are_said_in_one_line(file: Path) -> None:
    file.write_text('{"sandbox": "no", "revenue": 1}')
    code, out, err = run("TRIAL_STARTED", "--settings", str(file))
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "and 1 more" in err
