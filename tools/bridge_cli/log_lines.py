"""Log lines: those of one event, from both functions, and those that tell of a former secret."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

from bridge_cli.account import Account

_BEFORE_MS: Final = 60_000
_AFTER_MS: Final = 3_600_000
_VALUES: Final = 15  # a filter pattern has at most 1024 characters
_OF_EVERY_LINE: Final = frozenset({"level", "location", "message", "request_id", "service", "stage", "timestamp"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line; `at` is epoch milliseconds, `facts` is all but what every line has."""

    at: int
    function: str
    message: str
    facts: dict[str, Any]


def lines_of(
    account: Account, *, app: str, event_id: str, messages: Collection[str], start: int, end: int | None
) -> list[Line]:
    """The lines that name the event or a message that brought it, from shortly before `start` to an hour after `end`.

    Ingest does not look into what it lets in, so its lines name the message only. Raises ClientError.
    """
    logs = account.client("logs")
    span = (start - _BEFORE_MS, None if end is None else end + _AFTER_MS)
    found = list(_matching(logs, account.output("ForwarderLogGroup"), "forwarder", "event_id", [event_id], span))
    if messages:
        found += _matching(logs, account.output("IngestLogGroup"), "ingest", "message_id", sorted(messages), span)
    return sorted((line for line in found if line.facts.get("app") == app), key=lambda line: line.at)


def last_with_former_secret(account: Account, app: str, *, since: int) -> int | None:
    """When ingest has last taken a webhook of `app` that was signed with a former secret; None if never since
    `since`. Both are epoch milliseconds. Raises ClientError."""
    group = account.output("IngestLogGroup")
    lines = _matching(account.client("logs"), group, "ingest", "signed_with", ["former"], (since, None))
    return max((line.at for line in lines if line.facts.get("app") == app and line.at >= since), default=None)


def _matching(
    logs: "CloudWatchLogsClient",
    group: str,
    function: str,
    name: str,
    values: Sequence[str],
    span: tuple[int, int | None],
) -> Iterator[Line]:
    """The lines of a log group in which `name` is one of the first `values`."""
    asked = values[:_VALUES]
    start, end = span
    query: dict[str, Any] = {
        "logGroupName": group,
        "filterPattern": "{ " + " || ".join(f'($.{name} = "{value}")' for value in asked) + " }",
        "startTime": max(start, 0),
    }
    if end is not None:
        query["endTime"] = end
    for page in logs.get_paginator("filter_log_events").paginate(**query):
        for event in page["events"]:
            try:
                line = json.loads(event["message"])
            except ValueError:
                continue
            # Looked at once more: an emulated CloudWatch does not know such patterns and gives every line.
            if isinstance(line, dict) and line.get(name) in asked:
                facts = {key: value for key, value in line.items() if key not in _OF_EVERY_LINE}
                yield Line(event["timestamp"], function, str(line.get("message", "")), facts)
