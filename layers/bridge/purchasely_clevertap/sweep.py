"""The daily sweep: who has a date that has passed, and which events have waited for long enough.

It decides nothing: it puts a message for each on the events queue, and the forwarder looks. A message too many does no
harm, so a sweep may be repeated, and one that dies is begun again by the next call.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from purchasely_clevertap.aws.ledger import HELD_INDEX, held_event
from purchasely_clevertap.aws.queues import SendQueue

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ScanInputTypeDef, ScanOutputTypeDef

_DAY_MS: Final = 86_400_000
_SENT_TOGETHER: Final = 100
_PROGRESS: Final = "sweep#progress"  # no app is called so: a person's key has more parts

# Kept back to write down how far it is.
_MARGIN_SECONDS: Final = 15.0


class Progress(NamedTuple):
    """How far the sweep of a day is: which segment, and the key that its scan goes on from."""

    day: int = 0
    segment: int = 0
    start: str | None = None


class Swept(NamedTuple):
    """What a call did: persons and held events that are to be looked at, and whether the day's sweep is done."""

    persons: int
    held: int
    is_done: bool


class Sweep:
    """Sweeps the tables once a day, in `segments`; a call goes on where the last one stopped."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        events: SendQueue,
        *,
        deliveries: str,
        subscribers: str,
        clock: Callable[[], int],
        segments: int = 16,
    ) -> None:
        self._dynamodb = dynamodb
        self._events = events
        self._deliveries = deliveries
        self._subscribers = subscribers
        self._clock = clock
        self._segments = segments

    def run(self, time_left: Callable[[], float]) -> Swept:
        """Goes on until the day's sweep is done or the time is over. Raises what AWS's client raises."""
        now = self._clock()
        progress = self._progress(now // _DAY_MS)
        persons = held = 0
        if progress.segment == 0 and progress.start is None:
            held = self._send_held(now)
        while progress.segment < self._segments:
            if time_left() < _MARGIN_SECONDS:
                self._keep(progress)
                return Swept(persons, held, is_done=False)
            page = self._page(progress, now)
            persons += self._send_lapses([item["subscriber"]["S"] for item in page["Items"]], now)
            last = page.get("LastEvaluatedKey")
            progress = (
                progress._replace(start=last["subscriber"]["S"])
                if last
                else progress._replace(segment=progress.segment + 1, start=None)
            )
        self._keep(progress)
        return Swept(persons, held, is_done=True)

    def _page(self, progress: Progress, now: int) -> "ScanOutputTypeDef":
        """Persons of whom something is over by its date, whatever more is heard of it later.

        What is known of an id that a user has become is the user's.
        """
        asked: ScanInputTypeDef = {
            "TableName": self._subscribers,
            "Segment": progress.segment,
            "TotalSegments": self._segments,
            "ProjectionExpression": "subscriber",
            "FilterExpression": "ends_at <= :now AND attribute_not_exists(tied_user)",
            "ExpressionAttributeValues": {":now": {"N": str(now)}},
        }
        if progress.start is not None:
            asked["ExclusiveStartKey"] = {"subscriber": {"S": progress.start}}
        return self._dynamodb.scan(**asked)

    def _send_lapses(self, keys: Iterable[str], now: int) -> int:
        sent = 0
        for app, theirs in _by_app(keys).items():
            for together in batched(theirs, _SENT_TOGETHER, strict=False):
                _require(self._events.send_lapses(app, together, now_ms=now))
                sent += len(together)
        return sent

    def _send_held(self, now: int) -> int:
        sent = 0
        for together in batched(self._expired(now), _SENT_TOGETHER, strict=False):
            for app, keys in _by_app(event.key for event in together).items():
                _require(self._events.send_held(app, [event.hold for event in together if event.key in keys]))
            sent += len(together)
        return sent

    def _expired(self, now: int) -> Iterator[Any]:
        start: Mapping[str, Any] | None = None
        while True:
            asked: ScanInputTypeDef = {
                "TableName": self._deliveries,
                "IndexName": HELD_INDEX,
                "FilterExpression": "hold_until <= :now",
                "ExpressionAttributeValues": {":now": {"N": str(now)}},
            }
            if start:
                asked["ExclusiveStartKey"] = start
            page = self._dynamodb.scan(**asked)
            yield from (held_event(item) for item in page["Items"])
            start = page.get("LastEvaluatedKey")
            if not start:
                return

    def _progress(self, day: int) -> Progress:
        found = self._dynamodb.get_item(
            TableName=self._subscribers, Key={"subscriber": {"S": _PROGRESS}}, ConsistentRead=True
        ).get("Item", {})
        if int(found.get("sweep_day", {}).get("N", -1)) != day:
            return Progress(day)
        return Progress(day, int(found["sweep_segment"]["N"]), found.get("sweep_start", {}).get("S"))

    def _keep(self, progress: Progress) -> None:
        item: dict[str, Any] = {
            "subscriber": {"S": _PROGRESS},
            "sweep_day": {"N": str(progress.day)},
            "sweep_segment": {"N": str(progress.segment)},
        }
        if progress.start is not None:
            item["sweep_start"] = {"S": progress.start}
        self._dynamodb.put_item(TableName=self._subscribers, Item=item)


def _by_app(keys: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(key.partition("#")[0], []).append(key)
    return found


def _require(errors: Iterable[str | None]) -> None:
    """The sweep of this day goes on with the next call if the queue does not take it all."""
    if failed := next((error for error in errors if error is not None), None):
        raise RuntimeError(f"the events queue does not take what is to be looked at: {failed}")
