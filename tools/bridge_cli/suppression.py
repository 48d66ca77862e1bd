"""Keeps people forgotten: marks their ids, as keyed hashes, so that the forwarder skips what comes about them."""

import time
from collections.abc import Callable
from typing import Final

from bridge_cli.account import Account
from bridge_cli.cli_error import unreachable
from bridge_cli.discarding import ledger_of
from bridge_cli.subscribers import Ids
from purchasely_clevertap.aws.ledger import LedgerUnavailable
from purchasely_clevertap.delivery.keys import suppressed_keys
from purchasely_clevertap.delivery.suppression import IdKind, Mark, NamedId, owned

_LEDGER_SECONDS: Final = 60.0


def marks_of(account: Account, app: str, user_id: str, ids: Ids) -> list[Mark]:
    """The marks of a person's ids; they are found again by the user id, or by `user_id` if there is none."""
    owner = NamedId(app, IdKind.USER, min(ids.users, default=user_id))
    named = [
        NamedId(app, kind, each)
        for kind, given in (
            (IdKind.USER, ids.users),
            (IdKind.ANONYMOUS, ids.anonymous),
            (IdKind.OBJECT, ids.objects),
        )
        for each in sorted(given)
    ]
    return [Mark.of(each, owner, account.suppression_key) for each in named]


def suppressed(account: Account, app: str, id: str) -> list[Mark]:
    """Every mark of the person who has this id, of whatever kind it is."""
    hashes = {NamedId(app, kind, id).hash(account.suppression_key) for kind in IdKind}
    ledger, left = ledger_of(account), _time_left()
    try:
        return owned(ledger.marks(suppressed_keys(app), left), hashes)
    except LedgerUnavailable as error:
        raise unreachable(f"the subscribers table does not answer ({error}): try again") from error


def suppress(account: Account, marks: list[Mark]) -> None:
    """Marks the ids. Marking them again changes nothing."""
    try:
        ledger_of(account).suppress(marks, _time_left())
    except LedgerUnavailable as error:
        raise unreachable(f"the subscribers table does not answer ({error}): try again") from error


def unsuppress(account: Account, marks: list[Mark]) -> None:
    """Takes the marks away."""
    try:
        ledger_of(account).unsuppress(marks, _time_left())
    except LedgerUnavailable as error:
        raise unreachable(f"the subscribers table does not answer ({error}): try again") from error


def _time_left() -> Callable[[], float]:
    end = time.monotonic() + _LEDGER_SECONDS
    return lambda: end - time.monotonic()
