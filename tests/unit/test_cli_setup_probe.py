"""The test webhook of `bridge setup` and `bridge rotate`: it harms nothing, and waits for ingest that is behind."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from bridge_cli.dry_run import forecast
from bridge_cli.probe import INGEST_SECONDS, USER, Stopwatch, harmless, pass_ingest, refusal
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import Anonymous, LateAction, parse
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_sender import Answer, Webhook, sign

NOW = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)


def test_it_is_the_login_of_a_made_up_user() -> None:
    event = json.loads(harmless(NOW).body)
    assert (event["event_name"], event["environment"]) == ("SUBSCRIPTION_TRANSFERRED", "SANDBOX")
    assert (event["anonymous_user_id"], event["transferred_to_user_id"]) == (USER, USER)
    assert "user_id" not in event
    assert event["event_created_at"] == "2026-02-02T02:39:59.444Z"


def test_each_is_an_event_of_its_own() -> None:
    first, second = harmless(NOW), harmless(NOW)
    assert json.loads(first.body)["event_id"] == first.event_id != second.event_id


@examples(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["*", *CATALOGUE]), st.fixed_dictionaries({"send": st.booleans()}), max_size=5),
    st.sampled_from(["separate", "skip", "mix"]),
    st.sampled_from(Anonymous),
    st.sampled_from(LateAction),
    st.booleans(),
)
def test_clevertap_never_gets_anything_of_it(
    events: dict[str, object], sandbox: str, anonymous: str, late: str, has_sandbox: bool
) -> None:
    document = {
        "events": events,
        "sandbox": sandbox,
        "identity": {"anonymous": anonymous},
        "late_events": {"action": late},
    }
    found = forecast(harmless(NOW).body, Mapper(parse(json.dumps(document))), has_sandbox_account=has_sandbox)
    assert (found.outcome, found.records) == ("skipped", ())


# ── Ingest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Seconds:
    """A clock that goes on by waiting only."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Stopwatch:
        return Stopwatch(lambda: self.now, self.wait)


def scripted(*statuses: int | None) -> tuple[Callable[[str, Webhook], Answer], list[Webhook]]:
    """an ingest function that answers these, the last one for ever, and what it was sent."""
    sent: list[Webhook] = []
    answers: Iterator[int | None] = iter(statuses)

    def send(_url: str, webhook: Webhook) -> Answer:
        sent.append(webhook)
        return Answer(next(answers, statuses[-1]))

    return send, sent


def test_it_is_signed_with_the_secret() -> None:
    send, sent = scripted(200)
    assert pass_ingest("https://ingest", b"{}", "secret-1", clock=Seconds().clock, send=send).status == 200
    headers = sent[0].headers
    timestamp = headers["X-PURCHASELY-TIMESTAMP"]
    assert headers["X-PURCHASELY-REQUEST-SIGNATURE"] == sign("secret-1", timestamp, b"{}")


@pytest.mark.parametrize("status", [401, 404, 500, 503, None])
def test_a_ingest_that_is_behind_is_asked_again(status: int | None) -> None:
    send, sent = scripted(status, status, 200)
    assert pass_ingest("https://ingest", b"{}", "s", clock=Seconds().clock, send=send).status == 200
    assert len(sent) == 3


def test_waiting_for_ingest_ends() -> None:
    seconds = Seconds()
    send, sent = scripted(401)
    assert pass_ingest("https://ingest", b"{}", "s", clock=seconds.clock, send=send).status == 401
    assert INGEST_SECONDS - 5 < seconds.now <= INGEST_SECONDS
    assert len(sent) == len(seconds.waits) + 1


@pytest.mark.parametrize("status", [202, 302, 400, 413, 429])
def test_a_final_answer_is_taken_at_once(status: int) -> None:
    send, sent = scripted(status)
    assert pass_ingest("https://ingest", b"{}", "s", clock=Seconds().clock, send=send).status == status
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(None, "ConnectTimeout"), "no answer from the webhook URL (ConnectTimeout)"),
        (Answer(401), "refuses the signature"),
        (Answer(404), "does not know the app"),
        (Answer(429), "more webhooks than it lets in"),
        (Answer(503), "answers 503"),
        (Answer(413), "answers 413"),
    ],
)
def test_every_refusal_is_explained(answer: Answer, said: str) -> None:
    assert said in refusal(answer)
