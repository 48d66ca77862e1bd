"""How the stack was deployed: its state and its parameters, and the resources that it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge_cli.account import Account
from purchasely_clevertap.clevertap.account import Region


@dataclass(frozen=True, slots=True)
class Deployment:
    """`status` is CloudFormation's, such as UPDATE_COMPLETE."""

    status: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether the stack is whole, also when its last update was undone or is under way."""
        if self.status.endswith("_FAILED"):
            return False
        return self.status in ("CREATE_COMPLETE", "IMPORT_COMPLETE") or self.status.startswith("UPDATE_")

    def number(self, parameter: str, otherwise: int) -> int:
        """A parameter that is a number; `otherwise` when the stack does not have it."""
        value = self.parameters.get(parameter, "")
        return int(value) if value.isdecimal() else otherwise

    def endpoint(self, region: Region) -> str:
        """Where the forwarder uploads to: the host that stands in for CleverTap, or the region's."""
        return self.parameters.get("CleverTapEndpoint") or region.endpoint

    @property
    def is_real_clevertap(self) -> bool:
        """Whether uploads go to CleverTap itself."""
        return not self.parameters.get("CleverTapEndpoint")


def deployment(account: Account) -> Deployment:
    """The deployment of the account's stack. CliError when there is no such stack."""
    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in account.stack.get("Parameters", [])}
    return Deployment(account.stack["StackStatus"], parameters)


def defaults(account: Account) -> dict[str, str]:
    """The default of each parameter of the template that the stack was deployed from. Raises ClientError."""
    summary = account.client("cloudformation").get_template_summary(StackName=account.stack_name)
    return {each["ParameterKey"]: each.get("DefaultValue", "") for each in summary.get("Parameters", [])}


def resources(account: Account, kind: str) -> list[str]:
    """The physical names of the stack's resources of a kind, such as AWS::CloudWatch::Alarm."""
    pages = (
        account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=account.stack_name)
    )
    return [
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == kind and each.get("PhysicalResourceId")
    ]
