"""The judgement of what a deep check found. Pure: what AWS said comes in as values."""

from collections.abc import Collection, Sequence
from typing import Final

from bridge_cli.finding import Alarm, Finding
from bridge_cli.probe import Outcome
from bridge_cli.times import span

# Purchasely's clock counts for a webhook, this one's for what the CLI signs: ingest takes it for five minutes ahead.
_SKEW_SECONDS: Final = 60.0
_SLOW_MS: Final = 60_000  # the longest batch window, and then some
_SILENCE: Final = "-silence"


def of_function(name: str, version: str, state: str, update: str) -> Finding:
    """Whether a function runs as a published version, which is active."""
    subject = f"{name} function"
    if not version.isdecimal():
        return Finding(subject, False, f"its alias live is {version}, no published version", "deploy again")
    # An emulated Lambda does not tell either for a version.
    if state not in ("Active", "Inactive", "") or update not in ("Successful", ""):
        todo = "see its last update in the Lambda console, and deploy again"
        return Finding(subject, False, f"version {version} is {state}, its last update {update}", todo)
    return Finding(subject, True, f"runs as version {version}")


def of_dashboards(named: int, there: int) -> Finding:
    """Whether the stack's dashboards are there."""
    if named == 0 or there < named:
        return Finding("dashboards", False, f"{there} of {max(named, 2)} are there", "deploy again")
    return Finding("dashboards", True, f"{there} are there")


def of_key(state: str | None) -> Finding:
    """Whether the key of the stack can be used; `state` is None when AWS's own keys encrypt."""
    if state is None:
        return Finding("KMS key", None, "none of your own: AWS's keys encrypt")
    if state == "Enabled":
        return Finding(
            "KMS key", True, "is enabled; a test webhook that gets through proves that the functions may use it"
        )
    todo = "enable it in KMS, or cancel its deletion, at once: without it no event can be read"
    return Finding("KMS key", False, f"is {state}", todo)


def of_clock(ahead_seconds: float | None) -> Finding:
    """Whether the clock of this machine is right, by what it is ahead of AWS's."""
    if ahead_seconds is None:
        return Finding("clock", None, "not looked at: the answer of AWS has no date")
    if abs(ahead_seconds) > _SKEW_SECONDS:
        which = "ahead of" if ahead_seconds > 0 else "behind"
        found = f"this machine is {span(int(abs(ahead_seconds) * 1000))} {which} AWS: what it signs may be refused"
        return Finding("clock", False, found, "set this machine's clock")
    return Finding("clock", True, "this machine's clock agrees with AWS's")


def of_probe(app: str, outcome: Outcome, settled_ms: int | None) -> Finding:
    """What became of a test webhook, and how long it took; `settled_ms` counts from the webhook to the outcome."""
    subject = f"{app}: test webhook"
    if not outcome.good:
        todo = "bridge check says whether the forwarder takes events, or is paused; then the forwarder's log"
        return Finding(subject, False, outcome.words, todo)
    if settled_ms is None:
        return Finding(subject, None, outcome.words)
    found = f"{outcome.words.rstrip('.')}; it took {span(settled_ms)} from the webhook to its outcome"
    if settled_ms > _SLOW_MS:
        return Finding(subject, None, found, "bridge check --deep once more: the first time the functions start cold")
    return Finding(subject, True, found)


def of_lines(app: str, event_id: str, functions: Collection[str]) -> Finding:
    """Whether both functions have logged the test webhook."""
    subject = f"{app}: log lines"
    missing = [name for name in ("ingest", "forwarder") if name not in functions]
    if missing:
        found = f"those of {' and '.join(missing)} are not there yet: CloudWatch has them after a minute"
        return Finding(subject, None, found, f"bridge trace {event_id} --app {app}")
    return Finding(subject, True, "ingest and the forwarder have logged it")


def of_metrics(app: str, wanted: Sequence[str], seen: Sequence[str], *, is_emulated: bool) -> Finding:
    """Whether CloudWatch has made metrics of the log lines of the last minutes."""
    subject = f"{app}: metrics"
    missing = [name for name in wanted if name not in seen]
    if not missing:
        return Finding(subject, True, f"{' and '.join(wanted)} are counted")
    if is_emulated:
        return Finding(subject, None, "not looked at: the emulated CloudWatch makes no metrics of log lines")
    found = f"{' and '.join(missing)} not counted yet: CloudWatch has metrics after some minutes"
    return Finding(subject, None, found, "bridge check --deep in five minutes")


def of_alarm_states(alarms: Sequence[Alarm]) -> Finding:
    """Whether every alarm is in the state OK. What rings is a finding of its own; here it only counts."""
    subject = "alarm states"
    ringing = sorted(alarm.name for alarm in alarms if alarm.state == "ALARM")
    waiting = sum(alarm.state not in ("OK", "ALARM") for alarm in alarms)
    if not alarms:
        return Finding(subject, None, "the stack has none")
    if ringing and all(name.endswith(_SILENCE) for name in ringing):
        return Finding(subject, None, "silence rings until CloudWatch has counted the first webhook: look in an hour")
    if ringing:
        todo = "bridge check says what each of them means"
        return Finding(subject, False, f"{len(ringing)} of {len(alarms)} ring: {', '.join(ringing)}", todo)
    if waiting:
        return Finding(subject, None, f"{waiting} of {len(alarms)} have no data yet, and none rings: look in an hour")
    return Finding(subject, True, f"all {len(alarms)} are OK")
