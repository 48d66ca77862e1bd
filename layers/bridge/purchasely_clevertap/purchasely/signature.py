"""Purchasely's request signature.

`X-PURCHASELY-REQUEST-SIGNATURE` is the lowercase hex HMAC-SHA256 of the value of `X-PURCHASELY-TIMESTAMP`
followed by the raw body, keyed with the app's shared secret (docs.purchasely.com, webhook). The deprecated
`X-PURCHASELY-SIGNATURE` does not cover the body and is never looked at.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

SIGNATURE_HEADER = "x-purchasely-request-signature"
TIMESTAMP_HEADER = "x-purchasely-timestamp"
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_AHEAD_SECONDS: Final = 300  # how far the sender's clock may be ahead: nobody signs for a later day
_DIGITS_OF_MILLISECONDS = 13  # until the year 2286; a timestamp of as many digits is one


class SignatureProblem(StrEnum):
    """Why a request is not believed to come from Purchasely."""

    MISSING_SIGNATURE = "missing_signature"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    TIMESTAMP_OUTSIDE_TOLERANCE = "timestamp_outside_tolerance"
    WRONG_SIGNATURE = "wrong_signature"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature Purchasely puts on `body` sent at `timestamp` (unix seconds, as text)."""
    return hmac.digest(secret.encode(errors="surrogatepass"), timestamp.encode() + body, "sha256").hex()


class Signed(NamedTuple):
    """What a request says of its signature, before anybody knows whether it is right."""

    signature: str
    timestamp: str

    def by(self, body: bytes, secrets: Sequence[str]) -> int | SignatureProblem:
        """Which of `secrets` signed exactly these bytes.

        Every secret is tried, each in constant time, so that the answer's timing tells neither the signature nor which
        of the secrets it was made with.
        """
        given = self.signature.encode()
        matches = [hmac.compare_digest(sign(secret, self.timestamp, body).encode(), given) for secret in secrets]
        return matches.index(True) if True in matches else SignatureProblem.WRONG_SIGNATURE


def signed(headers: Mapping[str, str], *, now: float, tolerance: float) -> Signed | SignatureProblem:
    """The signature and its timestamp, if they have the right form and the timestamp is at most `tolerance` seconds old
    and five minutes ahead of `now`. Header names are compared without case. It needs no secret."""
    lowered = {name.lower(): value for name, value in headers.items()}
    signature = lowered.get(SIGNATURE_HEADER)
    timestamp = lowered.get(TIMESTAMP_HEADER)
    if not signature:
        return SignatureProblem.MISSING_SIGNATURE
    if not timestamp:
        return SignatureProblem.MISSING_TIMESTAMP
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS_OF_MILLISECONDS):
        return SignatureProblem.BAD_TIMESTAMP
    seconds = int(timestamp) / (1000 if len(timestamp) == _DIGITS_OF_MILLISECONDS else 1)
    if not -_AHEAD_SECONDS <= now - seconds <= tolerance:
        return SignatureProblem.TIMESTAMP_OUTSIDE_TOLERANCE
    return Signed(signature, timestamp) if _SIGNATURE(signature) else SignatureProblem.WRONG_SIGNATURE
