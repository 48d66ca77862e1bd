"""The operator's cli on the deployed stack: what went wrong is seen, mended and accounted for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from local_stack import LocalStack
from tests.end_to_end.app import App
from tests.end_to_end.clevertap import CleverTap
from tests.end_to_end.conftest import Story

WORDS = "Amount is not what it should be"


def run(stack: LocalStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the installed console script."""
    script = str(Path(sys.executable).with_name("bridge"))
    command = [script, *arguments, "--local-folder", str(stack.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def bridge(stack: LocalStack, *arguments: str) -> Any:
    """The document that a command writes."""
    done = run(stack, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_refused_event_is_found_and_redriven(app: App, clevertap: CleverTap, story: Story) -> None:
    (payment, *_) = (event for event in story("renewals") if event["event_name"] == "TRANSACTION_PROCESSED")
    event_id = payment["event_id"]
    clevertap.fail(fault="refuse", code=512, message=WORDS, event_name="Charged", identity=payment["user_id"])
    app.tell(payment, payment)
    app.only()

    # What is wrong?
    (status,) = bridge(app.stack, "status", app.name)["apps"]
    assert (status["received"], status["parked"], status["duplicate"]) == (2, 1, 1)
    assert status["now"]["parked_by_reason"] == {"refused_by_clevertap": 1}
    assert bridge(app.stack, "parked", "list", "--app", app.name)["parked"][0]["event_id"] == event_id
    story_of_event = bridge(app.stack, "trace", event_id, "--app", app.name)["event"]
    assert (story_of_event["outcome"], story_of_event["code"]) == ("parked", 512)
    assert story_of_event["parked_message"]["detail"] == WORDS
    assert story_of_event["accepted"] == ["event"]
    assert {(line["function"], line["message"]) for line in story_of_event["log"]} == {
        ("ingest", "accepted"),
        ("forwarder", "event"),
    }

    # It is mended: back with it.
    clevertap.mend()
    assert bridge(app.stack, "redrive", "--app", app.name)["done"] is False
    assert bridge(app.stack, "redrive", "--app", app.name, "--yes")["redriven"] == [event_id]
    app.becomes("delivered", payment)

    assert [taken.name for taken in clevertap.of(event_id)] == ["TRANSACTION_PROCESSED", "Charged"]
    (balance,) = bridge(app.stack, "balance", app.name)["apps"]
    assert (balance["received"], balance["delivered"], balance["duplicate"], balance["parked"]) == (2, 1, 1, 0)
    assert bridge(app.stack, "parked", "list", "--app", app.name)["events"] == 0


def test_forgetting_keeps_the_balance(app: App, clevertap: CleverTap, story: Story) -> None:
    events = story("renewals")
    user = events[0]["user_id"]
    clevertap.fail(fault="refuse", code=512, event_name="SUBSCRIPTION_RENEWED", identity=user)
    app.tell(*events)
    app.settled(events)
    known = bridge(app.stack, "trace", user, "--app", app.name)
    assert known["subscribers"][0]["clevertap_has"]["user_id"] == user

    document = bridge(app.stack, "forget", user, "--app", app.name, "--yes")

    assert len(document["subscribers"]) == 1
    assert document["parked"]
    assert len(document["events"]) == len(known["events"])
    nothing = run(app.stack, "trace", user, "--app", app.name)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "nothing is known" in nothing.stderr
    (balance,) = bridge(app.stack, "balance", app.name)["apps"]
    assert (balance["adds_up"], balance["received"]) == (True, len(events))
    assert balance["by_reason"]["skipped"]["discarded"] == len(document["parked"])


def test_a_suppressed_person_is_deleted_and_stays_so(app: App, clevertap: CleverTap, story: Story) -> None:
    events = story("renewals")
    (last,) = [each for each in events if each["event_name"] == "TRANSACTION_PROCESSED"][-1:]
    user = last["user_id"]
    before = [each for each in events if each is not last]
    app.tell(*before)
    app.settled(before)
    assert clevertap.profile(user) is not None

    document = bridge(app.stack, "forget", user, "--app", app.name, "--at-clevertap", "--suppress", "--yes")
    assert document["clevertap"]["production"]["deleted"]
    app.tell(last)
    app.becomes("skipped", last)
    assert bridge(app.stack, "trace", last["event_id"], "--app", app.name)["event"]["reason"] == "suppressed"

    assert clevertap.profile(user) is None
    assert bridge(app.stack, "trace", user, "--app", app.name)["suppressed"]
    assert bridge(app.stack, "forget", user, "--app", app.name, "--unsuppress", "--yes")["marks"] == 1
    assert run(app.stack, "trace", user, "--app", app.name).returncode == 1
    anew = {**last, "event_id": f"{last['event_id']}-anew"}
    app.tell(anew)
    app.becomes("delivered", anew)


def test_events_wait_while_it_is_paused(app: App, story: Story) -> None:
    (payment, *_) = (event for event in story("renewals") if event["event_name"] == "TRANSACTION_PROCESSED")
    assert bridge(app.stack, "pause", "--yes")["paused"] is True
    try:
        app.tell(payment)
        assert bridge(app.stack, "status", app.name)["paused"] is True
        assert "is paused" in run(app.stack, "check", app.name).stdout
        assert bridge(app.stack, "trace", payment["event_id"], "--app", app.name)["event"]["outcome"] == "in_flight"
    finally:
        assert bridge(app.stack, "resume", "--yes")["paused"] is False
    app.becomes("delivered", payment)
