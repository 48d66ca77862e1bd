"""The local stack itself: started, found, brought up to date, refused, removed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from local_stack import LocalStack, LocalStackError, Options, deploy, find, start, stop
from local_stack.stack import STACK_NAME


def _quiet(_what: str) -> None:
    return None


def test_a_stack_that_is_up_is_found_by_its_folder(stack: LocalStack) -> None:
    assert find(stack.folder) == stack


def test_nothing_is_found_where_nothing_was_started(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert stop(tmp_path) is False


def test_starting_again_keeps_what_is_there(stack: LocalStack) -> None:
    stack.client("ssm").put_parameter(Name="/kept", Value="yes", Type="String")

    again = start(stack.folder, say=_quiet)

    assert again == stack
    assert again.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "yes"


def test_other_options_are_refused_while_it_is_up(stack: LocalStack) -> None:
    with pytest.raises(LocalStackError, match="make down"):
        start(stack.folder, Options(retry_max_seconds=stack.options.retry_max_seconds + 1))


def test_a_template_that_cannot_be_deployed_is_reported_with_the_reason(stack: LocalStack) -> None:
    with pytest.raises(LocalStackError, match=r"(?s)sam deploy failed:.*MaxConcurrency.*sam-deploy\.log"):
        deploy(replace(stack, options=replace(stack.options, max_concurrency=99)), _quiet)


def test_a_removed_stack_leaves_only_what_was_accepted_and_can_be_deployed_again(tmp_path: Path) -> None:
    try:
        stack = start(tmp_path, say=_quiet)
        queues = {stack.outputs[name] for name in ("EventsQueueUrl", "ParkedQueueUrl", "DeadLetterQueueUrl")}
        cloudformation = stack.client("cloudformation")
        cloudformation.delete_stack(StackName=STACK_NAME)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

        assert {url.rpartition("/")[2] for url in stack.client("sqs").list_queues()["QueueUrls"]} == {
            url.rpartition("/")[2] for url in queues
        }
        assert stack.client("dynamodb").list_tables()["TableNames"] == []
        assert stack.client("secretsmanager").list_secrets()["SecretList"] == []
        assert stack.client("ssm").describe_parameters()["Parameters"] == []

        again = deploy(stack, _quiet)
        secret = again.client("secretsmanager").get_secret_value(SecretId=again.outputs["DefaultPurchaselySecretName"])
        assert json.loads(secret["SecretString"]) == {"shared_secrets": ["REPLACE_ME"]}
    finally:
        stop(tmp_path)
