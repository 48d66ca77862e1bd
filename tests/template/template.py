"""`template.yaml` as CloudFormation would see it, as far as a test needs it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

PSEUDO: Mapping[str, str] = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "stack",
    "AWS::URLSuffix": "amazonaws.com",
}


class _Loader(yaml.SafeLoader):
    """Reads `!Ref x` and its like in their long form, `{"Ref": x}`."""


def _intrinsic(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if tag == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


@dataclass(frozen=True, slots=True)
class Template:
    """The template with `parameters` put in. A resource's Ref reads as its name, an attribute as Name.Attribute."""

    document: Mapping[str, Any]
    parameters: Mapping[str, Any]

    @classmethod
    def load(cls, **parameters: Any) -> "Template":
        document = yaml.load((ROOT / "template.yaml").read_text(), Loader=_Loader)  # noqa: S506 a SafeLoader
        defaults = {name: each["Default"] for name, each in document["Parameters"].items()}
        return cls(document, {**defaults, **parameters})

    @property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: each for name, each in self.document["Resources"].items() if self._exists(each)}

    def of_type(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        return {name: self.properties(name) for name, each in self.resources.items() if each["Type"] == kind}

    def properties(self, resource: str) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self.resolve(self.resources[resource].get("Properties", {}))
        return properties

    def output(self, name: str) -> Any:
        return self.resolve(self.document["Outputs"][name]["Value"])

    def environment(self, function: str) -> Mapping[str, Any]:
        shared = self.resolve(self.document["Globals"]["Function"]["Environment"]["Variables"])
        own = self.properties(function)["Environment"]["Variables"]
        return {**shared, **own}

    def statements(self, role: str) -> Mapping[str, tuple[set[str], set[str]]]:
        """What a role allows: the actions and the resources of each statement, by its Sid."""
        policies = [policy["PolicyDocument"]["Statement"] for policy in self.properties(role)["Policies"]]
        return {each["Sid"]: (_set(each["Action"]), _set(each["Resource"])) for policy in policies for each in policy}

    def resolve(self, value: Any) -> Any:
        match value:
            case {"Ref": str(name)}:
                return self.parameters.get(name, PSEUDO.get(name, name))
            case {"Fn::GetAtt": [name, attribute]}:
                return f"{name}.{attribute}"
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: str(self.resolve({"Ref": found[1]})), text)
            case {"Fn::Select": [index, values]}:
                return self.resolve(values)[int(self.resolve(index))]
            case {"Fn::Equals": [one, other]}:
                return self.resolve(one) == self.resolve(other)
            case {"Fn::Not": [condition]}:
                return not self.resolve(condition)
            case dict():
                return {key: self.resolve(each) for key, each in value.items()}
            case list():
                return [self.resolve(each) for each in value]
            case _:
                return value

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        condition = resource.get("Condition")
        return condition is None or bool(self.resolve(self.document["Conditions"][condition]))


def _set(value: str | list[str]) -> set[str]:
    return {value} if isinstance(value, str) else set(value)
