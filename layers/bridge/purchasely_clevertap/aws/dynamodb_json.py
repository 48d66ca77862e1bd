"""DynamoDB's JSON, written and read in one go.

What botocore's client of DynamoDB takes and gives is DynamoDB's own JSON already, but botocore goes through it value by
value, there and back, and once more to see which tables it names. Around botocore's hooks the calls that hold a hundred
items are one call of orjson each way, and a full batch takes 0.57 to 0.67 of the processor time (three pairs of runs of
the benchmark's). Signing, endpoints, retries and errors stay botocore's. The client must not check parameters.
"""

from http import HTTPStatus
from typing import Any, Final

import orjson
from botocore.client import BaseClient

_OPERATIONS: Final = ("BatchGetItem", "BatchExecuteStatement", "TransactWriteItems")
_BODY: Final = "dynamodb_json"  # in the context of a call


def pass_on(client: BaseClient) -> None:
    """Has a client of DynamoDB write and read the JSON of its large calls as it is."""
    events = client.meta.events
    events.register("before-endpoint-resolution.dynamodb", _encode)
    for operation in _OPERATIONS:
        events.register(f"before-call.dynamodb.{operation}", _send)
        events.register(f"before-parse.dynamodb.{operation}", _decode)


def _encode(model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if model.name in _OPERATIONS:
        context[_BODY] = orjson.dumps(params)
        params |= {name: type(value)() for name, value in params.items()}  # empty, for whoever would go through them


def _send(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    params["body"] = context.pop(_BODY)


def _decode(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] < HTTPStatus.MULTIPLE_CHOICES:
        customized_response_dict |= orjson.loads(response_dict["body"])
        response_dict["body"] = b"{}"
