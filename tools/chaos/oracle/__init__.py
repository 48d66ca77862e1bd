"""What must have reached CleverTap, told from the webhooks alone.

This shares no code with the bridge and works in another way: it folds nothing step by step, but looks at all events at
once and asks for each property which of them has the last word.

Rules: docs/settings.md (what is sent) and docs/decisions.md (each fact keeps the time of its event). Of events of one
millisecond: what moves a purchase to somebody else over the lifecycle, that over the offer, that over the money, that
over the entitlement; then the greater text.

Where the rules are silent, this is read as it does the user least harm:

Reading
- GRACE_PERIOD_TERMINATED implies DEACTIVATED unless it says ON_HOLD itself: ENTERED_BILLING_RETRY tells that the store
  goes on trying.
- A status told outright wins over what the name of a beginning event implies; only an ending wins over an active one.
- TRANSACTION_PROCESSED, RETENTION_MESSAGE_REQUESTED and unknown names imply no status.

People
- "First" is the first by the time of the event, of the devices' users as of the users named for an anonymous id. A tie
  at CleverTap is for good, so a shared device may as well be that of the user who arrived first (`Expected.contested`).
- A CleverTap id in an event finds its person in every mode of `identity.anonymous`. It releases no other event of the
  same anonymous user: that takes a login or an association.
- All events of a held anonymous user are `held`, those that settings switch off too: their profile waits as well.
- Events that are released after `hold_days` (by the times of receipt) are skipped, and nothing is learned of them.
- `was_anonymous` is said of each event that had to wait, or would have had it come before the login.
- `identity` and `skip` join nobody at a login: no upload can.
- Nothing that comes at the moment of a login ends the anonymous user's stay: a DEACTIVATE of that moment is inert.
- An event's outcome is that of its own record: a payment that is switched off is skipped, its Charged is sent.

Subscriptions
- Two values of `purchasely_subscription_id` are two subscriptions even if the store's name is one: a change of plan
  keeps the store's. An event with the store's name alone belongs to the one heard of last before it.
- A subscription without any name goes by its product: there is one, and nothing else tells it apart.
- After a transfer or a change of plan only an event that is neither money nor DEACTIVATE brings the old one back.
- A subscription that another plan has replaced is not described, while the person has any other.
- A trial with renewal off is `cancelled`; REVOKED of a family's member is `expired`, as nothing was refunded.
- A NON_RENEWING_SUBSCRIPTION is a subscription too; it lapses as one whose renewal is off.
- After a lapse the status is DEACTIVATED.
- A text is NONE if some subscription of the person has told it and the described one has not. A date of another one
  may stay or not: nothing can take it back, and nothing may tell it again.

Purchases and money
- `has_access` is said of whoever has ever had a subscription or a non-consumable; of a buyer of coins nothing is.
- `last_one_time_purchase` is history: a refund does not take it back.
- A purchase is charged with the first of its events that belongs to somebody CleverTap knows; the order of arrival
  may choose another one (`Expected.instead`), the sum is the same.
- The DEACTIVATE of a transfer is no refund. What is refunded is what was charged; without Charged, a one-time purchase
  has no Refunded.
"""

from .expectation import Expected, Record, expect
from .people import Association, Outcome
from .policy import Policy

__all__ = ["Association", "Expected", "Outcome", "Policy", "Record", "expect"]
