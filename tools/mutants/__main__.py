"""The command line: `python -m mutants MODULE TESTS…`, for example `delivery/retry tests/unit/test_retry.py`."""

import ast
import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "layers" / "bridge" / "purchasely_clevertap"
SECONDS: Final = 300

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, what is changed, and the changed source of each mutant."""
    tree = ast.parse(source)
    for index, node in enumerate(ast.walk(tree)):
        for what in _changes(node):
            changed = copy.deepcopy(tree)
            twin = next(each for number, each in enumerate(ast.walk(changed)) if number == index)
            _change(twin, what)
            yield getattr(node, "lineno", 0), what, ast.unparse(ast.fix_missing_locations(changed))


def _changes(node: ast.AST) -> list[str]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            return [f"{type(op).__name__} becomes {_COMPARISONS[type(op)].__name__}"]
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            return [f"{type(op).__name__} becomes {_OPERATORS[type(op)].__name__}"]
        case ast.BoolOp():
            return ["and and or change places"]
        case ast.If() | ast.IfExp():
            return ["the condition is turned round"]
        case ast.Constant(value=bool()):
            return ["true and false change places"]
        case ast.Constant(value=int()):
            return ["one more"]
        case ast.Return(value=ast.expr()):
            return ["nothing is returned"]
        case _:
            return []


def _change(node: ast.AST, what: str) -> None:
    match node:
        case ast.Compare(ops=[op]):
            node.ops = [_COMPARISONS[type(op)]()]
        case ast.BinOp(op=op):
            node.op = _OPERATORS[type(op)]()
        case ast.BoolOp(op=op):
            node.op = ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.If() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Constant(value=bool() as value):
            node.value = not value
        case ast.Constant(value=int() as value):
            node.value = value + 1
        case ast.Return():
            node.value = ast.Constant(None)
        case _:
            raise ValueError(what)


@click.command()
@click.argument("module")
@click.argument("tests", nargs=-1, required=True)
def main(module: str, tests: tuple[str, ...]) -> None:
    """Mutate MODULE, such as delivery/retry, and run TESTS against each change. Exit code 1 if one is not noticed."""
    path = PACKAGE / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    unnoticed = total = 0
    try:
        for line, what, changed in mutants(source):
            path.write_text(changed, encoding="utf-8")
            total += 1
            if _passes(tests):
                unnoticed += 1
                print(f"{module}.py:{line}: {what}: {source.splitlines()[line - 1].strip()}", flush=True)
    finally:
        path.write_text(source, encoding="utf-8")
    print(f"{total} changes, {unnoticed} not noticed")
    sys.exit(1 if unnoticed else 0)


def _passes(tests: tuple[str, ...]) -> bool:
    command = [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "-p", "no:cacheprovider", *tests]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


if __name__ == "__main__":
    main(prog_name="python -m mutants")
