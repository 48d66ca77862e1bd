"""MiniStack with a Firehose that takes records apart, as the archive's stream asks for.

MiniStack's own would look for partition keys in a record as a whole, and writes no gzip. It runs in MiniStack's
environment, as a script: nothing of this project can be imported here.
"""

# ruff: noqa: SLF001 - there is no other way in

import gzip
from collections import defaultdict
from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import firehose  # type: ignore[import-not-found]

_deliver = firehose._deliver_to_s3


def deliver(stream: dict[str, Any], dest: dict[str, Any], record_data: bytes, lambda_keys: Any = None) -> None:
    """Delivers one record: its lines by kind, each kind as an object; at once, where Firehose would wait for more."""
    config = dest["config"]
    processors = (config.get("ProcessingConfiguration") or {}).get("Processors") or []
    if not any(each.get("Type") == "RecordDeAggregation" for each in processors):
        _deliver(stream, dest, record_data, lambda_keys)
        return
    by_keys: defaultdict[tuple[tuple[str, str], ...], list[bytes]] = defaultdict(list)
    for line in record_data.splitlines():
        try:
            keys = firehose._metadata_extraction_keys(config, line) or {}
        except firehose._DeliveryError:
            _deliver(stream, dest, line, lambda_keys)  # into its place for what failed
            continue
        by_keys[tuple(sorted(keys.items()))].append(line + b"\n")
    now = firehose._arrival_time(config)
    for keys, lines in by_keys.items():
        prefix = firehose._evaluate_prefix(config.get("Prefix", ""), now, dict(keys), lambda_keys)
        time = firehose._java_time("yyyy-MM-dd-HH-mm-ss", now)
        name = f"{stream['name']}-{stream.get('version', 1)}-{time}-{firehose.new_uuid()}"
        body = b"".join(lines)
        if config.get("CompressionFormat") == "GZIP":
            body = gzip.compress(body)
        bucket = firehose._s3_bucket_from_arn(config["BucketARN"])
        firehose._put_s3_object(bucket, f"{prefix}{name}{config.get('FileExtension', '')}", body)


firehose._deliver_to_s3 = deliver

if __name__ == "__main__":
    main()
