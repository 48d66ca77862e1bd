"""Secrets of an app, from Secrets Manager, kept for a while.

A secret is a value or the reason why there is none: the door and the forwarder each answer for that in their way.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

PLACEHOLDER: Final = "REPLACE_ME"

_KEPT_SECONDS: Final = 300.0
_ABSENCE_KEPT_SECONDS: Final = 30.0  # a new app is served soon; a guesser of app names costs no call each time
_LEAST_SECONDS_BETWEEN_READS: Final = 10.0
_MOST_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such secret: the app is unknown."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The secret cannot be read or does not hold what it should. `detail` never quotes it."""

    detail: str


@dataclass(slots=True)
class _Kept:
    value: Mapping[str, Any] | Absent | Unusable
    read_at: float
    asked_at: float

    @property
    def lasts(self) -> float:
        match self.value:
            case Unusable():
                return 0.0
            case Absent():
                return _ABSENCE_KEPT_SECONDS
            case _:
                return _KEPT_SECONDS


class Secrets:
    """The secrets `purchasely-clevertap/{stage}/{app}/{name}`. `clock` gives seconds."""

    def __init__(
        self, secretsmanager: "SecretsManagerClient", *, stage: str, name: str, clock: Callable[[], float]
    ) -> None:
        self._secretsmanager = secretsmanager
        self._stage = stage
        self._name = name
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def get(self, app: str, *, reread: bool = False) -> Mapping[str, Any] | Absent | Unusable:
        """The JSON object in the secret of `app`.

        Kept for five minutes; `reread` asks for it anew. When Secrets Manager does not answer, what is kept goes on
        serving. It is never asked more than once in ten seconds for the same secret: a failure may take seconds, and a
        batch wants its secret a thousand times.
        """
        now = self._clock()
        kept = self._kept.get(app)
        if kept is not None and (
            (not reread and now - kept.read_at < kept.lasts) or now - kept.asked_at < _LEAST_SECONDS_BETWEEN_READS
        ):
            return kept.value
        found = self._read(app)
        asked_at = self._clock()
        if isinstance(found, Unusable) and kept is not None and not isinstance(kept.value, Absent | Unusable):
            kept.asked_at = asked_at
            return kept.value
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[app] = _Kept(found, now, asked_at)
        return found

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
            value = json.loads(text)
        except (ValueError, RecursionError):
            return Unusable(f"secret {name} is not JSON")
        return value if isinstance(value, dict) else Unusable(f"secret {name} is not a JSON object")


def _is_no_right_to_read(error: ClientError) -> bool:
    """Whether reading the secret was denied, rather than decrypting it.

    The functions may read `…/{app}/{name}-??????`. A secret that does not exist has no such ARN, so AWS does not say
    that it is missing but that reading it is not allowed.
    """
    given = error.response["Error"]
    return given["Code"] == "AccessDeniedException" and "secretsmanager:GetSecretValue" in given.get("Message", "")
