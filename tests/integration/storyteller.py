"""Tells stories to the real forwarder, on AWS in memory and a CleverTap that takes everything."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clevertap_emulator.account import Account
from purchasely_clevertap.delivery.message import Message, MessageKind
from purchasely_clevertap.sweep import Sweep
from tests.integration.clevertap import ScriptedClevertap, Sent
from tests.integration.cloud import DELIVERIES, SUBSCRIBERS, Cloud
from tests.integration.webhook import encoded
from tests.story import PRODUCTION, SANDBOX, Payload

SECONDS = 3_000
_PAUSE_SECONDS = 20


class Teller:
    """One app whose settings are those of a story. `outcomes` are by event id, with their reason."""

    def __init__(self, cloud: Cloud, settings: Mapping[str, Any], *, sandbox: bool = True) -> None:
        self.cloud = cloud
        self.clevertap = ScriptedClevertap()
        accounts = {"production": {"account_id": PRODUCTION, "passcode": "p"}}
        if sandbox:
            accounts["sandbox"] = {"account_id": SANDBOX, "passcode": "p"}
        cloud.put_secret("clevertap", accounts)
        cloud.put_settings(settings)
        self.worker = cloud.worker(self.clevertap)
        self._count = 0
        self._again: list[tuple[int, Message]] = []
        self.conflicts = 0

    def tell(self, bodies: Iterable[Payload | bytes], received: Sequence[int]) -> None:
        """One batch of webhooks, each received at its time (epoch ms); then all that it sets off."""
        messages = [self._message(body, at) for body, at in zip(bodies, received, strict=True)]
        self.cloud.clock.ms = max(self.cloud.clock.ms, *received)
        self._forward(messages)

    def associate(self, body: Mapping[str, str], at: int) -> None:
        """The app's backend says which CleverTap id a person has."""
        self.cloud.clock.ms = max(self.cloud.clock.ms, at)
        self._forward([self._message(dict(body), at, MessageKind.IDENTITY)])

    def sweep(self, at: int) -> None:
        """The daily sweep."""
        self.cloud.clock.ms = at
        Sweep(
            self.cloud.dynamodb,
            self.worker.events_queue,
            deliveries=DELIVERIES,
            subscribers=SUBSCRIBERS,
            clock=self.cloud.clock,
            segments=2,
        ).run(lambda: 900)
        self._forward(self._queued())
        self.finish()

    def _message(self, body: Payload | bytes, at: int, kind: MessageKind = MessageKind.WEBHOOK) -> Message:
        self._count += 1
        return Message(f"m-{self._count}", "default", encoded(body), at, at, kind=kind)

    def finish(self) -> None:
        """Until nothing comes again."""
        for _ in range(20):
            self._forward([])
            if not self._again:
                return
            self.cloud.clock.advance(_PAUSE_SECONDS)
        raise AssertionError(f"{len(self._again)} messages come again for ever")

    def _forward(self, messages: Sequence[Message]) -> None:
        """Forwards what is new and what is due again, and what that sets off."""
        now = self.cloud.clock.ms
        waiting = [*messages, *(message for due, message in self._again if due <= now)]
        self._again = [(due, message) for due, message in self._again if due > now]
        while waiting:
            results = self.worker.forward(*waiting).messages
            self.conflicts += sum(result.identity_conflict for result in results)
            retried = {result.message.id for result in results if result.outcome.name == "in_flight"}
            self._again += [(now + _PAUSE_SECONDS * 1000, message) for message in waiting if message.id in retried]
            waiting = self._queued()

    def _queued(self) -> list[Message]:
        queued = self.cloud.drain(self.cloud.events_url)
        self._count += len(queued)
        return [
            Message(
                f"m-{self._count}-{number}",
                found.attributes["app"],
                found.body,
                int(found.attributes["received_at"]),
                self.cloud.clock.ms,
                kind=MessageKind(found.attributes.get("kind", "webhook")),
            )
            for number, found in enumerate(queued)
        ]

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each event, `skipped (filtered)` with its reason, by its id."""
        found: dict[str, str] = {}
        for item in self.cloud.dynamodb.scan(TableName=DELIVERIES)["Items"]:
            reason = f" ({item['reason']['S']})" if "reason" in item else ""
            found[item["event"]["S"].removeprefix("default#")] = item["outcome"]["S"] + reason
        return found

    def people(self, account: str) -> dict[str, frozenset[str]]:
        """All ids of each person that CleverTap knows in an account, by each of them."""
        ids: dict[str, set[str]] = {}
        for sent in self._of(account):
            ids.setdefault(sent.identity, {sent.identity})
            tied = sent.record.get("profileData", {}).get("identity")
            if tied is not None:
                joined = ids[sent.identity] | ids.setdefault(tied, {tied})
                for one in joined:
                    ids[one] = joined
        return {one: frozenset(all_of) for one, all_of in ids.items()}

    def profile(self, person: str, account: str) -> dict[str, Any]:
        """The properties of a person, whatever id each was sent to."""
        ids = self.people(account).get(person, frozenset({person}))
        properties: dict[str, Any] = {}
        for sent in self._of(account):
            if sent.record["type"] == "profile" and sent.identity in ids:
                properties |= sent.record["profileData"]
        properties.pop("identity", None)
        return properties

    def events(self, account: str) -> list[Sent]:
        """The event records, in the order of their upload."""
        return [sent for sent in self._of(account) if sent.record["type"] == "event"]

    def objections(self) -> list[object]:
        """What CleverTap's rules have against any record: its refusals, and what it would drop in silence."""
        found: list[object] = []
        for account in (PRODUCTION, SANDBOX):
            emulated = Account(account)
            records = [sent.record for sent in self._of(account)]
            found += filter(None, emulated.take(records, request=1, at=self.cloud.clock.seconds(), scripted={}))
            found += emulated.violations
        return found

    def _of(self, account: str) -> list[Sent]:
        return [sent for sent in self.clevertap.taken if sent.account_id == account]
