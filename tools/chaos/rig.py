"""One run: traffic through the whole bridge under a script, until every event is accounted for, and the verdict."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from clevertap_emulator import Emulator
from purchasely_clevertap.aws.changes import PACKING_KEY
from purchasely_clevertap.delivery.keys import entry_key
from purchasely_clevertap.delivery.result import BatchResult, MessageResult
from purchasely_clevertap.ingest import IDENTITIES_ROUTE
from purchasely_clevertap.outcome import Retried, RetryReason, SkipReason
from purchasely_sender import retry_delay, signed

from . import aws, tenants
from .aws import DELIVERIES, SUBSCRIBERS, Aws, CallFault, connections
from .bridge import FORWARDER_TIMEOUT_SECONDS, INGEST_TIMEOUT_SECONDS, STAGE, ForwarderEnvironment, Ingest, build_sweep
from .dynamodb import Item
from .faults import ACTIVE_SECONDS, CONTENDED, FAULTS, Fault, Hot, Script
from .operator import run_forget
from .oracle import Expected
from .queue import Queue
from .simulation import Simulation
from .traffic import (
    ACCOUNTS,
    CREDENTIALS,
    FORGOTTEN_AFTER_SECONDS,
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
    if answer := tenants.ROWS.get(fault):
        day = tenants.run(answer, seed=seed)
        return Verdict(events=len(day.delays) + day.waiting, late=day.late)
    return run(FAULTS[fault], seed=seed, events=events)


@dataclass(frozen=True, slots=True)
class _HotItem:
    """The item of an event, or of the user whom it is about."""

    app: str
    event_id: str
    user: str
    of_event: bool

    @property
    def key(self) -> str:
        return entry_key(self.app, self.event_id) if self.of_event else f"{self.app}#production#user#{self.user}"

    def concerns(self, result: MessageResult) -> bool:
        """Whether a message may have to wait for the item: that of the event, or one that names the person."""
        if result.message.app != self.app:
            return False
        named = self.user == result.user or self.user.encode() in result.message.body
        return result.event_id == self.event_id if self.of_event else named


class _Run:
    def __init__(self, fault: Fault, simulation: Simulation, emulator: Emulator, seed: int, events: int) -> None:
        self._simulation = simulation
        self._emulator = emulator
        self._script = Script(fault, simulation.random, start=START, seconds=TRAFFIC_SECONDS)
        self._traffic = plan(
            seed=seed, events=events, now=START, seconds=TRAFFIC_SECONDS, shuffled=fault.shuffled, phones=fault.phones
        )
        self._aws = Aws(simulation, self._call, most_receives=fault.most_receives)
        connections().aws = self._aws
        self._client = WatchedClient(simulation, emulator, self._upload, read_timeout=fault.read_timeout)
        self._sending = 0
        self._idle: list[Ingest] = []
        self._slowest = 0.0
        self._late: list[str] = []
        self._busy: set[str] = set()
        self._wrong: list[str] = []
        self._hot = self._hot_item()
        self._sleeps_long = False
        self._at_work = 0
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
        if self._traffic.forgotten:
            self._simulation.start("operator", self._forget_all, delay=FORGOTTEN_AFTER_SECONDS)
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

    def _forget_all(self) -> None:
        """As somebody does whom people have asked to be forgotten, one after the other, again until it is done."""
        for user in self._traffic.forgotten:
            before = self._aws.tables.items[SUBSCRIBERS].copy()
            while run_forget(self._simulation, self._aws, user) != 0:
                self._simulation.sleep(2 * 60)
            self._script.strikes += 1
            self._wrong += [f"{user} is forgotten, and {each} is kept" for each in self._kept_of(user)]
            self._wrong += [f"{user} is forgotten, and {each} is gone" for each in self._anothers_gone(user, before)]

    def _anothers_gone(self, user: str, before: Mapping[str, Item]) -> list[str]:
        """What was kept of others and is no more: nothing but the forgetting takes anything away."""
        gone = [
            name
            for name in before.keys() - self._aws.tables.items[SUBSCRIBERS].keys()
            if not name.endswith(f"#{user}") and before[name].get("tied_user") != {"S": user}
        ]
        return gone + [
            name
            for name, item in self._aws.tables.items[DELIVERIES].items()
            if item.get("reason") == {"S": SkipReason.DISCARDED}
        ]

    def _kept_of(self, user: str) -> list[str]:
        """What the tables have of a user of the app named default."""
        key = f"default#production#user#{user}"
        tables = self._aws.tables.items
        kept = ["the profile"] if key in tables[SUBSCRIBERS] else []
        tied = [name for name, item in tables[SUBSCRIBERS].items() if item.get("tied_user") == {"S": user}]
        return kept + tied + [name for name, item in tables[DELIVERIES].items() if item.get("subscriber") == {"S": key}]

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

    def _hot_item(self) -> "_HotItem | None":
        """That of an event that is delivered, or of its person."""
        hot, outcomes = self._script.fault.hot, self._traffic.expected.outcomes
        if hot is None:
            return None
        found = [
            (app, event_id, user)
            for app, event_id, user in map(_named, self._traffic.webhooks)
            if user is not None and outcomes.get((app, event_id)) == "delivered"
        ]
        return _HotItem(*self._simulation.random.choice(found), of_event=hot is Hot.EVENT)

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
        """One execution environment of ingest, which answers one request at a time, and may be a new one."""
        simulation, fault = self._simulation, self._script.fault
        if self._script.happens(simulation.now, fault.cold / 10):
            self._idle.clear()
        ingest = self._idle.pop() if self._idle else Ingest(simulation, self._aws)
        webhook, route = planned.webhook, "POST /webhooks/{app}"
        if planned.association is not None:
            webhook, route = signed(planned.association, SHARED_SECRET, int(simulation.now)), IDENTITIES_ROUTE
        began = simulation.now
        status = simulation.invoke(
            lambda: ingest.handle(planned.app, webhook, route=route), timeout=INGEST_TIMEOUT_SECONDS
        )
        took = simulation.now - began
        if status is not None:
            self._idle.append(ingest)
        self._slowest = max(self._slowest, took)
        if fault.webhook_seconds is not None and (status != 200 or took > fault.webhook_seconds):
            self._late.append(f"a webhook was answered {status} after {took:.1f} s")
        return status

    # Lambda's side

    def _start_working(self) -> None:
        for number in range(self._script.fault.workers):
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
        self._note_who_waits(forwarded.messages)
        self._counted |= {each.event_id for each in forwarded.messages if each.unconfirmed_sends or each.taken_over}
        self._unsettled |= {each.event_id for each in forwarded.messages if each.unsettled}

    def _note_who_waits(self, messages: Sequence[MessageResult]) -> None:
        """Finds events that come again because of the hot item beside them, which is none of theirs.

        An event may be busy once, as its person was just tied to a CleverTap id.
        """
        hot = self._hot
        if hot is None or self._simulation.now >= self._script.hot_until or not any(map(hot.concerns, messages)):
            return
        for each in messages:
            if isinstance(each.outcome, Retried) and not hot.concerns(each):
                reason = each.outcome.reason
                if reason is RetryReason.LEDGER_UNAVAILABLE or (
                    reason is RetryReason.BUSY and each.event_id in self._busy
                ):
                    self._late.append(f"event {each.event_id} waited for another's item: {reason}")
                self._busy.add(each.event_id)

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
        if self._hot is not None and self._simulation.now < self._script.hot_until:
            self._script.strikes += 1
            return aws.Hot(
                frozenset({self._hot.key}),
                self._simulation.random.choice(CONTENDED),
                reads=self._script.fault.hot_reads,
            )
        if operation in ("BatchExecuteStatement", "TransactWriteItems"):
            operation = "settle" if self._client.made.get(self._simulation.current) else "claim"
        return self._script.call(self._simulation.now, operation)

    # The end

    def _is_over(self) -> bool:
        queued = len(self._aws.events) + len(self._aws.dead_letters)
        return not (self._sending or self._at_work or queued or self._client.late)

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
        emulator, tables = self._emulator, self._aws.tables
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
                entries={_event_key(key): Entry.of(item) for key, item in tables.items[DELIVERIES].items()},
                counted=self._counted,
                webhooks=self._aws.webhooks,
                carriers=self._carriers,
            ),
        )
        parked = {self._event(message.attributes) for message in self._aws.parked.messages}
        verdict.strikes = self._script.strikes
        verdict.stale += self._wrong
        verdict.late = self._late
        verdict.slowest_webhook = self._slowest
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


def _named(planned: Planned) -> tuple[str, str, str | None]:
    """App, event and user of a webhook that can be read and is about real purchases; no user else."""
    try:
        payload = json.loads(planned.webhook.body)
    except ValueError:
        payload = {}
    user = payload.get("user_id") if payload.get("environment") == "PRODUCTION" else None
    return planned.app, str(payload.get("event_id")), user
