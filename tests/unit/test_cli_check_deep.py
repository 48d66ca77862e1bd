"""`bridge check --deep`: what is made of what AWS says."""

import pytest

from bridge_cli import deep_finding
from bridge_cli.finding import Alarm
from bridge_cli.probe import Outcome


@pytest.mark.parametrize(
    ("ahead", "good"), [(None, None), (0.0, True), (59.0, True), (-59.0, True), (61.0, False), (-3600.0, False)]
)
def test_a_clock_that_is_wrong_is_found(ahead: float | None, good: bool | None) -> None:
    assert deep_finding.of_clock(ahead).good is good


@pytest.mark.parametrize(("settled_ms", "good"), [(6_000, True), (60_001, None), (None, None)])
def test_a_webhook_that_gets_through_shows_its_time(settled_ms: int | None, good: bool | None) -> None:
    outcome = Outcome(good=True, words="It was skipped.", event_id="e-1", status=200)
    assert deep_finding.of_probe("app", outcome, settled_ms).good is good


def test_a_webhook_that_does_not_get_through_is_wrong() -> None:
    outcome = Outcome(good=False, words="It was not answered.", event_id="e-1")
    found = deep_finding.of_probe("app", outcome, None)
    assert (found.good, found.found) == (False, outcome.words)


@pytest.mark.parametrize(
    ("states", "good"),
    [
        ({}, None),
        ({"a": "OK", "b": "OK"}, True),
        ({"a": "OK", "b": "INSUFFICIENT_DATA"}, None),
        ({"a": "OK", "prod-silence": "ALARM"}, None),
        ({"a": "ALARM", "prod-silence": "ALARM"}, False),
    ],
)
def test_every_alarm_is_to_be_ok(states: dict[str, str], good: bool | None) -> None:
    assert deep_finding.of_alarm_states([Alarm(name, state) for name, state in states.items()]).good is good


@pytest.mark.parametrize(
    ("version", "state", "update", "good"),
    [
        ("7", "Active", "Successful", True),
        ("7", "Inactive", "Successful", True),
        ("7", "", "", True),
        ("7", "Failed", "Successful", False),
        ("7", "Active", "Failed", False),
        ("$LATEST", "Active", "Successful", False),
    ],
)
def test_a_function_runs_as_an_active_version(version: str, state: str, update: str, good: bool) -> None:
    assert deep_finding.of_function("ingest", version, state, update).good is good


def test_an_emulated_cloudwatch_is_never_green() -> None:
    found = deep_finding.of_metrics("app", ["Accepted"], [], is_emulated=True)
    assert (found.good, found.found[:14]) == (None, "not looked at:")
