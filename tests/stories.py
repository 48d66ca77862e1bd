"""Every story of the contract, each with the right result written by hand."""

from typing import Any

from tests.story import SANDBOX, Payload, Profile, Sent, Story, date, dates, event_id, moment

ACTIVE = "AUTO_RENEWING"
CANCELED = "AUTO_RENEWING_CANCELED"
DEVICE = "-11112222333344445555666677778888"
VISITOR = "0c54fb96-8f6f-4a7b-9ad4-bc3ab4e8a1f5"
SDK_ID = f"__h{VISITOR}"
SWITCHED_OFF = "skipped (event_switched_off)"


def told(label: str, name: str, day: float, user: str | None = "ada", **facts: Any) -> Payload:
    """An event; facts that are None are left out."""
    payload: Payload = {
        "api_version": 3,
        "event_name": name,
        "event_id": event_id(label),
        "environment": "PRODUCTION",
        "store": "GOOGLE_PLAY_STORE",
        "store_app_bundle_id": "com.example.reader",
        "store_country": "PT",
        "store_product_id": "com.example.reader.plus",
        "offer_type": "NONE",
        "is_family_shared": False,
        "customer_currency": "EUR",
        **dates(event_created_at=day),
        "user_id": user,
        "anonymous_user_id": VISITOR if user is None else None,
    }
    return {key: value for key, value in (payload | facts).items() if value is not None}


def plus(label: str, name: str, day: float, user: str | None = "ada", **facts: Any) -> Payload:
    """An event of the monthly subscription subs_1, 9.99 USD, that began on day 0 and is paid until day 30."""
    usual: Payload = {
        "purchase_type": "RENEWING_SUBSCRIPTION",
        "product": "reader",
        "plan": "monthly",
        "purchasely_subscription_id": "subs_1",
        "store_original_transaction_id": "GPA.1",
        "store_transaction_id": f"GPA.1..{round(day)}",
        "subscription_status": ACTIVE,
        "plan_price_in_usd": 9.99,
        "plan_price_in_customer_currency": 9.25,
        **dates(original_purchased_at=0, purchased_at=day, effective_next_renewal_at=30),
    }
    return told(label, name, day, user, **(usual | facts))


def paid(label: str, day: float, user: str | None = "ada", amount: float = 9.99, **facts: Any) -> Payload:
    """The money of it."""
    money = {"amount_in_usd": amount, "amount_in_customer_currency": round(amount * 0.926, 2)}
    return plus(
        label, "TRANSACTION_PROCESSED", day, user, **({"source_event_name": "SUBSCRIPTION_RENEWED"} | money | facts)
    )


def lifetime(label: str, name: str, day: float, user: str | None = "ada", **facts: Any) -> Payload:
    """An event of the lifetime purchase otp_1, 149.99 USD."""
    usual: Payload = {
        "purchase_type": "NON_CONSUMABLE",
        "product": "reader-forever",
        "plan": "lifetime",
        "purchasely_one_time_purchase_id": "otp_1",
        "store_original_transaction_id": "GPA.7",
        "store_transaction_id": "GPA.7",
        "plan_price_in_usd": 149.99,
        "plan_price_in_customer_currency": 139.0,
        **dates(original_purchased_at=0, purchased_at=0),
    }
    return told(label, name, day, user, **(usual | facts))


def coins(label: str, day: float, user: str | None = "ada", name: str = "ACTIVATE", **facts: Any) -> Payload:
    """An event of a pack of coins, 1.99 USD; each day's pack is a transaction of its own."""
    usual: Payload = {
        "purchase_type": "CONSUMABLE",
        "product": "coins",
        "plan": "coins-100",
        "purchasely_one_time_purchase_id": f"otp_c{day}",
        "store_original_transaction_id": f"GPA.C{day}",
        "store_transaction_id": f"GPA.C{day}",
        "plan_price_in_usd": 1.99,
        "plan_price_in_customer_currency": 1.84,
        **dates(original_purchased_at=day, purchased_at=day),
    }
    return told(label, name, day, user, **(usual | facts))


# Logins


def _from_visitor_to_ada(**of_visitor: Any) -> tuple[Payload, ...]:
    """A trial and coins of a visitor who logs in as ada on day 2; the trial converts and renews twice."""
    trial: Payload = {"offer_type": "FREE_TRIAL", "plan_price_in_usd": 0.0, "plan_price_in_customer_currency": 0.0}
    trial |= dates(effective_next_renewal_at=7)
    visit = trial | of_visitor
    known: Payload = {"clevertap_id": of_visitor.get("clevertap_id")}
    return (
        plus("a0", "ACTIVATE", 0, None, **visit),
        plus("start", "SUBSCRIPTION_STARTED", 0, None, placement="onboarding", **visit),
        plus("trial", "TRIAL_STARTED", 0, None, **visit),
        coins("coins", 1, None, **of_visitor),
        plus("d2", "DEACTIVATE", 2, None, **visit),
        plus("a2", "ACTIVATE", 2, **trial, **known),
        plus("gone", "SUBSCRIPTION_TRANSFERRED", 2, None, transferred_to_user_id="ada", **visit),
        plus("came", "SUBSCRIPTION_RECEIVED", 2, transferred_from_anonymous_user_id=VISITOR, **trial, **known),
        plus("a7", "ACTIVATE", 7, **dates(effective_next_renewal_at=37), **known),
        plus("renewed7", "SUBSCRIPTION_RENEWED", 7, **dates(effective_next_renewal_at=37), **known),
        plus("converted", "TRIAL_CONVERTED", 7, **dates(effective_next_renewal_at=37), **known),
        paid("paid7", 7, cumulated_revenues_in_usd=9.99, **known),
        plus("renewed37", "SUBSCRIPTION_RENEWED", 37, **dates(effective_next_renewal_at=67), **known),
        paid("paid37", 37, cumulated_revenues_in_usd=19.98, **dates(effective_next_renewal_at=67), **known),
        plus("renewed67", "SUBSCRIPTION_RENEWED", 67, **dates(effective_next_renewal_at=97), **known),
        paid("paid67", 67, cumulated_revenues_in_usd=29.97, **dates(effective_next_renewal_at=97), **known),
    )


def _of_the_visitor(person: str, *, was_anonymous: bool) -> list[Sent]:
    return [
        Sent("start", "SUBSCRIPTION_STARTED", person, was_anonymous=was_anonymous),
        Sent("trial", "TRIAL_STARTED", person, was_anonymous=was_anonymous),
        Sent("coins", "ONE_TIME_PURCHASE_ACTIVATED", person, was_anonymous=was_anonymous),
        Sent("coins", "Charged", person, 1.99, was_anonymous=was_anonymous, has={"Charged ID": "GPA.C1"}),
    ]


_OF_ADA = [
    Sent("came", "SUBSCRIPTION_RECEIVED", lacks=("was_anonymous",)),
    Sent("renewed7", "SUBSCRIPTION_RENEWED"),
    Sent("converted", "TRIAL_CONVERTED"),
    Sent("paid7", "TRANSACTION_PROCESSED", has={"amount_in_usd": 9.99}),
    Sent("paid7", "Charged", amount=9.99, has={"Charged ID": "GPA.1..7"}, lacks=("was_anonymous",)),
    Sent("renewed37", "SUBSCRIPTION_RENEWED"),
    Sent("paid37", "TRANSACTION_PROCESSED"),
    Sent("paid37", "Charged", amount=9.99),
    Sent("renewed67", "SUBSCRIPTION_RENEWED"),
    Sent("paid67", "TRANSACTION_PROCESSED"),
    Sent("paid67", "Charged", amount=9.99),
]
_ADA_PAYS = {
    "user_id": "ada",
    "has_active_subscription": True,
    "subscriber_state": "active",
    "plan": "monthly",
    "active_plans": "monthly",
    "active_subscriptions": 1,
    "subscription_status": ACTIVE,
    "has_access": True,
    "effective_next_renewal_at": date(97),
    "subscription_started_at": date(0),
    "lifetime_revenue": 29.97,
    "lifetime_revenue_currency": "USD",
    "last_event": "SUBSCRIPTION_RENEWED",
    "last_event_at": date(67),
}
_AS_ONE = {"anonymous_user_id": VISITOR, "last_one_time_purchase": "coins-100", "placement": "onboarding"}
_ENTITLEMENTS = dict.fromkeys(("a2", "a7"), SWITCHED_OFF)
_OF_A_LOGIN = _ENTITLEMENTS | dict.fromkeys(("a0", "d2"), SWITCHED_OFF) | {"gone": "skipped (became_known)"}
_VISIT = ("start", "trial", "coins")

LOGINS = (
    Story(
        "login, held",
        _from_visitor_to_ada(),
        sent=[*_of_the_visitor("ada", was_anonymous=True), *_OF_ADA],
        profiles=[Profile(has=_ADA_PAYS | _AS_ONE, lacks=("owned_products",))],
        nobody=(VISITOR,),
        outcomes=_OF_A_LOGIN,
    ),
    Story(
        "login, custom CleverTap id",
        _from_visitor_to_ada(),
        settings={"identity": {"anonymous": "custom_id"}},
        sent=[*_of_the_visitor("ada", was_anonymous=False), *_OF_ADA],
        profiles=[Profile(has=_ADA_PAYS | _AS_ONE, ids=frozenset({"ada", SDK_ID}))],
        nobody=(VISITOR,),
        outcomes=_OF_A_LOGIN,
    ),
    Story(
        "login, CleverTap id in the webhooks",
        _from_visitor_to_ada(clevertap_id=DEVICE),
        sent=[*_of_the_visitor("ada", was_anonymous=False), *_OF_ADA],
        profiles=[Profile(has=_ADA_PAYS | _AS_ONE, ids=frozenset({"ada", DEVICE}))],
        nobody=(VISITOR,),
        outcomes=_OF_A_LOGIN,
    ),
    Story(
        "login, visitors by their own identity",
        _from_visitor_to_ada(),
        settings={"identity": {"anonymous": "identity"}},
        sent=[*_of_the_visitor(VISITOR, was_anonymous=False), *_OF_ADA],
        profiles=[
            Profile(has=_ADA_PAYS, lacks=("anonymous_user_id", "last_one_time_purchase")),
            # Nothing is cleared: the trial is the last that is known of the visitor.
            Profile(
                VISITOR,
                {
                    "has_active_subscription": True,
                    "subscriber_state": "trial",
                    "last_event": "ONE_TIME_PURCHASE_ACTIVATED",
                },
            ),
        ],
        outcomes=_OF_A_LOGIN,
    ),
    Story(
        "login, visitors skipped",
        _from_visitor_to_ada(),
        settings={"identity": {"anonymous": "skip"}},
        sent=_OF_ADA,
        profiles=[Profile(has=_ADA_PAYS, lacks=("anonymous_user_id", "last_one_time_purchase", "placement"))],
        nobody=(VISITOR, SDK_ID),
        outcomes=_OF_A_LOGIN | dict.fromkeys(("a0", "d2", *_VISIT), "skipped (anonymous_user)"),
    ),
    Story(
        "visitor never logs in",
        _from_visitor_to_ada()[:4],
        sent=[],
        nobody=(VISITOR, SDK_ID, "ada"),
        outcomes=dict.fromkeys(("a0", *_VISIT), "held"),
    ),
    Story(
        "visitor never claimed in time",
        _from_visitor_to_ada()[:4],
        sweep_at=moment(31.5),
        sent=[],
        nobody=(VISITOR, "ada"),
        outcomes=dict.fromkeys(("a0", *_VISIT), "skipped (anonymous_user)"),
    ),
    Story(
        "visitor claimed too late for the first event",
        (
            coins("coins1", 1, None),
            coins("coins5", 5, None),
            lifetime("came", "ONE_TIME_PURCHASE_RECEIVED", 33, transferred_from_anonymous_user_id=VISITOR),
        ),
        any_order=False,
        sent=[
            Sent("coins5", "ONE_TIME_PURCHASE_ACTIVATED", was_anonymous=True),
            Sent("coins5", "Charged", amount=1.99, was_anonymous=True),
            Sent("came", "ONE_TIME_PURCHASE_RECEIVED"),
        ],
        profiles=[Profile(has={"owned_products": "reader-forever", "has_access": True})],
        outcomes={"coins1": "skipped (anonymous_user)"},
    ),
    Story(
        "an event with both ids names the visitor",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, None),
            paid("paid", 0, None),
            plus("off", "RENEWAL_DISABLED", 3, anonymous_user_id=VISITOR, subscription_status=CANCELED),
        ),
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED", was_anonymous=True),
            Sent("paid", "TRANSACTION_PROCESSED", was_anonymous=True),
            Sent("paid", "Charged", amount=9.99, was_anonymous=True),
            Sent("off", "RENEWAL_DISABLED", lacks=("was_anonymous",)),
        ],
        profiles=[Profile(has={"subscriber_state": "cancelled", "anonymous_user_id": VISITOR})],
    ),
    Story(
        "the first user named gets the visitor's events",
        (
            coins("coins", 1, None),
            plus("ben", "SUBSCRIPTION_STARTED", 2, "ben", anonymous_user_id=VISITOR),
            plus("eve", "SUBSCRIPTION_STARTED", 3, "eve", anonymous_user_id=VISITOR, purchasely_subscription_id="s_e"),
        ),
        any_order=False,
        sent=[
            Sent("coins", "ONE_TIME_PURCHASE_ACTIVATED", "ben", was_anonymous=True),
            Sent("coins", "Charged", "ben", 1.99, was_anonymous=True),
            Sent("ben", "SUBSCRIPTION_STARTED", "ben"),
            Sent("eve", "SUBSCRIPTION_STARTED", "eve"),
        ],
        profiles=[
            Profile("ben", {"last_one_time_purchase": "coins-100"}),
            Profile("eve", {"has_active_subscription": True}, lacks=("last_one_time_purchase",)),
        ],
    ),
    Story(
        "a web visitor waits although others have custom ids",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, None, channel="web2app", store="STRIPE"),
            paid("paid", 0, None, channel="web2app", store="STRIPE"),
            plus(
                "gone",
                "SUBSCRIPTION_TRANSFERRED",
                1,
                None,
                channel="web2app",
                store="STRIPE",
                transferred_to_user_id="ada",
            ),
            plus(
                "came",
                "SUBSCRIPTION_RECEIVED",
                1,
                channel="web2app",
                store="STRIPE",
                transferred_from_anonymous_user_id=VISITOR,
            ),
        ),
        settings={"identity": {"anonymous": "custom_id"}},
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED", was_anonymous=True),
            Sent("paid", "TRANSACTION_PROCESSED", was_anonymous=True),
            Sent("paid", "Charged", amount=9.99, was_anonymous=True, has={"channel": "web2app"}),
            Sent("came", "SUBSCRIPTION_RECEIVED"),
        ],
        profiles=[Profile(has={"channel": "web2app", "has_active_subscription": True})],
        nobody=(SDK_ID, f"-h{VISITOR}"),
        outcomes={"gone": "skipped (became_known)"},
    ),
    Story(
        "a lifetime bought before the login",
        (
            lifetime("bought", "ACTIVATE", 0, None),
            lifetime("ended", "DEACTIVATE", 2, None),
            lifetime("again", "ACTIVATE", 2),
            lifetime("gone", "ONE_TIME_PURCHASE_TRANSFERRED", 2, None, transferred_to_user_id="ada"),
            lifetime("came", "ONE_TIME_PURCHASE_RECEIVED", 2, transferred_from_anonymous_user_id=VISITOR),
        ),
        any_order=False,  # which of the two ACTIVATE is charged depends on it
        sent=[
            Sent("bought", "ONE_TIME_PURCHASE_ACTIVATED", was_anonymous=True),
            Sent("bought", "Charged", amount=149.99, was_anonymous=True),
            Sent("ended", "ONE_TIME_PURCHASE_DEACTIVATED", was_anonymous=True),
            Sent("again", "ONE_TIME_PURCHASE_ACTIVATED"),
            Sent("came", "ONE_TIME_PURCHASE_RECEIVED"),
        ],
        profiles=[
            Profile(has={"owned_products": "reader-forever", "has_access": True}, lacks=("has_active_subscription",))
        ],
        outcomes={"gone": "skipped (became_known)"},
    ),
)

# Devices and associations

DEVICES = (
    Story(
        "two people on one phone",
        (
            plus("ada", "SUBSCRIPTION_STARTED", 0, clevertap_id=DEVICE),
            plus(
                "ben",
                "SUBSCRIPTION_STARTED",
                5,
                "ben",
                clevertap_id=DEVICE,
                purchasely_subscription_id="subs_b",
                store_original_transaction_id="GPA.B",
                plan="yearly",
            ),
            plus("off", "RENEWAL_DISABLED", 6, clevertap_id=DEVICE, subscription_status=CANCELED),
        ),
        any_order=False,
        sent=[
            Sent("ada", "SUBSCRIPTION_STARTED"),
            Sent("ben", "SUBSCRIPTION_STARTED", "ben"),
            Sent("off", "RENEWAL_DISABLED"),
        ],
        profiles=[
            Profile(has={"plan": "monthly", "subscriber_state": "cancelled"}, ids=frozenset({"ada", DEVICE})),
            Profile("ben", {"plan": "yearly", "subscriber_state": "active", "user_id": "ben"}),
        ],
    ),
    Story(
        "one person on two phones",
        (
            plus("one", "SUBSCRIPTION_STARTED", 0, clevertap_id=DEVICE),
            plus("two", "RENEWAL_DISABLED", 1, clevertap_id="-second", subscription_status=CANCELED),
        ),
        sent=[Sent("one", "SUBSCRIPTION_STARTED"), Sent("two", "RENEWAL_DISABLED")],
        profiles=[Profile(has={"subscriber_state": "cancelled"}, ids=frozenset({"ada", DEVICE, "-second"}))],
    ),
    Story(
        "an association of a user",
        (plus("start", "SUBSCRIPTION_STARTED", 1),),
        associations=((moment(0), {"clevertap_id": DEVICE, "user_id": "ada"}),),
        sent=[Sent("start", "SUBSCRIPTION_STARTED")],
        profiles=[Profile(has={"has_active_subscription": True}, ids=frozenset({"ada", DEVICE}))],
    ),
    Story(
        "an association of somebody else's phone",
        (
            plus("ada", "SUBSCRIPTION_STARTED", 0, clevertap_id=DEVICE),
            coins("ben", 2, "ben"),
        ),
        associations=((moment(1), {"clevertap_id": DEVICE, "user_id": "ben"}),),
        any_order=False,
        sent=[
            Sent("ada", "SUBSCRIPTION_STARTED"),
            Sent("ben", "ONE_TIME_PURCHASE_ACTIVATED", "ben"),
            Sent("ben", "Charged", "ben", 1.99),
        ],
        profiles=[
            Profile(has={"plan": "monthly"}, ids=frozenset({"ada", DEVICE})),
            Profile("ben", {"last_one_time_purchase": "coins-100"}, lacks=("plan", "has_active_subscription")),
        ],
    ),
    Story(
        "an association releases a visitor's events",
        (plus("start", "SUBSCRIPTION_STARTED", 0, None), paid("paid", 0, None)),
        associations=((moment(1), {"clevertap_id": DEVICE, "anonymous_user_id": VISITOR}),),
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED", DEVICE, was_anonymous=True),
            Sent("paid", "TRANSACTION_PROCESSED", DEVICE, was_anonymous=True),
            Sent("paid", "Charged", DEVICE, 9.99, was_anonymous=True),
        ],
        profiles=[Profile(DEVICE, {"has_active_subscription": True, "anonymous_user_id": VISITOR}, lacks=("user_id",))],
        nobody=(VISITOR,),
    ),
    Story(
        "another key holds the CleverTap id",
        (plus("start", "SUBSCRIPTION_STARTED", 0, ct=" ", clevertap_object=DEVICE, clevertap_id="-not-asked-for"),),
        settings={"identity": {"clevertap_id_keys": ["ct", "clevertap_object"]}},
        sent=[Sent("start", "SUBSCRIPTION_STARTED")],
        profiles=[Profile(has={"plan": "monthly"}, ids=frozenset({"ada", DEVICE}))],
    ),
    Story(
        "ids that are no ids",
        (
            plus("null", "SUBSCRIPTION_STARTED", 0, "null"),
            plus("optional", "SUBSCRIPTION_STARTED", 0, "Optional(42)"),
            plus("guest", "SUBSCRIPTION_STARTED", 0, "Guest"),
            plus("nil", "SUBSCRIPTION_STARTED", 0, "00000000-0000-0000-0000-000000000000"),
            plus("invisible", "SUBSCRIPTION_STARTED", 0, "\u200b"),
            plus("refused", "SUBSCRIPTION_STARTED", 0, "demo"),
            plus("id", "SUBSCRIPTION_STARTED", 0, "nullah"),
        ),
        settings={"identity": {"refuse": ["demo"]}},
        sent=[Sent("id", "SUBSCRIPTION_STARTED", "nullah")],
        profiles=[Profile("nullah", {"plan": "monthly"})],
        nobody=("null", "Optional(42)", "Guest", "demo", "\u200b"),
        outcomes=dict.fromkeys(
            ("null", "optional", "guest", "nil", "invisible", "refused"), "parked (unusable_identity)"
        ),
    ),
)

# Subscriptions

_FEW = {"events": {"*": {"send": False}, "TRIAL_STARTED": {"send": True}, "TRANSACTION_PROCESSED": {"send": True}}}
_TRIAL: Payload = {"offer_type": "FREE_TRIAL", **dates(effective_next_renewal_at=7)}
_OVER: Payload = {"subscription_status": "DEACTIVATED"}


def _news(label: str, name: str, day: float, **facts: Any) -> Payload:
    """An event of a second subscription, 2.99 USD."""
    second: Payload = {
        "product": "news",
        "plan": "news-monthly",
        "purchasely_subscription_id": "subs_2",
        "store_original_transaction_id": "GPA.2",
        "plan_price_in_usd": 2.99,
        **dates(original_purchased_at=1),
    }
    return plus(label, name, day, **(second | facts))


SUBSCRIPTIONS = (
    Story(
        "few events sent, the trial ends",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, **_TRIAL),
            plus("trial", "TRIAL_STARTED", 0, **_TRIAL),
            plus("off", "RENEWAL_DISABLED", 2, **_TRIAL, subscription_status=CANCELED),
            plus("ended", "SUBSCRIPTION_TERMINATED", 7, **_TRIAL, **_OVER),
            plus("unconverted", "TRIAL_NOT_CONVERTED", 7, **_TRIAL, **_OVER),
        ),
        settings=_FEW,
        sent=[Sent("trial", "TRIAL_STARTED")],
        profiles=[
            Profile(
                has={
                    "has_active_subscription": False,
                    "subscriber_state": "expired",
                    "subscription_status": "DEACTIVATED",
                    "active_plans": "NONE",
                    "active_subscriptions": 0,
                    "has_access": False,
                    "plan": "monthly",
                    "effective_next_renewal_at": date(7),
                    "last_event": "TRIAL_STARTED",
                    "last_event_at": date(0),
                }
            )
        ],
        outcomes=dict.fromkeys(("start", "off", "ended", "unconverted"), SWITCHED_OFF),
    ),
    Story(
        "a refund that is refused",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            paid("paid", 0),
            plus("off", "DEACTIVATE", 5, subscription_status="REVOKED"),
            plus("refunded", "SUBSCRIPTION_REFUNDED_REVOKED", 5, subscription_status="REVOKED"),
            plus("back", "ACTIVATE", 8),
        ),
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED"),
            Sent("paid", "TRANSACTION_PROCESSED"),
            Sent("paid", "Charged", amount=9.99),
            Sent("refunded", "SUBSCRIPTION_REFUNDED_REVOKED"),
        ],
        profiles=[
            Profile(
                has={
                    "has_active_subscription": True,
                    "subscriber_state": "active",
                    "subscription_status": ACTIVE,
                    "last_event": "SUBSCRIPTION_REFUNDED_REVOKED",
                }
            )
        ],
        outcomes={"off": SWITCHED_OFF, "back": SWITCHED_OFF},
    ),
    Story(
        "a refund",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            paid("paid", 0),
            plus("off", "DEACTIVATE", 5, subscription_status="REVOKED"),
            plus("refunded", "SUBSCRIPTION_REFUNDED_REVOKED", 5, subscription_status=ACTIVE),
            paid(
                "back",
                5,
                amount=-9.99,
                source_event_name="SUBSCRIPTION_REFUNDED_REVOKED",
                subscription_status="REVOKED",
                store_transaction_id="GPA.1..0",
            ),
        ),
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED"),
            Sent("paid", "TRANSACTION_PROCESSED"),
            Sent("paid", "Charged", amount=9.99),
            Sent("refunded", "SUBSCRIPTION_REFUNDED_REVOKED", has={"subscription_status": "REVOKED"}),
            Sent("back", "TRANSACTION_PROCESSED", has={"amount_in_usd": -9.99}),
            Sent("back", "Refunded", amount=9.99, has={"Charged ID": "GPA.1..0"}),
        ],
        profiles=[
            Profile(
                has={"has_active_subscription": False, "subscriber_state": "refunded", "subscription_status": "REVOKED"}
            )
        ],
        outcomes={"off": SWITCHED_OFF},
    ),
    Story(
        "two subscriptions renew in turn for six months",
        (
            plus("start1", "SUBSCRIPTION_STARTED", 0, presentation="winter"),
            _news("start2", "SUBSCRIPTION_STARTED", 1),
            *(
                event
                for month in range(1, 7)
                for event in (
                    plus(
                        f"plus{month}",
                        "SUBSCRIPTION_RENEWED",
                        30 * month,
                        **dates(effective_next_renewal_at=30 * month + 30),
                    ),
                    _news(
                        f"news{month}",
                        "SUBSCRIPTION_RENEWED",
                        30 * month + 1,
                        **dates(effective_next_renewal_at=30 * month + 31),
                    ),
                )
            ),
        ),
        profiles=[
            Profile(
                has={
                    "plan": "monthly",
                    "product": "reader",
                    "presentation": "winter",
                    "active_plans": "monthly, news-monthly",
                    "active_subscriptions": 2,
                    "effective_next_renewal_at": date(210),
                    "subscription_started_at": date(0),
                    "last_event_at": date(181),
                }
            )
        ],
    ),
    Story(
        "the dearer of two ends",
        (
            plus("start1", "SUBSCRIPTION_STARTED", 0, presentation="winter"),
            _news("start2", "SUBSCRIPTION_STARTED", 1),
            plus("ended1", "SUBSCRIPTION_EXPIRED", 30, **_OVER),
        ),
        profiles=[
            Profile(
                has={
                    "has_active_subscription": True,
                    "plan": "news-monthly",
                    "active_plans": "news-monthly",
                    "active_subscriptions": 1,
                    "presentation": "NONE",
                    "subscriber_state": "active",
                }
            )
        ],
    ),
    Story(
        "both end, the last heard of is described",
        (
            plus("start1", "SUBSCRIPTION_STARTED", 0),
            _news("start2", "SUBSCRIPTION_STARTED", 1),
            _news("ended2", "SUBSCRIPTION_TERMINATED", 31, **_OVER),
            plus("held1", "ENTERED_BILLING_RETRY", 32, subscription_status="ON_HOLD"),
        ),
        profiles=[
            Profile(
                has={
                    "plan": "monthly",
                    "subscriber_state": "billing_retry",
                    "active_plans": "NONE",
                    "has_access": False,
                }
            )
        ],
    ),
    Story(
        "paid before shared, whatever the price",
        (
            plus("start1", "SUBSCRIPTION_STARTED", 0, is_family_shared=True),
            _news("start2", "SUBSCRIPTION_STARTED", 1),
        ),
        profiles=[Profile(has={"plan": "news-monthly", "is_family_shared": False, "active_subscriptions": 2})],
    ),
    Story(
        "of equal ones that which began first",
        (
            _news("start2", "SUBSCRIPTION_STARTED", 1, plan_price_in_usd=9.99),
            plus("start1", "SUBSCRIPTION_STARTED", 3, **dates(original_purchased_at=3)),
        ),
        profiles=[Profile(has={"plan": "news-monthly", "subscription_started_at": date(1)})],
    ),
    Story(
        "one subscription has two names",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, purchasely_subscription_id=None),
            plus("off", "RENEWAL_DISABLED", 3, subscription_status=CANCELED),
            plus("ended", "SUBSCRIPTION_TERMINATED", 30, **_OVER, purchasely_subscription_id=None),
        ),
        profiles=[
            Profile(has={"has_active_subscription": False, "active_subscriptions": 0, "subscriber_state": "expired"})
        ],
    ),
    Story(
        "an upgrade, all in one moment",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            paid("paid", 0, source_event_name="SUBSCRIPTION_STARTED"),
            plus("d10", "DEACTIVATE", 10, **_OVER),
            paid("rest", 10, amount=-6.66, source_event_name="SUBSCRIPTION_UPGRADED", **_OVER),
            plus("a10", "ACTIVATE", 10, plan="yearly", purchasely_subscription_id="subs_3"),
            plus(
                "up",
                "SUBSCRIPTION_UPGRADED",
                10,
                plan="yearly",
                previous_plan="monthly",
                purchasely_subscription_id="subs_3",
                from_purchasely_subscription_id="subs_1",
                plan_price_in_usd=79.0,
                **dates(effective_next_renewal_at=375),
            ),
            paid("year", 10, amount=79.0, plan="yearly", purchasely_subscription_id="subs_3", plan_price_in_usd=79.0),
        ),
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED"),
            Sent("paid", "TRANSACTION_PROCESSED"),
            Sent("paid", "Charged", amount=9.99),
            Sent("rest", "TRANSACTION_PROCESSED"),
            Sent("rest", "Refunded", amount=6.66),
            Sent("up", "SUBSCRIPTION_UPGRADED"),
            Sent("year", "TRANSACTION_PROCESSED"),
            Sent("year", "Charged", amount=79.0),
        ],
        profiles=[
            Profile(
                has={
                    "plan": "yearly",
                    "previous_plan": "monthly",
                    "active_plans": "yearly",
                    "active_subscriptions": 1,
                    "subscriber_state": "active",
                    "effective_next_renewal_at": date(375),
                }
            )
        ],
        outcomes={"d10": SWITCHED_OFF, "a10": SWITCHED_OFF},
    ),
    Story(
        "late money of the old plan changes nothing",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            plus(
                "down",
                "SUBSCRIPTION_DOWNGRADED",
                30,
                plan="basic",
                previous_plan="monthly",
                purchasely_subscription_id="subs_3",
                from_purchasely_subscription_id="subs_1",
                plan_price_in_usd=4.99,
            ),
            paid("rest", 31, amount=-1.0),
        ),
        profiles=[
            Profile(
                has={"plan": "basic", "active_plans": "basic", "active_subscriptions": 1, "subscription_status": ACTIVE}
            )
        ],
    ),
    Story(
        "a transfer between two known users",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            plus("d9", "DEACTIVATE", 9),
            plus("a9", "ACTIVATE", 9, "ben"),
            plus("gone", "SUBSCRIPTION_TRANSFERRED", 9, transferred_to_user_id="ben"),
            plus("came", "SUBSCRIPTION_RECEIVED", 9, "ben", transferred_from_user_id="ada"),
            paid("late", 10, amount=1.0),
            plus("renewed", "SUBSCRIPTION_RENEWED", 30, "ben", **dates(effective_next_renewal_at=60)),
        ),
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED"),
            Sent("gone", "SUBSCRIPTION_TRANSFERRED"),
            Sent("came", "SUBSCRIPTION_RECEIVED", "ben"),
            Sent("late", "TRANSACTION_PROCESSED"),
            Sent("late", "Charged", amount=1.0),
            Sent("renewed", "SUBSCRIPTION_RENEWED", "ben"),
        ],
        profiles=[
            Profile(
                has={
                    "has_active_subscription": False,
                    "plan": "monthly",
                    "subscription_status": "DEACTIVATED",
                    "subscriber_state": "transferred",
                    "active_plans": "NONE",
                    "active_subscriptions": 0,
                    "has_access": False,
                }
            ),
            Profile("ben", {"has_active_subscription": True, "subscriber_state": "active", "plan": "monthly"}),
        ],
        outcomes={"d9": SWITCHED_OFF, "a9": SWITCHED_OFF},
    ),
    Story(
        "a transfer and back again",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            plus("gone", "SUBSCRIPTION_TRANSFERRED", 9, transferred_to_user_id="ben"),
            plus("came", "SUBSCRIPTION_RECEIVED", 9, "ben", transferred_from_user_id="ada"),
            plus("gone2", "SUBSCRIPTION_TRANSFERRED", 11, "ben", transferred_to_user_id="ada"),
            plus("back", "SUBSCRIPTION_RECEIVED", 11, transferred_from_user_id="ben"),
        ),
        profiles=[
            Profile(has={"has_active_subscription": True, "subscriber_state": "active", "subscription_status": ACTIVE}),
            Profile("ben", {"has_active_subscription": False, "subscriber_state": "transferred"}),
        ],
    ),
    Story(
        "an offer is over",
        (
            plus(
                "offer",
                "PROMOTIONAL_OFFER_STARTED",
                0,
                offer_type="PROMOTIONAL_OFFER",
                promotional_offer_id="winback-50",
            ),
            plus("renewed", "SUBSCRIPTION_RENEWED", 30, **dates(effective_next_renewal_at=60)),
            plus("again", "SUBSCRIPTION_RENEWED", 60, **dates(effective_next_renewal_at=90)),
        ),
        profiles=[Profile(has={"promotional_offer_id": "NONE", "offer_type": "NONE", "subscriber_state": "active"})],
    ),
    Story(
        "an offer goes on",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, offer_type="INTRO_OFFER"),
            plus(
                "offer",
                "PROMOTIONAL_OFFER_STARTED",
                30,
                offer_type="PROMOTIONAL_OFFER",
                promotional_offer_id="winback-50",
            ),
        ),
        profiles=[Profile(has={"promotional_offer_id": "winback-50", "offer_type": "PROMOTIONAL_OFFER"})],
    ),
    Story(
        "no offer was ever made",
        (plus("start", "SUBSCRIPTION_STARTED", 0, offer_type="INTRO_OFFER"),),
        profiles=[
            Profile(
                has={"subscriber_state": "intro_offer"},
                lacks=("promotional_offer_id", "owned_products", "last_one_time_purchase"),
            )
        ],
    ),
    Story(
        "a payment fails, then goes through",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            plus(
                "grace",
                "GRACE_PERIOD_STARTED",
                30,
                subscription_status="IN_GRACE_PERIOD",
                **dates(grace_period_expires_at=46, effective_next_renewal_at=46),
            ),
            plus("lost", "GRACE_PERIOD_TERMINATED", 46, subscription_status="IN_GRACE_PERIOD"),
            plus("retry", "ENTERED_BILLING_RETRY", 46, subscription_status=ACTIVE),
            plus("saved", "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY", 50, **dates(effective_next_renewal_at=80)),
        ),
        profiles=[
            Profile(
                has={
                    "subscriber_state": "active",
                    "subscription_status": ACTIVE,
                    "grace_period_expires_at": date(46),
                    "effective_next_renewal_at": date(80),
                }
            )
        ],
    ),
    Story(
        "unreadable details change nothing",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, store=" google_play_store ", audience="  gold "),
            plus(
                "renewed",
                "SUBSCRIPTION_RENEWED",
                30,
                subscription_status="RUNNING",
                plan="",
                audience="",
                **dates(effective_next_renewal_at=60),
            ),
        ),
        profiles=[
            Profile(
                has={
                    "has_active_subscription": True,
                    "store": "GOOGLE_PLAY_STORE",
                    "plan": "monthly",
                    "audience": "gold",
                    "effective_next_renewal_at": date(60),
                }
            )
        ],
    ),
    Story(
        "twelve instalments",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, **dates(commitment_ends_at=365)),
            plus("off", "RENEWAL_DISABLED", 10, subscription_status=CANCELED, **dates(commitment_ends_at=365)),
            plus("paid", "INSTALLMENT_PAID", 30, subscription_status=CANCELED, **dates(commitment_ends_at=365)),
            plus("back", "INSTALLMENT_REFUNDED", 31, subscription_status=CANCELED, **dates(commitment_ends_at=365)),
        ),
        sweep_at=moment(300),
        profiles=[
            Profile(
                has={
                    "has_active_subscription": True,
                    "subscriber_state": "cancelled",
                    "commitment_ends_at": date(365),
                    "last_event": "INSTALLMENT_REFUNDED",
                }
            )
        ],
    ),
)

# Lapses

_QUIET = plus("start", "SUBSCRIPTION_STARTED", 0)
_OFF = plus("off", "RENEWAL_DISABLED", 5, subscription_status=CANCELED)
_LAPSED = {
    "has_active_subscription": False,
    "subscriber_state": "expired",
    "active_plans": "NONE",
    "active_subscriptions": 0,
    "has_access": False,
    "plan": "monthly",
    "effective_next_renewal_at": date(30),
}

LAPSES = (
    Story(
        "renewal off, over for 3 days",
        (_QUIET, _OFF),
        sweep_at=moment(33),
        profiles=[Profile(has=_LAPSED | {"last_event": "RENEWAL_DISABLED"})],
    ),
    Story(
        "renewal off, over for 1 day",
        (_QUIET, _OFF),
        sweep_at=moment(31),
        profiles=[Profile(has={"has_active_subscription": True, "subscriber_state": "cancelled"})],
    ),
    Story(
        "renewal on, over for 13 days",
        (_QUIET,),
        sweep_at=moment(43),
        profiles=[Profile(has={"has_active_subscription": True, "subscriber_state": "active"})],
    ),
    Story("renewal on, over for 15 days", (_QUIET,), sweep_at=moment(45), profiles=[Profile(has=_LAPSED)]),
    Story(
        "renewal on, never lapses by the settings",
        (_QUIET,),
        settings={"profile": {"lapse_after_hours": {"renewing": None}}},
        sweep_at=moment(400),
        profiles=[Profile(has={"has_active_subscription": True})],
    ),
    Story(
        "a renewal puts a lapse right",
        (_QUIET, _OFF, plus("renewed", "SUBSCRIPTION_RENEWED", 29, **dates(effective_next_renewal_at=60))),
        sweep_at=moment(33),
        profiles=[
            Profile(
                has={
                    "has_active_subscription": True,
                    "subscriber_state": "active",
                    "effective_next_renewal_at": date(60),
                }
            )
        ],
    ),
    Story(
        "a commitment is over",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0, **dates(commitment_ends_at=365)),
            plus("off", "RENEWAL_DISABLED", 10, subscription_status=CANCELED, **dates(commitment_ends_at=365)),
        ),
        sweep_at=moment(368),
        profiles=[Profile(has={"has_active_subscription": False, "subscriber_state": "expired"})],
    ),
    Story(
        "a subscription without an end",
        (
            plus(
                "start",
                "SUBSCRIPTION_STARTED",
                0,
                effective_next_renewal_at="9999-12-31T00:00:00.000Z",
                effective_next_renewal_at_ms=253402214400000,
            ),
        ),
        sweep_at=moment(4000),
        profiles=[Profile(has={"has_active_subscription": True}, lacks=("effective_next_renewal_at",))],
    ),
)

# One-time purchases

_STRANGER = (
    "has_active_subscription",
    "active_plans",
    "active_subscriptions",
    "subscriber_state",
    "plan",
    "subscription_status",
)

PURCHASES = (
    Story(
        "a lifetime refunded, coins bought twice",
        (
            lifetime("bought", "ACTIVATE", 0),
            coins("coins1", 1),
            coins("coins2", 2),
            lifetime("refunded", "DEACTIVATE", 5),
        ),
        sent=[
            Sent("bought", "ONE_TIME_PURCHASE_ACTIVATED"),
            Sent("bought", "Charged", amount=149.99, has={"Charged ID": "GPA.7"}),
            Sent("coins1", "ONE_TIME_PURCHASE_ACTIVATED"),
            Sent("coins1", "Charged", amount=1.99),
            Sent("coins2", "ONE_TIME_PURCHASE_ACTIVATED"),
            Sent("coins2", "Charged", amount=1.99),
            Sent("refunded", "ONE_TIME_PURCHASE_DEACTIVATED"),
            Sent("refunded", "Refunded", amount=149.99, has={"Charged ID": "GPA.7"}),
        ],
        profiles=[
            Profile(
                has={"owned_products": "NONE", "has_access": False, "last_one_time_purchase": "coins-100"},
                lacks=_STRANGER,
            )
        ],
    ),
    Story(
        "a lifetime is kept",
        (lifetime("bought", "ACTIVATE", 0), lifetime("restored", "ACTIVATE", 9)),
        any_order=False,
        sent=[
            Sent("bought", "ONE_TIME_PURCHASE_ACTIVATED"),
            Sent("bought", "Charged", amount=149.99),
            Sent("restored", "ONE_TIME_PURCHASE_ACTIVATED"),
        ],
        profiles=[
            Profile(
                has={"owned_products": "reader-forever", "has_access": True, "last_one_time_purchase": "lifetime"},
                lacks=_STRANGER,
            )
        ],
    ),
    Story(
        "coins of a subscriber from before the bridge",
        (coins("coins", 0),),
        sent=[Sent("coins", "ONE_TIME_PURCHASE_ACTIVATED"), Sent("coins", "Charged", amount=1.99)],
        profiles=[
            Profile(has={"last_one_time_purchase": "coins-100"}, lacks=(*_STRANGER, "has_access", "owned_products"))
        ],
    ),
    Story(
        "a subscriber buys a lifetime, the subscription ends",
        (
            plus("start", "SUBSCRIPTION_STARTED", 0),
            lifetime("bought", "ACTIVATE", 3),
            plus("ended", "SUBSCRIPTION_TERMINATED", 30, **_OVER),
        ),
        profiles=[
            Profile(
                has={
                    "has_active_subscription": False,
                    "has_access": True,
                    "owned_products": "reader-forever",
                    "plan": "monthly",
                }
            )
        ],
    ),
    Story(
        "a lifetime moves to another user",
        (
            lifetime("bought", "ACTIVATE", 0),
            lifetime("ended", "DEACTIVATE", 9),
            lifetime("again", "ACTIVATE", 9, "ben"),
            lifetime("gone", "ONE_TIME_PURCHASE_TRANSFERRED", 9, transferred_to_user_id="ben"),
            lifetime("came", "ONE_TIME_PURCHASE_RECEIVED", 9, "ben", transferred_from_user_id="ada"),
        ),
        any_order=False,
        sent=[
            Sent("bought", "ONE_TIME_PURCHASE_ACTIVATED"),
            Sent("bought", "Charged", amount=149.99),
            Sent("ended", "ONE_TIME_PURCHASE_DEACTIVATED"),
            Sent("gone", "ONE_TIME_PURCHASE_TRANSFERRED"),
            Sent("again", "ONE_TIME_PURCHASE_ACTIVATED", "ben"),
            Sent("came", "ONE_TIME_PURCHASE_RECEIVED", "ben"),
        ],
        profiles=[
            Profile(has={"owned_products": "NONE", "has_access": False}),
            Profile("ben", {"owned_products": "reader-forever", "has_access": True}),
        ],
    ),
    Story(
        "purchases under other names",
        (lifetime("bought", "ACTIVATE", 0), lifetime("refunded", "DEACTIVATE", 5), plus("start", "ACTIVATE", 6)),
        settings={
            "events": {
                "ONE_TIME_PURCHASE_ACTIVATED": {"name": "Bought"},
                "ONE_TIME_PURCHASE_DEACTIVATED": {"send": False},
            },
            "revenue": {"refunds": {"name": "Money Back"}},
        },
        sent=[
            Sent("bought", "Bought"),
            Sent("bought", "Charged", amount=149.99),
            Sent("refunded", "Money Back", amount=149.99),
        ],
        profiles=[Profile(has={"owned_products": "NONE", "has_active_subscription": True})],
        outcomes={"refunded": SWITCHED_OFF, "start": SWITCHED_OFF},
    ),
    Story(
        "a pass of three months",
        (
            lifetime(
                "pass",
                "ACTIVATE",
                0,
                purchase_type="NON_RENEWING_SUBSCRIPTION",
                product="reader-pass",
                plan="three-months",
                **dates(effective_next_renewal_at=90),
            ),
        ),
        sweep_at=moment(93),
        sent=[Sent("pass", "ONE_TIME_PURCHASE_ACTIVATED"), Sent("pass", "Charged", amount=149.99)],
        profiles=[
            Profile(has={"has_access": False, "last_one_time_purchase": "three-months"}, lacks=("owned_products",))
        ],
    ),
    Story(
        "a pass of three months goes on",
        (
            lifetime(
                "pass", "ACTIVATE", 0, purchase_type="NON_RENEWING_SUBSCRIPTION", **dates(effective_next_renewal_at=90)
            ),
        ),
        sweep_at=moment(80),
        sent=[Sent("pass", "ONE_TIME_PURCHASE_ACTIVATED"), Sent("pass", "Charged", amount=149.99)],
        profiles=[Profile(has={"has_access": True}, lacks=("owned_products",))],
    ),
)

# Revenue and settings


def _abroad(label: str, day: float, usd: float, amount: float, currency: str) -> Payload:
    money: Payload = {"amount_in_usd": usd, "amount_in_customer_currency": amount, "customer_currency": currency}
    return plus(label, "TRANSACTION_PROCESSED", day, source_event_name="SUBSCRIPTION_RENEWED", **money)


_ABROAD = (
    _abroad("eur", 0, 10.79, 9.99, "EUR"),
    _abroad("jpy", 30, 10.05, 1500, "JPY"),
    _abroad("brl", 60, 6.28, 34.90, "BRL"),
)
_OF_ABROAD = [Sent(label, "TRANSACTION_PROCESSED") for label in ("eur", "jpy", "brl")]

REVENUE = (
    Story(
        "three currencies, one sum",
        _ABROAD,
        sent=[
            *_OF_ABROAD,
            Sent("eur", "Charged", amount=10.79),
            Sent("jpy", "Charged", amount=10.05),
            Sent("brl", "Charged", amount=6.28),
        ],
        profiles=[Profile(has={"has_active_subscription": True})],
    ),
    Story(
        "three currencies, as they were paid",
        _ABROAD,
        settings={"revenue": {"currency": "customer"}},
        sent=[
            *_OF_ABROAD,
            Sent("eur", "Charged", amount=9.99, currency="EUR"),
            Sent("jpy", "Charged", amount=1500.0, currency="JPY"),
            Sent("brl", "Charged", amount=34.90, currency="BRL"),
        ],
    ),
    Story(
        "money that is not there or text",
        (
            paid("empty", 0, amount_in_customer_currency=""),
            paid("text", 30, amount_in_usd="9.99"),
            paid("nothing", 60, amount=0),
            _abroad("other", 90, 5.0, 4.6, "EUR") | {"amount_in_chf": 4.4},
        ),
        sent=[
            Sent("empty", "TRANSACTION_PROCESSED"),
            Sent("empty", "Charged", amount=9.99),
            Sent("text", "TRANSACTION_PROCESSED"),
            Sent("text", "Charged", amount=9.99),
            Sent("nothing", "TRANSACTION_PROCESSED"),
            Sent("other", "TRANSACTION_PROCESSED"),
            Sent("other", "Charged", amount=5.0),
        ],
    ),
    Story(
        "a payment that is switched off is charged",
        (paid("paid", 0), paid("back", 3, amount=-9.99)),
        settings={"events": {"TRANSACTION_PROCESSED": {"send": False}}},
        sent=[Sent("paid", "Charged", amount=9.99), Sent("back", "Refunded", amount=9.99)],
        profiles=[Profile(has={"has_active_subscription": True}, lacks=("last_event", "last_event_at"))],
        outcomes={"paid": SWITCHED_OFF, "back": SWITCHED_OFF},
    ),
    Story(
        "nothing charged, nothing refunded",
        (paid("paid", 0), paid("back", 3, amount=-9.99), lifetime("bought", "ACTIVATE", 4)),
        settings={"revenue": {"charged": False, "refunds": {"send": False}}},
        sent=[
            Sent("paid", "TRANSACTION_PROCESSED"),
            Sent("back", "TRANSACTION_PROCESSED"),
            Sent("bought", "ONE_TIME_PURCHASE_ACTIVATED"),
        ],
    ),
    Story(
        "proceeds",
        (paid("apple", 0, store="APPLE_APP_STORE", amount=10.0), paid("stripe", 30, store="STRIPE", amount=10.0)),
        settings={"revenue": {"proceeds": {"APPLE_APP_STORE": 0.85, "*": 1.0}}},
        sent=[
            Sent("apple", "TRANSACTION_PROCESSED"),
            Sent("apple", "Charged", amount=10.0, has={"Proceeds": 8.5}),
            Sent("stripe", "TRANSACTION_PROCESSED"),
            Sent("stripe", "Charged", amount=10.0, has={"Proceeds": 10.0}),
        ],
    ),
    Story(
        "revenue by paywall and campaign",
        (
            paid(
                "paid",
                0,
                presentation="winter",
                placement="onboarding",
                audience="new",
                ab_test="price",
                ab_test_variant="B",
                channel="web2app",
                provider="purchasely",
                attribution={"utm_source": "letter", "utm_medium": "email", "deep": {"er": 1}},
            ),
        ),
        sent=[
            Sent(
                "paid",
                "TRANSACTION_PROCESSED",
                has={"attribution_utm_source": "letter", "attribution_utm_medium": "email"},
            ),
            Sent(
                "paid",
                "Charged",
                amount=9.99,
                has={
                    "presentation": "winter",
                    "placement": "onboarding",
                    "audience": "new",
                    "ab_test": "price",
                    "ab_test_variant": "B",
                    "offer_type": "NONE",
                    "channel": "web2app",
                    "provider": "purchasely",
                    "attribution_utm_source": "letter",
                },
            ),
        ],
        profiles=[
            Profile(
                has={
                    "attribution_utm_source": "letter",
                    "attribution_utm_medium": "email",
                    "channel": "web2app",
                    "ab_test_variant": "B",
                }
            )
        ],
    ),
)

SETTINGS = (
    Story(
        "only some stores and plans",
        (
            plus("google", "SUBSCRIPTION_STARTED", 0),
            plus("apple", "SUBSCRIPTION_STARTED", 1, "ben", store="APPLE_APP_STORE"),
            plus("renewed", "SUBSCRIPTION_RENEWED", 30, **dates(effective_next_renewal_at=60)),
        ),
        settings={"events": {"SUBSCRIPTION_STARTED": {"where": {"store": ["APPLE_APP_STORE"], "plan": ["monthly"]}}}},
        sent=[Sent("apple", "SUBSCRIPTION_STARTED", "ben"), Sent("renewed", "SUBSCRIPTION_RENEWED")],
        profiles=[
            Profile(has={"store": "GOOGLE_PLAY_STORE", "effective_next_renewal_at": date(60)}),
            Profile("ben", {"plan": "monthly"}),
        ],
        outcomes={"google": "skipped (filtered)"},
    ),
    Story(
        "test purchases in their own account",
        (
            plus("test", "SUBSCRIPTION_STARTED", 0, environment="sandbox", plan="test-plan"),
            plus("real", "SUBSCRIPTION_STARTED", 1, subscription_status=CANCELED),
        ),
        sent=[Sent("test", "SUBSCRIPTION_STARTED", account=SANDBOX), Sent("real", "SUBSCRIPTION_STARTED")],
        profiles=[
            Profile(has={"plan": "test-plan", "subscriber_state": "active", "environment": "SANDBOX"}, account=SANDBOX),
            Profile(has={"plan": "monthly", "subscriber_state": "cancelled", "environment": "PRODUCTION"}),
        ],
    ),
    Story(
        "test purchases go nowhere",
        (
            plus("visit", "SUBSCRIPTION_STARTED", 0, None),
            plus("test", "RENEWAL_DISABLED", 1, environment="SANDBOX", plan="test-plan", anonymous_user_id=VISITOR),
        ),
        sandbox_account=False,
        sent=[],
        nobody=("ada", VISITOR),
        outcomes={"test": "skipped (no_sandbox_account)", "visit": "held"},
    ),
    Story(
        "test purchases mixed in",
        (plus("test", "SUBSCRIPTION_STARTED", 0, environment="SANDBOX"),),
        settings={"sandbox": "mix"},
        sent=[Sent("test", "SUBSCRIPTION_STARTED")],
        profiles=[Profile(has={"environment": "SANDBOX"})],
    ),
    Story(
        "profile under other names",
        (plus("start", "SUBSCRIPTION_STARTED", 0),),
        settings={"profile": {"prefix": "p_", "rename": {"plan": "Plan"}, "omit": ["user_id"]}},
        profiles=[
            Profile(has={"Plan": "monthly", "p_store": "GOOGLE_PLAY_STORE"}, lacks=("plan", "p_user_id", "store"))
        ],
    ),
    Story(
        "no profiles",
        (plus("start", "SUBSCRIPTION_STARTED", 0), plus("active", "ACTIVATE", 0)),
        settings={"profile": {"send": False}, "events": {"ACTIVATE": {"send": True}}},
        sent=[Sent("start", "SUBSCRIPTION_STARTED"), Sent("active", "ACTIVATE")],
        profiles=[Profile(lacks=("user_id", "plan", "has_active_subscription", "last_event"))],
    ),
    Story(
        "an event from tomorrow",
        (
            plus("early", "SUBSCRIPTION_RENEWED", 31, subscription_status=ACTIVE),
            plus("off", "RENEWAL_DISABLED", 30.5, subscription_status=CANCELED),
        ),
        received={"early": moment(30), "off": moment(30.5)},
        any_order=False,
        sent=[Sent("early", "SUBSCRIPTION_RENEWED", day=30), Sent("off", "RENEWAL_DISABLED")],
        profiles=[Profile(has={"subscriber_state": "cancelled", "last_event": "RENEWAL_DISABLED"})],
    ),
    Story(
        "seconds where milliseconds should be",
        (
            plus(
                "start",
                "SUBSCRIPTION_STARTED",
                1,
                event_created_at_ms=moment(1) // 1000,
                effective_next_renewal_at_ms=moment(30) // 1000,
            ),
            plus("off", "RENEWAL_DISABLED", 0, subscription_status=CANCELED),
        ),
        sent=[
            Sent("start", "SUBSCRIPTION_STARTED", has={"effective_next_renewal_at": date(30)}),
            Sent("off", "RENEWAL_DISABLED"),
        ],
        profiles=[Profile(has={"effective_next_renewal_at": date(30), "subscriber_state": "active"})],
    ),
)

# What an event says of a subscription by its name

_ENDINGS = (
    ("DEACTIVATE", ACTIVE, "DEACTIVATED", "expired"),
    ("DEACTIVATE", "REVOKED", "REVOKED", "refunded"),
    ("SUBSCRIPTION_TERMINATED", CANCELED, "DEACTIVATED", "expired"),
    ("SUBSCRIPTION_TERMINATED", "UNPAID", "UNPAID", "expired"),
    ("SUBSCRIPTION_EXPIRED", ACTIVE, "DEACTIVATED", "expired"),
    ("SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD", "IN_GRACE_PERIOD", "DEACTIVATED", "expired"),
    ("SUBSCRIPTION_CANCELLED_DURING_PAUSE", ACTIVE, "DEACTIVATED", "expired"),
    ("SUBSCRIPTION_REFUNDED_REVOKED", ACTIVE, "REVOKED", "refunded"),
    ("ENTERED_BILLING_RETRY", ACTIVE, "ON_HOLD", "billing_retry"),
    ("SUBSCRIPTION_PAUSED", ACTIVE, "PAUSED", "paused"),
    ("TRIAL_NOT_CONVERTED", CANCELED, "DEACTIVATED", "expired"),
    ("INTRO_OFFER_NOT_CONVERTED", "RUNNING", "DEACTIVATED", "expired"),
)
_GOING_ON = (
    ("SUBSCRIPTION_STARTED", ACTIVE, "active"),
    ("SUBSCRIPTION_RENEWED", ACTIVE, "active"),
    ("SUBSCRIPTION_REACTIVATED", ACTIVE, "active"),
    ("SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD", ACTIVE, "active"),
    ("SUBSCRIPTION_UNPAUSED", ACTIVE, "active"),
    ("SUBSCRIPTION_WILL_PAUSE", ACTIVE, "active"),
    ("RENEWAL_ENABLED", ACTIVE, "active"),
    ("RENEWAL_DISABLED", CANCELED, "cancelled"),
    ("GRACE_PERIOD_STARTED", "IN_GRACE_PERIOD", "grace_period"),
)

NAMES = (
    *(
        Story(
            f"{name} told with {status}",
            (plus("start", "SUBSCRIPTION_STARTED", 0), plus("end", name, 5, subscription_status=status)),
            profiles=[
                Profile(
                    has={
                        "has_active_subscription": False,
                        "subscription_status": right,
                        "subscriber_state": state,
                        "active_plans": "NONE",
                        "plan": "monthly",
                    }
                )
            ],
            outcomes={"end": SWITCHED_OFF} if name == "DEACTIVATE" else {},
        )
        for name, status, right, state in _ENDINGS
    ),
    *(
        Story(
            f"{name} told with {status}",
            (plus("start", name, 5, subscription_status=status),),
            profiles=[
                Profile(has={"has_active_subscription": True, "subscriber_state": state, "active_plans": "monthly"})
            ],
        )
        for name, known, state in _GOING_ON
        for status in (known, "RUNNING", None)
    ),
    *(
        Story(
            f"{name} told without a status says nothing of it",
            (
                plus("end", "SUBSCRIPTION_TERMINATED", 5, **_OVER),
                plus("later", name, 6, subscription_status="RUNNING", amount_in_usd=0),
            ),
            profiles=[Profile(has={"has_active_subscription": False, "subscriber_state": "expired"})],
        )
        for name in ("TRANSACTION_PROCESSED", "RETENTION_MESSAGE_REQUESTED", "LOYALTY_TIER_REACHED")
    ),
)

READING = (
    Story(
        "values that CleverTap does not take",
        (
            plus(
                "start",
                "SUBSCRIPTION_STARTED",
                0,
                perks=["early", "no ads"],
                deep={"er": {"still": 1}, "two": 2},
                note="",
                tier=None,
            ),
        ),
        sent=[
            Sent(
                "start",
                "SUBSCRIPTION_STARTED",
                has={"perks": "early, no ads", "deep_two": 2},
                lacks=("deep", "deep_er", "note", "tier", "purchase_token"),
            )
        ],
    ),
    *(
        Story(
            f"a date written as {written}",
            (
                plus("start", "SUBSCRIPTION_STARTED", 1)
                | {"auto_resume_at": written, "event_created_at": written, "event_created_at_ms": None},
            ),
            sent=[Sent("start", "SUBSCRIPTION_STARTED", day=1, has={"auto_resume_at": date(1)})],
            profiles=[Profile(has={"auto_resume_at": date(1), "last_event_at": date(1)})],
        )
        for written in (
            "2026-03-02T00:00:00.000Z",
            "2026-03-02t00:00:00z",
            "2026-03-02 00:00:00",
            "2026-03-02 00:00:00 UTC",
            "2026-03-02T02:00:00+0200",
            "2026-03-01T23:59:60Z",
        )
    ),
)

STORIES = (*NAMES, *READING, *LOGINS, *DEVICES, *SUBSCRIPTIONS, *LAPSES, *PURCHASES, *REVENUE, *SETTINGS)
