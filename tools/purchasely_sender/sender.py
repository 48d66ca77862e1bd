"""Sends webhooks as Purchasely does (docs.purchasely.com, webhook): only 200 acknowledges, each user has an order."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Self

import requests

from .payload import Payload
from .webhook import Webhook, signed

TIMEOUT_SECONDS = 10.0
RETRIES = 25


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is None when there was no answer; `text` is the body's beginning, or why there was none."""

    status: int | None
    text: str = ""

    @property
    def acknowledged(self) -> bool:
        """Every other status than 200, also 202 and 204, makes Purchasely send again."""
        return self.status == 200


class Sender:
    """One kept-alive connection. Redirects are not followed and no proxy or .netrc of the machine is used."""

    def __init__(self, session: requests.Session | None = None) -> None:
        self._session = session or requests.Session()
        self._session.trust_env = False

    def send(self, url: str, webhook: Webhook) -> Answer:
        """Posts `webhook` once."""
        try:
            response = self._session.post(
                url, data=webhook.body, headers=dict(webhook.headers), timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            return Answer(None, type(error).__name__)
        return Answer(response.status_code, response.text[:500])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._session.close()


@dataclass(frozen=True, slots=True)
class Resent:
    """`acknowledged` in the order of the answers; `held_back` was refused to the end, or waits behind such an event."""

    acknowledged: tuple[Payload, ...]
    held_back: tuple[Payload, ...]
    posts: int


def retry_delay(attempt: int) -> int:
    """Seconds between the attempt (0 is the first) and the next: 20, 26, 46, 116 … 3.8 days, 20 days in all.

    The formula is ours; it gives exactly the delays that Purchasely publishes.
    """
    return attempt**4 + 15 + 5 * (attempt + 1)


def user_of(event: Payload) -> str:
    """Whose event it is: what comes later of the same user waits for it."""
    return str(event.get("user_id") or event.get("anonymous_user_id"))


def resend(
    events: Iterable[Payload],
    send: Callable[[Webhook], Answer],
    *,
    secret: str,
    clock: Callable[[], float],
    wait: Callable[[float], None],
    retries: int = RETRIES,
    fresh_timestamp: bool = True,
) -> Resent:
    """Sends `events`, and each again until it is answered 200 or was retried `retries` times.

    Users do not wait for each other, events of one user do. `clock` gives unix seconds, `wait` takes the seconds to
    the next attempt. Whether Purchasely signs a retry with a new timestamp is not documented: `fresh_timestamp` does,
    otherwise the very same request is sent.
    """
    queues: dict[str, deque[Payload]] = {}
    for event in events:
        queues.setdefault(user_of(event), deque()).append(event)
    turn = count()
    due = [(0.0, next(turn), user, 0) for user in queues]
    latest: dict[str, Webhook] = {}
    acknowledged: list[Payload] = []
    now, posts = 0.0, 0
    while due:
        at, _, user, attempt = heapq.heappop(due)
        if at > now:
            wait(at - now)
            now = at
        queue = queues[user]
        if attempt == 0 or fresh_timestamp:
            latest[user] = signed(queue[0], secret, int(clock()))
        answer = send(latest[user])
        posts += 1
        if answer.acknowledged:
            acknowledged.append(queue.popleft())
            if queue:
                heapq.heappush(due, (now, next(turn), user, 0))
        elif attempt < retries:
            heapq.heappush(due, (now + retry_delay(attempt), next(turn), user, attempt + 1))
    return Resent(tuple(acknowledged), tuple(event for queue in queues.values() for event in queue), posts)
