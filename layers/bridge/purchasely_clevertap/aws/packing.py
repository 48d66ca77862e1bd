"""A profile state as the subscribers table keeps it: compressed, so that a person takes one write unit and not two.

Pure. `stored_state` reads an item of either layout: the former one has the state as it is, under `facts`.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any, Final

from purchasely_clevertap.mapping.profile import ProfileState

_WINDOW_BITS: Final = -12  # 4 KB: a state is smaller, and a larger window takes longer to set up
_LEVEL, _MEMORY = 2, 6

# What states have in common, the most frequent last. It never changes: what was packed with it is read with it. Another
# one takes another first character.
_FIRST: Final = "1"
_COMMON: Final = (
    '"ONE_TIME_PURCHASE_ACTIVATED""ONE_TIME_PURCHASE_DEACTIVATED""last_one_time_purchase":"NON_CONSUMABLE""CONSUMABLE"'
    '"NON_RENEWING_SUBSCRIPTION""owned":true,"owned":false,"type":"owned_products":"charges":{"lapsed":{"purchases":{'
    '"SUBSCRIPTION_TRANSFERRED""SUBSCRIPTION_PAUSED""SUBSCRIPTION_WILL_PAUSE""SUBSCRIPTION_DEFERRED""GRACE_PERIOD_STARTED'
    '""GRACE_PERIOD_TERMINATED""RENEWAL_DISABLED""RENEWAL_ENABLED""SUBSCRIPTION_PLAN_CHANGED""SUBSCRIPTION_REACTIVATED"'
    '"PROMOTIONAL_OFFER_STARTED""PROMO_CODE_STARTED""INTRO_OFFER_STARTED""INTRO_OFFER_CONVERTED""TRIAL_NOT_CONVERTED"'
    '"TRIAL_CONVERTED""TRIAL_STARTED""SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY""SUBSCRIPTION_IN_BILLING_RETRY"'
    '"SUBSCRIPTION_REFUNDED_REVOKED""SUBSCRIPTION_TERMINATED""SUBSCRIPTION_EXPIRED""SUBSCRIPTION_RENEWED"'
    '"SUBSCRIPTION_STARTED""TRANSACTION_PROCESSED""ACTIVATE""DEACTIVATE""anonymous_user_id":"attribution_utm_source":"'
    '"attribution_utm_medium":"attribution_utm_campaign":"channel":"promotional_offer_id":"content_id":"previous_plan":"'
    '"ab_test":"ab_test_variant":"audience":"default","auto_resume_at":"$D_"commitment_ends_at":"$D_'
    '"grace_period_expires_at":"$D_"ends_by_date":true,"moved":true,"theirs":false,"is_over":true,"active":false,'
    '"offer_type":"FREE_TRIAL","offer_type":"INTRO_OFFER","offer_type":"PROMOTIONAL_OFFER","offer_type":"PROMO_CODE"'
    '"ON_HOLD""UNPAID""PAUSED""REVOKED""DEACTIVATED""IN_GRACE_PERIOD""AUTO_RENEWING_CANCELED"'
    '"store":"HUAWEI_APP_GALLERY","store":"AMAZON_APPSTORE","store":"STRIPE","store":"GOOGLE_PLAY_STORE",'
    '"SANDBOX","EUR","GBP","JPY","is_family_shared":true,"unlinked":["known_as":["linked":["account_id":"'
    '"subscriber_state":"expired"}"subscriber_state":"cancelled"}"subscriber_state":"trial"}'
    '{"person":[[17,3,{"user_id":"","environment":"PRODUCTION","last_event":"SUBSCRIPTION_RENEWED",'
    '"last_event_at":"$D_17","lifetime_revenue":9.99,"lifetime_revenue_currency":"USD"}]],'
    '"subscriptions":{"subs_":[[17,3,{"product":"","plan":"premium_monthly","store":"APPLE_APP_STORE",'
    '"store_country":"US","store_product_id":"com.","subscription_status":"AUTO_RENEWING","offer_type":"NONE",'
    '"is_family_shared":false,"presentation":"","placement":"onboarding","store_original_transaction_id":"200000'
    '"plan_price":9.99,"theirs":true,"moved":false,"active":true,"is_over":false,"subscription_started_at":"$D_17'
    '"purchased_at":"$D_17","effective_next_renewal_at":"$D_17"}]]},"sent":{"user_id":"",'
    '"lifetime_revenue_currency":"USD","has_access":true,"has_active_subscription":true,"active_subscriptions":1,'
    '"active_plans":"","subscriber_state":"active"},"account_id":""}'
)
_DICTIONARY: Final = _COMMON.encode()


def packed(state: str) -> str:
    """The text of an encoded state, compressed."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zdict=_DICTIONARY)
    return _FIRST + base64.b64encode(compressor.compress(state.encode()) + compressor.flush()).decode()


def unpacked(text: str) -> str:
    """The encoded state of a packed text. Raises ValueError for any other text."""
    if not text.startswith(_FIRST):
        raise ValueError("packed in no known way")
    decompressor = zlib.decompressobj(_WINDOW_BITS, zdict=_DICTIONARY)
    try:
        state = decompressor.decompress(base64.b64decode(text[1:], validate=True)) + decompressor.flush()
        if not decompressor.eof:
            raise ValueError("what was packed breaks off")
        return state.decode()
    except (zlib.error, binascii.Error) as error:
        raise ValueError(str(error)) from error


def stored_state(item: Mapping[str, Any]) -> tuple[ProfileState, bool]:
    """The state that an item of the subscribers table holds, and whether CleverTap may hold another profile.

    An item with both layouts was written by a release that knows the former one alone: what either says is known.
    Raises ValueError if the item cannot be read.
    """
    facts, pack = item.get("facts", {}).get("S"), item.get("packed", {}).get("S")
    state = ProfileState.decoded(facts) if facts else ProfileState()
    if not pack:
        return state, False
    known = ProfileState.decoded(unpacked(pack))
    return (state.joined(known), True) if facts else (known, False)
