"""`sam build` and `sam deploy`, as a person would run them."""

import fcntl
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .background import LocalStackError, tail

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
BUILT = ROOT / ".aws-sam" / "build" / "template.yaml"
REGION = "eu-west-1"

CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The emulated account's root, and nothing of the account that the person may be signed in to."""


def build(folder: Path) -> None:
    """Builds the functions and the layer; what hasn't changed is taken from the last build."""
    _sam(["build"], {}, folder / "sam-build.log")


def deploy(folder: Path, *, template: Path, name: str, endpoint: str, parameters: Mapping[str, str]) -> None:
    """Deploys the built `template` as stack `name` to the AWS that answers at `endpoint`."""
    command = [
        "deploy",
        "--template-file",
        str(template),
        "--stack-name",
        name,
        "--region",
        REGION,
        "--resolve-s3",
        "--capabilities",
        "CAPABILITY_IAM",
    ]
    command += ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar", "--parameter-overrides"]
    command += [f"{parameter}={value}" for parameter, value in parameters.items()]
    _sam(command, {"AWS_ENDPOINT_URL": endpoint}, folder / "sam-deploy.log")


def architecture() -> str:
    """The template's name for this machine's processor."""
    machine = platform.machine().lower()
    if platform.system() != "Linux" or machine not in _ARCHITECTURES:
        raise LocalStackError(
            "the functions run as they are built for Lambda, so the local stack needs Linux on x86_64 or arm64, "
            f"also in a container or virtual machine; this is {platform.system()} on {machine}"
        )
    return _ARCHITECTURES[machine]


_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def _sam(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    sam = VENV / "sam" / "bin"
    if not (sam / "sam").exists():
        raise LocalStackError("the tools are not installed: run `make setup`")
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    with _alone(), log.open("wb") as output:
        done = subprocess.run(
            [str(sam / "sam"), *arguments],
            cwd=ROOT,
            env={
                **kept,
                **CREDENTIALS,
                **environment,
                "PATH": f"{sam}{os.pathsep}{os.environ.get('PATH', os.defpath)}",  # python3.13 first
                "SAM_CLI_TELEMETRY": "0",
                "__SAM_CLI_APP_DIR": str(ROOT / "build" / "sam"),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise LocalStackError(f"sam {arguments[0]} failed:\n{tail(log)}")


@contextmanager
def _alone() -> Iterator[None]:
    """All stacks of this folder share .aws-sam: one sam at a time."""
    lock = ROOT / "build" / "sam.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
