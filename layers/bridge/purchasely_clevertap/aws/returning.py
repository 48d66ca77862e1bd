"""Messages that come again: hidden for their wait, and named to Lambda as failed."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.forwarder import MessageResult
from purchasely_clevertap.outcome import BUSY, Retried

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_CHANGED_TOGETHER: Final = 10  # SQS, ChangeMessageVisibilityBatch


class Returns:
    """Gives messages back to the events queue. `chance` gives a random number from 0 to 1."""

    def __init__(
        self, sqs: "SQSClient", *, queue_url: str, retry_policy: RetryPolicy, chance: Callable[[], float]
    ) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._retry_policy = retry_policy
        self._chance = chance

    def hide(self, handled: Iterable[MessageResult]) -> list[dict[str, str]]:
        """Hides every retried message for its wait; the answer names them, as ReportBatchItemFailures wants.

        A message that cannot be hidden, and one of the dead-letter queue, comes again after the queue's own
        visibility timeout.
        """
        retried = [each for each in handled if isinstance(each.outcome, Retried)]
        hidden = [each for each in retried if not each.message.dead_letter]
        for start in range(0, len(hidden), _CHANGED_TOGETHER):
            self._change(hidden[start : start + _CHANGED_TOGETHER])
        return [{"itemIdentifier": each.message.id} for each in retried]

    def _change(self, together: Sequence[MessageResult]) -> None:
        # Left to the visibility timeout if it fails: the message is safe on the queue either way.
        with suppress(ClientError, BotoCoreError):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": each.message.receipt_handle,
                        "VisibilityTimeout": self._wait(each),
                    }
                    for index, each in enumerate(together)
                ],
            )

    def _wait(self, handled: MessageResult) -> int:
        if handled.outcome == BUSY:
            return self._retry_policy.wait_while_busy(self._chance)
        return self._retry_policy.wait(handled.message.receives, self._chance)
