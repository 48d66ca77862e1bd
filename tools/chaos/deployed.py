"""The same through the deployed local stack: the packaged functions, in processes that are really killed, in real time.

One stack serves all rows, one after the other. Only what takes a minute or more to come to its end, as the lease of a
dead worker does, goes on while the next rows are under way. Each row is judged by its own events.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import requests

from clevertap_emulator import Profile, Stored, Violation
from local_stack import PRODUCTION, SANDBOX, SHARED_SECRET, LocalStack, Options, running, stop
from purchasely_sender import LIFECYCLES, Payload, Sender, signed

from .oracle import Expected, Policy, expect
from .verdict import Entry, Reached, Remembered, Verdict, judge, reached

APP = "default"
_POLICIES = {APP: Policy.of({}, PRODUCTION.account_id, SANDBOX.account_id)}
# Longer than a batch takes that is not disturbed; the template's 420 s would make everybody wait.
_VISIBILITY_SECONDS = 20
# The lease of a dead worker, 90 s, and some tries after it.
_LONGEST_SECONDS = 200.0
_UPLOAD_SECONDS = 15.0
_ASKED_SECONDS = 60.0  # simulations may have all processors meanwhile
_STRIKE_SECONDS = 1.0
_SENDERS = 4
_STORIES = 8  # of each row: some 70 events

type Step = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the stack while events are sent: a script for each part of them.

    `kills` workers; `lasts` longer than the next row waits.
    """

    name: str
    scripts: Sequence[Callable[["Deployed"], None]]
    kills: bool = False
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row under way, and what must come of its events."""

    fault: Fault
    expected: Expected


class Deployed:
    """A stack that is up, its emulated CleverTap, and what can be done to both."""

    def __init__(self, stack: LocalStack, random: Random) -> None:
        self.random = random
        self._stack = stack
        self._clevertap = requests.Session()
        self._clevertap.trust_env = False
        self._dynamodb = stack.client("dynamodb")
        stack.client("sqs").set_queue_attributes(
            QueueUrl=stack.outputs["EventsQueueUrl"], Attributes={"VisibilityTimeout": str(_VISIBILITY_SECONDS)}
        )

    def start(self, fault: Fault, seed: int) -> Row:
        """Sends the events of some lifecycles while the fault is at work."""
        end = datetime.now(UTC) - timedelta(seconds=5)
        stories = [
            scenario.ending(seed, end).events for scenario in self.random.sample(list(LIFECYCLES.values()), _STORIES)
        ]
        for number, script in enumerate(fault.scripts):
            part = [event for story in stories[number :: len(fault.scripts)] for event in story]
            sending = threading.Thread(target=self.send, args=(part,), daemon=True)
            sending.start()
            script(self)
            sending.join()
        return Row(fault, expect([(APP, event) for story in stories for event in story], _POLICIES))

    def send(self, events: Sequence[Payload]) -> None:
        """Sends the events as Purchasely does, each user's in their order, and again until they are answered 200."""
        by_user: dict[str, list[Payload]] = {}
        for event in events:
            by_user.setdefault(str(event.get("user_id") or event.get("anonymous_user_id")), []).append(event)
        users = list(by_user.values())
        threads = [
            threading.Thread(target=self._send_all, args=(users[number::_SENDERS],), daemon=True)
            for number in range(_SENDERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send_all(self, users: Sequence[Sequence[Payload]]) -> None:
        with Sender() as sender:
            for events in users:
                for event in events:
                    while not sender.send(
                        self._stack.webhook_url(APP), signed(event, SHARED_SECRET, int(time.time()))
                    ).acknowledged:
                        time.sleep(0.3)

    def script(self, *steps: Step) -> None:
        """Queues steps of the emulated CleverTap."""
        answer = self._clevertap.post(f"{self._stack.clevertap_url}/_emulator/faults", json=list(steps), timeout=10)
        answer.raise_for_status()

    def ask(self, what: str, **query: str) -> Any:
        """What the emulated CleverTap tells."""
        answer = self._clevertap.get(
            f"{self._stack.clevertap_url}/_emulator/{what}", params=query, timeout=_ASKED_SECONDS
        )
        answer.raise_for_status()
        return answer.json()

    def strike(self, fault: str) -> None:
        """Has an upload wait for a second, by `fault`, and waits until it has arrived."""
        before = len(self.ask("requests")["requests"])
        self.script({"fault": fault, "seconds": _STRIKE_SECONDS})
        _wait_until(
            lambda: any(each["fault"] == fault for each in self.ask("requests")["requests"][before:]), _UPLOAD_SECONDS
        )

    def signal_workers(self, function: str, number: signal.Signals) -> None:
        """Sends a signal to the processes in which Lambda runs `function`, those apart that are frozen."""
        for pid in list(self._workers(function)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _workers(self, function: str) -> Iterator[int]:
        """The stack's own processes only: those whose forebear its MiniStack is."""
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdecimal() and f"{function}Function" in _variable(folder, "AWS_LAMBDA_FUNCTION_NAME"):
                    pid = int(folder.name)
                    if self._stack.processes[0].pid in _forebears(pid) and _status(pid)[0] != "T":
                        yield pid

    def put_secret(self, output: str, text: str) -> None:
        self._stack.client("secretsmanager").put_secret_value(SecretId=self._stack.outputs[output], SecretString=text)

    @contextmanager
    def without_credentials(self) -> Iterator[None]:
        """For the time of the block the CleverTap secret holds rubbish, and no worker remembers what it held."""
        self.put_secret("DefaultCleverTapSecretName", "not JSON")
        try:
            self.signal_workers("Forwarder", signal.SIGKILL)
            yield
        finally:
            accounts = {
                name: {"account_id": each.account_id, "passcode": each.passcode}
                for name, each in (("production", PRODUCTION), ("sandbox", SANDBOX))
            }
            self.put_secret("DefaultCleverTapSecretName", json.dumps(accounts))

    def entries(self) -> dict[tuple[str, str], Entry]:
        """What the bridge remembers of each event."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._stack.outputs["DeliveriesTableName"], ConsistentRead=True
        )
        items: Iterator[Any] = (item for page in pages for item in page["Items"])
        found = {}
        for item in items:
            app, _, event_id = item["event"]["S"].partition("#")
            found[app, event_id] = Entry.of(item)
        return found

    def judge(self, row: Row) -> Verdict:
        """Waits until every event of the row has its outcome, and judges them."""

        def entries() -> dict[tuple[str, str], Entry]:
            return {event: entry for event, entry in self.entries().items() if event in row.expected.outcomes}

        def is_over(event: tuple[str, str], outcome: str | None) -> bool:
            """A held event may still be released."""
            return outcome is not None and (outcome != "held" or row.expected.outcomes[event] == "held")

        _wait_until(lambda: all(is_over(event, entry.outcome) for event, entry in entries().items()), _LONGEST_SECONDS)
        remembered = Remembered(entries(), (), sum(entry.webhooks for entry in entries().values()))
        return judge(row.expected, self._reached(row, remembered), remembered)

    def _reached(self, row: Row, remembered: Remembered) -> Reached:
        """What CleverTap has of the events and the people of a row."""
        records: dict[str, list[Stored]] = {}
        profiles: dict[str, list[Profile]] = {}
        excused: set[tuple[int, int]] = set()
        expected = row.expected
        people = {each for person in expected.profiles for each in expected.ids.get(person, {person[1]})}
        for account in (PRODUCTION.account_id, SANDBOX.account_id):
            records[account] = []
            for each in self.ask("records", account=account)["records"]:
                event = APP, each["record"].get("evtData", {}).get("event_id")
                if event in row.expected.outcomes:
                    records[account].append(Stored(**each))
                    # A worker that was killed with the answer in its hands has lost it too: only the bridge can tell.
                    if row.fault.kills and remembered.entries[event].unconfirmed_sends:
                        excused.add((each["request"], each["position"]))
            found = [Profile(**each) for each in self.ask("profiles", account=account)["profiles"]]
            profiles[account] = [each for each in found if people.intersection((*each.identities, *each.object_ids))]
        requests_of_the_row = {stored.request for listed in records.values() for stored in listed}
        violations = [
            Violation(**each) for each in self.ask("violations")["violations"] if each["request"] in requests_of_the_row
        ]
        return reached(records, profiles, violations, excused)


def run(
    folder: Path,
    faults: Sequence[Fault],
    *,
    seed: int,
    say: Callable[[str], None],
    told: Callable[[str, Verdict], None],
) -> None:
    """A run of each of `faults`, in a stack of their own; `told` hears of each verdict.

    `folder` begins empty: what a run left that crashed, and its stack if that still runs, is gone.
    """
    if folder.exists():
        stop(folder)
        shutil.rmtree(folder)
    options = Options(retry_base_seconds=1, retry_max_seconds=4, max_concurrency=5)
    with running(folder, options, say) as stack:
        deployed = Deployed(stack, Random(seed))  # noqa: S311 - faults are scripted, not secret
        lasting: list[Row] = []
        for number, fault in enumerate(faults):
            say(f"{fault.name} …")
            row = deployed.start(fault, 1000 * seed + number)
            if fault.lasts:
                lasting.append(row)
            else:
                told(fault.name, deployed.judge(row))
        for row in lasting:
            say(f"{row.fault.name}: waiting until every event has its outcome …")
            told(row.fault.name, deployed.judge(row))


def _killed_before(deployed: Deployed) -> None:
    """CleverTap takes nothing of what it has been sent."""
    deployed.strike("hang")
    deployed.signal_workers("Forwarder", signal.SIGKILL)


def _killed_during(deployed: Deployed) -> None:
    """CleverTap takes it all the same."""
    deployed.strike("delay")
    deployed.signal_workers("Forwarder", signal.SIGKILL)


def _killed_after(deployed: Deployed) -> None:
    """The answer is on its way, or has just been read."""
    deployed.strike("delay")
    time.sleep(_STRIKE_SECONDS)
    deployed.signal_workers("Forwarder", signal.SIGKILL)


def _frozen(deployed: Deployed) -> None:
    """Nothing of it runs any more, until Lambda ends it for its time."""
    deployed.strike("delay")
    deployed.signal_workers("Forwarder", signal.SIGSTOP)


def _ingests_killed(deployed: Deployed) -> None:
    for _ in range(4):
        time.sleep(deployed.random.uniform(0.1, 0.6))
        deployed.signal_workers("Ingest", signal.SIGKILL)


def _failing(deployed: Deployed) -> None:
    deployed.script(
        {"fault": "status", "status": 503},
        {"fault": "status", "status": 429, "times": 2},
        {"fault": "fail_empty"},
        {"fault": "refuse", "code": 555, "positions": [1, 3]},
        {"fault": "status", "status": 401},
    )


def _answers_lost(deployed: Deployed) -> None:
    deployed.script(
        {"fault": "lost_answer"},
        {"fault": "cut", "taken": True},
        {"fault": "not_json", "taken": True},
        {"fault": "truncated", "taken": True},
    )


def _hanging(deployed: Deployed) -> None:
    deployed.script({"fault": "hang", "seconds": 30}, {"fault": "hang", "seconds": 30, "taken": True})


def _without_credentials(deployed: Deployed) -> None:
    with deployed.without_credentials():
        time.sleep(4)


FAULTS = (
    Fault("deployed: frozen until its time is over", [_frozen], kills=True, lasts=True),
    Fault(
        "deployed: kill -9 around the upload",
        [_killed_before, _killed_during, _killed_after],
        kills=True,
        lasts=True,
    ),
    Fault("deployed: no fault", [lambda _: None]),
    Fault("deployed: failing answers", [_failing]),
    Fault("deployed: the secret holds rubbish", [_without_credentials], kills=True, lasts=True),
    Fault("deployed: hangs beyond the time-out", [_hanging], lasts=True),
    Fault("deployed: answers lost", [_answers_lost]),
    Fault("deployed: kill -9 of ingest", [_ingests_killed]),
)


def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    """Waits until `done`, or for so many seconds."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)


def _variable(process: Path, name: str) -> str:
    variables = (process / "environ").read_bytes().split(b"\0")
    found = [each.partition(b"=")[2] for each in variables if each.startswith(f"{name}=".encode())]
    return found[0].decode(errors="replace") if found else ""


def _forebears(pid: int) -> Iterator[int]:
    while pid > 1:
        pid = int(_status(pid)[1])
        yield pid


def _status(pid: int) -> list[str]:
    """State, parent … (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
