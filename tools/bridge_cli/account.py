"""The stack that a command works on, in a real AWS account or on this machine, and the options that name it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, cast, overload

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bridge_cli.cli_error import CliError, unreachable
from bridge_cli.local import LocalStack, find

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

LOCAL_STAGE = "local"
_RETRIES = Config(retries={"mode": "standard", "max_attempts": 5})


@dataclass(frozen=True)
class Account:
    """Where the stack is. Nothing is asked of AWS before something is needed.

    `local` is the stack on this machine, if that is meant; then `region` and `profile` are of no use.
    """

    stage: str = "dev"
    stack_name: str = "purchasely-clevertap-dev"
    region: str | None = None
    profile: str | None = None
    local: LocalStack | None = None

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """What the stack says of itself, by the names of `template.yaml`. CliError when there is no such stack."""
        return {output["OutputKey"]: output["OutputValue"] for output in self._stack.get("Outputs", [])}

    @cached_property
    def user_key(self) -> str:
        """What keys the user hashes in the log, as `template.yaml` says: the random part of the stack's id."""
        return self._stack["StackId"].split("/")[2]

    @cached_property
    def _stack(self) -> "StackTypeDef":
        try:
            stacks = self.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":  # CloudFormation's word for "does not exist"
                raise
            stacks = []
        if not stacks:
            raise unreachable(
                f"there is no stack {self.stack_name} in {self._region_in_words}: deploy it, or name it with --stage, "
                "--stack-name, --region and --profile",
                "no_stack",
            )
        return stacks[0]

    def output(self, name: str) -> str:
        """One of them. CliError when the stack is older than this command."""
        try:
            return self.outputs[name]
        except KeyError:
            raise CliError(
                f"stack {self.stack_name} has no output {name}: it was deployed by another version; deploy it again"
            ) from None

    def webhook_url(self, app: str = "default") -> str:
        """Where the webhooks of `app` go."""
        if self.local is not None:
            return self.local.webhook_url(app)
        return self.output("WebhookUrl").rsplit("/", 1)[0] + f"/{app}"

    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["cloudwatch"]) -> "CloudWatchClient": ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["sns"]) -> "SNSClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["ssm"]) -> "SSMClient": ...
    def client(self, service: Any) -> Any:
        """A boto3 client, with the rights of the person who runs the command."""
        if self.local is not None:
            return self.local.client(service)
        return self._session.client(service, config=_RETRIES)

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(profile_name=self.profile, region_name=self.region)

    @property
    def _region_in_words(self) -> str:
        if self.local is not None:
            return "the local stack"
        return f"region {self._session.region_name}"


def in_words(error: ClientError | BotoCoreError) -> str:
    """What AWS, or the way to it, did not do, in one line that says what to do if that is known."""
    if isinstance(error, ClientError):
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        text = f"AWS refused {error.operation_name}: {code}: {message}"
        if "Expired" in code:
            text += "; sign in again"
        return " ".join(text.split())
    what_to_do = {
        "NoCredentialsError": "sign in to AWS, or name --profile, or use --local",
        "NoRegionError": "name --region, or set AWS_REGION",
    }.get(type(error).__name__)
    text = " ".join(str(error).split()).removesuffix(".")
    return f"{text}: {what_to_do}" if what_to_do else text


def stack_options[Result](*, from_environment: bool) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """The options that name a stack. They can stand before a command and behind it, and the latter prevail; only those
    before it are looked for in the environment, lest that prevail over what was typed."""

    def named(variable: str) -> str | None:
        return variable if from_environment else None

    options = (
        click.option("--stage", envvar=named("BRIDGE_STAGE"), help="The stack's stage.  [default: dev]"),
        click.option(
            "--stack-name",
            envvar=named("BRIDGE_STACK_NAME"),
            help="Its name, if it is not purchasely-clevertap-STAGE.",
        ),
        click.option("--region", help="Its AWS region, if not that of the profile."),
        click.option("--profile", help="The AWS profile to sign in with."),
        click.option(
            "--local", is_flag=True, envvar=named("BRIDGE_LOCAL"), help="The local stack of `make up` instead."
        ),
        click.option(
            "--local-folder",
            type=click.Path(path_type=Path, file_okay=False),
            envvar=named("BRIDGE_LOCAL_FOLDER"),
            hidden=True,
            help="A local stack of another folder instead.",
        ),
    )

    def with_options(command: Callable[..., Result]) -> Callable[..., Result]:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


def on_account[**Parameters, Result](
    command: Callable[Concatenate[Account, Parameters], Result],
) -> Callable[Parameters, Result]:
    """Gives a command the options that name a stack, and as its first argument the Account that they name.

    Written below `@click.command()`. Nothing is asked of AWS before the command asks its Account.
    """

    @wraps(command)
    def with_account(*arguments: Any, **named: Any) -> Result:
        before = click.get_current_context().find_root().params
        behind = {option: named.pop(option) for option in _STACK}
        account = _account(**{option: behind[option] or before.get(option) for option in _STACK})
        return cast("Callable[..., Result]", command)(account, *arguments, **named)

    return stack_options(from_environment=False)(with_account)


_STACK: Final = ("stage", "stack_name", "region", "profile", "local", "local_folder")


def account_of(context: click.Context) -> Account:
    """The account that a command line names so far, for completion."""
    before, behind = context.find_root().params, context.params
    return _account(**{option: behind.get(option) or before.get(option) for option in _STACK})


def _account(
    *,
    stage: str | None,
    stack_name: str | None,
    region: str | None,
    profile: str | None,
    local: bool | None,
    local_folder: Path | None,
) -> Account:
    if local or local_folder:
        return _local(local_folder)
    stage = stage or "dev"
    return Account(stage, stack_name or f"purchasely-clevertap-{stage}", region, profile)


def _local(folder: Path | None) -> Account:
    stack = find(folder)
    if stack is None:
        raise unreachable("the local stack is not running: start it with `make up`", "no_local_stack")
    return Account(LOCAL_STAGE, f"purchasely-clevertap-{LOCAL_STAGE}", local=stack)
