"""Ingest: HTTP API, access log, throttling, the function behind it."""

import json

import pytest

from local_stack.template import Template
from purchasely_clevertap.ingest import IDENTITIES_ROUTE

SENDER_TIMEOUT_SECONDS = 10  # Purchasely's read timeout


def test_webhooks_of_every_app_reach_ingest(template: Template) -> None:
    api, route = template.properties("WebhookApi"), template.properties("WebhookRoute")
    integration = template.properties("WebhookIntegration")

    assert api["ProtocolType"] == "HTTP"
    assert route["RouteKey"] == "POST /webhooks/{app}"
    assert route["Target"] == "integrations/WebhookIntegration"
    assert integration["IntegrationType"] == "AWS_PROXY"
    assert integration["IntegrationUri"] == "IngestFunction.Alias"
    assert integration["PayloadFormatVersion"] == "2.0"
    assert {each["ApiId"] for each in (route, integration, template.properties("WebhookStage"))} == {"WebhookApi"}


def test_associations_of_every_app_reach_ingest(template: Template) -> None:
    route = template.properties("IdentityRoute")

    assert route["RouteKey"] == IDENTITIES_ROUTE
    assert route["Target"] == "integrations/WebhookIntegration"
    assert route["ApiId"] == "WebhookApi"


def test_there_is_no_other_way_in(template: Template) -> None:
    assert sorted(template.of_type("AWS::ApiGatewayV2::Route")) == ["IdentityRoute", "WebhookRoute"]
    assert sorted(template.of_type("AWS::Lambda::Permission")) == ["IdentityPermission", "IngestPermission"]


@pytest.mark.parametrize(("name", "path"), [("IngestPermission", "webhooks"), ("IdentityPermission", "identities")])
def test_only_posts_to_this_api_call_ingest(template: Template, name: str, path: str) -> None:
    permission = template.properties(name)

    assert permission["FunctionName"] == "IngestFunction.Alias"
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"] == f"arn:aws:execute-api:eu-west-1:123456789012:WebhookApi/*/POST/{path}/*"


def test_the_default_stage_deploys_itself(template: Template) -> None:
    stage = template.properties("WebhookStage")

    assert stage["StageName"] == "$default"
    assert stage["AutoDeploy"] is True


def test_ingest_is_throttled_by_parameters() -> None:
    stage = Template.load(ThrottleRate=7, ThrottleBurst=9).properties("WebhookStage")

    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 9}


def test_access_log_lines_are_json(template: Template) -> None:
    log = template.properties("WebhookStage")["AccessLogSettings"]

    assert log["DestinationArn"] == "AccessLog.Arn"
    line = json.loads(log["Format"])
    assert {"request_id", "time", "route", "status", "response_ms"} <= set(line)
    assert line["lambda_error"] == "$context.integrationErrorMessage"  # why the function was not even invoked


@pytest.mark.parametrize("personal", ["identity", "sourceIp", "userAgent", "path", "header", "domain", "message"])
def test_access_log_has_nothing_personal(template: Template, personal: str) -> None:
    assert personal not in template.properties("WebhookStage")["AccessLogSettings"]["Format"]


def test_the_senders_address_is_logged_on_request(template: Template) -> None:
    def logged(template: Template) -> dict[str, str]:
        line: dict[str, str] = json.loads(template.properties("WebhookStage")["AccessLogSettings"]["Format"])
        return line

    asked = Template.load(LogSourceAddress="true")

    assert logged(asked) == logged(template) | {"source": "$context.identity.sourceIp"}


def test_timeouts_end_before_the_sender_gives_up(template: Template) -> None:
    function = template.properties("IngestFunction")["Timeout"]
    gateway = template.properties("WebhookIntegration")["TimeoutInMillis"] / 1000

    assert function < gateway < SENDER_TIMEOUT_SECONDS


def test_tolerance_covers_retries_but_no_replay(template: Template) -> None:
    retry_horizon, remembered = (20 * 24 + 10) * 3600, 30 * 24 * 3600
    tolerance = template.environment("IngestFunction")["SIGNATURE_TOLERANCE_SECONDS"]

    assert retry_horizon < tolerance < remembered
    assert template.document["Parameters"]["SignatureToleranceSeconds"]["MaxValue"] < remembered


def test_concurrency_may_be_reserved(template: Template) -> None:
    reserved = Template.load(IngestReservedConcurrency=20).properties("IngestFunction")

    assert "ReservedConcurrentExecutions" not in template.properties("IngestFunction")  # 0 would stop the function
    assert reserved["ReservedConcurrentExecutions"] == 20
