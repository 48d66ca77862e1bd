"""A test webhook that harms nothing: rightly signed, through the real URL, and skipped whatever the settings are."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from bridge_cli.account import Account, in_words
from bridge_cli.deliveries import Delivery, delivery
from bridge_cli.output import working
from bridge_cli.reason import explained
from bridge_cli.sample import renewed, samples
from purchasely_clevertap.outcome import Skipped
from purchasely_sender import Answer, Sender, Webhook, encode, signed

type Send = Callable[[str, Webhook], Answer]

USER: Final = "purchasely-clevertap-check"
"""The made-up user of a test webhook."""

# an ingest function asks for the same secret at most every ten seconds, and takes an app for unknown for thirty.
INGEST_SECONDS: Final = 45.0
# The longest batch window and a cold start; what fails at first is tried again after half a minute.
OUTCOME_SECONDS: Final = 90.0
_PAUSE_SECONDS: Final = 2.0
# The answers of an ingest function that has not read the secret yet, and of a gateway whose function has not started.
_PASSING: Final = (401, 404, 500, 503, None)


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Seconds that pass, and waiting for them."""

    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = time.sleep


@dataclass(frozen=True, slots=True)
class Probe:
    """The body of a test webhook and its event's id."""

    event_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test webhook, in `words`; `good` unless something is wrong."""

    good: bool
    words: str
    event_id: str
    status: int | None = None
    outcome: str | None = None
    reason: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def harmless(now: datetime | None = None) -> Probe:
    """The login of a made-up anonymous user, as a test purchase. It tells CleverTap nothing whatever the settings are:
    the forwarder skips the anonymous half of a login."""
    event = renewed(samples()["SUBSCRIPTION_TRANSFERRED"], now) | {
        "environment": "SANDBOX",
        "anonymous_user_id": USER,
        "transferred_to_user_id": USER,
    }
    del event["user_id"]
    return Probe(event["event_id"], encode(event))


def pass_ingest(url: str, body: bytes, secret: str, *, clock: Stopwatch, send: Send | None = None) -> Answer:
    """Sends `body`, signed with `secret`, until it is acknowledged or ingest must have read the secret anew."""
    if send is None:
        with Sender() as sender:
            return pass_ingest(url, body, secret, clock=clock, send=sender.send)
    ends = clock.now() + INGEST_SECONDS
    while True:
        answer = send(url, signed(body, secret, int(time.time())))
        if answer.status not in _PASSING or clock.now() + _PAUSE_SECONDS > ends:
            return answer
        clock.wait(_PAUSE_SECONDS)


def refusal(answer: Answer) -> str:
    """What an answer other than 200 means for a webhook that was rightly signed, and what to do."""
    match answer.status:
        case None:
            return f"no answer from the webhook URL ({answer.text}): look at the connection, then try again"
        case 401:
            return "ingest refuses the signature (401): something on the way changes the body, or a clock is wrong"
        case 404:
            return "ingest does not know the app (404): the URL belongs to another stack, or to another stage"
        case 429:
            return "ingest has more webhooks than it lets in (429): try again, or raise the parameter ThrottleRate"
        case status:
            return f"ingest answers {status}: its reason is in the log group of the output IngestLogGroup"


def settled(account: Account, app: str, event_id: str, *, clock: Stopwatch) -> Delivery | None:
    """What became of the event, as soon as it has an outcome; None if it has none in time."""
    dynamodb, table = account.client("dynamodb"), account.output("DeliveriesTableName")
    ends = clock.now() + OUTCOME_SECONDS
    while True:
        found = delivery(dynamodb, table, app=app, event_id=event_id)
        if found is not None and found.outcome is not None:
            return found
        if clock.now() + _PAUSE_SECONDS > ends:
            return None
        clock.wait(_PAUSE_SECONDS)


def prove(account: Account, app: str, secret: str, *, clock: Stopwatch, send: Send | None = None) -> Outcome:
    """Sends a test webhook signed with `secret` and waits for the outcome of its event."""
    probe = harmless()
    with working("A signed test webhook goes to ingest …"):
        answer = pass_ingest(account.webhook_url(app), probe.body, secret, clock=clock, send=send)
    if not answer.acknowledged:
        return Outcome(good=False, words=refusal(answer), event_id=probe.event_id, status=answer.status)
    try:
        with working("Its event goes to the forwarder …"):
            found = settled(account, app, probe.event_id, clock=clock)
    except (ClientError, BotoCoreError) as error:
        words = f"A signed test webhook was answered 200; what became of its event was not looked up: {in_words(error)}"
        return Outcome(good=True, words=words, event_id=probe.event_id, status=answer.status)
    return _outcome(probe, answer, found)


def _outcome(probe: Probe, answer: Answer, found: Delivery | None) -> Outcome:
    good = found is not None and found.outcome == Skipped.name
    words = "A signed test webhook was answered 200, "
    if found is None:
        words += (
            f"but its event still has no outcome after {OUTCOME_SECONDS:.0f} s: `bridge check` may say why, "
            f"`bridge trace {probe.event_id}` what became of it."
        )
    elif good:
        words += f"and its event skipped, as it should: {explained(found.reason)}"
    else:
        words += f"but its event was not skipped, it is {found.outcome}: `bridge trace {probe.event_id}` says more."
    outcome, reason = (found.outcome, found.reason) if found else (None, None)
    return Outcome(good, words, probe.event_id, answer.status, outcome, reason)
