"""The stack of `make up` on this machine, by the state file that tools/local_stack writes.

An installed `bridge` has no tools/local_stack, so the CLI reads the file itself.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

FOLDER: Final = Path("build/local")
"""The folder of the state file, below the project's folder."""

_REGION: Final = "eu-west-1"
_ROOT: Final = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
_CONNECT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A stack in an emulated AWS; `url` is the endpoint of that AWS.

    `credentials` are whose rights a command has, by the names that boto3 gives them; the account's root unless the
    state file says otherwise.
    """

    url: str
    outputs: Mapping[str, str]
    credentials: Mapping[str, str] = field(default_factory=lambda: _ROOT, repr=False)

    def webhook_url(self, app: str) -> str:
        """The URL that takes the webhooks of `app`, in the emulated API Gateway."""
        return f"{self.url}/_aws/execute-api/{self.outputs['ApiId']}/$default/webhooks/{app}"

    def client(self, service: Any, config: Config | None = None) -> Any:
        """A boto3 client of the emulated AWS."""
        session = boto3.Session(
            aws_access_key_id=self.credentials["aws_access_key_id"],
            aws_secret_access_key=self.credentials["aws_secret_access_key"],
            aws_session_token=self.credentials.get("aws_session_token"),
            region_name=_REGION,
        )
        return session.client(service, endpoint_url=self.url, config=config)


def find(folder: Path | None = None) -> LocalStack | None:
    """The stack of `folder`, or of the project that holds the current folder; None unless it is deployed and runs."""
    for place in [folder] if folder else [parent / FOLDER for parent in (Path.cwd(), *Path.cwd().parents)]:
        try:
            state = json.loads((place / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        stack = LocalStack(state["aws_url"], state["outputs"], state.get("credentials", _ROOT))
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
