"""The body of a webhook: one flat JSON object."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

# A webhook body as JSON has it. Purchasely may add keys at any time, so it is open.
type Payload = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    """`moment` in epoch milliseconds; it must be aware, or the result would depend on the machine's zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def dates(key: str, moment: int | None) -> Payload:
    """`key` in Purchasely's ISO form (UTC, 3 decimals, Z) and its `_ms` twin; neither when there is no moment."""
    if moment is None:
        return {}
    iso = (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
    return {key: iso.replace("+00:00", "Z"), f"{key}_ms": moment}


def moved(payload: Payload, by: int) -> Payload:
    """The same event `by` milliseconds later: every date of it moves, nothing else."""
    later = dict(payload)
    for key, value in payload.items():
        if key.endswith("_ms"):
            later |= dates(key.removesuffix("_ms"), value + by)
    return later


def encode(payload: Payload) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
