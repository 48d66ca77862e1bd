"""The delivery ledger and the subscribers: claims, leases and what is settled."""

import re

import pytest
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from purchasely_clevertap.aws.ledger import (
    LEASE_MS,
    Change,
    Delivery,
    Known,
    Ledger,
    LedgerUnavailable,
    delivery_key,
)
from purchasely_clevertap.mapping.profile import Subscriber
from purchasely_clevertap.purchasely.event import Event, read
from tests.integration.cloud import DELIVERIES, Answered, Calls, Cancelled, Cloud, unreachable
from tests.integration.webhook import NOW_MS, encoded, event

KEY = delivery_key("default", "e-1")
PERSON = "default#production#user#user-1"
UNHEARD_OF = Delivery()
DAYS_30 = 30 * 24 * 3600
OUTCOME: dict[str, str | int | None] = {"outcome": "delivered"}


def plenty() -> float:
    return 60.0


@pytest.fixture
def ledger(cloud: Cloud) -> Ledger:
    return cloud.ledger()


def claimed(ledger: Ledger, seen: Delivery = UNHEARD_OF, *, owner: str = "one", at: int = NOW_MS) -> bool:
    (held,) = ledger.write([ledger.claim(KEY, "m-1", seen, owner=owner, now_ms=at)], plenty)
    return held


def seen(ledger: Ledger, key: str = KEY) -> Delivery:
    return ledger.deliveries([key], plenty)[key]


def state(*names: str) -> Subscriber:
    events = [read(encoded(event(name, at=NOW_MS + offset))) for offset, name in enumerate(names)]
    return Subscriber().after(each for each in events if isinstance(each, Event))


# Claims


def test_an_event_never_heard_of_is_nothing_yet(ledger: Ledger) -> None:
    assert ledger.deliveries(["a#1", "a#2"], plenty) == {"a#1": Delivery(), "a#2": Delivery()}


def test_a_claim_is_remembered_with_its_lease_and_30_days_to_live(cloud: Cloud, ledger: Ledger) -> None:
    assert claimed(ledger)
    assert seen(ledger) == Delivery(frozenset({"m-1"}), None, NOW_MS + LEASE_MS, 1)
    entry = cloud.entry("e-1")
    assert (entry["lease_owner"], entry["expires_at"]) == ("one", NOW_MS // 1000 + DAYS_30)


def test_two_workers_that_saw_the_same_cannot_both_have_the_event(ledger: Ledger) -> None:
    before = seen(ledger)
    assert claimed(ledger, before, owner="one")
    assert not claimed(ledger, before, owner="two")
    assert ledger.write([ledger.settle(KEY, owner="two", now_ms=NOW_MS, accepted=(), facts=OUTCOME)], plenty) == [False]
    assert ledger.write([ledger.settle(KEY, owner="one", now_ms=NOW_MS, accepted=(), facts=OUTCOME)], plenty) == [True]


def test_a_worker_that_looked_before_another_was_done_cannot_have_the_event_afterwards(ledger: Ledger) -> None:
    before = seen(ledger)
    assert claimed(ledger, before, owner="one")
    ledger.write([ledger.settle(KEY, owner="one", now_ms=NOW_MS, accepted=("event",), facts=OUTCOME)], plenty)
    assert not claimed(ledger, before, owner="two", at=NOW_MS + LEASE_MS)
    assert seen(ledger).outcome == "delivered"


def test_a_worker_that_looked_before_another_gave_up_cannot_have_the_event_by_what_it_saw(ledger: Ledger) -> None:
    before = seen(ledger)
    assert claimed(ledger, before, owner="one")
    ledger.write([ledger.release(KEY, owner="one", accepted=("charged",), facts={})], plenty)
    assert not claimed(ledger, before, owner="two")
    assert claimed(ledger, seen(ledger), owner="two")
    assert seen(ledger).accepted == {"charged"}


def test_a_claim_lasts_as_long_as_its_lease_and_no_longer(ledger: Ledger) -> None:
    assert claimed(ledger, owner="one")
    assert not claimed(ledger, seen(ledger), owner="two", at=NOW_MS + LEASE_MS - 1)
    assert claimed(ledger, seen(ledger), owner="two", at=NOW_MS + LEASE_MS)
    assert seen(ledger).attempts == 2


def test_a_lease_outlasts_the_longest_life_of_a_worker() -> None:
    assert LEASE_MS > 60_000  # the forwarder's timeout


def test_a_worker_whose_lease_has_run_out_settles_nothing(ledger: Ledger) -> None:
    assert claimed(ledger, owner="one")
    assert claimed(ledger, seen(ledger), owner="two", at=NOW_MS + LEASE_MS)
    late = [ledger.settle(KEY, owner="one", now_ms=NOW_MS, accepted=("event",), facts=OUTCOME)]
    assert ledger.write(late, plenty) == [False]
    assert ledger.write([ledger.release(KEY, owner="one", accepted=("event",), facts={})], plenty) == [False]
    assert seen(ledger).outcome is None
    assert seen(ledger).accepted == frozenset()


def test_a_claim_without_a_message_adds_none(ledger: Ledger) -> None:
    assert ledger.write([ledger.claim(KEY, None, Delivery(), owner="one", now_ms=NOW_MS)], plenty) == [True]
    assert seen(ledger).messages == frozenset()


# Outcomes


def test_a_settled_event_has_its_outcome_and_no_lease(cloud: Cloud, ledger: Ledger) -> None:
    assert claimed(ledger)
    facts: dict[str, str | int | None] = {"outcome": "parked", "reason": "refused_by_clevertap", "code": 513}
    facts |= {"event_name": "X", "account": None}
    done = ledger.settle(KEY, owner="one", now_ms=NOW_MS + 5, accepted=("event", "charged"), facts=facts)
    assert ledger.write([done], plenty) == [True]
    assert cloud.entry("e-1") == {
        "event": KEY,
        "messages": {"m-1"},
        "attempts": 1,
        "accepted": {"event", "charged"},
        "outcome": "parked",
        "reason": "refused_by_clevertap",
        "code": 513,
        "event_name": "X",
        "settled_at": NOW_MS + 5,
        "expires_at": (NOW_MS + 5) // 1000 + DAYS_30,
    }


def test_what_was_accepted_is_kept_through_every_further_attempt(ledger: Ledger) -> None:
    assert claimed(ledger)
    ledger.write([ledger.release(KEY, owner="one", accepted=("charged",), facts={"reason": "record_error"})], plenty)
    assert seen(ledger) == Delivery(frozenset({"m-1"}), None, 0, 1, frozenset({"charged"}))
    assert claimed(ledger, seen(ledger), owner="two")
    ledger.write([ledger.release(KEY, owner="two", accepted=(), facts={"reason": "timeout"})], plenty)
    assert claimed(ledger, seen(ledger), owner="three")
    ledger.write([ledger.settle(KEY, owner="three", now_ms=NOW_MS, accepted=("event",), facts=OUTCOME)], plenty)
    assert seen(ledger).accepted == {"charged", "event"}


def test_a_later_outcome_leaves_nothing_of_an_earlier_one(cloud: Cloud, ledger: Ledger) -> None:
    parked: dict[str, str | int | None] = {"outcome": "parked", "reason": "refused_by_clevertap", "code": 513}
    assert ledger.write([ledger.settle_unclaimed(KEY, "m-1", seen(ledger), now_ms=NOW_MS, facts=parked)], plenty) == [
        True
    ]
    assert claimed(ledger, seen(ledger))
    assert "outcome" not in cloud.entry("e-1")
    delivered: dict[str, str | int | None] = {"outcome": "delivered", "reason": None, "code": None}
    ledger.write([ledger.settle(KEY, owner="one", now_ms=NOW_MS, accepted=("event",), facts=delivered)], plenty)
    entry = cloud.entry("e-1")
    assert entry["outcome"] == "delivered"
    assert not {"reason", "code", "lease_owner", "lease_until"} & set(entry)


def test_an_event_that_needs_no_upload_gets_its_outcome_once(cloud: Cloud, ledger: Ledger) -> None:
    before = seen(ledger)
    skipped: dict[str, str | int | None] = {"outcome": "skipped", "reason": "late", "code": None}
    assert ledger.write([ledger.settle_unclaimed(KEY, "m-1", before, now_ms=NOW_MS, facts=skipped)], plenty) == [True]
    assert ledger.write([ledger.settle_unclaimed(KEY, "m-1", before, now_ms=NOW_MS, facts=skipped)], plenty) == [False]
    assert not claimed(ledger, before)
    assert seen(ledger).outcome == "skipped"
    entry = cloud.entry("e-1")
    assert (entry["reason"], entry["attempts"], entry["messages"]) == ("late", 1, {"m-1"})


def test_an_event_that_a_worker_holds_gets_no_outcome_from_another(ledger: Ledger) -> None:
    assert claimed(ledger)
    other = ledger.settle_unclaimed(KEY, "m-1", seen(ledger), now_ms=NOW_MS + 1, facts={"outcome": "skipped"})
    assert ledger.write([other], plenty) == [False]
    assert seen(ledger).outcome is None


def test_further_webhooks_are_added_once_each_and_change_nothing_else(cloud: Cloud, ledger: Ledger) -> None:
    assert claimed(ledger)
    before = cloud.entry("e-1")
    for _ in range(2):
        assert ledger.write([ledger.add_messages(KEY, ["m-2", "m-3"], now_ms=NOW_MS + 9_000)], plenty) == [True]
    assert cloud.entry("e-1") == before | {"messages": {"m-1", "m-2", "m-3"}}


# Subscribers


def test_a_person_never_heard_of_is_unknown(ledger: Ledger) -> None:
    assert ledger.subscribers([PERSON], plenty) == {PERSON: Known()}


def test_a_leased_subscriber_is_saved_and_free_again(ledger: Ledger) -> None:
    assert ledger.write([ledger.lease(PERSON, Known(), owner="one", now_ms=NOW_MS)], plenty) == [True]
    assert ledger.subscribers([PERSON], plenty)[PERSON].lease_until == NOW_MS + LEASE_MS
    known = state("SUBSCRIPTION_STARTED").accepted({"plan": "monthly", "paying": True}, "clevertap-id")
    assert ledger.write([ledger.save(PERSON, known, owner="one")], plenty) == [True]
    saved = ledger.subscribers([PERSON], plenty)[PERSON]
    assert saved.state == known
    assert saved.lease_until == 0
    assert ledger.write([ledger.lease(PERSON, saved, owner="two", now_ms=NOW_MS)], plenty) == [True]


def test_a_subscriber_is_leased_by_one_worker_at_a_time(ledger: Ledger) -> None:
    assert ledger.write([ledger.lease(PERSON, Known(), owner="one", now_ms=NOW_MS)], plenty) == [True]
    held = ledger.subscribers([PERSON], plenty)[PERSON]
    for known, at in ((Known(), NOW_MS), (held, NOW_MS + LEASE_MS - 1)):
        assert ledger.write([ledger.lease(PERSON, known, owner="two", now_ms=at)], plenty) == [False]
    assert ledger.write([ledger.lease(PERSON, held, owner="two", now_ms=NOW_MS + LEASE_MS)], plenty) == [True]
    assert ledger.write([ledger.save(PERSON, state("ACTIVATE"), owner="one")], plenty) == [False]


def test_a_state_that_was_read_while_another_worker_held_the_subscriber_gets_no_lease(ledger: Ledger) -> None:
    ledger.write([ledger.lease(PERSON, Known(), owner="one", now_ms=NOW_MS)], plenty)
    read_meanwhile = ledger.subscribers([PERSON], plenty)[PERSON]
    ledger.write([ledger.save(PERSON, state("SUBSCRIPTION_STARTED"), owner="one")], plenty)
    assert ledger.write([ledger.lease(PERSON, read_meanwhile, owner="two", now_ms=NOW_MS)], plenty) == [False]
    fresh = ledger.subscribers([PERSON], plenty)[PERSON]
    assert ledger.write([ledger.lease(PERSON, fresh, owner="two", now_ms=NOW_MS)], plenty) == [True]


def test_a_state_that_was_read_before_another_worker_wrote_gets_no_lease(ledger: Ledger) -> None:
    for owner in ("one", "two"):
        known = ledger.subscribers([PERSON], plenty)[PERSON]
        ledger.write([ledger.lease(PERSON, known, owner=owner, now_ms=NOW_MS)], plenty)
        ledger.write([ledger.save(PERSON, state("SUBSCRIPTION_STARTED"), owner=owner)], plenty)
        assert ledger.write([ledger.lease(PERSON, known, owner="three", now_ms=NOW_MS)], plenty) == [False]


# Many at once


def claims(ledger: Ledger, count: int, *, owner: str = "one", attempts: int = 0) -> list[Change]:
    return [
        ledger.claim(f"default#{number}", f"m-{number}", Delivery(attempts=attempts), owner=owner, now_ms=NOW_MS)
        for number in range(count)
    ]


def test_a_thousand_claims_are_ten_transactions(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.always("TransactWriteItems", Answered())
    assert ledger.write(claims(ledger, 1000), plenty) == [True] * 1000
    sizes = [len(call["TransactItems"]) for call in cloud.calls.of("TransactWriteItems")]
    assert sizes == [100] * 10


def test_a_thousand_events_are_looked_up_in_ten_consistent_reads(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.always("BatchGetItem", Answered({"Responses": {}}))
    assert len(ledger.deliveries([str(number) for number in range(1000)], plenty)) == 1000
    requests = [call["RequestItems"][DELIVERIES] for call in cloud.calls.of("BatchGetItem")]
    assert [len(each["Keys"]) for each in requests] == [100] * 10
    assert all(each["ConsistentRead"] for each in requests)


def test_one_condition_that_fails_in_a_hundred_leaves_the_other_99_made(cloud: Cloud, ledger: Ledger) -> None:
    ledger.write([claims(ledger, 100, owner="other")[37]], plenty)
    cloud.calls.made.clear()
    held = ledger.write(claims(ledger, 100), plenty)
    assert held == [number != 37 for number in range(100)]
    assert len(cloud.calls.of("TransactWriteItems")) == 2
    found = ledger.deliveries([f"default#{number}" for number in range(100)], plenty)
    assert [each.attempts for each in found.values()] == [1] * 100
    assert cloud.entry("37")["lease_owner"] == "other"
    assert cloud.entry("38")["lease_owner"] == "one"


def test_nothing_to_write_or_to_read_is_no_call(cloud: Cloud, ledger: Ledger) -> None:
    assert ledger.write([], plenty) == []
    assert ledger.deliveries([], plenty) == {}
    assert cloud.calls.made == []


# Faults


def waited(cloud: Cloud) -> tuple[Ledger, list[float], Calls]:
    """A ledger that notes how long it waits."""
    calls, pauses = Calls(), list[float]()
    ledger = cloud.ledger(calls=calls, pause=pauses.append)
    return ledger, pauses, calls


@pytest.mark.parametrize(
    "fault",
    [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        Cancelled(["TransactionConflict", "None", "None"]),
        Cancelled(["None", "ThrottlingError", "None"]),
        Cancelled(["None", "None", "ProvisionedThroughputExceeded"]),
    ],
)
def test_throttling_and_conflicts_are_waited_out_and_the_whole_transaction_is_made(
    cloud: Cloud, fault: str | Cancelled
) -> None:
    ledger, pauses, calls = waited(cloud)
    calls.next("TransactWriteItems", fault, fault, fault)
    assert ledger.write(claims(ledger, 3), plenty) == [True] * 3
    assert len(pauses) == 3
    assert all(0 < pause < 1 for pause in pauses)
    assert len(calls.of("TransactWriteItems")) == 4
    assert [cloud.entry(str(number))["attempts"] for number in range(3)] == [1, 1, 1]


def test_a_failed_condition_beside_a_conflict_is_not_tried_again_and_the_rest_is(cloud: Cloud) -> None:
    ledger, _, calls = waited(cloud)
    calls.next("TransactWriteItems", Cancelled(["ConditionalCheckFailed", "TransactionConflict", "None"]))
    assert ledger.write(claims(ledger, 3), plenty) == [False, True, True]
    assert [len(call["TransactItems"]) for call in calls.of("TransactWriteItems")] == [3, 2]


def test_throttling_that_does_not_end_is_given_up_while_a_second_is_left(cloud: Cloud) -> None:
    ledger, pauses, calls = waited(cloud)
    calls.always("TransactWriteItems", "ThrottlingException")
    with pytest.raises(LedgerUnavailable, match="ThrottlingException"):
        ledger.write(claims(ledger, 3), lambda: 3 - len(pauses))
    assert len(pauses) == 3


@pytest.mark.parametrize(
    "fault", ["InternalServerError", "ResourceNotFoundException", "AccessDeniedException", unreachable()]
)
def test_a_write_that_dynamodb_does_not_take_is_unavailability(cloud: Cloud, ledger: Ledger, fault: str) -> None:
    cloud.calls.next("TransactWriteItems", fault)
    with pytest.raises(LedgerUnavailable):
        ledger.write(claims(ledger, 3), plenty)


@pytest.mark.parametrize("fault", ["InternalServerError", "ThrottlingException", unreachable()])
def test_a_read_that_dynamodb_does_not_answer_is_unavailability_and_not_an_unknown_event(
    cloud: Cloud, ledger: Ledger, fault: str
) -> None:
    cloud.calls.next("BatchGetItem", fault, fault)
    with pytest.raises(LedgerUnavailable):
        ledger.deliveries([KEY], plenty)
    with pytest.raises(LedgerUnavailable):
        ledger.subscribers([PERSON], plenty)


def test_keys_that_dynamodb_leaves_for_later_are_asked_for_again(cloud: Cloud) -> None:
    ledger, pauses, calls = waited(cloud)
    assert ledger.write(claims(ledger, 2), plenty) == [True, True]
    left = {"UnprocessedKeys": {DELIVERIES: {"Keys": [{"event": {"S": "default#0"}}, {"event": {"S": "default#1"}}]}}}
    calls.next("BatchGetItem", Answered({"Responses": {}, **left}))
    found = ledger.deliveries(["default#0", "default#1"], plenty)
    assert [each.attempts for each in found.values()] == [1, 1]
    assert len(pauses) == 1


def test_keys_that_are_left_for_ever_are_unavailability(cloud: Cloud) -> None:
    ledger, pauses, calls = waited(cloud)
    left = {"UnprocessedKeys": {DELIVERIES: {"Keys": [{"event": {"S": KEY}}]}}}
    calls.always("BatchGetItem", Answered({"Responses": {}, **left}))
    with pytest.raises(LedgerUnavailable):
        ledger.deliveries([KEY], lambda: 3 - len(pauses))


def test_a_change_that_would_make_an_item_too_large_costs_only_itself(cloud: Cloud, ledger: Ledger) -> None:
    facts: dict[str, str | int | None] = {"outcome": "skipped", "reason": "x" * 500_000}
    too_large = ledger.settle_unclaimed(KEY, "m-1", Delivery(), now_ms=NOW_MS, facts=facts)
    changes = [*claims(ledger, 6), too_large, *claims(ledger, 9)[6:]]
    assert ledger.write(changes, plenty) == [True] * 6 + [False] + [True] * 3
    assert cloud.entry("e-1") == {}
    assert [cloud.entry(str(number))["attempts"] for number in range(9)] == [1] * 9


def test_an_item_that_a_transaction_names_as_invalid_costs_only_itself(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.next("TransactWriteItems", Cancelled(["None", "ValidationError", "None"]))
    assert ledger.write(claims(ledger, 3), plenty) == [True, False, True]


def test_a_transaction_of_more_than_4_mb_is_made_in_parts(cloud: Cloud, ledger: Ledger) -> None:
    cloud.calls.next("TransactWriteItems", "ValidationException")
    assert ledger.write(claims(ledger, 10), plenty) == [True] * 10
    assert [len(call["TransactItems"]) for call in cloud.calls.of("TransactWriteItems")] == [10, 5, 5]


# The table's own rules


def test_dynamodb_here_refuses_reserved_words_as_the_real_one_does(ledger: Ledger) -> None:
    reserved = Change(DELIVERIES, {"event": {"S": KEY}}, "SET status = :s", None, {":s": {"S": "x"}})
    assert ledger.write([reserved], plenty) == [False]
    fine = Change(DELIVERIES, {"event": {"S": KEY}}, "SET outcome = :s", None, {":s": {"S": "x"}})
    assert ledger.write([fine], plenty) == [True]


def test_no_attribute_is_named_by_a_reserved_word(ledger: Ledger) -> None:
    facts: dict[str, str | int | None] = dict.fromkeys(
        ("outcome", "reason", "code", "event_name", "event_at", "account", "subscriber"), "x"
    )
    changes = [
        ledger.claim(KEY, "m", Delivery(), owner="o", now_ms=NOW_MS),
        ledger.settle_unclaimed(KEY, "m", Delivery(), now_ms=NOW_MS, facts=facts),
        ledger.settle(KEY, owner="o", now_ms=NOW_MS, accepted=["event"], facts=facts),
        ledger.release(KEY, owner="o", accepted=["event"], facts=facts),
        ledger.add_messages(KEY, ["m"], now_ms=NOW_MS),
        ledger.lease(PERSON, Known(), owner="o", now_ms=NOW_MS),
        ledger.save(PERSON, Subscriber(), owner="o"),
    ]
    syntax = {"SET", "REMOVE", "ADD", "AND", "OR", "attribute_not_exists", "if_not_exists"}
    words = {
        word
        for change in changes
        for word in re.findall(r"(?<![:\w])[A-Za-z_]\w*", f"{change.update} {change.condition or ''}")
    }
    assert {"outcome", "lease_until", "messages", "version"} <= words
    assert {word.upper() for word in words - syntax} & set(ReservedKeywords.get_reserved_keywords()) == set()
