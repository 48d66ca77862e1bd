"""A handler that starts the function's own and then tells what that took. Runs in Lambda's runtime, not in pytest."""

import importlib
import sys
from typing import Any

_compiled: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "compile" and str(arguments[1]).endswith(".py"):
        _compiled.append(str(arguments[1]))


sys.addaudithook(_watch)
importlib.import_module("app")


def handler(event: object, context: object) -> dict[str, list[str]]:  # noqa: ARG001 - Lambda's signature
    """The modules that are loaded, and the sources that had to be compiled for it."""
    return {"modules": sorted(sys.modules), "compiled": _compiled}
