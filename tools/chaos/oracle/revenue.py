"""Revenue: which events make a Charged or a Refunded, and of how much."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .policy import Policy
from .reading import BOUGHT, GIVEN_BACK, MOVED_AWAY, PAYMENT, Event, number

CHARGED = "Charged"


@dataclass(frozen=True, slots=True)
class Money:
    """A payment or, by another name, a refund: a positive `amount` in `currency` (upper case).

    `proceeds` is what is left of it for the app. `instead` are other events that may have made the record of this one.
    Not `is_certain`: the refund that a transfer looks like while its other half is late.
    """

    name: str
    event: Event
    amount: float
    currency: str
    charged_id: str | None
    proceeds: float | None
    instead: Sequence[Event] = ()
    is_certain: bool = True


def money(events: Iterable[Event], all_events: Iterable[Event], policy: Policy) -> list[Money]:
    """All that is charged and refunded by `events`, those of `all_events` of one app that belong to somebody."""
    listed = sorted(events, key=lambda each: (each.rank, each.id))
    found = [made for event in listed if event.name == PAYMENT and (made := _transaction(event, policy)) is not None]
    purchases: dict[str, list[Event]] = {}
    for event in listed:
        purchases.setdefault(_transaction_id(event), []).append(event)
    moved = {_stay(event) for event in all_events if event.name in MOVED_AWAY}
    for of_one in purchases.values():
        activated = [event for event in of_one if event.name == BOUGHT]
        revoked = [event for event in of_one if event.name == GIVEN_BACK and _stay(event) not in moved]
        charged = list(_purchase(activated, revoked, policy))
        found += charged
        if len(charged) == 1 and policy.refunds is not None:
            given_away = [event for event in of_one if event.name == GIVEN_BACK and _stay(event) in moved]
            found += [
                replace(_money(policy.refunds, event, charged[0].amount, charged[0].currency, policy), is_certain=False)
                for event in given_away
            ]
    return found


def _transaction_id(event: Event) -> str:
    return event.text("store_transaction_id") or event.text("purchasely_one_time_purchase_id") or event.id


def _stay(event: Event) -> tuple[str, int]:
    """What ends with the event: the purchase, when."""
    return _transaction_id(event), event.at


def _transaction(event: Event, policy: Policy) -> Money | None:
    amount, currency = _amount(event, "amount", policy)
    if amount is None or currency is None:
        return None
    if amount > 0:
        return _money(CHARGED, event, amount, currency, policy) if policy.charged else None
    if amount < 0 and policy.refunds is not None:
        return _money(policy.refunds, event, -amount, currency, policy)
    return None


def _purchase(activated: Sequence[Event], revoked: Sequence[Event], policy: Policy) -> Iterable[Money]:
    """A purchase is charged once, however often and to whomever it is activated; what was charged is refunded once."""
    paying = [(event, *_amount(event, "plan_price", policy)) for event in activated]
    priced = [
        (event, amount, currency)
        for event, amount, currency in paying
        if amount is not None and amount > 0 and currency is not None
    ]
    if not priced or not policy.charged:
        return
    first, amount, currency = priced[0]
    yield _money(CHARGED, first, amount, currency, policy, instead=[event for event, _, _ in priced[1:]])
    if revoked and policy.refunds is not None:
        yield _money(policy.refunds, revoked[0], amount, currency, policy, instead=revoked[1:])


def _money(
    name: str, event: Event, amount: float, currency: str, policy: Policy, instead: Sequence[Event] = ()
) -> Money:
    shares = policy.proceeds
    share = None if shares is None else shares.get(event.text("store") or "", shares.get("*"))
    proceeds = None if share is None else amount * share
    return Money(name, event, amount, currency, event.text("store_transaction_id"), proceeds, instead)


def _amount(event: Event, kind: str, policy: Policy) -> tuple[float | None, str | None]:
    """The amount and its currency. The console's takes the place of the customer's; the customer's that of the
    console's only in the same currency."""
    customer = number(event.facts.get(f"{kind}_in_customer_currency")), event.text("customer_currency")
    console = event.money(kind), event.currency.upper() if event.currency else None
    if policy.currency == "customer":
        return customer if None not in customer else console
    if None not in console:
        return console
    return customer if console[1] in (None, customer[1]) else (None, None)
