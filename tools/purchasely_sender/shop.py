"""What the imagined app Aurora sells: plans, offers, prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field

USD_VALUE: Mapping[str, float] = {"USD": 1.0, "EUR": 1.08, "GBP": 1.27, "BRL": 0.18, "JPY": 0.0067}

# Where customers of the stores are: country and currency.
MARKETS = (("US", "USD"), ("FR", "EUR"), ("DE", "EUR"), ("GB", "GBP"), ("BR", "BRL"), ("JP", "JPY"))


def convert(amount: float, source: str, target: str) -> float:
    """`amount` of the currency `source` in the currency `target`, both upper-case codes."""
    return round(amount * USD_VALUE[source] / USD_VALUE[target], 2)


@dataclass(frozen=True, slots=True)
class ShopPlan:
    """A plan of a product; `days` is its period, `prices` one for each currency."""

    id: str
    product: str
    purchase_type: str
    days: int
    prices: Mapping[str, float]


def _prices(*prices: float) -> Mapping[str, float]:
    return dict(zip(USD_VALUE, prices, strict=True))


_RENEWING = "RENEWING_SUBSCRIPTION"

BASIC_MONTHLY = ShopPlan("basic_monthly", "aurora_plus", _RENEWING, 30, _prices(4.99, 4.99, 3.99, 16.90, 700))
PREMIUM_MONTHLY = ShopPlan("premium_monthly", "aurora_plus", _RENEWING, 30, _prices(9.99, 9.99, 8.99, 34.90, 1500))
PREMIUM_QUARTERLY = ShopPlan("premium_quarterly", "aurora_plus", _RENEWING, 90, _prices(24.99, 24.99, 21.99, 89, 3900))
NEWS_MONTHLY = ShopPlan("news_monthly", "aurora_news", _RENEWING, 30, _prices(2.99, 2.99, 2.49, 9.90, 400))
COINS = ShopPlan("coins_100", "aurora_coins", "CONSUMABLE", 0, _prices(1.99, 1.99, 1.79, 6.90, 300))
LIFETIME = ShopPlan("lifetime", "aurora_lifetime", "NON_CONSUMABLE", 0, _prices(149.99, 149.99, 129.99, 499, 22000))


@dataclass(frozen=True, slots=True)
class Offer:
    """A lower price for one period: `share` of the plan's price, for `days`.

    `prefix` begins the names of its three events, `keys` are the ones those events carry.
    """

    type: str
    prefix: str = ""
    days: int = 0
    share: float = 1.0
    keys: Mapping[str, str] = field(default_factory=dict)

    def event(self, ending: str) -> tuple[str, ...]:
        """The name of the offer's event, none for the regular price."""
        return (f"{self.prefix}_{ending}",) if self.prefix else ()


REGULAR = Offer("NONE")
FREE_TRIAL = Offer("FREE_TRIAL", "TRIAL", days=7, share=0.0)
INTRO_OFFER = Offer("INTRO_OFFER", "INTRO_OFFER", days=30, share=0.5)
PROMO_CODE = Offer(
    "PROMO_CODE",
    "PROMO_CODE",
    days=60,
    share=0.0,
    keys={"offer_identifier": "AURORA60", "offer_code_ref_name": "Podcast, été 2026"},
)
PROMOTIONAL_OFFER = Offer(
    "PROMOTIONAL_OFFER",
    "PROMOTIONAL_OFFER",
    days=30,
    share=0.7,
    keys={"offer_identifier": "comeback_30", "promotional_offer_id": "comeback_30"},
)

OFFER_KEYS: Mapping[str, Mapping[str, str]] = {
    name: offer.keys
    for offer in (FREE_TRIAL, INTRO_OFFER, PROMO_CODE, PROMOTIONAL_OFFER)
    for ending in ("STARTED", "CONVERTED", "NOT_CONVERTED")
    for name in offer.event(ending)
}

# Where the first purchase was made; the keys do not apply to every purchase.
ORIGINS: tuple[Mapping[str, str], ...] = (
    {"presentation": "paywall_winter", "placement": "onboarding"},
    {"presentation": "paywall_settings", "placement": "settings", "audience": "Étudiants"},
    {
        "presentation": "paywall_long",
        "placement": "article_end",
        "audience": "Readers",
        "ab_test": "long_or_short",
        "ab_test_variant": "B",
    },
    {},
)
