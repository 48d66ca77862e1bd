"""The ingest function: what it answers to API Gateway, what it logs and what it measures."""

import json
import string
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purchasely_clevertap.delivery.message import MAX_BODY_BYTES
from tests.integration.cloud import DELIVERIES, Cloud
from tests.integration.function import Function, received
from tests.integration.webhook import SECRET, encoded, event, gateway_event, signed

BODY = encoded(event(event_id="e-1", user="somebody@example.com", plan="premium-monthly"))
# What must never be told: of the payload, of the request, of the secret.
PERSONAL = ("somebody", "premium-monthly", "2000000137582598", SECRET)

type Start = Callable[..., Function]


@pytest.fixture
def start(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Start:
    return lambda **environment: Function("ingest", cloud, monkeypatch, capsys, **environment)


def webhook(
    body: bytes = BODY, *, app: str = "default", secret: str = SECRET, as_base64: bool = False
) -> dict[str, Any]:
    headers = signed(body, secret=secret, timestamp=str(int(time.time())))
    return gateway_event(body, headers, app=app, as_base64=as_base64)


@pytest.mark.parametrize("as_base64", [False, True])
def test_an_accepted_webhook_is_queued_and_noted(cloud: Cloud, start: Start, as_base64: bool) -> None:
    before = time.time()
    assert start()(webhook(as_base64=as_base64)) == {"statusCode": 200, "body": ""}
    (queued,) = received(cloud, cloud.events_url)
    assert queued["Body"] == BODY.decode()
    attributes = {name: value["StringValue"] for name, value in queued["MessageAttributes"].items()}
    assert attributes["app"] == "default"
    assert int(before * 1000) <= int(attributes["received_at"]) <= int(time.time() * 1000)
    entry = cloud.entry("e-1")
    assert entry["messages"] == {queued["MessageId"]}
    assert entry["received_at"] == int(attributes["received_at"])


def test_an_accepted_webhook_is_a_line_and_a_count(cloud: Cloud, start: Start) -> None:
    ingest = start()
    ingest(webhook())
    (line,), metrics = ingest.told()
    (queued,) = received(cloud, cloud.events_url)
    expected = {
        "level": "INFO",
        "message": "accepted",
        "app": "default",
        "message_id": queued["MessageId"],
        "bytes": len(BODY),
        "noted": True,
    }
    assert {key: line.get(key) for key in expected} == expected
    assert metrics.values == {"Accepted": [1], "Unverified": [0]}
    assert metrics.namespaces == {"PurchaselyCleverTap"}
    filed = frozenset({("stage", "test"), ("service", "ingest")})
    assert metrics.dimensions == {filed, filed | {("app", "default"), ("kind", "webhook")}}


def test_a_cold_start_is_counted_once(start: Start) -> None:
    ingest = start()
    for _ in range(2):
        ingest(webhook())
    printed = ingest.printed()
    assert (printed.count('"ColdStart":[1]'), printed.count('"Accepted":[1]')) == (1, 2)


def test_a_former_secret_shows_in_the_line(cloud: Cloud, start: Start) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["current-one", SECRET]})
    ingest = start()
    ingest(webhook())
    ingest(webhook(secret="current-one"))
    lines, _ = ingest.told()
    assert [line.get("signed_with") for line in lines] == ["former", None]
    assert SECRET not in json.dumps(lines)


def test_a_note_that_fails_does_not_change_the_200(cloud: Cloud, start: Start) -> None:
    cloud.dynamodb.delete_table(TableName=DELIVERIES)
    ingest = start()
    assert ingest(webhook())["statusCode"] == 200
    assert len(received(cloud, cloud.events_url)) == 1
    (line,), metrics = ingest.told()
    assert line["noted"] is False
    assert metrics.values == {"Accepted": [1], "Unverified": [0], "UnnotedWebhooks": [1]}


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (lambda: webhook(secret="another"), 401, "wrong_signature"),
        (lambda: gateway_event(BODY, {}), 401, "missing_signature"),
        (lambda: gateway_event(BODY, signed(BODY, timestamp="1000000000")), 401, "timestamp_outside_tolerance"),
        (lambda: webhook(app="unknown"), 404, "unknown_app"),
        (lambda: webhook(app="No App"), 404, "unknown_app"),
        (lambda: webhook(b"x" * (MAX_BODY_BYTES + 1)), 413, "too_large"),
        (lambda: webhook(app="placeholder"), 404, "secret_is_placeholder"),
        (lambda: webhook(app="rubbish"), 503, "secret_unavailable"),
    ],
)
def test_a_refusal_has_status_reason_and_metric(
    cloud: Cloud, start: Start, sent: Callable[[], dict[str, Any]], status: int, reason: str
) -> None:
    cloud.put_secret("purchasely", {"shared_secrets": ["REPLACE_ME"]}, app="placeholder")
    cloud.put_secret("purchasely", "rubbish", app="rubbish")
    ingest = start()
    assert ingest(sent()) == {"statusCode": status, "body": ""}
    assert received(cloud, cloud.events_url) == []
    assert cloud.entry("e-1") == {}
    output = ingest.printed()
    assert not [each for each in (*PERSONAL, "another", "No App", "x" * 100) if each in output]
    _cold_start, line, measured, *more = (json.loads(line) for line in output.splitlines())
    assert (line["level"], line["message"]) == ("WARNING", "refused")
    assert (line["status"], line["reason"]) == (status, reason)
    assert (measured["Refused"], measured["reason"]) == ([1], reason)
    dimensions = measured["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert dimensions == [["service", "stage"], ["service", "stage", "reason"]]
    assert sum("BadSignatures" in each for each in more) == (status == 401)
    assert sum("Unavailable" in each for each in more) == (status == 503)
    about_apps = [each for each in more if "Unverified" in each]
    looked_at = {"wrong_signature": 1, "too_large": 0}
    assert [each["Unverified"] for each in about_apps] == ([[looked_at[reason]]] if reason in looked_at else [])
    assert all((each["app"], each["kind"]) == ("default", "webhook") for each in about_apps)


def test_a_malformed_signature_is_nobodys_share(start: Start) -> None:
    """It is compared with no secret, so nobody knows whether there is such an app."""
    ingest = start()
    headers = signed(BODY, timestamp=str(int(time.time()))) | {"x-purchasely-request-signature": "guess"}
    assert ingest(gateway_event(BODY, headers))["statusCode"] == 401
    assert "Unverified" not in ingest.told()[1].values


def test_the_log_tells_no_payload_and_no_secret(start: Start) -> None:
    ingest = start()
    sent = webhook()
    ingest(sent)
    output = ingest.printed()
    assert "accepted" in output
    for secret in (*PERSONAL, sent["headers"]["x-purchasely-request-signature"]):
        assert secret not in output


def test_invocations_are_counted_one_by_one(start: Start) -> None:
    ingest = start()
    for secret, counted in (
        (SECRET, {"Accepted": [1], "Unverified": [0]}),
        ("guess", {"Refused": [1], "BadSignatures": [1], "Unverified": [1]}),
        (SECRET, {"Accepted": [1], "Unverified": [0]}),
    ):
        ingest(webhook(secret=secret))
        assert ingest.told()[1].values == counted


def test_the_tolerance_is_that_of_the_environment(start: Start) -> None:
    stale = gateway_event(BODY, signed(BODY, timestamp=str(int(time.time()) - 100)))
    assert start(SIGNATURE_TOLERANCE_SECONDS="60")(stale)["statusCode"] == 401
    assert start(SIGNATURE_TOLERANCE_SECONDS="200")(stale)["statusCode"] == 200


HEADER_NAMES = st.sampled_from(
    ["x-purchasely-request-signature", "x-purchasely-timestamp", "X-PURCHASELY-SIGNATURE", "content-type", ""]
)
GARBAGE = st.fixed_dictionaries(
    {},
    optional={
        "body": st.none() | st.text(max_size=40) | st.text(string.ascii_letters + "+/=", max_size=40),
        "isBase64Encoded": st.booleans(),
        "headers": st.none() | st.dictionaries(HEADER_NAMES, st.text(max_size=70), max_size=5),
        "pathParameters": st.none()
        | st.fixed_dictionaries({}, optional={"app": st.text(max_size=45) | st.sampled_from(["default", "other"])}),
    },
)


def test_anything_unsigned_is_refused(cloud: Cloud, start: Start) -> None:
    ingest = start()

    @settings(max_examples=200, deadline=None)
    @given(GARBAGE)
    def holds(garbage: dict[str, Any]) -> None:
        assert ingest(garbage)["statusCode"] in (401, 404)

    holds()
    assert received(cloud, cloud.events_url) == []
