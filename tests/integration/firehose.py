"""Firehose as far as the archive goes: its limits, and its objects as the template's stream makes them.

Sources: Amazon Data Firehose, PutRecordBatch and quotas (500 records and 4 MiB a call, 1000 KiB a record), dynamic
partitioning of aggregated data (500 lines of a record).
"""

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.client import BaseClient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STREAM = "archive"
BUCKET = "archive-bucket"
MIB = 1024 * 1024


class Firehose:
    """A stream into a bucket. `refused` are places of the next call's records that it does not take."""

    def __init__(self, s3: "S3Client", clock: Callable[[], int]) -> None:
        self._s3 = s3
        self._clock = clock
        self._records: list[bytes] = []
        self._objects = 0
        self.refused: frozenset[int] = frozenset()

    def connect[C: BaseClient](self, client: C) -> C:
        """`client`, answered here."""
        answer: Any = self._put
        client.meta.events.register("before-call", answer)  # behind a script, if there is one
        return client

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line that it has taken, in their order."""
        return [json.loads(line) for record in self._records for line in record.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The lines of a kind."""
        return [line for line in self.lines if line["kind"] == kind]

    def deliver(self) -> None:
        """Writes what it has taken into the bucket, an object for each kind."""
        by_kind: defaultdict[str, list[bytes]] = defaultdict(list)
        for record in self._records:
            for line in record.splitlines():
                by_kind[json.loads(line)["kind"]].append(line)
        hour = datetime.fromtimestamp(self._clock() / 1000, UTC).strftime("%Y/%m/%d/%H")
        for kind, lines in by_kind.items():
            self._objects += 1
            self._s3.put_object(
                Bucket=BUCKET,
                Key=f"v1/{kind}/{hour}/{STREAM}-1-{self._objects}.gz",
                Body=gzip.compress(b"".join(line + b"\n" for line in lines)),
            )
        self._records.clear()

    def _put(self, params: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]]:
        asked = json.loads(params["body"])
        records = [base64.b64decode(each["Data"]) for each in asked["Records"]]
        assert asked["DeliveryStreamName"] == STREAM
        assert 0 < len(records) <= 500
        assert sum(len(each["Data"]) for each in asked["Records"]) <= 4 * MIB
        for record in records:
            assert 0 < len(record) <= 1000 * 1024
            assert record.endswith(b"\n")
            assert 0 < len(record.splitlines()) <= 500
        refused, self.refused = self.refused, frozenset()
        answers: list[dict[str, str]] = []
        for place, record in enumerate(records):
            if place in refused:
                answers.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
            else:
                self._records.append(record)
                answers.append({"RecordId": f"record-{place}"})
        return SimpleNamespace(status_code=200), {"FailedPutCount": len(refused), "RequestResponses": answers}
