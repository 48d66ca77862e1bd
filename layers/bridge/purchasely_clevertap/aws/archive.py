"""Hands lines over to Firehose and large bodies to S3; what they do not take goes to the events queue.

No event waits for it: the clients try each call once and for a second, there are two tries, and after a failure
Firehose is left alone for half a minute.
"""

import gzip
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.aws.queues import SendQueue
from purchasely_clevertap.delivery.archive import Archived, LargeBody, calls, records
from purchasely_clevertap.delivery.message import Message, encode_body
from purchasely_clevertap.delivery.result import ArchiveReport

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient
    from mypy_boto3_s3 import S3Client

_TRIES: Final = 2
_QUIET_SECONDS: Final = 30.0
_SECONDS_OF_A_CALL: Final = 3.0  # to connect, to wait, and to keep what was not taken


class Archive:
    """The archive of a stack, as the forwarder writes it. `seconds` is a clock that only grows; `s3` makes a client."""

    def __init__(
        self,
        firehose: "FirehoseClient",
        s3: "Callable[[], S3Client]",
        events: SendQueue,
        *,
        stream: str,
        bucket: str,
        seconds: Callable[[], float],
    ) -> None:
        self._firehose = firehose
        self._make_s3 = s3
        self._s3: S3Client | None = None
        self._events = events
        self._stream = stream
        self._bucket = bucket
        self._seconds = seconds
        self._left_alone_until = float("-inf")
        self._calls = 0
        self._error: str | None = None

    def hand_over(
        self, batch: Archived, carried: Sequence[Message], time_left: Callable[[], float], *, now_ms: int
    ) -> tuple[frozenset[str], ArchiveReport]:
        """The ids of the messages of `carried` that need not come again, and what became of the rest.

        Raises nothing for what AWS does.
        """
        self._calls, self._error = 0, None
        lines = [message for message in carried if not message.object_key]
        own = list(records(batch.lines))
        refused = self._put_records([*own, *(message.body for message in lines)], time_left)
        failed = {lines[place - len(own)].id for place in refused if place >= len(own)}
        failed |= {
            message.id
            for message in carried
            if message.object_key and not self._put_body(LargeBody(message.object_key, message.body), time_left)
        }
        kept = [(encode_body(own[place]), "") for place in refused if place < len(own)]
        kept += [(encode_body(each.body), each.key) for each in batch.bodies if not self._put_body(each, time_left)]
        errors = self._events.send_archive(kept, now_ms=now_ms)
        lost = sum(error is not None for error in errors)
        report = ArchiveReport(len(batch.lines), self._calls, len(kept) + len(failed), lost, self._error)
        return frozenset(message.id for message in carried) - failed, report

    def _put_records(self, wanted: Sequence[bytes], time_left: Callable[[], float]) -> list[int]:
        """The places of the records that Firehose did not take."""
        places = list(range(len(wanted)))
        if places and self._seconds() < self._left_alone_until:
            self._error = "left alone after a failure"
            return places
        is_down = False
        for _ in range(_TRIES):
            refused: list[int] = []
            is_down = False
            for together in calls([wanted[place] for place in places]):
                of_call = [places[each] for each in together]
                # One time-out a try is enough.
                left = None if is_down or not self._has_time(time_left) else self._put_together(wanted, of_call)
                is_down = is_down or left is None
                refused += of_call if left is None else left
            places = refused
        if is_down:
            self._left_alone_until = self._seconds() + _QUIET_SECONDS
        return places

    def _has_time(self, time_left: Callable[[], float]) -> bool:
        if time_left() >= _SECONDS_OF_A_CALL:
            return True
        self._error = "no time left"
        return False

    def _put_together(self, wanted: Sequence[bytes], places: Sequence[int]) -> list[int] | None:
        """Which of these records Firehose did not take; None if it took nothing, or did not say what."""
        self._calls += 1
        try:
            answer = self._firehose.put_record_batch(
                DeliveryStreamName=self._stream, Records=[{"Data": wanted[place]} for place in places]
            )
        except ClientError as error:
            self._error = error.response["Error"]["Code"]
            return None
        except BotoCoreError as error:
            self._error = type(error).__name__
            return None
        responses = answer.get("RequestResponses", [])
        # Taken is only what the answer says is taken.
        refused = [
            place
            for number, place in enumerate(places)
            if number >= len(responses) or not responses[number].get("RecordId")
        ]
        if refused:
            self._error = next((each["ErrorCode"] for each in responses if each.get("ErrorCode")), "unanswered")
        return refused

    def _put_body(self, body: LargeBody, time_left: Callable[[], float]) -> bool:
        self._s3 = self._s3 or self._make_s3()
        content = gzip.compress(body.body, mtime=0)
        for _ in range(_TRIES):
            if not self._has_time(time_left):
                break
            try:
                self._s3.put_object(Bucket=self._bucket, Key=body.key, Body=content)
            except ClientError as error:
                self._error = error.response["Error"]["Code"]
            except BotoCoreError as error:
                self._error = type(error).__name__
            else:
                return True
        return False
