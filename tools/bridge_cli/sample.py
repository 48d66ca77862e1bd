"""Events to try things with: the samples of the folder `events/purchasely`, by name, and files."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from bridge_cli.cli_error import CliError, ErrorCode
from purchasely_sender import Payload, encode
from purchasely_sender import samples as imitated
from purchasely_sender.payload import milliseconds, moved


@cache
def samples() -> Mapping[str, Payload]:
    """One event of each known name and an unknown one, by name, as `events/purchasely` has them."""
    return MappingProxyType(imitated.events())


def sample_or_file(word: str) -> bytes:
    """The webhook body that `word` names: a sample event, in any case, or a file. CliError when it is neither."""
    if (event := samples().get(word.upper())) is not None:
        return encode(event)
    path = Path(word)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        nearest = get_close_matches(word.upper(), samples(), 1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise CliError(
            f"{word} is neither a sample event nor a file; {hint}the sample events are listed by `bridge send --list`",
            code=ErrorCode.NOT_FOUND,
        ) from None
    except OSError as error:
        raise CliError(f"{word} cannot be read: {error.strerror}", code=ErrorCode.INVALID) from error


def renewed(payload: Payload, now: datetime | None = None) -> Payload:
    """The same event as a new one of this moment: with an id of its own, all its dates moved along.

    Moved by whole seconds into the second before `now`, as stores date to the second.
    """
    at = milliseconds(now or datetime.now(UTC))
    by = (at - payload["event_created_at_ms"]) // 1000 * 1000
    return moved(payload, by) | {"event_id": str(uuid4())}


def of_user(payload: Payload, former: object, user_id: str) -> Payload:
    """The same event of the user `user_id`, wherever it names the user `former`."""
    named = ("user_id", "transferred_from_user_id", "transferred_to_user_id")
    return payload | {key: user_id for key in named if key in payload and payload[key] == former}


def as_test_purchase(payload: Payload) -> Payload:
    """The same event from a store's test environment."""
    return payload | {"environment": "SANDBOX"}


def payload_of(body: bytes) -> Payload | None:
    """The JSON object in a body, if it is one."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None
