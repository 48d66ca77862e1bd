"""The CleverTap accounts of an app: what its secret may hold, and which region they are in."""

import pytest

from purchasely_clevertap.aws.credentials import Credentials, CredentialsStore
from purchasely_clevertap.aws.secrets import Unusable
from purchasely_clevertap.clevertap.client import Account as CleverTapAccount
from purchasely_clevertap.mapping.mapper import Account
from purchasely_clevertap.mapping.settings import parse
from tests.integration.cloud import PRODUCTION, SANDBOX, Cloud


@pytest.fixture
def store(cloud: Cloud) -> CredentialsStore:
    return CredentialsStore(cloud.secrets("clevertap"), endpoint="")


def credentials(store: CredentialsStore, app: str = "default") -> Credentials:
    found = store.get(app)
    assert isinstance(found, Credentials)
    return found


def test_both_accounts_are_read(store: CredentialsStore) -> None:
    found = credentials(store)
    assert found.has_sandbox
    assert found.keys == {
        Account.PRODUCTION: ("PRODUCTION-ID", "production-passcode"),
        Account.SANDBOX: ("SANDBOX-ID", "sandbox-passcode"),
    }


@pytest.mark.parametrize(
    "sandbox",
    [
        None,
        {},
        "text",
        {"account_id": "SANDBOX-ID"},
        {"account_id": "", "passcode": "p"},
        {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"},
        {"account_id": "SANDBOX-ID", "passcode": "REPLACE_ME"},
    ],
)
def test_without_a_whole_sandbox_account_there_is_none(cloud: Cloud, store: CredentialsStore, sandbox: object) -> None:
    cloud.put_secret("clevertap", {"production": PRODUCTION, "sandbox": sandbox})
    found = credentials(store)
    assert not found.has_sandbox
    assert list(found.keys) == [Account.PRODUCTION]


def test_a_secret_needs_no_sandbox_account(cloud: Cloud, store: CredentialsStore) -> None:
    cloud.put_secret("clevertap", {"production": PRODUCTION})
    assert not credentials(store).has_sandbox


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
def test_without_a_whole_production_account_the_secret_is_unusable_and_never_quoted(
    cloud: Cloud, store: CredentialsStore, secret: object
) -> None:
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


def test_an_account_that_takes_the_place_of_a_placeholder_is_used_after_10_seconds(
    cloud: Cloud, store: CredentialsStore
) -> None:
    cloud.put_secret("clevertap", {"production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}})
    assert isinstance(store.get("default"), Unusable)
    cloud.put_secret("clevertap", {"production": PRODUCTION})
    cloud.clock.advance(10)
    assert credentials(store).keys == {Account.PRODUCTION: ("PRODUCTION-ID", "production-passcode")}


def test_a_reread_finds_a_changed_passcode(cloud: Cloud, store: CredentialsStore) -> None:
    credentials(store)
    cloud.put_secret("clevertap", {"production": PRODUCTION | {"passcode": "changed"}})
    cloud.clock.advance(10)
    assert credentials(store).keys[Account.PRODUCTION][1] == "production-passcode"
    reread = store.get("default", reread=True)
    assert isinstance(reread, Credentials)
    assert reread.keys[Account.PRODUCTION][1] == "changed"


@pytest.mark.parametrize(
    ("settings", "production", "sandbox"),
    [
        ("{}", "https://api.clevertap.com", "https://api.clevertap.com"),
        ('{"region": "IN1"}', "https://in1.api.clevertap.com", "https://in1.api.clevertap.com"),
        (
            '{"region": "in1", "sandbox_region": "us1"}',
            "https://in1.api.clevertap.com",
            "https://us1.api.clevertap.com",
        ),
        ('{"sandbox_region": "aps3"}', "https://api.clevertap.com", "https://aps3.api.clevertap.com"),
    ],
)
def test_accounts_are_in_the_regions_of_the_settings(
    store: CredentialsStore, settings: str, production: str, sandbox: str
) -> None:
    found = credentials(store)
    assert found.account(Account.PRODUCTION, parse(settings)) == CleverTapAccount(
        "PRODUCTION-ID", "production-passcode", production
    )
    assert found.account(Account.SANDBOX, parse(settings)) == CleverTapAccount(
        "SANDBOX-ID", "sandbox-passcode", sandbox
    )


def test_an_endpoint_of_the_stack_replaces_that_of_any_region(cloud: Cloud) -> None:
    found = CredentialsStore(cloud.secrets("clevertap"), endpoint="http://127.0.0.1:9").get("default")
    assert isinstance(found, Credentials)
    settings = parse('{"region": "in1", "sandbox_region": "us1"}')
    assert {found.account(account, settings).endpoint for account in Account} == {"http://127.0.0.1:9"}


def test_credentials_are_shown_without_a_passcode(store: CredentialsStore) -> None:
    found = credentials(store)
    shown = repr(found) + repr(found.account(Account.PRODUCTION, parse("{}")))
    assert "passcode" not in shown.replace("passcode=", "")
