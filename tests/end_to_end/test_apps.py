"""Apps with settings of their own, put while the stack runs."""

from local_stack import PRODUCTION
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import Story

# What CleverTap's SDK puts before a custom id.
PREFIXES = {"APPLE_APP_STORE": "-h", "GOOGLE_PLAY_STORE": "__h"}


def test_custom_id_is_that_of_the_apps_sdk(app: App, clevertap: CleverTap, story: Story) -> None:
    app.put_settings(identity={"anonymous": "custom_id"})
    events = story("anonymous")
    app.tell(*events)

    outcomes = app.settled(events)

    visitor, store = events[0]["anonymous_user_id"], events[0]["store"]
    object_id = PREFIXES.get(store, "__h") + visitor
    sent = [event for event in events if event["event_name"] != "ACTIVATE"]
    assert {outcomes[event["event_id"]].outcome for event in sent} == {"delivered"}
    for event in sent:
        records = [taken for taken in clevertap.of(event["event_id"]) if taken.name != "Charged"]
        assert [(taken.account, taken.record["objectId"]) for taken in records] == [(PRODUCTION.account_id, object_id)]
        assert all("identity" not in taken.record for taken in records)
    profile = clevertap.profile(object_id)
    assert profile is not None
    assert profile["has_active_subscription"] is True


def test_an_app_has_its_own_names_and_events(app: App, clevertap: CleverTap, story: Story) -> None:
    app.put_settings(
        events={
            "*": {"send": False},
            "TRIAL_STARTED": {"send": True, "name": "Trial started"},
            "ACTIVATE": {"send": True},
        },
        event_properties={"rename": {"plan": "Plan"}, "omit": ["device_id"]},
    )
    events = story("trial_converts")
    app.tell(*events)

    outcomes = app.settled(events)

    chosen = [event for event in events if event["event_name"] in ("TRIAL_STARTED", "ACTIVATE")]
    assert [event["event_id"] for event in events if outcomes[event["event_id"]].outcome == "delivered"] == [
        event["event_id"] for event in chosen
    ]
    (trial,) = (event for event in chosen if event["event_name"] == "TRIAL_STARTED")
    (taken,) = clevertap.of(trial["event_id"])
    assert taken.name == "Trial started"
    assert taken.record["evtData"]["Plan"] == trial["plan"]
    assert taken.record["evtData"].keys() & {"plan", "device_id"} == set()


def test_the_same_event_of_two_apps_is_two_events(app: App, default: App, clevertap: CleverTap, story: Story) -> None:
    events = [event for event in story("renewals") if event["event_name"] == "SUBSCRIPTION_STARTED"]
    default.tell(*events)
    app.tell(*events)

    assert [each.outcome for each in (*default.settled(events).values(), *app.settled(events).values())] == [
        "delivered"
    ] * 2
    assert [taken.name for taken in clevertap.of(events[0]["event_id"])] == ["SUBSCRIPTION_STARTED"] * 2
