"""What each function may do in the deployed stack: what it needs, and nothing of the other's.

The calls are real ones, under the functions' own roles; IAM is enforced on this machine as on AWS.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError

from local_stack import LocalStack, sam
from local_stack.stack import STAGE
from purchasely_clevertap.aws.user_hash_key import user_hash_key_name

INGEST, FORWARDER = "IngestFunctionName", "ForwarderFunctionName"
SETTINGS: Final = f"/purchasely-clevertap/{STAGE}/default/settings"
EVENT: Final = {"event": {"S": "roles#event"}}
SUBSCRIBER: Final = {"subscriber": {"S": "roles#subscriber"}}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of AWS. What stands in brackets among the parameters is an output of the stack."""

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(re.findall(r"[\w/:-]+", f"{self.operation} {json.dumps(self.parameters)}"))[:80]


def secret(which: str, *, app: str = "default", stage: str = STAGE) -> Call:
    name = f"purchasely-clevertap/{stage}/{app}/{which}"
    return Call("secretsmanager", "get_secret_value", {"SecretId": name})


def overwrite(which: str) -> Call:
    name = f"purchasely-clevertap/{STAGE}/default/{which}"
    return Call("secretsmanager", "put_secret_value", {"SecretId": name, "SecretString": "{}"})


def settings(version: str = "") -> Call:
    return Call("ssm", "get_parameter", {"Name": SETTINGS + version})


def send(queue: str) -> Call:
    return Call("sqs", "send_message", {"QueueUrl": f"[{queue}]", "MessageBody": "{}"})


def receive(queue: str) -> Call:
    return Call("sqs", "receive_message", {"QueueUrl": f"[{queue}]"})


def update(table: str, key: Mapping[str, Any]) -> Call:
    # Its condition never holds, so that nothing is written.
    given = {"TableName": f"[{table}]", "Key": key, "UpdateExpression": "REMOVE expires_at"}
    return Call("dynamodb", "update_item", {**given, "ConditionExpression": "attribute_exists(messages)"})


def batch_get(table: str, key: Mapping[str, Any]) -> Call:
    return Call("dynamodb", "batch_get_item", {"RequestItems": {f"[{table}]": {"Keys": [key]}}})


def one(operation: str, table: str, key: Mapping[str, Any]) -> Call:
    return Call("dynamodb", operation, {"TableName": f"[{table}]", "Key": key})


def scan(table: str) -> Call:
    return Call("dynamodb", "scan", {"TableName": f"[{table}]"})


USER_HASH_KEY: Final = Call("secretsmanager", "get_secret_value", {"SecretId": user_hash_key_name(STAGE)})


def hand_over(line: str = "{}\n") -> Call:
    return Call(
        "firehose",
        "put_record_batch",
        {"DeliveryStreamName": "[ArchiveStreamName]", "Records": [{"Data": line}]},
    )


def archived(operation: str, key: str, **more: str) -> Call:
    return Call("s3", operation, {"Bucket": "[ArchiveBucketName]", "Key": key, **more})


ALLOWED: Final = [
    (FORWARDER, hand_over('{"kind": "webhook", "app": "roles", "message_id": "m", "received_at": 0}\n'), None),
    (FORWARDER, archived("put_object", "v1/large/roles.gz", Body=""), None),
    (FORWARDER, USER_HASH_KEY, None),
    (INGEST, secret("purchasely"), None),
    (INGEST, update("DeliveriesTableName", EVENT), "ConditionalCheckFailedException"),
    (FORWARDER, secret("clevertap"), None),
    (FORWARDER, settings(), None),
    (FORWARDER, settings(":1"), None),
    (FORWARDER, batch_get("DeliveriesTableName", EVENT), None),
    (FORWARDER, batch_get("SubscribersTableName", SUBSCRIBER), None),
    (FORWARDER, update("DeliveriesTableName", EVENT), "ConditionalCheckFailedException"),
    (FORWARDER, update("SubscribersTableName", SUBSCRIBER), "ConditionalCheckFailedException"),
]
DENIED: Final = [
    (INGEST, hand_over()),
    (INGEST, archived("put_object", "v1/large/roles.gz", Body="")),
    (FORWARDER, archived("put_object", "v1/webhook/roles.gz", Body="")),
    (FORWARDER, archived("get_object", "v1/large/roles.gz")),
    (FORWARDER, archived("delete_object", "v1/large/roles.gz")),
    (FORWARDER, Call("s3", "list_objects_v2", {"Bucket": "[ArchiveBucketName]"})),
    (INGEST, USER_HASH_KEY),
    (INGEST, secret("clevertap")),
    (INGEST, secret("purchasely", stage="another")),
    # What doesn't exist can't be told from what is forbidden, and so is no fault of the set-up.
    (INGEST, secret("purchasely", app="nobody")),
    (INGEST, overwrite("purchasely")),
    (INGEST, settings()),
    (INGEST, receive("EventsQueueUrl")),
    (INGEST, send("ParkedQueueUrl")),
    (INGEST, send("DeadLetterQueueUrl")),
    (INGEST, one("get_item", "DeliveriesTableName", EVENT)),
    (INGEST, one("delete_item", "DeliveriesTableName", EVENT)),
    (INGEST, scan("DeliveriesTableName")),
    (INGEST, update("SubscribersTableName", SUBSCRIBER)),
    (INGEST, batch_get("SubscribersTableName", SUBSCRIBER)),
    (FORWARDER, secret("purchasely")),
    (FORWARDER, secret("clevertap", stage="another")),
    (FORWARDER, overwrite("clevertap")),
    (FORWARDER, Call("ssm", "put_parameter", {"Name": SETTINGS, "Value": "{}", "Overwrite": True})),
    (FORWARDER, receive("ParkedQueueUrl")),
    (FORWARDER, send("DeadLetterQueueUrl")),
    (FORWARDER, one("delete_item", "DeliveriesTableName", EVENT)),
    (FORWARDER, scan("DeliveriesTableName")),
    (FORWARDER, scan("SubscribersTableName")),
]


@pytest.fixture(scope="module")
def try_as(stack: LocalStack) -> Callable[[str, Call], str | None]:
    """Makes a call under a function's role; the code of the error that it is answered with, None for none."""
    sessions = {function: _session(stack, function) for function in (INGEST, FORWARDER)}

    def attempt(function: str, call: Call) -> str | None:
        client = sessions[function].client(call.service, endpoint_url=stack.aws_url)  # type: ignore[call-overload]
        try:
            getattr(client, call.operation)(**_filled_in(stack, call.parameters))
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            return code
        return None

    return attempt


@pytest.mark.parametrize(("function", "call", "answer"), ALLOWED, ids=str)
def test_a_function_may_do_what_it_does(
    try_as: Callable[[str, Call], str | None], function: str, call: Call, answer: str | None
) -> None:
    assert try_as(function, call) == answer


@pytest.mark.parametrize(("function", "call"), DENIED, ids=str)
def test_a_function_may_not_do_what_is_not_its_own(
    try_as: Callable[[str, Call], str | None], function: str, call: Call
) -> None:
    assert try_as(function, call) in ("AccessDenied", "AccessDeniedException")


def _session(stack: LocalStack, function: str) -> boto3.Session:
    """Signed in as the function is: with temporary credentials of its role."""
    described = stack.client("lambda").get_function_configuration(FunctionName=stack.outputs[function])
    root = boto3.Session(
        aws_access_key_id=sam.CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=sam.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=sam.REGION,
    )
    sts: Any = root.client("sts", endpoint_url=stack.aws_url)
    given = sts.assume_role(RoleArn=described["Role"], RoleSessionName="test-of-the-role")["Credentials"]
    return boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=sam.REGION,
    )


def _filled_in(stack: LocalStack, parameters: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(parameters)
    for name, value in stack.outputs.items():
        text = text.replace(f"[{name}]", value)
    filled: dict[str, Any] = json.loads(text)
    return filled
