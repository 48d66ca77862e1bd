"""What strangers write into an event, a secret's app or a log reaches the terminal of no command as an order."""

import json

import pytest

from purchasely_clevertap.outcome import ParkReason
from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cli import HOSTILE, Cli, log, park
from tests.integration.cloud import Cloud
from tests.integration.webhook import NOW_MS, event, message

USER = f"user {HOSTILE}"


@pytest.fixture
def written(cloud: Cloud) -> None:
    """Everything that a command shows, as a stranger would like to write it."""
    told = event(event_id="e-1", user=USER, plan=HOSTILE, product=HOSTILE, anonymous_user_id=f"anon {HOSTILE}")
    cloud.worker(ScriptedClevertap()).forward(message(told, id="m-1"))
    body = json.dumps(event(HOSTILE, event_id="e-2", user=USER, note=HOSTILE), ensure_ascii=False).encode()
    park(cloud, message(body, id="m-2"), reason=ParkReason.UNREADABLE, event_name=HOSTILE, ids=["e-2"])
    park(cloud, message(f"no JSON {HOSTILE}".encode(), id="m-3"), event_name=None, ids=["e-3"])
    line = {"message": "event", "level": "INFO", "event_id": "e-1", "outcome": HOSTILE, "reason": HOSTILE}
    log("ForwarderLogGroup", NOW_MS, [line, f"e-1 {HOSTILE}"])
    log("IngestLogGroup", NOW_MS, [line | {"message": HOSTILE}])


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    "arguments",
    [
        ("trace", "e-1"),
        ("trace", USER),
        ("parked", "list"),
        ("parked", "show", "e-2"),
        ("parked", "show", "e-3"),
        ("forget", USER),
        ("forget", f"nobody {HOSTILE}"),
        ("parked", "discard", "e-2"),
        ("redrive", HOSTILE),
        ("redrive", "e-2", "--yes"),
        ("status",),
        ("balance",),
        ("settings", "show"),
        ("preview", HOSTILE, "--defaults"),
    ],
    ids=lambda arguments: " ".join(each for each in arguments if each.isprintable()),
)
def test_no_command_gives_an_order_to_the_terminal(cli: Cli, arguments: tuple[str, ...]) -> None:
    shown = cli.run(*arguments, typed="n\n").output
    assert "Forged" not in [line.strip() for line in shown.splitlines()], "no line of its own"


@pytest.mark.usefixtures("written")
def test_settings_show_gives_no_order_either(cloud: Cloud, cli: Cli) -> None:
    cloud.put_settings({"events": {"ACTIVATE": {"send": True, "name": "x"}}, "note": HOSTILE})
    assert "Forged" in cli.run("settings", "show").output
