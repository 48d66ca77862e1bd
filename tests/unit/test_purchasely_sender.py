"""Sending: what counts as an answer, retries, order, and the command line."""

import hashlib
import hmac
import json
import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from purchasely_sender import LIFECYCLES, SPECIALS, Answer, Payload, Sender, Webhook, resend, signed
from purchasely_sender.__main__ import main
from purchasely_sender.names import EVENT_NAMES, UNKNOWN_EVENT
from purchasely_sender.sender import RETRIES, Resent, user_of

URL = "https://example.com/webhooks/default"
SECRET = "a-shared-secret"
NOT_AN_ACKNOWLEDGEMENT = [201, 202, 204, 301, 302, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504, None]


class Receiver(BaseAdapter):
    """Answers requests in the process, and remembers them; no socket is opened."""

    def __init__(self, answer: Callable[[requests.PreparedRequest], int] = lambda _: 200) -> None:
        super().__init__()
        self._answer = answer
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []
        self.proxies: list[Mapping[str, str]] = []
        self.closed = False

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        self.requests.append(request)
        self.timeouts.append(options["timeout"])
        self.proxies.append(options["proxies"])
        response = requests.Response()
        response.request = request
        response.url = request.url or ""
        response.status_code = self._answer(request)
        response.headers["Location"] = "https://example.com/elsewhere"
        response.raw = BytesIO(b"an answer")
        return response

    def close(self) -> None:
        self.closed = True

    def sender(self) -> Sender:
        session = requests.Session()
        session.mount("https://", self)
        return Sender(session)

    def bodies(self) -> list[Payload]:
        return [json.loads(decode_body(request)) for request in self.requests]


def decode_body(request: requests.PreparedRequest) -> bytes:
    assert isinstance(request.body, bytes)
    return request.body


def is_signed(request: requests.PreparedRequest) -> bool:
    signature = request.headers.get("X-PURCHASELY-REQUEST-SIGNATURE")
    timestamp = str(request.headers.get("X-PURCHASELY-TIMESTAMP", ""))
    message = timestamp.encode() + (decode_body(request) if request.body else b"")
    return signature == hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()


# Sending once


def test_a_webhook_is_posted_as_it_is() -> None:
    receiver = Receiver()
    webhook = signed({"audience": "Étudiants"}, SECRET, 1_770_000_000)
    assert receiver.sender().send(URL, webhook) == Answer(200, "an answer")
    (request,) = receiver.requests
    assert (request.method, request.url, request.body) == ("POST", URL, webhook.body)
    assert webhook.headers.items() <= request.headers.items()
    assert is_signed(request)
    assert receiver.timeouts == [10.0]


def test_the_connection_is_kept_and_closed_at_the_end() -> None:
    receiver = Receiver()
    with receiver.sender() as sender:
        for _ in range(3):
            sender.send(URL, signed(b"{}", SECRET, 1))
        assert not receiver.closed
    assert receiver.closed
    assert {request.headers["Connection"] for request in receiver.requests} == {"keep-alive"}


def test_a_proxy_of_the_machine_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    receiver = Receiver()
    receiver.sender().send(URL, signed(b"{}", SECRET, 1))
    assert receiver.proxies == [{}]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    receiver = Receiver(lambda _: 302)
    answer = receiver.sender().send(URL, signed(b"{}", SECRET, 1))
    assert answer.status == 302
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("fault", [requests.ConnectionError, requests.ReadTimeout, requests.exceptions.InvalidURL])
def test_no_answer_is_a_value_too(fault: type[Exception]) -> None:
    def fail(_: requests.PreparedRequest) -> int:
        raise fault("https://example.com/secret-looking")

    answer = Receiver(fail).sender().send(URL, signed(b"{}", SECRET, 1))
    assert answer == Answer(None, fault.__name__)


@pytest.mark.parametrize("status", NOT_AN_ACKNOWLEDGEMENT)
def test_only_200_acknowledges(status: int | None) -> None:
    assert not Answer(status).acknowledged
    assert Answer(200).acknowledged


# Sending again


class Line:
    """A scripted receiver on a scripted clock: `answers` by body, 200 when the script has run out."""

    def __init__(self, answers: Mapping[str, list[int | None]] | None = None) -> None:
        self._answers = {key: list(statuses) for key, statuses in (answers or {}).items()}
        self.posts: list[Webhook] = []
        self.waits: list[float] = []
        self.now = 1_770_000_000.0

    def send(self, webhook: Webhook) -> Answer:
        self.posts.append(webhook)
        script = self._answers.get(json.loads(webhook.body)["event_id"])
        return Answer(script.pop(0) if script else 200)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now

    def resend(self, *events: Payload, **more: Any) -> Resent:
        return resend(events, self.send, secret=SECRET, clock=self.clock, wait=self.wait, **more)

    def ids(self) -> list[str]:
        return [json.loads(webhook.body)["event_id"] for webhook in self.posts]


def event(event_id: str, user: str = "u") -> Payload:
    return {"event_id": event_id, "user_id": user}


def test_acknowledged_events_are_sent_once() -> None:
    line = Line()
    result = line.resend(event("1"), event("2"), event("3"))
    assert line.ids() == ["1", "2", "3"]
    assert (list(result.acknowledged), result.held_back, result.posts) == ([event("1"), event("2"), event("3")], (), 3)
    assert line.waits == []


def test_a_refused_event_holds_back_only_its_own_user() -> None:
    line = Line({"1": [503] * 99})
    events = [event("1", "a"), event("2", "a"), event("3", "b"), event("4", "b")]
    result = line.resend(*events, retries=2)
    assert line.ids() == ["1", "3", "4", "1", "1"]
    assert result.held_back == (event("1", "a"), event("2", "a"))
    assert result.acknowledged == (event("3", "b"), event("4", "b"))
    assert result.posts == 5


def test_an_anonymous_user_waits_like_any_other() -> None:
    events = [{"event_id": str(number), "anonymous_user_id": user} for number, user in enumerate("AAB")]
    line = Line({"0": [500]})
    line.resend(*events)
    assert line.ids() == ["0", "2", "0", "1"]


def test_retries_give_up_after_20_days() -> None:
    line = Line({"1": [None] * 99})
    result = line.resend(event("1"))
    assert result.posts == 1 + RETRIES == 26
    assert line.waits[:5] == [20, 26, 46, 116, 296]
    assert [round(wait / 60) for wait in line.waits[5:8]] == [11, 22, 41]
    assert max(line.waits) / 86_400 == pytest.approx(3.8, abs=0.05)
    assert divmod(int(sum(line.waits)), 86_400)[0] == 20
    assert divmod(int(sum(line.waits)) % 86_400, 3600)[0] == 10


def test_the_next_event_begins_with_short_waits_again() -> None:
    line = Line({"1": [500, 500], "2": [500]})
    line.resend(event("1"), event("2"))
    assert line.waits == [20, 26, 20]


def test_a_retry_has_a_new_timestamp() -> None:
    line = Line({"1": [500]})
    line.resend(event("1"))
    one, two = line.posts
    assert one.body == two.body
    assert [webhook.headers["X-PURCHASELY-TIMESTAMP"] for webhook in (one, two)] == ["1770000000", "1770000020"]
    assert one.headers["X-PURCHASELY-REQUEST-SIGNATURE"] != two.headers["X-PURCHASELY-REQUEST-SIGNATURE"]


def test_a_retry_may_be_the_very_same_request() -> None:
    line = Line({"1": [500, 500], "2": [500]})
    line.resend(event("1"), event("2"), fresh_timestamp=False)
    one, again, once_more, two, two_again = line.posts
    assert one == again == once_more != two == two_again


@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.data(),
)
@settings(max_examples=60)
def test_no_event_overtakes_an_earlier_one_of_its_user(users: list[str], data: st.DataObject) -> None:
    events = [event(str(number), user) for number, user in enumerate(users)]
    faults = st.lists(st.sampled_from(NOT_AN_ACKNOWLEDGEMENT), max_size=4)
    line = Line({str(number): data.draw(faults) for number in range(len(users))})
    result = line.resend(*events, retries=3)

    assert sorted(user_of(each) + each["event_id"] for each in (*result.acknowledged, *result.held_back)) == sorted(
        user_of(each) + each["event_id"] for each in events
    )
    posted: dict[str, list[int]] = defaultdict(list)
    for webhook in line.posts:
        body = json.loads(webhook.body)
        posted[body["user_id"]].append(int(body["event_id"]))
    for numbers in posted.values():
        assert numbers == sorted(numbers)
    for blocked in result.held_back:
        behind = [each for each in events if user_of(each) == user_of(blocked) and each not in result.acknowledged]
        assert blocked in behind


# The command line


def run(receiver: Receiver, *arguments: str) -> int:
    return main(
        ["--url", URL, "--secret-env", "SECRET", *arguments], sender=receiver.sender(), environ={"SECRET": SECRET}
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_the_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in (*LIFECYCLES, *SPECIALS))


def test_lifecycles_are_sent_signed_and_end_now(capsys: pytest.CaptureFixture[str]) -> None:
    receiver = Receiver()
    assert run(receiver, "lifecycle", "renewals", "transfer") == 0
    sent = receiver.bodies()
    assert all(is_signed(request) for request in receiver.requests)
    assert {"SUBSCRIPTION_RENEWED", "SUBSCRIPTION_RECEIVED"} <= {body["event_name"] for body in sent}
    age = datetime.now(UTC).timestamp() - max(body["event_created_at_ms"] for body in sent) / 1000
    assert 0 <= age < 60
    printed = capsys.readouterr().out
    assert f"{len(sent)} events acknowledged, 0 held back" in printed
    assert all(body["event_id"] in printed for body in sent)
    assert SECRET not in printed


def test_the_same_seed_sends_the_same_events() -> None:
    one, two, other = Receiver(), Receiver(), Receiver()
    for receiver, seed in ((one, "7"), (two, "7"), (other, "8")):
        run(receiver, "lifecycle", "pause", "--seed", seed, "--end", "2026-02-02T10:00:00")
    assert one.bodies() == two.bodies() != other.bodies()
    assert max(body["event_created_at"] for body in one.bodies()).startswith("2026-02-02T09:59:5")


def test_the_currency_of_the_console_can_be_chosen() -> None:
    receiver = Receiver()
    run(receiver, "lifecycle", "renewals", "--currency", "eur")
    assert all("plan_price_in_eur" in body for body in receiver.bodies())


def test_all_sends_every_lifecycle() -> None:
    receiver = Receiver()
    assert run(receiver, "all", "--seed", "1") == 0
    assert len({body["event_name"] for body in receiver.bodies()}) == len({*EVENT_NAMES, UNKNOWN_EVENT})


def test_a_refusal_is_told_and_holds_the_user_back(capsys: pytest.CaptureFixture[str]) -> None:
    receiver = Receiver(lambda _: 503)
    assert run(receiver, "lifecycle", "renewals") == 1
    assert len(receiver.requests) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("503  ACTIVATE  ")
    assert "0 events acknowledged, 12 held back" in printed


def test_a_file_is_sent_byte_by_byte(file: Path) -> None:
    file.write_bytes(b'{ "event_id": "1",\n "event_name": "X" }\n')
    receiver = Receiver()
    assert run(receiver, "event", str(file)) == 0
    assert receiver.requests[0].body == file.read_bytes()
    assert is_signed(receiver.requests[0])


def test_a_file_that_is_no_event_is_sent_all_the_same(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"\xff not JSON")
    receiver = Receiver(lambda _: 401)
    assert run(receiver, "event", str(file)) == 1
    assert capsys.readouterr().out == "401  10 bytes\n"


def test_a_fresh_event_is_a_new_one_of_this_moment(file: Path) -> None:
    old = LIFECYCLES["renewals"](1, datetime(2024, 1, 1, tzinfo=UTC)).events[1]
    file.write_text(json.dumps(old), encoding="utf-8")
    receiver = Receiver()
    run(receiver, "event", "--fresh", str(file))
    run(receiver, "event", "--fresh", str(file))
    one, two = receiver.bodies()
    assert len({old["event_id"], one["event_id"], two["event_id"]}) == 3
    assert abs(datetime.now(UTC).timestamp() - one["event_created_at_ms"] / 1000) < 60
    period = old["next_renewal_at_ms"] - old["purchased_at_ms"]
    assert one["next_renewal_at_ms"] - one["purchased_at_ms"] == period


def test_curl_prints_a_command_that_sends_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b'{"event_name": "X"}\n')
    receiver = Receiver()
    assert run(receiver, "curl", str(file)) == 0
    assert receiver.requests == []
    command = shlex.split(capsys.readouterr().out.replace("\\\n", ""))
    headers = dict(header.split(": ") for option, header in pairwise(command) if option == "-H")
    assert is_signed(requests.Request("POST", URL, headers, data=file.read_bytes()).prepare())
    assert command[-1] == f"@{file}"


def right_answer(request: requests.PreparedRequest) -> int:
    """What a right receiver answers, told from the request alone."""
    size = int(request.headers.get("Content-Length", 0))
    if not is_signed(request) or "X-PURCHASELY-TIMESTAMP" not in request.headers:
        return 401
    if abs(datetime.now(UTC).timestamp() - int(request.headers["X-PURCHASELY-TIMESTAMP"])) > 22 * 86_400:
        return 401
    return 413 if size > 1024 * 1024 else 200


def test_special_webhooks_have_their_right_answers(capsys: pytest.CaptureFixture[str]) -> None:
    receiver = Receiver(right_answer)
    assert run(receiver, "special") == 0
    assert len(receiver.requests) == len(SPECIALS)
    assert "401  wrong_signature, right is 401" in capsys.readouterr().out


def test_a_receiver_that_believes_everything_is_caught() -> None:
    assert run(Receiver(), "special", "wrong_signature") == 1
    assert run(Receiver(), "special", "not_json") == 0


def test_the_secret_may_stand_in_a_file(file: Path) -> None:
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    receiver = Receiver()
    main(["--url", URL, "--secret-file", str(file), "lifecycle", "renewals"], sender=receiver.sender())
    assert all(is_signed(request) for request in receiver.requests)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", URL, "all"],
        ["--url", URL, "--secret-env", "NOT_THERE", "all"],
        ["--secret-env", "SECRET", "all"],
        ["--url", URL, "--secret-env", "SECRET", "lifecycle", "no_such"],
        ["--url", URL, "--secret-env", "SECRET", "lifecycle"],
        ["--url", URL, "--secret-env", "SECRET", "special", "no_such"],
        [],
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(arguments: list[str]) -> None:
    receiver = Receiver()
    with pytest.raises(SystemExit) as stopped:
        main(arguments, sender=receiver.sender(), environ={"SECRET": SECRET})
    assert stopped.value.code == 2
    assert receiver.requests == []


def test_samples_are_written_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", str(tmp_path / "events")]) == 0
    written = list((tmp_path / "events").rglob("*.json"))
    assert capsys.readouterr().out == f"{len(written)} files in {tmp_path / 'events'}\n"
    assert len(written) > 50
