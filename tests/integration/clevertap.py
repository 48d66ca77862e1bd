"""A CleverTap in this process that follows a script, in the place of the real client."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.client import CONNECT_TIMEOUT_SECONDS, MARGIN_SECONDS, READ_TIMEOUT_SECONDS, Client
from purchasely_clevertap.clevertap.limits import MAX_RECORDS
from purchasely_clevertap.clevertap.response import Accepted, NotTaken, RecordResult, Unknown, Upload
from purchasely_clevertap.outcome import RetryReason

# What the real client wants to have left before it begins a request.
NEEDED_SECONDS = CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS + MARGIN_SECONDS


class Killed(BaseException):
    """The worker dies here, as by SIGKILL: no code of its own sees it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it came, and the account that it came to."""

    account_id: str
    record: dict[str, Any]

    @property
    def name(self) -> str:
        """The event's name; "profile" for a profile."""
        return str(self.record.get("evtName", "profile"))

    @property
    def identity(self) -> str:
        return str(self.record.get("identity") or self.record.get("objectId"))


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one request: `during` is called first; CleverTap takes what it says it has accepted.

    With `taken` it takes everything, whatever it says.
    """

    result: Callable[[Sent], RecordResult] = lambda _: Accepted()
    taken: bool = False
    during: Callable[[], None] = lambda: None


def answer(result: RecordResult, *, of: str | None = None) -> Step:
    """`result` for every record, or for those of the event name `of` only, the others being accepted."""
    return Step(lambda sent: result if of in (None, sent.name) else Accepted())


def lost_answer() -> Step:
    """CleverTap takes everything and the answer never arrives."""
    return Step(lambda _: Unknown(RetryReason.TIMEOUT), taken=True)


def while_uploading(action: Callable[[], object]) -> Step:
    """Everything is accepted; meanwhile `action` happens."""

    def during() -> None:
        action()

    return Step(during=during)


def killed_before() -> Step:
    """The worker dies before CleverTap has taken anything."""

    def die() -> None:
        raise Killed

    return Step(during=die)


def killed_after() -> Step:
    """CleverTap takes everything, and the worker dies before it can look at the answer."""

    def die(_: Sent) -> RecordResult:
        raise Killed

    return Step(die, taken=True)


class ScriptedClevertap(Client):
    """Plays `script`, one step a request, then `otherwise`; remembers what it was sent and what it took."""

    def __init__(self) -> None:  # it has no connection, so nothing of the real one is made
        self.script: deque[Step] = deque()
        self.otherwise = Step()
        self.requests: list[tuple[Credentials, list[Sent]]] = []
        self.taken: list[Sent] = []

    def upload(self, account: Credentials, records: Sequence[bytes], *, time_left: Callable[[], float]) -> Upload:
        results: list[RecordResult] = []
        requests = 0
        for start in range(0, len(records), MAX_RECORDS):
            together = [Sent(account.account_id, json.loads(record)) for record in records[start : start + MAX_RECORDS]]
            if time_left() <= NEEDED_SECONDS:
                results += [NotTaken(RetryReason.NO_TIME_LEFT)] * len(together)
                continue
            requests += 1
            results += self._answer(account, together)
        return Upload(tuple(results), requests, 0.25)

    def _answer(self, account: Credentials, together: list[Sent]) -> list[RecordResult]:
        step = self.script.popleft() if self.script else self.otherwise
        self.requests.append((account, together))
        step.during()
        if step.taken:
            self.taken += together
        results = [step.result(sent) for sent in together]
        if not step.taken:
            self.taken += [sent for sent, result in zip(together, results, strict=True) if isinstance(result, Accepted)]
        return results

    @property
    def events(self) -> list[str]:
        """The names of the event records that were taken, Charged among them."""
        return [sent.name for sent in self.taken if sent.record["type"] == "event"]

    @property
    def profiles(self) -> list[dict[str, Any]]:
        """The properties of the profile records that were taken."""
        return [sent.record["profileData"] for sent in self.taken if sent.record["type"] == "profile"]

    def profile(self, identity: str, account_id: str = "PRODUCTION-ID") -> dict[str, Any]:
        """The profile that follows from the records taken."""
        properties: dict[str, Any] = {}
        for sent in self.taken:
            if sent.record["type"] == "profile" and (sent.identity, sent.account_id) == (identity, account_id):
                properties |= sent.record["profileData"]
        return {key: value for key, value in properties.items() if value != {"$delete": 1}}
