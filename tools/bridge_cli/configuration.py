"""What an app is set up with, in AWS: two secrets and a parameter. Read as the functions read them."""

import json
import re
import time
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from bridge_cli.account import Account, is_denied
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.deployment import deployment
from bridge_cli.secret_document import Document
from purchasely_clevertap.aws.secrets import Absent, Secrets, Unusable
from purchasely_clevertap.aws.settings_store import SettingsStore, SettingsUnavailable
from purchasely_clevertap.delivery.keys import APP
from purchasely_clevertap.mapping.settings import DEFAULT, Settings, SettingsError, parse
from purchasely_clevertap.padding import unpadded

_SECRET: Final = re.compile(rf"({APP.pattern})/(?:purchasely|clevertap)")
# Parameter Store, PutParameter: a standard parameter has up to 4 KB, an advanced one 8.
_STANDARD_BYTES: Final = 4096
_MOST_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """The settings of an app. `text` is what the parameter holds, None when there is none, and `problems` all that is
    wrong with it; `held` are those that the forwarder goes by: the last valid ones, or the defaults."""

    text: str | None
    version: int
    held: Settings | None
    problems: tuple[str, ...] = ()


class Configuration:
    """The secrets and settings of one app."""

    def __init__(self, account: Account, app: str) -> None:
        self._account = account
        self.app = app
        self._prefix = f"purchasely-clevertap/{account.stage}/{app}"
        self.settings_parameter = f"/{self._prefix}/settings"
        self._stored: StoredSettings | None = None
        self._secrets: dict[str, Document | Absent | Unusable] = {}

    def secret_name(self, name: str) -> str:
        """The whole name of the secret `purchasely` or `clevertap`."""
        return f"{self._prefix}/{name}"

    def secret(self, name: str) -> Document | Absent | Unusable:
        """What the secret `purchasely` or `clevertap` holds; read once."""
        if name not in self._secrets:
            client = self._account.client("secretsmanager")
            secrets = Secrets(client, stage=self._account.stage, name=name, clock=time.monotonic)
            self._secrets[name] = secrets.get(self.app)
        return self._secrets[name]

    def may_not_read(self, name: str) -> bool:
        """Whether the secret is there, or may be, and the person has no right to read it. Raises BotoCoreError.

        The functions take a secret that they may not read for one that does not exist.
        """
        client = self._account.client("secretsmanager")
        try:
            client.describe_secret(SecretId=self.secret_name(name))
        except client.exceptions.ResourceNotFoundException:
            return False
        except ClientError as error:
            return is_denied(error)
        return True

    def document(self, name: str) -> Document:
        """The same, as something to change; empty when there is no such secret.

        CliError when the secret is not a JSON object, ClientError when it cannot be read. The functions take a secret
        that they may not read for one that does not exist; a person would then write over what it holds.
        """
        found = self.secret(name)
        if not isinstance(found, Absent | Unusable):
            return found
        client = self._account.client("secretsmanager")
        try:
            client.get_secret_value(SecretId=self.secret_name(name))
        except client.exceptions.ResourceNotFoundException:
            return {}
        detail = found.detail if isinstance(found, Unusable) else f"secret {self.secret_name(name)} is new: try again"
        raise CliError(detail, code=ErrorCode.INVALID)

    def written_at(self, name: str) -> int:
        """When what the secret holds was written, in epoch milliseconds. Raises ClientError."""
        found = self._account.client("secretsmanager").get_secret_value(SecretId=self.secret_name(name))
        return int(found["CreatedDate"].timestamp() * 1000)

    def put_secret(self, name: str, document: Document) -> None:
        """Writes the secret; makes it if the app is a new one, encrypted with the stack's own key if it has one."""
        self._secrets.pop(name, None)
        client = self._account.client("secretsmanager")
        secret_id, text = self.secret_name(name), json.dumps(document)
        try:
            client.put_secret_value(SecretId=secret_id, SecretString=text)
        except client.exceptions.ResourceNotFoundException:
            if key := deployment(self._account).parameters.get("KmsKeyArn"):
                client.create_secret(Name=secret_id, SecretString=text, KmsKeyId=key)
            else:
                client.create_secret(Name=secret_id, SecretString=text)

    def settings(self) -> StoredSettings:
        """The settings as they are stored, and as they hold; read once."""
        if self._stored is None:
            self._stored = self._read_settings()
        return self._stored

    def _read_settings(self) -> StoredSettings:
        ssm = self._account.client("ssm")
        try:
            parameter = ssm.get_parameter(Name=self.settings_parameter)["Parameter"]
        except ssm.exceptions.ParameterNotFound:
            return StoredSettings(None, 0, DEFAULT)
        text, version = parameter["Value"], parameter["Version"]
        try:
            return StoredSettings(text, version, parse(text))
        except SettingsError as error:
            # The forwarder goes by an earlier version, if one is valid.
            store = SettingsStore(ssm, stage=self._account.stage, clock=time.monotonic, refused=lambda *_: None)
            held = store.mapper(self.app)
            settings = None if isinstance(held, SettingsUnavailable) else held.settings
            return StoredSettings(text, version, settings, error.problems)

    def put_settings(self, text: str) -> int:
        """Writes settings that are valid; gives their version. CliError beyond a parameter's size."""
        self._stored = None
        put = self._account.client("ssm").put_parameter(
            Name=self.settings_parameter,
            Value=fitting(text),
            Type="String",
            Tier="Intelligent-Tiering",
            Overwrite=True,
        )
        return put["Version"]


def fitting(text: str) -> str:
    """Valid settings as a parameter holds them: as they are, or in compact form. CliError if they fit in neither."""
    if len(text.encode()) <= _STANDARD_BYTES:
        return text
    short = compact(text)
    if (size := len(short.encode())) > _MOST_BYTES:
        raise CliError(
            f"these settings have {size} bytes in compact form, and a parameter at most {_MOST_BYTES}: name fewer "
            "events or properties",
            code=ErrorCode.INVALID,
        )
    return short


def compact(text: str) -> str:
    """The same settings without spaces and line breaks."""
    return json.dumps(json.loads(unpadded(text)), ensure_ascii=False, separators=(",", ":"))


def size_warnings(text: str) -> list[str]:
    """What to know before settings of this size are written: what a parameter holds, and what it costs."""
    size = len(text.encode())
    if size <= _STANDARD_BYTES:
        return []
    short = len(compact(text).encode())
    if short <= _STANDARD_BYTES:
        found = f"{size} bytes, and a standard parameter holds {_STANDARD_BYTES}: "
        return [f"{found}`bridge settings put` writes the compact form, {short} bytes"]
    if short <= _MOST_BYTES:
        found = (
            f"{short} bytes in compact form, and a standard parameter holds {_STANDARD_BYTES}: `bridge settings put` "
        )
        found += f"makes it an advanced one, which holds {_MOST_BYTES} and costs 0.05 USD a month"
        return [found]
    return [f"{short} bytes in compact form, and no parameter holds more than {_MOST_BYTES}: it cannot be written"]


def apps(account: Account) -> list[str]:
    """Every app of the stage that has a secret, in the order of the alphabet; `default` comes first."""
    prefix = f"purchasely-clevertap/{account.stage}/"
    pages = (
        account.client("secretsmanager")
        .get_paginator("list_secrets")
        .paginate(Filters=[{"Key": "name", "Values": [prefix]}])
    )
    names = (secret["Name"] for page in pages for secret in page["SecretList"])
    found = {match[1] for name in names if (match := _SECRET.fullmatch(name.removeprefix(prefix)))}
    return sorted(found, key=lambda app: (app != "default", app))
