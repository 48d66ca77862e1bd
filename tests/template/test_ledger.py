"""The memory: what was delivered, what is known of each subscriber."""

import pytest

from local_stack.template import Template

KEYS = {"DeliveriesTable": "event", "SubscribersTable": "subscriber"}


def test_there_are_two_tables(template: Template) -> None:
    assert sorted(template.of_type("AWS::DynamoDB::Table")) == sorted(KEYS)


@pytest.mark.parametrize("table", KEYS)
def test_a_table_has_its_key(template: Template, table: str) -> None:
    properties = template.properties(table)

    assert properties["KeySchema"] == [{"AttributeName": KEYS[table], "KeyType": "HASH"}]
    assert properties["AttributeDefinitions"] == [{"AttributeName": KEYS[table], "AttributeType": "S"}]


@pytest.mark.parametrize("table", KEYS)
def test_a_table_is_paid_by_use_forgets_can_go_back_in_time_and_is_encrypted(template: Template, table: str) -> None:
    properties = template.properties(table)

    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}


@pytest.mark.parametrize("table", KEYS)
def test_a_table_goes_with_its_stack_but_not_with_an_update(template: Template, table: str) -> None:
    assert template.resources[table]["DeletionPolicy"] == "Delete"
    assert template.resources[table]["UpdateReplacePolicy"] == "Retain"
    assert "TableName" not in template.properties(table)
