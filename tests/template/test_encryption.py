"""What is kept is encrypted: with AWS's keys, or with one of your own."""

import re

import pytest

from local_stack.template import Template

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0fd9e1c2-95a8-4c1f-8de9-0242ac120002"
QUEUES = ("EventsQueue", "DeadLetterQueue", "ParkedQueue")
TABLES = ("DeliveriesTable", "SubscribersTable")
LOGS = ("AccessLog", "IngestLog", "ForwarderLog")
ROLES = ("IngestRole", "ForwarderRole", "SweepRole")


@pytest.fixture(scope="module")
def keyed() -> Template:
    return Template.load(KmsKeyArn=KEY)


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_is_encrypted(template: Template, keyed: Template, queue: str) -> None:
    names = {"SqsManagedSseEnabled", "KmsMasterKeyId"}

    assert {name: each for name, each in template.properties(queue).items() if name in names} == {
        "SqsManagedSseEnabled": True
    }
    assert {name: each for name, each in keyed.properties(queue).items() if name in names} == {"KmsMasterKeyId": KEY}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_encrypted(template: Template, keyed: Template, table: str) -> None:
    assert template.properties(table)["SSESpecification"] == {"SSEEnabled": True}
    assert keyed.properties(table)["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }


@pytest.mark.parametrize("log", LOGS)
def test_a_log_is_encrypted_with_the_key(template: Template, keyed: Template, log: str) -> None:
    assert "KmsKeyId" not in template.properties(log)
    assert keyed.properties(log)["KmsKeyId"] == KEY


def test_alarms_are_encrypted_with_the_key(template: Template, keyed: Template) -> None:
    assert "KmsMasterKeyId" not in template.properties("AlarmTopic")
    assert keyed.properties("AlarmTopic")["KmsMasterKeyId"] == KEY


@pytest.mark.parametrize("role", ROLES)
def test_the_functions_may_use_the_key_and_no_other(template: Template, keyed: Template, role: str) -> None:
    assert "UseTheKey" not in template.statements(role)
    assert keyed.statements(role)["UseTheKey"] == (
        {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"},
        {KEY},
    )


@pytest.mark.parametrize(
    ("role", "services"),
    [
        ("IngestRole", {"sqs", "dynamodb", "secretsmanager"}),
        ("ForwarderRole", {"sqs", "dynamodb", "secretsmanager", "s3"}),
        ("SweepRole", {"sqs", "dynamodb"}),
    ],
)
def test_the_key_is_used_by_way_of_services_alone(keyed: Template, role: str, services: set[str]) -> None:
    (statement,) = [
        each
        for each in keyed.properties(role)["Policies"][0]["PolicyDocument"]["Statement"]
        if each["Sid"] == "UseTheKey"
    ]

    assert {name: set(each) for name, each in statement["Condition"].items()} == {"StringLike": {"kms:ViaService"}}
    assert set(statement["Condition"]["StringLike"]["kms:ViaService"]) == {
        f"{service}.eu-west-1.amazonaws.com*" for service in services
    }


def test_the_archive_is_encrypted(template: Template, keyed: Template) -> None:
    def chosen(template: Template) -> tuple[object, object]:
        (rule,) = template.properties("ArchiveBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        return rule, template.properties("ArchiveStream")["DeliveryStreamEncryptionConfigurationInput"]

    assert chosen(template) == (
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
        {"KeyType": "AWS_OWNED_CMK"},
    )
    assert chosen(keyed) == (
        {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}},
        {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": KEY},
    )
    assert keyed.statements("ArchiveRole")["UseTheKey"] == ({"kms:Decrypt", "kms:GenerateDataKey"}, {KEY})


def test_a_key_is_named_by_its_arn(template: Template) -> None:
    takes = re.compile(template.document["Parameters"]["KmsKeyArn"]["AllowedPattern"]).fullmatch

    assert takes("")
    assert takes(KEY)
    assert not takes("alias/mine")
    assert not takes(KEY.replace(":key/", ":alias/"))
