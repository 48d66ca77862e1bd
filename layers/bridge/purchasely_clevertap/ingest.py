"""Ingest: a webhook request in, an answer out, and in between its body on the events queue.

Purchasely takes only HTTP 200 as an acknowledgement and sends a user nothing more until it has one. So whatever
is genuinely signed is queued and answered 200, even what can never be used; and nothing is answered 200 before the
queue has it.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.aws.secrets import PLACEHOLDER, Absent, Secrets, Unusable
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES, attributes, encode_body
from purchasely_clevertap.purchasely.signature import Refusal, verify

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_APP: Final = re.compile(r"[a-z0-9-]{1,40}")


class Fault(StrEnum):
    """Why a request is not taken, beside the reasons of the signature."""

    UNKNOWN_APP = "unknown_app"
    TOO_LARGE = "too_large"
    SECRET_UNAVAILABLE = "secret_unavailable"  # noqa: S105 - a reason
    SECRET_IS_PLACEHOLDER = "secret_is_placeholder"  # noqa: S105 - a reason
    QUEUE_UNAVAILABLE = "queue_unavailable"


@dataclass(frozen=True, slots=True)
class Taken:
    """The queue has the body, as message `message_id`. Answered 200. `former_secret`: it was signed with another secret
    than the first that is listed, one that is to be retired."""

    message_id: str
    body: bytes
    former_secret: bool = False
    status: int = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """Not taken. `detail` is for the log: what to mend."""

    reason: Fault | Refusal
    status: int
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A webhook request: the app in its path, its headers, and its body as the very bytes that were sent."""

    app: str
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def from_gateway(cls, event: Mapping[str, Any]) -> "Request":
        """The request in an API Gateway HTTP API event, payload version 2.0."""
        body = event.get("body") or ""
        if event.get("isBase64Encoded"):
            try:
                raw = base64.b64decode(body, validate=True)
            except ValueError:  # what is not base64 stands for itself, lest it be taken for an empty body
                raw = _bytes(body)
        else:
            raw = _bytes(body)
        return cls((event.get("pathParameters") or {}).get("app") or "", event.get("headers") or {}, raw)

    @property
    def named_app(self) -> str | None:
        """The app, for the log; None for a name that no app can have, as a stranger wrote it."""
        return self.app if _APP.fullmatch(self.app) else None


class WebhookReceiver:
    """Verifies requests and queues them."""

    def __init__(self, secrets: Secrets, sqs: "SQSClient", *, queue_url: str, tolerance: float) -> None:
        self._secrets = secrets
        self._sqs = sqs
        self._queue_url = queue_url
        self._tolerance = tolerance

    def receive(self, request: Request, *, now: float) -> Taken | Refused:
        """Takes a request that came at `now` (epoch seconds)."""
        shared = self._shared_secrets(request.app)
        if isinstance(shared, Refused):
            return shared
        refusal = verify(request.headers, request.body, shared, now=now, tolerance=self._tolerance)
        if refusal is Refusal.WRONG_SIGNATURE:
            # Perhaps the secret was rotated after it was read: only what was read just now can tell a wrong signature.
            shared = self._shared_secrets(request.app, reread=True)
            if isinstance(shared, Refused):
                return shared
            refusal = verify(request.headers, request.body, shared, now=now, tolerance=self._tolerance)
        if refusal is not None:
            return Refused(refusal, 401)
        text = encode_body(request.body)
        if len(text.encode()) > MAX_BODY_BYTES:
            return Refused(Fault.TOO_LARGE, 413, f"{len(request.body)} bytes; the queue takes {MAX_BODY_BYTES}")
        try:
            sent = self._sqs.send_message(
                QueueUrl=self._queue_url,
                MessageBody=text,
                MessageAttributes=attributes(request.app, int(now * 1000)),
            )
        except ClientError as error:
            return Refused(Fault.QUEUE_UNAVAILABLE, 503, error.response["Error"]["Code"])
        except BotoCoreError as error:
            return Refused(Fault.QUEUE_UNAVAILABLE, 503, type(error).__name__)
        current = shared[:1]
        former = len(shared) > 1 and verify(request.headers, request.body, current, now=now, tolerance=self._tolerance)
        return Taken(sent["MessageId"], request.body, bool(former))

    def _shared_secrets(self, app: str, *, reread: bool = False) -> Sequence[str] | Refused:
        if not _APP.fullmatch(app):
            return Refused(Fault.UNKNOWN_APP, 404)
        secret = self._secrets.get(app, reread=reread)
        if isinstance(secret, Absent):
            return Refused(Fault.UNKNOWN_APP, 404)
        if isinstance(secret, Unusable):
            return Refused(Fault.SECRET_UNAVAILABLE, 503, secret.detail)
        usable = _usable(secret)
        # What was no secret when it was read may have become one since.
        return self._shared_secrets(app, reread=True) if isinstance(usable, Refused) and not reread else usable


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _usable(secret: Mapping[str, Any]) -> Sequence[str] | Refused:
    listed = secret.get("shared_secrets")
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        detail = 'the purchasely secret needs {"shared_secrets": ["…"]}, a list of texts'
        return Refused(Fault.SECRET_UNAVAILABLE, 503, detail)
    usable = [each for each in listed if each and each != PLACEHOLDER]
    if not usable:
        detail = (
            f"the purchasely secret is still the placeholder: put the app's shared secret in place of {PLACEHOLDER}"
        )
        return Refused(Fault.SECRET_IS_PLACEHOLDER, 503, detail)
    return usable
