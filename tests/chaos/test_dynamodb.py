"""The tables in ledger do as DynamoDB does: the same changes as in moto have the same effect and the same refusals."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from chaos.aws import DELIVERIES, SUBSCRIBERS
from chaos.dynamodb import Refused, Tables, Unknown
from purchasely_clevertap.aws.changes import Change, Changes, Place
from purchasely_clevertap.aws.clients import Clients
from purchasely_clevertap.delivery.entry import Claim, Entry, ProfileSave, Settlement, StoredProfile
from purchasely_clevertap.mapping.profile import ProfileState
from purchasely_clevertap.outcome import (
    Delivered,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    RetryReason,
    Skipped,
    SkipReason,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEYS = {DELIVERIES: "event", SUBSCRIBERS: "subscriber"}


@pytest.fixture(scope="module")
def moto() -> Iterator["DynamoDBClient"]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield Clients(connect_timeout=1, read_timeout=1, attempts=1).dynamodb_for_batches()


def created(moto: "DynamoDBClient") -> None:
    for table, key in KEYS.items():
        if table in moto.list_tables()["TableNames"]:
            moto.delete_table(TableName=table)
        moto.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Every change that the ledger makes, of few items, by few owners, at few moments."""
    key = draw(st.sampled_from(["a#1", "a#2"]))
    made = Changes(DELIVERIES, SUBSCRIBERS, draw(st.sampled_from(["one", "other"])), draw(st.sampled_from([0, 86_400])))
    moments = st.integers(0, 3).map(lambda number: number * 60_000)
    now = draw(moments)
    entry = Entry(
        messages=draw(st.sampled_from([frozenset[str](), frozenset({"m-1"})])),
        outcome=draw(st.sampled_from([None, None, "parked"])),
        attempts=draw(st.integers(0, 2)),
        accepted=draw(st.sampled_from([frozenset[str](), frozenset({"event"})])),
        unconfirmed_sends=draw(st.integers(0, 1)),
        is_stored=draw(st.booleans()),
    )
    claim = Claim(key, entry, draw(st.sampled_from([None, "m-1", "m-2"])))
    match draw(st.integers(0, 6)):
        case 0:
            return made.claim(claim, now_ms=now)
        case 1:
            return made.settle(draw(settlements(claim)), now_ms=now)
        case 2:
            return made.free(claim)
        case 3:
            return made.note(key, {"m-1", "m-3"}, now_ms=now)
        case 4:
            return made.lease(key, StoredProfile(version=draw(st.integers(0, 3))), now_ms=now)
        case 5:
            return made.announce_packing(from_ms=now)
        case _:
            packs = draw(st.booleans())
            return made.save(ProfileSave(key, ProfileState(), draw(moments)), now_ms=now, packs=packs)


def settlements(claim: Claim) -> st.SearchStrategy[Settlement]:
    outcomes: list[Outcome] = [
        Delivered(),
        Skipped(SkipReason.LATE),
        Parked(ParkReason.REFUSED_BY_CLEVERTAP, "no", 513),
        Retried(RetryReason.THROTTLED),
    ]
    return st.builds(
        Settlement,
        st.just(claim),
        st.sampled_from(outcomes),
        st.booleans(),
        st.frozensets(st.sampled_from(["event", "charged"])),
        event_name=st.sampled_from([None, "ACTIVATE"]),
        unconfirmed_sends=st.integers(0, 2),
    )


@given(data=st.data())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_changes_have_the_effect_of_moto(moto: "DynamoDBClient", data: st.DataObject) -> None:
    created(moto)
    tables = Tables(KEYS, seconds=lambda: 0.0)
    for _ in range(data.draw(st.integers(1, 12))):
        together = data.draw(st.lists(changes(), min_size=1, max_size=2, unique_by=lambda change: str(change.key)))
        items: Any = [{"Update": change.update_item} for change in together]
        assert outcome(tables, items) == outcome_in_moto(moto, items)
    for table, key in KEYS.items():
        found = {item[key]["S"]: normal(item) for item in moto.scan(TableName=table)["Items"]}
        assert {name: normal(item) for name, item in tables.items[table].items()} == found


@given(data=st.data())
@settings(deadline=None)
def test_a_statement_does_what_its_update_does(data: st.DataObject) -> None:
    one, other = Tables(KEYS, seconds=lambda: 0.0), Tables(KEYS, seconds=lambda: 0.0)
    for change in data.draw(st.lists(changes(), min_size=1, max_size=12)):
        key = one.items[change.table].get(change.key)
        is_there = (change.place is Place.STORED) if key is not None else (change.place is Place.NEW)
        if not (change.is_statement and is_there):
            outcome(one, [{"Update": change.update_item}])
            outcome(other, [{"Update": change.update_item}])
            continue
        (response,) = one.answer("BatchExecuteStatement", {"Statements": [change.statement]})["Responses"]
        refused = outcome(other, [{"Update": change.update_item}])
        assert (response.get("Error", {}).get("Code") is None) == (refused is None)
    assert one.items == other.items


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM deliveries",
        'UPDATE "deliveries" SET "a" = ?',  # no key
        'UPDATE "deliveries" SET "a" = ? WHERE "a" = ?',  # no key
        'UPDATE "deliveries" SET "a" = ?, "b" = ? WHERE "event" = ?',  # a SET for each
        'UPDATE "deliveries" SET "a" = ? SET "a" = ? WHERE "event" = ?',  # twice
        'UPDATE "deliveries" SET "event" = ? WHERE "event" = ?',  # the key itself
        'UPDATE "deliveries" SET "a" = if_not_exists("a", ?) WHERE "event" = ?',
        'UPDATE "deliveries" SET "a" = ? WHERE ("event" = ? OR "a" IS MISSING)',
        'UPDATE "nowhere" SET "a" = ? WHERE "event" = ?',
        "UPSERT INTO \"deliveries\" VALUE {'event': ?}",
        "INSERT INTO \"deliveries\" VALUE {'a': ?}",  # no key
    ],
)
def test_what_is_no_statement_is_refused(tables: Tables, text: str) -> None:
    given = {"Statement": text, "Parameters": [{"S": "a"}] * text.count("?")}
    (response,) = tables.answer("BatchExecuteStatement", {"Statements": [given]})["Responses"]
    assert response["Error"]["Code"] == "ValidationError"
    assert tables.items[DELIVERIES] == {}


@pytest.mark.parametrize("count", [0, 3])
def test_a_parameter_stands_for_each_question_mark(tables: Tables, count: int) -> None:
    given = {"Statement": 'UPDATE "deliveries" SET "a" = ? WHERE "event" = ?', "Parameters": [{"S": "a"}] * count}
    (response,) = tables.answer("BatchExecuteStatement", {"Statements": [given]})["Responses"]
    assert response["Error"]["Code"] == "ValidationError"


def test_an_update_creates_nothing(tables: Tables) -> None:
    given = {"Statement": 'UPDATE "deliveries" SET "a" = ? WHERE "event" = ?', "Parameters": [{"S": "1"}, {"S": "e"}]}
    (response,) = tables.answer("BatchExecuteStatement", {"Statements": [given]})["Responses"]
    assert response["Error"] == {"Code": "ConditionalCheckFailed"}
    assert tables.items[DELIVERIES] == {}


@pytest.mark.parametrize("count", [0, 26])
def test_a_call_has_1_to_25_statements(tables: Tables, count: int) -> None:
    with pytest.raises(Refused, match="ValidationException"):
        tables.answer("BatchExecuteStatement", {"Statements": [{}] * count})


def outcome(tables: Tables, items: Any) -> list[str] | None:
    try:
        tables.answer("TransactWriteItems", {"TransactItems": items})
    except Refused as refused:
        return [reason["Code"] for reason in refused.more["CancellationReasons"]]
    return None


def outcome_in_moto(moto: "DynamoDBClient", items: Any) -> list[str] | None:
    try:
        moto.transact_write_items(TransactItems=items)
    except moto.exceptions.TransactionCanceledException as error:
        return [reason["Code"] for reason in error.response["CancellationReasons"]]
    return None


def normal(item: Any) -> dict[str, Any]:
    return {name: {kind: sorted(value) if kind == "SS" else value} for name, [(kind, value)] in pairs(item)}


def pairs(item: Any) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    for name, value in item.items():
        yield name, list(value.items())


def update(expression: str, condition: str | None = None, **values: str) -> dict[str, Any]:
    given: dict[str, Any] = {"TableName": DELIVERIES, "Key": {"event": {"S": "a#1"}}, "UpdateExpression": expression}
    given["ExpressionAttributeValues"] = {f":{name}": {"N": value} for name, value in values.items()}
    return given | ({"ConditionExpression": condition} if condition else {})


@pytest.fixture
def tables() -> Tables:
    return Tables(KEYS, seconds=lambda: 0.0)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (update("SET a = :a", "a = :b", a="1", b="1"), "ConditionalCheckFailedException"),
        (update("SET a = :a", a="1", unused="2"), "ValidationException"),
        (update("SET a = b + :a", a="1"), "ValidationException"),
    ],
)
def test_a_refusal_changes_nothing(tables: Tables, given: Any, code: str) -> None:
    with pytest.raises(Refused) as refused:
        tables.answer("UpdateItem", given)
    assert refused.value.code == code
    assert tables.items[DELIVERIES] == {}


@pytest.mark.parametrize("expression", ["DELETE a :a", "SET a = list_append(a, :a)", "SET a = size(:a)"])
def test_an_unknown_expression_is_an_error(tables: Tables, expression: str) -> None:
    with pytest.raises(Unknown):
        tables.answer("UpdateItem", update(expression, a="1"))


def test_a_transaction_is_made_whole_or_not_at_all(tables: Tables) -> None:
    good, bad = update("SET a = :a", a="1"), update("SET a = :a", "a = :a", a="1") | {"Key": {"event": {"S": "a#2"}}}
    with pytest.raises(Refused) as refused:
        tables.answer("TransactWriteItems", {"TransactItems": [{"Update": good}, {"Update": bad}]})
    assert refused.value.more == {"CancellationReasons": [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}]}
    assert tables.items[DELIVERIES] == {}


JUNK = {"event": {"S": "a#1"}, "junk-of others": {"S": "x" * 400_000}, "attempts": {"N": "1"}}


@pytest.mark.parametrize("fits", [True, False])
def test_an_item_has_room_as_in_moto(moto: "DynamoDBClient", tables: Tables, fits: bool) -> None:
    created(moto)
    given = update("SET a = :a", a="1")
    given["ExpressionAttributeValues"] = {":a": {"S": "x" * (1_000 if fits else 20_000)}}
    moto.put_item(TableName=DELIVERIES, Item=JUNK)
    tables.answer("PutItem", {"TableName": DELIVERIES, "Item": JUNK})
    causes = [refusals(tables, given), refusals_in_moto(moto, given)]
    assert causes == [None, None] if fits else all(found and found[0] == "ValidationError" for found in causes)
    assert fits or all("Item size" in found[1] for found in causes if found)


def test_room_is_made_as_in_moto(moto: "DynamoDBClient", tables: Tables) -> None:
    created(moto)
    claim = Claim("a#1", Entry(attempts=1), None)
    change = Changes(DELIVERIES, SUBSCRIBERS, "one").shed(claim, JUNK, is_claimed=False)
    assert change is not None
    moto.put_item(TableName=DELIVERIES, Item=JUNK)
    tables.answer("PutItem", {"TableName": DELIVERIES, "Item": JUNK})
    given: Any = change.update_item
    assert [refusals(tables, given), refusals_in_moto(moto, given)] == [None, None]
    kept = {"event": {"S": "a#1"}, "attempts": {"N": "1"}, "further_messages": {"N": "0"}}
    assert tables.items[DELIVERIES]["a#1"] == kept
    assert moto.scan(TableName=DELIVERIES)["Items"] == [kept]


def refusals(tables: Tables, given: Any) -> tuple[str, str] | None:
    """The cause of a cancelled transaction and its message."""
    try:
        tables.answer("TransactWriteItems", {"TransactItems": [{"Update": given}]})
    except Refused as refused:
        (cause,) = refused.more["CancellationReasons"]
        return cause["Code"], cause.get("Message", "")
    return None


def refusals_in_moto(moto: "DynamoDBClient", given: Any) -> tuple[str, str] | None:
    try:
        moto.transact_write_items(TransactItems=[{"Update": given}])
    except moto.exceptions.TransactionCanceledException as error:
        (cause,) = error.response["CancellationReasons"]
        return cause["Code"], cause.get("Message", "")
    except moto.exceptions.ClientError as error:  # DynamoDB itself cancels the transaction, for a ValidationError
        return error.response["Error"]["Code"].replace("Exception", "Error"), error.response["Error"]["Message"]
    return None


def test_a_transaction_of_the_same_token_is_made_once(tables: Tables) -> None:
    given = {"TransactItems": [{"Update": update("ADD a :a", a="1")}], "ClientRequestToken": "token"}
    tables.answer("TransactWriteItems", given)
    tables.answer("TransactWriteItems", given)
    assert tables.items[DELIVERIES]["a#1"]["a"] == {"N": "1"}


@pytest.mark.parametrize("count", [0, 101])
def test_a_transaction_has_1_to_100_items(tables: Tables, count: int) -> None:
    items = [
        {"Update": update("SET a = :a", a="1") | {"Key": {"event": {"S": str(number)}}}} for number in range(count)
    ]
    with pytest.raises(Refused, match="ValidationException"):
        tables.answer("TransactWriteItems", {"TransactItems": items})
