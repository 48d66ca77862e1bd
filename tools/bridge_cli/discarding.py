"""Gives parked events up for good.

A discarded event is no longer parked, for parked is what can be sent back: it is `skipped`, with the reason
`discarded`, as a person has decided that CleverTap does not get it. So every webhook still has one outcome, and a copy
that Purchasely sends later is a duplicate.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from bridge_cli.account import Account, in_words, is_denied
from bridge_cli.cli_error import unreachable
from bridge_cli.deliveries import EventKey
from bridge_cli.parked_messages import ParkedEvent, TakenMessages
from purchasely_clevertap.aws.ledger import Ledger, LedgerUnavailable
from purchasely_clevertap.delivery.entry import Claim, Entry, Settlement
from purchasely_clevertap.delivery.keys import entry_key
from purchasely_clevertap.outcome import Parked, Skipped, SkipReason

if TYPE_CHECKING:
    from botocore.exceptions import _ClientErrorResponseTypeDef
    from botocore.model import OperationModel

_LEDGER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Discarded:
    """What became of events that were to be discarded."""

    events: tuple[EventKey, ...]
    leftovers: tuple[EventKey, ...]
    """Already had another outcome; only their messages were removed."""
    failed: Mapping[EventKey, str]
    """Not discarded, and why; still parked."""


def discard(
    ledger: Ledger, held: TakenMessages, events: Sequence[ParkedEvent], unqueued: Collection[EventKey], *, now_ms: int
) -> Discarded:
    """Writes the outcome of the events, then removes their messages; `unqueued` have none.

    In that order: an event whose message could not be removed is discarded all the same, and not lost unseen. News of
    a person has no outcome; its messages are removed.
    """
    end = time.monotonic() + _LEDGER_SECONDS
    messages = {event.key: event for event in events}
    news = [event.key for event in events if not event.newest.is_event]
    keys = [key for key in (*messages, *unqueued) if key not in news]
    failed: dict[EventKey, str] = {}
    try:
        remembered = ledger.read([entry_key(*key) for key in keys], lambda: end - time.monotonic())
        seen = {key: remembered[entry_key(*key)] for key in keys}
        open_ones = [key for key in keys if seen[key].outcome in (None, Parked.name)]
        leased = [key for key in open_ones if seen[key].lease_until > now_ms]
        failed.update(dict.fromkeys(leased, "the forwarder is at it: try again in two minutes"))
        free = [key for key in open_ones if key not in failed]
        settlements = [
            Settlement(
                Claim(entry_key(*key), seen[key], messages[key].newest.message_id if key in messages else None),
                Skipped(SkipReason.DISCARDED),
                is_claimed=False,
                keeps_facts=True,
            )
            for key in free
        ]
        settled = ledger.settle(settlements, (), lambda: end - time.monotonic(), now_ms=now_ms)
    except LedgerUnavailable as error:
        raise unreachable(f"the deliveries table does not answer ({error}): nothing was removed, try again") from error
    failed.update((key, "it has changed meanwhile: try again") for key in free if entry_key(*key) not in settled)
    gone = [*(key for key in keys if key not in failed), *news]
    left = held.remove([message for key in gone if key in messages for message in messages[key].messages])
    failed.update(
        (key, "its message could not be removed: try again")
        for key in gone
        if key in messages and any(message.id in left for message in messages[key].messages)
    )
    were_open = frozenset(free)
    return Discarded(
        events=tuple(key for key in gone if key in were_open and key not in failed),
        leftovers=tuple(key for key in gone if key not in were_open and key not in failed),
        failed=failed,
    )


def _end_when_denied(model: "OperationModel", parsed: dict[str, Any], **_: object) -> None:
    if "Error" in parsed:
        error = ClientError(cast("_ClientErrorResponseTypeDef", parsed), model.name)
        if is_denied(error):
            raise unreachable(in_words(error), parsed["Error"]["Code"])


def parked_without_message(ledger: Ledger, keys: Iterable[EventKey]) -> list[EventKey]:
    """Those of `keys` whose outcome is parked: for the ones that are not on the parked queue, all there is of them."""
    end = time.monotonic() + _LEDGER_SECONDS
    asked = list(keys)
    try:
        remembered = ledger.read([entry_key(*key) for key in asked], lambda: end - time.monotonic())
    except LedgerUnavailable as error:
        raise unreachable(f"the deliveries table does not answer ({error})") from error
    return [key for key in asked if remembered.get(entry_key(*key), Entry()).outcome == Parked.name]


def ledger_of(account: Account) -> Ledger:
    """The two tables of the stack. A person without the right to write to them hears of it at once, as a CliError: the
    ledger takes what it cannot write for something to be tried again."""
    dynamodb = account.client("dynamodb")
    dynamodb.meta.events.register("after-call.dynamodb", _end_when_denied)
    return Ledger(
        dynamodb,
        deliveries=account.output("DeliveriesTableName"),
        subscribers=account.output("SubscribersTableName"),
        owner="bridge",
        pause=time.sleep,
    )
