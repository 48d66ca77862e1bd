import pytest

from purchasely_clevertap.clevertap.account import Region


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("eu1", "api.clevertap.com"),
        ("eu", "api.clevertap.com"),
        ("", "api.clevertap.com"),
        ("in1", "in1.api.clevertap.com"),
        ("sg1", "sg1.api.clevertap.com"),
        ("us1", "us1.api.clevertap.com"),
        ("aps3", "aps3.api.clevertap.com"),
        ("mec1", "mec1.api.clevertap.com"),
    ],
)
def test_every_documented_region_has_its_host(text: str, host: str) -> None:
    assert Region.parse(text).endpoint == f"https://{host}"


@pytest.mark.parametrize("text", ["EU1", "Eu1", " eu1 ", "EU"])
def test_people_type_regions_in_any_case(text: str) -> None:
    assert Region.parse(text) is Region.EU1


@pytest.mark.parametrize("text", ["us2", "europe", "https://api.clevertap.com"])
def test_an_unknown_region_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="eu1, in1, sg1, us1, aps3, mec1") as caught:
        Region.parse(text)
    assert repr(text) in str(caught.value)
