"""What an app has, what it shall have, and how the one becomes the other. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge_cli.secret_document import Document, account_keys, with_account, with_shared_secret
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.mapping.settings import Settings, parse


def region_by(settings: Settings, project: Project) -> Region:
    """Where `settings` have a project of CleverTap."""
    if project is Project.SANDBOX and settings.sandbox_region is not None:
        return settings.sandbox_region
    return settings.region


@dataclass(frozen=True, slots=True)
class Keys:
    """What uploads to a CleverTap project are made with."""

    project_id: str
    passcode: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Present:
    """What an app has: the documents in its two secrets, and the settings that are stored, which are valid.

    Without any, the documents are empty and the settings None.
    """

    purchasely: Document = field(default_factory=dict, repr=False)
    clevertap: Document = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] | None = None

    @property
    def held(self) -> Settings:
        """The settings, defaults filled in."""
        return parse(json.dumps(self.settings or {}))

    def keys(self, project: Project) -> Keys | None:
        """The keys of a project, if the app has them."""
        found = account_keys(self.clevertap, project)
        return None if found is None else Keys(*found)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an app shall have. `sandbox_region` None is the same region; without `sandbox` nothing is said of it."""

    region: Region
    production: Keys
    shared_secret: str = field(repr=False)
    sandbox: Keys | None = None
    sandbox_region: Region | None = None

    @property
    def projects(self) -> Mapping[Project, tuple[Keys, Region]]:
        """Each project with its region."""
        found = {Project.PRODUCTION: (self.production, self.region)}
        if self.sandbox is not None:
            found[Project.SANDBOX] = (self.sandbox, self.sandbox_region or self.region)
        return found

    def applied(self, present: Present) -> Present:
        """What the app has then. All else that is present stays, and former shared secrets are still accepted."""
        clevertap = present.clevertap
        for project, (keys, _) in self.projects.items():
            clevertap = with_account(clevertap, project, keys.project_id, keys.passcode)
        settings = {**(present.settings or {}), "region": self.region.value}
        elsewhere = self.sandbox_region not in (None, self.region)
        if elsewhere or "sandbox_region" in settings:
            settings["sandbox_region"] = str(self.sandbox_region) if elsewhere else None
        return Present(with_shared_secret(present.purchasely, self.shared_secret), clevertap, settings)
