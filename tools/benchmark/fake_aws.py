"""Stands in for AWS and CleverTap, in a process of its own, so that none of its work is counted as the bridge's.

It answers at once and always well, remembers what DynamoDB is given, and counts what it is asked. MiniStack does more
and takes longer over it, which would hide what is to be measured.
"""

import asyncio
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, override

import orjson
import requests

from chaos.dynamodb import Refused, Tables
from chaos.partiql import parsed
from local_stack import PRODUCTION, SANDBOX, SHARED_SECRET, sam
from local_stack.background import Background, free_port
from purchasely_clevertap.aws.ledger import HELD_INDEX

TABLES: Mapping[str, str] = {"DeliveriesTable": "event", "SubscribersTable": "subscriber"}
"""The key of each table, by the table's name."""

_INDEX = ("DeliveriesTable", HELD_INDEX, "held_for")

_SECRETS = {
    "purchasely": {"shared_secrets": [SHARED_SECRET]},
    "clevertap": {
        name: {"account_id": account.account_id, "passcode": account.passcode}
        for name, account in (("production", PRODUCTION), ("sandbox", SANDBOX))
    },
}
_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked since the last reset: calls by service and operation, and the records of each upload.

    `uploaded` are the bytes of all uploads, `write_units` what DynamoDB bills for, `delivery_bytes` those of an item of
    the deliveries table, `archived` those of the archive's records.
    """

    calls: Mapping[str, int]
    uploads: Mapping[str, Sequence[int]]
    """The number of records of each request, by CleverTap account."""
    uploaded: int
    write_units: int
    delivery_bytes: float
    archived: int

    def of(self, service: str) -> int:
        """How many calls of an AWS service."""
        return sum(number for name, number in self.calls.items() if name.startswith(service))


class StandIn:
    """A stand-in that answers at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def reset(self, items: Mapping[str, Mapping[str, Any]], settings: str | None = None) -> None:
        """Forgets everything. `items` are in the tables then, by table and key; `settings` are those of every app."""
        self._ask("POST", {"items": items, "settings": settings})

    def asked(self) -> Asked:
        """What it was asked since."""
        return Asked(**self._ask("GET", None))

    def _ask(self, method: str, body: object) -> Any:
        data = None if body is None else orjson.dumps(body)
        answer = self._session.request(method, f"{self.url}/_stand_in", data=data, timeout=60)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def standing_in(folder: Path) -> Iterator[StandIn]:
    """A stand-in for as long as the block lasts; its log goes into `folder`."""
    port = free_port()
    process = Background.start(
        "the stand-in for AWS and CleverTap",
        [sys.executable, "-m", "benchmark.fake_aws", str(port)],
        {"PYTHONPATH": f"{sam.ROOT / 'tools'}:{sam.ROOT / 'layers' / 'bridge'}", "PYTHONDONTWRITEBYTECODE": "1"},
        folder / "stand-in.log",
    )
    try:
        process.require(port, _START_SECONDS)
        yield StandIn(f"http://127.0.0.1:{port}")
    finally:
        process.stop()


@dataclass(slots=True)
class _Service:
    """What is remembered and counted."""

    settings: str | None = None
    tables: Tables = field(default_factory=lambda: Tables(TABLES, index=_INDEX, seconds=time.time))
    calls: Counter[str] = field(default_factory=Counter)
    uploads: dict[str, list[int]] = field(default_factory=dict)
    uploaded: int = 0
    write_units: int = 0
    archived: int = 0

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        if path == "/_stand_in":
            return 200, orjson.dumps(self._control(method, body))
        given = orjson.loads(body)
        if path.startswith("/1/upload"):
            number = len(given["d"])
            self.uploaded += len(body)
            self.uploads.setdefault(headers["x-clevertap-account-id"], []).append(number)
            return 200, orjson.dumps({"status": "success", "processed": number, "unprocessed": []})
        service, operation = headers["x-amz-target"].split(".")
        self.calls[f"{service} {operation}"] += 1
        try:
            return 200, orjson.dumps(self._aws(operation, given))
        except Refused as refused:
            return 400, orjson.dumps({"__type": refused.code, "message": refused.code, **refused.more})

    def _aws(self, operation: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        match operation:
            case "SendMessage":
                return {"MessageId": f"00000000-0000-0000-0000-{self.calls.total():012d}", "MD5OfMessageBody": "0" * 32}
            case "SendMessageBatch" | "ChangeMessageVisibilityBatch":
                return {"Successful": [{"Id": each["Id"]} for each in given["Entries"]]}
            case "PutRecordBatch":
                self.archived += sum(len(each["Data"]) * 3 // 4 for each in given["Records"])
                return {"FailedPutCount": 0, "RequestResponses": [{"RecordId": "1"} for _ in given["Records"]]}
            case "GetSecretValue":
                secret = _SECRETS[given["SecretId"].rpartition("/")[2]]
                return {"Name": given["SecretId"], "SecretString": json.dumps(secret)}
            case "GetParameter":
                if self.settings is None:
                    raise Refused("ParameterNotFound")
                return {"Parameter": {"Name": given["Name"], "Type": "String", "Version": 1, "Value": self.settings}}
            case "BatchExecuteStatement":
                return {"Responses": [self._executed(each) for each in given["Statements"]]}
            case "UpdateItem" | "TransactWriteItems":
                updates = [each["Update"] for each in given["TransactItems"]] if "TransactItems" in given else [given]
                before = [self._units(update) for update in updates]
                answer = self.tables.answer(operation, given)
                units = sum(map(max, before, [self._units(update) for update in updates]))
                self.write_units += units * (2 if "TransactItems" in given else 1)
                return answer
            case _:
                return self.tables.answer(operation, given)

    def _executed(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of one statement. A refused one is billed, too."""
        update = parsed(given, TABLES).update
        before = self._units(update)
        results: list[Mapping[str, Any]] = self.tables.answer("BatchExecuteStatement", {"Statements": [given]})[
            "Responses"
        ]
        self.write_units += max(before, self._units(update))
        return results[0]

    def _units(self, update: Mapping[str, Any]) -> int:
        """The write units that the item takes as it is now."""
        table = update["TableName"]
        item = self.tables.items[table].get(update["Key"][TABLES[table]]["S"], {})
        return math.ceil(max(_bytes(item), 1) / 1024)

    def _control(self, method: str, body: bytes) -> Mapping[str, Any]:
        if method == "POST":
            given = orjson.loads(body)
            self.settings = given["settings"]
            self.tables = Tables(TABLES, index=_INDEX, seconds=time.time)
            for table, items in given["items"].items():
                self.tables.items[table].update(items)
            self.calls.clear()
            self.uploads.clear()
            self.uploaded = 0
            self.write_units = 0
            self.archived = 0
        sizes = [_bytes(item) for item in self.tables.items["DeliveriesTable"].values()]
        return {
            "calls": self.calls,
            "uploads": self.uploads,
            "uploaded": self.uploaded,
            "write_units": self.write_units,
            "archived": self.archived,
            "delivery_bytes": sum(sizes) / max(len(sizes), 1),
        }


def _bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """As DynamoDB counts: names and values; of a set, its members."""
    values = (value for typed in item.values() for value in typed.values())
    return sum(map(len, item)) + sum(sum(map(len, each)) if isinstance(each, list) else len(each) for each in values)


class _Connection(asyncio.Protocol):
    """HTTP as botocore and CleverTap's client speak it: a request with a length, an answer with one, and again."""

    def __init__(self, service: _Service) -> None:
        self._service = service
        self._received = b""
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length or self._transport is None:
            return
        self._received = rest[length:]
        method, path, _ = request.split(" ")
        status, body = self._service.answer(method, path, headers, rest[:length])
        answer = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(answer.encode() + body)


async def _serve(port: int) -> None:
    service = _Service()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(service), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
