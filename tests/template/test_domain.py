"""A domain of the operator's own for the webhook URL."""

import re

import pytest

from local_stack.template import Template

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0fd9e1c2-95a8-4c1f-8de9-0242ac120002"
ZONE = "Z0123456789ABCDEFGHIJ"


@pytest.fixture(scope="module")
def domain() -> Template:
    return Template.load(WebhookDomain="hooks.example.com", CertificateArn=CERTIFICATE, HostedZoneId=ZONE)


def test_without_a_domain_there_is_the_gateways(template: Template) -> None:
    assert not {kind for kind in ("DomainName", "ApiMapping") if template.of_type(f"AWS::ApiGatewayV2::{kind}")}
    assert not template.of_type("AWS::Route53::RecordSet")
    assert template.properties("WebhookApi")["DisableExecuteApiEndpoint"] is False


def test_the_domain_is_the_only_way_in(domain: Template) -> None:
    (configuration,) = domain.properties("Domain")["DomainNameConfigurations"]

    assert domain.properties("Domain")["DomainName"] == "hooks.example.com"
    assert configuration == {"CertificateArn": CERTIFICATE, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}
    assert domain.properties("DomainMapping") == {
        "ApiId": "WebhookApi",
        "DomainName": "Domain",
        "Stage": "WebhookStage",
    }
    assert domain.properties("WebhookApi")["DisableExecuteApiEndpoint"] is True


def test_the_urls_have_the_domain(domain: Template) -> None:
    assert domain.output("WebhookUrl") == "https://hooks.example.com/webhooks/default"
    assert domain.output("IdentityUrl") == "https://hooks.example.com/identities/default"
    assert domain.output("DomainTarget") == "Domain.RegionalDomainName"


def test_the_hosted_zone_gets_a_record(domain: Template) -> None:
    record = domain.properties("DomainRecord")

    assert (record["HostedZoneId"], record["Name"], record["Type"]) == (ZONE, "hooks.example.com", "A")
    assert record["AliasTarget"] == {
        "DNSName": "Domain.RegionalDomainName",
        "HostedZoneId": "Domain.RegionalHostedZoneId",
    }


def test_a_record_may_be_made_elsewhere() -> None:
    elsewhere = Template.load(WebhookDomain="hooks.example.com", CertificateArn=CERTIFICATE)

    assert elsewhere.of_type("AWS::ApiGatewayV2::DomainName")
    assert not elsewhere.of_type("AWS::Route53::RecordSet")
    assert not Template.load(HostedZoneId=ZONE).of_type("AWS::Route53::RecordSet")


def test_a_domain_needs_a_certificate(domain: Template) -> None:
    assert domain.is_allowed()
    assert not Template.load(WebhookDomain="hooks.example.com").is_allowed()


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("", True),
        ("hooks.example.com", True),
        ("a-b.c.example", True),
        ("example", False),
        ("https://hooks.example.com", False),
        ("hooks.example.com/", False),
        ("Hooks.example.com", False),
        ("-hooks.example.com", False),
    ],
)
def test_a_domain_is_a_host_name(template: Template, name: str, is_taken: bool) -> None:
    pattern = re.compile(template.document["Parameters"]["WebhookDomain"]["AllowedPattern"])

    assert bool(pattern.fullmatch(name)) is is_taken
