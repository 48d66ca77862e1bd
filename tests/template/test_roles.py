"""Least privilege, statement by statement."""

import re
from fnmatch import fnmatchcase
from typing import Any, cast

import pytest

from local_stack.template import Template
from purchasely_clevertap.aws.received import ReceivedNotes

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
            {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"},
            {"EventsQueue.Arn", "DeadLetterQueue.Arn"},
        ),
        "ParkEvents": ({"sqs:SendMessage"}, {"ParkedQueue.Arn", "EventsQueue.Arn"}),
        "ReadSettings": ({"ssm:GetParameter"}, {f"{SETTINGS}/*/settings", f"{SETTINGS}/*/settings:*"}),
        "ReadCleverTapSecrets": (
            {"secretsmanager:GetSecretValue"},
            {f"{SECRET}/*/clevertap-??????"},
        ),
        "ReadUserHashKey": ({"secretsmanager:GetSecretValue"}, {f"{SECRET}/user-hash-key-??????"}),
        "UseLedger": (
            {"dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:UpdateItem"},
            {"DeliveriesTable.Arn", "SubscribersTable.Arn"},
        ),
        "FindHeldEvents": ({"dynamodb:Query"}, {"DeliveriesTable.Arn/index/held"}),
        "HandOverToTheArchive": ({"firehose:PutRecordBatch"}, {"ArchiveStream.Arn"}),
        "ArchiveLargeBodies": ({"s3:PutObject"}, {"ArchiveBucket.Arn/v1/large/*"}),
        "WriteItsLog": (
            {"logs:CreateLogStream", "logs:PutLogEvents"},
            {f"arn:aws:logs:{HERE}:log-group:ForwarderLog:*"},
        ),
    },
    "SweepRole": {
        "EnqueueWhatIsOver": ({"sqs:SendMessage"}, {"EventsQueue.Arn"}),
        "FindWhatIsOver": ({"dynamodb:Scan"}, {"SubscribersTable.Arn", "DeliveriesTable.Arn/index/held"}),
        "KeepItsProgress": ({"dynamodb:GetItem", "dynamodb:PutItem"}, {"SubscribersTable.Arn"}),
        "WriteItsLog": (
            {"logs:CreateLogStream", "logs:PutLogEvents"},
            {f"arn:aws:logs:{HERE}:log-group:SweepLog:*"},
        ),
    },
}


def test_each_function_has_a_role(template: Template) -> None:
    assert sorted(template.of_type("AWS::IAM::Role")) == sorted((*ROLES, "ArchiveRole"))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_allows_exactly_this(template: Template, role: str) -> None:
    assert template.statements(role) == ROLES[role]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_nothing_but_its_statements(template: Template, role: str) -> None:
    assert set(template.properties(role)) == {"Description", "AssumeRolePolicyDocument", "Policies"}
    statements = template.properties(role)["Policies"][0]["PolicyDocument"]["Statement"]
    conditioned = {each["Sid"] for each in statements if "Condition" in each}
    assert all(set(each) - {"Condition"} == {"Sid", "Effect", "Action", "Resource"} for each in statements)
    assert conditioned == ({"NoteReceivedEvents"} if role == "IngestRole" else set())
    assert {each["Effect"] for each in statements} == {"Allow"}


@pytest.mark.parametrize("role", ROLES)
def test_traces_are_sent_only_if_wanted(template: Template, role: str) -> None:
    traced = Template.load(Tracing="Active").statements(role)

    assert "SendTraces" not in template.statements(role)
    assert traced["SendTraces"] == ({"xray:PutTraceSegments", "xray:PutTelemetryRecords"}, {"*"})


@pytest.mark.parametrize("role", ROLES)
def test_only_lambda_may_take_a_role(template: Template, role: str) -> None:
    (statement,) = template.properties(role)["AssumeRolePolicyDocument"]["Statement"]

    assert statement == {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"},
    }


def test_firehose_may_write_the_archive_alone(template: Template) -> None:
    (trusted,) = template.properties("ArchiveRole")["AssumeRolePolicyDocument"]["Statement"]

    assert trusted["Principal"] == {"Service": "firehose.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"sts:ExternalId": "123456789012"}}
    assert template.statements("ArchiveRole") == {
        "WriteObjects": ({"s3:AbortMultipartUpload", "s3:PutObject"}, {"ArchiveBucket.Arn/v1/*"}),
        "UseTheBucket": (
            {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
            {"ArchiveBucket.Arn"},
        ),
    }


BOUNDARY = "arn:aws:iam::123456789012:policy/teams/boundary"


def test_every_role_has_the_path_and_the_boundary() -> None:
    chosen = Template.load(
        RolePath="/service/bridge/", PermissionsBoundaryArn=BOUNDARY, Rollout="Canary10Percent5Minutes"
    )
    roles = chosen.of_type("AWS::IAM::Role")

    assert set(roles) == {*ROLES, "ArchiveRole", "RolloutRole"}
    assert {(each["Path"], each["PermissionsBoundary"]) for each in roles.values()} == {("/service/bridge/", BOUNDARY)}


def test_a_rollout_shifts_only_the_functions() -> None:
    """SAM would make a role of its own, which may invoke every function of the account."""
    gradual = Template.load(Rollout="Canary10Percent5Minutes")

    for function in ("IngestFunction", "ForwarderFunction"):
        assert gradual.properties(function)["DeploymentPreference"]["Role"] == "RolloutRole.Arn"
    assert gradual.statements("RolloutRole") == {
        "ShiftAliases": (
            {"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"},
            {
                "IngestFunction.Arn",
                "IngestFunction.Arn:*",
                "ForwarderFunction.Arn",
                "ForwarderFunction.Arn:*",
            },
        ),
        "WatchAlarms": ({"cloudwatch:DescribeAlarms"}, {"*"}),
    }


@pytest.mark.parametrize(
    ("parameter", "value", "is_allowed"),
    [
        ("RolePath", "", True),
        ("RolePath", "/", True),
        ("RolePath", "/service/", True),
        ("RolePath", "service/", False),
        ("RolePath", "/service", False),
        ("PermissionsBoundaryArn", "", True),
        ("PermissionsBoundaryArn", BOUNDARY, True),
        ("PermissionsBoundaryArn", "arn:aws:iam::aws:policy/PowerUserAccess", True),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:role/boundary", False),
        ("PermissionsBoundaryArn", "boundary", False),
    ],
)
def test_paths_and_boundaries_are_well_formed(template: Template, parameter: str, value: str, is_allowed: bool) -> None:
    pattern = template.document["Parameters"][parameter]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, value)) is is_allowed


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


class Asked:
    """A table that is full of the event's messages: what was asked of it."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.exceptions = self

    class ConditionalCheckFailedException(Exception):
        pass

    def update_item(self, **request: Any) -> None:
        self.requests.append(request)
        if "ConditionExpression" in request:
            raise self.ConditionalCheckFailedException


def test_ingest_may_write_just_the_attributes_it_notes(template: Template) -> None:
    table = Asked()
    ReceivedNotes(cast("Any", table), table="deliveries", clock=lambda: 0.0).note("app", b"{}", "m-1", now_ms=0)
    texts = [
        request.get(name, "") for request in table.requests for name in ("UpdateExpression", "ConditionExpression")
    ]
    named = {word for text in texts for word in re.findall(r"(?<![:\w])[a-z_]+\b(?!\()", text)}
    named |= {name for request in table.requests for name in request["Key"]}
    (statement,) = [
        each
        for each in template.properties("IngestRole")["Policies"][0]["PolicyDocument"]["Statement"]
        if each["Sid"] == "NoteReceivedEvents"
    ]

    assert len(table.requests) == 2
    condition = statement["Condition"]
    assert set(condition.pop("ForAllValues:StringEquals")["dynamodb:Attributes"]) == named
    assert condition == {
        "Null": {"dynamodb:Attributes": "false"},
        "StringEqualsIfExists": {"dynamodb:ReturnValues": "NONE"},
    }
    assert not [request for request in table.requests if "ReturnValues" in request]


@pytest.mark.parametrize(
    ("queue", "allowed"),
    [
        (
            "EventsQueue",
            {"Send": {"IngestRole.Arn", "ForwarderRole.Arn", "SweepRole.Arn"}, "Take": {"ForwarderRole.Arn"}},
        ),
        ("DeadLetterQueue", {"Take": {"ForwarderRole.Arn"}}),
        ("ParkedQueue", {"Park": {"ForwarderRole.Arn"}}),
    ],
)
def test_a_queue_names_its_roles_and_demands_tls(template: Template, queue: str, allowed: dict[str, set[str]]) -> None:
    policy = template.properties(f"{queue}Policy")
    *allows, deny = policy["PolicyDocument"]["Statement"]
    named = {each["Sid"]: each["Principal"]["AWS"] for each in allows}

    assert policy["Queues"] == [queue]
    assert {sid: {each} if isinstance(each, str) else set(each) for sid, each in named.items()} == allowed
    assert {each["Effect"] for each in allows} == {"Allow"}
    assert {each["Resource"] for each in (*allows, deny)} == {f"{queue}.Arn"}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sqs:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
