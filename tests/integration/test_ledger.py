"""The ledger's verbs: read, claim, settle, note."""

import pytest
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from purchasely_clevertap.aws.changes import Changes
from purchasely_clevertap.aws.ledger import Ledger, LedgerUnavailable
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.delivery.entry import (
    LEASE_MS,
    Claim,
    ClaimGroup,
    Entry,
    Grant,
    Hold,
    ProfileSave,
    Settlement,
    StoredProfile,
)
from purchasely_clevertap.delivery.keys import entry_key
from purchasely_clevertap.delivery.suppression import Mark
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.outcome import (
    Delivered,
    Held,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    RetryReason,
    Skipped,
    SkipReason,
)
from purchasely_clevertap.purchasely.event import Event, read
from tests.integration.cloud import DELIVERIES, MADE, SUBSCRIBERS, Answered, Calls, Cancelled, Cloud, unreachable
from tests.integration.webhook import NOW_MS, encoded, event

KEY = entry_key("default", "e-1")
PERSON = "default#production#user#user-1"
DAYS_30 = 30 * 24 * 3600
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
REFUSED = Parked(ParkReason.REFUSED_BY_CLEVERTAP, "no", 513)
LATE = Skipped(SkipReason.LATE)
FAILED = Retried(RetryReason.SERVER_ERROR)


def plenty() -> float:
    return 60.0


@pytest.fixture
def ledger(cloud: Cloud) -> Ledger:
    return cloud.ledger(owner="one")


@pytest.fixture
def other(cloud: Cloud) -> Ledger:
    return cloud.ledger(owner="two")


def seen(ledger: Ledger, key: str = KEY) -> Entry:
    return ledger.read([key], plenty)[key]


def claimed(ledger: Ledger, entry: Entry, *, at: int = NOW_MS, message_id: str | None = "m-1") -> bool:
    (grant,) = ledger.claim([ClaimGroup((Claim(KEY, entry, message_id),))], plenty, now_ms=at)
    return KEY in grant.entries


def settled(ledger: Ledger, outcome: Outcome, *accepted: str, at: int = NOW_MS) -> bool:
    claim = Claim(KEY, seen(ledger), "m-1")
    settlement = Settlement(claim, outcome, is_claimed=True, accepted=frozenset(accepted))
    return KEY in ledger.settle([settlement], (), plenty, now_ms=at)


def decided(ledger: Ledger, outcome: Outcome, entry: Entry, *, at: int = NOW_MS) -> bool:
    """Whether an event that needs no upload gets its outcome."""
    settlement = Settlement(Claim(KEY, entry, "m-1"), outcome, is_claimed=False)
    return KEY in ledger.settle([settlement], (), plenty, now_ms=at)


def leased(ledger: Ledger, *, key: str = KEY, at: int = NOW_MS) -> Grant:
    """What the worker gets of an event with a profile."""
    group = ClaimGroup((Claim(key, seen(ledger, key), "m-1"),), PERSON)
    profiles = ledger.profiles([PERSON], plenty, now_ms=at)
    return ledger.claim([group], plenty, now_ms=at, profiles=profiles)[0]


def saved(ledger: Ledger, state: ProfileState, *, lease_until: int = 0) -> None:
    ledger.settle((), [ProfileSave(PERSON, state, lease_until)], plenty, now_ms=NOW_MS)


def state(*names: str) -> ProfileState:
    events = [read(encoded(event(name, at=NOW_MS + offset))) for offset, name in enumerate(names)]
    return ProfileState().apply(each for each in events if isinstance(each, Event))


def groups(count: int) -> list[ClaimGroup]:
    """Of events that no worker has had yet; without a note of ingest, their claims are transacted."""
    return [ClaimGroup((Claim(f"default#{number}", Entry(), f"m-{number}"),)) for number in range(count)]


def noted(cloud: Cloud, count: int) -> list[ClaimGroup]:
    """The same with ingest's notes: their claims are statements."""
    for number in range(count):
        messages = {"SS": [f"m-{number}"]}
        cloud.dynamodb.put_item(TableName=DELIVERIES, Item={"event": {"S": f"default#{number}"}, "messages": messages})
    entry = [Entry(frozenset({f"m-{number}"}), is_stored=True) for number in range(count)]
    return [ClaimGroup((Claim(f"default#{number}", entry[number], f"m-{number}"),)) for number in range(count)]


def granted(grants: list[Grant]) -> list[bool]:
    return [bool(grant.entries) for grant in grants]


# Claims


def test_an_unknown_event_has_an_empty_entry(ledger: Ledger) -> None:
    assert ledger.read(["a#1", "a#2"], plenty) == {"a#1": Entry(), "a#2": Entry()}


def test_a_claim_has_a_lease_and_30_days(cloud: Cloud, ledger: Ledger) -> None:
    assert claimed(ledger, Entry())
    assert seen(ledger) == Entry(frozenset({"m-1"}), None, NOW_MS + LEASE_MS, 1, about="", is_stored=True)
    entry = cloud.entry("e-1")
    assert (entry["lease_owner"], entry["expires_at"]) == ("one", NOW_MS // 1000 + DAYS_30)


def test_one_of_two_workers_gets_the_event(ledger: Ledger, other: Ledger) -> None:
    before = seen(ledger)
    assert claimed(ledger, before)
    assert not claimed(other, before)
    assert not settled(other, Delivered())
    assert settled(ledger, Delivered())


def test_a_stale_read_claims_nothing(ledger: Ledger, other: Ledger) -> None:
    before = seen(ledger)
    assert claimed(ledger, before)
    assert settled(ledger, Delivered(), "event")
    assert not claimed(other, before, at=NOW_MS + LEASE_MS)
    assert seen(ledger).outcome == "delivered"


def test_a_freed_event_is_claimed_by_a_fresh_read(ledger: Ledger, other: Ledger) -> None:
    before = seen(ledger)
    assert claimed(ledger, before)
    assert settled(ledger, FAILED, "charged")
    assert not claimed(other, before)
    assert claimed(other, seen(other))
    assert seen(other).accepted == {"charged"}


def test_a_claim_lasts_exactly_its_lease(ledger: Ledger, other: Ledger) -> None:
    assert claimed(ledger, Entry())
    assert not claimed(other, seen(other), at=NOW_MS + LEASE_MS - 1)
    assert claimed(other, seen(other), at=NOW_MS + LEASE_MS)
    assert seen(other).attempts == 2


def test_a_lease_outlasts_a_worker() -> None:
    assert LEASE_MS > 60_000  # the forwarder's timeout


def test_an_expired_claim_settles_nothing(ledger: Ledger, other: Ledger) -> None:
    assert claimed(ledger, Entry())
    assert claimed(other, seen(other), at=NOW_MS + LEASE_MS)
    assert not settled(ledger, Delivered(), "event")
    assert not settled(ledger, FAILED, "event")
    assert (seen(ledger).outcome, seen(ledger).accepted) == (None, frozenset())


def test_a_redriven_message_is_not_noted(ledger: Ledger) -> None:
    assert claimed(ledger, Entry(), message_id=None)
    assert seen(ledger).messages == frozenset()


# Outcomes


def test_an_outcome_ends_the_lease(cloud: Cloud, ledger: Ledger) -> None:
    assert claimed(ledger, Entry())
    settlement = Settlement(
        Claim(KEY, Entry(), "m-1", "about"),
        REFUSED,
        is_claimed=True,
        accepted=frozenset({"event", "charged"}),
        event_name="X",
        event_at=7,
        environment=Environment.SANDBOX,
        profile_key=PERSON,
        unconfirmed_sends=2,
    )
    assert ledger.settle([settlement], (), plenty, now_ms=NOW_MS + 5) == {KEY}
    assert cloud.entry("e-1") == {
        "event": KEY,
        "messages": {"m-1"},
        "attempts": 1,
        "accepted": {"event", "charged"},
        "outcome": "parked",
        "reason": "refused_by_clevertap",
        "code": 513,
        "event_name": "X",
        "event_at": 7,
        "account": "sandbox",
        "about": "about",
        "subscriber": PERSON,
        "unconfirmed_sends": 2,
        "settled_at": NOW_MS + 5,
        "expires_at": (NOW_MS + 5) // 1000 + DAYS_30,
    }


def test_accepted_records_survive_every_attempt(ledger: Ledger, other: Ledger) -> None:
    assert claimed(ledger, Entry())
    assert settled(ledger, FAILED, "charged")
    assert seen(ledger) == Entry(frozenset({"m-1"}), None, 0, 1, frozenset({"charged"}), about="", is_stored=True)
    assert claimed(other, seen(other))
    assert settled(other, FAILED)
    assert claimed(ledger, seen(ledger))
    assert settled(ledger, Delivered(), "event")
    assert seen(ledger).accepted == {"charged", "event"}


def test_a_later_outcome_replaces_an_earlier_one(cloud: Cloud, ledger: Ledger) -> None:
    assert decided(ledger, REFUSED, seen(ledger))
    assert claimed(ledger, seen(ledger))
    assert "outcome" not in cloud.entry("e-1")
    assert settled(ledger, Delivered(), "event")
    entry = cloud.entry("e-1")
    assert entry["outcome"] == "delivered"
    assert not {"reason", "code", "lease_owner", "lease_until"} & set(entry)


def test_a_discarded_event_keeps_its_facts(cloud: Cloud, ledger: Ledger) -> None:
    assert claimed(ledger, Entry())
    settlement = Settlement(Claim(KEY, Entry(), "m-1"), REFUSED, is_claimed=True, event_name="X")
    ledger.settle([settlement], (), plenty, now_ms=NOW_MS)
    claim = Claim(KEY, seen(ledger), None)
    discarded = Settlement(claim, Skipped(SkipReason.DISCARDED), is_claimed=False, keeps_facts=True)
    assert ledger.settle([discarded], (), plenty, now_ms=NOW_MS) == {KEY}
    entry = cloud.entry("e-1")
    assert (entry["outcome"], entry["reason"], entry["event_name"]) == ("skipped", "discarded", "X")
    assert "code" not in entry


def test_an_event_without_upload_is_settled_once(cloud: Cloud, ledger: Ledger) -> None:
    before = seen(ledger)
    assert decided(ledger, LATE, before)
    assert not decided(ledger, LATE, before)
    assert not claimed(ledger, before)
    entry = cloud.entry("e-1")
    assert (entry["outcome"], entry["reason"], entry["attempts"], entry["messages"]) == ("skipped", "late", 1, {"m-1"})


def test_a_claimed_event_is_settled_by_no_other(ledger: Ledger, other: Ledger) -> None:
    assert claimed(ledger, Entry())
    assert not decided(other, LATE, seen(other), at=NOW_MS + 1)
    assert seen(ledger).outcome is None


def test_an_abandoned_event_is_known(ledger: Ledger) -> None:
    assert claimed(ledger, Entry())
    assert seen(ledger).is_abandoned
    assert settled(ledger, Delivered())
    assert not seen(ledger).is_abandoned
    assert not Entry(outcome="delivered", lease_until=NOW_MS).is_abandoned


def test_further_messages_are_noted_once(cloud: Cloud, ledger: Ledger) -> None:
    assert claimed(ledger, Entry())
    before = cloud.entry("e-1")
    for _ in range(2):
        ledger.note({KEY: ["m-2", "m-3"]}, plenty, now_ms=NOW_MS + 9_000)
    assert cloud.entry("e-1") == before | {"messages": {"m-1", "m-2", "m-3"}}


def test_a_note_lives_30_days(cloud: Cloud, ledger: Ledger) -> None:
    ledger.note({KEY: ["m-1"]}, plenty, now_ms=NOW_MS)
    assert cloud.entry("e-1")["expires_at"] == NOW_MS // 1000 + DAYS_30


# Profiles


def test_an_unknown_person_has_an_empty_profile(ledger: Ledger) -> None:
    assert leased(ledger) == Grant(frozenset({KEY}), StoredProfile())


def test_a_saved_profile_is_free_again(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    leased(ledger)
    assert cloud.subscriber(PERSON)["lease_until"] == NOW_MS + LEASE_MS
    known = state("SUBSCRIPTION_STARTED").accepted({"plan": "monthly", "paying": True}, "clevertap-id")
    saved(ledger, known)
    saved(ledger, state("ACTIVATE"))  # the lease has ended
    profile = leased(other, key="default#e-2").profile
    assert profile is not None
    assert (profile.state, profile.lease_until) == (known, 0)


def test_a_profile_has_one_lease_at_a_time(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    leased(ledger)
    for at in (NOW_MS, NOW_MS + LEASE_MS - 1):
        assert leased(other, key="default#e-2", at=at) == Grant()
    assert leased(other, key="default#e-2", at=NOW_MS + LEASE_MS).entries
    before = cloud.subscriber(PERSON)
    saved(ledger, state("ACTIVATE"))  # its lease has expired
    assert cloud.subscriber(PERSON) == before


def test_a_busy_profile_frees_the_events(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    leased(ledger)
    assert leased(other, key="default#e-2") == Grant()
    entry = cloud.entry("e-2")
    assert (entry["lease_until"], entry["attempts"]) == (0, 1)
    assert "lease_owner" not in entry


def test_busy_events_free_the_profile(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    group = ClaimGroup((Claim(KEY, seen(other), "m-1"),), PERSON)
    assert claimed(ledger, Entry())
    profiles = other.profiles([PERSON], plenty, now_ms=NOW_MS)
    assert other.claim([group], plenty, now_ms=NOW_MS, profiles=profiles) == [Grant()]
    assert cloud.subscriber(PERSON)["lease_until"] == 0


def test_a_lease_needs_what_was_read(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    """Both have read the profile; the other leases and saves it before this one's lease is written."""
    calls = Calls()
    slow = cloud.ledger(owner="three", calls=calls)

    def meanwhile() -> None:
        leased(other, key="default#e-2")
        saved(other, state("SUBSCRIPTION_STARTED"))

    calls.next("TransactWriteItems", meanwhile)
    assert leased(slow, key="default#e-3") == Grant()
    assert leased(ledger).entries


def test_an_expired_lease_makes_a_profile_uncertain(ledger: Ledger, other: Ledger) -> None:
    leased(ledger)
    profile = leased(other, key="default#e-2", at=NOW_MS + LEASE_MS).profile
    assert profile is not None
    assert profile.is_uncertain


def test_a_quiet_time_holds_the_profile_back(ledger: Ledger, other: Ledger) -> None:
    leased(ledger)
    saved(ledger, ProfileState(), lease_until=NOW_MS + 45_000)
    assert leased(other, key="default#e-2", at=NOW_MS + 44_999) == Grant()
    profile = leased(other, key="default#e-2", at=NOW_MS + 45_000).profile
    assert profile is not None
    assert profile.is_uncertain


def test_without_its_profile_an_event_is_not_settled(cloud: Cloud, ledger: Ledger) -> None:
    leased(ledger)
    cloud.dynamodb.delete_item(TableName=SUBSCRIBERS, Key={"subscriber": {"S": PERSON}})
    settlement = Settlement(Claim(KEY, Entry(), "m-1"), Delivered(), is_claimed=True, profile_key=PERSON)
    assert ledger.settle([settlement], [ProfileSave(PERSON, ProfileState())], plenty, now_ms=NOW_MS) == frozenset()
    assert seen(ledger).outcome is None


# Layouts


def test_states_are_packed_after_a_day(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    """Until then a rollback may bring back a release that reads no packed state."""
    known = state("SUBSCRIPTION_STARTED")
    leased(ledger)
    saved(ledger, known)
    assert set(cloud.subscriber(PERSON)) & {"facts", "packed"} == {"facts"}
    for at in (NOW_MS + DAY_MS - 1, NOW_MS + DAY_MS + HOUR_MS):
        grant = leased(other, key=f"default#e-{at}", at=at)
        assert grant.profile is not None
        assert grant.profile.state == known
        other.settle((), [ProfileSave(PERSON, known)], plenty, now_ms=at)
        layout = set(cloud.subscriber(PERSON)) & {"facts", "packed"}
        assert layout == ({"packed"} if at > NOW_MS + DAY_MS else {"facts"})


def test_a_packed_person_is_read(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    known = state("SUBSCRIPTION_STARTED").accepted({"plan": "monthly"}, ["clevertap-id"])
    leased(ledger)
    leased(ledger, key="default#e-2", at=NOW_MS + 2 * DAY_MS)  # by now this worker packs
    ledger.settle((), [ProfileSave(PERSON, known)], plenty, now_ms=NOW_MS + 2 * DAY_MS)
    assert "packed" in cloud.subscriber(PERSON)
    assert leased(other, key="default#e-3", at=NOW_MS + 2 * DAY_MS).profile == StoredProfile(known, 3)


def test_an_unreadable_pack_is_told_and_forgotten(cloud: Cloud) -> None:
    unreadable: list[str] = []
    ledger = Ledger(
        cloud.dynamodb,
        deliveries=DELIVERIES,
        subscribers=SUBSCRIBERS,
        owner="one",
        pause=lambda _: None,
        unreadable=lambda: unreadable.append("told"),
    )
    broken = {"subscriber": {"S": PERSON}, "packed": {"S": "1broken"}, "version": {"N": "7"}}
    cloud.dynamodb.put_item(TableName=SUBSCRIBERS, Item=broken)
    assert leased(ledger).profile == StoredProfile(ProfileState(), 7, 1)
    assert unreadable == ["told"]


# Many at once


def test_a_thousand_claims_are_ten_transactions(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.always("TransactWriteItems", Answered())
    assert granted(ledger.claim(groups(1000), plenty, now_ms=NOW_MS)) == [True] * 1000
    assert [len(call["TransactItems"]) for call in cloud.calls.of("TransactWriteItems")] == [100] * 10


def test_a_thousand_events_are_ten_reads(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.always("BatchGetItem", Answered({"Responses": {}}))
    assert len(ledger.read([str(number) for number in range(1000)], plenty)) == 1000
    requests = [call["RequestItems"][DELIVERIES] for call in cloud.calls.of("BatchGetItem")]
    assert [len(each["Keys"]) for each in requests] == [100] * 10
    assert all(each["ConsistentRead"] for each in requests)


def test_one_refused_claim_leaves_99(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    other.claim([groups(100)[37]], plenty, now_ms=NOW_MS)
    cloud.calls.made.clear()
    assert granted(ledger.claim(groups(100), plenty, now_ms=NOW_MS)) == [number != 37 for number in range(100)]
    assert len(cloud.calls.of("TransactWriteItems")) == 2
    assert cloud.entry("37")["lease_owner"] == "two"
    assert cloud.entry("38")["lease_owner"] == "one"


def test_nothing_to_do_is_no_call(cloud: Cloud, ledger: Ledger) -> None:
    assert ledger.read([], plenty) == {}
    assert ledger.claim([], plenty, now_ms=NOW_MS) == []
    assert ledger.settle([], [], plenty, now_ms=NOW_MS) == frozenset()
    ledger.note({}, plenty, now_ms=NOW_MS)
    assert cloud.calls.made == []


def test_a_thousand_noted_events_are_forty_calls(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.always("BatchExecuteStatement", Answered(MADE))
    entries = [Entry(frozenset({f"m-{number}"}), is_stored=True) for number in range(1000)]
    asked = [ClaimGroup((Claim(f"default#{n}", entry, f"m-{n}"),)) for n, entry in enumerate(entries)]
    assert granted(ledger.claim(asked, plenty, now_ms=NOW_MS)) == [True] * 1000
    assert [len(call["Statements"]) for call in cloud.calls.of("BatchExecuteStatement")] == [25] * 40
    assert cloud.calls.of("TransactWriteItems") == []


def test_one_refused_statement_leaves_the_others(cloud: Cloud, ledger: Ledger, other: Ledger) -> None:
    asked = noted(cloud, 30)
    other.claim([asked[7]], plenty, now_ms=NOW_MS)
    cloud.calls.made.clear()
    assert granted(ledger.claim(asked, plenty, now_ms=NOW_MS)) == [number != 7 for number in range(30)]
    assert [name for name, _ in cloud.calls.made] == ["BatchExecuteStatement"] * 2
    assert [cloud.entry(str(number))["lease_owner"] for number in (6, 7, 8)] == ["one", "two", "one"]


@pytest.mark.parametrize(("size", "operation"), [(100, "BatchExecuteStatement"), (100_000, "TransactWriteItems")])
def test_a_large_held_body_goes_in_a_transaction(cloud: Cloud, ledger: Ledger, size: int, operation: str) -> None:
    (group,) = noted(cloud, 1)
    cloud.calls.made.clear()
    hold = Hold(PERSON, "x" * size, NOW_MS, NOW_MS + DAY_MS)
    held = Settlement(group.claims[0], Held(), is_claimed=False, hold=hold)
    assert ledger.settle([held], (), plenty, now_ms=NOW_MS) == {"default#0"}
    assert [name for name, _ in cloud.calls.made] == [operation]
    assert len(cloud.entry("0")["body"]) == size


# Faults


def waited(cloud: Cloud) -> tuple[Ledger, list[float], Calls]:
    """A ledger that notes how long it waits."""
    calls, pauses = Calls(), list[float]()
    return cloud.ledger(calls=calls, pause=pauses.append), pauses, calls


HOT = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]


@pytest.mark.parametrize("cause", HOT)
def test_a_hot_item_is_tried_again_and_the_others_go_on(cloud: Cloud, cause: str) -> None:
    ledger, pauses, calls = waited(cloud)
    calls.next("TransactWriteItems", Cancelled(["None", cause, "None"]), lambda: None, Cancelled([cause]))
    assert granted(ledger.claim(groups(3), plenty, now_ms=NOW_MS)) == [True] * 3
    assert [len(call["TransactItems"]) for call in calls.of("TransactWriteItems")] == [3, 2, 1, 1]
    assert len(pauses) == 2
    assert [cloud.entry(str(number))["attempts"] for number in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("cause", HOT)
def test_a_batch_waited_59_seconds_for_one_hot_item(cloud: Cloud, cause: str) -> None:
    ledger, pauses, calls = waited(cloud)
    calls.next("TransactWriteItems", Cancelled([cause, "None", "None"]), lambda: None, *[Cancelled([cause])] * 100)
    assert granted(ledger.claim(groups(3), plenty, now_ms=NOW_MS)) == [False, True, True]
    assert len(calls.of("TransactWriteItems")) == 11
    assert sum(pauses) < 5


def test_a_note_waits_for_nobody(cloud: Cloud) -> None:
    ledger, pauses, calls = waited(cloud)
    calls.next("TransactWriteItems", Cancelled(["TransactionConflict"]))
    with pytest.raises(LedgerUnavailable):
        ledger.note({"default#e-1": {"m-1"}}, plenty, now_ms=NOW_MS)
    assert (pauses, len(calls.of("TransactWriteItems"))) == ([], 1)


@pytest.mark.parametrize(
    "fault", ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"]
)
def test_throttling_of_all_is_waited_out(cloud: Cloud, fault: str) -> None:
    ledger, pauses, calls = waited(cloud)
    calls.next("TransactWriteItems", fault, fault, fault)
    assert granted(ledger.claim(groups(3), plenty, now_ms=NOW_MS)) == [True] * 3
    assert len(pauses) == 3
    assert all(0 < pause < 1 for pause in pauses)
    assert len(calls.of("TransactWriteItems")) == 4
    assert [cloud.entry(str(number))["attempts"] for number in range(3)] == [1, 1, 1]


def test_a_refusal_beside_a_conflict_is_final(cloud: Cloud) -> None:
    ledger, _, calls = waited(cloud)
    calls.next("TransactWriteItems", Cancelled(["ConditionalCheckFailed", "TransactionConflict", "None"]))
    assert granted(ledger.claim(groups(3), plenty, now_ms=NOW_MS)) == [False, True, True]
    assert [len(call["TransactItems"]) for call in calls.of("TransactWriteItems")] == [3, 1, 1]


HOT_STATEMENTS = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "InternalServerError"]


@pytest.mark.parametrize("cause", HOT_STATEMENTS)
def test_a_hot_statement_is_tried_again_alone(cloud: Cloud, cause: str) -> None:
    ledger, pauses, calls = waited(cloud)
    asked = noted(cloud, 3)
    calls.next("BatchExecuteStatement", Cancelled(["None", cause, "None"]), Cancelled([cause]))
    assert granted(ledger.claim(asked, plenty, now_ms=NOW_MS)) == [True] * 3
    assert [len(call["Statements"]) for call in calls.of("BatchExecuteStatement")] == [3, 1, 1]
    assert len(pauses) == 2


@pytest.mark.parametrize("cause", HOT_STATEMENTS)
def test_a_hot_statement_is_given_up_in_time(cloud: Cloud, cause: str) -> None:
    ledger, pauses, calls = waited(cloud)
    asked = noted(cloud, 3)
    calls.next("BatchExecuteStatement", Cancelled([cause, "None", "None"]), *[Cancelled([cause])] * 100)
    assert granted(ledger.claim(asked, plenty, now_ms=NOW_MS)) == [False, True, True]
    assert len(calls.of("BatchExecuteStatement")) == 10
    assert sum(pauses) < 5


def test_a_repeated_call_finds_its_own_claims(cloud: Cloud) -> None:
    """botocore repeats a call whose answer was lost; DynamoDB has made the changes by then."""
    calls = Calls()
    ledger, asked = cloud.ledger(calls=calls), noted(cloud, 3)

    def made_already() -> None:
        call = calls.of("BatchExecuteStatement")[-1]
        cloud.dynamodb.batch_execute_statement(Statements=call["Statements"])

    calls.next("BatchExecuteStatement", made_already)
    grants = ledger.claim(asked, plenty, now_ms=NOW_MS)
    assert granted(grants) == [True] * 3
    calls.next("BatchExecuteStatement", made_already)
    settlements = [Settlement(each.claims[0], Delivered(), is_claimed=True) for each in asked]
    assert len(ledger.settle(settlements, (), plenty, now_ms=NOW_MS)) == 3


def test_a_repeated_lease_of_a_new_person(cloud: Cloud) -> None:
    """An INSERT tells nothing of the item that is there already: the person waits for the lease to expire."""
    calls = Calls()
    ledger = cloud.ledger(calls=calls)
    calls.next(
        "BatchExecuteStatement",
        lambda: cloud.dynamodb.batch_execute_statement(Statements=calls.of("BatchExecuteStatement")[-1]["Statements"]),
    )
    assert leased(ledger) == Grant()
    assert leased(ledger, at=NOW_MS + LEASE_MS).entries


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "UnknownOperationException"])
def test_without_statements_transactions_do(cloud: Cloud, code: str) -> None:
    calls, refusals = Calls(), list[str]()
    ledger = cloud.ledger(calls=calls, statement_refused=refusals.append)
    calls.always("BatchExecuteStatement", code)
    assert granted(ledger.claim(noted(cloud, 30), plenty, now_ms=NOW_MS)) == [True] * 30
    assert len(refusals) == 1
    assert code in refusals[0]
    calls.made.clear()
    assert leased(ledger).entries
    assert calls.of("BatchExecuteStatement") == []


@pytest.mark.parametrize("cause", ["ValidationError", "AccessDenied"])
def test_a_refused_statement_ends_statements(cloud: Cloud, cause: str) -> None:
    calls, refusals = Calls(), list[str]()
    ledger = cloud.ledger(calls=calls, statement_refused=refusals.append)
    calls.next("BatchExecuteStatement", Cancelled([cause, "None"]))
    asked = noted(cloud, 2)
    assert granted(ledger.claim(asked, plenty, now_ms=NOW_MS)) == [True, True]
    assert len(refusals) == 1
    assert leased(ledger).entries
    assert len(calls.of("BatchExecuteStatement")) == 1


def test_a_too_large_statement_ends_no_statements(cloud: Cloud) -> None:
    calls, refusals = Calls(), list[str]()
    ledger = cloud.ledger(calls=calls, statement_refused=refusals.append)
    (asked,) = noted(cloud, 1)
    assert granted(ledger.claim([asked], plenty, now_ms=NOW_MS)) == [True]
    large = Settlement(asked.claims[0], Delivered(), is_claimed=True, event_name="x" * 500_000)
    assert ledger.settle([large], (), plenty, now_ms=NOW_MS) == frozenset()
    assert refusals == []


def test_endless_throttling_is_given_up(cloud: Cloud) -> None:
    ledger, pauses, calls = waited(cloud)
    calls.always("TransactWriteItems", "ThrottlingException")
    with pytest.raises(LedgerUnavailable, match="ThrottlingException"):
        ledger.claim(groups(3), lambda: 3 - len(pauses), now_ms=NOW_MS)
    assert len(pauses) == 3


@pytest.mark.parametrize(
    "fault", ["InternalServerError", "ResourceNotFoundException", "AccessDeniedException", unreachable()]
)
def test_a_failed_write_is_unavailability(cloud: Cloud, ledger: Ledger, fault: str) -> None:
    cloud.calls.next("TransactWriteItems", fault)
    with pytest.raises(LedgerUnavailable):
        ledger.claim(groups(3), plenty, now_ms=NOW_MS)


@pytest.mark.parametrize("fault", ["InternalServerError", "ThrottlingException", unreachable()])
def test_a_failed_read_is_unavailability(cloud: Cloud, ledger: Ledger, fault: str) -> None:
    cloud.calls.next("BatchGetItem", fault, fault)
    with pytest.raises(LedgerUnavailable):
        ledger.read([KEY], plenty)
    with pytest.raises(LedgerUnavailable):
        ledger.profiles([PERSON], plenty, now_ms=NOW_MS)


def test_unprocessed_keys_are_asked_again(cloud: Cloud) -> None:
    ledger, pauses, calls = waited(cloud)
    ledger.claim(groups(2), plenty, now_ms=NOW_MS)
    left = {"UnprocessedKeys": {DELIVERIES: {"Keys": [{"event": {"S": "default#0"}}, {"event": {"S": "default#1"}}]}}}
    calls.next("BatchGetItem", Answered({"Responses": {}, **left}))
    found = ledger.read(["default#0", "default#1"], plenty)
    assert [each.attempts for each in found.values()] == [1, 1]
    assert len(pauses) == 1


def test_marks_come_with_the_entries_and_alone(cloud: Cloud) -> None:
    ledger, _, calls = waited(cloud)
    ledger.claim(groups(2), plenty, now_ms=NOW_MS)
    # An event may have the id that makes its key that of a mark.
    mark = Mark("default", "a1", "b2")
    ledger.claim([ClaimGroup((Claim(mark.key, Entry(), "m-3"),))], plenty, now_ms=NOW_MS)
    ledger.suppress([mark], plenty)
    keys = ["default#0", "default#1", mark.key]
    left = {
        DELIVERIES: {"Keys": [{"event": {"S": key}} for key in keys]},
        SUBSCRIBERS: {"Keys": [{"subscriber": {"S": mark.key}}]},
    }
    calls.next("BatchGetItem", Answered({"Responses": {}, "UnprocessedKeys": left}))
    entries, marks = ledger.read_suppressed(keys, [mark.key, "default#suppressed#0"], plenty)
    assert [each.attempts for each in entries.values()] == [1, 1, 1]
    assert marks == ledger.marks([mark.key], plenty) == [mark]
    ledger.unsuppress([mark], plenty)
    assert ledger.read_suppressed(keys, [mark.key], plenty)[1] == []


def test_endlessly_unprocessed_keys_are_given_up(cloud: Cloud) -> None:
    ledger, pauses, calls = waited(cloud)
    left = {"UnprocessedKeys": {DELIVERIES: {"Keys": [{"event": {"S": KEY}}]}}}
    calls.always("BatchGetItem", Answered({"Responses": {}, **left}))
    with pytest.raises(LedgerUnavailable):
        ledger.read([KEY], lambda: 3 - len(pauses))


def test_a_too_large_item_costs_only_itself(cloud: Cloud, ledger: Ledger) -> None:
    keys = [f"default#{number}" for number in range(6)]
    settlements = [Settlement(Claim(key, Entry(), "m"), LATE, is_claimed=False) for key in keys]
    too_large = Settlement(Claim(KEY, Entry(), "m"), LATE, is_claimed=False, event_name="x" * 500_000)
    assert ledger.settle([*settlements, too_large], (), plenty, now_ms=NOW_MS) == set(keys)
    assert cloud.entry("e-1") == {}
    assert [cloud.entry(str(number))["outcome"] for number in range(6)] == ["skipped"] * 6


def test_an_invalid_item_costs_only_itself(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.next("TransactWriteItems", Cancelled(["None", "ValidationError", "None"]))
    assert granted(ledger.claim(groups(3), plenty, now_ms=NOW_MS)) == [True, False, True]


def test_room_is_made_for_the_item_to_blame_alone(cloud: Cloud, ledger: Ledger) -> None:
    """As DynamoDB says it of one item among others."""
    too_large = Cancelled(
        ["None", "ValidationError", "None"], "Item size to update has exceeded the maximum allowed size"
    )
    cloud.calls.next("TransactWriteItems", too_large)
    grants = ledger.claim(groups(3), plenty, now_ms=NOW_MS)
    assert granted(grants) == [True, False, True]
    assert [len(grant.full_entries) for grant in grants] == [0, 1, 0]


def test_a_transaction_above_4_mb_is_halved(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.next("TransactWriteItems", "ValidationException")
    assert granted(ledger.claim(groups(10), plenty, now_ms=NOW_MS)) == [True] * 10
    assert [len(call["TransactItems"]) for call in cloud.calls.of("TransactWriteItems")] == [10, 5, 5]


def test_no_attribute_is_a_reserved_word() -> None:
    changes = Changes(DELIVERIES, SUBSCRIBERS, "one", 86_400)
    claim = Claim(KEY, Entry(unconfirmed_sends=1, outcome="parked"), "m")
    facts = Settlement(claim, REFUSED, True, frozenset({"event"}), "X", 1, Environment.SANDBOX, PERSON, 1)
    unclaimed = Settlement(claim, REFUSED, False, frozenset(), "X", 1, Environment.SANDBOX, PERSON, 1)
    made = [
        changes.claim(claim, now_ms=NOW_MS),
        changes.settle(facts, now_ms=NOW_MS),
        changes.settle(unclaimed, now_ms=NOW_MS),
        changes.settle(Settlement(claim, FAILED, True), now_ms=NOW_MS),
        changes.free(claim),
        changes.note(KEY, ["m"], now_ms=NOW_MS),
        changes.lease(PERSON, StoredProfile(), now_ms=NOW_MS),
        changes.save(ProfileSave(PERSON, ProfileState()), now_ms=NOW_MS),
        changes.announce_packing(from_ms=NOW_MS),
    ]
    names = {
        name
        for change in made
        for name in (
            change.key_name,
            *change.put,
            *change.remove,
            *change.add,
            *change.begin,
            *(condition.attribute for condition in change.conditions),
        )
    }
    assert {"outcome", "lease_until", "messages", "version", "unconfirmed_sends"} <= names
    assert {name.upper() for name in names} & set(ReservedKeywords.get_reserved_keywords()) == set()
