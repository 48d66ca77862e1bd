"""`bridge check`: whether all is well, one line for each thing, with what to do about what is not."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import click
from botocore.exceptions import ClientError

from bridge_cli import finding, secret_findings
from bridge_cli.account import Account, on_account
from bridge_cli.alarms import alarms, subscriptions
from bridge_cli.app_parameters import any_app_argument
from bridge_cli.app_setup import region_by
from bridge_cli.clevertap_check import new_client
from bridge_cli.cli_error import CliError
from bridge_cli.concurrency import concurrency
from bridge_cli.configuration import Configuration, apps
from bridge_cli.deep_check import deep_findings, report
from bridge_cli.deployment import Deployment, defaults, deployment
from bridge_cli.event_sources import QUEUES, event_sources
from bridge_cli.finding import Finding, of_parameters
from bridge_cli.findings_view import show_findings
from bridge_cli.looking import looked
from bridge_cli.output import json_option, show, working
from bridge_cli.probe import Stopwatch
from bridge_cli.queues import counts
from bridge_cli.secret_document import Document, account_keys, shared_secrets
from purchasely_clevertap.aws.secrets import Absent, Unusable
from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.mapping.settings import Settings

_AGE_MINUTES: Final = 10


@click.command("check", epilog="Example: bridge check --deep --stage prod")
@any_app_argument
@click.option(
    "--deep", is_flag=True, help="Prove the whole way by a signed test webhook, of which CleverTap gets nothing."
)
@json_option
@on_account
def command(account: Account, app: str | None, deep: bool, as_json: bool) -> None:
    """Is all well? If not, what to do.

    Looks at the stack, at APP or every app, at CleverTap by a dry run, of which it stores nothing, at queues and
    alarms: a line for each. The exit code is 1 when something is wrong.

    --deep takes a minute or two more. It sends each app the login of a made-up user, as `bridge setup` does, and
    follows it: from the answer to the outcome, its log lines, its metrics. It looks at versions, dashboards, key and
    clock too. With --json its document has no secret and names nobody: attach it to a bug report.
    """
    with working("Looking …"):
        found = list(findings(account, app, new_client()))
    if deep:
        found += deep_findings(account, [app] if app is not None else _apps(account), clock=Stopwatch())
    good = not any(each.good is False for each in found)
    document = report(account, found) if deep else {"good": good, "findings": [asdict(each) for each in found]}
    show(document, lambda console: show_findings(console, found), as_json=as_json)
    if not good:
        raise click.exceptions.Exit(1)


def findings(account: Account, app: str | None, client: Client) -> Iterator[Finding]:
    """Everything that is looked at, in the order of an event's way; of one app, or of all that the stage has."""
    try:
        deployed = deployment(account)
    except CliError as fault:
        yield Finding("stack", False, fault.message)
        return
    yield finding.of_stack(account.stack_name, deployed)
    yield from looked(account, "parameters", lambda: [of_parameters(deployed.parameters, defaults(account))])
    yield from looked(account, "Lambda concurrency", lambda: [concurrency(account, deployed)])
    meant = [Configuration(account, each) for each in ([app] if app is not None else _apps(account))]
    for each in meant:
        yield from looked(account, each.app, partial(_app, each, client, deployed, among=len(meant)))
    yield from looked(account, "shared secrets", partial(_shared, meant))
    yield from looked(account, "queues", lambda: finding.of_queues(counts(account), _oldest_ms(account)))
    for queue in QUEUES:
        yield from looked(account, f"forwarder takes {queue}", partial(_mapping, account, queue))
    yield from looked(account, "alarms", lambda: finding.of_alarms(alarms(account)))
    yield from looked(account, "who is told", lambda: [finding.of_subscriptions(account.stage, subscriptions(account))])


def _apps(account: Account) -> list[str]:
    try:
        return apps(account) or ["default"]
    except ClientError:  # who may not list the secrets may still read those of an app
        return ["default"]


def _shared(configurations: Iterable[Configuration]) -> Iterator[Finding]:
    secrets = {each.app: each.secret("purchasely") for each in configurations}
    return secret_findings.of_shared(
        {app: shared_secrets(each) for app, each in secrets.items() if not isinstance(each, Absent | Unusable)}
    )


def _app(configuration: Configuration, client: Client, deployed: Deployment, *, among: int) -> Iterator[Finding]:
    app = configuration.app
    purchasely, clevertap = configuration.secret("purchasely"), configuration.secret("clevertap")
    if among > 1 and finding.is_untouched(purchasely, clevertap):
        yield Finding(app, None, "is not set up; it need not be, as there are other apps")
        return
    for name, secret, judged in (
        ("purchasely", purchasely, finding.of_purchasely_secret),
        ("clevertap", clevertap, finding.of_clevertap_secret),
    ):
        if isinstance(secret, Absent) and configuration.may_not_read(name):
            yield secret_findings.of_hidden(app, name)
        else:
            yield judged(app, secret)
    stored = configuration.settings()
    yield finding.of_settings(app, stored)
    if not isinstance(clevertap, Absent | Unusable) and stored.held is not None:
        yield from _projects(app, clevertap, stored.held, client, deployed)


def _projects(
    app: str, clevertap: Document, settings: Settings, client: Client, deployed: Deployment
) -> Iterator[Finding]:
    for project in Project:
        region = region_by(settings, project)
        if keys := account_keys(clevertap, project):
            result = client.check(Credentials(*keys, deployed.endpoint(region)))
            yield finding.of_project(app, project, keys[0], region, result)
        elif project is Project.SANDBOX and (none := finding.of_no_sandbox(app, settings)):
            yield none


def _oldest_ms(account: Account) -> int | None:
    """The age of the oldest message of the events queue by CloudWatch's newest word; None if it has none."""
    now = datetime.now(UTC)
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": account.output("EventsQueueUrl").rpartition("/")[2]}],
        StartTime=now - timedelta(minutes=_AGE_MINUTES),
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    if not points:
        return None
    newest = max(points, key=lambda point: point["Timestamp"])
    return int(newest["Maximum"] * 1000)


def _mapping(account: Account, queue: str) -> Iterator[Finding]:
    yield finding.of_mappings(queue, [each.state for each in event_sources(account, queue)])
