"""The admin API under `/_emulator/`: scripts faults and tells what was taken. JSON in, JSON out."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from clevertap_emulator import faults
from clevertap_emulator.answer import failure
from clevertap_emulator.properties import Json, Object
from clevertap_emulator.service import Service


def answer(
    service: Service, method: str, path: str, query: Mapping[str, str], body: bytes | None
) -> tuple[int, Object]:
    """The HTTP status and body for an admin request: 200, 400 with `error` saying what is wrong, or 404."""
    try:
        match method, path:
            case "POST", "/_emulator/faults":
                return 200, {"added": _add_faults(service, body or b"")}
            case "DELETE", "/_emulator/faults":
                service.faults.clear()
                return 200, {}
            case "GET", "/_emulator/records":
                return 200, {"records": [asdict(each) for each in service.records(_account(service, query))]}
            case "GET", "/_emulator/profiles":
                return 200, {"profiles": [asdict(each) for each in service.profiles(_account(service, query))]}
            case "GET", "/_emulator/requests":
                requests: list[Json] = [asdict(each) for each in service.requests()]
                return 200, {"max_concurrency": service.max_concurrency, "requests": requests}
            case "GET", "/_emulator/deletions":
                return 200, {"deletions": [asdict(each) for each in service.deletions()]}
            case "GET", "/_emulator/violations":
                return 200, {"violations": [asdict(each) for each in service.violations()]}
            case "POST", "/_emulator/reset":
                service.reset()
                return 200, {}
            case _:
                return 404, failure(404) | {"error": f"No {method} {path}"}
    except ValueError as error:
        return 400, failure(400) | {"error": str(error)}


def _add_faults(service: Service, body: bytes) -> int:
    """Queues all steps, or none when one is wrong; how many they were."""
    try:
        value: Json = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError('the body must be JSON such as {"fault": "status", "status": 503, "times": 3}') from None
    steps = faults.parse(value)
    for step, times in steps:
        service.faults.add(step, times=times)
    return len(steps)


def _account(service: Service, query: Mapping[str, str]) -> str:
    account = query.get("account", "")
    if account not in service.account_ids:
        raise ValueError(f"account is {account!r}, must be one of {', '.join(service.account_ids)}")
    return account
