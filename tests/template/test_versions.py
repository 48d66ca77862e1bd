"""Versions of the functions: a new one for exactly those changes that a version keeps.

Lambda refuses a version that would be like the former one ("A version for this Lambda function exists"), and the stack
rolls back. A version that is not made leaves the alias on what was before.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest

from local_stack.template import Template
from tests.template.transformed import transformed

FUNCTIONS = ("IngestFunction", "ForwarderFunction", "SweepFunction")
OTHER_VALUES = {
    "AlarmUrl": "https://alarms.example.com",
    "WebhookDomain": "hooks.example.com",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0fd9e1c2-95a8-4c1f-8de9-0242ac120002",
    "HostedZoneId": "Z0123456789ABCDEFGHIJ",
    "AlarmEmail": "a@example.com",
    "CleverTapEndpoint": "https://clevertap.example.com",
    "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/0fd9e1c2-95a8-4c1f-8de9-0242ac120002",
    # A function names its role alike on any path, but a role of another path is another one, and the description has
    # its RoleId. The boundary is the role's: a version keeps nothing of it.
    "RolePath": "/service/",
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
}


def kept_by_a_version() -> frozenset[str]:
    """The properties that Lambda publishes with a version: what updates a function's configuration or its code."""
    operations = boto3.client("lambda", region_name="eu-west-1").meta.service_model
    members = {
        name
        for operation in ("UpdateFunctionConfiguration", "UpdateFunctionCode")
        for name in getattr(operations.operation_model(operation).input_shape, "members", {})
    }
    return frozenset(name.casefold() for name in members | {"Code"})


KEPT = kept_by_a_version()


def seen_by_lambda(template: Template, function: str) -> dict[str, Any]:
    """The function's properties that a version keeps."""
    return {name: each for name, each in template.properties(function).items() if name.casefold() in KEPT}


def version(template: Template, function: str) -> tuple[str, str]:
    """Its logical id and its description. CloudFormation makes a new version when either changes."""
    ((logical_id, properties),) = [
        (logical_id, properties)
        for logical_id, properties in template.of_type("AWS::Lambda::Version").items()
        if properties["FunctionName"] == function
    ]
    return logical_id, properties["Description"]


def changed(change: Callable[[dict[str, Any]], None]) -> Template:
    """The template after a change of its text, by the function that makes it."""
    template = Template.load()
    document: dict[str, Any] = copy.deepcopy(dict(template.document))
    change(document)
    return Template(document, template.parameters)


def with_property(name: str, value: object) -> Template:
    def change(document: dict[str, Any]) -> None:
        for function in FUNCTIONS:
            document["Resources"][function]["Properties"][name] = value

    return changed(change)


def with_new_layer() -> Template:
    def change(document: dict[str, Any]) -> None:
        document["Resources"]["BridgeLayer"]["Properties"]["ContentUri"] = "s3://bucket/changed"

    return changed(change)


def with_variable() -> Template:
    def change(document: dict[str, Any]) -> None:
        document["Globals"]["Function"]["Environment"]["Variables"]["ANOTHER"] = "value"

    return changed(change)


def other_value(name: str, parameter: Mapping[str, Any]) -> object:
    """A value that the parameter takes and that isn't its default."""
    if "AllowedValues" in parameter:
        return next(each for each in parameter["AllowedValues"] if each != parameter["Default"])
    if parameter["Type"] == "Number":
        return parameter["Default"] + (1 if parameter["Default"] != parameter.get("MaxValue") else -1)
    return OTHER_VALUES[name]


NOT_KEPT: dict[str, Callable[[], Template]] = {
    "tags": lambda: with_property("Tags", {"team": "growth"}),
    "reserved concurrency": lambda: with_property("ReservedConcurrentExecutions", 3),
    "recursion": lambda: with_property("RecursiveLoop", "Terminate"),
    "code signing": lambda: with_property(
        "CodeSigningConfigArn", "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-0f6c334abcdea4d8b"
    ),
}
ARE_KEPT: dict[str, Callable[[], Template]] = {
    "code": lambda: with_property("CodeUri", "s3://bucket/changed"),
    "layer": with_new_layer,
    "environment": with_variable,
    "memory": lambda: with_property("MemorySize", 1024),
}
# The stage is the same for the life of a stack.
VALUES = {
    name: other_value(name, parameter)
    for name, parameter in Template.load().document["Parameters"].items()
    if name != "Stage"
}


@pytest.fixture(scope="module")
def after() -> dict[str, Template]:
    """The template after each change, transformed; under "" the one that is not changed."""
    changes: dict[str, Template] = {name: make() for name, make in (NOT_KEPT | ARE_KEPT).items()}
    changes |= {name: Template.load(**{name: value}) for name, value in VALUES.items()}
    changes[""] = Template.load()
    return dict(zip(changes, transformed(list(changes.values())), strict=True))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("change", NOT_KEPT)
def test_what_a_version_does_not_keep_makes_none(after: dict[str, Template], change: str, function: str) -> None:
    assert after[change].properties(function) != after[""].properties(function)
    assert version(after[change], function) == version(after[""], function)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("change", ARE_KEPT)
def test_what_a_version_keeps_makes_a_new_one(after: dict[str, Template], change: str, function: str) -> None:
    assert seen_by_lambda(after[change], function) != seen_by_lambda(after[""], function)
    assert version(after[change], function) != version(after[""], function)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("parameter", VALUES)
def test_a_parameter_makes_a_version_if_one_keeps_it(after: dict[str, Template], parameter: str, function: str) -> None:
    is_seen = seen_by_lambda(after[parameter], function) != seen_by_lambda(after[""], function)

    assert (version(after[parameter], function) != version(after[""], function)) is is_seen


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_description_has_what_no_hash_has(after: dict[str, Template], function: str) -> None:
    """SAM's hash has the code, the environment, the memory and the snapshot; the handler changes with the code."""
    seen = seen_by_lambda(after[""], function)
    for name in ("Code", "Environment", "MemorySize", "SnapStart", "Handler", "Description"):
        seen.pop(name, None)
    role = seen["Role"].removesuffix(".Arn")
    described = {
        "Layers": seen["Layers"][0].partition(":layer:")[2],
        "Runtime": seen["Runtime"],
        "Architectures": seen["Architectures"][0],
        "Timeout": f"{seen['Timeout']}s",
        "Role": f"{role}.RoleId",
        "LoggingConfig": seen["LoggingConfig"]["LogGroup"],
        "TracingConfig": seen["TracingConfig"]["Mode"],
    }

    assert set(seen) == set(described)
    assert [each for each in described.values() if each not in version(after[""], function)[1]] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_description_is_no_longer_than_lambda_takes(function: str) -> None:
    template = Template.load()
    parameters = template.document["Parameters"]
    longest = {name: str(each["MaxValue"]) for name, each in parameters.items() if "MaxValue" in each}
    longest |= {
        name: max(each["AllowedValues"], key=len)
        for name, each in parameters.items()
        if name in ("LogLevel", "Rollout")
    }
    endpoint = "https://" + "x" * (parameters["CleverTapEndpoint"]["MaxLength"] - 8)
    stage, role = "s" * 20, "AROA" + "X" * 17  # RoleId: 21 characters
    layer = f"arn:aws:lambda:eu-west-1:123456789012:layer:purchasely-clevertap-{stage}:1234"
    names = {f"{each}Role.RoleId": role for each in ("Ingest", "Forwarder", "Sweep")}
    names |= {
        f"{each}Log": f"/purchasely-clevertap/{stage}/{each.lower()}" for each in ("Ingest", "Forwarder", "Sweep")
    }
    chosen = {"Architecture": "x86_64", "IngestSnapStart": "PublishedVersions", "CleverTapEndpoint": endpoint}
    full = Template.load(**longest, **chosen, **names, BridgeLayer=layer, Stage=stage)

    assert len(full.properties(function)["VersionDescription"]) <= 256
