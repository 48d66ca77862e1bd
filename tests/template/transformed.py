"""What CloudFormation gets of a template: SAM's own transform, run where the SAM CLI is installed."""

import copy
import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from local_stack import sam
from local_stack.template import Template

_TRANSFORM = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
out = [Translator({}, Parser()).translate(template, parameters) for template, parameters in json.load(sys.stdin)]
json.dump(out, sys.stdout)
"""


def transformed(templates: Sequence[Template]) -> list[Template]:
    """Each with its functions, versions, aliases and event sources written out, as `sam deploy` uploads them."""
    python = sam.VENV / "sam" / "bin" / "python"
    requests = [(_uploaded(each.document), {**each.parameters}) for each in templates]
    done = subprocess.run(
        [str(python), "-c", _TRANSFORM],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**sam.CREDENTIALS},
    )
    assert done.returncode == 0, done.stderr
    return [
        Template(document, each.parameters) for document, each in zip(json.loads(done.stdout), templates, strict=True)
    ]


def _uploaded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Code that stands in a folder here stands in a bucket there, under a name that its content decides."""
    uploaded: dict[str, Any] = copy.deepcopy(dict(document))
    for resource in uploaded["Resources"].values():
        properties = resource.get("Properties", {})
        for name in {"CodeUri", "ContentUri"} & set(properties):
            if not properties[name].startswith("s3://"):
                properties[name] = f"s3://bucket/{properties[name]}"
    return uploaded
