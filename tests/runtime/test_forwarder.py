"""The function that uploads, as it is packaged: batches from SQS in, records at CleverTap, failed messages back."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from clevertap_emulator import Emulator
from local_stack.lambda_function import LambdaFunction
from purchasely_clevertap.delivery.message import decode_body
from tests.runtime.account import PRODUCTION, SANDBOX, SECOND, Account
from tests.runtime.conftest import Starting

type Batch = dict[str, list[dict[str, Any]]]

DONE: Batch = {"batchItemFailures": []}


def bodies(batch: Batch) -> list[bytes]:
    return [decode_body(record["body"]) for record in batch["Records"]]


def just_came(batch: Batch) -> None:
    """The samples were sent long ago, and what can't be delivered for two days is parked."""
    batch["Records"][0]["attributes"]["SentTimestamp"] = str(int(time.time() * 1000))


def sent(clevertap: Emulator, account: dict[str, str]) -> list[str]:
    """The names of the event records that the account has taken."""
    return [
        str(stored.record["evtName"])
        for stored in clevertap.records(account["account_id"])
        if stored.record["type"] == "event"
    ]


def test_an_event_is_delivered_with_its_profile(
    forwarder: LambdaFunction, aws: Account, clevertap: Emulator, sample: Callable[[str], Batch]
) -> None:
    batch = sample("forwarder/one_message.json")
    event = json.loads(bodies(batch)[0])

    assert forwarder.invoke(batch) == DONE

    profile, record = (stored.record for stored in clevertap.records(PRODUCTION["account_id"]))
    assert (profile["type"], profile["identity"]) == ("profile", event["user_id"])
    assert (record["type"], record["evtName"]) == ("event", "SUBSCRIPTION_STARTED")
    assert (record["identity"], record["ts"]) == (event["user_id"], event["event_created_at_ms"] // 1000)
    assert clevertap.violations() == []
    assert aws.delivery(event["event_id"])["outcome"] == {"S": "delivered"}
    assert aws.take("ParkedQueue") == []


def test_apps_and_environments_have_their_accounts(
    forwarder: LambdaFunction, clevertap: Emulator, sample: Callable[[str], Batch]
) -> None:
    assert forwarder.invoke(sample("forwarder/apps_and_environments.json")) == DONE

    assert sorted(sent(clevertap, PRODUCTION)) == ["Charged", "SUBSCRIPTION_RENEWED", "TRANSACTION_PROCESSED"]
    assert sent(clevertap, SANDBOX) == ["SUBSCRIPTION_STARTED"]
    assert sent(clevertap, SECOND) == ["RENEWAL_DISABLED"]
    assert len(clevertap.requests()) == 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [("malformed_body", "unreadable"), ("binary_body", "unreadable"), ("dead_letter", "dead_letter")],
)
def test_what_is_undeliverable_is_parked_as_it_is(
    forwarder: LambdaFunction, aws: Account, clevertap: Emulator, sample: Callable[[str], Batch], name: str, reason: str
) -> None:
    batch = sample(f"forwarder/{name}.json")

    assert forwarder.invoke(batch) == DONE

    (parked,) = aws.take("ParkedQueue")
    assert parked.body == bodies(batch)[0]
    assert parked.attributes["reason"] == reason
    assert parked.attributes["app"] == "default"
    assert parked.attributes["message_id"] == batch["Records"][0]["messageId"]
    assert aws.delivery(parked.attributes["event_id"])["outcome"] == {"S": "parked"}
    assert clevertap.requests() == []


def test_no_upload_begins_too_late(starting: Starting, clevertap: Emulator, sample: Callable[[str], Batch]) -> None:
    batch = sample("forwarder/one_message.json")
    just_came(batch)

    with starting("ForwarderFunction", timeout=30) as function:
        failures = function.invoke(batch)["batchItemFailures"]
        (entry,) = function.entries("event")

    assert failures == [{"itemIdentifier": batch["Records"][0]["messageId"]}]
    assert (entry["outcome"], entry["reason"]) == ("in_flight", "no_time_left")
    assert clevertap.requests() == []
