"""Least privilege, statement by statement."""

from fnmatch import fnmatchcase

import pytest

from local_stack.template import Template

HERE = "eu-west-1:123456789012"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:purchasely-clevertap/dev"
SETTINGS = f"arn:aws:ssm:{HERE}:parameter/purchasely-clevertap/dev"

ROLES = {
    "IngestRole": {
        "EnqueueEvents": ({"sqs:SendMessage"}, {"EventsQueue.Arn"}),
        "ReadPurchaselySecrets": (
            {"secretsmanager:GetSecretValue"},
            {f"{SECRET}/*/purchasely-??????"},
        ),
        "NoteReceivedEvents": ({"dynamodb:UpdateItem"}, {"DeliveriesTable.Arn"}),
        "WriteItsLog": (
            {"logs:CreateLogStream", "logs:PutLogEvents"},
            {f"arn:aws:logs:{HERE}:log-group:IngestLog:*"},
        ),
    },
    "ForwarderRole": {
        "TakeEvents": (
            {
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:ChangeMessageVisibilityBatch",
                "sqs:GetQueueAttributes",
            },
            {"EventsQueue.Arn", "DeadLetterQueue.Arn"},
        ),
        "ParkEvents": ({"sqs:SendMessage", "sqs:SendMessageBatch"}, {"ParkedQueue.Arn", "EventsQueue.Arn"}),
        "ReadSettings": ({"ssm:GetParameter"}, {f"{SETTINGS}/*/settings", f"{SETTINGS}/*/settings:*"}),
        "ReadCleverTapSecrets": (
            {"secretsmanager:GetSecretValue"},
            {f"{SECRET}/*/clevertap-??????"},
        ),
        "ReadUserHashKey": ({"secretsmanager:GetSecretValue"}, {"UserHashKey"}),
        "UseLedger": (
            {"dynamodb:BatchGetItem", "dynamodb:UpdateItem"},
            {"DeliveriesTable.Arn", "SubscribersTable.Arn"},
        ),
        "FindHeldEvents": ({"dynamodb:Query"}, {"DeliveriesTable.Arn/index/held"}),
        "WriteItsLog": (
            {"logs:CreateLogStream", "logs:PutLogEvents"},
            {f"arn:aws:logs:{HERE}:log-group:ForwarderLog:*"},
        ),
    },
    "SweepRole": {
        "EnqueueWhatIsOver": ({"sqs:SendMessage", "sqs:SendMessageBatch"}, {"EventsQueue.Arn"}),
        "FindWhatIsOver": ({"dynamodb:Scan"}, {"SubscribersTable.Arn", "DeliveriesTable.Arn/index/held"}),
        "KeepItsProgress": ({"dynamodb:GetItem", "dynamodb:PutItem"}, {"SubscribersTable.Arn"}),
        "WriteItsLog": (
            {"logs:CreateLogStream", "logs:PutLogEvents"},
            {f"arn:aws:logs:{HERE}:log-group:SweepLog:*"},
        ),
    },
}


def test_each_function_has_a_role(template: Template) -> None:
    assert sorted(template.of_type("AWS::IAM::Role")) == sorted(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_allows_exactly_this(template: Template, role: str) -> None:
    assert template.statements(role) == ROLES[role]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_nothing_but_its_statements(template: Template, role: str) -> None:
    assert set(template.properties(role)) == {"Description", "AssumeRolePolicyDocument", "Policies"}
    statements = template.properties(role)["Policies"][0]["PolicyDocument"]["Statement"]
    assert all(set(each) == {"Sid", "Effect", "Action", "Resource"} for each in statements)
    assert {each["Effect"] for each in statements} == {"Allow"}


@pytest.mark.parametrize("role", ROLES)
def test_only_lambda_may_take_a_role(template: Template, role: str) -> None:
    (statement,) = template.properties(role)["AssumeRolePolicyDocument"]["Statement"]

    assert statement == {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"},
    }


@pytest.mark.parametrize(
    ("role", "secret", "may"),
    [
        ("IngestRole", f"{SECRET}/default/purchasely-a1B2c3", True),
        ("IngestRole", f"{SECRET}/another-app/purchasely-a1B2c3", True),
        ("IngestRole", f"{SECRET}/default/clevertap-a1B2c3", False),
        ("IngestRole", f"{SECRET.replace('/dev', '/prod')}/default/purchasely-a1B2c3", False),
        ("ForwarderRole", f"{SECRET}/default/clevertap-a1B2c3", True),
        ("ForwarderRole", f"{SECRET}/default/purchasely-a1B2c3", False),
        ("ForwarderRole", f"{SECRET.replace('/dev', '/prod')}/default/clevertap-a1B2c3", False),
    ],
)
def test_each_secret_is_read_by_one_function(template: Template, role: str, secret: str, may: bool) -> None:
    readable = [
        resource
        for actions, resources in template.statements(role).values()
        if "secretsmanager:GetSecretValue" in actions
        for resource in resources
    ]

    assert any(fnmatchcase(secret, pattern) for pattern in readable) is may
