"""What a check of one thing found, and the judgement of it. Pure: what AWS and CleverTap said comes in as values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge_cli.clevertap_check import problem
from bridge_cli.configuration import StoredSettings
from bridge_cli.deployment import Deployment
from bridge_cli.queues import Queues
from bridge_cli.secret_document import SHARED_SECRETS, Document, account_keys, shared_secrets, value_problem
from bridge_cli.times import span
from purchasely_clevertap.aws.secrets import PLACEHOLDER, Absent, Unusable
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.clevertap.response import RecordResult, SetupFault
from purchasely_clevertap.mapping.settings import Sandbox, Settings

_SHORT: Final = 8  # characters of a secret that anybody could guess

OLDEST_SANE_MS: Final = 30 * 60_000
"""CleverTap triggers live campaigns for events up to two hours old: at this age there is time left to act."""
MOST_SANE: Final = 10_000
"""Ten full batches: more than the forwarder takes in a few minutes."""

_PEOPLE: Final = ("AlarmEmail", "AlarmUrl")  # parameters whose values name somebody, or let anybody in
_PROD: Final = ("prod", "production")
_WEBHOOK_SECONDS: Final = 0.05  # that ingest takes for a webhook, when it has started

_PAUSED: Final = ("Disabled", "Disabling")
_RUNNING: Final = ("Enabled", "Enabling", "Creating", "Updating")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `good` is None when there is nothing to say for or against it; `todo` says what to
    do about what is not good."""

    subject: str
    good: bool | None
    found: str
    todo: str | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as CloudWatch describes it; `state` is OK, ALARM or INSUFFICIENT_DATA."""

    name: str
    state: str
    description: str = ""


def of_stack(name: str, deployed: Deployment) -> Finding:
    """Whether the stack is whole."""
    if deployed.is_sound:
        return Finding("stack", True, f"{name} is {deployed.status}")
    return Finding("stack", False, f"{name} is {deployed.status}", "see its events in CloudFormation, and deploy again")


def of_parameters(parameters: Mapping[str, str], defaults: Mapping[str, str]) -> Finding:
    """Which parameters of the stack are not the template's defaults. Nothing of people is shown."""
    differ = [
        f"{name} is set" if name in _PEOPLE else f"{name} {value or 'empty'} ({defaults[name] or 'empty'})"
        for name, value in sorted(parameters.items())
        if name in defaults and value != defaults[name]
    ]
    if not differ:
        return Finding("parameters", True, "are the template's defaults")
    return Finding("parameters", None, f"not the template's defaults: {', '.join(differ)}")


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many functions may run at once. `account` is the quota of the account and region, `unreserved` what it leaves
    to functions without a share of their own, `ingest` the share that is kept for ingest alone, if there is one."""

    account: int
    unreserved: int
    ingest: int | None = None


def of_concurrency(concurrency: Concurrency, *, forwarders: int, rate: int, link: str) -> Finding:
    """Whether Lambda could throttle the webhook while everything else of the stack runs. `forwarders` is how many
    forwarders may run at once; `rate` the webhooks in a second that the gateway lets in."""
    needed = max(2, round(rate * _WEBHOOK_SECONDS))
    subject, quota = "Lambda concurrency", f"the account's quota is {concurrency.account}"
    if concurrency.ingest is not None:
        left, whose = concurrency.ingest, f"{concurrency.ingest} are kept for ingest"
    else:
        left = concurrency.unreserved - forwarders - 1  # the sweep
        whose = f"beside {forwarders} forwarders and the sweep {max(left, 0)} are left for ingest"
    found = f"{quota}; {whose}"
    todo = f"ask for a higher quota (Concurrent executions): {link}"
    if left < 1:
        return Finding(subject, False, f"{found}: webhooks are throttled while events are forwarded", todo)
    if left < needed:
        return Finding(subject, None, f"{found}: enough for {round(left / _WEBHOOK_SECONDS)} webhooks a second", todo)
    return Finding(subject, True, found)


def of_purchasely_secret(app: str, secret: Document | Absent | Unusable) -> Finding:
    """Whether ingest can tell a webhook of the app by its signature."""
    subject, set_up = f"{app}: Purchasely secret", f"bridge setup {app}"
    match secret:
        case Absent():
            return Finding(subject, False, "is not there: webhooks are answered 404", set_up)
        case Unusable(detail):
            return Finding(subject, False, f"{detail}: webhooks are answered 503", set_up)
    listed = secret.get(SHARED_SECRETS)
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        return Finding(subject, False, f"has no list of texts {SHARED_SECRETS}: webhooks are answered 503", set_up)
    accepted = shared_secrets(secret)
    if not accepted:
        return Finding(subject, False, "is the placeholder: webhooks are answered 404", set_up)
    for position, each in enumerate(accepted, 1):
        if wrong := value_problem(each):
            return Finding(
                subject, False, f"number {position} of those accepted {wrong}", f"bridge rotate purchasely {app}"
            )
    if short := [position for position, each in enumerate(accepted, 1) if len(each) < _SHORT]:
        # How long Purchasely's are is not documented.
        found = f"number {short[0]} of those accepted has only {len(accepted[short[0] - 1])} characters: is it whole?"
        return Finding(subject, None, found)
    if len(accepted) == 1:
        return Finding(subject, True, "is there")
    return Finding(
        subject, True, f"{len(accepted)} are accepted; to end a rotation: bridge rotate purchasely {app} --retire"
    )


def of_clevertap_secret(app: str, secret: Document | Absent | Unusable) -> Finding:
    """Whether the forwarder has what it needs to log in to CleverTap."""
    subject, set_up = f"{app}: CleverTap secret", f"bridge setup {app}"
    match secret:
        case Absent():
            return Finding(subject, False, "is not there: events wait in the queue", set_up)
        case Unusable(detail):
            return Finding(subject, False, f"{detail}: events wait in the queue", set_up)
    if account_keys(secret, Project.PRODUCTION) is None:
        what = "is the placeholder" if _has_placeholder(secret) else "has no whole production account"
        return Finding(subject, False, f"{what}: events wait in the queue", set_up)
    if secret.get(Project.SANDBOX) and account_keys(secret, Project.SANDBOX) is None:
        return Finding(subject, False, "has a sandbox account that is not whole: test purchases are skipped", set_up)
    return Finding(subject, True, "is there")


def _has_placeholder(secret: Document) -> bool:
    production = secret.get(Project.PRODUCTION)
    return isinstance(production, Mapping) and PLACEHOLDER in production.values()


def is_untouched(purchasely: Document | Absent | Unusable, clevertap: Document | Absent | Unusable) -> bool:
    """Whether the app has only the placeholders that the stack was made with."""
    return (
        isinstance(purchasely, Mapping)
        and purchasely.get(SHARED_SECRETS) == [PLACEHOLDER]
        and isinstance(clevertap, Mapping)
        and _has_placeholder(clevertap)
    )


def of_settings(app: str, stored: StoredSettings) -> Finding:
    """Whether the settings are valid; if not, everything that is wrong with them."""
    subject = f"{app}: settings"
    if stored.problems:
        meanwhile = "events wait" if stored.held is None else "the last valid ones hold"
        found = "\n".join((f"version {stored.version} is not valid, {meanwhile}:", *stored.problems))
        return Finding(subject, False, found, f"bridge settings put FILE {app}")
    if stored.text is None:
        return Finding(subject, True, "are not there: the defaults hold")
    return Finding(subject, True, f"version {stored.version} is valid")


def of_project(app: str, project: Project, project_id: str, region: Region, result: RecordResult) -> Finding:
    """Whether CleverTap accepts the credentials."""
    subject = f"{app}: CleverTap {project}"
    wrong = problem(result)
    if wrong is None:
        return Finding(subject, True, f"accepts project {project_id} in region {region}")
    todo = (
        f"bridge setup {app}"
        if isinstance(result, SetupFault)
        else "bridge status shows whether events wait for it; they are tried again by themselves"
    )
    return Finding(subject, False, f"project {project_id} in region {region}: {wrong}", todo)


def of_no_sandbox(app: str, settings: Settings) -> Finding | None:
    """That test purchases are skipped, if they are for want of a project."""
    if settings.sandbox is not Sandbox.SEPARATE:
        return None
    return Finding(f"{app}: CleverTap sandbox", None, "no project for test purchases: they are skipped")


def of_queues(queues: Queues, oldest_ms: int | None) -> Iterator[Finding]:
    """Whether events get on, and none waits for a person. `oldest_ms` is the age of the oldest event, if known."""
    age = "" if oldest_ms is None or not queues.events.all else f", the oldest for {span(oldest_ms)}"
    found = f"{queues.events.visible} wait, {queues.events.hidden} are under way or paused{age}"
    slow = oldest_ms is not None and oldest_ms > OLDEST_SANE_MS
    if queues.events.all and (slow or queues.events.all > MOST_SANE):
        yield Finding("events queue", False, found, "bridge status shows what holds them up; none is lost for 14 days")
    else:
        yield Finding("events queue", True, found)
    dead = queues.dead_letters.all
    if dead:
        todo = "the forwarder parks them within minutes; if they stay, see the log group of ForwarderLogGroup"
        yield Finding("dead-letter queue", False, f"{dead} events that the forwarder died of", todo)
    else:
        yield Finding("dead-letter queue", True, "is empty")
    if parked := queues.parked.all:
        yield Finding("parked queue", False, f"{parked} events wait for a person", "bridge parked list")
    else:
        yield Finding("parked queue", True, "is empty")


def of_mappings(queue: str, states: Sequence[str]) -> Finding:
    """Whether the forwarder takes messages from the queue; `states` are those of its event source mappings."""
    subject = f"forwarder takes {queue}"
    if not states:
        return Finding(subject, False, "nothing takes them: the event source mapping is gone", "deploy again")
    if all(state in _RUNNING for state in states):
        return Finding(subject, True, f"its event source mapping is {states[0]}")
    if all(state in _PAUSED for state in states):
        return Finding(subject, False, "is paused: they wait, for 14 days at most", "bridge resume")
    todo = "bridge resume, or deploy again"
    return Finding(subject, False, f"its event source mapping is {', '.join(states)}", todo)


def of_alarms(alarms: Sequence[Alarm]) -> Iterator[Finding]:
    """Which alarms ring, and what each says is to be done."""
    ringing = [alarm for alarm in alarms if alarm.state == "ALARM"]
    for alarm in ringing:
        yield Finding("alarm", False, f"{alarm.name} rings", alarm.description or "see it in CloudWatch")
    if not alarms:
        yield Finding("alarms", None, "the stack has none")
    elif not ringing:
        yield Finding("alarms", True, f"{len(alarms)}, and none rings")


def of_subscriptions(stage: str, arns: Sequence[str]) -> Finding:
    """Whether somebody is told of an alarm; `arns` are those of the topic's subscriptions. In production somebody must
    be."""
    pending = sum(not arn.startswith("arn:") for arn in arns)
    if pending:
        found = f"{pending} of {len(arns)} subscriptions to the alarms are not confirmed"
        return Finding("who is told", False, found, "confirm them: AWS has sent an e-mail, or a request to the URL")
    if not arns and stage in _PROD:
        todo = "deploy with the parameter AlarmEmail or AlarmUrl, or subscribe somebody to the topic AlarmTopicArn"
        return Finding("who is told", False, "nobody is told of alarms", todo)
    if not arns:
        return Finding("who is told", None, "nobody is told of alarms; the parameter AlarmEmail names somebody")
    return Finding("who is told", True, f"{len(arns)} subscriptions to the alarms, all confirmed")
