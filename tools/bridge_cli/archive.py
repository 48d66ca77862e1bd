"""The archive as the CLI reads and rewrites it: objects of lines in a bucket.

`v1/{kind}/{yyyy}/{MM}/{dd}/{HH}/….gz` has a JSON object a line, `v1/large/….gz` a body that fits no line. Lines come at
least once, so who reads them drops copies. `v1/forgotten/….json` are tombstones: what they hide is not there any more
for whoever reads, also while it is yet to be rewritten.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

from bridge_cli.account import Account
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.subscribers import Ids, is_about, mentions
from purchasely_clevertap.delivery.archive import LineKind
from purchasely_clevertap.delivery.message import decode_body, encode_body
from purchasely_clevertap.delivery.suppression import IdKind, NamedId
from purchasely_clevertap.purchasely.event_id import lenient_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FAILED: Final = "v1/failed/"
FORGOTTEN: Final = "v1/forgotten/"

DELIVERED_AFTER_MS: Final = 20 * 60_000
"""Firehose writes a line 15 minutes after it came, and then takes a while."""

# What comes of a person after that was not on its way when they were forgotten: Firehose and the events queue keep
# lines for 14 days at most while they fail.
_TOMBSTONE_DAYS: Final = 15
_PERSONAL: Final = (
    ("user_id", IdKind.USER),
    ("anonymous_user_id", IdKind.ANONYMOUS),
    ("clevertap_id", IdKind.OBJECT),
    ("transferred_from_user_id", IdKind.USER),
    ("transferred_to_user_id", IdKind.USER),
    ("transferred_from_anonymous_user_id", IdKind.ANONYMOUS),
    ("transferred_to_anonymous_user_id", IdKind.ANONYMOUS),
)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A forgotten person of an app, by keyed hashes of their ids. `at` is epoch milliseconds."""

    key: str
    app: str
    hashes: frozenset[str]
    at: int

    @classmethod
    def of(cls, app: str, ids: Ids, secret: str, *, now_ms: int) -> Self:
        """The tombstone of a person with these ids; its key is the same for the same ids."""
        hashes = frozenset(each.hash(secret) for each in _named(app, ids))
        name = min(hashes, default="nobody")
        return cls(f"{FORGOTTEN}{app}/{name}.json", app, hashes, now_ms)

    @classmethod
    def parse(cls, key: str, text: str) -> Self:
        """The tombstone in an object."""
        document = json.loads(text)
        return cls(key, document["app"], frozenset(document["hashes"]), document["at"])

    @property
    def text(self) -> str:
        """How the bucket has it."""
        return json.dumps({"app": self.app, "hashes": sorted(self.hashes), "at": self.at})

    def is_over(self, now_ms: int) -> bool:
        """Whether nothing of before it can still come."""
        return now_ms - self.at > _TOMBSTONE_DAYS * 86_400_000


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What was done to the archive: objects that were written anew, lines and large bodies whose person is gone, and
    lines of others in which the person was named."""

    objects: int = 0
    lines: int = 0
    redacted: int = 0


class ArchiveBucket:
    """The archive of a stack."""

    def __init__(self, s3: "S3Client", bucket: str, *, secret: str = "") -> None:
        self._s3 = s3
        self._bucket = bucket
        self._secret = secret

    @classmethod
    def of(cls, account: Account) -> Self | None:
        """That of the stack; None if it has none."""
        bucket = account.outputs.get("ArchiveBucketName")
        return None if bucket is None else cls(account.client("s3"), bucket, secret=account.suppression_key)

    @classmethod
    def required(cls, account: Account) -> Self:
        """That of the stack. CliError if it has none."""
        found = cls.of(account)
        if found is None:
            raise CliError(
                f"stack {account.stack_name} has no archive: deploy it with ArchiveDays above 0",
                code=ErrorCode.NOT_FOUND,
            )
        return found

    @cached_property
    def tombstones(self) -> list[Tombstone]:
        """Those there are."""
        return [Tombstone.parse(key, self._read(key).decode()) for key in self._keys(FORGOTTEN)]

    def webhooks(self, *, since: int | None = None, until: int | None = None) -> Iterator[dict[str, Any]]:
        """The lines of webhooks that came in a time, each `message_id` once, but for those of forgotten people.

        `body` is that of the object which a line names, for a body that fits no line.
        """
        seen: set[str] = set()
        for line in self._lines(LineKind.WEBHOOK, since, until):
            if line["message_id"] in seen:
                continue
            seen.add(line["message_id"])
            line = self._whole(line)
            if not self._is_hidden(line):
                yield line

    def message_ids(self, *, since: int) -> set[str]:
        """The ids of the messages whose webhooks are archived, also of forgotten people: no body is looked at."""
        return {line["message_id"] for line in self._lines(LineKind.WEBHOOK, since, None)}

    def failed(self) -> list[str]:
        """The objects with what Firehose could not put into its place."""
        return list(self._keys(FAILED))

    def naming(self, app: str, ids: Ids) -> int:
        """How many lines name a person; copies count."""
        lines = self._lines(LineKind.WEBHOOK, None, None)
        return sum(_without(self._whole(line), app, ids) is not None for line in lines)

    def forget(self, app: str, ids: Ids, *, now_ms: int) -> Rewritten:
        """Takes a person out of every object. A tombstone hides them until that is done, and what is still on its way.

        Whatever breaks off, it can be done again.
        """
        stone = Tombstone.of(app, ids, self._secret, now_ms=now_ms)
        self._s3.put_object(Bucket=self._bucket, Key=stone.key, Body=stone.text.encode())
        objects = lines = redacted = 0
        for key in self._keys(f"v1/{LineKind.WEBHOOK}/"):
            content = self._read(key)
            kept: list[str] = []
            gone = named = 0
            for text in content.decode().splitlines():
                line = self._whole(json.loads(text))
                changed = _without(line, app, ids)
                if changed is None:
                    kept.append(text)
                    continue
                gone, named = gone + ("forgotten" in changed), named + ("redacted" in changed)
                if line.get("object"):
                    self._s3.delete_object(Bucket=self._bucket, Key=line["object"])
                kept.append(json.dumps(changed))
            if gone or named:
                self._s3.put_object(
                    Bucket=self._bucket, Key=key, Body=gzip.compress("".join(f"{each}\n" for each in kept).encode())
                )
                objects, lines, redacted = objects + 1, lines + gone, redacted + named
        for key in self.failed():
            if any(_without(line, app, ids) is not None for line in _failed_lines(self._read(key))):
                self._s3.delete_object(Bucket=self._bucket, Key=key)
                objects += 1
        for old in self.tombstones:
            if old.key != stone.key and old.is_over(now_ms):
                self._s3.delete_object(Bucket=self._bucket, Key=old.key)
        return Rewritten(objects, lines, redacted)

    def _is_hidden(self, line: Mapping[str, Any]) -> bool:
        stones = [stone for stone in self.tombstones if stone.app == line["app"]]
        if line.get("body") is None or not stones:
            return line.get("body") is None
        payload = _payload(decode_body(line["body"]))
        hashes = {
            NamedId(line["app"], kind, str(payload[key])).hash(self._secret)
            for key, kind in _PERSONAL
            if payload.get(key) is not None
        }
        return any(hashes & stone.hashes for stone in stones)

    def _whole(self, line: dict[str, Any]) -> dict[str, Any]:
        if line.get("body") is None and line.get("object"):
            try:
                return {**line, "body": encode_body(self._read(line["object"]))}
            except self._s3.exceptions.NoSuchKey:  # it is yet to come, or is gone with its person
                return line
        return line

    def _lines(self, kind: LineKind, since: int | None, until: int | None) -> Iterator[dict[str, Any]]:
        for key in self._objects(kind, since):
            for text in self._read(key).decode().splitlines():
                if not text:
                    continue
                line = json.loads(text)
                if (since is None or line["received_at"] >= since) and (until is None or line["received_at"] < until):
                    yield line

    def _objects(self, kind: LineKind, since: int | None) -> Iterator[str]:
        """The keys of objects that may have lines since then: one is filed by when its oldest line came."""
        prefix = f"v1/{kind}/"
        if since is None:
            yield from self._keys(prefix)
            return
        first = datetime.fromtimestamp(since / 1000, UTC) - timedelta(hours=1)
        # In the order of time, so the keys behind that of the hour are the later ones.
        yield from self._keys(prefix, after=f"{prefix}{first:%Y/%m/%d/%H}/")

    def _keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, StartAfter=after or prefix
        )
        for page in pages:
            for each in page.get("Contents", ()):
                yield each["Key"]

    def _read(self, key: str) -> bytes:
        content = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return unzipped(content) if key.endswith(".gz") else content


def unzipped(content: bytes) -> bytes:
    """What is in an object; one that was cut short gives what it has."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        return zlib.decompressobj(wbits=31).decompress(content)


def _without(line: dict[str, Any], app: str, ids: Ids) -> dict[str, Any] | None:
    """A webhook's line without the person; None if it does not name them."""
    if line.get("kind") != LineKind.WEBHOOK or line["app"] != app or line.get("body") is None:
        return None
    body = decode_body(line["body"])
    if is_about(body, ids):
        return {**line, "body": None, "object": None, "sha256": None, "forgotten": True}
    payload = _payload(body)
    if not mentions(body, ids) and not any(_is_id(payload.get(key), kind, ids) for key, kind in _PERSONAL):
        return None
    left = {
        key: value
        for key, value in payload.items()
        if not any(key == named and _is_id(value, kind, ids) for named, kind in _PERSONAL)
    }
    return {**line, "body": json.dumps(left), "object": None, "sha256": None, "redacted": True}


def _is_id(value: object, kind: IdKind, ids: Ids) -> bool:
    named = {IdKind.USER: ids.users, IdKind.ANONYMOUS: ids.anonymous, IdKind.OBJECT: ids.at_clevertap}[kind]
    return value is not None and str(value) in named


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = lenient_json(body)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _named(app: str, ids: Ids) -> Iterable[NamedId]:
    for kind, named in ((IdKind.USER, ids.users), (IdKind.ANONYMOUS, ids.anonymous), (IdKind.OBJECT, ids.objects)):
        for each in named:
            yield NamedId(app, kind, each)


def _failed_lines(content: bytes) -> Iterator[dict[str, Any]]:
    """The lines in an object of what failed: Firehose writes each record in base64 into a JSON object."""
    for text in content.decode(errors="replace").splitlines():
        try:
            raw = base64.b64decode(json.loads(text)["rawData"])
            for line in raw.splitlines():
                yield json.loads(line)
        except (ValueError, KeyError, TypeError):
            continue
