"""The settings of each app, from SSM Parameter Store, as mappers ready for use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT, SettingsError, parse

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_KEPT_SECONDS: Final = 60.0
_FAILURE_KEPT_SECONDS: Final = 10.0  # a failure may take seconds, and a batch wants its settings a thousand times
_VERSIONS_TRIED: Final = 10


@dataclass(frozen=True, slots=True)
class SettingsUnavailable:
    """No settings can be had for the app now."""

    detail: str


@dataclass(slots=True)
class _KeptSettings:
    read_at: float
    mapper: Mapper
    version: int
    text: str = ""


class SettingsStore:
    """The parameters `/purchasely-clevertap/{stage}/{app}/settings`.

    `clock` gives seconds. `refused` hears of settings that are not valid: the app, the version, what is wrong.
    """

    def __init__(
        self,
        ssm: "SSMClient",
        *,
        stage: str,
        clock: Callable[[], float],
        refused: Callable[[str, int, tuple[str, ...]], None],
    ) -> None:
        self._ssm = ssm
        self._stage = stage
        self._clock = clock
        self._refused = refused
        self._kept: dict[str, _KeptSettings] = {}
        self._failed: dict[str, tuple[float, SettingsUnavailable]] = {}

    def mapper(self, app: str) -> Mapper | SettingsUnavailable:
        """The mapper of the newest valid settings of `app`; an app without settings has the default ones.

        Settings are read anew after a minute. A version that is not valid is refused and the last valid one goes
        on serving: the one at hand, else the newest valid one of the parameter's last ten versions.
        """
        now = self._clock()
        kept = self._kept.get(app)
        if kept is not None and now - kept.read_at < _KEPT_SECONDS:
            return kept.mapper
        if app in self._failed and now - self._failed[app][0] < _FAILURE_KEPT_SECONDS:
            return self._failed[app][1]
        found = self._newest(app, kept)
        if isinstance(found, SettingsUnavailable):
            if kept is None:
                self._failed[app] = (self._clock(), found)
                return found
            found = kept
        self._failed.pop(app, None)
        found.read_at = now
        self._kept[app] = found
        return found.mapper

    def _newest(self, app: str, kept: _KeptSettings | None) -> _KeptSettings | SettingsUnavailable:
        name = f"/purchasely-clevertap/{self._stage}/{app}/settings"
        try:
            read = self._read(name)
            if read is None:
                return kept if kept is not None and kept.version == 0 else _KeptSettings(0, Mapper(DEFAULT), 0)
            newest, text = read
            # A parameter that was deleted and made anew begins at version 1 again.
            if kept is not None and (kept.version, kept.text) == (newest, text):
                return kept
            for version in range(newest, max(newest - _VERSIONS_TRIED, 0), -1):
                if version != newest:
                    read = self._read(f"{name}:{version}")
                    if read is None:
                        continue
                    text = read[1]
                try:
                    return _KeptSettings(0, Mapper(parse(text)), version, text)
                except SettingsError as error:
                    if version == newest:
                        self._refused(app, version, error.problems)
                        if kept is not None:
                            return kept
        except ClientError as error:
            return SettingsUnavailable(f"parameter {name} cannot be read: {error.response['Error']['Code']}")
        except BotoCoreError as error:
            return SettingsUnavailable(f"parameter {name} cannot be read: {type(error).__name__}")
        return SettingsUnavailable(f"no version of parameter {name} is valid")

    def _read(self, name: str) -> tuple[int, str] | None:
        try:
            parameter = self._ssm.get_parameter(Name=name)["Parameter"]
        except (self._ssm.exceptions.ParameterNotFound, self._ssm.exceptions.ParameterVersionNotFound):
            return None
        return parameter["Version"], parameter["Value"]
