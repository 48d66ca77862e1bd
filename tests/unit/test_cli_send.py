"""`bridge send`: what is sent, in which order, and what is held back."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge_cli.__main__ import bridge
from bridge_cli.cli_error import CliError
from bridge_cli.commands.send import Selection, send
from bridge_cli.sample import of_user, renewed, samples
from purchasely_clevertap.purchasely.event import Event, read
from purchasely_sender import LIFECYCLES, Answer, Payload, Webhook, encode
from purchasely_sender.payload import milliseconds

NOW = datetime(2026, 11, 21, 10, 0, 0, 250_000, tzinfo=UTC)


def one(word: str, **choice: Any) -> Payload:
    payload: Payload = json.loads(Selection(**choice).body(word, NOW))
    return payload


def test_a_sample_is_sent_as_a_new_event() -> None:
    first, second = one("TRIAL_STARTED"), one("trial_started")
    sample = samples()["TRIAL_STARTED"]
    assert first["event_id"] != second["event_id"] != sample["event_id"]
    assert 0 <= milliseconds(NOW) - first["event_created_at_ms"] < 1000
    later = first["event_created_at_ms"] - sample["event_created_at_ms"]
    assert first["next_renewal_at_ms"] - sample["next_renewal_at_ms"] == later
    unmoved = {key: value for key, value in first.items() if "_at" not in key and key != "event_id"}
    assert unmoved.items() <= sample.items()


@pytest.mark.parametrize("name", list(samples()))
def test_every_sample_can_be_read_when_it_is_renewed(name: str) -> None:
    assert isinstance(read(encode(renewed(samples()[name], NOW))), Event)


def test_a_file_is_sent_byte_by_byte(tmp_path: Path) -> None:
    file = tmp_path / "event"
    file.write_bytes(b'{ "event_name":\t"\xff" }\n')
    assert Selection().body(str(file), NOW) == file.read_bytes()


def test_a_file_may_be_sent_as_a_new_event(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(encode(samples()["TRIAL_STARTED"]))
    assert one(str(file))["event_id"] == samples()["TRIAL_STARTED"]["event_id"]
    assert one(str(file), fresh=True)["event_id"] != samples()["TRIAL_STARTED"]["event_id"]


@pytest.mark.parametrize(("content", "said"), [(b"[]", "no JSON object"), (b"{}", "no event_created_at_ms")])
def test_what_is_no_event_can_only_be_sent_as_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(content)
    with pytest.raises(CliError, match=said):
        Selection(fresh=True).body(str(file), NOW)


def test_a_sample_may_be_of_a_given_user() -> None:
    payload = one("TRIAL_STARTED", sandbox=True, user_id="me")
    assert (payload["user_id"], payload["environment"]) == ("me", "SANDBOX")


def test_a_user_is_replaced_in_a_transfer_too() -> None:
    payload = {"user_id": "a", "transferred_from_user_id": "b", "transferred_to_user_id": "a", "plan": "a"}
    assert of_user(payload, "a", "me") == payload | {"user_id": "me", "transferred_to_user_id": "me"}


def test_an_anonymous_user_stays_anonymous() -> None:
    assert of_user({"anonymous_user_id": "a"}, None, "me") == {"anonymous_user_id": "a"}


@pytest.mark.parametrize("name", list(LIFECYCLES))
def test_a_lifecycle_is_told_in_order_and_ends_now(name: str) -> None:
    events = [json.loads(body) for body in Selection(sandbox=True).lifecycle(name, NOW)]
    created = [event["event_created_at_ms"] for event in events]
    assert created == sorted(created)
    assert -1000 <= milliseconds(NOW) - created[-1] < 10_000
    assert {event["environment"] for event in events} == {"SANDBOX"}


def test_a_lifecycle_of_a_given_user_is_all_theirs() -> None:
    events = [json.loads(body) for body in Selection(user_id="me").lifecycle("trial_converts", NOW)]
    assert {event["user_id"] for event in events} == {"me"}


def sent(bodies: Sequence[Payload | bytes], *statuses: int) -> list[tuple[str, int | None]]:
    """What each body comes to when ingest answers these, then 200."""
    answers = iter(statuses)

    def post(_webhook: Webhook) -> Answer:
        return Answer(next(answers, 200))

    encoded = [body if isinstance(body, bytes) else encode(body) for body in bodies]
    return [
        (each.event_name, each.answer.status if each.answer else None)
        for each in send(encoded, post, secret="a-secret")
    ]


def test_a_refusal_holds_back_the_same_user() -> None:
    events = [
        {"event_name": "A1", "user_id": "a"},
        {"event_name": "B1", "user_id": "b"},
        {"event_name": "A2", "user_id": "a"},
        {"event_name": "B2", "user_id": "b"},
        {"event_name": "C1", "anonymous_user_id": "c"},
    ]
    assert sent(events, 202) == [("A1", 202), ("B1", 200), ("A2", None), ("B2", 200), ("C1", 200)]


def test_bodies_without_a_user_do_not_wait() -> None:
    assert sent([b"no json", b"[1]", {"event_name": "X"}], 503, 503) == [
        ("7 bytes", 503),
        ("3 bytes", 503),
        ("X", 200),
    ]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(bridge, ["send", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_what_can_be_sent_is_listed_without_an_account() -> None:
    code, out, err = run("--list")
    assert (code, err) == (0, "")
    assert all(name in out for name in (*samples(), *LIFECYCLES))


def test_nothing_to_send_is_wrong_usage() -> None:
    assert run()[0] == 2
