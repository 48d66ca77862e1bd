"""Every command of `bridge` with the rights of docs/iam/: the looks with the read-only policy, all with the full one.

IAM is enforced on this machine as on AWS.
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

import boto3
import pytest

from local_stack import PRODUCTION, LocalStack, emulated, sam
from local_stack.stack import STACK_NAME, STAGE
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import Story
from tests.end_to_end.test_cli import run

ACCOUNT: Final = "000000000000"
TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    ],
}

# The emulator checks these under the names of other calls, and those of a table or a dashboard without naming it.
EMULATORS_NAMES: Final = {
    "lambda:GetAlias": "lambda:ListAliases",
    "lambda:GetFunctionConcurrency": "lambda:PutFunctionConcurrency",
}
WITHOUT_A_RESOURCE: Final = {
    "cloudwatch:GetDashboard": "cloudwatch:GetDashboard",
    "dynamodb:PartiQLUpdate": "dynamodb:BatchExecuteStatement",
}

LOOKS: Final = (
    "status {app}",
    "balance {app}",
    "archive check --app {app}",
    "trace {event} --app {app}",
    "export {user} --app {app}",
    "parked list --app {app}",
    "parked show {event} --app {app}",
    "preview TRIAL_STARTED --app {app}",
    "settings show {app}",
    "settings diff {settings} {app}",
    # Without --yes they only say what they would do.
    "redrive --app {app}",
    "parked discard --app {app}",
    "forget {user} --app {app}",
    "forget {user} --app {app} --suppress",
    "forget {user} --app {app} --unsuppress",
)
CHANGES: Final = (
    "settings put {settings} {app} --yes",
    "setup {app} --purchasely-secret-file {secret} --yes",
    "send TRIAL_STARTED --app {app}",
    "rotate purchasely {app} --secret-file {secret}",
    "rotate clevertap {app} --passcode-file {passcode}",
    "redrive {event} --app {app} --yes",
    "parked discard {event} --app {app} --yes",
    "forget {user} --app {app} --at-clevertap --suppress --yes",
)
# Nobody is refused these: the emulator lets everybody change an event source mapping, and nobody needs a right to let
# people return who are not suppressed.
UNREFUSED: Final = ("pause --yes", "resume --yes", "forget {user} --app {app} --unsuppress --yes")

type Bridge = Callable[..., CompletedProcess[str]]


@dataclass(frozen=True)
class Parked:
    """An app with a parked event, and what the commands' arguments are called."""

    app: App
    names: Mapping[str, str]


@pytest.fixture
def parked(app: App, clevertap: CleverTap, story: Story, tmp_path: Path) -> Parked:
    events = story("renewals")
    event = next(each for each in events if each["event_name"] == "SUBSCRIPTION_RENEWED")
    clevertap.fail(fault="refuse", code=512, event_name="SUBSCRIPTION_RENEWED", identity=event["user_id"])
    app.put_settings(region="eu1")
    app.tell(event)
    app.becomes("parked", event)
    files = {"settings": '{"region": "in1"}', "secret": "another-shared-secret", "passcode": PRODUCTION.passcode}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    paths = {name: str(tmp_path / name) for name in files}
    return Parked(app, {"app": app.name, "event": event["event_id"], "user": event["user_id"], **paths})


@pytest.fixture(scope="module")
def operator(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bridge]:
    """Runs a command with the rights of some policies."""
    made: dict[tuple[str, ...], LocalStack] = {}

    def signed_in(*policies: str) -> Bridge:
        if policies not in made:
            folder = tmp_path_factory.mktemp("operator")
            state = json.loads((stack.folder / "state.json").read_text(encoding="utf-8"))
            state["credentials"] = _credentials(stack, policies)
            (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
            made[policies] = replace(stack, folder=folder)
        return lambda command, names: run(made[policies], *command.format_map(names).split())

    return signed_in


def test_read_only_looks_and_changes_nothing(operator: Callable[..., Bridge], parked: Parked) -> None:
    bridge = operator("operator-read-only")
    for look in LOOKS:
        done = bridge(f"{look} --json", parked.names)
        assert done.returncode == 0, (look, done.stdout, done.stderr)
        assert "AccessDenied" not in done.stdout + done.stderr, (look, done.stdout, done.stderr)

    # What one may not see is no fault: the parked event is all that is wrong.
    done = bridge("check {app} --deep --json", parked.names)
    found = {each["subject"]: each["good"] for each in json.loads(done.stdout)["findings"]}
    assert [subject for subject, good in found.items() if good is False] == ["parked queue"]
    assert found[f"{parked.app.name}: Purchasely secret"] is None
    assert found[f"{parked.app.name}: test webhook"] is None
    assert "AccessDenied" not in done.stdout

    for change in CHANGES:
        done = bridge(change, parked.names)
        assert done.returncode == 3, (change, done.stdout, done.stderr)
        assert done.stderr.startswith("bridge: AWS refused "), (change, done.stderr)
        assert "AccessDenied" in done.stderr
    assert parked.app.only().outcome == "parked"
    shown = json.loads(bridge("parked show {event} --app {app} --json", parked.names).stdout)
    assert shown["event_id"] == parked.names["event"]


def test_full_may_do_everything(operator: Callable[..., Bridge], parked: Parked) -> None:
    bridge = operator("operator-full")
    for command in ("check {app} --deep", *CHANGES, *UNREFUSED):
        if command.startswith("parked discard"):
            parked.app.becomes("parked", {"event_id": parked.names["event"]})
        done = bridge(f"{command} --json", parked.names)
        assert done.returncode == (1 if command.startswith("check") else 0), (command, done.stdout, done.stderr)
        assert "AccessDenied" not in done.stdout + done.stderr, (command, done.stdout, done.stderr)
    assert parked.app.deliveries()[parked.names["event"]].reason == "discarded"


def test_a_user_hash_takes_a_right_of_its_own(operator: Callable[..., Bridge], parked: Parked) -> None:
    for policies, is_told in (
        (("operator-read-only",), False),
        (("operator-full",), False),
        (("operator-read-only", "user-hashes"), True),
    ):
        done = operator(*policies)("trace {user} --app {app} --json", parked.names)
        assert done.returncode == 0, done.stderr
        assert (json.loads(done.stdout)["user_hash"] is not None) is is_told
        assert ("user-hash-key" in done.stderr) is not is_told


def test_sam_needs_no_more_than_the_deploying_role_has(stack: LocalStack, tmp_path: Path) -> None:
    """What sam itself calls; the resources are CloudFormation's, whose calls the emulator does not check."""
    given = _credentials(stack, ("deploy",))
    # sam's bucket takes nothing that comes without TLS, which the emulator has none of.
    buckets = _root(stack, "s3").list_buckets()["Buckets"]
    _root(stack, "s3").delete_bucket_policy(Bucket=next(each["Name"] for each in buckets))
    command = [str(sam.VENV / "sam" / "bin" / "sam"), "deploy", "--stack-name", STACK_NAME, "--region", sam.REGION]
    template = emulated.write(sam.BUILT, tmp_path.name, {"MaxConcurrency": "2"})
    command += ["--template-file", str(template), "--resolve-s3"]
    command += ["--s3-prefix", STACK_NAME, "--capabilities", "CAPABILITY_IAM", "--no-execute-changeset"]
    command += ["--parameter-overrides", f"Stage={STAGE}", "LogLevel=DEBUG"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "SAM_CLI_TELEMETRY": "0",
            "AWS_ENDPOINT_URL": stack.aws_url,
            **{name.upper(): value for name, value in given.items()},
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Changeset created successfully" in done.stdout


def _credentials(stack: LocalStack, policies: tuple[str, ...]) -> dict[str, str]:
    """Temporary credentials of a role with these policies."""
    iam, sts = (_root(stack, service) for service in ("iam", "sts"))
    name = "-".join(policies)
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    for policy in policies:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=_policy(policy))
    given = sts.assume_role(RoleArn=role, RoleSessionName="operator")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def _root(stack: LocalStack, service: str) -> Any:
    return boto3.Session(
        aws_access_key_id=sam.CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=sam.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=sam.REGION,
    ).client(service, endpoint_url=stack.aws_url)  # type: ignore[call-overload]


def _policy(name: str) -> str:
    """A policy of docs/iam/ as README.md there says to fill it in, for this stack."""
    text = (sam.ROOT / "docs" / "iam" / f"{name}.json").read_text(encoding="utf-8")
    text = text.replace("123456789012", ACCOUNT).replace("eu-west-1", sam.REGION)
    document = json.loads(text.replace("-prod", f"-{STAGE}").replace("/prod/", f"/{STAGE}/"))
    for statement in document["Statement"]:
        # AWS checks a batch of calls by the name of one call, the emulator by its own name.
        listed = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [*listed, *(f"{each}Batch" for each in listed if each.startswith("sqs:"))]
        statement["Action"] += [EMULATORS_NAMES[each] for each in listed if each in EMULATORS_NAMES]
    has = {action for statement in document["Statement"] for action in statement["Action"]}
    unnamed = [name for action, name in WITHOUT_A_RESOURCE.items() if action in has]
    document["Statement"].append({"Effect": "Allow", "Action": unnamed or ["sts:GetCallerIdentity"], "Resource": "*"})
    return json.dumps(document)
