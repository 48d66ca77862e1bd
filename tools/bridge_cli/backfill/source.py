"""The files of a backfill, line by line: NDJSON or CSV, plain or gzipped. Nothing is held but one line.

A file is read twice, so stdin is first written to a temporary file that nobody else may read.
"""

import csv
import gzip
import hashlib
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, NamedTuple, cast

import orjson

from bridge_cli.cli_error import CliError, ErrorCode
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES
from purchasely_clevertap.purchasely.event import typed

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_CSV: Final = ".csv"
_NDJSON: Final = (".ndjson", ".jsonl", ".json")
_SHOWN: Final = 60  # characters of a wrong value that a message repeats

csv.field_size_limit(MAX_BODY_BYTES)


class Fault(NamedTuple):
    """What is wrong with a line: the column (empty for the line as a whole), what stands there, what may."""

    column: str
    found: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line that holds something: `payload` is what it says, `fault` why it says nothing."""

    file: str
    line: int
    payload: dict[str, Any] | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a backfill: its name for people, where it is, and the SHA-256 of its bytes."""

    name: str
    path: Path
    digest: str

    def rows(self) -> Iterator[Row]:
        """Its lines, blank ones left out. CliError if it cannot be read."""
        try:
            with _opened(self.path) as file:
                yield from self._rows(file)
        except (OSError, EOFError, zlib.error) as error:
            raise CliError(f"{self.name} cannot be read: {error}", code=ErrorCode.INVALID) from error

    def _rows(self, file: BinaryIO) -> Iterator[Row]:
        if _is_csv(self.name, file):
            yield from _csv_rows(self.name, file)
        else:
            yield from _json_rows(self.name, file)


@contextmanager
def sources(names: Sequence[str]) -> Iterator[tuple[Source, ...]]:
    """The files of these names; `-` is stdin. CliError if one cannot be read."""
    if names.count(STDIN) > 1:
        raise CliError("stdin can be read once only", code=ErrorCode.USAGE)
    with tempfile.TemporaryDirectory(prefix="bridge-backfill-") as folder:  # for its owner alone: mode 700
        yield tuple(_source(name, Path(folder)) for name in names)


def shown(value: object) -> str:
    """A value as a message repeats it."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _source(name: str, folder: Path) -> Source:
    path = Path(name)
    try:
        if name == STDIN:
            path = _spooled(sys.stdin.buffer, folder)
        elif path.exists() and not path.is_file() and not path.is_dir():  # a pipe, as stdin is one
            with path.open("rb") as pipe:
                path = _spooled(pipe, folder)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror}", code=ErrorCode.NOT_FOUND) from error
    return Source("stdin" if name == STDIN else name, path, digest)


def _spooled(stream: IO[bytes], folder: Path) -> Path:
    """A file of all that a stream holds, for its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as spool:
        shutil.copyfileobj(stream, spool)
    return Path(name)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if not is_packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast("BinaryIO", unpacked)


def _is_csv(name: str, file: BinaryIO) -> bool:
    suffixes = Path(name.lower().removesuffix(".gz")).suffix
    if suffixes == _CSV:
        return True
    if suffixes in _NDJSON:
        return False
    begin = cast("Any", file).peek(1024) if hasattr(file, "peek") else b""
    return not begin.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number from 1; None for one that no message can carry."""
    number = 0
    while line := file.readline(MAX_BODY_BYTES):
        number += 1
        is_too_long = False
        while not line.endswith(b"\n") and (more := file.readline(MAX_BODY_BYTES)):
            is_too_long, line = True, more
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        yield number, None if is_too_long else line


def _too_long() -> Fault:
    return Fault("", "a line that is too long", f"at most {MAX_BODY_BYTES} bytes")


def _json_rows(name: str, file: IO[bytes]) -> Iterator[Row]:
    for number, line in _lines(file):
        if line is None:
            yield Row(name, number, fault=_too_long())
        elif line.strip():
            try:
                payload = orjson.loads(line)
            except ValueError:
                text = line.decode(errors="replace").strip()
                yield Row(name, number, fault=Fault("", shown(text), "one JSON object a line, in UTF-8"))
                continue
            if isinstance(payload, dict):
                yield Row(name, number, payload)
            else:
                yield Row(name, number, fault=Fault("", shown(payload), "a JSON object"))


class _CsvText:
    """The lines of a CSV file as text, for its reader; `number` is that of the last one that was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = _lines(file)
        self.number = 0
        self.fault: Fault | None = None

    def __iter__(self) -> "_CsvText":
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if line is None:
            self.fault = _too_long()
            return "\n"
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.fault = Fault("", shown(line.decode(errors="replace").strip()), "text in UTF-8")
            return line.decode(errors="replace")


def _csv_rows(name: str, file: IO[bytes]) -> Iterator[Row]:
    text = _CsvText(file)
    reader = csv.reader(text, strict=True)
    header: list[str] | None = None
    while True:
        number = text.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield Row(name, number, fault=Fault("", str(error), "a row of CSV, with commas and double quotes"))
            if header is None:
                return
            continue
        fault, text.fault = text.fault, None
        if fault is not None:
            yield Row(name, number, fault=fault)
            if header is None:
                return
        elif header is None:
            header = [cell.strip() for cell in cells]
            if problem := _header_problem(header):
                yield Row(name, number, fault=problem)
                return
        elif not any(cell.strip() for cell in cells):
            continue
        elif len(cells) != len(header):
            yield Row(name, number, fault=Fault("", f"{len(cells)} cells", f"{len(header)}, as the header has"))
        else:
            yield Row(name, number, _payload(header, cells))
    if header is None:
        yield Row(name, 1, fault=Fault("", "nothing", "a header with the webhook's keys"))


def _header_problem(header: Sequence[str]) -> Fault | None:
    for column in header:
        if not column:
            return Fault("", "a column without a name", "the webhook's keys")
        if header.count(column) > 1:
            return Fault(column, "twice in the header", "each column once")
        outer = column.partition(".")[0]
        if outer != column and (outer in header or column.count(".") > 1):
            return Fault(column, "a column within a column", "a key, or one key of an object: attribution.utm_source")
    return None


def _payload(header: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The webhook that a row stands for: an empty cell is an absent key, a dotted one is a key of an object."""
    payload: dict[str, Any] = {}
    for column, cell in zip(header, cells, strict=True):
        if not cell.strip():
            continue
        outer, dot, inner = column.partition(".")
        if dot:
            payload.setdefault(outer, {})[inner] = cell
        else:
            payload[column] = typed(column, cell)
    return payload
