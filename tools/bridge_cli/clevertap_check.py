"""A dry run at CleverTap: whether project id, passcode and region fit together. CleverTap stores nothing of it."""

from collections.abc import Iterable

from purchasely_clevertap.clevertap.account import Credentials, Region
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.response import Accepted, NotTaken, RecordResult, Rejected, SetupFault, Unknown
from purchasely_clevertap.outcome import RetryReason

# A person waits for it.
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0


def new_client() -> Client:
    """The client of dry runs."""
    return Client(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)


def problem(result: RecordResult) -> str | None:
    """What a dry run met, and what to do, in one line; None when CleverTap accepts the credentials."""
    match result:
        case Accepted():
            return None
        case SetupFault(0, message):
            return f"no request can be made of these credentials: {message}"
        case SetupFault(status, message) if status not in (401, 403):
            return f"this is not where CleverTap takes uploads ({message}): look at the region and the endpoint"
        case SetupFault(status):
            return (
                f"CleverTap refuses the credentials ({status}): project id, passcode and region do not fit together; "
                "they stand in its dashboard under Settings > Project"
            )
        case Rejected(code, message):
            return f"CleverTap refuses the test record ({code}): {message}"
        case NotTaken(RetryReason.CONNECT) | Unknown(RetryReason.TIMEOUT | "connection_lost"):
            return "CleverTap cannot be reached from here: look at the connection and its firewall, then try again"
        case NotTaken(RetryReason.THROTTLED):
            return "CleverTap has too many requests of this project under way (429): try again"
        case NotTaken(reason, status):
            return f"CleverTap does not answer as it should ({status or reason}): try again later"
        case Unknown(reason):
            return f"what answers is not CleverTap ({reason}): look at the endpoint"


def regions_that_accept(client: Client, account_id: str, passcode: str, among: Iterable[Region]) -> list[Region]:
    """The regions whose own host takes these credentials."""
    return [
        region
        for region in among
        if isinstance(client.check(Credentials(account_id, passcode, region.endpoint)), Accepted)
    ]
