"""The policies of docs/iam/: sound, no wider than they say, and enough."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.sam import REGION, ROOT, VENV
from local_stack.template import Template
from tests.template.policy import FOLDER, Policy, listed

LINTER = VENV / "scan" / "bin" / "parliament"
POLICIES = ("boundary", "deploy", "deploy-options", "operator-full", "operator-read-only", "user-hashes")
HERE = "eu-west-1:123456789012"
STACK = f"arn:aws:cloudformation:{HERE}:stack"
USER_HASH_KEY = f"arn:aws:secretsmanager:{HERE}:secret:purchasely-clevertap/prod/user-hash-key-a1B2c3"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:purchasely-clevertap/prod/default"
# IAM, quotas: characters of a managed policy, and of a role's inline policies together.
MOST, MOST_INLINE = 6144, 10_240
KEY = f"arn:aws:kms:{HERE}:key/0fd9e1c2-95a8-4c1f-8de9-0242ac120002"

# Types of resource that the stack has only by a parameter, and calls that only a parameter brings.
OPTIONAL = {
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::Budgets::Budget",
    "AWS::CloudFormation::Stack",
    "AWS::Route53::RecordSet",
}
BY_A_PARAMETER = {
    "lambda:DeleteFunctionConcurrency",
    "lambda:PutFunctionConcurrency",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:RevokeGrant",
}

# What AWS names for features that the template does not use.
UNUSED = {
    "apigateway:TagResource", "apigateway:UntagResource",  # allowed as POST and DELETE of /tags
    "codedeploy:RegisterOnPremisesInstance",
    # tables: imports, replicas, streams, insights, and the items themselves
    "dynamodb:AssociateTableReplica", "dynamodb:BatchWriteItem", "dynamodb:CreateTableReplica", "dynamodb:DeleteItem",
    "dynamodb:DeleteResourcePolicy", "dynamodb:DescribeImport", "dynamodb:DisableKinesisStreamingDestination",
    "dynamodb:EnableKinesisStreamingDestination", "dynamodb:GetItem", "dynamodb:ImportTable", "dynamodb:PutItem",
    "dynamodb:PutResourcePolicy", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateContributorInsights",
    "dynamodb:UpdateItem", "dynamodb:UpdateKinesisStreamingDestination", "kinesis:DescribeStream",
    "kinesis:PutRecords", "kms:ListAliases", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
    "s3:GetObjectMetadata", "s3:ListBucket",
    # functions: networks, file systems, code signing, provisioned concurrency
    "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
    "elasticfilesystem:DescribeMountTargets", "lambda:AssociateRuntimeAlias", "lambda:DeleteFunctionCodeSigningConfig",
    "lambda:DeleteProvisionedConcurrencyConfig", "lambda:GetCodeSigningConfig", "lambda:PassCapacityProvider",
    "lambda:PutFunctionCodeSigningConfig", "lambda:PutFunctionScalingConfig", "lambda:PutProvisionedConcurrencyConfig",
    "lambda:PutRuntimeManagementConfig", "s3files:ListMountTargets",
    # log groups: data protection, indexes, deliveries to a bucket or a stream
    "logs:DeleteDataProtectionPolicy", "logs:DeleteIndexPolicy",
    "logs:DeleteResourcePolicy", "logs:PutBearerTokenAuthentication", "logs:PutDataProtectionPolicy",
    "logs:PutIndexPolicy", "logs:PutLogGroupDeletionProtection", "s3:REST.PUT.OBJECT",
    # buckets: analytics, replicas, tables of their metadata, websites, versions, locks, and the objects themselves
    "s3:CreateBucketMetadataTableConfiguration", "s3:DeleteBucketAnalyticsConfiguration", "s3:DeleteBucketCors",
    "s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle", "s3:DeleteBucketMetadataTableConfiguration",
    "s3:DeleteBucketMetricsConfiguration", "s3:DeleteBucketReplication", "s3:DeleteBucketWebsite", "s3:DeleteObject",
    "s3:PutAccelerateConfiguration", "s3:PutAnalyticsConfiguration", "s3:PutBucketAbac", "s3:PutBucketAcl",
    "s3:PutBucketCORS", "s3:PutBucketLogging", "s3:PutBucketNotification", "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketReplication", "s3:PutBucketVersioning", "s3:PutBucketWebsite",
    "s3:PutIntelligentTieringConfiguration", "s3:PutInventoryConfiguration", "s3:PutMetricsConfiguration",
    "s3:ListTagsForResource", "s3:TagResource", "s3:UntagResource",  # allowed as PutBucketTagging
    "s3:PutObjectAcl", "s3:PutObjectLockConfiguration", "s3:PutReplicationConfiguration",
    "s3:UpdateBucketMetadataAnnotationTableConfiguration", "s3:UpdateBucketMetadataInventoryTableConfiguration",
    "s3:UpdateBucketMetadataJournalTableConfiguration", "s3tables:CreateNamespace", "s3tables:CreateTable",
    "s3tables:CreateTableBucket", "s3tables:GetTable", "s3tables:GetTableMetadataLocation",
    "s3tables:PutTableBucketPolicy", "s3tables:PutTableEncryption", "s3tables:PutTablePolicy",
    "s3tables:UpdateTableMetadataLocation",
    # roles: managed policies, and a boundary that is taken away
    "iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary", "iam:DetachRolePolicy",
    # secrets: what they hold, and copies in other regions
    "secretsmanager:GetSecretValue", "secretsmanager:RemoveRegionsFromReplication",
    "secretsmanager:ReplicateSecretToRegions",
    # topics: data protection, and filters of subscriptions
    "sns:PutDataProtectionPolicy", "sns:SetSubscriptionAttributes",
}  # fmt: skip


def findings(policy: str) -> list[dict[str, Any]]:
    """What the linter says of a policy's text."""
    assert LINTER.exists(), "parliament is missing: run `make setup`"
    done = subprocess.run(
        [str(LINTER), "--json", "--minimum_severity", "INFO"],
        input=policy,
        env={"PATH": os.defpath, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", POLICIES)
def test_the_linter_finds_nothing(name: str) -> None:
    found = findings((FOLDER / f"{name}.json").read_text(encoding="utf-8"))

    # AWS tells of composite alarms only whoever may see all alarms (CloudWatch, DescribeAlarms). The linter's list of
    # actions is older than the one that CloudFormation names for a budget. Whoever makes a bucket puts its policy, too.
    known = (["cloudwatch:DescribeAlarms"], "Unknown action billing:GetBillingViewData")
    accepted = ("RESOURCE_POLICY_PRIVILEGE_ESCALATION",) if name == "deploy" else ()
    assert [each for each in found if each["detail"] not in known and each["issue"] not in accepted] == []


def test_the_linter_looks_at_actions_and_resources() -> None:
    text = (FOLDER / "user-hashes.json").read_text(encoding="utf-8")
    assert [each["issue"] for each in findings(text.replace("GetSecretValue", "ReadSecret"))] == ["UNKNOWN_ACTION"]
    assert [each["issue"] for each in findings(text.replace(":secret:", ":key/"))] == ["RESOURCE_MISMATCH"]


def test_every_policy_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted((*POLICIES, "deploy-trust"))


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_only_allows_and_fits(name: str) -> None:
    policy = Policy.load(name)

    assert {each["Effect"] for each in policy.statements} == {"Allow"}
    assert len({each["Sid"] for each in policy.statements}) == len(policy.statements)
    assert policy.characters <= (MOST_INLINE if name == "deploy" else MOST)


# Operators


def test_read_only_changes_nothing_and_reads_no_secret() -> None:
    reads = ("Get", "List", "Describe", "Filter", "Query", "Scan", "BatchGet")
    others = {
        action for action in Policy.load("operator-read-only").actions if not action.split(":")[1].startswith(reads)
    }

    # To look at parked messages is to take them and to give them back; a key encrypts and decrypts for AWS.
    assert others == {"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "kms:Decrypt"}
    assert not Policy.load("operator-read-only").has("secretsmanager:GetSecretValue")


def test_only_full_pauses_the_forwarder_and_nothing_else() -> None:
    assert not Policy.load("operator-read-only").has("lambda:UpdateEventSourceMapping")
    (statement,) = (
        each for each in Policy.load("operator-full").statements if each["Action"] == "lambda:UpdateEventSourceMapping"
    )

    (function,) = statement["Condition"]["ArnLike"].values()
    assert function.endswith(":function:purchasely-clevertap-prod-ForwarderFunction-*")


def test_all_that_read_only_allows_full_allows() -> None:
    full = Policy.load("operator-full")

    for statement in Policy.load("operator-read-only").statements:
        if statement["Sid"] != "UseTheKey":
            assert statement in full.statements


@pytest.mark.parametrize(
    ("name", "resource", "may"),
    [
        ("operator-full", f"{SECRET}/purchasely-a1B2c3", True),
        ("operator-full", f"{SECRET}/clevertap-a1B2c3", True),
        ("operator-full", USER_HASH_KEY, False),
        ("operator-read-only", USER_HASH_KEY, False),
        ("deploy", USER_HASH_KEY, False),
        ("user-hashes", USER_HASH_KEY, True),
        ("user-hashes", f"{SECRET}/purchasely-a1B2c3", False),
        ("operator-full", f"{SECRET.replace('/prod', '/dev')}/purchasely-a1B2c3", False),
    ],
)
def test_who_reads_which_secret(name: str, resource: str, may: bool) -> None:
    assert Policy.load(name).allows("secretsmanager:GetSecretValue", resource) is may


# The role that deploys


@pytest.fixture(scope="module")
def needed() -> dict[str, list[str]]:
    """What CloudFormation needs for the types of the template's resources, by AWS's own schemas."""
    done = subprocess.run(
        [
            str(VENV / "sam" / "bin" / "python"),
            str(Path(__file__).with_name("cloudformation_permissions.py")),
            *(str(ROOT / name) for name in ("template.yaml", "budget.yaml")),
        ],
        env={"PATH": os.defpath, "AWS_DEFAULT_REGION": REGION, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_deploying_needs_no_more_than_is_allowed(needed: dict[str, list[str]]) -> None:
    allowed = [Policy.load(name) for name in ("deploy", "deploy-options")]

    lacking = {action: kinds for action, kinds in needed.items() if not any(each.has(action) for each in allowed)}
    assert {action: kinds for action, kinds in lacking.items() if action not in UNUSED} == {}


def test_options_are_needed_only_for_parameters(needed: dict[str, list[str]]) -> None:
    deploy = Policy.load("deploy")

    always = {action for action, kinds in needed.items() if set(kinds) - OPTIONAL} - UNUSED - BY_A_PARAMETER
    assert {action for action in always if not deploy.has(action)} == set()


def test_nothing_is_called_unused_that_is_allowed(needed: dict[str, list[str]]) -> None:
    allowed = [Policy.load(name) for name in ("deploy", "deploy-options")]

    assert {each for each in UNUSED if any(policy.has(each) for policy in allowed) or each not in needed} == set()


def test_what_protects_the_stack_is_allowed() -> None:
    made = subprocess.run(
        [shutil.which("make") or "make", "--dry-run", "--no-print-directory", "protect", "STAGE=prod"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    calls = re.findall(r"aws cloudformation (\S+) --stack-name purchasely-clevertap-prod", made.stdout)

    assert calls == ["set-stack-policy", "update-termination-protection"]
    for call in calls:
        action = "cloudformation:" + call.title().replace("-", "")
        assert Policy.load("deploy").allows(action, f"{STACK}/purchasely-clevertap-prod/1a2b3c")


@pytest.mark.parametrize("name", ["deploy", "deploy-options"])
def test_a_stack_is_deleted_by_a_person(name: str) -> None:
    assert not Policy.load(name).allows("cloudformation:DeleteStack", f"{STACK}/purchasely-clevertap-prod/1a2b3c")


@pytest.mark.parametrize("resource", ["hostedzone/ZANOTHER", "hostedzone/*"])
def test_only_the_zone_of_the_domain_is_changed(resource: str) -> None:
    options = Policy.load("deploy-options")

    (statement,) = (each for each in options.statements if each["Action"] == "route53:ChangeResourceRecordSets")
    assert statement["Condition"]["ForAllValues:StringEquals"] == {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["hooks.example.com"],
        "route53:ChangeResourceRecordSetsRecordTypes": ["A"],
    }
    assert not options.allows("route53:ChangeResourceRecordSets", f"arn:aws:route53:::{resource}")


def test_a_role_is_made_only_within_the_boundary() -> None:
    (statement,) = (each for each in Policy.load("deploy").statements if "iam:CreateRole" in each["Action"])

    assert {"iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} < set(statement["Action"])
    (boundary,) = statement["Condition"]["ArnEquals"].values()
    assert boundary.endswith(":policy/purchasely-clevertap-boundary")
    assert not Policy.load("deploy").has("iam:DeleteRolePermissionsBoundary")
    assert not Policy.load("deploy").allows("iam:PutRolePolicy", "arn:aws:iam::123456789012:role/somebody-else")


def test_only_the_stacks_services_get_a_role() -> None:
    (statement,) = (each for each in Policy.load("deploy").statements if each["Action"] == "iam:PassRole")

    assert statement["Condition"] == {
        "StringEquals": {
            "iam:PassedToService": ["codedeploy.amazonaws.com", "firehose.amazonaws.com", "lambda.amazonaws.com"]
        }
    }


@pytest.mark.parametrize(
    "service", ["sqs", "dynamodb", "secretsmanager", "ssm", "sns", "events", "codedeploy", "budgets"]
)
def test_another_stage_is_out_of_reach(service: str) -> None:
    resources = [
        resource
        for name in ("deploy", "deploy-options")
        for statement in Policy.load(name).statements
        for resource in listed(statement["Resource"])
        if resource.split(":")[2:3] == [service] and "deploymentconfig" not in resource
    ]

    assert resources
    assert not [each for each in resources if "-prod-" not in each and "/prod/" not in each]


def test_only_a_job_of_the_environment_takes_the_role() -> None:
    (statement,) = Policy.load("deploy-trust").statements

    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:your-organisation/your-repository:environment:prod",
        }
    }


# The boundary


def test_the_boundary_allows_all_that_a_role_has() -> None:
    chosen = {"KmsKeyArn": KEY, "Rollout": "Canary10Percent5Minutes", "RolePath": "/service/", "Tracing": "Active"}
    template = Template.load(**chosen)
    boundary = Policy.load("boundary")

    asked = list(_asked(template))

    assert len(asked) > 30
    assert [each for each in asked if not boundary.allows(*each)] == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateRole", "arn:aws:iam::123456789012:role/purchasely-clevertap-prod-x"),
        ("sqs:PurgeQueue", f"arn:aws:sqs:{HERE}:purchasely-clevertap-prod-EventsQueue-1A2B3C"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:another/secret-a1B2c3"),
        ("dynamodb:DeleteItem", f"arn:aws:dynamodb:{HERE}:table/purchasely-clevertap-prod-DeliveriesTable-1A2B3C"),
    ],
)
def test_the_boundary_allows_nothing_else(action: str, resource: str) -> None:
    assert not Policy.load("boundary").allows(action, resource)


_ARNS = {
    "AWS::SQS::Queue": "sqs:{here}:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{here}:table/{name}",
    "AWS::Serverless::Function": "lambda:{here}:function:{name}",
    "AWS::KinesisFirehose::DeliveryStream": "firehose:{here}:deliverystream/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
}


def _asked(template: Template) -> Iterator[tuple[str, str]]:
    """Each action that a role allows, with a resource as it is called in an account."""
    for role in template.of_type("AWS::IAM::Role"):
        for actions, resources in template.statements(role).values():
            for action in actions:
                if not action.endswith("Batch"):  # a name of the emulator's alone
                    yield from ((action, _in_account(template, resource)) for resource in resources)


def _in_account(template: Template, resource: str) -> str:
    for log, properties in template.of_type("AWS::Logs::LogGroup").items():
        resource = resource.replace(f"log-group:{log}:", f"log-group:{properties['LogGroupName']}:")
    name, _, _ = resource.partition(".Arn")
    if name in template.resources:
        form = _ARNS[template.resources[name]["Type"]]
        physical = f"purchasely-clevertap-dev-{name}-1A2B3C"
        arn = "arn:aws:" + form.format(here=HERE, name=physical.lower() if form.startswith("s3") else physical)
        resource = arn + resource.removeprefix(name).removeprefix(".Arn")
    return resource.replace("??????", "a1B2c3").replace("/*/", "/default/")
