"""How many functions may run at once: the account's quota, and what of it is kept for ingest."""

from typing import Final

from bridge_cli.account import Account
from bridge_cli.deployment import Deployment
from bridge_cli.finding import Concurrency, Finding, of_concurrency

_QUOTA: Final = "L-B99A9384"  # Service Quotas, Lambda: Concurrent executions
_OF_DEAD_LETTERS: Final = 2  # template.yaml: forwarders that take dead letters


def concurrency(account: Account, deployed: Deployment) -> Finding:
    """Whether Lambda could throttle the webhook. Raises ClientError."""
    client = account.client("lambda")
    limit = client.get_account_settings()["AccountLimit"]
    kept = client.get_function_concurrency(FunctionName=account.output("IngestFunctionName"))
    region = client.meta.region_name
    return of_concurrency(
        Concurrency(
            limit["ConcurrentExecutions"],
            limit["UnreservedConcurrentExecutions"],
            kept.get("ReservedConcurrentExecutions"),
        ),
        forwarders=deployed.number("MaxConcurrency", 5) + _OF_DEAD_LETTERS,
        rate=deployed.number("ThrottleRate", 500),
        link=f"https://{region}.console.aws.amazon.com/servicequotas/home/services/lambda/quotas/{_QUOTA}",
    )
