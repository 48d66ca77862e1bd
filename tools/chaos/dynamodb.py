"""DynamoDB in ledger: as much of it as the bridge uses, and as strict. tests/chaos compares it with moto.

Anything that it does not know is an error, so a new expression in the product is noticed and not guessed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .partiql import Malformed, parsed

type Value = Mapping[str, Any]
type Item = dict[str, Value]
type Values = Mapping[str, Value]

_TOGETHER = 100  # items of a TransactWriteItems or a BatchGetItem
_STATEMENTS_TOGETHER = 25  # of a BatchExecuteStatement
_TOKEN_SECONDS = 600  # for so long a transaction with the same token is the same transaction
_ITEM_BYTES = 400 * 1024
_INDEX_LAG_SECONDS = 1.5

_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"

_TOKENS = re.compile(r"\s*(?:(<=|>=|[(),=<>+])|([:#][A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_]*))")


class Refused(Exception):
    """DynamoDB answers with an error; `more` is what stands beside it."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.more = more


@dataclass(frozen=True, slots=True)
class _Update:
    """What an update expression does: each part changes the new item, looking at the old one."""

    parts: Sequence[Callable[[Item, Item, Values], None]]
    used: frozenset[str]


class Unknown(Exception):
    """What the bridge does not ask of DynamoDB, so nothing here knows its answer: an error, never a guess."""


@dataclass(frozen=True, slots=True)
class _Condition:
    holds: Callable[[Item, Values], bool]
    used: frozenset[str]


class Tables:
    """The tables by name, each with its items by key. `keys` names each table's key; `seconds` is the clock.

    `index` is the one global secondary index: its table, its name, and its key, an attribute that not every item has.
    It follows its table after some time, as DynamoDB's do.
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        *,
        index: tuple[str, str, str] = ("", "", ""),
        seconds: Callable[[], float],
    ) -> None:
        self.items: dict[str, dict[str, Item]] = {name: {} for name in keys}
        self._keys = dict(keys)
        self._seconds = seconds
        self._tokens: dict[str, float] = {}
        self._index = index
        self._indexed: dict[str, list[tuple[float, Item]]] = {}

    def answer(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a call, as botocore gives it. Raises `Refused`; `Unknown` for what the bridge never asks."""
        match operation:
            case "UpdateItem":
                self._put([given], [self._changed(given)])
                return {}
            case "TransactWriteItems":
                self._transact([each["Update"] for each in given["TransactItems"]], given.get("ClientRequestToken"))
                return {}
            case "BatchExecuteStatement":
                return {"Responses": self._execute(given["Statements"])}
            case "BatchGetItem":
                wanted = {table: asked["Keys"] for table, asked in given["RequestItems"].items()}
                if not 0 < sum(map(len, wanted.values())) <= _TOGETHER or not all(wanted.values()):
                    raise Refused("ValidationException")
                return {
                    "Responses": {table: self._batch(table, keys) for table, keys in wanted.items()},
                    "UnprocessedKeys": {},
                }
            case "GetItem":
                item = self.items[given["TableName"]].get(given["Key"][self._keys[given["TableName"]]]["S"])
                return {} if item is None else {"Item": dict(item)}
            case "DeleteItem":
                self._delete(given)
                return {}
            case "PutItem":
                table = given["TableName"]
                self.items[table][given["Item"][self._keys[table]]["S"]] = dict(given["Item"])
                return {}
            case "Query":
                return {"Items": self._query(given)}
            case "Scan":
                return {"Items": self._scan(given)}
            case _:
                raise Unknown(operation)

    def _query(self, given: Mapping[str, Any]) -> list[Item]:
        table, name, key = self._index
        if given.keys() != {"TableName", "IndexName", "KeyConditionExpression", "ExpressionAttributeValues"}:
            raise Unknown(str(sorted(given)))
        if (given["TableName"], given["IndexName"]) != (table, name):
            raise Refused("ValidationException")
        asked = re.fullmatch(rf"{key} = (:\w+)", given["KeyConditionExpression"])
        if asked is None or given["ExpressionAttributeValues"].keys() != {asked[1]}:
            raise Unknown(given["KeyConditionExpression"])
        wanted = given["ExpressionAttributeValues"][asked[1]]
        return [dict(item) for item in self._in_index() if item[key] == wanted]

    def _delete(self, given: Mapping[str, Any]) -> None:
        if given.keys() != {"TableName", "Key"}:
            raise Unknown(str(sorted(given)))
        table = given["TableName"]
        name = given["Key"][self._keys[table]]["S"]
        self.items[table].pop(name, None)
        if table == self._index[0] and name in self._indexed:
            self._indexed[name].append((self._seconds() + _INDEX_LAG_SECONDS, {}))

    def _scan(self, given: Mapping[str, Any]) -> list[Item]:
        known = {
            "TableName",
            "ConsistentRead",
            "IndexName",
            "Segment",
            "TotalSegments",
            "ProjectionExpression",
            "FilterExpression",
        }
        if given.keys() - known - {"ExpressionAttributeValues"}:
            raise Unknown(str(sorted(given)))
        if "IndexName" in given and (given["TableName"], given["IndexName"]) != self._index[:2]:
            raise Refused("ValidationException")
        items = self._in_index() if "IndexName" in given else list(self.items[given["TableName"]].values())
        segment, segments = given.get("Segment", 0), given.get("TotalSegments", 1)
        holds, values = _condition(given["FilterExpression"]).holds, given.get("ExpressionAttributeValues", {})
        found = [item for item in items[segment::segments] if holds(item, values)]
        wanted = given.get("ProjectionExpression")
        return [dict(item) if wanted is None else {wanted: item[wanted]} for item in found]

    def _in_index(self) -> list[Item]:
        """The items as the index has them by now."""
        now, key = self._seconds(), self._index[2]
        newest = [[item for at, item in versions if at <= now][-1:] for versions in self._indexed.values()]
        return [item for versions in newest for item in versions if key in item]

    def _batch(self, table: str, keys: Sequence[Mapping[str, Value]]) -> list[Item]:
        names = [key[self._keys[table]]["S"] for key in keys]
        if len(set(names)) < len(names):
            raise Refused("ValidationException")
        return [dict(self.items[table][name]) for name in names if name in self.items[table]]

    def _transact(self, updates: Sequence[Mapping[str, Any]], token: str | None) -> None:
        keys = [(update["TableName"], update["Key"][self._keys[update["TableName"]]]["S"]) for update in updates]
        if not 0 < len(keys) <= _TOGETHER or len(set(keys)) < len(keys):
            raise Refused("ValidationException")
        if token is not None:
            if self._tokens.get(token, 0.0) > self._seconds():
                return
            self._tokens[token] = self._seconds() + _TOKEN_SECONDS
        changed: list[Item] = []
        causes: list[dict[str, str]] = []
        for update in updates:
            try:
                changed.append(self._changed(update))
                causes.append({"Code": "None"})
            except Refused as refused:
                causes.append(_cause(refused))
        if len(changed) < len(updates):
            if token is not None:
                del self._tokens[token]
            raise Refused("TransactionCanceledException", CancellationReasons=causes)
        self._put(updates, changed)

    def _execute(self, statements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The result of each statement, which does not depend on the others'."""
        if not 0 < len(statements) <= _STATEMENTS_TOGETHER:
            raise Refused("ValidationException")
        return [self._executed(given) for given in statements]

    def _executed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            update, is_insert = parsed(given, self._keys)
        except Malformed as malformed:
            return {"Error": {"Code": "ValidationError", "Message": str(malformed)}}
        table = update["TableName"]
        try:
            self._put([update], [self._changed(update)])
        except Refused as refused:
            if refused.code != "ConditionalCheckFailedException":
                return {"Error": {"Code": "ValidationError", "Message": refused.code}}
            if is_insert:
                return {"TableName": table, "Error": {"Code": "DuplicateItem"}}
            old = self.items[table].get(update["Key"][self._keys[table]]["S"])
            shown = old is not None and given.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            item = {"Item": dict(old or {})} if shown else {}
            return {"TableName": table, "Error": {"Code": "ConditionalCheckFailed", **item}}
        return {"TableName": table}

    def _put(self, updates: Sequence[Mapping[str, Any]], changed: Sequence[Item]) -> None:
        for update, item in zip(updates, changed, strict=True):
            table = update["TableName"]
            name = item[self._keys[table]]["S"]
            self.items[table][name] = item
            if table == self._index[0] and (name in self._indexed or self._index[2] in item):
                self._indexed.setdefault(name, []).append((self._seconds() + _INDEX_LAG_SECONDS, item))

    def _changed(self, update: Mapping[str, Any]) -> Item:
        """The item as the update makes it. Raises `Refused` when its condition does not hold."""
        table, key = update["TableName"], update["Key"]
        name = key[self._keys[table]]["S"]
        old = self.items[table].get(name, {})
        values: Values = update.get("ExpressionAttributeValues", {})
        names: Mapping[str, str] = update.get("ExpressionAttributeNames", {})
        parsed = _update(update["UpdateExpression"], tuple(names.items()))
        condition = _condition(update.get("ConditionExpression"))
        if parsed.used | condition.used != values.keys() | names.keys():
            raise Refused("ValidationException")
        if not condition.holds(old, values):
            raise Refused("ConditionalCheckFailedException")
        new = {**old, **key}
        for part in parsed.parts:
            part(new, old, values)
        if sum(len(attribute.encode()) + _bytes(value) for attribute, value in new.items()) > _ITEM_BYTES:
            raise Refused("ValidationException", Error={"Code": "ValidationException", "Message": _TOO_LARGE})
        return new


def _cause(refused: Refused) -> dict[str, str]:
    """Why a transaction was cancelled, for the item that is to blame."""
    if refused.code == "ConditionalCheckFailedException":
        return {"Code": "ConditionalCheckFailed"}
    message = refused.more.get("Error", {}).get("Message")
    return {"Code": "ValidationError"} | ({"Message": message} if message else {})


def _bytes(value: Value) -> int:
    """What a value takes of an item (DynamoDB, item sizes and formats)."""
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "SS":
            return sum(len(each.encode()) for each in held)
        case "N":
            return len(held.lstrip("-").strip("0")) // 2 + 2
        case _:
            raise Unknown(kind)


class _Tokens:
    def __init__(self, text: str, names: Mapping[str, str] | None = None) -> None:
        self._names = names or {}
        self._tokens: list[str] = []
        self.used: set[str] = set()
        end = 0
        while end < len(text.rstrip()):
            match = _TOKENS.match(text, end)
            if match is None:
                raise Unknown(text)
            self._tokens.append(match[1] or match[2])
            end = match.end()
        self._tokens.reverse()

    @property
    def next(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def take(self, *expected: str) -> str:
        token = self._tokens.pop() if self._tokens else ""
        if expected and token not in expected:
            raise Unknown(f"{token!r} in an expression, where {expected} was expected")
        if token.startswith((":", "#")):
            self.used.add(token)
        return self._names.get(token, token)


@lru_cache(maxsize=1000)
def _update(text: str, names: tuple[tuple[str, str], ...] = ()) -> _Update:
    tokens = _Tokens(text, dict(names))
    parts: list[Callable[[Item, Item, Values], None]] = []
    while tokens.next:
        clause = {"SET": _set, "REMOVE": _remove, "ADD": _add}[tokens.take("SET", "REMOVE", "ADD")]
        parts.append(clause(tokens))
        while tokens.next == ",":
            tokens.take()
            parts.append(clause(tokens))
    return _Update(parts, frozenset(tokens.used))


def _set(tokens: _Tokens) -> Callable[[Item, Item, Values], None]:
    attribute = tokens.take()
    tokens.take("=")
    operand = _operand(tokens)
    if tokens.next == "+":
        tokens.take()
        first, second = operand, _operand(tokens)

        def operand(item: Item, values: Values) -> Value:
            return _sum(first(item, values), second(item, values))

    def change(new: Item, old: Item, values: Values) -> None:
        new[attribute] = operand(old, values)

    return change


def _remove(tokens: _Tokens) -> Callable[[Item, Item, Values], None]:
    attribute = tokens.take()

    def change(new: Item, _old: Item, _values: Values) -> None:
        new.pop(attribute, None)

    return change


def _add(tokens: _Tokens) -> Callable[[Item, Item, Values], None]:
    attribute, name = tokens.take(), tokens.take()

    def change(new: Item, old: Item, values: Values) -> None:
        given, held = values[name], old.get(attribute)
        if held is None:
            new[attribute] = given
        elif "SS" in given and "SS" in held:
            new[attribute] = {"SS": sorted({*held["SS"], *given["SS"]})}
        else:
            new[attribute] = _sum(held, given)

    return change


def _operand(tokens: _Tokens) -> Callable[[Item, Values], Value]:
    token = tokens.take()
    if token == "if_not_exists":  # noqa: S105 - a token of an expression
        tokens.take("(")
        attribute = tokens.take()
        tokens.take(",")
        default = tokens.take()
        tokens.take(")")
        return lambda item, values: item[attribute] if attribute in item else values[default]
    if token.startswith(":"):
        return lambda _item, values: values[token]

    def attribute_of(item: Item, _values: Values) -> Value:
        if token not in item:
            raise Refused("ValidationException")
        return item[token]

    return attribute_of


def _sum(one: Value, other: Value) -> Value:
    if "N" not in one or "N" not in other:
        raise Refused("ValidationException")
    return {"N": str(int(one["N"]) + int(other["N"]))}


def _size(value: Value) -> int:
    """The members of a set, the bytes of a text."""
    if "SS" in value:
        return len(value["SS"])
    if "S" in value:
        return len(value["S"].encode())
    raise Refused("ValidationException")


@lru_cache(maxsize=1000)
def _condition(text: str | None) -> _Condition:
    if text is None:
        return _Condition(lambda _item, _values: True, frozenset())
    tokens = _Tokens(text)
    holds = _any(tokens)
    tokens.take("")
    return _Condition(holds, frozenset(tokens.used))


def _any(tokens: _Tokens) -> Callable[[Item, Values], bool]:
    terms = [_all(tokens)]
    while tokens.next == "OR":
        tokens.take()
        terms.append(_all(tokens))
    return lambda item, values: any(term(item, values) for term in terms)


def _all(tokens: _Tokens) -> Callable[[Item, Values], bool]:
    terms = [_term(tokens)]
    while tokens.next == "AND":
        tokens.take()
        terms.append(_term(tokens))
    return lambda item, values: all(term(item, values) for term in terms)


def _term(tokens: _Tokens) -> Callable[[Item, Values], bool]:
    token = tokens.take()
    if token == "(":  # noqa: S105 - a token of an expression
        inner = _any(tokens)
        tokens.take(")")
        return inner
    if token in ("attribute_exists", "attribute_not_exists"):
        tokens.take("(")
        attribute = tokens.take()
        tokens.take(")")
        return lambda item, _values: (attribute in item) is (token == "attribute_exists")  # noqa: S105
    if token == "size":  # noqa: S105 - a token of an expression
        tokens.take("(")
        measured = tokens.take()
        tokens.take(")")
        operator, name = tokens.take("=", "<=", "<", ">", ">="), tokens.take()
        return lambda item, values: (
            measured in item and _compare({"N": str(_size(item[measured]))}, operator, values[name])
        )
    if tokens.next == "IN":
        tokens.take()
        tokens.take("(")
        names = [tokens.take()]
        while tokens.take(",", ")") == ",":
            names.append(tokens.take())
        return lambda item, values: token in item and item[token] in [values[name] for name in names]
    operator, name = tokens.take("=", "<=", "<", ">", ">="), tokens.take()
    return lambda item, values: token in item and _compare(item[token], operator, values[name])


def _compare(held: Value, operator: str, given: Value) -> bool:
    if operator == "=":
        return held == given
    if "N" not in held or "N" not in given:
        return False
    one, other = int(held["N"]), int(given["N"])
    return {"<=": one <= other, "<": one < other, ">": one > other, ">=": one >= other}[operator]
