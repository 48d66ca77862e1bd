"""Settings of an app: which version is in force, and for how long."""

import pytest

from purchasely_clevertap.aws.settings_store import SettingsStore, SettingsUnavailable
from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.mapping.mapper import Mapper
from purchasely_clevertap.mapping.settings import DEFAULT
from tests.integration.cloud import STAGE, Cloud, unreachable

US, INDIA, BAD = {"region": "us1"}, {"region": "in1"}, {"region": "mars1"}


class Store(SettingsStore):
    """A settings store that remembers what it has refused."""

    def __init__(self, cloud: Cloud) -> None:
        self.refusals: list[tuple[str, int, tuple[str, ...]]] = []
        super().__init__(
            cloud.ssm,
            stage=STAGE,
            clock=cloud.clock.seconds,
            refused=lambda *refusal: self.refusals.append(refusal),
        )

    def region(self, app: str = "default") -> Region:
        mapper = self.mapper(app)
        assert isinstance(mapper, Mapper)
        return mapper.settings.region


@pytest.fixture
def store(cloud: Cloud) -> Store:
    return Store(cloud)


def reads(cloud: Cloud) -> int:
    return len(cloud.calls.of("GetParameter"))


def test_an_app_without_settings_has_the_default_ones(cloud: Cloud, store: Store) -> None:
    mapper = store.mapper("default")
    assert isinstance(mapper, Mapper)
    assert mapper.settings == DEFAULT
    assert cloud.calls.of("GetParameter") == [{"Name": "/purchasely-clevertap/test/default/settings"}]


def test_settings_are_read_once_a_minute(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    first = store.mapper("default")
    cloud.clock.advance(59)
    assert store.mapper("default") is first
    assert reads(cloud) == 1
    cloud.clock.advance(1)
    assert store.mapper("default") is first
    assert reads(cloud) == 2


def test_an_app_gets_its_first_settings_in_a_minute(cloud: Cloud, store: Store) -> None:
    first = store.mapper("default")
    cloud.clock.advance(60)
    assert store.mapper("default") is first
    assert reads(cloud) == 2
    cloud.put_settings(INDIA)
    cloud.clock.advance(60)
    assert store.region() is Region.IN1


def test_deleted_settings_become_the_default_ones(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    assert store.region() is Region.US1
    cloud.ssm.delete_parameter(Name=f"/purchasely-clevertap/{STAGE}/default/settings")
    cloud.clock.advance(60)
    assert store.region() is Region.EU1


def test_each_app_has_settings_of_its_own(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    cloud.put_settings(INDIA, app="second")
    assert [store.region(app) for app in ("default", "second", "third")] == [Region.US1, Region.IN1, Region.EU1]


@pytest.mark.parametrize("bad", ["not json", "[]", '{"region": "mars1"}', '{"colour": "red"}', "{"])
def test_wrong_settings_leave_the_last_good_ones(cloud: Cloud, store: Store, bad: str) -> None:
    cloud.put_settings(US)
    good = store.mapper("default")
    version = cloud.put_settings(bad)
    cloud.clock.advance(60)
    assert store.mapper("default") is good
    assert store.region() is Region.US1
    assert reads(cloud) == 2
    ((app, refused, problems),) = store.refusals
    assert (app, refused) == ("default", version)
    assert problems


def test_a_refusal_is_repeated_until_mended(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    store.region()
    cloud.put_settings(BAD)
    for _ in range(3):
        cloud.clock.advance(60)
        assert store.region() is Region.US1
    assert len(store.refusals) == 3
    assert "mars1" in store.refusals[0][2][0]
    cloud.put_settings(INDIA)
    cloud.clock.advance(60)
    assert store.region() is Region.IN1
    assert len(store.refusals) == 3


def test_a_new_worker_uses_the_newest_valid_version(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    cloud.put_settings(INDIA)
    cloud.put_settings("{")
    newest = cloud.put_settings(BAD)
    assert store.region() is Region.IN1
    assert [(app, version) for app, version, _ in store.refusals] == [("default", newest)]


def test_going_back_skips_a_version_that_is_gone(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    cloud.put_settings(INDIA)
    cloud.put_settings(BAD)
    cloud.calls.next("GetParameter", lambda: None, "ParameterVersionNotFound")
    assert store.region() is Region.US1


def test_a_new_worker_tries_ten_versions(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    for _ in range(10):
        cloud.put_settings(BAD)
    assert isinstance(store.mapper("default"), SettingsUnavailable)
    assert reads(cloud) == 10


def test_never_valid_settings_are_not_reread_each_time(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(BAD)
    for _ in range(50):
        assert isinstance(store.mapper("default"), SettingsUnavailable)
    assert reads(cloud) == 1
    cloud.put_settings(US)
    cloud.clock.advance(10)
    assert store.region() is Region.US1


@pytest.mark.parametrize(
    "fault", ["InternalServerError", "ThrottlingException", "AccessDeniedException", unreachable()]
)
def test_settings_at_hand_outlive_parameter_store(cloud: Cloud, store: Store, fault: str) -> None:
    cloud.put_settings(US)
    assert store.region() is Region.US1
    cloud.calls.always("GetParameter", fault)
    for _ in range(6):
        cloud.clock.advance(30)
        assert store.region() is Region.US1
    assert reads(cloud) == 1 + 3


@pytest.mark.parametrize("fault", ["InternalServerError", unreachable()])
def test_a_first_failure_is_kept_10_seconds(cloud: Cloud, store: Store, fault: str) -> None:
    cloud.put_settings(US)
    cloud.calls.always("GetParameter", fault)
    for _ in range(50):
        assert isinstance(store.mapper("default"), SettingsUnavailable)
    assert reads(cloud) == 1
    cloud.calls.mend()
    cloud.clock.advance(10)
    assert store.region() is Region.US1


def test_a_failure_on_the_way_back_is_unavailable(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    cloud.put_settings(BAD)
    cloud.calls.next("GetParameter", lambda: None, "InternalServerError")
    assert isinstance(store.mapper("default"), SettingsUnavailable)


def test_settings_made_anew_apply_within_a_minute(cloud: Cloud, store: Store) -> None:
    cloud.put_settings(US)
    assert store.region() is Region.US1
    cloud.ssm.delete_parameter(Name=f"/purchasely-clevertap/{STAGE}/default/settings")
    assert cloud.put_settings(INDIA) == 1, "its first version again"
    cloud.clock.advance(60)
    assert store.region() is Region.IN1


@pytest.mark.parametrize("around", ["\ufeff{}", "{}\n", " \r\n{}\r\n", "\ufeff {}\n\n"])
def test_pasted_settings_are_read_without_their_padding(cloud: Cloud, store: Store, around: str) -> None:
    cloud.ssm.put_parameter(
        Name=f"/purchasely-clevertap/{STAGE}/default/settings",
        Value=around.replace("{}", '{"region": "us1"}'),
        Type="String",
        Overwrite=True,
    )
    assert store.region() is Region.US1
