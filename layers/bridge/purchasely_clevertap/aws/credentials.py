"""The credentials of each app's CleverTap projects, from its secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from purchasely_clevertap.aws.secrets import Absent, Secrets, Unusable, is_placeholder
from purchasely_clevertap.clevertap.account import Environment


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """Account id and passcode for production and, if the app has one, for sandbox."""

    keys: Mapping[Environment, tuple[str, str]] = field(repr=False)

    @property
    def account_ids(self) -> Mapping[Environment, str]:
        """The CleverTap project ids."""
        return {environment: account_id for environment, (account_id, _) in self.keys.items()}


class CredentialsStore:
    """Reads credentials from the secrets `purchasely-clevertap/{stage}/{app}/clevertap`."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def get(self, app: str, *, reread: bool = False) -> AppCredentials | Unusable:
        """The credentials of `app`; `reread` asks for what stands in the secret now."""
        secret = self._secrets.get(app, reread=reread)
        if isinstance(secret, Absent):
            return Unusable(f"app {app} has no clevertap secret")
        if isinstance(secret, Unusable):
            return secret
        production = project_keys(secret.get("production"))
        if production is None:
            if not reread:  # the cached value may be a placeholder that was replaced since
                return self.get(app, reread=True)
            return Unusable(
                f"the clevertap secret of app {app} is a placeholder or not of the form "
                '{"production": {"account_id": "…", "passcode": "…"}, "sandbox": {…}}'
            )
        sandbox = project_keys(secret.get("sandbox"))
        keys = {Environment.PRODUCTION: production} | ({Environment.SANDBOX: sandbox} if sandbox else {})
        return AppCredentials(keys)


def project_keys(given: object) -> tuple[str, str] | None:
    """Account id and passcode of one project in the secret; None when it has none, or only the placeholder."""
    match given:
        case {"account_id": str(account_id), "passcode": str(passcode)} if account_id.strip() and passcode.strip():
            return None if any(map(is_placeholder, (account_id, passcode))) else (account_id, passcode)
        case _:
            return None
