"""The events Purchasely sends by webhook: name, group and meaning.

From docs.purchasely.com: server-events, lifecycle-events, offer-events, transactional-event and
backend-entitlements; SUBSCRIPTION_EXPIRED from their older pages and from CleverTap's page on Purchasely. New
names may appear at any time, so what is not here is unknown, not wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Group(StrEnum):
    """What an event is for."""

    ENTITLEMENT = "entitlement"
    LIFECYCLE = "lifecycle"
    OFFER = "offer"
    TRANSACTIONAL = "transactional"


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind of event; `meaning` is a plain sentence for the people who plan campaigns."""

    name: str
    group: Group
    meaning: str


_MEANINGS: Mapping[Group, Mapping[str, str]] = {
    Group.ENTITLEMENT: {
        "ACTIVATE": "The user gets access, or keeps it for another period.",
        "DEACTIVATE": "The user loses access.",
    },
    Group.LIFECYCLE: {
        "SUBSCRIPTION_STARTED": "The user took out a subscription.",
        "RENEWAL_DISABLED": "The subscriber turned automatic renewal off and may leave when the period ends.",
        "RENEWAL_ENABLED": "The subscriber turned automatic renewal on again.",
        "SUBSCRIPTION_TERMINATED": "The subscription has ended and the user is no longer a subscriber.",
        "FAMILY_SHARED_REVOKED": "The owner of a family subscription stopped sharing it with the user.",
        "GRACE_PERIOD_STARTED": "A renewal payment failed and the subscriber keeps access for a few days.",
        "GRACE_PERIOD_TERMINATED": "The grace period passed without a payment and the subscriber lost access.",
        "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD": "The subscriber cancelled in the grace period and lost access.",
        "SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD": "The failed payment went through before access was lost.",
        "ENTERED_BILLING_RETRY": "A renewal payment failed, access is lost and the store keeps trying to charge.",
        "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY": "The store charged the subscriber at last and access is back.",
        "SUBSCRIPTION_RENEWED": "The subscription went on for another period.",
        "SUBSCRIPTION_DEFERRED": "The publisher gave the subscriber extra days for free (Google Play only).",
        "SUBSCRIPTION_REACTIVATED": "A former subscriber came back to a subscription that had ended.",
        "SUBSCRIPTION_CROSSGRADED": "The subscriber moved to another plan of the same level.",
        "SUBSCRIPTION_DOWNGRADED": "The subscriber moved to a plan of a lower level.",
        "SUBSCRIPTION_UPGRADED": "The subscriber moved to a plan of a higher level.",
        "SUBSCRIPTION_REFUNDED_REVOKED": "The subscription was refunded and the user lost access.",
        "SUBSCRIPTION_TRANSFERRED": "The user's subscription moved away to another account.",
        "SUBSCRIPTION_RECEIVED": "The user received a subscription from another account.",
        "ONE_TIME_PURCHASE_TRANSFERRED": "What the user had bought once moved away to another account.",
        "ONE_TIME_PURCHASE_RECEIVED": "The user received a one-time purchase from another account.",
        "SUBSCRIPTION_WILL_PAUSE": "The subscriber asked for a pause from the next renewal on (Google Play only).",
        "SUBSCRIPTION_PAUSED": "The pause has begun and the subscriber has no access until it ends (Google Play only).",
        "SUBSCRIPTION_UNPAUSED": "The pause is over and the subscriber has access again (Google Play only).",
        "SUBSCRIPTION_CANCELLED_DURING_PAUSE": "The subscriber cancelled during the pause (Google Play only).",
        "SUBSCRIPTION_WILL_NOT_PAUSE": "The subscriber called the pause off before it began (Google Play only).",
        "RETENTION_MESSAGE_REQUESTED": "The subscriber opened the cancel sheet but has not cancelled (App Store only).",
        "SUBSCRIPTION_EXPIRED": "The subscription has ended (the older name of SUBSCRIPTION_TERMINATED).",
        "INSTALLMENT_PAID": "The subscriber paid one month of a commitment; the subscription goes on.",
        "INSTALLMENT_REFUNDED": "One month of a commitment was refunded; the subscription goes on.",
        "ONE_TIME_PURCHASE_ACTIVATED": "The user bought something once (Purchasely sends ACTIVATE for it).",
        "ONE_TIME_PURCHASE_DEACTIVATED": "A one-time purchase was refunded or taken away (sent as DEACTIVATE).",
    },
    Group.OFFER: {
        "TRIAL_STARTED": "A free trial began.",
        "TRIAL_CONVERTED": "The free trial turned into a paid subscription.",
        "TRIAL_NOT_CONVERTED": "The free trial ended without a paid subscription.",
        "INTRO_OFFER_STARTED": "An introductory price for new subscribers began.",
        "INTRO_OFFER_CONVERTED": "The introductory price ended and the subscriber pays the regular one.",
        "INTRO_OFFER_NOT_CONVERTED": "The introductory price ended and so did the subscription.",
        "PROMO_CODE_STARTED": "A subscription began with a promo code.",
        "PROMO_CODE_CONVERTED": "The promo code's period ended and the subscriber pays the regular price.",
        "PROMO_CODE_NOT_CONVERTED": "The promo code's period ended and so did the subscription.",
        "PROMOTIONAL_OFFER_STARTED": "A present or former subscriber accepted a discount to stay or to come back.",
        "PROMOTIONAL_OFFER_CONVERTED": "The discount to stay or come back ended and the regular price applies.",
        "PROMOTIONAL_OFFER_NOT_CONVERTED": "The discount to stay or come back ended and so did the subscription.",
    },
    Group.TRANSACTIONAL: {
        "TRANSACTION_PROCESSED": "Money moved for a subscription; a negative amount is a refund.",
    },
}

CATALOGUE: Mapping[str, EventKind] = MappingProxyType(
    {
        name: EventKind(name, group, meaning)
        for group, meanings in _MEANINGS.items()
        for name, meaning in meanings.items()
    }
)
