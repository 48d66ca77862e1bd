"""The key of the user hashes: read once, and asked for rarely while it can't be read."""

import pytest

from purchasely_clevertap.aws.user_hash_key import KeyUnavailable, UserHashKey
from tests.integration.cloud import STAGE, USER_KEY, Cloud, Step, unreachable


@pytest.fixture
def key(cloud: Cloud) -> UserHashKey:
    return UserHashKey(cloud.secretsmanager, stage=STAGE, clock=cloud.clock.seconds)


def test_the_key_is_read_once(cloud: Cloud, key: UserHashKey) -> None:
    assert [key(), key()] == [USER_KEY, USER_KEY]
    assert len(cloud.calls.of("GetSecretValue")) == 1


@pytest.mark.parametrize("fault", ["AccessDeniedException", unreachable()])
def test_a_missing_key_is_asked_for_every_five_minutes(cloud: Cloud, key: UserHashKey, fault: Step) -> None:
    cloud.calls.next("GetSecretValue", fault)
    assert isinstance(key(), KeyUnavailable)
    cloud.clock.advance(299)
    assert isinstance(key(), KeyUnavailable)
    assert len(cloud.calls.of("GetSecretValue")) == 1
    cloud.clock.advance(1)
    assert key() == USER_KEY
