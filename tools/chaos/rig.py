"""One run: traffic through the whole bridge under a script, until every event is accounted for, and the verdict."""

import json
from collections.abc import Mapping, Sequence
from functools import partial

from clevertap_emulator import Emulator
from purchasely_clevertap.aws.changes import PACKING_KEY
from purchasely_clevertap.delivery.result import BatchResult
from purchasely_clevertap.ingest import IDENTITIES_ROUTE
from purchasely_sender import retry_delay, signed

from .aws import DELIVERIES, SUBSCRIBERS, Aws, CallFault, connections
from .bridge import FORWARDER_TIMEOUT_SECONDS, INGEST_TIMEOUT_SECONDS, STAGE, ForwarderEnvironment, Ingest, build_sweep
from .faults import ACTIVE_SECONDS, FAULTS, Fault, Script
from .oracle import Expected
from .queue import Queue
from .simulation import Simulation
from .traffic import (
    ACCOUNTS,
    CREDENTIALS,
    SETTINGS,
    SHARED_SECRET,
    SWEPT_AFTER_SECONDS,
    Planned,
    plan,
)
from .uploading import UploadFault, WatchedClient, event_of
from .verdict import Entry, Remembered, Verdict, judge, reached

# 2026-02-02T02:40:00Z.
START = 1_770_000_000.0
TRAFFIC_SECONDS = 600.0
_UPGRADED_AFTER_SECONDS = 20 * 3600.0
# Less than SQS keeps a message.
LONGEST_SECONDS = 13 * 24 * 3600.0
_WORKERS = 4
_MOST_TOGETHER = 60
_REDRIVES = 20
_REDRIVEN_CLEANLY = 0.8


def run(fault: Fault, *, seed: int, events: int) -> Verdict:
    """The verdict on one run with about so many events."""
    simulation = Simulation(seed=seed, start=START)
    with Emulator(ACCOUNTS, now=simulation.seconds) as emulator:
        try:
            return _Run(fault, simulation, emulator, seed, events).verdict()
        finally:
            simulation.close()


def run_named(fault: str, *, seed: int, events: int) -> Verdict:
    """The same for the fault of that name: a script does not travel to another process."""
    return run(FAULTS[fault], seed=seed, events=events)


class _Run:
    def __init__(self, fault: Fault, simulation: Simulation, emulator: Emulator, seed: int, events: int) -> None:
        self._simulation = simulation
        self._emulator = emulator
        self._script = Script(fault, simulation.random, start=START, seconds=TRAFFIC_SECONDS)
        self._traffic = plan(seed=seed, events=events, now=START, seconds=TRAFFIC_SECONDS, shuffled=fault.shuffled)
        self._aws = Aws(simulation, self._call, most_receives=fault.most_receives)
        connections().aws = self._aws
        self._client = WatchedClient(simulation, emulator, self._upload, read_timeout=fault.read_timeout)
        self._sending = 0
        self._sleeps_long = False
        self._at_work = 0
        self._late = 0
        self._counted: set[str] = set()
        self._unsettled: set[str] = set()
        self._excused: set[tuple[int, int]] = set()
        self._carriers = _carriers(self._traffic.webhooks)

    def verdict(self) -> Verdict:
        self._set_up()
        self._start_sending()
        self._start_working()
        for number in range(self._script.fault.redrives):
            self._simulation.at(ACTIVE_SECONDS / self._script.fault.redrives * number, self._redrive_some)
        end = START + LONGEST_SECONDS
        self._simulation.run(self._is_over, most=LONGEST_SECONDS)
        for number in range(_REDRIVES):
            if not self._redrive(everything=number == 0):
                break
            self._simulation.run(self._is_over, most=end - self._simulation.now)
        verdict = self._judge(self._traffic.expected)
        if not verdict.findings:
            self._sweep()
            swept = self._judge(self._traffic.swept)
            verdict.lost += swept.lost
            verdict.doubled += swept.doubled
            verdict.stale += swept.stale
        return verdict

    def _sweep(self) -> None:
        """What the daily sweep does when everything is over by its dates."""
        self._sleeps_long = True
        simulation = self._simulation
        simulation.run(lambda: simulation.now >= START + SWEPT_AFTER_SECONDS, most=2 * SWEPT_AFTER_SECONDS)
        self._sleeps_long = False
        self._at_work += 1

        def run() -> None:
            build_sweep(simulation, self._aws).run(lambda: 900.0)
            self._at_work -= 1

        simulation.start("sweep", run)
        simulation.run(self._is_over, most=LONGEST_SECONDS)

    def _set_up(self) -> None:
        for app, settings in SETTINGS.items():
            self._put_secret(app, "purchasely", json.dumps({"shared_secrets": [SHARED_SECRET]}))
            self._put_secret(app, "clevertap", json.dumps(CREDENTIALS[app]))
            self._put_settings(app, json.dumps(settings))
        if not self._script.fault.former:
            self._pack_from(self._simulation.random.choice((0.0, TRAFFIC_SECONDS / 2)))
        for begin, end in self._script.spells:
            for app in SETTINGS:
                self._simulation.at(begin - START, partial(self._spoil, app))
                self._simulation.at(end - START, partial(self._mend, app))

    def _pack_from(self, seconds: float) -> None:
        """States are packed so long after the beginning, by each worker once it has asked."""
        self._aws.tables.items[SUBSCRIBERS][PACKING_KEY] = {
            "subscriber": {"S": PACKING_KEY},
            "packed_from": {"N": str(int((START + seconds) * 1000))},
        }

    def _spoil(self, app: str) -> None:
        fault, random = self._script.fault, self._simulation.random
        self._script.strikes += bool(fault.secrets or fault.settings)
        for name in ("purchasely", "clevertap") if fault.secrets else ():
            self._put_secret(app, name, random.choice(fault.secrets))
        if fault.settings:
            self._put_settings(app, random.choice(fault.settings))

    def _mend(self, app: str) -> None:
        fault = self._script.fault
        if fault.secrets:
            self._put_secret(app, "purchasely", json.dumps({"shared_secrets": [SHARED_SECRET]}))
            self._put_secret(app, "clevertap", json.dumps(CREDENTIALS[app]))
        if fault.settings:
            self._put_settings(app, json.dumps(SETTINGS[app]))

    def _put_secret(self, app: str, name: str, text: str) -> None:
        self._aws.secrets[f"purchasely-clevertap/{STAGE}/{app}/{name}"] = text

    def _put_settings(self, app: str, text: str) -> None:
        self._aws.parameters.setdefault(f"/purchasely-clevertap/{STAGE}/{app}/settings", []).append(text)

    # Purchasely's side

    def _start_sending(self) -> None:
        by_user: dict[tuple[str, str], list[Planned]] = {}
        for planned in self._traffic.webhooks:
            by_user.setdefault((planned.app, planned.user), []).append(planned)
        self._ingest = Ingest(self._simulation, self._aws)
        for webhooks in by_user.values():
            self._sending += 1
            self._simulation.start("ingest", partial(self._send_all, webhooks), delay=webhooks[0].after)
        if replays := self._script.fault.replays:
            self._sending += 1
            captured = self._simulation.random.choice(self._traffic.webhooks)
            self._simulation.start("stranger", partial(self._replay, captured, replays), delay=captured.after)

    def _send_all(self, webhooks: list[Planned]) -> None:
        """As Purchasely: nothing of a user is sent while something is not answered 200."""
        for planned in webhooks:
            self._simulation.sleep(START + planned.after - self._simulation.now)
            attempt = 0
            while self._answer(planned) != 200:
                self._simulation.sleep(retry_delay(attempt))
                attempt += 1
            if self._script.happens(self._simulation.now, self._script.fault.twice):
                self._simulation.sleep(self._simulation.random.choice((0, 1, 20)))
                self._answer(planned)
        self._sending -= 1

    def _replay(self, captured: Planned, times: int) -> None:
        """As a stranger who has captured a request. What is refused is not sent again."""
        for _ in range(times):
            self._simulation.sleep(self._simulation.random.expovariate(times / TRAFFIC_SECONDS / 2))
            self._answer(captured)
        self._script.strikes += times
        self._sending -= 1

    def _answer(self, planned: Planned) -> int | None:
        if self._script.happens(self._simulation.now, self._script.fault.cold / 10):
            self._ingest = Ingest(self._simulation, self._aws)
        ingest = self._ingest
        webhook, route = planned.webhook, "POST /webhooks/{app}"
        if planned.association is not None:
            webhook, route = signed(planned.association, SHARED_SECRET, int(self._simulation.now)), IDENTITIES_ROUTE
        return self._simulation.invoke(
            lambda: ingest.handle(planned.app, webhook, route=route), timeout=INGEST_TIMEOUT_SECONDS
        )

    # Lambda's side

    def _start_working(self) -> None:
        for number in range(_WORKERS):
            self._simulation.start(f"forwarder {number}", partial(self._work, self._aws.events, _MOST_TOGETHER))
        self._simulation.start("forwarder of dead letters", partial(self._work, self._aws.dead_letters, 10))

    def _work(self, queue: Queue, most: int) -> None:
        simulation, random = self._simulation, self._simulation.random
        environment = self._environment()
        while True:
            simulation.sleep(self._pause(queue))
            received = queue.receive(random.randint(1, most), again=self._script.again(simulation.now))
            if not received:
                continue
            is_replaced = environment.is_former and simulation.now >= START + _UPGRADED_AFTER_SECONDS
            if is_replaced or self._script.happens(simulation.now, self._script.fault.cold):
                environment = self._environment()
            self._at_work += 1
            handle = partial(environment.handle, queue, received, ends_at=simulation.now + FORWARDER_TIMEOUT_SECONDS)
            failed = simulation.invoke(handle, timeout=FORWARDER_TIMEOUT_SECONDS)
            self._excuse(killed=failed is None)
            if failed is None:
                environment = self._environment()
            else:
                for message, receipt in received:
                    if message.id not in failed:
                        queue.delete(
                            receipt, comes_again=self._script.happens(simulation.now, self._script.fault.again / 3)
                        )
            self._at_work -= 1

    def _environment(self) -> ForwarderEnvironment:
        return ForwarderEnvironment(
            self._simulation,
            self._aws,
            self._client,
            endpoint=self._emulator.url,
            heard=self._heard,
            is_former=self._simulation.now < START + _UPGRADED_AFTER_SECONDS
            and self._simulation.random.random() < self._script.fault.former,
        )

    def _pause(self, queue: Queue) -> float:
        """Until a batch is worth a look."""
        now, next_at = self._simulation.now, queue.next_visible_at
        if next_at is not None and next_at <= now:
            return self._simulation.random.uniform(0.1, 3)
        longest = 2.0 if self._sending else 43_200.0 if self._sleeps_long else 300.0
        return min(longest, max(next_at - now, 0.1) if next_at is not None else longest)

    def _heard(self, forwarded: BatchResult) -> None:
        self._counted |= {each.event_id for each in forwarded.messages if each.unconfirmed_sends or each.taken_over}
        self._unsettled |= {each.event_id for each in forwarded.messages if each.unsettled}

    def _excuse(self, *, killed: bool) -> None:
        """Nobody can know what came of the uploads of a worker that died, or that could not write it down."""
        for request in self._client.made.pop(self._simulation.current, []):
            for position, record in enumerate(request.records, start=1):
                found = event_of(record)
                if found and (killed or found[0] in self._unsettled) and not self._is_settled(*found):
                    self._excused.add((request.number, position))

    def _is_settled(self, event_id: str, name: str) -> bool:
        """Whether the event that brought the record knows what became of it."""
        kind = {"Charged": "charged", "Refunded": "refunded"}.get(name, "event")
        carriers = {event_id} if kind == "event" else {event_id, *self._carriers.get(event_id, ())}
        entries = self._aws.tables.items[DELIVERIES]
        items = [entries[key] for each in carriers for app in SETTINGS if (key := f"{app}#{each}") in entries]
        return all("outcome" in item for item in items) or any(
            kind in item.get("accepted", {}).get("SS", ()) for item in items
        )

    # What happens to an upload and to a call of AWS

    def _upload(self, records: int) -> UploadFault | None:
        return self._script.upload(self._simulation.now, records)

    def _call(self, operation: str) -> CallFault | None:
        if operation in ("BatchExecuteStatement", "TransactWriteItems"):
            operation = "settle" if self._client.made.get(self._simulation.current) else "claim"
        return self._script.call(self._simulation.now, operation)

    # The end

    def _is_over(self) -> bool:
        aws = self._aws
        return not (self._sending or self._at_work or len(aws.events) or len(aws.dead_letters) or self._client.late)

    def _redrive(self, *, everything: bool) -> bool:
        """Sends parked events back as the operator's cli does; whether there was any."""
        parked = [
            message
            for message in self._aws.parked.messages
            if everything or self._event(message.attributes) not in self._traffic.unusable
        ]
        for message in parked:
            self._aws.events.send(message.body, message.attributes)
            self._aws.parked.remove(message.id)
        return bool(parked)

    def _redrive_some(self) -> None:
        """As somebody does who does not wait for the end, and whose redrive breaks off before its last step."""
        for message in self._aws.parked.messages:
            self._aws.events.send(message.body, message.attributes)
            if self._simulation.random.random() < _REDRIVEN_CLEANLY:
                self._aws.parked.remove(message.id)

    @staticmethod
    def _event(attributes: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
        return attributes["app"]["StringValue"], attributes["event_id"]["StringValue"]

    def _judge(self, expected: Expected) -> Verdict:
        emulator, aws = self._emulator, self._aws
        if len(emulator.requests()) != self._client.requests:
            raise AssertionError("the rig has lost count of the requests")
        clevertap = reached(
            {account: emulator.records(account) for account in ACCOUNTS},
            {account: emulator.profiles(account) for account in ACCOUNTS},
            emulator.violations(),
            self._excused | self._client.timed_out,
        )
        verdict = judge(
            expected,
            clevertap,
            Remembered(
                entries={_event_key(key): Entry.of(item) for key, item in aws.tables.items[DELIVERIES].items()},
                counted=self._counted,
                webhooks=aws.webhooks,
                carriers=self._carriers,
            ),
        )
        parked = {self._event(message.attributes) for message in aws.parked.messages}
        verdict.strikes = self._script.strikes
        verdict.lost += [f"event {event[1]} is not in the parked queue" for event in self._traffic.unusable - parked]
        return verdict


def _carriers(webhooks: Sequence[Planned]) -> dict[str, frozenset[str]]:
    """By event, all events of its purchase: whichever comes last may bring the money of the others."""
    purchases: dict[str, set[str]] = {}
    for planned in webhooks:
        try:
            payload = json.loads(planned.webhook.body)
        except ValueError:
            continue
        if isinstance(payload, dict) and isinstance(transaction := payload.get("store_transaction_id"), str):
            purchases.setdefault(transaction.strip(), set()).add(str(payload.get("event_id")))
    return {each: frozenset(events) for events in purchases.values() for each in events}


def _event_key(key: str) -> tuple[str, str]:
    app, _, event_id = key.partition("#")
    return app, event_id
