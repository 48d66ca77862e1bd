"""A packaged function under Lambda's own runtime interface, with what the real runtime has and nothing else.

AWS's runtime interface emulator, which comes with the SAM CLI, plays the service: it starts the runtime, hands it the
events and stops what takes longer than the timeout.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from . import sam
from .background import Background, LocalStackError, free_port

EMULATOR = sam.VENV / f"sam/lib/python3.13/site-packages/samcli/local/rapid/aws-lambda-rie-{sam.architecture()}"
RUNTIME = sam.VENV / "runtime" / "bin" / "python"

_OF_THE_EMULATOR = re.compile(r"\d\d \w{3} \d{4} .*\(rapid\)|(START|END|REPORT) RequestId: ")
_WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Package:
    """What `sam build` made of a function, and of the layer."""

    function: Path
    layer: Path

    @classmethod
    def of(cls, built: Path, function: str) -> "Package":
        return cls(built / function, built / "BridgeLayer" / "python")


@dataclass(frozen=True, slots=True)
class LambdaFunction:
    """A function that is ready; it starts with the first invocation, as on Lambda."""

    url: str
    log: Path
    process: Background

    def invoke(self, event: object) -> Any:
        """The answer to `event`: what the handler returned, an error's description, or the text of a timeout."""
        answer = requests.post(
            f"{self.url}/2015-03-31/functions/function/invocations", data=json.dumps(event), timeout=60
        )
        try:
            return answer.json()
        except ValueError:
            return answer.text

    def lines(self, wanted: Callable[[str], bool] = lambda _line: True) -> list[str]:
        """What the function wrote, line by line, once a wanted line is among it: the emulator passes it on in time."""
        end = time.monotonic() + _WAIT_SECONDS
        while True:
            lines = [line for line in self.log.read_text().splitlines() if not _OF_THE_EMULATOR.match(line)]
            if any(map(wanted, lines)):
                return lines
            if time.monotonic() > end:
                raise LocalStackError(f"no such line within {_WAIT_SECONDS:g} s in {lines}")
            time.sleep(0.02)

    def entries(self, message: str) -> list[dict[str, Any]]:
        """The log entries of that message, once there is one."""
        lines = self.lines(lambda line: json.loads(line).get("message") == message)
        return [entry for entry in map(json.loads, lines) if entry.get("message") == message]


@contextmanager
def running(
    package: Package,
    folder: Path,
    environment: Mapping[str, str],
    *,
    timeout: int,
    handler: str = "app.handler",
    before: Sequence[Path] = (),
    layer: bool = True,
) -> Iterator[LambdaFunction]:
    """The function for as long as the block lasts. `timeout` in seconds; `before` comes first on the path."""
    port, interface = free_port(), free_port()
    path = [*before, package.function, *([package.layer] if layer else [])]
    process = Background.start(
        "the Lambda runtime",
        [
            str(EMULATOR),
            f"--runtime-interface-emulator-address=127.0.0.1:{port}",
            f"--runtime-api-address=127.0.0.1:{interface}",
            str(RUNTIME),
            *("-m", "awslambdaric", handler),
        ],
        {
            **sam.CREDENTIALS,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",  # /var/task and /opt can't be written to
            "TZ": ":UTC",
            **environment,
        },
        folder / f"{package.function.name}-{port}.log",
    )
    try:
        process.require(port, _WAIT_SECONDS)
        yield LambdaFunction(f"http://127.0.0.1:{port}", Path(process.log), process)
    finally:
        process.stop()
