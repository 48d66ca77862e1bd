"""PartiQL for moto, which has no conditions and no INSERT: each statement is the update of an item that it means."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chaos.partiql import Malformed, parsed
from purchasely_clevertap.aws.clients import Clients

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


_KEYS: Mapping[str, str] = {"deliveries": "event", "subscribers": "subscriber"}


def executed(statements: Sequence[Mapping[str, Any]], causes: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The responses to statements; `causes` are scripted refusals, one for each statement ("None": none)."""
    refused = dict(enumerate(causes))
    return [
        {"Error": {"Code": refused[number], "Message": "scripted"}}
        if refused.get(number, "None") != "None"
        else _result(given)
        for number, given in enumerate(statements)
    ]


@cache
def _dynamodb() -> "DynamoDBClient":
    return Clients(connect_timeout=1, read_timeout=1, attempts=1).dynamodb()


def _result(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        update, is_insert = parsed(given, _KEYS)
    except Malformed as error:
        return {"Error": {"Code": "ValidationError", "Message": str(error)}}
    table = update["TableName"]
    made: Any = {"Update": update}
    item: Any = {"TableName": table, "Key": update["Key"], "ConsistentRead": True}
    try:
        # moto takes back what a transaction has begun, but not an update that makes its item too large.
        _dynamodb().transact_write_items(TransactItems=[made])
    except ClientError as error:
        answered: Mapping[str, Any] = error.response
        (reason,) = answered.get("CancellationReasons", [answered["Error"]])
        if reason["Code"] != "ConditionalCheckFailed":
            return {"Error": {"Code": "ValidationError", "Message": reason["Message"]}}
        if is_insert:
            return {"TableName": table, "Error": {"Code": "DuplicateItem"}}
        found = _dynamodb().get_item(**item).get("Item")
        return {
            "TableName": table,
            "Error": {"Code": "ConditionalCheckFailed", **({} if found is None else {"Item": found})},
        }
    return {"TableName": table}
