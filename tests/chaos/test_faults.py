"""Every fault, in short, and proof that a bridge that is broken does not pass."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from bridge_cli.commands import forget
from bridge_cli.subscribers import Ids, Remembered, keys_of, person, remembered
from chaos.faults import FAULTS, Fault
from chaos.rig import run
from clevertap_emulator import Delay
from purchasely_clevertap.aws.changes import Change, Changes
from purchasely_clevertap.aws.queues import RetryDelays
from purchasely_clevertap.delivery.entry import Claim, Settlement
from purchasely_clevertap.mapping.mapper import Mapper, ProfileUpdate
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.purchasely.event import Event

EVENTS = 70
REPLAYS = 1000

type Break = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_doubled_or_stale(fault: str) -> None:
    chosen = FAULTS[fault]
    verdict = run(replace(chosen, replays=min(chosen.replays, REPLAYS)), seed=8, events=EVENTS)
    assert verdict.findings == []
    assert verdict.events >= EVENTS
    assert (verdict.strikes > 0) is (fault != "no fault")


def test_the_same_seed_makes_the_same_run() -> None:
    one, again = (run(FAULTS["killed until dead-lettered"], seed=3, events=EVENTS) for _ in range(2))
    assert one == again
    assert one != run(FAULTS["killed until dead-lettered"], seed=4, events=EVENTS)


def test_an_answer_too_late_is_a_lost_one() -> None:
    late = Fault("late answers", lambda _random, _number, _records: Delay(0.5), share=0.3, read_timeout=0.3)
    verdict = run(late, seed=7, events=60)
    assert verdict.findings == []
    assert verdict.doubled_lost_answer > 0


# What follows breaks the bridge in one place each, and the kit must see it


def claims_whatever_it_finds(patch: pytest.MonkeyPatch) -> None:
    claim = Changes.claim

    def unconditional(*args: Any, **more: Any) -> Change:
        return claim(*args, **more)._replace(conditions=())

    patch.setattr(Changes, "claim", unconditional)


def gives_up_what_failed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RetryDelays, "delay_retries", lambda _self, _handled: [])


def believes_the_last_arrival(patch: pytest.MonkeyPatch) -> None:
    apply = ProfileState.apply

    def afresh(self: ProfileState, events: Iterable[Event], **more: Any) -> ProfileState:
        return apply(ProfileState(sent=self.sent, linked=self.linked, account_id=self.account_id), events, **more)

    patch.setattr(ProfileState, "apply", afresh)


def trusts_an_uncertain_profile(patch: pytest.MonkeyPatch) -> None:
    update = Mapper.profile_update

    def trusting(self: Mapper, *args: Any, **more: Any) -> ProfileUpdate | None:
        return update(self, *args, **{**more, "whole": False})

    patch.setattr(Mapper, "profile_update", trusting)


def forgets_what_was_accepted(patch: pytest.MonkeyPatch) -> None:
    free = Changes.free

    def forgetful(self: Changes, claim: Claim, settlement: Settlement | None = None) -> Change:
        return free(self, claim, settlement and settlement._replace(accepted=frozenset()))

    patch.setattr(Changes, "free", forgetful)


def forgets_whoever_used_the_phone(patch: pytest.MonkeyPatch) -> None:
    def whoever(dynamodb: Any, table: str, *, app: str, id: str) -> tuple[list[Remembered], Ids]:
        found, ids = person(dynamodb, table, app=app, id=id)
        objects = frozenset[str]().union(*(each.state.unlinked for each in found))
        others = [each for each in remembered(dynamodb, table, keys_of(app, Ids(objects=objects))) if each.tied_user]
        users = frozenset(each.tied_user for each in others if each.tied_user)
        theirs = list(remembered(dynamodb, table, keys_of(app, Ids(users=users))))
        return [*found, *theirs], ids

    patch.setattr(forget, "person", whoever)


def forgets_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forget, "person", lambda *_, **__: ([], Ids()))


@pytest.mark.parametrize(
    ("breaks", "fault", "heading"),
    [
        (forgets_nobody, "forgotten on a shared phone", "stale"),
        (forgets_whoever_used_the_phone, "forgotten on a shared phone", "stale"),
        (claims_whatever_it_finds, "the same webhook again", "doubled"),
        (gives_up_what_failed, "fail with an empty list", "lost"),
        (believes_the_last_arrival, "SQS shuffles, late and retried", "stale"),
        (trusts_an_uncertain_profile, "killed during the upload", "stale"),
        (forgets_what_was_accepted, "partial answer, every position", "doubled"),
    ],
)
def test_a_broken_bridge_does_not_pass(
    breaks: Break, fault: str, heading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    findings = (finding for seed in range(6) for finding in run(FAULTS[fault], seed=seed, events=150).findings)
    assert any(finding.startswith(heading) for finding in findings)
