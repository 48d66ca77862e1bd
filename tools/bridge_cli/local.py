"""The stack of `make up` on this machine, by the state file that tools/local_stack writes.

An installed `bridge` has no tools/local_stack, so the CLI reads the file itself.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

FOLDER: Final = Path("build/local")
"""The folder of the state file, below the project's folder."""

_REGION: Final = "eu-west-1"
_CREDENTIALS: Final = "test"  # the emulated AWS takes any
_CONNECT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A stack in an emulated AWS; `url` is the endpoint of that AWS."""

    url: str
    outputs: Mapping[str, str]

    def webhook_url(self, app: str) -> str:
        """The URL that takes the webhooks of `app`, in the emulated API Gateway."""
        return f"{self.url}/_aws/execute-api/{self.outputs['ApiId']}/$default/webhooks/{app}"

    def client(self, service: Any, config: Config | None = None) -> Any:
        """A boto3 client of the emulated AWS, with all rights."""
        session = boto3.Session(aws_access_key_id=_CREDENTIALS, aws_secret_access_key=_CREDENTIALS, region_name=_REGION)
        return session.client(service, endpoint_url=self.url, config=config)


def find(folder: Path | None = None) -> LocalStack | None:
    """The stack of `folder`, or of the project that holds the current folder; None unless it is deployed and runs."""
    for place in [folder] if folder else [parent / FOLDER for parent in (Path.cwd(), *Path.cwd().parents)]:
        try:
            state = json.loads((place / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        stack = LocalStack(state["aws_url"], state["outputs"])
        if stack.outputs and _answers(stack.url):
            return stack
    return None


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), _CONNECT_SECONDS):
            return True
    except OSError:
        return False
