"""What others depend on: parameters, outputs, names."""

import json
import re
import tomllib

import pytest

from local_stack.sam import ROOT
from local_stack.template import Template

DASHBOARDS = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards/dashboard"


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        ("Stage", "dev"),
        ("Architecture", "arm64"),
        ("CleverTapEndpoint", ""),
        ("RetryBaseSeconds", 30),
        ("RetryMaxSeconds", 3600),
        ("MaxConcurrency", 5),
        ("BatchWindowSeconds", 5),
        ("BatchSize", 1000),
        ("AlarmEmail", ""),
        ("SilenceHours", 24),
        ("Rollout", "AtOnce"),
        ("IngestReservedConcurrency", 0),
        ("IngestSnapStart", "None"),
        ("KmsKeyArn", ""),
        ("LogLevel", "INFO"),
        ("LogRetentionDays", 30),
        ("Tracing", "PassThrough"),
        ("LogSourceAddress", "false"),
        ("SubscriberRetentionDays", 1100),
        ("ArchiveDays", 90),
        ("IngestMemory", 512),
        ("ForwarderMemory", 512),
        ("ThrottleRate", 100),
        ("ThrottleBurst", 200),
        ("DeletionProtection", "true"),
        ("AlarmUrl", ""),
        ("WebhookDomain", ""),
        ("CertificateArn", ""),
        ("HostedZoneId", ""),
        ("MonthlyBudget", 0),
        ("SignatureToleranceSeconds", 22 * 24 * 3600),
    ],
)
def test_parameter_has_its_default(template: Template, parameter: str, default: object) -> None:
    assert template.parameters[parameter] == default


def test_every_parameter_has_default_and_description(template: Template) -> None:
    for name, parameter in template.document["Parameters"].items():
        assert {"Default", "Description"} <= set(parameter), name


def test_every_parameter_is_asked_for_in_a_group(template: Template) -> None:
    groups = template.document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]

    assert sorted(grouped) == sorted(template.document["Parameters"])


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("WebhookUrl", "https://WebhookApi.execute-api.eu-west-1.amazonaws.com/webhooks/default"),
        ("IdentityUrl", "https://WebhookApi.execute-api.eu-west-1.amazonaws.com/identities/default"),
        ("ApiId", "WebhookApi"),
        ("EventsQueueUrl", "EventsQueue"),
        ("ParkedQueueUrl", "ParkedQueue"),
        ("DeadLetterQueueUrl", "DeadLetterQueue"),
        ("DeliveriesTableName", "DeliveriesTable"),
        ("SubscribersTableName", "SubscribersTable"),
        ("ArchiveBucketName", "ArchiveBucket"),
        ("ArchiveStreamName", "ArchiveStream"),
        ("IngestFunctionName", "IngestFunction"),
        ("ForwarderFunctionName", "ForwarderFunction"),
        ("SweepFunctionName", "SweepFunction"),
        ("DefaultPurchaselySecretName", "purchasely-clevertap/dev/default/purchasely"),
        ("DefaultCleverTapSecretName", "purchasely-clevertap/dev/default/clevertap"),
        ("DefaultSettingsParameter", "DefaultSettings"),
        ("AccessLogGroup", "AccessLog"),
        ("IngestLogGroup", "IngestLog"),
        ("ForwarderLogGroup", "ForwarderLog"),
        ("SweepLogGroup", "SweepLog"),
        ("AlarmTopicArn", "AlarmTopic"),
        ("DashboardUrl", f"{DASHBOARDS}/EventsDashboard"),
        ("ResourcesDashboardUrl", f"{DASHBOARDS}/ResourcesDashboard"),
    ],
)
def test_output_tells_where_something_is(template: Template, output: str, value: str) -> None:
    assert template.output(output) == value


@pytest.mark.parametrize(
    ("partition", "region", "console"),
    [
        ("aws", "eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
        ("aws-cn", "cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("aws-us-gov", "us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
    ],
)
def test_a_dashboard_is_in_its_partitions_console(partition: str, region: str, console: str) -> None:
    there = Template.load(**{"AWS::Partition": partition, "AWS::Region": region})

    for output in ("DashboardUrl", "ResourcesDashboardUrl"):
        assert there.output(output).startswith(f"{console}cloudwatch/home?region={region}#dashboards/")


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_app_default_has_placeholders(stage: str) -> None:
    template = Template.load(Stage=stage)
    purchasely = template.properties("DefaultPurchaselySecret")
    clevertap = template.properties("DefaultCleverTapSecret")
    settings = template.properties("DefaultSettings")

    assert purchasely["Name"] == f"purchasely-clevertap/{stage}/default/purchasely"
    assert json.loads(purchasely["SecretString"]) == {"shared_secrets": ["REPLACE_ME"]}
    assert clevertap["Name"] == f"purchasely-clevertap/{stage}/default/clevertap"
    assert json.loads(clevertap["SecretString"]) == {
        "production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}
    }
    assert settings["Name"] == f"/purchasely-clevertap/{stage}/default/settings"
    assert json.loads(settings["Value"]) == {}


@pytest.mark.parametrize(
    ("resource", "properties"),
    [
        ("DefaultPurchaselySecret", {"Name", "SecretString"}),
        ("DefaultCleverTapSecret", {"Name", "SecretString"}),
        ("DefaultSettings", {"Name", "Type", "Tier", "Value"}),
        ("UserHashKey", {"Name", "GenerateSecretString"}),
    ],
)
def test_placeholders_have_no_other_property(template: Template, resource: str, properties: set[str]) -> None:
    """CloudFormation writes its own value again when another property changes, and undoes theirs."""
    assert set(template.properties(resource)) == properties


def test_settings_may_grow_beyond_the_standard_tier(template: Template) -> None:
    assert template.properties("DefaultSettings")["Tier"] == "Intelligent-Tiering"


def test_there_is_a_deploy_for_dev_and_one_for_prod() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    dev, prod = (config[stage]["deploy"]["parameters"] for stage in ("dev", "prod"))

    assert "Stage=dev" in dev["parameter_overrides"].split()
    assert "Stage=prod" in prod["parameter_overrides"].split()
    assert dev["stack_name"] != prod["stack_name"]
    assert prod["confirm_changeset"]


def test_samconfig_overrides_only_what_there_is(template: Template) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides = " ".join(config[stage]["deploy"]["parameters"]["parameter_overrides"] for stage in ("dev", "prod"))

    assert set(re.findall(r"(\w+)=", overrides)) <= set(template.document["Parameters"])


@pytest.mark.parametrize(
    ("endpoint", "is_taken"),
    [
        ("", True),
        ("https://clevertap.example.com", True),
        ("https://clevertap.example.com:8443/", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://[::1]:8080", True),
        ("http://clevertap.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost@example.com", False),
        ("https://user:word@example.com", False),
        ("https://example.com/path", False),
        ("https://example.com?a=b", False),
        ("https://example.com#a", False),
        ("ftp://example.com", False),
    ],
)
def test_credentials_go_nowhere_in_plain_text(template: Template, endpoint: str, is_taken: bool) -> None:
    pattern = re.compile(template.document["Parameters"]["CleverTapEndpoint"]["AllowedPattern"])

    assert bool(pattern.fullmatch(endpoint)) is is_taken
