"""Replacing a secret of an app, step by step: nothing is taken away before its successor is proven."""

from dataclasses import dataclass
from typing import Final

from purchasely_clevertap.clevertap.client import Account as CleverTapAccount
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.mapping import Account as Project
from purchasely_clevertap.settings import Settings

from .account import Account
from .app_setup import region_by
from .configuration import Configuration
from .deployment import Deployment
from .dry_run import problem
from .fault import Fault
from .output import working
from .probe import Clock, Send, harmless, pass_door, refusal
from .secret_document import Document, account_keys, shared_secrets, with_account

ALL_DOORS_SECONDS: Final = 11.0
"""After so long every door takes a new shared secret: upon a wrong signature it reads the secret anew, but not more
often than every ten seconds (`purchasely_clevertap.secret`)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A test webhook signed with one of the shared secrets, counted from 0, the current one: whether the door took it,
    and what is wrong if not."""

    position: int
    status: int | None
    wrong: str | None = None


def prove_shared_secrets(
    account: Account, configuration: Configuration, document: Document, *, clock: Clock, send: Send | None = None
) -> list[Proof] | None:
    """A proof for each secret of `document`, which was just written. None if the app's settings skip no event, so
    that CleverTap would get a test webhook."""
    held = configuration.settings().held
    secrets = shared_secrets(document)
    probes = [harmless(held or Settings()) for _ in secrets]
    if None in probes:
        return None
    with working("Every door reads the secret anew …"):
        clock.wait(ALL_DOORS_SECONDS)
    proofs: list[Proof] = []
    url = account.webhook_url(configuration.app)
    for position, (secret, probe) in enumerate(zip(secrets, probes, strict=True)):
        if probe is None:
            continue
        with working("A signed test webhook goes to the door …"):
            answer = pass_door(url, probe.body, secret, clock=clock, send=send)
        proofs.append(Proof(position, answer.status, None if answer.acknowledged else refusal(answer)))
    return proofs


def with_passcode(
    document: Document, project: Project, passcode: str, client: Client, deployed: Deployment, settings: Settings
) -> Document:
    """`document` with the new passcode, once CleverTap has accepted it in a dry run. Fault when it does not."""
    keys = account_keys(document, project)
    if keys is None:
        raise Fault(f"there is no {project} project: run `bridge setup`")
    region = region_by(settings, project)
    with working("CleverTap tries the new passcode …"):
        receipt = client.check(CleverTapAccount(keys[0], passcode, deployed.endpoint(region)))
    if wrong := problem(receipt):
        raise Fault(f"{project} project {keys[0]} in region {region}: {wrong}. Nothing is written")
    return with_account(document, project, keys[0], passcode)
