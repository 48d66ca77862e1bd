"""Secrets of an app: how long they are kept, and what becomes of a failure."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from purchasely_clevertap.aws.secrets import Absent, Secrets, Unusable
from tests.integration.cloud import STAGE, Cloud, unreachable


@pytest.fixture
def secrets(cloud: Cloud) -> Secrets:
    cloud.put_secret("thing", {"value": 1})
    cloud.calls.made.clear()
    return cloud.secrets("thing")


def reads(cloud: Cloud) -> int:
    return len(cloud.calls.of("GetSecretValue"))


def test_a_secret_is_read_once_in_5_minutes(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("default") == {"value": 1}
    cloud.put_secret("thing", {"value": 2})
    cloud.clock.advance(299)
    assert secrets.get("default") == {"value": 1}
    assert reads(cloud) == 1
    cloud.clock.advance(1)
    assert secrets.get("default") == {"value": 2}
    assert reads(cloud) == 2


def test_a_reread_is_new_but_once_in_10_seconds(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("default") == {"value": 1}
    cloud.put_secret("thing", {"value": 2})
    assert secrets.get("default", reread=True) == {"value": 2}
    cloud.put_secret("thing", {"value": 3})
    cloud.clock.advance(9)
    assert secrets.get("default", reread=True) == {"value": 2}
    cloud.clock.advance(1)
    assert secrets.get("default", reread=True) == {"value": 3}
    assert secrets.get("default") == {"value": 3}
    assert reads(cloud) == 3


def test_an_absent_secret_is_not_asked_for_30_seconds(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("new") == Absent()
    cloud.put_secret("thing", {"value": 1}, app="new")
    cloud.clock.advance(29)
    assert secrets.get("new") == Absent()
    cloud.clock.advance(1)
    assert secrets.get("new") == {"value": 1}


def test_emulators_call_a_missing_secret_missing(cloud: Cloud) -> None:
    secrets = Secrets(cloud.secretsmanager, stage=STAGE, name="thing", clock=cloud.clock.seconds)
    assert secrets.get("new") == Absent()


def denied(reason: str) -> Callable[[], None]:
    """AWS denies to read a secret, for this reason."""
    message = (
        "User: arn:aws:sts::123456789012:assumed-role/ingest/ingest is not authorized to perform: "
        f"secretsmanager:GetSecretValue on resource: purchasely-clevertap/test/default/thing{reason}"
    )

    def deny() -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, "GetSecretValue")

    return deny


@pytest.mark.parametrize(
    "reason",
    [
        " with an explicit deny in a service control policy",
        " with an explicit deny in an identity-based policy",
        " with an explicit deny in a resource-based policy",
        " because no service control policy allows the secretsmanager:GetSecretValue action",
        " because no permissions boundary allows the secretsmanager:GetSecretValue action",
    ],
)
def test_a_secret_that_is_denied_is_not_absent(cloud: Cloud, secrets: Secrets, reason: str) -> None:
    cloud.calls.next("GetSecretValue", denied(reason))
    assert isinstance(secrets.get("default"), Unusable)


@pytest.mark.parametrize(
    "reason", ["", " because no identity-based policy allows the secretsmanager:GetSecretValue action"]
)
def test_a_secret_that_no_policy_names_is_absent(cloud: Cloud, secrets: Secrets, reason: str) -> None:
    cloud.calls.next("GetSecretValue", denied(reason))
    assert secrets.get("default") == Absent()


def test_a_secret_that_is_deleted_becomes_absent(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("default") == {"value": 1}
    cloud.delete_secret("thing")
    cloud.clock.advance(300)
    assert secrets.get("default") == Absent()


@pytest.mark.parametrize("text", ["no json: s3cret", '["s3cret"]', '"s3cret"', "null", "1"])
def test_no_json_object_is_unusable_and_never_quoted(cloud: Cloud, secrets: Secrets, text: str) -> None:
    cloud.put_secret("thing", text)
    found = secrets.get("default")
    assert isinstance(found, Unusable)
    assert f"purchasely-clevertap/{STAGE}/default/thing" in found.detail
    assert "s3cret" not in found.detail


def test_a_binary_secret_is_unusable(cloud: Cloud, secrets: Secrets) -> None:
    name = f"purchasely-clevertap/{STAGE}/binary/thing"
    cloud.secretsmanager.create_secret(Name=name, SecretBinary=b'{"value": 1}')
    assert isinstance(secrets.get("binary"), Unusable)


@pytest.mark.parametrize("fault", ["InternalServiceError", "ThrottlingException", unreachable()])
def test_a_read_secret_outlives_secrets_manager(cloud: Cloud, secrets: Secrets, fault: str) -> None:
    assert secrets.get("default") == {"value": 1}
    cloud.put_secret("thing", {"value": 2})
    cloud.calls.always("GetSecretValue", fault)
    cloud.clock.advance(300)
    for _ in range(30):
        assert secrets.get("default") == {"value": 1}
        assert isinstance(secrets.get("default", reread=True), Unusable)
        cloud.clock.advance(1)
    assert reads(cloud) == 1 + 3
    cloud.calls.mend()
    assert secrets.get("default") == {"value": 2}


def test_a_failed_reread_leaves_the_kept_secret(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("default") == {"value": 1}
    cloud.clock.advance(10)
    cloud.calls.next("GetSecretValue", "ThrottlingException")
    assert isinstance(secrets.get("default", reread=True), Unusable)
    assert secrets.get("default") == {"value": 1}
    assert reads(cloud) == 2


def test_a_reread_is_as_old_as_its_beginning(cloud: Cloud, secrets: Secrets) -> None:
    cloud.calls.next("GetSecretValue", lambda: cloud.clock.advance(6))
    assert secrets.get("default", reread=True) == {"value": 1}
    cloud.put_secret("thing", {"value": 2})
    cloud.clock.advance(3.9)
    assert secrets.get("default", reread=True) == {"value": 1}
    cloud.clock.advance(0.1)
    assert secrets.get("default", reread=True) == {"value": 2}


def test_rubbish_leaves_the_last_good_secret(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("default") == {"value": 1}
    cloud.put_secret("thing", "{")
    cloud.clock.advance(300)
    assert secrets.get("default") == {"value": 1}


@pytest.mark.parametrize("fault", ["InternalServiceError", unreachable()])
def test_a_failed_first_read_is_kept_10_seconds(cloud: Cloud, secrets: Secrets, fault: str) -> None:
    cloud.calls.next("GetSecretValue", fault)
    for _ in range(10):
        assert isinstance(secrets.get("default"), Unusable)
        cloud.clock.advance(0.9)
    assert reads(cloud) == 1
    cloud.clock.advance(1)
    assert secrets.get("default") == {"value": 1}


def test_a_slow_failure_is_kept_from_its_end(cloud: Cloud, secrets: Secrets) -> None:
    def slow() -> None:
        cloud.clock.advance(28)
        raise unreachable()

    cloud.calls.next("GetSecretValue", slow)
    assert isinstance(secrets.get("default"), Unusable)
    assert isinstance(secrets.get("default"), Unusable)
    assert reads(cloud) == 1


def test_an_absent_app_is_unusable_in_an_outage(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("new") == Absent()
    cloud.clock.advance(30)
    cloud.calls.next("GetSecretValue", unreachable())
    assert isinstance(secrets.get("new"), Unusable)


def test_1500_made_up_names_cost_20_calls(cloud: Cloud, secrets: Secrets) -> None:
    assert secrets.get("default") == {"value": 1}
    for number in range(1500):
        assert secrets.get(f"guess-{number}") == Absent()
    assert reads(cloud) == 21
    cloud.calls.always("GetSecretValue", "InternalServiceError")
    assert secrets.get("default") == {"value": 1}, "no name has pushed it out"
    cloud.calls.mend()
    cloud.put_secret("thing", {"value": 2}, app="new-app")
    cloud.clock.advance(30)
    assert secrets.get("new-app") == {"value": 2}


def test_made_up_names_cost_20_calls_that_fail(cloud: Cloud, secrets: Secrets) -> None:
    cloud.calls.always("GetSecretValue", "ThrottlingException")
    for number in range(1500):
        assert isinstance(secrets.get(f"guess-{number}"), Unusable if number < 20 else Absent)
    assert reads(cloud) == 20


@pytest.mark.parametrize("around", ["\ufeff{}", "{}\n", " \r\n{}\r\n", "\ufeff{}\n"])
def test_a_pasted_secret_is_read_without_its_padding(cloud: Cloud, secrets: Secrets, around: str) -> None:
    cloud.secretsmanager.put_secret_value(
        SecretId=f"purchasely-clevertap/{STAGE}/default/thing", SecretString=around.replace("{}", '{"value": 3}')
    )
    assert secrets.get("default") == {"value": 3}
