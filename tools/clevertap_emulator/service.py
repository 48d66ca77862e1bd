"""The emulated CleverTap without HTTP: accounts, scripted faults and a log of the upload requests. Safe for threads."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from clevertap_emulator import answer, rules
from clevertap_emulator.account import Account, Profile, Stored, Violation
from clevertap_emulator.faults import (
    NAMES,
    Cut,
    Delay,
    FailEmpty,
    Faults,
    Hang,
    Interim,
    LostAnswer,
    NotJson,
    Ok,
    Refuse,
    Status,
    Step,
    Truncated,
)
from clevertap_emulator.properties import Object

CONCURRENT_REQUESTS = 15
"""Requests of one account at the same time; one more is answered 429."""


@dataclass(slots=True)
class UploadRequest:
    """One upload request. `status` is None while, and when, no answer has reached the sender.

    `records` is how many it brought (None: malformed), `taken` how many of them were stored,
    `concurrency` how many requests of its account were under way with it, itself included.
    """

    number: int
    account: str
    at: float
    concurrency: int
    dry_run: bool
    fault: str | None = None
    records: int | None = None
    taken: int = 0
    status: int | None = None


@dataclass(slots=True)
class Deletion:
    """One request of the delete API: `kind` is identity or objectId (None: malformed), `deleted` how many users went.

    `status` is None while, and when, no answer has reached the sender.
    """

    account: str
    at: float
    kind: str | None = None
    ids: tuple[str, ...] = ()
    deleted: int = 0
    fault: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """`announced` is the Content-Length, more than `body` holds where the connection is to be cut.

    `interim` is how many interim answers come before it.
    """

    status: int
    body: bytes
    announced: int
    interim: int = 0

    @classmethod
    def of(cls, status: int, body: Object) -> "Reply":
        text = json.dumps(body).encode()
        return cls(status, text, len(text))


class Service:
    """`accounts` maps account ids to passcodes; `now` is the clock in epoch seconds."""

    def __init__(self, accounts: Mapping[str, str], *, now: Callable[[], float] = time.time) -> None:
        self.faults = Faults()
        self._passcodes = dict(accounts)
        self._now = now
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Forgets records, profiles, event types, violations, requests and faults."""
        self.faults.clear()
        with self._lock:
            self._accounts = {account_id: Account(account_id) for account_id in self._passcodes}
            self._requests: list[UploadRequest] = []
            self._deletions: list[Deletion] = []

    @property
    def account_ids(self) -> list[str]:
        return list(self._passcodes)

    @property
    def max_concurrency(self) -> int:
        """The most requests of one account that were under way at the same time."""
        return max((request.concurrency for request in self.requests()), default=0)

    @property
    def under_way(self) -> int:
        """How many requests have arrived and are not done with."""
        with self._lock:
            return sum(self._under_way.values())

    def records(self, account_id: str) -> list[Stored]:
        """What the account has taken, in order. KeyError for an unknown account."""
        with self._lock:
            return list(self._accounts[account_id].records)

    def profiles(self, account_id: str) -> list[Profile]:
        """The account's users. KeyError for an unknown account."""
        with self._lock:
            return self._accounts[account_id].profiles()

    def violations(self) -> list[Violation]:
        with self._lock:
            return [violation for account in self._accounts.values() for violation in account.violations]

    def requests(self) -> list[UploadRequest]:
        with self._lock:
            return [replace(request) for request in self._requests]

    def deletions(self) -> list[Deletion]:
        """The requests of the delete API."""
        with self._lock:
            return [replace(deletion) for deletion in self._deletions]

    def delete(self, account_id: str, passcode: str, body: bytes | None) -> Reply | None:
        """The reply to one request of the delete API, which takes a scripted fault like an upload; None: the connection
        is to end without one."""
        with self._lock:
            step, cleared = self.faults.take()
            self._under_way[account_id] += 1
            concurrency = self._under_way[account_id]
            fault = None if isinstance(step, Ok) else NAMES[type(step)]
            deletion = Deletion(account_id, self._now(), fault=fault)
            self._deletions.append(deletion)
        if isinstance(step, Delay):
            cleared.wait(step.seconds)
        with self._lock:
            account = self._accounts.get(account_id) if self._passcodes.get(account_id) == passcode else None
            reply = self._spoilt(self._judge_deletion(deletion, account, body, concurrency, taken=step.taken), step)
        if isinstance(step, Hang):
            cleared.wait(step.seconds)
        with self._lock:
            self._under_way[account_id] -= 1
            deletion.status = reply.status if reply else None
        return reply

    def upload(
        self, account_id: str, passcode: str, body: bytes | None, *, dry_run: bool
    ) -> tuple[UploadRequest, Reply | None]:
        """One upload request, and the reply to it; None: the connection is to end without one.

        `body` is None where the request has no JSON body at all.
        """
        with self._lock:
            step, cleared = self.faults.take()
            account = self._accounts.get(account_id)
            self._under_way[account_id] += 1
            request = UploadRequest(
                number=len(self._requests) + 1,
                account=account_id,
                at=self._now(),
                concurrency=self._under_way[account_id],
                dry_run=dry_run,
                fault=None if isinstance(step, Ok) else NAMES[type(step)],
            )
            self._requests.append(request)
        if isinstance(step, Delay):
            cleared.wait(step.seconds)
        with self._lock:
            authorized = account if self._passcodes.get(account_id) == passcode else None
            reply = self._spoilt(self._judge(request, authorized, body, step), step)
        if isinstance(step, Hang):
            cleared.wait(step.seconds)
        with self._lock:
            # Before the answer leaves: its reader may send the next request, or look here, at once.
            self._under_way[account_id] -= 1
            request.status = reply.status if reply else None
        return request, reply

    def lose_answer(self, request: UploadRequest) -> None:
        """The sender of a request was gone before its answer."""
        with self._lock:
            if any(each is request for each in self._requests):
                request.status = None
                if account := self._accounts.get(request.account):
                    account.lose_answer(request.number)

    def _judge(self, request: UploadRequest, account: Account | None, body: bytes | None, step: Step) -> Reply:
        """The real answer."""
        if account is None:
            return Reply.of(401, answer.failure(401))
        if request.concurrency > CONCURRENT_REQUESTS:
            return Reply.of(429, answer.failure(429))
        records = None if body is None else rules.records(body)
        if records is None:
            return Reply.of(400, answer.failure(400))
        request.records = len(records)
        store = step.taken and not request.dry_run
        refusals = account.take(
            records,
            request=request.number,
            at=self._now(),
            scripted=step.refusals(records) if isinstance(step, Refuse) else {},
            store=store,
            answer_lost=not step.told,
        )
        request.taken = refusals.count(None) if store else 0
        return Reply.of(200, answer.outcome(records, refusals))

    @staticmethod
    def _judge_deletion(
        deletion: Deletion, account: Account | None, body: bytes | None, concurrency: int, *, taken: bool
    ) -> Reply:
        """The real answer."""
        if account is None:
            return Reply.of(401, answer.failure(401))
        if concurrency > CONCURRENT_REQUESTS:
            return Reply.of(429, answer.failure(429))
        named = None if body is None else rules.deletion(body)
        if named is None:
            return Reply.of(400, answer.failure(400))
        deletion.kind, deletion.ids = named
        if taken:
            deletion.deleted = account.delete(*named)
        return Reply.of(200, {"status": "success"})

    @staticmethod
    def _spoilt(reply: Reply, step: Step) -> Reply | None:
        """What a fault leaves of the real answer."""
        half = reply.body[: len(reply.body) // 2]
        match step:
            case Status(status, None):
                return Reply.of(status, answer.failure(status))
            case Status(status, str(body)):
                text = body.encode(errors="replace")
                return Reply(status, text, len(text))
            case FailEmpty():
                return Reply.of(200, answer.FAIL_EMPTY)
            case NotJson():
                page = b"<html><body>Bad gateway</body></html>"
                return Reply(200, page, len(page))
            case Truncated():
                return Reply(reply.status, half, len(half))
            case Cut():
                return Reply(reply.status, half, len(reply.body))
            case Interim():
                return replace(reply, interim=2)
            case Hang() | LostAnswer():
                return None
            case _:
                return reply
