"""Ingest when it is warm: its handler without the network, against signing and building one request to SQS."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session

from local_stack import SHARED_SECRET, sam
from purchasely_sender import LIFECYCLES, encode, signed
from purchasely_sender.samples import gateway_request

from .function import Handler, invoked, loaded, silent
from .rounds import bests, processor_seconds
from .row import Row, compared, told

_ROUNDS, _QUICK_ROUNDS = 15, 7
_CALLS, _QUICK_CALLS = 200, 100
_TARGET = 3.0
_NOWHERE = "http://127.0.0.1:9"
_ANSWERS: Mapping[str, object] = {
    "SendMessage": {"MessageId": "11111111-2222-3333-4444-555555555555", "MD5OfMessageBody": "0" * 32},
    "UpdateItem": {},
    "GetSecretValue": {"SecretString": json.dumps({"shared_secrets": [SHARED_SECRET]})},
}


class _Body:
    """An answer's body as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def rows(*, quick: bool = False) -> list[Row]:
    """Processor time, as there is nothing to wait for: botocore's own answer comes from memory on both sides."""
    calls = _QUICK_CALLS if quick else _CALLS
    now = datetime.now(UTC)
    body = encode(LIFECYCLES["renewals"].ending(1, now).events[-1])
    webhook = signed(body, SHARED_SECRET, int(now.timestamp()))
    request = gateway_request("default", webhook)
    with no_network(), loaded("IngestFunction", _NOWHERE) as handler, silent() as written:
        _require_taken(handler, request)
        before = written.bytes
        _require_taken(handler, request)
        logged = written.bytes - before
        bare = _bare(body, int(now.timestamp()))
        found = bests(
            {
                "ingest": lambda: processor_seconds(lambda: _repeat(calls, lambda: invoked(handler, request))),
                "bare": lambda: processor_seconds(lambda: _repeat(calls, bare)),
            },
            _QUICK_ROUNDS if quick else _ROUNDS,
        )
    micros = {name: value / calls * 1e6 for name, value in found.items()}
    return [
        compared("ingest, warm: handler without the network", micros["ingest"], "µs", micros["bare"], _TARGET),
        told("ingest, warm: what it logs of a webhook", logged, "bytes"),
    ]


@contextmanager
def no_network() -> Iterator[None]:
    """botocore builds and signs its requests and is answered from memory."""
    answers = {name: json.dumps(answer).encode() for name, answer in _ANSWERS.items()}

    def send(_session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        name = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
        return AWSResponse(request.url, 200, headers, _Body(answers[name]))

    with patch.object(URLLib3Session, "send", send):
        yield


def _bare(body: bytes, timestamp: int) -> Callable[[], object]:
    """The signature of the body, and one request to SQS with it."""
    session = boto3.Session(
        aws_access_key_id=sam.CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=sam.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=sam.REGION,
    )
    sqs = session.client("sqs", endpoint_url=_NOWHERE)
    secret, prefix, text = SHARED_SECRET.encode(), str(timestamp).encode(), body.decode()

    def work() -> object:
        hmac.new(secret, prefix + body, hashlib.sha256).hexdigest()
        return sqs.send_message(QueueUrl=f"{_NOWHERE}/000000000000/EventsQueue", MessageBody=text)

    return work


def _repeat(times: int, work: Callable[[], object]) -> None:
    for _ in range(times):
        work()


def _require_taken(handler: Handler, request: Mapping[str, Any]) -> None:
    answer = invoked(handler, request)
    if answer["statusCode"] != 200:
        raise RuntimeError(f"ingest does not take a webhook that is rightly signed: {answer}")
