import json
from typing import Any

import pytest

from purchasely_clevertap.clevertap.records import Identity
from purchasely_clevertap.mapping.identity import (
    Link,
    Wait,
    became_known,
    identity,
    joins_logins,
    known_as,
    names,
    waits_for_login,
)
from purchasely_clevertap.mapping.settings import IdentitySettings
from purchasely_clevertap.outcome import Parked, ParkReason, Skipped, SkipReason
from purchasely_clevertap.purchasely.event import Event
from tests.unit.samples import event

ANON = "5D9A0C6F-2B1E-4C43-8E0B-0E7A3C1F9B21"
OBJECT_ID = "__4f0b6c1e7d3a4f629d5e0c9a1b2d3e4f"
MODES = ["hold", "skip", "identity", "custom_id"]


def settings(**document: Any) -> IdentitySettings:
    return IdentitySettings.model_validate_json(json.dumps(document))


def person(of: Event, *, link: Link = Link(), **document: Any) -> Identity | Wait | Skipped | Parked:  # noqa: B008
    given = settings(**document)
    named = names(of, given)
    return named if isinstance(named, Parked) else identity(of, named, link, given)


def reason(of: Event, **document: Any) -> ParkReason | None:
    found = person(of, **document)
    return found.reason if isinstance(found, Parked) else None


def visit(name: str = "SUBSCRIPTION_RENEWED", /, **facts: Any) -> Event:
    """An event of somebody who has not logged in."""
    return event(name, **({"user_id": ..., "anonymous_user_id": ANON} | facts))


# Users


@pytest.mark.parametrize("mode", MODES)
def test_user_id_is_the_identity(mode: str) -> None:
    assert person(event(anonymous_user_id=ANON), anonymous=mode) == Identity("customer-7")
    assert person(event(user_id=" ada "), anonymous=mode) == Identity(" ada ")


@pytest.mark.parametrize("key", ["user_id", "anonymous_user_id"])
@pytest.mark.parametrize(
    "word",
    [
        *("null", "undefined", "none", "nil", "nan", "0", "-1", "(null)", "[object Object]", "anonymous", "guest"),
        *("unknown", "00000000-0000-0000-0000-000000000000", 'Optional("ada")', "Optional(nil)", "NULL", "None"),
        *("Guest", "UNDEFINED", " null ", "optional(7)", " ", "\t\n", "\u200b", "\ufeff\u00a0", "null\u200b", 0, -1),
    ],
)  # fmt: skip
def test_word_for_no_id_is_unusable(key: str, word: Any) -> None:
    found = person(visit(**{key: word}), anonymous="identity")
    assert isinstance(found, Parked)
    assert (found.reason, key in found.detail) == (ParkReason.UNUSABLE_IDENTITY, True)


@pytest.mark.parametrize("given", ["nullable", "1", "-10", "00", "guest-7", "Optional", "nils", "x" * 40, "é"])
def test_id_that_is_like_a_word_is_one(given: str) -> None:
    assert person(event(user_id=given)) == Identity(given)


def test_setting_refuses_more_ids() -> None:
    for given in ("test-user", " Test-User ", "TEST-USER"):
        assert reason(event(user_id=given), refuse=["test-user"]) is ParkReason.UNUSABLE_IDENTITY
    assert reason(event(user_id="null"), refuse=["test-user"]) is ParkReason.UNUSABLE_IDENTITY
    assert reason(event(user_id="test-user-2"), refuse=["test-user"]) is None


@pytest.mark.parametrize("key", ["user_id", "anonymous_user_id"])
def test_too_long_identity_is_not_cut(key: str) -> None:
    for text, fits in (("a" * 512, True), ("a" * 513, False), ("é" * 256, True), ("é" * 257, False)):
        found = person(visit(**{"anonymous_user_id": ..., key: text}), anonymous="identity")
        if isinstance(found, Identity):
            assert (found.user_id, fits) == (text, True)
        else:
            assert isinstance(found, Parked)
            assert (found.reason, fits) == (ParkReason.UNUSABLE_IDENTITY, False)
            assert f"{key} has {len(text.encode())} bytes" in found.detail
            assert text not in found.detail


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("blank", [..., None, ""])
def test_event_without_any_id_names_nobody(mode: str, blank: Any) -> None:
    assert reason(visit(user_id=blank, anonymous_user_id=blank), anonymous=mode) is ParkReason.NO_USER


# CleverTap ids


def test_user_and_clevertap_id_go_together() -> None:
    assert person(event(clevertap_id=OBJECT_ID)) == Identity("customer-7", OBJECT_ID)


@pytest.mark.parametrize("mode", MODES)
def test_clevertap_id_alone_is_the_person(mode: str) -> None:
    visitor = visit(clevertap_id=OBJECT_ID)
    assert person(visitor, anonymous=mode) == Identity(None, OBJECT_ID, ANON)
    assert person(visitor, anonymous=mode, link=Link("ada")) == Identity("ada", OBJECT_ID, ANON)
    assert person(visit(clevertap_id=OBJECT_ID, anonymous_user_id=...)) == Identity(None, OBJECT_ID)


def test_only_a_usable_clevertap_id_is_used() -> None:
    for given in ("a" * 64, "__h" + "a" * 64, "-h" + "a" * 64, "(A)!:@$_-"):
        assert person(visit(clevertap_id=given, anonymous_user_id=...)) == Identity(object_id=given)
    for none in ("", "a b", "é", "a" * 65, "a/b", "a.b", [[1]], "null", "Unknown", "0"):
        assert person(event(clevertap_id=none)) == Identity("customer-7")
        assert reason(visit(clevertap_id=none, anonymous_user_id=...)) is ParkReason.NO_USER


def test_first_usable_key_has_the_clevertap_id() -> None:
    keys = ["ct_id", "clevertap_id", "device_id"]
    of = event(ct_id="null", clevertap_id=OBJECT_ID)
    assert person(of, clevertap_id_keys=keys) == Identity("customer-7", OBJECT_ID)
    assert person(event(ct_id="mine", clevertap_id=OBJECT_ID), clevertap_id_keys=keys) == Identity("customer-7", "mine")
    assert person(of, clevertap_id_keys=[]) == Identity("customer-7")


# Anonymous users


def test_setting_decides_about_anonymous_users() -> None:
    assert person(visit()) == person(visit(), anonymous="hold") == Wait(ANON)
    assert person(visit(), link=Link("ada")) == Identity("ada", None, ANON)
    assert person(visit(), link=Link(None, OBJECT_ID)) == Identity(None, OBJECT_ID, ANON)
    assert person(visit(), anonymous="skip") == Skipped(SkipReason.ANONYMOUS_USER)
    assert person(visit(), anonymous="identity") == Identity(ANON, anonymous_id=ANON)


def test_custom_id_has_the_prefix_of_its_sdk() -> None:
    android = ("GOOGLE_PLAY_STORE", "AMAZON_APPSTORE", "AMAZON_APP_STORE", "HUAWEI_APPGALLERY")
    cases: list[tuple[Any, str, str]] = [(store, ANON, "__h") for store in android]
    cases += [("APPLE_APP_STORE", ANON.lower(), "-h"), ("APPLE_APP_STORE", "a" * 64, "-h"), ("STRIPE", ANON, "-h")]
    for store, anonymous, prefix in (*cases, (..., ANON.lower(), "__h")):
        found = person(visit(store=store, anonymous_user_id=anonymous), anonymous="custom_id")
        assert found == Identity(None, prefix + anonymous, anonymous)


@pytest.mark.parametrize("anonymous", ["a b", "é", "a" * 65, "a/b", "a.b", "{a}", "a\n"])
def test_custom_id_of_another_form_is_unusable(anonymous: str) -> None:
    found = person(visit(anonymous_user_id=anonymous), anonymous="custom_id")
    assert isinstance(found, Parked)
    assert found.reason is ParkReason.UNUSABLE_IDENTITY
    assert anonymous not in found.detail


def test_web_visitor_waits_with_custom_ids_too() -> None:
    visitor = visit(channel="web2app", store="STRIPE")
    assert person(visitor, anonymous="custom_id") == Wait(ANON)
    assert person(visitor, anonymous="custom_id", link=Link("ada")) == Identity("ada", None, ANON)
    assert isinstance(person(visit(channel="in_app"), anonymous="custom_id"), Identity)


def test_modes_that_wait_and_that_join() -> None:
    web = visit(channel="web2app")
    assert [waits_for_login(visit(), settings(anonymous=mode)) for mode in MODES] == [True, False, False, False]
    assert [waits_for_login(web, settings(anonymous=mode)) for mode in MODES] == [True, False, False, True]
    assert [joins_logins(settings(anonymous=mode)) for mode in MODES] == [True, False, False, True]


# Logins


@pytest.mark.parametrize("name", ["SUBSCRIPTION_TRANSFERRED", "ONE_TIME_PURCHASE_TRANSFERRED"])
def test_login_is_no_transfer_between_users(name: str) -> None:
    assert became_known(visit(name, transferred_to_user_id="ada"))
    assert not became_known(visit(name, transferred_to_anonymous_user_id="other"))
    assert not became_known(event(name, transferred_to_user_id="ada"))
    assert not became_known(visit(transferred_to_user_id="ada"))


def test_event_may_name_the_anonymous_user() -> None:
    for name in ("SUBSCRIPTION_RECEIVED", "ONE_TIME_PURCHASE_RECEIVED"):
        assert known_as(event(name, transferred_from_anonymous_user_id=ANON)) == ANON
        assert known_as(event(name, transferred_from_anonymous_user_id=ANON, anonymous_user_id="other")) == ANON
    assert known_as(event(anonymous_user_id=ANON)) == ANON, "both ids"
    assert known_as(event()) is known_as(event(transferred_from_anonymous_user_id=ANON)) is None
