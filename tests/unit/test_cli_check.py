"""`bridge check`: what is made of what AWS and CleverTap say."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_cli import finding
from bridge_cli.configuration import StoredSettings
from bridge_cli.deployment import Deployment
from bridge_cli.finding import MOST_SANE, OLDEST_SANE_MS, Alarm, Finding
from bridge_cli.queues import Count, Queues
from bridge_cli.secret_document import Document
from local_stack.template import Template
from purchasely_clevertap.aws.secrets import Absent, Unusable
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.clevertap.response import Accepted, NotTaken, RecordResult, SetupFault, Unknown
from purchasely_clevertap.mapping.settings import DEFAULT, parse
from purchasely_clevertap.outcome import RetryReason

ACCOUNT = {"account_id": "PROJECT-1", "passcode": "passcode-1"}
PLACEHOLDER = {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}
EMPTY = Queues(Count(0, 0), Count(0, 0), Count(0, 0))


@pytest.mark.parametrize(
    ("secret", "good", "said"),
    [
        ({"shared_secrets": ["a-secret"]}, True, "is there"),
        ({"shared_secrets": ["a-secret", "short"]}, None, "number 2 of those accepted has only 5 characters"),
        (
            {"shared_secrets": ["a-secret", "b-secret"]},
            True,
            "2 are accepted; to end a rotation: bridge rotate purchasely app --retire",
        ),
        ({"shared_secrets": ["REPLACE_ME"]}, False, "is the placeholder: webhooks are answered 404"),
        ({"shared_secrets": []}, False, "placeholder"),
        ({"shared_secrets": "a"}, False, "no list of texts"),
        ({"shared_secrets": ["a", 1]}, False, "no list of texts"),
        ({}, False, "no list of texts"),
        ({"shared_secrets": ["a-secret", "b-secret\n"]}, True, "2 are accepted"),
        ({"shared_secrets": ["a", "b\nc"]}, False, "number 2 of those accepted has characters that no secret has"),
        (Absent(), False, "answered 404"),
        (Unusable("secret x is not JSON"), False, "secret x is not JSON: webhooks are answered 503"),
    ],
)
def test_the_purchasely_secret(secret: Document | Absent | Unusable, good: bool | None, said: str) -> None:
    found = finding.of_purchasely_secret("app", secret)
    assert found.good is good
    assert said in found.found
    assert (found.todo is None) is (good is not False)


@pytest.mark.parametrize(
    ("secret", "good", "said"),
    [
        ({"production": ACCOUNT}, True, "is there"),
        ({"production": ACCOUNT, "sandbox": ACCOUNT}, True, "is there"),
        ({"production": ACCOUNT, "sandbox": {}}, True, "is there"),
        ({"production": ACCOUNT, "sandbox": {"account_id": "S"}}, False, "sandbox account that is not whole"),
        ({"production": PLACEHOLDER}, False, "is the placeholder: events wait"),
        ({"production": {"account_id": "P"}}, False, "no whole production account"),
        ({}, False, "no whole production account"),
        (Absent(), False, "is not there"),
        (Unusable("secret x is not JSON"), False, "secret x is not JSON"),
    ],
)
def test_the_clevertap_secret(secret: Document | Absent | Unusable, good: bool, said: str) -> None:
    found = finding.of_clevertap_secret("app", secret)
    assert found.good is good
    assert said in found.found
    assert (found.todo is None) is good


@given(st.text(min_size=5), st.text(min_size=5))
def test_no_finding_quotes_a_secret(shared: str, passcode: str) -> None:
    found = (
        finding.of_purchasely_secret("app", {"shared_secrets": ["x", f"<{shared}>"]}),
        finding.of_clevertap_secret("app", {"production": {"passcode": f"<{passcode}>"}}),
    )
    said = repr(found)
    assert f"<{shared}>" not in said
    assert f"<{passcode}>" not in said


@pytest.mark.parametrize(
    ("purchasely", "clevertap", "untouched"),
    [
        ({"shared_secrets": ["REPLACE_ME"]}, {"production": PLACEHOLDER}, True),
        ({"shared_secrets": ["a"]}, {"production": PLACEHOLDER}, False),
        ({"shared_secrets": ["REPLACE_ME"]}, {"production": ACCOUNT}, False),
        (Absent(), {"production": PLACEHOLDER}, False),
        ({"shared_secrets": ["REPLACE_ME"]}, Unusable("x"), False),
    ],
)
def test_an_app_that_was_never_set_up_is_recognised(
    purchasely: Document | Absent | Unusable, clevertap: Document | Absent | Unusable, untouched: bool
) -> None:
    assert finding.is_untouched(purchasely, clevertap) is untouched


def test_settings_that_are_valid() -> None:
    assert finding.of_settings("app", StoredSettings("{}", 3, DEFAULT)).found == "version 3 is valid"
    assert finding.of_settings("app", StoredSettings(None, 0, DEFAULT)).good is True


@pytest.mark.parametrize(("held", "meanwhile"), [(DEFAULT, "the last valid ones hold"), (None, "events wait")])
def test_every_problem_of_settings_is_listed(held: None, meanwhile: str) -> None:
    found = finding.of_settings("app", StoredSettings("{", 4, held, ("first", "second")))
    assert found.good is False
    assert found.found.splitlines() == [f"version 4 is not valid, {meanwhile}:", "first", "second"]
    assert found.todo == "bridge settings put FILE app"


def test_a_project_that_clevertap_accepts_or_not() -> None:
    good = finding.of_project("app", Project.PRODUCTION, "PROJECT-1", Region.IN1, Accepted())
    wrong = finding.of_project("app", Project.SANDBOX, "TEST-2", Region.US1, SetupFault(401, ""))
    assert good == Finding("app: CleverTap production", True, "accepts project PROJECT-1 in region in1")
    assert (wrong.good, wrong.todo) == (False, "bridge setup app")
    assert "refuses the credentials (401)" in wrong.found


@pytest.mark.parametrize(
    "result",
    [NotTaken(RetryReason.SERVER_ERROR, 503), NotTaken(RetryReason.THROTTLED, 429), Unknown(RetryReason.TIMEOUT)],
)
def test_no_answer_is_no_reason_to_set_up_anew(result: RecordResult) -> None:
    found = finding.of_project("app", Project.PRODUCTION, "PROJECT-1", Region.IN1, result)
    assert found.good is False
    assert "bridge status" in (found.todo or "")


def test_a_missing_sandbox_project_is_mentioned() -> None:
    told = finding.of_no_sandbox("app", DEFAULT)
    assert told is not None
    assert told.good is None
    assert finding.of_no_sandbox("app", parse('{"sandbox": "mix"}')) is None


def states(queues: Queues, oldest_ms: int | None = None) -> dict[str, bool | None]:
    return {each.subject: each.good for each in finding.of_queues(queues, oldest_ms)}


def test_empty_queues_are_good() -> None:
    assert states(EMPTY) == {"events queue": True, "dead-letter queue": True, "parked queue": True}
    assert states(EMPTY, OLDEST_SANE_MS + 1)["events queue"] is True


@pytest.mark.parametrize(
    ("events", "oldest_ms", "good"),
    [
        (Count(5, 5), None, True),
        (Count(5, 5), OLDEST_SANE_MS, True),
        (Count(0, 1), OLDEST_SANE_MS + 1, False),
        (Count(MOST_SANE, 0), 1000, True),
        (Count(MOST_SANE, 1), None, False),
    ],
)
def test_events_that_do_not_get_on_are_wrong(events: Count, oldest_ms: int | None, good: bool) -> None:
    assert states(Queues(events, Count(0, 0), Count(0, 0)), oldest_ms)["events queue"] is good


@pytest.mark.parametrize("count", [Count(1, 0), Count(0, 1)])
def test_whatever_waits_for_a_person_is_wrong(count: Count) -> None:
    assert states(Queues(Count(0, 0), count, Count(0, 0)))["dead-letter queue"] is False
    assert states(Queues(Count(0, 0), Count(0, 0), count))["parked queue"] is False


@pytest.mark.parametrize(
    ("mappings", "good"),
    [
        (["Enabled"], True),
        (["Updating"], True),
        (["Disabled"], False),
        (["Enabled", "Disabling"], False),
        ([], False),
    ],
)
def test_a_forwarder_that_takes_nothing_is_wrong(mappings: list[str], good: bool) -> None:
    found = finding.of_mappings("events", mappings)
    assert found.good is good
    assert (found.todo is None) is good


def test_each_alarm_that_rings_says_what_to_do() -> None:
    alarms = [Alarm("quiet", "OK"), Alarm("loud", "ALARM", "Mend it."), Alarm("new", "INSUFFICIENT_DATA")]
    assert list(finding.of_alarms(alarms)) == [Finding("alarm", False, "loud rings", "Mend it.")]
    assert [each.good for each in finding.of_alarms([Alarm("new", "INSUFFICIENT_DATA")])] == [True]
    assert [each.good for each in finding.of_alarms([])] == [None]


@pytest.mark.parametrize(
    ("arns", "good"),
    [
        (["arn:aws:sns:x"], True),
        (["PendingConfirmation"], False),
        (["arn:aws:sns:x", "PendingConfirmation"], False),
        ([], None),
    ],
)
def test_somebody_is_told_once_they_have_confirmed(arns: list[str], good: bool | None) -> None:
    assert finding.of_subscriptions("dev", arns).good is good


def test_the_stack_is_whole_or_not() -> None:
    assert finding.of_stack("name", Deployment("UPDATE_COMPLETE")).good is True
    wrong = finding.of_stack("name", Deployment("ROLLBACK_COMPLETE"))
    assert (wrong.good, wrong.todo is None) == (False, False)


@pytest.mark.parametrize("judge", [finding.of_purchasely_secret, finding.of_clevertap_secret])
def test_the_templates_placeholders_are_recognised(
    judge: Callable[[str, Document | Absent | Unusable], Finding],
) -> None:
    secrets = Template.load().of_type("AWS::SecretsManager::Secret").values()
    documents = [json.loads(secret["SecretString"]) for secret in secrets if "SecretString" in secret]
    assert len(documents) == 2
    assert any("is the placeholder" in judge("app", document).found for document in documents)
    assert finding.is_untouched(*documents)


@pytest.mark.parametrize(("stage", "good"), [("dev", None), ("prod", False), ("production", False)])
def test_in_production_somebody_must_be_told(stage: str, good: bool | None) -> None:
    found = finding.of_subscriptions(stage, [])
    assert found.good is good
    assert (found.todo is not None) is (good is False)
    assert finding.of_subscriptions(stage, ["arn:aws:sns:of-a-pager"]).good


@pytest.mark.parametrize(
    ("quota", "kept", "good"),
    [
        (1000, None, True),
        (33, None, True),
        (32, None, None),
        (10, None, None),
        (8, None, False),
        (10, 25, True),
        (10, 2, None),
    ],
)
def test_a_small_quota_throttles_webhooks(quota: int, kept: int | None, good: bool | None) -> None:
    room = finding.Concurrency(quota, quota, kept)
    found = finding.of_concurrency(room, forwarders=7, rate=500, link="https://quotas")
    assert found.good is good
    assert (found.todo is not None) is (good is not True)
    assert good is True or "https://quotas" in str(found.todo)


def test_parameters_that_differ_are_shown_but_nobody() -> None:
    defaults = {"MaxConcurrency": "5", "AlarmEmail": "", "Stage": "dev"}
    assert finding.of_parameters(defaults, defaults).good
    changed = {"MaxConcurrency": "10", "AlarmEmail": "jane@example.com", "Stage": "dev", "Gone": "1"}
    found = finding.of_parameters(changed, defaults)
    assert found.good is None
    assert found.found.endswith("AlarmEmail is set, MaxConcurrency 10 (5)")
