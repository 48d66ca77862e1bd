"""PartiQL as far as the bridge speaks it, told as the update of one item. What it does not know is an error.

The grammar is DynamoDB's: an UPDATE has a SET or a REMOVE for each attribute and must name the item's key, and it
creates no item; an INSERT changes none.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

_TOKENS: Final = re.compile(r"""\s*(?:"([A-Za-z_][\w.-]*)"|'([A-Za-z_]\w*)'|(<=|>=|[?(){},:=<>+])|([A-Z]+))""")
_WORDS: Final = frozenset({"UPDATE", "SET", "REMOVE", "WHERE", "AND", "OR", "IS", "MISSING", "INSERT", "INTO", "VALUE"})


class Malformed(Exception):
    """No statement that DynamoDB would take, or none that the bridge has any need of."""


class Statement(NamedTuple):
    """The `update` that a statement makes, as UpdateItem takes it; `is_insert`: its condition is that there is none."""

    update: Mapping[str, Any]
    is_insert: bool


def parsed(given: Mapping[str, Any], keys: Mapping[str, str]) -> Statement:
    """A statement with its parameters; `keys` names each table's key. Raises `Malformed`."""
    if given.keys() - {"Statement", "Parameters", "ReturnValuesOnConditionCheckFailure"}:
        raise Malformed(f"unknown: {sorted(given)}")
    reader = _Reader(given["Statement"], given.get("Parameters", []))
    statement = _insert(reader, keys) if reader.next == ("word", "INSERT") else _update(reader, keys)
    reader.end()
    return statement


class _Reader:
    def __init__(self, text: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._parameters = list(parameters)
        self.values: dict[str, Mapping[str, Any]] = {}
        end = 0
        while end < len(text.rstrip()):
            match = _TOKENS.match(text, end)
            if match is None:
                raise Malformed(text[end:])
            kinds = ("name", "string", "sign", "word")
            self._tokens.append(next((k, v) for k, v in zip(kinds, match.groups(), strict=True) if v is not None))
            end = match.end()
        if unknown := {text for kind, text in self._tokens if kind == "word"} - _WORDS:
            raise Malformed(f"unknown words: {unknown}")
        self._tokens.reverse()

    @property
    def next(self) -> tuple[str, str]:
        return self._tokens[-1] if self._tokens else ("end", "")

    def take(self, kind: str, *allowed: str) -> str:
        found = self._tokens.pop() if self._tokens else ("end", "")
        if found[0] != kind or (allowed and found[1] not in allowed):
            raise Malformed(f"{found[1]!r} where {allowed or kind} was expected")
        return found[1]

    def takes(self, kind: str, text: str) -> bool:
        if self.next != (kind, text):
            return False
        self._tokens.pop()
        return True

    def parameter(self) -> str:
        """The name of the next parameter, as an expression has it."""
        self.take("sign", "?")
        if len(self.values) == len(self._parameters):
            raise Malformed("more question marks than parameters")
        name = f":p{len(self.values)}"
        self.values[name] = self._parameters[len(self.values)]
        return name

    def end(self) -> None:
        self.take("end")
        if len(self.values) < len(self._parameters):
            raise Malformed("more parameters than question marks")


def _update(reader: _Reader, keys: Mapping[str, str]) -> Statement:
    reader.take("word", "UPDATE")
    table = reader.take("name")
    key_name = _key_name(table, keys)
    put: list[str] = []
    gone: list[str] = []
    while not reader.takes("word", "WHERE"):
        if reader.take("word", "SET", "REMOVE") == "SET":
            put.append(_assignment(reader))
        else:
            gone.append(reader.take("name"))
    names = [each.partition(" ")[0] for each in put] + gone
    if not names or len(set(names)) < len(names) or key_name in names:
        raise Malformed(f"each attribute once, the key not at all: {names}")
    terms = [_term(reader)]
    while reader.takes("word", "AND"):
        terms.append(_term(reader))
    named = [found[1] for term in terms if (found := re.fullmatch(rf"{key_name} = (:p\d+)", term))]
    if len(named) != 1:
        raise Malformed("the WHERE clause does not contain a mandatory equality on all key attributes")
    update = {
        "TableName": table,
        "Key": {key_name: reader.values[named[0]]},
        "UpdateExpression": " ".join(
            [f"SET {', '.join(put)}"] * bool(put) + [f"REMOVE {', '.join(gone)}"] * bool(gone)
        ),
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeValues": reader.values,
    }
    return Statement(update, is_insert=False)


def _assignment(reader: _Reader) -> str:
    name = reader.take("name")
    reader.take("sign", "=")
    if reader.next[0] != "name":
        return f"{name} = {reader.parameter()}"
    other = reader.take("name")
    reader.take("sign", "+")
    return f"{name} = {other} + {reader.parameter()}"


def _term(reader: _Reader) -> str:
    if reader.takes("sign", "("):
        options = [_term(reader)]
        while reader.takes("word", "OR"):
            options.append(_term(reader))
        reader.take("sign", ")")
        return f"({' OR '.join(options)})"
    name = reader.take("name")
    if reader.takes("word", "IS"):
        reader.take("word", "MISSING")
        return f"attribute_not_exists({name})"
    return f"{name} {reader.take('sign', '=', '<=', '<', '>', '>=')} {reader.parameter()}"


def _insert(reader: _Reader, keys: Mapping[str, str]) -> Statement:
    reader.take("word", "INSERT")
    reader.take("word", "INTO")
    table = reader.take("name")
    key_name = _key_name(table, keys)
    reader.take("word", "VALUE")
    reader.take("sign", "{")
    item: dict[str, str] = {}
    while True:
        name = reader.take("string")
        reader.take("sign", ":")
        if name in item:
            raise Malformed(f"{name} twice")
        item[name] = reader.parameter()
        if reader.take("sign", ",", "}") == "}":
            break
    if key_name not in item:
        raise Malformed("an INSERT without its key")
    key = reader.values.pop(item.pop(key_name))
    update = {
        "TableName": table,
        "Key": {key_name: key},
        "UpdateExpression": f"SET {', '.join(f'{name} = {value}' for name, value in item.items())}",
        "ConditionExpression": f"attribute_not_exists({key_name})",
        "ExpressionAttributeValues": dict(reader.values),
    }
    # The key's place among the parameters stays taken.
    reader.values["key"] = key
    return Statement(update, is_insert=True)


def _key_name(table: str, keys: Mapping[str, str]) -> str:
    if table not in keys:
        raise Malformed(f"no table {table}")
    return keys[table]
