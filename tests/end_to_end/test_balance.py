"""Every webhook that was answered 200 is accounted for, and no other."""

import time

from purchasely_sender import SPECIALS, signed
from tests.end_to_end.app import App
from tests.end_to_end.conftest import Story


def test_the_balance_of_mixed_traffic_adds_up(app: App, story: Story) -> None:
    known, anonymous = story("renewals"), story("anonymous")
    app.tell(*known, *anonymous, known[-1])
    for name in ("not_json", "reserved_name", "wrong_signature", "too_large"):
        assert app.send(SPECIALS[name](app.secret, int(time.time()))) == SPECIALS[name].status
    unknown = App(app.stack, app.sender, "nobody-s-app", app.secret)
    assert unknown.send(signed(known[0], app.secret, int(time.time()))) == 404

    balance = app.balance()

    switched_off = [event for event in known if event["event_name"] == "ACTIVATE"]
    assert balance.adds_up
    assert balance.received == len(known) + len(anonymous) + 3
    assert balance.delivered == len([event for event in known if event not in switched_off])
    assert balance.by_reason["skipped"] == {"event_switched_off": len(switched_off)}
    assert balance.by_reason["parked"] == {"unreadable": 1, "unusable_event_name": 1}
    assert (balance.held, balance.duplicate, balance.in_flight) == (len(anonymous), 1, 0)
    assert unknown.deliveries() == {}
