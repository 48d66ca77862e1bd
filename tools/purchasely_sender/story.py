"""What happens to the purchases of some users in the order in which Purchasely tells it."""

from dataclasses import dataclass, field, replace
from random import Random
from uuid import UUID

from .payload import Payload
from .shop import convert
from .store import APPLE, Store


@dataclass(frozen=True, slots=True)
class User:
    """`id` is the app's own, or the SDK's when the user is anonymous."""

    id: str
    anonymous: bool
    device_id: str
    device_type: str

    def keys(self, prefix: str = "") -> Payload:
        """user_id or anonymous_user_id, never both."""
        return {f"{prefix}{'anonymous_user_id' if self.anonymous else 'user_id'}": self.id}


@dataclass(slots=True)
class Story:
    """The events so far and what they depend on: `now` in epoch milliseconds, chance, and the store account.

    `console_currency` is the default currency of Purchasely's console, upper case. Sandbox stores run fast: a month
    takes 5 minutes there.
    """

    random: Random
    now: int
    store: Store
    country: str | None
    customer_currency: str
    console_currency: str
    environment: str
    users: list[User] = field(default_factory=list)
    events: list[Payload] = field(default_factory=list)
    _revenues: dict[str, float] = field(default_factory=dict)

    @property
    def day(self) -> int:
        """A day in milliseconds."""
        return 10_000 if self.environment == "SANDBOX" else 86_400_000

    def uuid(self) -> str:
        """A new id, lower case."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def user(self, *, anonymous: bool = False) -> User:
        """A new user of the store's app."""
        sdk_id, device_id = self.uuid(), self.uuid()
        if self.store is APPLE:
            sdk_id, device_id = sdk_id.upper(), device_id.upper()
        user_id = sdk_id if anonymous else f"customer-{self.random.getrandbits(48):012x}"
        return self._joins(User(user_id, anonymous, device_id, self.random.choice(self.store.devices)))

    def login(self, anonymous: User) -> User:
        """The known user that `anonymous` turns out to be, on the same device."""
        return self._joins(replace(anonymous, id=f"customer-{self.random.getrandbits(48):012x}", anonymous=False))

    def neighbour(self, user: User) -> User:
        """Another known user, on the device of `user`."""
        return self._joins(replace(user, id=f"customer-{self.random.getrandbits(48):012x}", anonymous=False))

    def _joins(self, user: User) -> User:
        self.users.append(user)
        return user

    def passes(self, at_least: int) -> None:
        """Time goes on by `at_least` milliseconds and the few seconds it takes to notice."""
        self.now += at_least + self.random.randrange(500, 5_000)

    def earns(self, user: User, amount: float) -> float:
        """Adds `amount` of the customer's currency to the user's revenues, and gives it in the console's."""
        earned = convert(amount, self.customer_currency, self.console_currency)
        self._revenues[user.id] = round(self.revenues(user) + earned, 2)
        return earned

    def revenues(self, user: User) -> float:
        """All that was earned from the user so far, in the console's currency."""
        return self._revenues.get(user.id, 0.0)
