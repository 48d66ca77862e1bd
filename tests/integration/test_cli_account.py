"""What every command of `bridge` has: help, a document for scripts, and one clear line when something is missing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import click
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from click.testing import CliRunner

from bridge_cli.__main__ import COMMANDS, bridge
from bridge_cli.account import Account, in_words

ANYTHING = ("balance",)


def leaves(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield before + name, command


LEAVES = dict(leaves(bridge))


def one_line(*arguments: str, code: int = 3) -> str:
    """What a command that can't do as told says: one line on stderr, and nothing for scripts to misread."""
    result = CliRunner().invoke(bridge, [*arguments], prog_name="bridge")
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("bridge: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(bridge, [*name.split(), "--help"], prog_name="bridge")
    assert result.exit_code == 0
    assert "--json" in result.output
    assert all(parameter.help for parameter in LEAVES[name].params if isinstance(parameter, click.Option))


def test_help_lists_commands_by_need() -> None:
    output = CliRunner().invoke(bridge, ["--help"], prog_name="bridge").output
    names = list(COMMANDS)
    assert sorted(names, key=lambda name: output.index(f"\n  {name} ")) == names


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """A CloudFormation that follows a script."""
    client = boto3.client("cloudformation", region_name="eu-west-1")
    monkeypatch.setattr(Account, "client", lambda _account, _service: client)
    with Stubber(client) as script:
        yield script


def test_a_missing_stack_is_named_with_its_region(cloudformation: Stubber) -> None:
    cloudformation.add_client_error(
        "describe_stacks",
        "ValidationError",
        "Stack with id purchasely-clevertap-prod does not exist",
        expected_params={"StackName": "purchasely-clevertap-prod"},
    )
    said = one_line(*ANYTHING, "--stage", "prod")
    assert "no stack purchasely-clevertap-prod in region eu-west-1" in said


def test_a_stack_may_have_another_name_and_region(cloudformation: Stubber) -> None:
    cloudformation.add_response("describe_stacks", {"Stacks": []}, {"StackName": "mine"})
    assert "no stack mine in region us-east-1" in one_line(*ANYTHING, "--stack-name", "mine", "--region", "us-east-1")


@pytest.mark.parametrize(
    ("arguments", "variable", "meant"),
    [
        (["--stage", "prod", "balance"], None, "prod"),
        (["balance", "--stage", "prod"], None, "prod"),
        (["--stage", "qa", "balance", "--stage", "prod"], None, "prod"),
        (["balance"], "prod", "prod"),
        (["--stage", "prod", "balance"], "qa", "prod"),
        (["balance", "--stage", "prod"], "qa", "prod"),
        (["balance"], None, "dev"),
    ],
)
def test_options_of_the_stack_may_stand_anywhere(
    cloudformation: Stubber, monkeypatch: pytest.MonkeyPatch, arguments: list[str], variable: str | None, meant: str
) -> None:
    if variable is not None:
        monkeypatch.setenv("BRIDGE_STAGE", variable)
    cloudformation.add_response("describe_stacks", {"Stacks": []}, {"StackName": f"purchasely-clevertap-{meant}"})
    assert f"no stack purchasely-clevertap-{meant}" in one_line(*arguments)


@pytest.mark.parametrize(
    "arguments", [["--local-folder", "FOLDER", "balance"], ["balance", "--local-folder", "FOLDER"]]
)
def test_so_may_what_names_the_local_stack(tmp_path: Path, arguments: list[str]) -> None:
    named = [str(tmp_path) if each == "FOLDER" else each for each in arguments]
    assert "the local stack is not running" in one_line(*named)


def test_another_version_is_named_with_what_it_lacks(cloudformation: Stubber) -> None:
    stack = {
        "StackName": "purchasely-clevertap-dev",
        "CreationTime": datetime.now(UTC),
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": "WebhookUrl", "OutputValue": "https://webhook"}],
    }
    cloudformation.add_response("describe_stacks", {"Stacks": [stack]})
    assert "stack purchasely-clevertap-dev has no output DeliveriesTableName" in one_line(*ANYTHING, code=1)


def test_what_aws_refuses_ends_a_command_with_one_line(cloudformation: Stubber) -> None:
    cloudformation.add_client_error("describe_stacks", "AccessDenied", "not authorized to perform DescribeStacks")
    assert "AccessDenied: not authorized" in one_line(*ANYTHING)


def test_without_credentials_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "sign in to AWS, or name --profile, or use --local" in one_line(*ANYTHING)


def test_without_a_region_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert one_line(*ANYTHING).endswith("region: name --region, or set AWS_REGION\n")


def test_a_profile_that_is_not_there_is_named() -> None:
    assert "nobody" in one_line(*ANYTHING, "--profile", "nobody")


def test_no_local_stack_says_how_to_start_one(tmp_path: Path) -> None:
    assert "make up" in one_line(*ANYTHING, "--local-folder", str(tmp_path))


def test_a_refusal_of_aws_is_one_line() -> None:
    answer = ClientError({"Error": {"Code": "ExpiredToken", "Message": "The token\nhas expired"}}, "DescribeStacks")
    assert in_words(answer) == "AWS refused DescribeStacks: ExpiredToken: The token has expired; sign in again"


def test_what_does_not_reach_aws_is_one_line() -> None:
    assert in_words(EndpointConnectionError(endpoint_url="https://sqs.aws")) == (
        'Could not connect to the endpoint URL: "https://sqs.aws"'
    )
