"""What CloudFormation needs to make the stack, as AWS says it of each type: run by the Python of sam's environment.

Prints a JSON object: the permissions, each with the types of resource that name it. The types are those of the
templates it is called with, as SAM makes them for a gradual rollout. No condition leaves any out.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cfnlint.data.schemas  # type: ignore[import-not-found]
from samcli.yamlhelper import yaml_parse  # type: ignore[import-not-found]
from samtranslator.parser.parser import Parser  # type: ignore[import-not-found]
from samtranslator.translator.translator import Translator  # type: ignore[import-not-found]

SCHEMAS = Path(cfnlint.data.schemas.__file__).parent
HANDLERS = ("create", "read", "update", "delete")


def translated(template: dict[str, Any]) -> dict[str, Any]:
    """The template as CloudFormation gets it from SAM."""
    if "Transform" not in template:
        return template
    for resource in template["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = "s3://bucket/key"
    parameters = {name: str(each.get("Default", "")) for name, each in template["Parameters"].items()}
    found: dict[str, Any] = Translator({}, Parser()).translate(
        template, {**parameters, "Rollout": "Canary10Percent5Minutes"}
    )
    return found


def main() -> None:
    """Prints them."""
    templates = [translated(yaml_parse(Path(each).read_text(encoding="utf-8"))) for each in sys.argv[1:]]
    schemas = json.loads((SCHEMAS / "providers" / "eu-west-1.json").read_text(encoding="utf-8"))
    needed: dict[str, set[str]] = {}
    for kind in {resource["Type"] for template in templates for resource in template["Resources"].values()}:
        schema = json.loads((SCHEMAS / "resources" / f"{schemas[kind]}.json").read_text(encoding="utf-8"))
        for handler in HANDLERS:
            for permission in schema.get("handlers", {}).get(handler, {}).get("permissions", ()):
                needed.setdefault(permission, set()).add(kind)
    json.dump({permission: sorted(kinds) for permission, kinds in sorted(needed.items())}, sys.stdout)


if __name__ == "__main__":
    main()
