"""What the built template is changed in before it is deployed to MiniStack. Nowhere else does the stack differ.

MiniStack is not AWS in these points:

- it can't create saved queries, metric filters, nor alarms on several metrics;
- it checks the rights to SQS's batch operations under names that IAM does not have;
- it hands a number on as text if it comes from a parameter, and its poller can't use that;
- it answers plain http, which the policies of the queues and of the archive's bucket deny;
- it does not put Firehose's lines into their places (`ministack_server.py` does, at once and without a buffer);
- it does not say to IAM which attributes of an item a request names.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from . import template

_OF_LOGS: Final = frozenset({"AWS::Logs::QueryDefinition", "AWS::Logs::MetricFilter"})
_ALARM: Final = "AWS::CloudWatch::Alarm"

BATCH_NAMES: Final[Mapping[str, str]] = {
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}
"""The right that AWS checks, and the name under which MiniStack checks it too."""


def write(built: Path, stack: str, parameters: Mapping[str, str]) -> Path:
    """Writes the changed copy of the template `built` for `stack`, beside it: its code is named relative to it."""
    document = emulated(template.parsed(built.read_text(encoding="utf-8")), parameters)
    path = built.with_name(f"emulated-{stack}.json")
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def emulated(document: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """The template as MiniStack can deploy it with these parameters."""
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    resources: dict[str, Any] = changed["Resources"]
    for name in [name for name, each in resources.items() if _is_unknown(each)]:
        del resources[name]
    for resource in resources.values():
        match resource["Type"]:
            case "AWS::IAM::Role":
                for policy in resource["Properties"]["Policies"]:
                    policy["PolicyDocument"]["Statement"] = [*map(_right, policy["PolicyDocument"]["Statement"])]
            case "AWS::SQS::QueuePolicy":
                policy = resource["Properties"]["PolicyDocument"]
                policy["Statement"] = [each for each in policy["Statement"] if not _demands_tls(each)]
            case "AWS::Serverless::Function":
                for source in resource["Properties"].get("Events", {}).values():
                    _put_number(source["Properties"].get("ScalingConfig", {}), document, parameters)
    return changed


def _is_unknown(resource: Mapping[str, Any]) -> bool:
    # The bucket's policy has nothing but that it demands TLS.
    return (
        resource["Type"] in _OF_LOGS
        or resource["Type"] == "AWS::S3::BucketPolicy"
        or (resource["Type"] == _ALARM and "Metrics" in resource["Properties"])
    )


def _right(statement: dict[str, Any]) -> dict[str, Any]:
    if "Action" not in statement:  # a statement that depends on a parameter
        return statement
    if "dynamodb:Attributes" in json.dumps(statement.get("Condition", {})):
        statement = {name: each for name, each in statement.items() if name != "Condition"}
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    batches = [BATCH_NAMES[action] for action in actions if action in BATCH_NAMES]
    return {**statement, "Action": [*actions, *batches]} if batches else statement


def _demands_tls(statement: Mapping[str, Any]) -> bool:
    return "aws:SecureTransport" in json.dumps(statement.get("Condition", {}))


def _put_number(scaling: dict[str, Any], document: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
    match scaling.get("MaximumConcurrency"):
        case {"Ref": str(name)}:
            scaling["MaximumConcurrency"] = int(parameters.get(name, document["Parameters"][name]["Default"]))
