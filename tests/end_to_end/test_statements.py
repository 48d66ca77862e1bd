"""The ledger's statements, at another DynamoDB than the one that the project has written: the same effect, results too.

No statement can be tried at AWS from here; two emulators that know nothing of each other are the next best witness.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.dynamodb import Refused, Tables
from local_stack import LocalStack
from purchasely_clevertap.aws.changes import Change
from tests.chaos.test_dynamodb import KEYS, changes, normal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture(scope="module")
def ministack(stack: LocalStack) -> "DynamoDBClient":
    return stack.client("dynamodb")


def created(ministack: "DynamoDBClient") -> dict[str, str]:
    """New tables, by what the changes call them."""
    names = {table: f"{table}-{uuid4().hex[:8]}" for table in KEYS}
    for table, name in names.items():
        ministack.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": KEYS[table], "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": KEYS[table], "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return names


@given(data=st.data())
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_statements_have_the_effect_of_ministack(ministack: "DynamoDBClient", data: st.DataObject) -> None:
    names = created(ministack)
    tables = Tables({name: KEYS[table] for table, name in names.items()}, seconds=lambda: 0.0)
    for _ in range(data.draw(st.integers(1, 12))):
        drawn = data.draw(st.lists(changes(), min_size=1, max_size=3, unique_by=lambda change: change.key))
        together = [change._replace(table=names[change.table]) for change in drawn]
        made(tables, ministack, together)
    for name in names.values():
        items = ministack.scan(TableName=name)["Items"]
        key = KEYS[next(table for table, each in names.items() if each == name)]
        assert {item[key]["S"]: normal(item) for item in items} == {
            each: normal(item) for each, item in tables.items[name].items()
        }


def made(tables: Tables, ministack: "DynamoDBClient", together: list[Change]) -> None:
    """Makes the changes in both, as statements where they are any."""
    for change in together:
        if not change.is_statement:
            item: Any = {"Update": change.update_item}
            assert refused(lambda: tables.answer("TransactWriteItems", {"TransactItems": [item]})) == refused(  # noqa: B023
                lambda: ministack.transact_write_items(TransactItems=[item])  # noqa: B023
            )
    statements: list[Any] = [change.statement for change in together if change.is_statement]
    if statements:
        ours = tables.answer("BatchExecuteStatement", {"Statements": statements})["Responses"]
        theirs = ministack.batch_execute_statement(Statements=statements)["Responses"]
        assert [result(each) for each in theirs] == [result(each) for each in ours], "\n".join(
            map(str, [*statements, *theirs, *ours])
        )


def refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except (Refused, ClientError):
        return True
    return False


def result(response: Any) -> Any:
    error = response.get("Error")
    return error and (error["Code"], "Item" in error and normal(error["Item"]))
