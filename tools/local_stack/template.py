"""`template.yaml` as CloudFormation would see it, as far as tests and tools need it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from .sam import ROOT

NO_VALUE = object()  # what AWS::NoValue stands for: the property is not there

PSEUDO: Mapping[str, str] = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/0fd9e1c2-95a8-11f0-8de9-0242ac120002",
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
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    raise TypeError(f"neither text nor list nor mapping: {node}")


_Loader.add_multi_constructor("!", _intrinsic)


def parsed(text: str) -> Mapping[str, Any]:
    """A template with its intrinsic functions in their long form."""
    document: Mapping[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506 a SafeLoader
    return document


@cache
def _document() -> Mapping[str, Any]:
    return parsed((ROOT / "template.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Template:
    """The template with `parameters` put in.

    A resource's Ref reads as its name, that of a layer as an ARN with its name, an attribute as Name.Attribute.
    """

    document: Mapping[str, Any]
    parameters: Mapping[str, Any]

    @classmethod
    def load(cls, **parameters: Any) -> "Template":
        document = _document()
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
            case {"Ref": "AWS::NoValue"}:
                return NO_VALUE
            case {"Ref": str(name)}:
                return self.parameters.get(name, PSEUDO.get(name, self._ref(name)))
            case {"Fn::GetAtt": [name, attribute]}:
                return f"{name}.{attribute}"
            case {"Fn::Sub": str(text)}:
                return self.resolve({"Fn::Sub": [text, {}]})
            case {"Fn::Sub": [str(text), dict(own)]}:
                return re.sub(
                    r"\$\{([^}]+)\}", lambda found: str(self.resolve(own.get(found[1], {"Ref": found[1]}))), text
                )
            case {"Fn::Select": [index, values]}:
                return self.resolve(values)[int(self.resolve(index))]
            case {"Fn::Split": [delimiter, text]}:
                return self.resolve(text).split(delimiter)
            case {"Fn::Join": [delimiter, values]}:
                return delimiter.join(self.resolve(values))
            case {"Fn::FindInMap": [name, first, second]}:
                return self.document["Mappings"][name][self.resolve(first)][second]
            case {"Fn::If": [condition, then, otherwise]}:
                return self.resolve(then if self.holds(condition) else otherwise)
            case dict():
                found = {key: self.resolve(each) for key, each in value.items()}
                return {key: each for key, each in found.items() if each is not NO_VALUE}
            case list():
                return [each for each in map(self.resolve, value) if each is not NO_VALUE]
            case _:
                return value

    def is_allowed(self) -> bool:
        """Whether the rules of the template allow its parameters."""
        return all(
            self.holds(assertion["Assert"])
            for rule in self.document["Rules"].values()
            if self.holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}))
            for assertion in rule["Assertions"]
        )

    def holds(self, condition: Any) -> bool:
        """Whether a condition holds, given by its name or as it is written."""
        match condition:
            case str(name) | {"Condition": str(name)}:
                return self.holds(self.document["Conditions"][name])
            case {"Fn::Equals": [one, other]}:
                return bool(self.resolve(one) == self.resolve(other))
            case {"Fn::Contains": [list(texts), value]}:
                return str(self.resolve(value)) in texts
            case {"Fn::Not": [negated]}:
                return not self.holds(negated)
            case {"Fn::And": conditions}:
                return all(map(self.holds, conditions))
            case {"Fn::Or": conditions}:
                return any(map(self.holds, conditions))
            case _:
                raise ValueError(f"no condition: {condition}")

    def _ref(self, name: str) -> str:
        is_layer = self.document["Resources"].get(name, {}).get("Type", "").endswith("::LayerVersion")
        return f"arn:aws:lambda:eu-west-1:123456789012:layer:{name}:1" if is_layer else name

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        condition = resource.get("Condition")
        return condition is None or self.holds(condition)


def _set(value: str | list[str]) -> set[str]:
    return {value} if isinstance(value, str) else set(value)
