"""The functions' own handlers with their own wiring, in this process: what they write is counted and thrown away."""

import importlib.util
import io
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from local_stack import sam
from local_stack.template import Template

type Handler = Callable[[Any, "Context"], Any]

_FOLDERS = {"IngestFunction": "ingest", "ForwarderFunction": "forwarder"}


@dataclass(slots=True)
class Context:
    """An invocation that may take as long as it likes."""

    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        """A quarter of an hour, always."""
        return 900_000


class Counted(io.TextIOBase):
    """Standard output that only counts its bytes."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, text: str) -> int:
        """Counts."""
        self.bytes += len(text) if text.isascii() else len(text.encode())
        return len(text)


def environment(function: str, url: str) -> dict[str, str]:
    """What the template gives `function` when AWS and CleverTap answer at `url`."""
    queues = {name: f"{url}/000000000000/{name}" for name in ("EventsQueue", "ParkedQueue")}
    template = Template.load(Stage="benchmark", CleverTapEndpoint=url, **queues)
    given = {name: str(value) for name, value in template.environment(function).items()}
    return {**given, "AWS_ENDPOINT_URL": url}


@contextmanager
def loaded(function: str, url: str) -> Iterator[Handler]:
    """The handler as Lambda has it once the function has started."""
    path = sam.ROOT / "functions" / _FOLDERS[function] / "app.py"
    variables = {**sam.CREDENTIALS, **environment(function, url)}
    with patch.dict(os.environ, variables):
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            os.environ.pop(name, None)
        specification = importlib.util.spec_from_file_location(f"benchmark_{_FOLDERS[function]}", path)
        if specification is None or specification.loader is None:
            raise FileNotFoundError(path)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        yield module.handler


@contextmanager
def silent() -> Iterator[Counted]:
    """Nothing is printed; what would have been is counted."""
    counted = Counted()
    with redirect_stdout(counted):
        yield counted


def invoked(handler: Handler, event: Mapping[str, Any]) -> Any:
    """The answer to one invocation."""
    return handler(event, Context())
