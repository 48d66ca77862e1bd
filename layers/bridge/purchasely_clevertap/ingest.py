"""Ingest: a webhook request in, a response out, and in between its body on the events queue.

Purchasely takes only HTTP 200 as an acknowledgement and sends a user nothing more until it has one. So whatever
is genuinely signed is queued and answered 200, even what can never be used; and nothing is answered 200 before the
queue has it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.aws.received import ReceivedNotes
from purchasely_clevertap.aws.secrets import PLACEHOLDER, Absent, Secrets, Unusable, is_placeholder
from purchasely_clevertap.delivery.association import parse_association
from purchasely_clevertap.delivery.keys import APP
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES, MessageKind, attributes, encode_body
from purchasely_clevertap.padding import unpadded
from purchasely_clevertap.purchasely.signature import SignatureProblem, signed

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


IDENTITIES_ROUTE: Final = "POST /identities/{app}"
"""The route of associations, as API Gateway names it."""

_ASSOCIATION_SECONDS: Final = 300


class RefusalReason(StrEnum):
    """Why a request is refused, beside what may be wrong with its signature."""

    UNKNOWN_APP = "unknown_app"
    NOT_AN_ASSOCIATION = "not_an_association"
    TOO_LARGE = "too_large"
    SECRET_UNAVAILABLE = "secret_unavailable"  # noqa: S105 - a reason
    SECRET_IS_PLACEHOLDER = "secret_is_placeholder"  # noqa: S105 - a reason
    QUEUE_UNAVAILABLE = "queue_unavailable"


@dataclass(frozen=True, slots=True)
class Queued:
    """The queue has the body, as message `message_id`. Answered 200.

    `is_noted`: the ledger has a note of it. `by_former_secret`: the webhook was signed with another secret than the
    first that is listed, one that is to be retired.
    """

    message_id: str
    is_noted: bool
    by_former_secret: bool = False
    status: int = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is not queued. `detail` is for the log: what to mend.

    `is_verified`: whether a secret of the app made the signature; None if it was compared with none.
    """

    reason: RefusalReason | SignatureProblem
    status: int
    detail: str | None = None
    is_verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the app in its path, its headers, and its body as the very bytes that were sent.

    `kind` is IDENTITY for an association by the app's backend, WEBHOOK else.
    """

    app: str
    headers: Mapping[str, str]
    body: bytes
    kind: MessageKind = MessageKind.WEBHOOK

    @classmethod
    def from_gateway(cls, event: Mapping[str, Any]) -> "Request":
        """The request in an API Gateway HTTP API event, payload version 2.0."""
        body = event.get("body") or ""
        if event.get("isBase64Encoded"):
            try:
                raw = base64.b64decode(body, validate=True)
            except ValueError:  # a body that is not base64 stands for itself, lest it be taken for an empty one
                raw = _bytes(body)
        else:
            raw = _bytes(body)
        kind = MessageKind.IDENTITY if event.get("routeKey") == IDENTITIES_ROUTE else MessageKind.WEBHOOK
        return cls((event.get("pathParameters") or {}).get("app") or "", event.get("headers") or {}, raw, kind)

    @property
    def named_app(self) -> str | None:
        """The app, for the log; None for a name that no app can have, as a stranger wrote it."""
        return self.app if APP.fullmatch(self.app) else None


class WebhookReceiver:
    """Verifies requests and queues them. `tolerance`: how many seconds old a signed timestamp may be."""

    def __init__(
        self, secrets: Secrets, sqs: "SQSClient", notes: ReceivedNotes, *, queue_url: str, tolerance: float
    ) -> None:
        self._secrets = secrets
        self._sqs = sqs
        self._notes = notes
        self._queue_url = queue_url
        self._tolerance = tolerance

    def receive(self, request: Request, *, now: float) -> Queued | Refused:
        """Queues a request that came at `now` (epoch seconds), or says why not."""
        signed_by = self._verified(request, now)
        if isinstance(signed_by, Refused):
            return signed_by
        if request.kind is MessageKind.IDENTITY and parse_association(request.body) is None:
            detail = 'allowed: {"clevertap_id": "…", "user_id": "…"} or {"clevertap_id": "…", "anonymous_user_id": "…"}'
            return Refused(RefusalReason.NOT_AN_ASSOCIATION, 400, detail, is_verified=True)
        text = encode_body(request.body)
        if len(text.encode()) > MAX_BODY_BYTES:
            detail = f"{len(request.body)} bytes; the queue takes {MAX_BODY_BYTES}"
            return Refused(RefusalReason.TOO_LARGE, 413, detail, is_verified=True)
        now_ms = int(now * 1000)
        try:
            sent = self._sqs.send_message(
                QueueUrl=self._queue_url,
                MessageBody=text,
                MessageAttributes=attributes(request.app, now_ms, request.kind),
                MessageGroupId=request.app,  # one app's backlog delays no other: SQS, fair queues
            )
        except ClientError as error:
            return Refused(RefusalReason.QUEUE_UNAVAILABLE, 503, error.response["Error"]["Code"], is_verified=True)
        except BotoCoreError as error:
            return Refused(RefusalReason.QUEUE_UNAVAILABLE, 503, type(error).__name__, is_verified=True)
        message_id = sent["MessageId"]
        is_noted = request.kind is MessageKind.IDENTITY or self._notes.note(
            request.app, request.body, message_id, now_ms=now_ms
        )
        return Queued(message_id, is_noted, by_former_secret=signed_by > 0)

    def _verified(self, request: Request, now: float) -> int | Refused:
        """Which of the app's shared secrets signed the request: 0 is the current one."""
        # An old association must not be played again; Purchasely repeats a webhook for weeks.
        tolerance = _ASSOCIATION_SECONDS if request.kind is MessageKind.IDENTITY else self._tolerance
        # What needs no secret comes first: a stranger costs no call.
        signature = signed(request.headers, now=now, tolerance=tolerance)
        if isinstance(signature, SignatureProblem):
            return Refused(signature, 401)
        for reread in (False, True):
            shared = self._shared_secrets(request.app, reread=reread)
            if isinstance(shared, Refused):
                return shared
            signed_by = signature.by(request.body, shared)
            # The secret may have been rotated since it was read: only a fresh read can tell a wrong signature.
            if signed_by is not SignatureProblem.WRONG_SIGNATURE:
                break
        return Refused(signed_by, 401, is_verified=False) if isinstance(signed_by, SignatureProblem) else signed_by

    def _shared_secrets(self, app: str, *, reread: bool = False) -> Sequence[str] | Refused:
        if not APP.fullmatch(app):
            return Refused(RefusalReason.UNKNOWN_APP, 404)
        secret = self._secrets.get(app, reread=reread)
        if isinstance(secret, Absent):
            return Refused(RefusalReason.UNKNOWN_APP, 404)
        if isinstance(secret, Unusable):
            return Refused(RefusalReason.SECRET_UNAVAILABLE, 503, secret.detail)
        usable = _usable(secret)
        # The cached value may be stale: refresh once before reporting a placeholder.
        return self._shared_secrets(app, reread=True) if isinstance(usable, Refused) and not reread else usable


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _usable(secret: Mapping[str, Any]) -> Sequence[str] | Refused:
    listed = secret.get("shared_secrets")
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        detail = 'the purchasely secret needs {"shared_secrets": ["…"]}, a list of texts'
        return Refused(RefusalReason.SECRET_UNAVAILABLE, 503, detail)
    usable = [unpadded(each) for each in listed if unpadded(each) and not is_placeholder(each)]
    if not usable:
        detail = (
            f"the purchasely secret is still the placeholder: put the app's shared secret in place of {PLACEHOLDER}"
        )
        # Not 503: a stranger who knows the URL could ring the alarm on failures with it.
        return Refused(RefusalReason.SECRET_IS_PLACEHOLDER, 404, detail)
    return usable
