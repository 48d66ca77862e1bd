"""A CleverTap project: its region, which of an app's two it is, and the credentials for it.

Source: https://developer.clevertap.com/docs/authentication#region and /docs/common-api-components.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self


class Region(StrEnum):
    """A CleverTap region, by the code that the address of its dashboard begins with."""

    EU1 = "eu1"
    IN1 = "in1"
    SG1 = "sg1"
    US1 = "us1"
    APS3 = "aps3"
    MEC1 = "mec1"

    @property
    def endpoint(self) -> str:
        """Base URL of the API, without a trailing slash."""
        # Europe is CleverTap's first region: its host carries no code.
        return "https://api.clevertap.com" if self is Region.EU1 else f"https://{self}.api.clevertap.com"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The region that `text` names, in any case; `eu` and nothing at all are Europe.

        Raises ValueError that names the value and what is allowed.
        """
        code = text.strip().lower()
        try:
            return cls("eu1" if code in ("", "eu") else code)
        except ValueError:
            raise ValueError(f"region {text!r} is none of {', '.join(cls)}") from None


class Environment(StrEnum):
    """Which of the app's two CleverTap projects: that of real purchases, or that of the stores' test purchases."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an upload to a project needs; `endpoint` is the base URL of its region. White space around the values is
    ignored."""

    account_id: str
    passcode: str = field(repr=False)
    endpoint: str
