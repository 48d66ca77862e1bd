"""The CleverTap accounts of an app: what its secret may hold, and which region they are in."""

import pytest

from purchasely_clevertap.aws.credentials import AppCredentials, CredentialsStore
from purchasely_clevertap.aws.secrets import Unusable
from purchasely_clevertap.clevertap.account import Credentials, Environment
from tests.integration.cloud import PRODUCTION, SANDBOX, Cloud


@pytest.fixture
def store(cloud: Cloud) -> CredentialsStore:
    return CredentialsStore(cloud.secrets("clevertap"))


def credentials(store: CredentialsStore, app: str = "default") -> AppCredentials:
    found = store.get(app)
    assert isinstance(found, AppCredentials)
    return found


def test_both_accounts_are_read(store: CredentialsStore) -> None:
    found = credentials(store)
    assert found.keys == {
        Environment.PRODUCTION: ("PRODUCTION-ID", "production-passcode"),
        Environment.SANDBOX: ("SANDBOX-ID", "sandbox-passcode"),
    }


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sandbox": None},
        {"sandbox": {}},
        {"sandbox": "text"},
        {"sandbox": {"account_id": "SANDBOX-ID"}},
        {"sandbox": {"account_id": "", "passcode": "p"}},
        {"sandbox": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}},
        {"sandbox": {"account_id": "SANDBOX-ID", "passcode": "REPLACE_ME"}},
    ],
)
def test_without_a_whole_sandbox_account_there_is_none(
    cloud: Cloud, store: CredentialsStore, more: dict[str, object]
) -> None:
    cloud.put_secret("clevertap", {"production": PRODUCTION, **more})
    assert list(credentials(store).keys) == [Environment.PRODUCTION]


@pytest.mark.parametrize(
    "secret",
    [
        "not json",
        "[]",
        {},
        {"sandbox": SANDBOX},
        {"production": None},
        {"production": "PRODUCTION-ID"},
        {"production": {"account_id": "PRODUCTION-ID"}},
        {"production": {"account_id": "PRODUCTION-ID", "passcode": 17}},
        {"production": {"account_id": "PRODUCTION-ID", "passcode": " "}},
        {"production": {"account_id": "", "passcode": "production-passcode"}},
        {"production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}},
        {"production": {"account_id": "PRODUCTION-ID", "passcode": "REPLACE_ME"}},
        {"production": {"account_id": "REPLACE_ME", "passcode": "production-passcode"}},
        PRODUCTION,
    ],
)
def test_an_incomplete_production_account_is_unusable(cloud: Cloud, store: CredentialsStore, secret: object) -> None:
    cloud.put_secret("clevertap", secret)
    found = store.get("default")
    assert isinstance(found, Unusable)
    assert "default" in found.detail
    assert "PRODUCTION-ID" not in found.detail
    assert "production-passcode" not in found.detail


def test_an_app_without_a_secret_has_no_credentials(store: CredentialsStore) -> None:
    found = store.get("unknown")
    assert isinstance(found, Unusable)
    assert "unknown" in found.detail


def test_a_replaced_placeholder_serves_in_10_seconds(cloud: Cloud, store: CredentialsStore) -> None:
    cloud.put_secret("clevertap", {"production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}})
    assert isinstance(store.get("default"), Unusable)
    cloud.put_secret("clevertap", {"production": PRODUCTION})
    cloud.clock.advance(10)
    assert credentials(store).keys == {Environment.PRODUCTION: ("PRODUCTION-ID", "production-passcode")}


def test_a_reread_finds_a_changed_passcode(cloud: Cloud, store: CredentialsStore) -> None:
    credentials(store)
    cloud.put_secret("clevertap", {"production": PRODUCTION | {"passcode": "changed"}})
    cloud.clock.advance(10)
    assert credentials(store).keys[Environment.PRODUCTION][1] == "production-passcode"
    reread = store.get("default", reread=True)
    assert isinstance(reread, AppCredentials)
    assert reread.keys[Environment.PRODUCTION][1] == "changed"


def test_credentials_are_shown_without_a_passcode(store: CredentialsStore) -> None:
    found = credentials(store)
    account_id, passcode = found.keys[Environment.PRODUCTION]
    shown = repr(found) + repr(Credentials(account_id, passcode, "https://api.clevertap.com"))
    assert "passcode" not in shown.replace("passcode=", "")
