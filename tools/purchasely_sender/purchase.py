"""A subscription or a one-time purchase: what can happen to it, and the events that tell it.

The events of one fact share their instant and come with one id each. Order within a fact, and what a transfer does
to the status and the revenues, is not documented: the order here is the one of the vendor's examples, the status
stays as it is and the revenues stay with the user who paid.
"""

import string
from typing import ClassVar, Self

from .names import ENTITLEMENT
from .payload import Payload, dates
from .shop import OFFER_KEYS, ORIGINS, PREMIUM_MONTHLY, REGULAR, Offer, ShopPlan, convert
from .store import GOOGLE, letters
from .story import Story, User

_ACTIVE = frozenset({"AUTO_RENEWING", "AUTO_RENEWING_CANCELED", "IN_GRACE_PERIOD"})
_FIRST = frozenset({"ACTIVATE", "SUBSCRIPTION_STARTED"})


class Purchase:
    """What both kinds share: an owner, a plan, transactions."""

    kind: ClassVar[str]

    def __init__(self, story: Story, plan: ShopPlan, owner: User | None = None) -> None:
        self.story = story
        self.plan = plan
        self.owner = owner or story.user()
        self._origin = story.random.choice(ORIGINS)
        self._root = story.store.root(story.random)
        self._token = f"sample-token.AO-J1O{letters(story.random, string.ascii_letters + string.digits, 40)}"
        self._transactions = 0
        self._original_purchased_at = self._purchased_at = 0

    @property
    def price(self) -> float:
        """What the current period costs, in the customer's currency."""
        return self.plan.prices[self.story.customer_currency]

    def happens(self, *names: str, paid: float = 0.0, source: str = "", keys: Payload | None = None) -> Self:
        """One fact: the events `names` and, when money moved, TRANSACTION_PROCESSED.

        `paid` is in the customer's currency, negative for a refund. `source` is the event that the money belongs to,
        by default the fact's own one, which also carries `keys`.
        """
        story = self.story
        earned = story.earns(self.owner, paid)
        own = [name for name in names if name not in ENTITLEMENT]
        for name in names:
            event = {**self.payload(name), **OFFER_KEYS.get(name, {})}
            story.events.append({**event, **(keys or {})} if name in own else event)
        if paid:
            money = {
                "source_event_name": source or own[0],
                "amount_in_customer_currency": paid,
                f"amount_in_{story.console_currency.lower()}": earned,
            }
            story.events.append(self.payload("TRANSACTION_PROCESSED") | money)
        return self

    def meanwhile(self) -> Self:
        """Some days pass."""
        self.story.passes(int(self.story.day * self.story.random.uniform(3, 20)))
        return self

    def transfer(self, receiver: User) -> Self:
        """The purchase moves to another user."""
        self.meanwhile()
        giver = self.owner
        for owner, name, keys in (
            (giver, "DEACTIVATE", {}),
            (receiver, "ACTIVATE", {}),
            (giver, f"{self.kind}_TRANSFERRED", receiver.keys("transferred_to_")),
            (receiver, f"{self.kind}_RECEIVED", giver.keys("transferred_from_")),
        ):
            self.owner = owner
            self.happens(name, keys=keys)
        return self

    def payload(self, name: str) -> Payload:
        """The event `name` about the purchase as it now is."""
        story, store = self.story, self.story.store
        currency = story.console_currency.lower()
        return {
            "event_name": name,
            "event_id": story.uuid(),
            "api_version": 3,
            **dates("event_created_at", story.now),
            **self.owner.keys(),
            "device_id": self.owner.device_id,
            "device_type": self.owner.device_type,
            "environment": story.environment,
            "store": store.name,
            "store_app_bundle_id": store.app_bundle_id,
            "store_product_id": store.product_id(self.plan.id),
            "store_country": story.country,
            "store_transaction_id": store.transaction(self._root, self._transactions - 1),
            "store_original_transaction_id": store.transaction(self._root, 0),
            **({"purchase_token": self._token} if store is GOOGLE else {}),
            "purchase_type": self.plan.purchase_type,
            "product": self.plan.product,
            "plan": self.plan.id,
            **dates("purchased_at", self._purchased_at),
            **dates("original_purchased_at", self._original_purchased_at),
            "customer_currency": story.customer_currency,
            "plan_price_in_customer_currency": self.price,
            f"plan_price_in_{currency}": convert(self.price, story.customer_currency, story.console_currency),
            f"cumulated_revenues_in_{currency}": story.revenues(self.owner),
            **self._origin,
        }

    def _pays(self, at: int) -> None:
        """A transaction; stores date it to the second."""
        self._purchased_at = at // 1000 * 1000
        self._original_purchased_at = self._original_purchased_at or self._purchased_at
        self._transactions += 1


class OneTimePurchase(Purchase):
    """A consumable or a non-consumable. Its money is not told: TRANSACTION_PROCESSED is for subscriptions only."""

    kind = "ONE_TIME_PURCHASE"

    def __init__(self, story: Story, plan: ShopPlan, owner: User | None = None, content_id: str | None = None) -> None:
        super().__init__(story, plan, owner)
        self._id = f"otp_{letters(story.random, string.ascii_uppercase + string.digits, 16)}"
        self._content = {} if content_id is None else {"content_id": content_id}

    def buy(self) -> Self:
        """The user buys it."""
        self._pays(self.story.now)
        self.story.passes(0)
        return self.happens("ACTIVATE")

    def refund(self) -> Self:
        """The store gives the money back."""
        return self.meanwhile().happens("DEACTIVATE")

    def payload(self, name: str) -> Payload:
        keys = {"purchasely_one_time_purchase_id": self._id, "offer_type": REGULAR.type, "is_family_shared": False}
        return super().payload(name) | keys | self._content


class Subscription(Purchase):
    """A renewing subscription. Each method is one fact, at the time it is likely to happen, and returns the
    subscription, so that a lifecycle reads as a chain."""

    kind = "SUBSCRIPTION"

    def __init__(
        self, story: Story, plan: ShopPlan = PREMIUM_MONTHLY, owner: User | None = None, *, shared: bool = False
    ) -> None:
        super().__init__(story, plan, owner)
        self._id = self._new_id()
        self._shared = shared
        self._started = False
        self._offer = self._previous_offer = REGULAR
        self._status = "AUTO_RENEWING"
        self._next_renewal_at = 0
        self._grace_period_expires_at: int | None = None
        self._defer_end_at: int | None = None
        self._auto_resume_at: int | None = None
        self._commitment_ends_at: int | None = None

    @property
    def price(self) -> float:
        return round(super().price * self._offer.share, 2)

    def start(self, offer: Offer = REGULAR) -> Self:
        """The user subscribes. Who shares the subscription of the family pays nothing."""
        self._new_period(offer, self.story.now)
        self.story.passes(0)
        paid = 0.0 if self._shared else self.price
        self.happens("ACTIVATE", "SUBSCRIPTION_STARTED", *offer.event("STARTED"), paid=paid)
        self._started = True
        return self

    def renew(self, offer: Offer = REGULAR) -> Self:
        """The next period, at the regular price unless there is an offer."""
        early = self.story.store.hours_early * self.story.day // 24
        return self.at_renewal(early).goes_on("SUBSCRIPTION_RENEWED", offer, at=self._effective_renewal_at)

    def disable_renewal(self) -> Self:
        """The subscriber cancels; access lasts until the period ends."""
        return self.meanwhile().becomes("AUTO_RENEWING_CANCELED", "RENEWAL_DISABLED")

    def enable_renewal(self) -> Self:
        """The subscriber takes the cancellation back."""
        return self.meanwhile().becomes("AUTO_RENEWING", "RENEWAL_ENABLED")

    def request_retention_message(self) -> Self:
        """The subscriber opens the App Store's cancel sheet."""
        return self.meanwhile().happens("RETENTION_MESSAGE_REQUESTED")

    def terminate(self, name: str = "SUBSCRIPTION_TERMINATED", status: str = "DEACTIVATED") -> Self:
        """The subscription ends with its period, or later when there was no access any more."""
        names = (name, *self._offer.event("NOT_CONVERTED"))
        if self._status in _ACTIVE:
            return self.at_renewal().becomes(status, "DEACTIVATE", *names)
        return self.meanwhile().becomes(status, *names)

    def reactivate(self, offer: Offer = REGULAR) -> Self:
        """A former subscriber comes back."""
        return self.meanwhile().goes_on("SUBSCRIPTION_REACTIVATED", offer)

    def refund(self) -> Self:
        """The store gives the last payment back."""
        self.meanwhile()
        return self.becomes("REVOKED", "DEACTIVATE", "SUBSCRIPTION_REFUNDED_REVOKED", paid=-self.price)

    def stop_sharing(self) -> Self:
        """The family's owner takes the subscription away."""
        return self.meanwhile().becomes("REVOKED", "DEACTIVATE", "FAMILY_SHARED_REVOKED")

    def upgrade(self, plan: ShopPlan) -> Self:
        """A higher plan, at once; what is left of the paid period is given back."""
        self.meanwhile()
        period = self._next_renewal_at - self._purchased_at
        unused = round(self.price * (self._next_renewal_at - self.story.now) / period, 2)
        return self.changes_to(plan, "SUBSCRIPTION_UPGRADED", refund=unused)

    def downgrade(self, plan: ShopPlan) -> Self:
        """A lower plan, from the next period on."""
        return self.at_renewal().changes_to(plan, "SUBSCRIPTION_DOWNGRADED")

    def crossgrade(self, plan: ShopPlan) -> Self:
        """A plan of the same level with another period, from the next period on."""
        return self.at_renewal().changes_to(plan, "SUBSCRIPTION_CROSSGRADED")

    def enter_grace_period(self) -> Self:
        """The renewal payment fails; the store grants 16 days."""
        self.at_renewal()
        self._grace_period_expires_at = self._next_renewal_at + 16 * self.story.day
        return self.becomes("IN_GRACE_PERIOD", "GRACE_PERIOD_STARTED")

    def recover_from_grace_period(self) -> Self:
        """The payment goes through after all."""
        return self.meanwhile().goes_on("SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD")

    def cancel_in_grace_period(self) -> Self:
        """The subscriber gives up."""
        self.meanwhile()
        return self.becomes("DEACTIVATED", "DEACTIVATE", "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD")

    def lose_grace_period(self) -> Self:
        """The 16 days pass without a payment; the store keeps trying."""
        self.at_renewal()
        return self.becomes("ON_HOLD", "DEACTIVATE", "GRACE_PERIOD_TERMINATED", "ENTERED_BILLING_RETRY")

    def enter_billing_retry(self) -> Self:
        """The renewal payment fails and there is no grace period."""
        return self.at_renewal().becomes("ON_HOLD", "DEACTIVATE", "ENTERED_BILLING_RETRY")

    def recover_from_billing_retry(self) -> Self:
        """The payment goes through; a new period begins on this day."""
        return self.meanwhile().goes_on("SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY")

    def will_pause(self) -> Self:
        """The subscriber asks for a pause of 30 days from the next renewal on."""
        self._auto_resume_at = self._next_renewal_at + 30 * self.story.day
        return self.meanwhile().happens("SUBSCRIPTION_WILL_PAUSE")

    def will_not_pause(self) -> Self:
        """The subscriber calls the pause off."""
        self._auto_resume_at = None
        return self.meanwhile().happens("SUBSCRIPTION_WILL_NOT_PAUSE")

    def pause(self) -> Self:
        """The pause begins."""
        return self.at_renewal().becomes("PAUSED", "DEACTIVATE", "SUBSCRIPTION_PAUSED")

    def resume(self) -> Self:
        """The pause ends."""
        self.story.passes((self._auto_resume_at or self.story.now) - self.story.now)
        return self.goes_on("SUBSCRIPTION_UNPAUSED")

    def cancel_in_pause(self) -> Self:
        """The subscriber does not come back from the pause."""
        self._auto_resume_at = None
        return self.meanwhile().becomes("DEACTIVATED", "SUBSCRIPTION_CANCELLED_DURING_PAUSE")

    def commit(self) -> Self:
        """The user subscribes for twelve months and pays each month."""
        self._commitment_ends_at = (self.story.now + 365 * self.story.day) // 1000 * 1000
        return self.start()

    def pay_installment(self) -> Self:
        """A later month of the commitment is paid; no renewal tells it."""
        self.at_renewal()
        self._new_period(REGULAR, self._effective_renewal_at)
        return self.happens("INSTALLMENT_PAID", paid=self.price)

    def refund_installment(self) -> Self:
        """The store gives one month of the commitment back; the subscription goes on."""
        return self.meanwhile().happens("INSTALLMENT_REFUNDED", paid=-self.price)

    def defer(self) -> Self:
        """The publisher gives 14 days for free."""
        self._defer_end_at = self._next_renewal_at + 14 * self.story.day
        return self.meanwhile().happens("SUBSCRIPTION_DEFERRED")

    def meanwhile(self) -> Self:
        """A part of what is left of the period passes, or some days when it is over."""
        left = self._effective_renewal_at - self.story.now
        if left <= 0:
            return super().meanwhile()
        self.story.passes(int(left * self.story.random.uniform(0.1, 0.4)))
        return self

    def payload(self, name: str) -> Payload:
        first = not self._started and name in _FIRST
        return super().payload(name) | {
            "purchasely_subscription_id": self._id,
            "subscription_status": self._status,
            "is_family_shared": self._shared,
            "offer_type": self._offer.type,
            **({} if first else {"previous_offer_type": self._previous_offer.type}),
            **dates("next_renewal_at", self._next_renewal_at),
            **dates("effective_next_renewal_at", self._effective_renewal_at),
            **dates("grace_period_expires_at", self._grace_period_expires_at),
            **dates("defer_end_at", self._defer_end_at),
            **dates("auto_resume_at", self._auto_resume_at),
            **dates("commitment_ends_at", self._commitment_ends_at),
        }

    def at_renewal(self, early: int = 0) -> Self:
        """Time passes until the period ends, `early` milliseconds less."""
        self.story.passes(max(0, self._effective_renewal_at - early - self.story.now))
        return self

    def becomes(self, status: str, *names: str, paid: float = 0.0) -> Self:
        """The subscription gets another status, and the events `names` tell it."""
        self._status = status
        if status != "IN_GRACE_PERIOD":
            self._grace_period_expires_at = None
        return self.happens(*names, paid=paid)

    def goes_on(self, name: str, offer: Offer = REGULAR, at: int | None = None) -> Self:
        """A new period begins, paid `at` some time or now; an offer that leads to the regular price has converted."""
        ended = self._offer if self._status != "DEACTIVATED" and offer is REGULAR else REGULAR
        self._new_period(offer, self.story.now if at is None else at)
        outcome = (*ended.event("CONVERTED"), *offer.event("STARTED"))
        return self.happens("ACTIVATE", name, *outcome, paid=self.price)

    def changes_to(self, plan: ShopPlan, name: str, refund: float = 0.0) -> Self:
        """The subscription ends and one to `plan` begins; `refund` is given back for the old one."""
        old = {"from_purchasely_subscription_id": self._id, "previous_plan": self.plan.id}
        self._status = "DEACTIVATED"
        self.happens("DEACTIVATE", paid=-refund, source=name)
        self._id, self.plan = self._new_id(), plan
        self._new_period(REGULAR, self.story.now)
        return self.happens("ACTIVATE", name, paid=self.price, keys=old)

    @property
    def _effective_renewal_at(self) -> int:
        return self._grace_period_expires_at or self._defer_end_at or self._next_renewal_at

    def _new_id(self) -> str:
        return f"subs_{letters(self.story.random, string.ascii_uppercase + string.digits, 16)}"

    def _new_period(self, offer: Offer, at: int) -> None:
        self._pays(at)
        self._previous_offer, self._offer = self._offer, offer
        self._status = "AUTO_RENEWING"
        self._next_renewal_at = self._purchased_at + (offer.days or self.plan.days) * self.story.day
        self._grace_period_expires_at = self._defer_end_at = self._auto_resume_at = None
