"""`bridge setup` without AWS: what is asked for, and what the documents of an app become."""

import json
from collections.abc import Mapping
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bridge_cli import prompts
from bridge_cli.app_setup import Keys, Present, Wanted, region_by
from bridge_cli.clevertap_check import problem
from bridge_cli.cli_error import CliError
from bridge_cli.commands.setup import Given, proven, region_of, wanted_of
from bridge_cli.deployment import Deployment
from bridge_cli.secret_document import (
    account_keys,
    shared_secrets,
    value_problem,
    with_account,
    with_current_only,
    with_shared_secret,
)
from purchasely_clevertap.clevertap.account import Credentials, Region
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.response import Accepted, NotTaken, RecordResult, Rejected, SetupFault, Unknown
from purchasely_clevertap.mapping.settings import DEFAULT, parse
from purchasely_clevertap.outcome import RetryReason

PRODUCTION, SANDBOX = Keys("PROJECT-1", "passcode-1"), Keys("TEST-2", "passcode-2")
WANTED = Wanted(Region.IN1, PRODUCTION, "secret-1")
FRESH = Present(
    {"shared_secrets": ["REPLACE_ME"]}, {"production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}}, {}
)
SET_UP = Wanted(Region.IN1, PRODUCTION, "secret-1", SANDBOX, Region.US1).applied(FRESH)


@pytest.mark.parametrize("before", [FRESH, Present()], ids=["placeholders", "nothing"])
def test_a_new_app_gets_what_is_wanted(before: Present) -> None:
    after = WANTED.applied(before)
    assert after.purchasely == {"shared_secrets": ["secret-1"]}
    assert after.clevertap == {"production": {"account_id": "PROJECT-1", "passcode": "passcode-1"}}
    assert after.settings == {"region": "in1"}


def test_the_same_again_changes_nothing() -> None:
    assert Wanted(Region.IN1, PRODUCTION, "secret-1", SANDBOX, Region.US1).applied(SET_UP) == SET_UP


def test_a_sandbox_region_only_if_it_differs() -> None:
    same = Wanted(Region.IN1, PRODUCTION, "secret-1", SANDBOX, Region.IN1).applied(FRESH)
    assert same.settings == {"region": "in1"}
    assert SET_UP.settings == {"region": "in1", "sandbox_region": "us1"}
    back = Wanted(Region.US1, PRODUCTION, "secret-1", SANDBOX, Region.US1).applied(SET_UP)
    assert back.settings == {"region": "us1", "sandbox_region": None}


@given(st.dictionaries(st.sampled_from(["sandbox", "revenue", "profile"]), st.just({})))
def test_other_settings_stay(others: dict[str, Any]) -> None:
    after = WANTED.applied(Present(settings=others))
    assert after.settings == {**others, "region": "in1"}


def test_what_nobody_here_knows_stays_in_the_secrets() -> None:
    present = Present(
        {"shared_secrets": ["old"], "note": "kept"},
        {"production": {"account_id": "A", "passcode": "P", "note": "kept"}, "other": 1},
        None,
    )
    after = WANTED.applied(present)
    assert after.purchasely == {"shared_secrets": ["secret-1", "old"], "note": "kept"}
    assert after.clevertap["production"] == {"account_id": "PROJECT-1", "passcode": "passcode-1", "note": "kept"}
    assert after.clevertap["other"] == 1


def test_secrets_never_show_in_a_representation() -> None:
    shown = repr((WANTED, SET_UP, PRODUCTION, Given(passcode="passcode-1", shared_secret="secret-1")))
    assert "passcode-1" not in shown
    assert "secret-1" not in shown


SECRETS = st.text("abc0", min_size=1, max_size=3)


@given(st.lists(SECRETS, max_size=4), SECRETS)
def test_a_new_secret_stands_before_the_others(listed: list[str], new: str) -> None:
    after = shared_secrets(with_shared_secret({"shared_secrets": listed}, new))
    assert after[0] == new
    assert set(after) == {new, *listed}
    assert len(set(after)) == len(after)


@given(st.lists(SECRETS, min_size=1, max_size=4))
def test_retiring_leaves_the_current_one(listed: list[str]) -> None:
    assert with_current_only({"shared_secrets": listed}) == {"shared_secrets": listed[:1]}


@pytest.mark.parametrize("listed", [None, "text", [1], ["a", None], ["REPLACE_ME"], [""], []])
def test_an_unusable_shared_secret_is_refused(listed: object) -> None:
    assert shared_secrets({"shared_secrets": listed}) == ()
    assert shared_secrets(with_shared_secret({"shared_secrets": listed}, "new")) == ("new",)


def test_an_account_is_whole_or_none() -> None:
    document = with_account({}, Project.SANDBOX, "TEST-2", "passcode-2")
    assert account_keys(document, Project.SANDBOX) == ("TEST-2", "passcode-2")
    assert account_keys(document, Project.PRODUCTION) is None
    assert account_keys(with_account({}, Project.SANDBOX, "TEST-2", "REPLACE_ME"), Project.SANDBOX) is None


@pytest.mark.parametrize("value", ["", "REPLACE_ME", "two words", "new\nline", "caf\u00e9", "\u00a0", "x" * 1001])
def test_an_impossible_secret_is_not_quoted(value: str) -> None:
    problem = value_problem(value)
    assert problem is not None
    assert len(value) < 3 or value not in problem


@pytest.mark.parametrize(
    "text", ["in1", " IN1 ", "https://in1.dashboard.clevertap.com", "In1.Dashboard.CleverTap.com/RRR-123/boards"]
)
def test_a_region_is_known_by_code_and_dashboard(text: str) -> None:
    assert region_of(text) is Region.IN1


def test_an_unknown_region_is_named_with_the_known() -> None:
    with pytest.raises(ValueError, match="'mars1' is none of eu1, in1"):
        region_of("https://mars1.dashboard.clevertap.com/")


# ── What is asked for ────────────────────────────────────────────────────────────────────────────────────────────────


def asked(given: Given, present: Present, *answers: str) -> tuple[Wanted, Result]:
    """What becomes of the options and the answers."""
    found: list[Wanted] = []

    @click.command()
    def ask() -> None:
        found.append(wanted_of(given, present))

    result = CliRunner().invoke(ask, input="".join(f"{answer}\n" for answer in answers))
    assert result.exception is None, result.output
    return found[0], result


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "at_terminal", lambda: True)


ALL = Given(Region.IN1, "PROJECT-1", "passcode-1", "TEST-2", "passcode-2", Region.US1, "secret-1")


def test_with_every_option_nothing_is_asked() -> None:
    wanted, result = asked(ALL, FRESH)
    assert wanted.applied(FRESH) == SET_UP
    assert result.output == ""


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (Given(), "--clevertap-region"),
        (Given(Region.EU1), "--project-id"),
        (Given(Region.EU1, "PROJECT-1"), "--passcode-file"),
        (Given(Region.EU1, "PROJECT-1", "passcode-1"), "--purchasely-secret-file"),
        (Given(Region.EU1, "PROJECT-1", "passcode-1", "TEST-2", shared_secret="s"), "--sandbox-passcode-file"),
        (Given(Region.EU1, "PROJECT-1", "passcode-1", None, "passcode-2", shared_secret="s"), "--sandbox-project-id"),
    ],
)
def test_without_a_terminal_options_are_named(given: Given, missing: str) -> None:
    with pytest.raises(CliError, match=missing):
        wanted_of(given, FRESH)


def test_without_a_terminal_what_is_left_out_stays() -> None:
    assert wanted_of(Given(), SET_UP).applied(SET_UP) == SET_UP
    moved = wanted_of(Given(region=Region.EU1), SET_UP)
    assert (moved.region, moved.sandbox, moved.sandbox_region) == (Region.EU1, SANDBOX, Region.US1)


def test_a_passcode_is_not_kept_for_another_project() -> None:
    with pytest.raises(CliError, match="--passcode-file"):
        wanted_of(Given(project_id="PROJECT-9"), SET_UP)


@pytest.mark.usefixtures("at_terminal")
def test_a_person_is_asked_again_for_what_cannot_be() -> None:
    wanted, result = asked(
        Given(),
        FRESH,
        *("nowhere", "IN1", "two words", " PROJECT-1 ", "passcode-1"),
        *("y", "TEST-2", "passcode-2", "https://us1.dashboard.clevertap.com"),
        *("REPLACE_ME", "secret-1"),
    )
    assert wanted.applied(FRESH) == SET_UP
    assert "https://eu1.dashboard.clevertap.com is eu1" in result.stderr
    assert "'nowhere' is none of" in result.stderr
    assert "It has a space in it." in result.stderr
    assert "It is the placeholder." in result.stderr


@pytest.mark.usefixtures("at_terminal")
def test_questions_show_no_secret() -> None:
    _, result = asked(Given(), FRESH, "eu1", "PROJECT-1", "passcode-1", "n", "secret-1")
    assert result.stdout == ""
    assert "passcode-1" not in result.output
    assert "secret-1" not in result.output


@pytest.mark.usefixtures("at_terminal")
def test_enter_keeps_everything_that_an_app_has() -> None:
    wanted, result = asked(Given(), SET_UP, *[""] * 8)
    assert wanted.applied(SET_UP) == SET_UP
    assert "passcode-" not in result.output


# ── The proof at CleverTap ───────────────────────────────────────────────────────────────────────────────────────────


class Clevertap(Client):
    """Accepts a project in one region only; `asked` has the host and the project of each dry run."""

    def __init__(self, homes: Mapping[str, Region], otherwise: RecordResult) -> None:
        self._homes = homes
        self._otherwise = otherwise
        self.asked: list[tuple[str, str]] = []

    def check(self, account: Credentials) -> RecordResult:
        self.asked.append((account.endpoint, account.account_id))
        home = self._homes.get(account.account_id)
        return Accepted() if home is not None and account.endpoint == home.endpoint else self._otherwise


REFUSED = SetupFault(401, "Credentials ID is not valid")
REAL = Deployment("CREATE_COMPLETE")


def test_each_project_is_tried_in_its_own_region() -> None:
    clevertap = Clevertap({"PROJECT-1": Region.IN1, "TEST-2": Region.US1}, REFUSED)
    wanted = Wanted(Region.IN1, PRODUCTION, "secret-1", SANDBOX, Region.US1)
    said: list[str] = []
    assert proven(wanted, clevertap, REAL, said.append) == wanted
    assert clevertap.asked == [(Region.IN1.endpoint, "PROJECT-1"), (Region.US1.endpoint, "TEST-2")]
    assert len(said) == 2


def test_a_test_host_is_asked_in_place_of_the_region() -> None:
    clevertap = Clevertap({}, Accepted())
    stood_in = Deployment("CREATE_COMPLETE", {"CleverTapEndpoint": "http://127.0.0.1:1"})
    proven(WANTED, clevertap, stood_in, lambda _: None)
    assert clevertap.asked == [("http://127.0.0.1:1", "PROJECT-1")]


def test_a_wrong_region_is_recognised() -> None:
    clevertap = Clevertap({"PROJECT-1": Region.SG1}, REFUSED)
    with pytest.raises(CliError, match=r"in region sg1, not in in1: give --clevertap-region sg1. Nothing is written"):
        proven(WANTED, clevertap, REAL, lambda _: None)


@pytest.mark.usefixtures("at_terminal")
def test_a_person_may_take_the_accepting_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "confirm", lambda *_, **__: True)
    clevertap = Clevertap({"PROJECT-1": Region.SG1, "TEST-2": Region.SG1}, REFUSED)
    found = proven(Wanted(Region.IN1, PRODUCTION, "s", SANDBOX), clevertap, REAL, lambda _: None)
    assert (found.region, found.sandbox_region) == (Region.SG1, None)
    # Without a region of its own the project for test purchases moves along, and is tried there at once.
    assert clevertap.asked[-1] == (Region.SG1.endpoint, "TEST-2")


def test_refused_credentials_are_never_shown() -> None:
    with pytest.raises(
        CliError, match=r"production project PROJECT-1 in region in1: .*401.*Nothing is written"
    ) as fault:
        proven(WANTED, Clevertap({}, REFUSED), REAL, lambda _: None)
    assert "passcode-1" not in str(fault.value)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (SetupFault(0, "no request"), "no request can be made"),
        (SetupFault(403, ""), "refuses the credentials \\(403\\)"),
        (SetupFault(404, "HTTP 404"), "HTTP 404"),
        (SetupFault(302, "HTTP 302, to https://other.example"), "to https://other.example"),
        (Rejected(513, "restricted"), "refuses the test record \\(513\\)"),
        (NotTaken(RetryReason.CONNECT), "cannot be reached"),
        (NotTaken(RetryReason.THROTTLED, 429), "429"),
        (NotTaken(RetryReason.SERVER_ERROR, 503), "does not answer as it should \\(503\\)"),
        (NotTaken(RetryReason.NOT_PROCESSED), "\\(not_processed\\)"),
        (Unknown(RetryReason.TIMEOUT), "cannot be reached"),
        (Unknown(RetryReason.NOT_JSON), "not CleverTap"),
    ],
)
def test_a_failed_dry_run_writes_nothing(result: RecordResult, said: str) -> None:
    assert problem(Accepted()) is None
    with pytest.raises(CliError, match=said):
        proven(WANTED, Clevertap({}, result), REAL, lambda _: None)


def test_other_regions_are_tried_only_in_doubt() -> None:
    clevertap = Clevertap({"PROJECT-1": Region.SG1}, NotTaken(RetryReason.SERVER_ERROR, 503))
    with pytest.raises(CliError, match="503"):
        proven(WANTED, clevertap, REAL, lambda _: None)
    assert len(clevertap.asked) == 1


def test_a_project_is_where_the_settings_have_it() -> None:
    settings = parse(json.dumps(SET_UP.settings))
    assert [region_by(settings, project) for project in Project] == [Region.IN1, Region.US1]
    assert region_by(DEFAULT, Project.SANDBOX) is Region.EU1


@pytest.mark.parametrize(
    ("status", "sound"),
    [
        ("CREATE_COMPLETE", True),
        ("UPDATE_COMPLETE", True),
        ("UPDATE_ROLLBACK_COMPLETE", True),
        ("UPDATE_IN_PROGRESS", True),
        ("CREATE_IN_PROGRESS", False),
        ("ROLLBACK_COMPLETE", False),
        ("UPDATE_ROLLBACK_FAILED", False),
        ("DELETE_IN_PROGRESS", False),
    ],
)
def test_a_stack_is_sound_or_not(status: str, sound: bool) -> None:
    assert Deployment(status).is_sound is sound
