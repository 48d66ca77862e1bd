"""The local stack: starts, finds and stops it, and says where everything is."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3

from . import emulated, sam
from .background import Background, LocalStackError, free_port

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

FOLDER = sam.ROOT / "build" / "local"
"""Where the stack of `make up` keeps its logs and what it has to remember."""

STACK_NAME = "purchasely-clevertap-local"
STAGE = "local"
START_SECONDS = 60.0

SHARED_SECRET = "purchasely-secret-of-the-local-stack"  # noqa: S105 invented, and only known to an emulated AWS


@dataclass(frozen=True, slots=True)
class CleverTapAccount:
    """What the functions log in to the emulated CleverTap with."""

    account_id: str
    passcode: str


PRODUCTION = CleverTapAccount("LOCAL-PRODUCTION", "passcode-of-local-production")
SANDBOX = CleverTapAccount("LOCAL-SANDBOX", "passcode-of-local-sandbox")


@dataclass(frozen=True, slots=True)
class Options:
    """How a stack is set up. The pauses are short, so that a person sees the retries."""

    clevertap_endpoint: str = ""
    """Where uploads go; empty starts an emulated CleverTap for them."""
    retry_base_seconds: int = 1
    retry_max_seconds: int = 5
    batch_window_seconds: int = 1
    max_concurrency: int = 5
    port: int = 0
    """Where AWS answers on 127.0.0.1; 0 is any free port."""


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A stack that is deployed and has credentials and settings of the app named default."""

    folder: Path
    options: Options
    aws_url: str
    clevertap_url: str
    processes: tuple[Background, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Those of `template.yaml`, by name."""

    def webhook_url(self, app: str = "default") -> str:
        """Where Purchasely's webhooks of `app` go: the emulated gateway's own address for the deployed API."""
        return f"{self.aws_url}/_aws/execute-api/{self.outputs['ApiId']}/$default/webhooks/{app}"

    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["ssm"]) -> "SSMClient": ...
    def client(self, service: Any) -> Any:
        """A boto3 client of the emulated AWS, with all rights."""
        return boto3.Session(
            aws_access_key_id=sam.CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=sam.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=sam.REGION,
        ).client(service, endpoint_url=self.aws_url)

    def logs(self, output: Literal["IngestLogGroup", "ForwarderLogGroup"]) -> list[str]:
        """Every line that a function has logged, in the order of time."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=self.outputs[output])
        events = sorted((event for page in pages for event in page["events"]), key=lambda event: event["timestamp"])
        return [event["message"] for event in events]


Say = Callable[[str], None]
"""Told what is being done, before it is done."""


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


@contextmanager
def running(folder: Path, options: Options | None = None, say: Say = _tell) -> Iterator[LocalStack]:
    """A stack of its own for as long as the block lasts. `folder` must be no other stack's."""
    try:
        yield start(folder, options, say)
    finally:
        stop(folder)


def start(folder: Path = FOLDER, options: Options | None = None, say: Say = _tell) -> LocalStack:
    """Builds, starts what isn't running, deploys. A stack that is already up is brought up to date and keeps its data.

    LocalStackError says what went wrong; a stack that could not be started leaves no process behind.
    """
    options = options or Options()
    architecture = sam.architecture()
    if found := find(folder):
        if found.options != options:
            raise LocalStackError("the local stack is up with other options: stop it first, with `make down`")
        return deploy(found, say)
    stop(folder)
    say("Building the functions and their layer (sam build) …")
    sam.build(folder)
    say("Starting AWS (MiniStack)" + ("" if options.clevertap_endpoint else " and CleverTap (emulated)") + " …")
    try:
        stack = _deployed(_started(folder, options), architecture, say)
        _put(stack, _AT_FIRST)
    except BaseException:
        stop(folder)
        raise
    return stack


def deploy(stack: LocalStack, say: Say = _tell) -> LocalStack:
    """Builds and deploys the code as it is now into a stack that is up; its credentials and settings stay."""
    say("Building the functions and their layer (sam build) …")
    sam.build(stack.folder)
    kept = _read_put(stack)
    stack = _deployed(stack, sam.architecture(), say)
    # A deployment that changes anything of these resources writes the template's placeholders again.
    there = _read_put(stack)
    _put(stack, {output: value for output, value in (_AT_FIRST | kept).items() if there.get(output) != value})
    return stack


def find(folder: Path = FOLDER) -> LocalStack | None:
    """The stack of `folder`, if all of it is up."""
    stack = _read(folder)
    if stack is None or not stack.outputs or not all(process.alive for process in stack.processes):
        return None
    return stack


def stop(folder: Path = FOLDER) -> bool:
    """Stops what runs of the stack of `folder`, in whatever state it is, and says whether anything did."""
    stack = _read(folder)
    if stack is None:
        return False
    stopped = [process for process in stack.processes if process.alive]
    for process in stack.processes:
        process.stop()
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    _state(folder).unlink()
    return bool(stopped)


def start_aws(folder: Path, port: int) -> Background:
    """MiniStack in the place of AWS, to answer on `port` of 127.0.0.1; nothing is deployed in it yet."""
    return Background.start(
        "MiniStack",
        [str(sam.VENV / "stack" / "bin" / "python"), str(Path(__file__).with_name("ministack_server.py"))],
        {
            **_environment(folder),
            **sam.CREDENTIALS,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": sam.REGION,
            "IOT_MTLS_ENABLED": "0",
            "AUTH": "true",  # a function may do what its role allows, and no more
        },
        folder / "ministack.log",
    )


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of the person's own goes in here: the functions inherit it."""
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",  # as on Lambda's read-only disk
    }


def _started(folder: Path, options: Options) -> LocalStack:
    """The processes, with nothing deployed yet. Written down one by one, so that `stop` finds them whatever happens."""
    aws_port = free_port(options.port)
    aws = start_aws(folder, aws_port)
    stack = LocalStack(folder, options, f"http://127.0.0.1:{aws_port}", options.clevertap_endpoint, (aws,))
    _write(stack)
    if not options.clevertap_endpoint:
        port = free_port()
        accounts = [f"--account={account.account_id}:{account.passcode}" for account in (PRODUCTION, SANDBOX)]
        clevertap = Background.start(
            "the emulated CleverTap",
            [sys.executable, "-m", "clevertap_emulator", f"--port={port}", *accounts],
            {**_environment(folder), "PYTHONPATH": str(sam.ROOT / "tools")},
            folder / "clevertap.log",
        )
        stack = replace(stack, clevertap_url=f"http://127.0.0.1:{port}", processes=(aws, clevertap))
        _write(stack)
        clevertap.require(port, START_SECONDS)
    aws.require(aws_port, START_SECONDS)
    return stack


def _deployed(stack: LocalStack, architecture: str, say: Say) -> LocalStack:
    say("Deploying template.yaml (sam deploy) …")
    parameters = {
        "Stage": STAGE,
        "Architecture": architecture,
        "CleverTapEndpoint": stack.clevertap_url,
        "RetryBaseSeconds": str(stack.options.retry_base_seconds),
        "RetryMaxSeconds": str(stack.options.retry_max_seconds),
        "BatchWindowSeconds": str(stack.options.batch_window_seconds),
        "MaxConcurrency": str(stack.options.max_concurrency),
    }
    template = emulated.write(sam.BUILT, stack.folder.name, parameters)
    sam.deploy(stack.folder, template=template, name=STACK_NAME, endpoint=stack.aws_url, parameters=parameters)
    described = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    stack = replace(stack, outputs=outputs)
    _write(stack)
    return stack


# What a person would put by hand, by the output that says where.
_AT_FIRST = {
    "DefaultPurchaselySecretName": json.dumps({"shared_secrets": [SHARED_SECRET]}),
    "DefaultCleverTapSecretName": json.dumps({"production": asdict(PRODUCTION), "sandbox": asdict(SANDBOX)}),
    "DefaultSettingsParameter": json.dumps({"region": "eu1"}),
}


def _put(stack: LocalStack, values: Mapping[str, str]) -> None:
    secrets, settings = stack.client("secretsmanager"), stack.client("ssm")
    for output, value in values.items():
        if output == "DefaultSettingsParameter":
            settings.put_parameter(Name=stack.outputs[output], Value=value, Overwrite=True)
        else:
            secrets.put_secret_value(SecretId=stack.outputs[output], SecretString=value)


def _read_put(stack: LocalStack) -> dict[str, str]:
    """What was put; nothing for what is gone, as when the stack was removed."""
    secrets, settings = stack.client("secretsmanager"), stack.client("ssm")
    values: dict[str, str] = {}
    for output in _AT_FIRST:
        with suppress(secrets.exceptions.ResourceNotFoundException, settings.exceptions.ParameterNotFound):
            if output == "DefaultSettingsParameter":
                values[output] = settings.get_parameter(Name=stack.outputs[output])["Parameter"]["Value"]
            else:
                values[output] = secrets.get_secret_value(SecretId=stack.outputs[output])["SecretString"]
    return values


def _state(folder: Path) -> Path:
    return folder / "state.json"


def _write(stack: LocalStack) -> None:
    state = {
        "options": asdict(stack.options),
        "aws_url": stack.aws_url,
        "clevertap_url": stack.clevertap_url,
        "processes": [asdict(process) for process in stack.processes],
        "outputs": dict(stack.outputs),
    }
    written = _state(stack.folder).with_suffix(".new")
    written.write_text(json.dumps(state, indent=2))
    written.replace(_state(stack.folder))


def _read(folder: Path) -> LocalStack | None:
    try:
        state = json.loads(_state(folder).read_text())
    except FileNotFoundError:
        return None
    return LocalStack(
        folder=folder,
        # An older version of this code may have known other options; its processes must still be found.
        options=Options(**{name: value for name, value in state["options"].items() if name in Options.__slots__}),
        aws_url=state["aws_url"],
        clevertap_url=state["clevertap_url"],
        processes=tuple(Background(**process) for process in state["processes"]),
        outputs=state["outputs"],
    )
