"""Replacing a secret of an app, step by step: nothing is taken away before its successor is proven."""

from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from bridge_cli.account import Account, in_words
from bridge_cli.app_setup import region_by
from bridge_cli.clevertap_check import problem
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.configuration import Configuration
from bridge_cli.deployment import Deployment, deployment
from bridge_cli.log_lines import last_with_former_secret
from bridge_cli.output import working
from bridge_cli.probe import Send, Stopwatch, harmless, pass_ingest, refusal
from bridge_cli.secret_document import Document, account_keys, shared_secrets, with_account
from bridge_cli.times import readable, span
from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.mapping.settings import Settings

ALL_INSTANCES_SECONDS: Final = 15.0
"""After so long every ingest instance accepts a new shared secret. It refuses a signature only by a secret that it read
in the last ten seconds (`purchasely_clevertap.aws.secrets`); Secrets Manager needs up to five more to spread a write.
"""

# An ingest instance caches a secret for five minutes, and may know until then no newer one than a former secret.
_ALL_KNOW_MS: Final = 5 * 60_000
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class FormerUse:
    """Whether webhooks are still signed with a former secret, in `words`; `at` is when ingest took the last one, in
    epoch milliseconds. `known` is false when nobody can tell."""

    words: str
    at: int | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Proof:
    """A test webhook signed with one of the shared secrets, counted from 0, the current one: whether ingest took it,
    and what is wrong if not."""

    position: int
    status: int | None
    wrong: str | None = None


def prove_shared_secrets(
    account: Account, configuration: Configuration, document: Document, *, clock: Stopwatch, send: Send | None = None
) -> list[Proof]:
    """A proof for each secret of `document`, which was just written."""
    with working("Every ingest reads the secret anew …"):
        clock.wait(ALL_INSTANCES_SECONDS)
    proofs: list[Proof] = []
    url = account.webhook_url(configuration.app)
    for position, secret in enumerate(shared_secrets(document)):
        with working("A signed test webhook goes to ingest …"):
            answer = pass_ingest(url, harmless().body, secret, clock=clock, send=send)
        proofs.append(Proof(position, answer.status, None if answer.acknowledged else refusal(answer)))
    return proofs


def former_use(account: Account, configuration: Configuration, *, now_ms: int) -> FormerUse:
    """What ingest's log of the last day tells of the former secrets."""
    written_at = configuration.written_at("purchasely")
    since = max(written_at + _ALL_KNOW_MS, now_ms - _DAY_MS)
    if now_ms <= since:
        return _unknown(
            f"the current one was written {span(now_ms - written_at)} ago, and ingest functions know it after 5 min"
        )
    if (level := deployment(account).parameters.get("LogLevel", "INFO")) not in ("DEBUG", "INFO"):
        return _unknown(f"with the parameter LogLevel={level} ingest does not log it")
    try:
        with working("Ingest's log is searched …"):
            at = last_with_former_secret(account, configuration.app, since=since)
    except (ClientError, BotoCoreError) as error:
        return _unknown(in_words(error))
    if at is None:
        return FormerUse(f"No webhook of the last {span(now_ms - since)} was signed with a former secret.")
    return FormerUse(f"Webhooks are still signed with a former secret, the last at {readable(at)} UTC.", at)


def _unknown(why: str) -> FormerUse:
    return FormerUse(f"Whether webhooks are still signed with a former secret can't be told: {why}.", known=False)


def with_passcode(
    document: Document, project: Project, passcode: str, client: Client, deployed: Deployment, settings: Settings
) -> Document:
    """`document` with the new passcode, once CleverTap has accepted it in a dry run. CliError when it does not."""
    keys = account_keys(document, project)
    if keys is None:
        raise CliError(f"there is no {project} project: run `bridge setup`", code=ErrorCode.NOT_SET_UP)
    region = region_by(settings, project)
    with working("CleverTap tries the new passcode …"):
        result = client.check(Credentials(keys[0], passcode, deployed.endpoint(region)))
    if wrong := problem(result):
        raise CliError(
            f"{project} project {keys[0]} in region {region}: {wrong}. Nothing is written",
            code=ErrorCode.REFUSED_BY_CLEVERTAP,
        )
    return with_account(document, project, keys[0], passcode)
