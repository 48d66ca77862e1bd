"""A webhook as Purchasely sends it: a body and headers that sign it (docs.purchasely.com, webhook)."""

import hashlib
import hmac
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from .payload import Payload, encode

SIGNATURE_HEADER = "X-PURCHASELY-REQUEST-SIGNATURE"
TIMESTAMP_HEADER = "X-PURCHASELY-TIMESTAMP"
# Covers only the secret and the timestamp, not the body: nobody should accept it.
DEPRECATED_SIGNATURE_HEADER = "X-PURCHASELY-SIGNATURE"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request."""

    headers: Mapping[str, str]
    body: bytes


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Lowercase hex of HMAC-SHA256 over the timestamp (unix seconds) and the body's bytes."""
    return hmac.new(secret.encode(errors="surrogatepass"), timestamp.encode() + body, hashlib.sha256).hexdigest()


def sign_deprecated(secret: str, timestamp: str) -> str:
    """What the deprecated header holds."""
    return hmac.new(secret.encode(), (secret + timestamp).encode(), hashlib.sha256).hexdigest()


def signed(body: Payload | bytes, secret: str, timestamp: int, content_type: str = "application/json") -> Webhook:
    """`body`, signed with the app's shared secret at `timestamp` (unix seconds)."""
    raw = body if isinstance(body, bytes) else encode(body)
    headers = {
        "Accept": "application/json",
        "Content-Type": content_type,
        "User-Agent": "purchasely-sender",
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secret, str(timestamp), raw),
    }
    return Webhook(headers, raw)


def curl(url: str, webhook: Webhook, file: str) -> str:
    """A shell command that posts `webhook`, whose body are the bytes of `file`."""
    headers = "".join(f" \\\n  -H {shlex.quote(f'{name}: {value}')}" for name, value in webhook.headers.items())
    return f"curl -i -X POST {shlex.quote(url)}{headers} \\\n  --data-binary {shlex.quote(f'@{file}')}"
