"""What the functions log: one JSON object a line, and nothing of a person, of a payload or of a secret."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clevertap_emulator import Emulator, Refuse, Status
from purchasely_clevertap.delivery.message import decode_body as carried_body
from purchasely_sender.samples import SAMPLE_SECRET
from tests.runtime.account import ACCOUNTS, Account
from tests.runtime.conftest import Starting
from tests.runtime.test_ingest import decode_body, signed_now

# What a line may tell of an event.
TOLD = {"event_id", "event_name", "source_event_name", "environment"}
LEVELS = ("INFO", "DEBUG")


@pytest.mark.parametrize("level", LEVELS)
def test_the_ingest_logs_neither_secrets_nor_payloads(
    starting: Starting, aws: Account, sample: Callable[[str], Any], level: str
) -> None:
    good = signed_now(sample("ingest/text_body.json"))
    requests = [good, signed_now(sample("ingest/base64_body.json")), sample("ingest/bad_signature.json")]
    with starting("IngestFunction", LOG_LEVEL=level) as function:
        answers = [function.invoke(request)["statusCode"] for request in requests]
        lines = function.lines(lambda line: '"refused"' in line)

    assert answers == [200, 200, 401]
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert told(lines, {queued.id for queued in aws.take("EventsQueue")}), "the lines are of other requests"
    signatures = {request["headers"]["x-purchasely-request-signature"] for request in requests}
    secrets = {SAMPLE_SECRET, *ACCOUNTS.values(), *signatures}
    assert told(lines, {*secrets, *(text for request in requests for text in payload(decode_body(request)))}) == set()


@pytest.mark.parametrize("level", LEVELS)
def test_the_log_has_no_secrets_and_no_payloads(
    starting: Starting, clevertap: Emulator, sample: Callable[[str], Any], level: str
) -> None:
    names = ("one_message", "apps_and_environments", "malformed_body", "binary_body", "dead_letter")
    batches = [sample(f"forwarder/{name}.json") for name in names]
    # CleverTap echoes what it refuses; it also quotes it in its message.
    user = json.loads(batches[0]["Records"][0]["body"])["user_id"]
    clevertap.faults.add(Refuse(512, message=f"Event of {user} is bad. Skipped record number : 2", positions=[2]))
    clevertap.faults.add(Status(401), times=2)
    with starting("ForwarderFunction", LOG_LEVEL=level) as function:
        for batch in batches:
            function.invoke(batch)
        lines = function.lines(lambda line: '"dead_letter"' in line)

    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert told(lines, {record["messageId"] for record in batches[1]["Records"]}), "the lines are of other batches"
    bodies = [carried_body(record["body"]) for batch in batches for record in batch["Records"]]
    assert (
        told(lines, {SAMPLE_SECRET, *ACCOUNTS.values(), *(text for body in bodies for text in payload(body))}) == set()
    )


def payload(body: bytes) -> Iterator[str]:
    """The texts of a payload that no line may hold; short ones, as a country, would be found in any text."""
    try:
        event = json.loads(body)
    except ValueError:
        yield body.decode(errors="replace")
        return
    yield from (str(value) for key, value in event.items() if key not in TOLD and len(str(value)) > 5)


def told(lines: list[str], private: set[str]) -> set[str]:
    """What of `private` stands in the lines."""
    return {text for text in private for line in lines if text in line}
