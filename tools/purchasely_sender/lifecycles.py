"""Lifecycles: what Purchasely tells of a user from the first purchase to the last event.

Each is a pure function of a seed and a start time. Together they hold every event that Purchasely is known to send.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType

from .names import UNKNOWN_EVENT
from .payload import Payload, milliseconds
from .purchase import OneTimePurchase, Subscription
from .shop import (
    BASIC_MONTHLY,
    COINS,
    FREE_TRIAL,
    INTRO_OFFER,
    LIFETIME,
    MARKETS,
    NEWS_MONTHLY,
    PREMIUM_MONTHLY,
    PREMIUM_QUARTERLY,
    PROMO_CODE,
    PROMOTIONAL_OFFER,
)
from .store import AMAZON, APPLE, GOOGLE, HUAWEI, STORES, STRIPE, Store
from .story import Story, User


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`events` in the order in which they are sent; `user` is the one it begins with."""

    name: str
    user: User
    events: tuple[Payload, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Tells one kind of lifecycle; `share` is its weight among the others in real traffic."""

    name: str
    meaning: str
    tell: Callable[[Story], object]
    stores: Sequence[Store]
    environment: str
    share: int

    def __call__(self, seed: int, start: datetime, currency: str = "usd") -> Lifecycle:
        """The lifecycle that begins at `start` (aware); `currency` is the console's default one, in lower case."""
        random = Random(f"{self.name} {seed}")  # noqa: S311 - imitated data, not secrets
        country, customer_currency = random.choice(MARKETS)
        story = Story(
            random=random,
            now=milliseconds(start),
            store=random.choice(self.stores),
            country=country,
            customer_currency=customer_currency,
            console_currency=currency.upper(),
            environment=self.environment,
        )
        self.tell(story)
        return Lifecycle(self.name, story.users[0], tuple(story.events))

    def ending(self, seed: int, end: datetime, currency: str = "usd") -> Lifecycle:
        """The same lifecycle, its last event within the few seconds before `end`."""
        events = self(seed, end, currency).events
        span = events[-1]["event_created_at_ms"] - milliseconds(end)
        # Transactions are dated to the second, so the span may differ by one.
        return self(seed, end - timedelta(milliseconds=span + 1000), currency)


_scenarios: dict[str, Scenario] = {}
LIFECYCLES: Mapping[str, Scenario] = MappingProxyType(_scenarios)


def _scenario(
    *, stores: Sequence[Store] = STORES, environment: str = "PRODUCTION", share: int = 1
) -> Callable[[Callable[[Story], object]], Scenario]:
    def register(tell: Callable[[Story], object]) -> Scenario:
        scenario = Scenario(tell.__name__, tell.__doc__ or "", tell, stores, environment, share)
        _scenarios[scenario.name] = scenario
        return scenario

    return register


@_scenario(share=4)
def trial_converts(story: Story) -> None:
    """A free trial becomes a paid subscription."""
    Subscription(story).start(FREE_TRIAL).renew().renew()


@_scenario(share=4)
def trial_not_converted(story: Story) -> None:
    """A free trial is cancelled and ends."""
    Subscription(story).start(FREE_TRIAL).disable_renewal().terminate()


@_scenario(share=8)
def renewals(story: Story) -> None:
    """A subscription that goes on."""
    Subscription(story).start().renew().renew().renew()


@_scenario(share=3)
def second_thoughts(story: Story) -> None:
    """Renewal is switched off, on and off again; then the subscription ends."""
    Subscription(story).start().disable_renewal().enable_renewal().renew().disable_renewal().terminate()


@_scenario()
def refund(story: Story) -> None:
    """A payment is given back and access is lost."""
    Subscription(story).start().renew().refund()


@_scenario()
def upgrade(story: Story) -> None:
    """To a higher plan at once, with a partial refund."""
    Subscription(story, BASIC_MONTHLY).start().renew().upgrade(PREMIUM_MONTHLY).renew()


@_scenario()
def downgrade(story: Story) -> None:
    """To a lower plan from the next period on."""
    Subscription(story, PREMIUM_MONTHLY).start().downgrade(BASIC_MONTHLY).renew()


@_scenario()
def crossgrade(story: Story) -> None:
    """To a plan of the same level with another period."""
    Subscription(story, PREMIUM_MONTHLY).start().crossgrade(PREMIUM_QUARTERLY)


@_scenario(stores=(APPLE, GOOGLE, STRIPE))
def grace_period(story: Story) -> None:
    """A payment fails and goes through within the grace period."""
    Subscription(story).start().enter_grace_period().recover_from_grace_period().renew()


@_scenario(stores=(APPLE, GOOGLE, STRIPE))
def grace_period_lost(story: Story) -> None:
    """A payment fails for good."""
    Subscription(story).start().enter_grace_period().lose_grace_period().terminate()


@_scenario(stores=(APPLE, GOOGLE, STRIPE))
def grace_period_cancelled(story: Story) -> None:
    """The subscriber cancels in the grace period."""
    Subscription(story).start().enter_grace_period().cancel_in_grace_period()


@_scenario()
def billing_retry(story: Story) -> None:
    """A payment fails, access is lost and comes back with the payment."""
    Subscription(story).start().enter_billing_retry().recover_from_billing_retry().renew()


@_scenario(stores=(STRIPE,))
def billing_retry_lost(story: Story) -> None:
    """A payment fails and the store stops trying."""
    Subscription(story).start().enter_billing_retry().terminate(status="UNPAID")


@_scenario(stores=(GOOGLE,))
def pause(story: Story) -> None:
    """A pause and its end."""
    Subscription(story).start().will_pause().pause().resume().renew()


@_scenario(stores=(GOOGLE,))
def pause_cancelled(story: Story) -> None:
    """The subscriber cancels during the pause."""
    Subscription(story).start().will_pause().pause().cancel_in_pause()


@_scenario(stores=(GOOGLE,))
def pause_called_off(story: Story) -> None:
    """A pause is asked for and called off."""
    Subscription(story).start().will_pause().will_not_pause().renew()


@_scenario(stores=(GOOGLE,))
def deferred(story: Story) -> None:
    """The publisher gives days for free."""
    Subscription(story).start().defer().renew()


@_scenario(stores=(APPLE,))
def commitment(story: Story) -> None:
    """A year's commitment paid by the month; one month is given back and renewal switched off, access stays."""
    Subscription(story).commit().pay_installment().refund_installment().pay_installment().disable_renewal()


@_scenario()
def transfer(story: Story) -> None:
    """A subscription is restored in another account."""
    Subscription(story).start().renew().transfer(story.user()).renew()


@_scenario(share=3)
def anonymous(story: Story) -> None:
    """A user who never logs in."""
    Subscription(story, owner=story.user(anonymous=True)).start(FREE_TRIAL).renew()


@_scenario(share=2)
def anonymous_becomes_known(story: Story) -> None:
    """A user subscribes first and logs in later."""
    visitor = story.user(anonymous=True)
    Subscription(story, owner=visitor).start().transfer(story.login(visitor)).renew()


@_scenario(stores=(APPLE, GOOGLE))
def shared_device(story: Story) -> None:
    """Two people subscribe on one device, whose CleverTap id all their webhooks carry."""
    first = Subscription(story).start().disable_renewal()
    Subscription(story, BASIC_MONTHLY, story.neighbour(first.owner)).start()
    for event in story.events:
        event["clevertap_id"] = f"-{event['device_id'].replace('-', '').lower()}"


@_scenario()
def unheard_end(story: Story) -> None:
    """Renewal is switched off, and nothing more is heard: the webhook of the end was lost."""
    Subscription(story).start().disable_renewal()


@_scenario(share=2, stores=(APPLE, GOOGLE), environment="SANDBOX")
def sandbox(story: Story) -> None:
    """A tester; a month takes 5 minutes."""
    Subscription(story).start(FREE_TRIAL).renew().renew().disable_renewal().terminate()


@_scenario(share=2)
def one_time_purchase(story: Story) -> None:
    """Two consumables for two contents, the second given back."""
    first = OneTimePurchase(story, COINS, content_id="level-7").buy().meanwhile()
    OneTimePurchase(story, COINS, first.owner, content_id="level-8").buy().refund()


@_scenario(stores=(APPLE, GOOGLE))
def one_time_purchase_transfer(story: Story) -> None:
    """A lifetime purchase is restored in another account."""
    OneTimePurchase(story, LIFETIME).buy().transfer(story.user())


@_scenario(stores=(APPLE,))
def family_sharing(story: Story) -> None:
    """A member of the family has access until the owner stops sharing."""
    Subscription(story, shared=True).start().stop_sharing()


@_scenario(stores=(APPLE, GOOGLE))
def promo_code(story: Story) -> None:
    """A promo code becomes a paid subscription."""
    Subscription(story).start(PROMO_CODE).renew()


@_scenario(stores=(APPLE, GOOGLE))
def promo_code_not_converted(story: Story) -> None:
    """A promo code's period ends."""
    Subscription(story).start(PROMO_CODE).disable_renewal().terminate()


@_scenario()
def intro_offer(story: Story) -> None:
    """An introductory price, then the regular one."""
    Subscription(story).start(INTRO_OFFER).renew()


@_scenario()
def intro_offer_not_converted(story: Story) -> None:
    """An introductory price, then the end."""
    Subscription(story).start(INTRO_OFFER).disable_renewal().terminate()


@_scenario(stores=(APPLE, GOOGLE))
def promotional_offer(story: Story) -> None:
    """A subscriber about to leave stays for a discount and then pays in full."""
    Subscription(story).start().disable_renewal().enable_renewal().renew(PROMOTIONAL_OFFER).renew()


@_scenario()
def reactivated(story: Story) -> None:
    """A trial ends; some days later the user subscribes at the regular price."""
    Subscription(story).start(FREE_TRIAL).disable_renewal().terminate().reactivate().renew()


@_scenario(stores=(APPLE, GOOGLE))
def winback(story: Story) -> None:
    """A former subscriber comes back for a discount and leaves again."""
    subscription = Subscription(story).start(FREE_TRIAL).disable_renewal().terminate()
    subscription.reactivate(PROMOTIONAL_OFFER).disable_renewal().terminate()


@_scenario(stores=(APPLE,))
def retention_message(story: Story) -> None:
    """The App Store's cancel sheet: once the subscriber stays, once not."""
    subscription = Subscription(story).start().request_retention_message().renew()
    subscription.request_retention_message().disable_renewal().terminate()


@_scenario()
def two_subscriptions(story: Story) -> None:
    """One of a user's two subscriptions ends, the other goes on."""
    plus = Subscription(story).start()
    news = Subscription(story, NEWS_MONTHLY, plus.owner).start()
    plus.disable_renewal().terminate()
    news.renew()


@_scenario()
def expired(story: Story) -> None:
    """A subscription from before Purchasely (no country) ends under the older name SUBSCRIPTION_EXPIRED."""
    story.country = None
    Subscription(story).start().disable_renewal().terminate("SUBSCRIPTION_EXPIRED")


@_scenario(stores=(AMAZON, HUAWEI))
def other_spellings(story: Story) -> None:
    """The spellings that were seen besides the documented ones, and amounts as text."""
    spellings = {
        "AMAZON_APPSTORE": "AMAZON_APP_STORE",
        "HUAWEI_APPGALLERY": "HUAWEI_APP_GALLERY",
        "AUTO_RENEWING_CANCELED": "AUTO_RENEWING_CANCELLED",
    }
    Subscription(story).start().disable_renewal().terminate()
    for event in story.events:
        for key, value in event.items():
            event[key] = str(value) if key.startswith("amount_in_") else spellings.get(value, value)


@_scenario()
def unknown_event(story: Story) -> None:
    """An event and keys that nobody has heard of yet, nested ones among them."""
    novelties = {
        "loyalty_tier": "gold",
        "loyalty_points": 1250,
        "loyalty_ratio": 0.75,
        "loyalty_is_new": True,
        "loyalty_since": None,
        "loyalty_perks": ["early access", "no ads"],
        "loyalty_history": {"previous_tier": "silver", "months": 5},
    }
    Subscription(story).start().meanwhile().happens(UNKNOWN_EVENT, keys=novelties).renew()


def many(seed: int, users: int, start: datetime, currency: str = "usd") -> Iterator[Payload]:
    """Endless traffic in the order of time: `users` lifecycles at once, each followed by that of a new user."""
    streams = (_stream(Random(f"stream {seed} {user}"), start, currency) for user in range(users))  # noqa: S311
    return heapq.merge(*streams, key=lambda event: event["event_created_at_ms"])


def _stream(random: Random, start: datetime, currency: str) -> Iterator[Payload]:
    scenarios = tuple(LIFECYCLES.values())
    shares = [scenario.share for scenario in scenarios]
    while True:
        start += timedelta(seconds=random.randrange(86_400))
        lifecycle = random.choices(scenarios, shares)[0](random.getrandbits(64), start, currency)
        yield from lifecycle.events
        start += timedelta(milliseconds=lifecycle.events[-1]["event_created_at_ms"] - milliseconds(start))
