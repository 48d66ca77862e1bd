"""The local stack itself: started, found, brought up to date, refused, removed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local_stack import PRODUCTION, LocalStack, LocalStackError, deploy, find, running, sam, start, stop
from local_stack.stack import STACK_NAME
from purchasely_sender import Sender
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import OPTIONS, Story
from tests.end_to_end.eventually import eventually


def _quiet(_what: str) -> None:
    return None


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a stack that may be changed and removed."""
    folder = tmp_path_factory.mktemp("other")
    with running(folder, OPTIONS, say=_quiet):
        yield folder


@pytest.fixture
def as_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has changed since the stack was started, so nothing is built again."""
    monkeypatch.setattr(sam, "build", lambda _folder: None)


def test_a_stack_that_is_up_is_found_by_its_folder(stack: LocalStack) -> None:
    assert find(stack.folder) == stack


def test_nothing_is_found_where_nothing_was_started(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert stop(tmp_path) is False


@pytest.mark.usefixtures("as_built")
def test_starting_again_keeps_what_is_there(stack: LocalStack) -> None:
    stack.client("ssm").put_parameter(Name="/kept", Value="yes", Type="String")

    again = start(stack.folder, stack.options, _quiet)

    assert again == stack
    assert again.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "yes"


@pytest.mark.usefixtures("as_built")
def test_what_a_deployment_resets_is_put_back(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    ssm, name = stack.client("ssm"), stack.outputs["DefaultSettingsParameter"]
    secrets, secret = stack.client("secretsmanager"), stack.outputs["DefaultCleverTapSecretName"]
    ssm.put_parameter(Name=name, Value='{"region": "in1"}', Overwrite=True)

    def reset(_folder: Path, **_more: object) -> None:
        ssm.put_parameter(Name=name, Value="{}", Overwrite=True)
        secrets.put_secret_value(SecretId=secret, SecretString='{"production": {"account_id": "REPLACE_ME"}}')

    monkeypatch.setattr(sam, "deploy", reset)
    deploy(stack, _quiet)

    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == '{"region": "in1"}'
    assert PRODUCTION.passcode in secrets.get_secret_value(SecretId=secret)["SecretString"]


def test_other_options_are_refused_while_it_is_up(stack: LocalStack) -> None:
    with pytest.raises(LocalStackError, match="make down"):
        start(stack.folder, replace(stack.options, retry_max_seconds=stack.options.retry_max_seconds + 1))


@pytest.mark.usefixtures("as_built")
def test_a_bad_template_is_reported_with_the_reason(stack: LocalStack) -> None:
    with pytest.raises(LocalStackError, match=r"(?s)sam deploy failed:.*MaxConcurrency.*sam-deploy\.log"):
        deploy(replace(stack, options=replace(stack.options, max_concurrency=99)), _quiet)


@pytest.mark.usefixtures("as_built")
def test_an_update_keeps_what_people_wrote(other: Path, sender: Sender, story: Story) -> None:
    stack = _found(other)
    before = App(stack, sender, secret="a-secret-that-was-put-by-hand")
    before.put_secret("purchasely", {"shared_secrets": [before.secret]})
    before.put_settings(events={"*": {"send": False}, "TRIAL_STARTED": {"send": True, "name": "Trial"}})
    events = {event["event_name"]: event for event in story("trial_converts")}
    trial, renewal = events["TRIAL_STARTED"], events["SUBSCRIPTION_RENEWED"]
    before.tell(trial)
    before.settled([trial])

    changed = deploy(replace(stack, options=replace(stack.options, retry_max_seconds=6)), _quiet)

    described = changed.client("lambda").get_function_configuration(
        FunctionName=changed.outputs["ForwarderFunctionName"], Qualifier="live"
    )
    assert described["Version"] == "2"
    assert described["Environment"]["Variables"]["RETRY_MAX_SECONDS"] == "6"
    after = App(changed, sender, secret=before.secret)
    after.tell(trial, renewal)
    outcomes = after.settled([trial, renewal])
    assert {each.event_id: (each.outcome, each.reason) for each in outcomes.values()} == {
        trial["event_id"]: ("delivered", None),
        renewal["event_id"]: ("skipped", "event_switched_off"),
    }
    eventually(lambda: after.deliveries()[trial["event_id"]].webhooks, lambda webhooks: webhooks == 2)
    assert [taken.name for taken in CleverTap(stack.clevertap_url).of(trial["event_id"])] == ["Trial"]


@pytest.mark.usefixtures("as_built")
def test_a_removed_stack_can_be_deployed_again(other: Path, sender: Sender, story: Story) -> None:
    stack = _found(other)
    queues = [stack.outputs[name] for name in ("EventsQueueUrl", "ParkedQueueUrl", "DeadLetterQueueUrl")]
    cloudformation = stack.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK_NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )

    assert set(map(_name, stack.client("sqs").list_queues()["QueueUrls"])) == set(map(_name, queues))
    assert stack.client("dynamodb").list_tables()["TableNames"] == []
    assert stack.client("secretsmanager").list_secrets()["SecretList"] == []
    assert stack.client("ssm").describe_parameters()["Parameters"] == []

    again = App(deploy(stack, _quiet), sender)
    events = story("trial_converts")
    again.tell(*events)
    assert {each.outcome for each in again.settled(events).values()} == {"delivered", "skipped"}


def _name(queue_url: str) -> str:
    return queue_url.rpartition("/")[2]


def _found(folder: Path) -> LocalStack:
    stack = find(folder)
    assert stack is not None
    return stack
