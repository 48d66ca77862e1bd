"""The proof that a deployment works: what the stack is made of, and a test webhook that is followed all the way."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from bridge_cli.account import Account
from bridge_cli.alarms import alarms, subscriptions
from bridge_cli.cli_error import CliError
from bridge_cli.concurrency import concurrency
from bridge_cli.configuration import Configuration
from bridge_cli.deep_finding import (
    of_alarm_states,
    of_clock,
    of_dashboards,
    of_function,
    of_key,
    of_lines,
    of_metrics,
    of_probe,
)
from bridge_cli.deliveries import delivery
from bridge_cli.deployment import Deployment, deployment, resources
from bridge_cli.event_sources import QUEUES, event_sources
from bridge_cli.finding import Finding, of_mappings, of_subscriptions
from bridge_cli.log_lines import lines_of
from bridge_cli.looking import looked_if_allowed
from bridge_cli.output import working
from bridge_cli.probe import Outcome, Stopwatch, prove
from bridge_cli.secret_document import shared_secrets
from bridge_cli.times import iso, now_ms
from purchasely_clevertap.aws.secrets import Absent, Unusable

_FUNCTIONS: Final = {"ingest": "IngestFunctionName", "forwarder": "ForwarderFunctionName", "sweep": "SweepFunctionName"}
_ALIAS: Final = "live"
_METRICS: Final = {"Accepted": "ingest", "Settled": "forwarder"}
_NAMESPACE: Final = "PurchaselyCleverTap"
# CloudWatch has log lines after seconds and metrics after minutes: longer than this nobody wants to wait for them.
_FOLLOW_SECONDS: Final = 45.0
_SET_UP_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 3.0
_METRICS_MINUTES: Final = 15

# AWS names in its errors who called; a bug report is no place for it.
_PRINCIPAL: Final = re.compile(r"arn:[a-z-]+:(?:iam|sts)::\d{12}:\S+")
_ACCOUNT: Final = re.compile(r"(?<!\d)\d{12}(?!\d)")
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"']+@[^\s@<>,;:\"']+\.[^\s@<>,;:\"']+")


def deep_findings(account: Account, apps: Sequence[str], *, clock: Stopwatch) -> list[Finding]:
    """What the stack is made of, and a test webhook of each of the apps that has a secret to sign it with."""
    try:
        found = _made_of(account, deployment(account))
    except CliError:  # without a stack there is nothing to prove, and a check has said so
        return []
    for app in apps:
        found += looked_if_allowed(f"{app}: test webhook", partial(_probed, account, app, clock))
    return found + looked_if_allowed("alarm states", lambda: [of_alarm_states(alarms(account))])


def proof_of_deployment(
    account: Account, app: str, deployed: Deployment, outcome: Outcome, *, clock: Stopwatch
) -> list[Finding]:
    """The same when the test webhook was sent, and what else `bridge check` would find of a stack that is new."""
    found = _made_of(account, deployed)
    found += looked_if_allowed("Lambda concurrency", lambda: [concurrency(account, deployed)])
    for queue in QUEUES:
        found += looked_if_allowed(f"forwarder takes {queue}", partial(_mapping, account, queue))
    found += looked_if_allowed("who is told", lambda: [of_subscriptions(account.stage, subscriptions(account))])
    if outcome.good:
        found += looked_if_allowed(
            f"{app}: test webhook", lambda: followed(account, app, outcome, clock=clock, seconds=_SET_UP_SECONDS)
        )
    return found + looked_if_allowed("alarm states", lambda: [of_alarm_states(alarms(account))])


def _made_of(account: Account, deployed: Deployment) -> list[Finding]:
    found: list[Finding] = []
    with working("Looking at what the stack is made of …"):
        for name, output in _FUNCTIONS.items():
            found += looked_if_allowed(f"{name} function", partial(_function, account, name, output))
        found += looked_if_allowed("dashboards", lambda: [_dashboards(account)])
        found += looked_if_allowed("KMS key", lambda: [_key(account, deployed)])
        found += looked_if_allowed("clock", lambda: [_clock(account)])
    return found


def followed(
    account: Account, app: str, outcome: Outcome, *, clock: Stopwatch, seconds: float = _FOLLOW_SECONDS
) -> Iterator[Finding]:
    """What can be seen of a test webhook that was sent: its time, and within `seconds` its log lines and metrics."""
    waited = partial(_waited, clock=clock, ends=clock.now() + seconds)
    entry = delivery(
        account.client("dynamodb"), account.output("DeliveriesTableName"), app=app, event_id=outcome.event_id
    )
    if entry is None or entry.outcome is None or entry.received_at is None:
        yield of_probe(app, outcome, None)
        return
    yield of_probe(app, outcome, entry.settled_at - entry.received_at if entry.settled_at is not None else None)
    look = partial(
        lines_of,
        account,
        app=app,
        event_id=outcome.event_id,
        messages=entry.messages,
        start=entry.received_at,
        end=entry.settled_at,
    )
    yield from looked_if_allowed(
        f"{app}: log lines",
        lambda: [of_lines(app, outcome.event_id, waited(lambda: {each.function for each in look()}, 2))],
    )
    yield from looked_if_allowed(f"{app}: metrics", lambda: [_metrics(account, app, waited)])


def report(account: Account, found: Iterable[Finding]) -> dict[str, Any]:
    """The document of a deep check, fit to be attached to a bug report: no secret, nobody's name, no account."""
    findings = [{name: _anonymous(value) for name, value in asdict(each).items()} for each in found]
    return {
        "good": not any(each["good"] is False for each in findings),
        "bridge": version("purchasely-clevertap"),
        "looked_at": iso(now_ms()),
        "stage": account.stage,
        "is_local": account.local is not None,
        "findings": findings,
    }


def _anonymous(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    for pattern, word in ((_PRINCIPAL, "(somebody)"), (_ACCOUNT, "(account)"), (_ADDRESS, "(address)")):
        value = pattern.sub(word, value)
    return value


def _function(account: Account, name: str, output: str) -> Iterator[Finding]:
    function, client = account.output(output), account.client("lambda")
    live = client.get_alias(FunctionName=function, Name=_ALIAS)["FunctionVersion"]
    configured = client.get_function_configuration(FunctionName=function, Qualifier=live)
    yield of_function(name, live, configured.get("State", ""), configured.get("LastUpdateStatus", ""))


def _mapping(account: Account, queue: str) -> list[Finding]:
    return [of_mappings(queue, [each.state for each in event_sources(account, queue)])]


def _dashboards(account: Account) -> Finding:
    names = resources(account, "AWS::CloudWatch::Dashboard")
    bodies = [account.client("cloudwatch").get_dashboard(DashboardName=name).get("DashboardBody") for name in names]
    return of_dashboards(len(names), sum(map(bool, bodies)))


def _key(account: Account, deployed: Deployment) -> Finding:
    arn = deployed.parameters.get("KmsKeyArn", "")
    state = account.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] if arn else None
    return of_key(state)


def _clock(account: Account) -> Finding:
    """By the header Date of an answer of AWS, which has whole seconds."""
    before = time.time()
    answer = account.client("sqs").get_queue_attributes(
        QueueUrl=account.output("EventsQueueUrl"), AttributeNames=["QueueArn"]
    )
    here = (before + time.time()) / 2
    said = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    return of_clock(None if said is None else here - parsedate_to_datetime(said).timestamp() - 0.5)


def _probed(account: Account, app: str, clock: Stopwatch) -> Iterator[Finding]:
    configuration = Configuration(account, app)
    secret = configuration.secret("purchasely")
    if isinstance(secret, Absent) and configuration.may_not_read("purchasely"):
        yield Finding(f"{app}: test webhook", None, "not sent: you may not read the shared secret to sign it with")
        return
    accepted = () if isinstance(secret, Absent | Unusable) else shared_secrets(secret)
    if not accepted:
        yield Finding(f"{app}: test webhook", None, f"not sent: the app has no shared secret; bridge setup {app}")
        return
    outcome = prove(account, app, accepted[0], clock=clock)
    yield from followed(account, app, outcome, clock=clock)


def _metrics(account: Account, app: str, waited: Callable[[Callable[[], set[str]], int], set[str]]) -> Finding:
    def seen() -> set[str]:
        now = datetime.now(UTC)
        return {
            name
            for name, service in _METRICS.items()
            if account.client("cloudwatch").get_metric_statistics(
                Namespace=_NAMESPACE,
                MetricName=name,
                Dimensions=[{"Name": "stage", "Value": account.stage}, {"Name": "service", "Value": service}],
                StartTime=now - timedelta(minutes=_METRICS_MINUTES),
                EndTime=now + timedelta(minutes=1),
                Period=60,
                Statistics=["Sum"],
            )["Datapoints"]
        }

    # The emulated CloudWatch makes no metrics of log lines, so there is nothing to wait for.
    found = seen() if account.local is not None else waited(seen, len(_METRICS))
    return of_metrics(app, sorted(_METRICS), sorted(found), is_emulated=account.local is not None)


def _waited(look: Callable[[], set[str]], enough: int, *, clock: Stopwatch, ends: float) -> set[str]:
    """What `look` gives, as soon as that are `enough`, or what it gives in the end."""
    while len(found := look()) < enough and clock.now() + _PAUSE_SECONDS <= ends:
        clock.wait(_PAUSE_SECONDS)
    return found
