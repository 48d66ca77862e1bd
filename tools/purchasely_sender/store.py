"""The five stores, and what their transaction ids look like."""

import string
from collections.abc import Callable
from dataclasses import dataclass
from random import Random


def letters(random: Random, alphabet: str, count: int) -> str:
    """`count` letters of `alphabet`."""
    return "".join(random.choices(alphabet, k=count))


@dataclass(frozen=True, slots=True)
class Store:
    """`transaction(root, n)` is the id of a purchase's n-th transaction, counted from 0, which is the original.

    `hours_early`: how long before the renewal date the store charges, so that `purchased_at` may lie in the future.
    """

    name: str
    app_bundle_id: str
    product: str
    devices: tuple[str, ...]
    root: Callable[[Random], str]
    transaction: Callable[[str, int], str]
    hours_early: int = 0

    def product_id(self, plan: str) -> str:
        """What the store calls `plan`."""
        return self.product.format(plan=plan)


APPLE = Store(
    name="APPLE_APP_STORE",
    app_bundle_id="com.example.aurora",
    product="com.example.aurora.{plan}",
    devices=("PHONE", "PAD"),
    root=lambda random: f"2000000{random.randrange(10**8, 9 * 10**8)}",
    transaction=lambda root, n: str(int(root) + 1009 * n),
    hours_early=6,
)
GOOGLE = Store(
    name="GOOGLE_PLAY_STORE",
    app_bundle_id="com.example.aurora.android",
    product="aurora_{plan}",
    devices=("PHONE", "TV"),
    root=lambda random: "GPA." + "-".join(letters(random, string.digits, count) for count in (4, 4, 4, 5)),
    transaction=lambda root, n: f"{root}..{n - 1}" if n else root,
)
AMAZON = Store(
    name="AMAZON_APPSTORE",
    app_bundle_id="com.example.aurora.amazon",
    product="com.example.aurora.amazon.{plan}",
    devices=("TV", "PAD"),
    root=lambda random: letters(random, string.ascii_letters + string.digits, 44),
    transaction=lambda root, n: f"{root}:3:{n + 11}",
)
HUAWEI = Store(
    name="HUAWEI_APPGALLERY",
    app_bundle_id="com.example.aurora.huawei",
    product="aurora_{plan}",
    devices=("PHONE",),
    root=lambda random: letters(random, string.digits, 13),
    transaction=lambda root, n: f"{root}.{n + 100_000}",
)
STRIPE = Store(
    name="STRIPE",
    app_bundle_id="com.example.aurora.web",
    product="price_1Aurora_{plan}",
    devices=("COMPUTER", "PHONE"),
    root=lambda random: "in_1" + letters(random, string.ascii_letters + string.digits, 20),
    transaction=lambda root, n: f"{root}{n:03d}",
)

STORES = (APPLE, GOOGLE, AMAZON, HUAWEI, STRIPE)
