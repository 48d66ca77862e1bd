"""Webhooks that are wrong in one way, each with the answer that a right receiver gives.

Whatever is truly signed is answered 200, however useless its body: Purchasely would otherwise hold back all later
events of that user for up to 20 days. To add one, write a function of a `Case` and put `@_special(status)` on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from .lifecycles import renewals
from .payload import Payload, encode
from .webhook import (
    DEPRECATED_SIGNATURE_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Webhook,
    sign_deprecated,
    signed,
)

_DAY = 86_400


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """What a special webhook is made of: `event` is a good one, new for each seed and timestamp (unix seconds)."""

    secret: str
    timestamp: int
    event: Payload

    def without(self, header: str) -> Webhook:
        """The good webhook without one of its headers."""
        webhook = signed(self.event, self.secret, self.timestamp)
        return Webhook({name: value for name, value in webhook.headers.items() if name != header}, webhook.body)


@dataclass(frozen=True, slots=True)
class Special:
    """`status` is the HTTP status of the right answer."""

    name: str
    meaning: str
    status: int
    make: Callable[[Case], Webhook]

    def __call__(self, secret: str, timestamp: int, seed: int = 0) -> Webhook:
        """The webhook, at `timestamp` (unix seconds)."""
        events = renewals.ending(1_000_003 * timestamp + seed, datetime.fromtimestamp(timestamp, UTC)).events
        event = next(event for event in reversed(events) if event["event_name"] == "SUBSCRIPTION_RENEWED")
        return self.make(Case(secret, timestamp, event))


_specials: dict[str, Special] = {}
SPECIALS: Mapping[str, Special] = MappingProxyType(_specials)


def _special(status: int) -> Callable[[Callable[[Case], Webhook]], Special]:
    def register(make: Callable[[Case], Webhook]) -> Special:
        special = Special(make.__name__, make.__doc__ or "", status, make)
        _specials[special.name] = special
        return special

    return register


@_special(401)
def wrong_signature(case: Case) -> Webhook:
    """Signed with another secret."""
    return signed(case.event, f"not {case.secret}", case.timestamp)


@_special(401)
def changed_body(case: Case) -> Webhook:
    """Rightly signed, then one byte of the body was changed."""
    webhook = signed(case.event, case.secret, case.timestamp)
    return Webhook(webhook.headers, webhook.body.replace(b'"plan"', b'"Plan"'))


@_special(401)
def no_signature(case: Case) -> Webhook:
    """Without the signature's header."""
    return case.without(SIGNATURE_HEADER)


@_special(401)
def no_timestamp(case: Case) -> Webhook:
    """Without the timestamp's header."""
    return case.without(TIMESTAMP_HEADER)


@_special(401)
def deprecated_signature(case: Case) -> Webhook:
    """Only the deprecated signature, which does not cover the body."""
    webhook = case.without(SIGNATURE_HEADER)
    deprecated = sign_deprecated(case.secret, str(case.timestamp))
    return Webhook({**webhook.headers, DEPRECATED_SIGNATURE_HEADER: deprecated}, webhook.body)


@_special(401)
def old_timestamp(case: Case) -> Webhook:
    """Rightly signed 40 days ago: a request that somebody kept and sends again."""
    return signed(case.event, case.secret, case.timestamp - 40 * _DAY)


@_special(401)
def future_timestamp(case: Case) -> Webhook:
    """Rightly signed for a day 40 days from now."""
    return signed(case.event, case.secret, case.timestamp + 40 * _DAY)


@_special(200)
def not_json(case: Case) -> Webhook:
    """A body that is not JSON."""
    return signed(encode(case.event)[:-1], case.secret, case.timestamp)


@_special(200)
def not_an_object(case: Case) -> Webhook:
    """A body that is JSON, but a list."""
    return signed(b"[" + encode(case.event) + b"]", case.secret, case.timestamp)


@_special(200)
def not_utf8(case: Case) -> Webhook:
    """A body that is not text; its content type makes the gateway hand it over intact."""
    return signed(b"\xff\xfe" + encode(case.event), case.secret, case.timestamp, "application/octet-stream")


@_special(200)
def empty_body(case: Case) -> Webhook:
    """No body at all."""
    return signed(b"", case.secret, case.timestamp)


@_special(200)
def no_event_id(case: Case) -> Webhook:
    """An event without an id, as in a few old samples."""
    event = {key: value for key, value in case.event.items() if key != "event_id"}
    return signed(event, case.secret, case.timestamp)


@_special(200)
def reserved_name(case: Case) -> Webhook:
    """A new event whose name CleverTap keeps for itself (code 513)."""
    return signed(case.event | {"event_name": "App Launched"}, case.secret, case.timestamp)


@_special(200)
def unusable_clevertap_id(case: Case) -> Webhook:
    """An event with a clevertap_id of a form that CleverTap refuses (code 526)."""
    return signed(case.event | {"clevertap_id": "not a CleverTap id"}, case.secret, case.timestamp)


@_special(200)
def dated_ahead(case: Case) -> Webhook:
    """An event of a day two years from now: CleverTap refuses such a time (code 525)."""
    ahead = case.timestamp + 730 * _DAY
    date = datetime.fromtimestamp(ahead, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    moved = {"event_created_at": date, "event_created_at_ms": ahead * 1000}
    return signed(case.event | moved, case.secret, case.timestamp)


@_special(200)
def version_2(case: Case) -> Webhook:
    """The nested payload of api_version 2, which has neither an id nor an environment."""
    event = case.event
    plan = {"type": event["purchase_type"], "vendor_id": event["plan"], "store_product_id": event["store_product_id"]}
    payload = {
        "name": "SUBSCRIPTION_RENEWED",
        "user": {"vendor_id": event["user_id"]},
        "properties": {
            "app": {"package_id": event["store_app_bundle_id"]},
            "store": event["store"],
            "product": {"vendor_id": event["product"], "plan": plan},
            "expires_at": event["effective_next_renewal_at"],
            "period_type": "NORMAL",
            "purchase_id": event["purchasely_subscription_id"],
            "purchased_at": event["purchased_at"],
            "original_transaction_id": event["store_original_transaction_id"],
        },
        "api_version": 2,
        "received_at": event["event_created_at"],
    }
    return signed(payload, case.secret, case.timestamp)


@_special(413)
def too_large(case: Case) -> Webhook:
    """More than the 1 MiB that a queue takes."""
    return signed(case.event | {"padding": "x" * 1_100_000}, case.secret, case.timestamp)
