"""PartiQL for moto, which has no conditions and no INSERT: each statement is the update of an item that it means."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chaos.partiql import Malformed, parsed
from purchasely_clevertap.aws.clients import Clients

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def executed(
    statements: Sequence[Mapping[str, Any]], keys: Mapping[str, str], causes: Sequence[str] = ()
) -> dict[str, Any]:
    """The answer of BatchExecuteStatement; `causes` are scripted refusals, one for each statement ("None": none)."""
    refused = dict(enumerate(causes))
    return {
        "Responses": [
            {"Error": {"Code": refused[number], "Message": "scripted"}}
            if refused.get(number, "None") != "None"
            else _result(given, keys)
            for number, given in enumerate(statements)
        ]
    }


@cache
def _dynamodb() -> "DynamoDBClient":
    return Clients(connect_timeout=1, read_timeout=1, attempts=1).dynamodb()


def _result(given: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    try:
        update, is_insert = parsed(given, keys)
    except Malformed as error:
        return {"Error": {"Code": "ValidationError", "Message": str(error)}}
    table = update["TableName"]
    try:
        _dynamodb().update_item(**update, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    except ClientError as error:
        code = error.response["Error"]["Code"].removesuffix("Exception")
        if code == "Validation":
            return {"Error": {"Code": "ValidationError", "Message": error.response["Error"]["Message"]}}
        if is_insert and code == "ConditionalCheckFailed":
            return {"TableName": table, "Error": {"Code": "DuplicateItem", "Message": code}}
        found: Mapping[str, Any] = error.response
        item = {"Item": found["Item"]} if "Item" in found else {}
        return {"TableName": table, "Error": {"Code": code, "Message": code, **item}}
    return {"TableName": table}
