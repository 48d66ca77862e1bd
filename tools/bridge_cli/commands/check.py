"""`bridge check`: whether all is well, one line for each thing, with what to do about what is not."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from bridge_cli import finding, secret_findings
from bridge_cli.account import Account, in_words, on_account
from bridge_cli.app_parameters import any_app_argument
from bridge_cli.app_setup import region_by
from bridge_cli.clevertap_check import new_client
from bridge_cli.cli_error import CliError
from bridge_cli.configuration import Configuration, apps
from bridge_cli.deployment import Deployment, deployment, resources
from bridge_cli.finding import Alarm, Finding
from bridge_cli.output import json_option, plain, show, table, working
from bridge_cli.queues import counts
from bridge_cli.secret_document import Document, account_keys, shared_secrets
from purchasely_clevertap.aws.secrets import Absent, Unusable
from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.mapping.settings import Settings

_AGE_MINUTES: Final = 10
_ALARMS: Final = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
_MOST_ALARMS: Final = 100
_MARKS: Final = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "dim")}
_QUEUES: Final = {"events": "EventsQueueUrl", "dead letters": "DeadLetterQueueUrl"}


@click.command("check", epilog="Example: bridge check --stage prod")
@any_app_argument
@json_option
@on_account
def command(account: Account, app: str | None, as_json: bool) -> None:
    """Is all well? If not, what to do.

    Looks at the stack, at APP or every app, at CleverTap by a dry run, of which it stores nothing, at queues and
    alarms: a line for each. The exit code is 1 when something is wrong.
    """
    with working("Looking …"):
        found = list(findings(account, app, new_client()))
    good = not any(each.good is False for each in found)
    document = {"good": good, "findings": [asdict(each) for each in found]}
    show(document, lambda console: _view(console, found), as_json=as_json)
    if not good:
        raise click.exceptions.Exit(1)


def _view(console: Console, found: Iterable[Finding]) -> None:
    lines = table("", "", "")
    lines.show_header = False
    for each in found:
        words = plain(each.found, lines=True)
        if each.todo:
            words.append("\n").append_text(plain(f"→ {each.todo}", "bold"))
        lines.add_row(plain(*_MARKS[each.good]), plain(each.subject), words)
    console.print(lines)


def findings(account: Account, app: str | None, client: Client) -> Iterator[Finding]:
    """Everything that is looked at, in the order of an event's way; of one app, or of all that the stage has."""
    try:
        deployed = deployment(account)
    except CliError as fault:
        yield Finding("stack", False, fault.message)
        return
    yield finding.of_stack(account.stack_name, deployed)
    meant = [Configuration(account, each) for each in ([app] if app is not None else _apps(account))]
    for each in meant:
        yield from _looked(account, each.app, partial(_app, each, client, deployed, among=len(meant)))
    yield from _looked(account, "shared secrets", partial(_shared, meant))
    yield from _looked(account, "queues", lambda: finding.of_queues(counts(account), _oldest_ms(account)))
    for queue, output in _QUEUES.items():
        yield from _looked(account, f"forwarder takes {queue}", partial(_mapping, account, queue, output))
    yield from _looked(account, "alarms", lambda: finding.of_alarms(_alarms(account)))
    yield from _looked(account, "who is told", lambda: [finding.of_subscriptions(_subscriptions(account))])


def _looked(account: Account, subject: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `look` finds, or that it could not look. What emulated AWS does not know is nobody's fault."""
    try:
        return list(look())
    except CliError as fault:
        return [Finding(subject, False, fault.message)]
    except (ClientError, BotoCoreError) as error:
        if account.local is not None:
            return [Finding(subject, None, f"not looked at on this machine: {in_words(error)}")]
        return [Finding(subject, False, f"could not be looked at: {in_words(error)}")]


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


def _mapping(account: Account, queue: str, output: str) -> Iterator[Finding]:
    attributes = account.client("sqs").get_queue_attributes(
        QueueUrl=account.output(output), AttributeNames=["QueueArn"]
    )["Attributes"]
    mappings = account.client("lambda").list_event_source_mappings(EventSourceArn=attributes["QueueArn"])
    yield finding.of_mappings(queue, [mapping["State"] for mapping in mappings["EventSourceMappings"]])


def _alarms(account: Account) -> list[Alarm]:
    """The stack's alarms, a hundred a call."""
    names = [name for kind in _ALARMS for name in resources(account, kind)]
    found: list[Alarm] = []
    for start in range(0, len(names), _MOST_ALARMS):
        described = account.client("cloudwatch").describe_alarms(
            AlarmNames=names[start : start + _MOST_ALARMS], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found += (
            Alarm(alarm["AlarmName"], alarm["StateValue"], alarm.get("AlarmDescription", ""))
            for alarm in (*described.get("MetricAlarms", ()), *described.get("CompositeAlarms", ()))
        )
    return found


def _subscriptions(account: Account) -> list[str]:
    pages = account.client("sns").get_paginator("list_subscriptions_by_topic")
    return [
        subscription["SubscriptionArn"]
        for page in pages.paginate(TopicArn=account.output("AlarmTopicArn"))
        for subscription in page["Subscriptions"]
    ]
