"""The ledger's two tables: entries of events, states of profiles."""

import pytest

from local_stack.template import Template
from purchasely_clevertap.aws.ledger import HELD_INDEX

KEYS = {"DeliveriesTable": "event", "SubscribersTable": "subscriber"}


def test_there_are_two_tables(template: Template) -> None:
    assert sorted(template.of_type("AWS::DynamoDB::Table")) == sorted(KEYS)


@pytest.mark.parametrize("table", KEYS)
def test_a_table_has_its_key(template: Template, table: str) -> None:
    properties = template.properties(table)

    assert properties["KeySchema"] == [{"AttributeName": KEYS[table], "KeyType": "HASH"}]
    assert {"AttributeName": KEYS[table], "AttributeType": "S"} in properties["AttributeDefinitions"]


def test_held_events_are_found_by_their_person(template: Template) -> None:
    (index,) = template.properties("DeliveriesTable")["GlobalSecondaryIndexes"]

    assert index["IndexName"] == HELD_INDEX
    assert index["KeySchema"] == [{"AttributeName": "held_for", "KeyType": "HASH"}]
    assert index["Projection"] == {"ProjectionType": "ALL"}
    assert "GlobalSecondaryIndexes" not in template.properties("SubscribersTable")


@pytest.mark.parametrize("table", KEYS)
def test_a_table_expires_items_and_has_backups(template: Template, table: str) -> None:
    properties = template.properties(table)

    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize("table", KEYS)
def test_a_table_is_deleted_only_with_its_stack(template: Template, table: str) -> None:
    assert template.resources[table]["DeletionPolicy"] == "Delete"
    assert template.resources[table]["UpdateReplacePolicy"] == "Retain"
    assert "TableName" not in template.properties(table)


@pytest.mark.parametrize(("chosen", "is_protected"), [("true", True), ("false", False)])
@pytest.mark.parametrize("table", KEYS)
def test_a_table_is_protected_until_it_may_go(table: str, chosen: str, is_protected: bool) -> None:
    properties = Template.load(DeletionProtection=chosen).properties(table)

    assert properties["DeletionProtectionEnabled"] is is_protected
