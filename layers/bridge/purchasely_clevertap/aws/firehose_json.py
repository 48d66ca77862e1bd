"""Firehose's JSON, written in one go.

A call of PutRecordBatch is megabytes of base64, which needs no escaping. botocore would go through it several times to
write it as JSON: 13 µs of processor time an event instead of 5 (1000 events, measured with the signature). Signing,
endpoints and errors stay botocore's. The client must not check parameters.
"""

from base64 import b64encode
from typing import Any, Final

import orjson
from botocore.client import BaseClient

_OPERATION: Final = "PutRecordBatch"
_BODY: Final = "firehose_json"  # in the context of a call


def pass_on(client: BaseClient) -> None:
    """Has a client of Firehose write the JSON of its large calls at once."""
    events = client.meta.events
    events.register("before-endpoint-resolution.firehose", _encode)
    events.register(f"before-call.firehose.{_OPERATION}", _send)


def _encode(model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if model.name == _OPERATION:
        stream = orjson.dumps(params["DeliveryStreamName"])
        records = b'"},{"Data":"'.join(b64encode(each["Data"]) for each in params["Records"])
        context[_BODY] = b'{"DeliveryStreamName":%b,"Records":[{"Data":"%b"}]}' % (stream, records)
        params["Records"] = []  # empty, for whoever would go through them


def _send(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    params["body"] = context.pop(_BODY)
