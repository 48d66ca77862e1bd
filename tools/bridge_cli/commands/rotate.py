"""`bridge rotate`: replaces a secret with no webhook refused and no event lost in between."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from bridge_cli import prompts
from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_argument
from bridge_cli.clevertap_check import new_client
from bridge_cli.cli_error import CliError, ErrorCode, ExitCode, misused
from bridge_cli.configuration import Configuration
from bridge_cli.deployment import deployment
from bridge_cli.output import console, json_option, plain, write_json
from bridge_cli.probe import Stopwatch
from bridge_cli.prompts import agreed, ask_secret, require_yes, secret_option
from bridge_cli.rotation import Proof, former_use, prove_shared_secrets, with_passcode
from bridge_cli.secret_document import Document, account_keys, shared_secrets, with_current_only, with_shared_secret
from bridge_cli.times import iso, now_ms
from purchasely_clevertap.clevertap.account import Environment as Project


@click.group("rotate", epilog="Example: bridge rotate purchasely --stage prod")
def command() -> None:
    """Replace a secret without a gap."""


@command.command("purchasely", epilog="Example: bridge rotate purchasely my-app --retire")
@app_argument
@secret_option("--secret-file", "the new client shared secret")
@click.option("--retire", is_flag=True, help="Accept only the current secret from now on.")
@click.option("--yes", is_flag=True, help="Write without a person at the terminal, retire without asking.")
@json_option
@on_account
def rotate_purchasely(
    account: Account, app: str, secret_file: str | None, retire: bool, yes: bool, as_json: bool
) -> None:
    """Replace the client shared secret of APP.

    \b
    1. bridge rotate purchasely            accepts the new secret beside the old one, and proves both
    2. change it in Purchasely's console   webhooks are accepted, whichever of them they are signed with
    3. bridge rotate purchasely --retire   tells whether the old one is still in use; accepts the new one only

    For up to 20 days Purchasely repeats what was not acknowledged, and may do so under its first signature: retire the
    old secret after three weeks, or at once if somebody else has it. A script writes only with --yes; with --json
    nothing is retired without it.
    """
    if retire and secret_file is not None:
        raise misused("give either --secret-file, to begin, or --retire, to end")
    configuration = Configuration(account, app)
    document = configuration.document("purchasely")
    if not shared_secrets(document):
        raise CliError(
            f"app {app} has no shared secret to replace: run `bridge setup {app}`", code=ErrorCode.NOT_SET_UP
        )
    if retire:
        _retire(account, configuration, document, yes=yes, as_json=as_json)
    else:
        _begin(account, configuration, document, secret_file, yes=yes, as_json=as_json)


def _begin(
    account: Account, configuration: Configuration, document: Document, given: str | None, *, yes: bool, as_json: bool
) -> None:
    app = configuration.app
    secret = given or ask_secret("New client shared secret", option="--secret-file")
    accepted = with_shared_secret(document, secret)
    if shared_secrets(document) == (secret,):
        raise CliError("this is the current secret already, and the only one: nothing is written")
    if accepted != document:
        require_yes(yes=yes)
        configuration.put_secret("purchasely", accepted)
    proofs = prove_shared_secrets(account, configuration, accepted, clock=Stopwatch())
    _show(configuration, accepted, proofs, as_json=as_json, written=accepted != document)
    if as_json:
        return
    console().print(f"\nNow change it in Purchasely's console. Later: bridge rotate purchasely {app} --retire")
    if prompts.at_terminal() and click.confirm(
        "Is it changed there, and shall the old one be retired at once?", err=True
    ):
        _retire(account, configuration, accepted, yes=True, as_json=False)


def _retire(account: Account, configuration: Configuration, document: Document, *, yes: bool, as_json: bool) -> None:
    current = with_current_only(document)
    former = len(shared_secrets(document)) - 1
    if not former:
        raise CliError("only one secret is accepted: there is none to retire")
    use = former_use(account, configuration, now_ms=now_ms())
    told = {"former_use": {"known": use.known, "last_at": iso(use.at), "words": use.words}}
    if as_json and not yes:
        write_json({"app": configuration.app, "accepted": former + 1, "written": False, "proofs": []} | told)
        return
    if not as_json:
        unused = use.known and use.at is None
        console().print(plain("✓", "green") if unused else plain("!", "yellow"), plain(use.words), soft_wrap=True)
    what = f"{former} former secret{'s' if former > 1 else ''}"
    if not agreed(
        f"Retire {what}? What Purchasely still signs with one of them will be refused, which silences its users.",
        yes=yes,
        otherwise=f"nothing is retired: give --yes to retire {what}, as there is no terminal to ask at",
    ):
        raise CliError("nothing is retired", code=ErrorCode.DECLINED)
    configuration.put_secret("purchasely", current)
    proofs = prove_shared_secrets(account, configuration, current, clock=Stopwatch())
    _show(configuration, current, proofs, as_json=as_json, written=True, more=told)
    if not as_json:
        console().print("an ingest function may accept a former secret for five minutes more.")


def _show(
    configuration: Configuration,
    document: Document,
    proofs: list[Proof],
    *,
    as_json: bool,
    written: bool,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Tells what is accepted now and how that was proven. Ends the command when a proof failed."""
    accepted = len(shared_secrets(document))
    if as_json:
        write_json(
            {
                "app": configuration.app,
                "accepted": accepted,
                "written": written,
                "proofs": [asdict(proof) for proof in proofs],
                **(more or {}),
            }
        )
    else:
        done = "Written" if written else "Unchanged"
        to = console()
        to.print(plain("✓", "green"), plain(f"{done}: {configuration.secret_name('purchasely')}, {accepted} accepted"))
        for proof in proofs:
            which = "current" if proof.position == 0 else "former"
            mark = plain("✗", "red") if proof.wrong else plain("✓", "green")
            said = proof.wrong or f"A test webhook signed with the {which} secret was answered 200"
            to.print(mark, plain(said), soft_wrap=True)
    if any(proof.wrong for proof in proofs):
        if as_json:
            raise click.exceptions.Exit(ExitCode.WRONG)  # the document says it
        raise CliError("a secret is not accepted at ingest yet: change nothing in Purchasely's console, and try again")


@command.command("clevertap", epilog="Example: bridge rotate clevertap my-app")
@app_argument
@click.option("--sandbox", is_flag=True, help="That of the project for test purchases.")
@secret_option("--passcode-file", "the new passcode")
@click.option("--yes", is_flag=True, help="Write without a person at the terminal.")
@json_option
@on_account
def rotate_clevertap(
    account: Account, app: str, sandbox: bool, passcode_file: str | None, yes: bool, as_json: bool
) -> None:
    """Replace the passcode of APP's CleverTap project.

    Make a new passcode in CleverTap first, and take the old one back only afterwards. CleverTap tries the new one (a
    dry run) before it is written; a script writes only with --yes. The forwarder has it within five minutes, and at
    once when the old one is refused.
    """
    project = Project.SANDBOX if sandbox else Project.PRODUCTION
    configuration = Configuration(account, app)
    document = configuration.document("clevertap")
    keys = account_keys(document, project)
    if keys is None:
        raise CliError(f"app {app} has no {project} project: run `bridge setup {app}`", code=ErrorCode.NOT_SET_UP)
    held = configuration.settings().held
    if held is None:
        raise CliError(
            f"app {app} has no valid settings, which name the region: see `bridge settings show {app}`",
            code=ErrorCode.INVALID,
        )
    passcode = passcode_file or ask_secret(f"New passcode of project {keys[0]}", option="--passcode-file")
    changed = with_passcode(document, project, passcode, new_client(), deployment(account), held)
    written = changed != document
    if written:
        require_yes(yes=yes)
        configuration.put_secret("clevertap", changed)
    if as_json:
        document_: dict[str, Any] = {"app": app, "project": project, "project_id": keys[0], "written": written}
        write_json(document_)
        return
    to = console()
    to.print(plain("✓", "green"), plain(f"CleverTap accepts the passcode of {project} project {keys[0]}"))
    if written:
        to.print(plain("✓", "green"), plain(f"Written: {configuration.secret_name('clevertap')}"))
        to.print(
            "Now take the old one back in CleverTap. Should it be refused before the new one is read, events wait."
        )
    else:
        to.print("It is the present one; nothing is written.")
