"""Secrets of an app, from Secrets Manager, kept for a while.

A secret is a value or the reason why there is none: ingest and the forwarder each answer for that in their way.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.padding import unpadded

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

PLACEHOLDER: Final = "REPLACE_ME"

_KEPT_SECONDS: Final = 300.0
_ABSENCE_KEPT_SECONDS: Final = 30.0  # a new app is served soon; a guesser of app names costs no call each time
_FRESH_SECONDS: Final = 10.0
_SECONDS_AFTER_FAILURE: Final = 10.0
_MOST_KEPT: Final = 1000
_MOST_LOOKED_FOR: Final = 20  # names that no secret was found of, in the time that an absence is kept


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such secret: the app is unknown."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The secret cannot be read or does not hold what it should. `detail` never quotes it; `is_there`: it was read."""

    detail: str
    is_there: bool = False


@dataclass(frozen=True, slots=True)
class _KeptSecret:
    """What was read; `read_at` is when the reading began, so nothing that was written before is missing in it.
    `reread_at` is the same if it was read anew, before its time."""

    value: Mapping[str, Any] | Absent
    read_at: float
    reread_at: float

    @property
    def lasts(self) -> float:
        return _ABSENCE_KEPT_SECONDS if isinstance(self.value, Absent) else _KEPT_SECONDS


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why it could not be read; `ended_at` is when that was known, as a failure may take seconds."""

    found: Unusable
    ended_at: float


class Secrets:
    """The secrets `purchasely-clevertap/{stage}/{app}/{name}`. `clock` gives seconds."""

    def __init__(
        self, secretsmanager: "SecretsManagerClient", *, stage: str, name: str, clock: Callable[[], float]
    ) -> None:
        self._secretsmanager = secretsmanager
        self._stage = stage
        self._name = name
        self._clock = clock
        self._kept: dict[str, _KeptSecret] = {}
        self._absent: dict[str, _KeptSecret] = {}  # apart: made-up names push no secret out
        self._looking_since = -math.inf
        self._looked_in_vain = 0
        self._failures: dict[str, _Failure] = {}

    def get(self, app: str, *, reread: bool = False) -> Mapping[str, Any] | Absent | Unusable:
        """The JSON object in the secret of `app`.

        Kept for five minutes, and for longer while Secrets Manager does not answer. With `reread` it is read anew, or
        Unusable when nobody can tell. A batch may want that a thousand times, and a stranger as often as he likes: what
        was read anew in the last ten seconds is new enough. Names without a secret are looked for twenty times in half
        a minute, however many a stranger makes up; beyond that they are taken to be absent.
        """
        now = self._clock()
        kept = self._kept.get(app) or self._absent.get(app)
        if kept is not None and (now - kept.reread_at < _FRESH_SECONDS if reread else now - kept.read_at < kept.lasts):
            return kept.value
        failure = self._failures.get(app)
        if failure is None or now - failure.ended_at >= _SECONDS_AFTER_FAILURE:
            if app not in self._kept and not self._may_look(now):
                return Absent()
            found = self._read(app)
            self._looked_in_vain += isinstance(found, Absent) or (isinstance(found, Unusable) and not found.is_there)
            if not isinstance(found, Unusable):
                kept_now = _KeptSecret(found, now, reread_at=now if reread else -math.inf)
                is_absent = isinstance(found, Absent)
                _put(self._absent if is_absent else self._kept, app, kept_now)
                (self._kept if is_absent else self._absent).pop(app, None)
                self._failures.pop(app, None)
                return found
            failure = _Failure(found, self._clock())
            _put(self._failures, app, failure)
        return failure.found if reread or kept is None or isinstance(kept.value, Absent) else kept.value

    def _may_look(self, now: float) -> bool:
        """Whether one more name may be looked for that no secret is known of."""
        if now - self._looking_since >= _ABSENCE_KEPT_SECONDS:
            self._looking_since, self._looked_in_vain = now, 0
        return self._looked_in_vain < _MOST_LOOKED_FOR

    def _read(self, app: str) -> Mapping[str, Any] | Absent | Unusable:
        name = f"purchasely-clevertap/{self._stage}/{app}/{self._name}"
        try:
            text = self._secretsmanager.get_secret_value(SecretId=name).get("SecretString", "")
        except self._secretsmanager.exceptions.ResourceNotFoundException:
            return Absent()
        except ClientError as error:
            if _is_no_right_to_read(error):
                return Absent()
            return Unusable(f"secret {name} cannot be read: {error.response['Error']['Code']}")
        except BotoCoreError as error:
            return Unusable(f"secret {name} cannot be read: {type(error).__name__}")
        try:
            value = json.loads(unpadded(text))
        except (ValueError, RecursionError):
            return Unusable(f"secret {name} is not JSON", is_there=True)
        return value if isinstance(value, dict) else Unusable(f"secret {name} is not a JSON object", is_there=True)


def is_placeholder(text: str) -> bool:
    """Whether it is what the stack puts where a person has to write the secret, however it is written."""
    return unpadded(text).casefold() == PLACEHOLDER.casefold()


def _put[T](kept: dict[str, T], app: str, value: T) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[app] = value


def _is_no_right_to_read(error: ClientError) -> bool:
    """Whether reading was denied because the role's own policy does not name such a secret.

    The functions may read `…/{app}/{name}-??????`. A secret that does not exist has no such ARN, so AWS does not say
    that it is missing but that no identity-based policy allows reading it. An explicit deny, or another kind of policy
    that does not allow it, says nothing of the secret: that is a fault of the set-up, and so is a denied decryption.
    Source: IAM's user guide, "Troubleshoot access denied error messages".
    """
    given = error.response["Error"]
    message = given.get("Message", "")
    if given["Code"] != "AccessDeniedException" or "secretsmanager:GetSecretValue" not in message:
        return False
    reason = message.partition(" because ")[2]
    return "explicit deny" not in message and (not reason or "identity-based policy" in reason)
