"""The stack that a command works on, in an AWS account or on this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, cast, overload

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bridge_cli.cli_error import CliError, ErrorCode, unreachable
from bridge_cli.local import LocalStack, find
from bridge_cli.stack_options import stack_options

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

LOCAL_STAGE: Final = "local"

_STACK_OPTIONS: Final = ("stage", "stack_name", "region", "profile", "local", "local_folder")
_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_RETRIES: Final = Config(retries={"mode": "standard", "max_attempts": 5})
# Somebody waits at the shell for its completion.
_QUICK: Final = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "max_attempts": 1})


@dataclass(frozen=True)
class Account:
    """The AWS account and region of a stack, and the stack's name. AWS is asked only for what is needed.

    `local` is the stack on this machine; `region` and `profile` say nothing then. With `is_quick` a call of AWS fails
    after two seconds and is not repeated.
    """

    stage: str = "dev"
    stack_name: str = "purchasely-clevertap-dev"
    region: str | None = None
    profile: str | None = None
    local: LocalStack | None = None
    is_quick: bool = False

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs, by their names in `template.yaml`. CliError when there is no such stack."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.stack.get("Outputs", [])}

    @cached_property
    def suppression_key(self) -> str:
        """The key of the hashes of suppressed people: the random part of the stack's id, as in `template.yaml`."""
        return self.stack["StackId"].split("/")[2]

    @cached_property
    def stack(self) -> "StackTypeDef":
        """What CloudFormation says of the stack. CliError when there is no such stack."""
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
                ErrorCode.NO_STACK,
            )
        return stacks[0]

    def output(self, name: str) -> str:
        """One of the stack's outputs. CliError when the stack is older than this command."""
        try:
            return self.outputs[name]
        except KeyError:
            raise CliError(
                f"stack {self.stack_name} has no output {name}: it was deployed by another version; deploy it again"
            ) from None

    def webhook_url(self, app: str = "default") -> str:
        """The URL that takes the webhooks of `app`."""
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
    def client(self, service: Literal["kms"]) -> Any: ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["sns"]) -> "SNSClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["ssm"]) -> "SSMClient": ...
    def client(self, service: Any) -> Any:
        """A boto3 client with the rights of the person who runs the command."""
        config = _QUICK if self.is_quick else _RETRIES
        if self.local is not None:
            return self.local.client(service, config)
        return self._session.client(service, config=config)

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(profile_name=self.profile, region_name=self.region)

    @property
    def _region_in_words(self) -> str:
        if self.local is not None:
            return "the local stack"
        return f"region {self._session.region_name}"


def is_denied(error: ClientError) -> bool:
    """Whether AWS refused the call because the person has no right to it."""
    return error.response["Error"]["Code"] in _DENIED


def in_words(error: ClientError | BotoCoreError) -> str:
    """One line that says what AWS refused, or why AWS was not reached, and what to do if that is known."""
    if isinstance(error, ClientError):
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        text = f"AWS refused {error.operation_name}: {code}: {message}"
        if "Expired" in code:
            text += "; sign in again"
        elif is_denied(error):
            text += "; docs/iam/README.md says which policy allows it"
        return " ".join(text.split())
    what_to_do = {
        "NoCredentialsError": "sign in to AWS, or name --profile, or use --local",
        "NoRegionError": "name --region, or set AWS_REGION",
    }.get(type(error).__name__)
    text = " ".join(str(error).split()).removesuffix(".")
    return f"{text}: {what_to_do}" if what_to_do else text


def on_account[**Parameters, Result](
    command: Callable[Concatenate[Account, Parameters], Result],
) -> Callable[Parameters, Result]:
    """Gives a command the options that name a stack, and as its first argument the Account that they name.

    Written below `@click.command()`. An error of AWS ends the command as a CliError, with exit code 3.
    """

    @wraps(command)
    def with_account(*arguments: Any, **named: Any) -> Result:
        before = click.get_current_context().find_root().params
        after = {option: named.pop(option) for option in _STACK_OPTIONS}
        account = _account(**{option: after[option] or before.get(option) for option in _STACK_OPTIONS})
        try:
            return cast("Callable[..., Result]", command)(account, *arguments, **named)
        except ClientError as error:
            raise unreachable(in_words(error), error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise unreachable(in_words(error), type(error).__name__) from error

    return stack_options(from_environment=False)(with_account)


def account_of(context: click.Context) -> Account:
    """The account that an unfinished command line names, for the shell's completion."""
    before, after = context.find_root().params, context.params
    return replace(
        _account(**{option: after.get(option) or before.get(option) for option in _STACK_OPTIONS}), is_quick=True
    )


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
        raise unreachable("the local stack is not running: start it with `make up`", ErrorCode.NO_LOCAL_STACK)
    return Account(LOCAL_STAGE, f"purchasely-clevertap-{LOCAL_STAGE}", local=stack)
