"""The stack of `make up` on this machine, as its own state file tells of it.

The file is written by tools/local_stack. Nothing else of that is used, so that an installed `bridge` needs none of it.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3

FOLDER: Final = Path("build/local")
"""Where `make up` keeps its state, below the project's folder."""

_REGION: Final = "eu-west-1"
_CREDENTIALS: Final = "test"  # an emulated AWS has no secrets
_CONNECT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A stack that answers at `url` in the place of AWS."""

    url: str
    outputs: Mapping[str, str]

    def webhook_url(self, app: str) -> str:
        """Where the webhooks of `app` go: the emulated gateway's own address for the deployed API."""
        return f"{self.url}/_aws/execute-api/{self.outputs['ApiId']}/$default/webhooks/{app}"

    def client(self, service: Any) -> Any:
        """A boto3 client of the emulated AWS, with all rights."""
        session = boto3.Session(aws_access_key_id=_CREDENTIALS, aws_secret_access_key=_CREDENTIALS, region_name=_REGION)
        return session.client(service, endpoint_url=self.url)


def find(folder: Path | None = None) -> LocalStack | None:
    """The stack of `folder`, or of the project that the present folder is in; None unless it is deployed and up."""
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
