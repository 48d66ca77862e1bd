"""The CleverTap accounts of each app."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from purchasely_clevertap.aws.secrets import PLACEHOLDER, Absent, Secrets, Unusable
from purchasely_clevertap.clevertap.client import Account as CleverTapAccount
from purchasely_clevertap.mapping.mapper import Account
from purchasely_clevertap.mapping.settings import Settings


@dataclass(frozen=True, slots=True)
class Credentials:
    """Account id and passcode for production and, if the app has one, for sandbox. `endpoint` replaces the region's."""

    keys: Mapping[Account, tuple[str, str]] = field(repr=False)
    endpoint: str

    @property
    def has_sandbox(self) -> bool:
        """Whether there is an account for sandbox events."""
        return Account.SANDBOX in self.keys

    def account(self, account: Account, settings: Settings) -> CleverTapAccount:
        """The account to upload to, in the region of the settings."""
        account_id, passcode = self.keys[account]
        region = settings.region
        if account is Account.SANDBOX and settings.sandbox_region is not None:
            region = settings.sandbox_region
        return CleverTapAccount(account_id, passcode, self.endpoint or region.endpoint)


class CredentialsStore:
    """Reads credentials from the secrets `purchasely-clevertap/{stage}/{app}/clevertap`."""

    def __init__(self, secrets: Secrets, *, endpoint: str) -> None:
        self._secrets = secrets
        self._endpoint = endpoint

    def get(self, app: str, *, reread: bool = False) -> Credentials | Unusable:
        """The credentials of `app`; `reread` asks for what stands in the secret now."""
        secret = self._secrets.get(app, reread=reread)
        if isinstance(secret, Absent):
            return Unusable(f"app {app} has no clevertap secret")
        if isinstance(secret, Unusable):
            return secret
        production = _keys(secret.get("production"))
        if production is None:
            if not reread:  # what was a placeholder when it was read may have become an account since
                return self.get(app, reread=True)
            return Unusable(
                f"the clevertap secret of app {app} is a placeholder or not of the form "
                '{"production": {"account_id": "…", "passcode": "…"}, "sandbox": {…}}'
            )
        sandbox = _keys(secret.get("sandbox"))
        keys = {Account.PRODUCTION: production} | ({Account.SANDBOX: sandbox} if sandbox else {})
        return Credentials(keys, self._endpoint)


def _keys(given: object) -> tuple[str, str] | None:
    match given:
        case {"account_id": str(account_id), "passcode": str(passcode)} if account_id.strip() and passcode.strip():
            return None if PLACEHOLDER in (account_id, passcode) else (account_id, passcode)
        case _:
            return None
