"""The nested payload of Purchasely's api_version 2, turned into the flat one of version 3.

Version 2 also omits api_version at times. Facts: docs.purchasely.com, webhook (previous versions).
"""

from collections.abc import Mapping
from typing import Any


def upgraded(payload: dict[str, Any]) -> dict[str, Any]:
    """`payload` itself when it is flat already, else a flat one that keeps every key it does not know."""
    if "event_name" in payload or "name" not in payload:
        return payload
    rest = dict(payload)
    user = _object(rest.pop("user", None))
    properties = dict(_object(rest.pop("properties", None)))
    offer = properties.pop("period_type", None)
    product = _object(properties.pop("product", None))
    plan = _object(properties.pop("plan", None)) or _object(product.get("plan"))
    moved = {
        "event_name": rest.pop("name"),
        "event_created_at": rest.pop("received_at", None),
        "user_id": user.get("vendor_id"),
        "anonymous_user_id": user.get("anonymous_id"),
        "effective_next_renewal_at": properties.pop("expires_at", None),
        "offer_type": "NONE" if offer == "NORMAL" else offer,
        "product": product.get("vendor_id"),
        "plan": plan.get("vendor_id"),
    }
    return properties | rest | {key: value for key, value in moved.items() if value is not None}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
