"""The files in `events`: made by the sender, and true."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_sender import samples

EVENTS = Path(__file__).parents[2] / "events"
MOMENT = 1_770_000_000
SECRET = "sample-shared-secret"


def read(name: str) -> Any:
    return json.loads((EVENTS / name).read_text(encoding="utf-8"))


def decode_body(request: Any) -> bytes:
    text: str = request["body"]
    return base64.b64decode(text) if request["isBase64Encoded"] else text.encode()


def is_signed(request: Any) -> bool:
    headers = request["headers"]
    message = headers["x-purchasely-timestamp"].encode() + decode_body(request)
    expected = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    return bool(headers["x-purchasely-request-signature"] == expected)


def test_the_files_are_what_the_sender_writes_today(tmp_path: Path) -> None:
    samples.write(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.json")}
    kept = {path.relative_to(EVENTS): path.read_bytes() for path in EVENTS.rglob("*.json")}
    assert made.keys() == kept.keys()
    assert {str(path) for path in made if made[path] != kept[path]} == set(), "run: python -m purchasely_sender samples"


def test_every_event_has_a_sample_and_one_is_unknown() -> None:
    files = {path.stem for path in (EVENTS / "purchasely").glob("*.json")}
    assert files - CATALOGUE.keys() == {"LOYALTY_TIER_REACHED"}
    assert CATALOGUE.keys() <= files


@pytest.mark.parametrize("path", sorted((EVENTS / "purchasely").glob("*.json")), ids=lambda path: path.stem)
def test_a_sample_is_a_recent_event_of_its_name(path: Path) -> None:
    event = read(f"purchasely/{path.name}")
    sent_as = {"ONE_TIME_PURCHASE_ACTIVATED": "ACTIVATE", "ONE_TIME_PURCHASE_DEACTIVATED": "DEACTIVATE"}
    assert event["event_name"] == sent_as.get(path.stem, path.stem)
    assert event["api_version"] == 3
    assert 0 <= MOMENT * 1000 - event["event_created_at_ms"] < 1000


def test_no_two_samples_share_an_id() -> None:
    ids = [read(f"purchasely/{path.name}")["event_id"] for path in (EVENTS / "purchasely").glob("*.json")]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("name", "app", "signed"),
    [
        ("text_body", "default", True),
        ("base64_body", "default", True),
        ("bad_signature", "default", False),
        ("unknown_app", "no-such-app", True),
    ],
)
def test_a_request_is_as_api_gateway_hands_it_over(name: str, app: str, signed: bool) -> None:
    request = read(f"ingest/{name}.json")
    assert (request["version"], request["routeKey"]) == ("2.0", "POST /webhooks/{app}")
    assert request["pathParameters"] == {"app": app}
    assert request["rawPath"] == request["requestContext"]["http"]["path"] == f"/webhooks/{app}"
    assert all(header == header.lower() for header in request["headers"])
    assert request["headers"]["content-length"] == str(len(decode_body(request)))
    assert request["headers"]["x-purchasely-timestamp"] == str(MOMENT)
    assert request["requestContext"]["timeEpoch"] == MOMENT * 1000
    assert is_signed(request) is signed


def test_the_base64_body_holds_more_than_ascii() -> None:
    request = read("ingest/base64_body.json")
    assert request["isBase64Encoded"] is True
    assert not decode_body(request).isascii()
    assert json.loads(decode_body(request))["event_id"]


def records(name: str) -> list[Any]:
    return list(read(f"forwarder/{name}.json")["Records"])


@pytest.mark.parametrize("path", sorted((EVENTS / "forwarder").glob("*.json")), ids=lambda path: path.stem)
def test_sample_messages_have_ingests_attributes(path: Path) -> None:
    ids = set()
    for record in records(path.stem):
        ids.add(record["messageId"])
        attributes = record["messageAttributes"]
        assert attributes.keys() == {"app", "received_at"}
        assert attributes["app"]["dataType"] == "String"
        assert (attributes["received_at"]["dataType"], attributes["received_at"]["stringValue"]) == (
            *("Number", str(MOMENT * 1000)),
        )
        assert record["eventSource"] == "aws:sqs"
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()  # noqa: S324
    assert len(ids) == len(records(path.stem))


def test_one_message_is_one_event() -> None:
    (record,) = records("one_message")
    assert json.loads(record["body"])["event_name"] == "SUBSCRIPTION_STARTED"
    assert record["eventSourceARN"].endswith("EventsQueue")


def test_the_mixed_batch_has_two_apps_and_environments() -> None:
    batch = [
        (record["messageAttributes"]["app"]["stringValue"], json.loads(record["body"])["environment"])
        for record in records("apps_and_environments")
    ]
    assert batch == [
        ("default", "PRODUCTION"),
        ("default", "PRODUCTION"),
        ("default", "SANDBOX"),
        ("second-app", "PRODUCTION"),
    ]


def test_the_malformed_body_is_not_json() -> None:
    (record,) = records("malformed_body")
    with pytest.raises(json.JSONDecodeError):
        json.loads(record["body"])


def test_the_binary_body_is_no_text() -> None:
    (record,) = records("binary_body")
    head, _, encoded = record["body"].partition("base64,")
    assert head == "data:;"
    with pytest.raises(UnicodeDecodeError):
        base64.b64decode(encoded, validate=True).decode()


def test_the_dead_letter_has_its_queues_arn() -> None:
    (record,) = records("dead_letter")
    assert record["eventSourceARN"].endswith("DeadLetterQueue")
    assert record["attributes"]["DeadLetterQueueSourceArn"].endswith("EventsQueue")
    assert json.loads(record["body"])["event_name"] == "TRIAL_CONVERTED"
