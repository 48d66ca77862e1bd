"""The webhook URL: what it answers, and that what it refuses goes no further."""

import time

from purchasely_sender import SPECIALS, signed
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import Story

REFUSED = sorted(name for name, special in SPECIALS.items() if special.status == 401)


def test_a_forgery_is_answered_401(app: App, clevertap: CleverTap, story: Story) -> None:
    webhooks = [SPECIALS[name](app.secret, int(time.time()), seed) for seed, name in enumerate(REFUSED)]
    before = len(clevertap.requests())

    assert [app.send(webhook) for webhook in webhooks] == [401] * len(webhooks)

    # What comes after them is through: had they been queued, they would be too.
    (good, *_) = story("anonymous")
    app.tell(good)
    assert app.only().event_id == good["event_id"]
    assert len(clevertap.requests()) == before, "an event that is held is not uploaded"


def test_an_app_without_secrets_is_unknown(app: App, story: Story) -> None:
    (event, *_) = story("trial_converts")
    unknown = App(app.stack, app.sender, "nobody-s-app", app.secret)

    assert unknown.send(signed(event, app.secret, int(time.time()))) == 404
    assert unknown.deliveries() == {}


def test_a_secret_is_rotated_without_a_gap(app: App, story: Story) -> None:
    first, second, *_ = story("trial_converts")
    app.put_secret("purchasely", {"shared_secrets": ["the-next-secret", app.secret]})

    app.tell(first)
    assert app.send(signed(second, "the-next-secret", int(time.time()))) == 200


def test_too_large_is_answered_413(app: App) -> None:
    assert app.send(SPECIALS["too_large"](app.secret, int(time.time()))) == 413
    assert app.deliveries() == {}
