"""IAM policies as AWS reads them, as far as those of docs/iam/ go: they only allow."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from local_stack.sam import ROOT

FOLDER = ROOT / "docs" / "iam"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy's document."""

    document: Mapping[str, Any]

    @classmethod
    def load(cls, name: str) -> "Policy":
        return cls(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))

    @property
    def statements(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.document["Statement"]
        return listed

    @property
    def characters(self) -> int:
        """How long AWS finds it: white space does not count."""
        return len("".join(json.dumps(self.document).split()))

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(action for statement in self.statements for action in listed(statement["Action"]))

    def has(self, action: str) -> bool:
        """Whether it allows the action on any resource. AWS does not care about the case of actions."""
        return any(fnmatchcase(action.lower(), each.lower()) for each in self.actions)

    def allows(self, action: str, resource: str) -> bool:
        """Whether it allows the action on the resource, by whatever way a condition asks for."""
        return any(
            fnmatchcase(resource, pattern)
            for statement in self.statements
            if any(fnmatchcase(action.lower(), each.lower()) for each in listed(statement["Action"]))
            for pattern in listed(statement["Resource"])
        )


def listed(value: str | list[str]) -> Iterator[str]:
    """A value or a list of them."""
    yield from [value] if isinstance(value, str) else value
