"""Cold starts: from nothing to the answer of the first invocation, under Lambda's own runtime interface.

The packages are those of `sam build`; beside them there is what the real runtime has, with its compiled files. Each
start is a new process, whose clock begins when the invocation is posted: the interface starts the runtime only then.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from local_stack import SHARED_SECRET, LocalStackError, sam
from local_stack.lambda_function import EMULATOR, RUNTIME, Package, running
from purchasely_sender import LIFECYCLES, encode, signed
from purchasely_sender.samples import batch, gateway_request, queue_message

from .fake_aws import StandIn, standing_in
from .function import environment
from .rounds import medians
from .row import Row, compared, told

HANDLERS = Path(__file__).parent / "handlers"
STARTS, QUICK_STARTS = 11, 3
_INGEST_TARGET, _FORWARDER_TARGET = 1.25, 1.6
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class _Start:
    """What is started and what it is to do first; `good` says whether its answer is that of success."""

    function: str
    event: Mapping[str, Any]
    good: Callable[[Any], bool]
    handler: str = "app.handler"
    before: Sequence[Path] = ()
    layer: bool = True


def rows(folder: Path, starts: int = STARTS) -> list[Row]:
    """Milliseconds of a cold start of each function, and of a function that only sends a message with boto3."""
    for tool in (EMULATOR, RUNTIME):
        if not tool.exists():
            raise LocalStackError(f"{tool} is missing: run `make setup`")
    built = folder / "packages"
    shutil.rmtree(built, ignore_errors=True)
    shutil.copytree(sam.ROOT / ".aws-sam" / "build", built)  # set apart, so that no later build takes it away
    try:
        with standing_in(folder) as endpoints:
            runs = {name: _Runs(start, built, folder, endpoints) for name, start in _starts().items()}
            found = medians({name: each.measure for name, each in runs.items()}, starts)
    finally:
        shutil.rmtree(built, ignore_errors=True)
    processor = {name: median(each.processor) for name, each in runs.items()}
    bare, bare_processor = found["bare"], processor["bare"]
    return [
        told("cold start: a handler that does nothing", found["idle"], "ms"),
        told("cold start: boto3 and one message", bare, "ms"),
        compared("cold start: ingest", found["ingest"], "ms", bare, _INGEST_TARGET),
        compared("cold start: ingest, processor", processor["ingest"], "ms", bare_processor),
        compared("cold start: forwarder", found["forwarder"], "ms", bare, _FORWARDER_TARGET),
        compared("cold start: forwarder, processor", processor["forwarder"], "ms", bare_processor),
        *(told(f"cold start: {name}, memory", median(runs[name].memory), "MB") for name in ("ingest", "forwarder")),
    ]


def _starts() -> dict[str, _Start]:
    now = datetime.now(UTC)
    body = encode(LIFECYCLES["renewals"].ending(1, now).events[-1])
    request = gateway_request("default", signed(body, SHARED_SECRET, int(now.timestamp())))
    message = batch(queue_message(body.decode(), sent=int(now.timestamp() * 1000)))
    none_failed: dict[str, list[str]] = {"batchItemFailures": []}
    own = [HANDLERS]
    return {
        "idle": _Start("IngestFunction", {}, lambda answer: answer is None, "idle.handler", own, layer=False),
        "bare": _Start("IngestFunction", {"body": body.decode()}, _is_200, "bare.handler", own, layer=False),
        "ingest": _Start("IngestFunction", request, _is_200),
        "forwarder": _Start("ForwarderFunction", message, lambda answer: bool(answer == none_failed)),
    }


def _is_200(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.get("statusCode") == 200


class _Runs:
    """Starts one function, again and again; `processor` has the milliseconds of each start, `memory` its MB."""

    def __init__(self, start: _Start, built: Path, folder: Path, endpoints: StandIn) -> None:
        self.processor: list[float] = []
        self.memory: list[float] = []
        self._start = start
        self._package = Package.of(built, start.function)
        self._folder = folder
        self._endpoints = endpoints

    def measure(self) -> float:
        """Milliseconds from posting the invocation to its answer."""
        start = self._start
        self._endpoints.reset({})
        with running(
            self._package,
            self._folder,
            environment(start.function, self._endpoints.url),
            timeout=_TIMEOUT_SECONDS,
            handler=start.handler,
            before=start.before,
            layer=start.layer,
        ) as function:
            spent = function.process.processor_seconds
            began = time.perf_counter()
            answer = function.invoke(start.event)
            seconds = time.perf_counter() - began
            self.processor.append((function.process.processor_seconds - spent) * 1000)
            self.memory.append(function.process.most_memory / 1024**2)
        if not start.good(answer):
            raise LocalStackError(f"a cold start of {start.handler} of {start.function} ends with {answer}")
        return seconds * 1000
