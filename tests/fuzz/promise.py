"""What is promised to a request: by the words of Purchasely's documentation and of the page, not by the code."""

import base64
import re

from tests.fuzz.ingest import NOT_READY, NOW, SECRETS, TOLERANCE, Answer, Queued, signature
from tests.fuzz.page import WEBHOOK, reasons
from tests.fuzz.stranger import SIGNATURE, TIMESTAMP, Event, is_text

AHEAD = 300
"""Seconds that a timestamp may be ahead."""
LIMIT = 1024 * 1024 - 16 * 1024
"""Bytes of a message's body."""
DATA_URL = "data:;base64,"


def sent_bytes(event: Event) -> bytes:
    """The body as it was sent. A text that says it is base64 and is not is what it is."""
    text = event.get("body") or ""
    if event.get("isBase64Encoded") and re.fullmatch(
        r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text
    ):
        return base64.b64decode(text)
    return text.encode("utf-8", "surrogatepass")


def is_signed(event: Event, app: str) -> bool:
    """Whether one of the app's secrets has signed these bytes."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    timestamp = headers.get(TIMESTAMP, "")
    body = sent_bytes(event)
    return headers.get(SIGNATURE) in [signature(secret, timestamp, body) for secret in SECRETS[app]]


def may_be_signed(event: Event) -> bool:
    """Whether the headers have their form, and the timestamp is of the last weeks."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    timestamp = headers.get(TIMESTAMP, "")
    if not re.fullmatch("[0-9]{1,13}", timestamp) or not re.fullmatch("[0-9a-f]{64}", headers.get(SIGNATURE, "")):
        return False
    seconds = int(timestamp) / (1000 if len(timestamp) == 13 else 1)  # 13 digits are milliseconds
    return -AHEAD <= NOW - seconds <= TOLERANCE


def is_plain(body: bytes) -> bool:
    """Whether the body can go on the queue as it is: SQS takes its characters, and it is no data URL."""
    if not body or not is_text(body) or body.startswith(b"data:"):
        return False
    return bool(re.fullmatch("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*", body.decode()))


def is_too_large(body: bytes) -> bool:
    """Whether the queue cannot hold the body, plain or in base64."""
    return (len(body) if is_plain(body) else len(DATA_URL) + -(-len(body) // 3) * 4) > LIMIT


def expected(event: Event) -> int:
    """The status that the page promises for a request that is `event` at the function."""
    app = (event.get("pathParameters") or {}).get("app", "")
    if not may_be_signed(event):
        return 401
    if app in NOT_READY:
        return 404 if app == "placeholder" else 503
    if app not in SECRETS:
        return 404
    if not is_signed(event, app):
        return 401
    return 413 if is_too_large(sent_bytes(event)) else 200


def check(event: Event, answer: Answer) -> None:
    """The answer is the promised one, its reason stands on the page, and the queue has the bytes or nothing."""
    assert answer.status == expected(event)
    assert answer.body == ""
    if answer.status == 200:
        assert answer.queued == (Queued(event["pathParameters"]["app"], sent_bytes(event), int(NOW * 1000)),)
    else:
        assert answer.queued == ()
        assert answer.reason in reasons(WEBHOOK, answer.status)
