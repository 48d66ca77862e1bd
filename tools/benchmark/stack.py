"""Through the whole stack on this machine: how many webhooks a second, and how long each takes to CleverTap.

First all are sent, then every one is looked for at the emulated CleverTap, by the time at which it has taken it. AWS is
emulated too, on the same processors, so these numbers tell of the emulation at least as much as of the bridge; what it
alone can do is measured beside them.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import requests

from local_stack import PRODUCTION, SANDBOX, SHARED_SECRET, LocalStack, running
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT
from purchasely_sender import Sender, signed

from . import traffic
from .row import Row, compared, told
from .traffic import Told

_SENDERS = 4
_LOADS = (2.0, 10.0)
_SECONDS = 15.0
_MOST = 300  # webhooks as fast as they are taken
_BARE = 200
_WAIT_SECONDS = 90.0
_UNKNOWN_APP = "Nobody"  # no app has capitals: refused before anything is looked up


@dataclass(frozen=True, slots=True)
class _Sent:
    """When each event was sent, in epoch seconds by its id, and how many seconds all of them took."""

    at: dict[str, float]
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.at) / self.seconds


def rows(folder: Path, say: Callable[[str], None]) -> list[Row]:
    """The rates, and the time from webhook to CleverTap at each load."""
    with running(folder / "stack", say=say) as stack:
        numbers = [int(load * _SECONDS) for load in _LOADS]
        events = iter(_events(sum(numbers) + _MOST + _SENDERS))
        _arrived(stack, _send(stack, list(itertools.islice(events, _SENDERS)), None))  # the functions are warm now
        say("What the emulated AWS alone can do …")
        refused = _refused_rate(stack)
        queued = _queued_rate(stack)
        found: list[Row] = []
        for load, number in (*zip(_LOADS, numbers, strict=True), (None, _MOST)):
            say(f"{number} webhooks, {f'{load:g} a second' if load else 'as fast as they are taken'} …")
            spent, spent_by_all = stack.processes[0].processor_seconds, _busy_seconds()
            sent = _send(stack, list(itertools.islice(events, number)), load)
            busy = (stack.processes[0].processor_seconds - spent) / sent.seconds
            busy_with_all = (_busy_seconds() - spent_by_all) / sent.seconds
            taken = _arrived(stack, sent)
            name = f"local stack at {load:g}/s" if load else "local stack, no pause"
            if load is None:
                found.append(compared(f"{name}: webhooks", sent.rate, "1/s", refused))
            if load is None:
                found.append(told(f"{name}: processors busy with AWS and the functions", busy, "processors"))
                found.append(told(f"{name}: processors busy with whatever", busy_with_all, "processors"))
            found += _times(name, sent, taken)
        return [
            told("local stack: requests that the function refuses at once", refused, "1/s"),
            told("local stack: messages sent to SQS alone", queued, "1/s"),
            *found,
        ]


def _times(name: str, sent: _Sent, taken: dict[str, float]) -> list[Row]:
    seconds = sorted(taken[event_id] - at for event_id, at in sent.at.items() if event_id in taken)
    missing = len(sent.at) - len(seconds)
    found = [Row(f"{name}: webhooks that did not arrive", missing, "webhooks", 0, missing, 0)]
    if len(seconds) > 1:
        cuts = quantiles(seconds, n=100, method="inclusive")
        found += [told(f"{name}: from webhook to CleverTap, p{which}", cuts[which - 1], "s") for which in (50, 95, 99)]
    return found


def _events(number: int) -> list[Told]:
    """Events of different people that the default settings send."""
    default = Mapper(DEFAULT)
    return [each for each in traffic.events(2 * number, traffic.everything()) if traffic.sends(default, each)][:number]


def _send(stack: LocalStack, events: Sequence[Told], load: float | None) -> _Sent:
    """Sends each until it is acknowledged, `load` of them a second; without a load, as fast as they are taken."""
    at: dict[str, float] = {}
    turn = itertools.count()
    began = time.time()

    def work() -> None:
        with Sender() as sender:
            while (index := next(turn)) < len(events):
                event = events[index]
                if load is not None:
                    time.sleep(max(0.0, began + index / load - time.time()))
                at[event.event_id] = time.time()
                while not sender.send(
                    stack.webhook_url(traffic.APP), signed(event.body, SHARED_SECRET, int(time.time()))
                ).acknowledged:
                    time.sleep(0.1)

    _together(work)
    return _Sent(at, time.time() - began)


def _arrived(stack: LocalStack, sent: _Sent) -> dict[str, float]:
    """When CleverTap took each event, in epoch seconds by its id; waits for the last one."""
    end = time.monotonic() + _WAIT_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        while True:
            taken: dict[str, float] = {}
            for account in (PRODUCTION, SANDBOX):
                answer = session.get(
                    f"{stack.clevertap_url}/_emulator/records", params={"account": account.account_id}, timeout=30
                )
                answer.raise_for_status()
                taken |= _times_of(answer.json()["records"])
            if sent.at.keys() <= taken.keys() or time.monotonic() > end:
                return taken
            time.sleep(0.5)


def _times_of(stored: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {
        each["record"]["evtData"]["event_id"]: each["at"]
        for each in stored
        if each["record"]["type"] == "event" and "event_id" in each["record"]["evtData"]
    }


def _refused_rate(stack: LocalStack) -> float:
    """Requests a second through gateway and function that are refused before anything else is asked."""
    webhook = signed(b"{}", SHARED_SECRET, int(time.time()))
    turn = itertools.count()

    def work() -> None:
        with Sender() as sender:
            while next(turn) < _BARE:
                sender.send(stack.webhook_url(_UNKNOWN_APP), webhook)

    return _BARE / _together(work)


def _queued_rate(stack: LocalStack) -> float:
    """Messages a second that the emulated SQS takes, without gateway or function."""
    url = stack.client("sqs").create_queue(QueueName="benchmark")["QueueUrl"]
    turn = itertools.count()

    def work() -> None:
        sqs = stack.client("sqs")
        while next(turn) < _BARE:
            sqs.send_message(QueueUrl=url, MessageBody="{}")

    return _BARE / _together(work)


def _busy_seconds() -> float:
    """What all processors have worked since the machine was started (proc_stat(5): all but idle and iowait)."""
    user, nice, system, _idle, _iowait, *interrupts = Path("/proc/stat").read_text().splitlines()[0].split()[1:8]
    return sum(map(int, (user, nice, system, *interrupts))) / os.sysconf("SC_CLK_TCK")


def _together(work: Callable[[], None]) -> float:
    """Seconds until all senders have ended."""
    began = time.monotonic()
    threads = [threading.Thread(target=work, daemon=True) for _ in range(_SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began
