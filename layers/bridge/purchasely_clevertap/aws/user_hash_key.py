"""The key of the user hashes in the log, from Secrets Manager."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_SECONDS_AFTER_FAILURE: Final = 300.0  # a log line without a user is no reason to make every batch wait


@dataclass(frozen=True, slots=True)
class KeyUnavailable:
    """The key cannot be read now."""

    detail: str


def user_hash_key_name(stage: str) -> str:
    """The secret that CloudFormation generates for a stage, and that nobody has to know."""
    return f"purchasely-clevertap/{stage}/user-hash-key"


class UserHashKey:
    """Reads the key when it is first asked for. `clock` gives seconds."""

    def __init__(self, secretsmanager: "SecretsManagerClient", *, stage: str, clock: Callable[[], float]) -> None:
        self._secretsmanager = secretsmanager
        self._name = user_hash_key_name(stage)
        self._clock = clock
        self._key: str | None = None
        self._failed: tuple[float, KeyUnavailable] | None = None

    def __call__(self) -> str | KeyUnavailable:
        """The key, kept for as long as this object lives; after a failure it is read again after five minutes."""
        if self._key is not None:
            return self._key
        if self._failed is not None and self._clock() - self._failed[0] < _SECONDS_AFTER_FAILURE:
            return self._failed[1]
        try:
            self._key = self._secretsmanager.get_secret_value(SecretId=self._name)["SecretString"]
        except ClientError as error:
            return self._failure(error.response["Error"]["Code"])
        except BotoCoreError as error:
            return self._failure(type(error).__name__)
        return self._key

    def _failure(self, why: str) -> KeyUnavailable:
        found = KeyUnavailable(f"secret {self._name} cannot be read: {why}")
        self._failed = self._clock(), found
        return found
