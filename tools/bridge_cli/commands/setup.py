"""`bridge setup`: what an app needs, asked for, proven at CleverTap, written, and proven at ingest."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import click

from bridge_cli import prompts
from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_argument
from bridge_cli.app_setup import Keys, Present, Wanted
from bridge_cli.clevertap_check import new_client, problem, regions_that_accept
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.configuration import Configuration, fitting
from bridge_cli.deep_check import proof_of_deployment
from bridge_cli.deployment import Deployment, deployment
from bridge_cli.findings_view import show_findings
from bridge_cli.output import console, json_option, plain, remark, working, write_json
from bridge_cli.probe import Outcome, Stopwatch, prove
from bridge_cli.prompts import agreed, ask, ask_secret, require_yes, secret_option
from bridge_cli.secret_document import shared_secrets, value_problem
from purchasely_clevertap.clevertap.account import Credentials, Region
from purchasely_clevertap.clevertap.account import Environment as Project
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.response import SetupFault
from purchasely_clevertap.mapping.settings import Sandbox
from purchasely_clevertap.padding import unpadded

_REGIONS: Final = "eu1 Europe, in1 India, sg1 Singapore, us1 United States, aps3 Indonesia, mec1 Middle East"
_DASHBOARD: Final = re.compile(r"(?:https?://)?([a-z0-9]+)\.dashboard\.clevertap\.com(?:/.*)?", re.IGNORECASE)

type Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say; what they leave out is asked for, or stays as it is."""

    region: Region | None = None
    project_id: str | None = None
    passcode: str | None = field(default=None, repr=False)
    sandbox_project_id: str | None = None
    sandbox_passcode: str | None = field(default=None, repr=False)
    sandbox_region: Region | None = None
    shared_secret: str | None = field(default=None, repr=False)


class _RegionType(click.ParamType[Region]):
    name = "REGION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Region:
        if isinstance(value, Region):
            return value
        try:
            return region_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _ProjectIdType(click.ParamType[str]):
    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if wrong := value_problem(text):
            self.fail(f"the project id {wrong}", param, ctx)
        return text


@click.command("setup", epilog="Example: bridge setup my-app --stage prod")
@app_argument
@click.option(
    "--clevertap-region",
    type=_RegionType(),
    help=f"Where the CleverTap project is, the first part of its dashboard's address, in any case: {_REGIONS}.",
)
@click.option("--project-id", type=_ProjectIdType(), help="CleverTap's project id (its dashboard, Settings > Project).")
@secret_option("--passcode-file", "that project's passcode")
@click.option("--sandbox-project-id", type=_ProjectIdType(), help="The project for test purchases, if there is one.")
@secret_option("--sandbox-passcode-file", "the passcode of the project for test purchases")
@click.option("--sandbox-region", type=_RegionType(), help="Where that project is, if it is elsewhere.")
@secret_option("--purchasely-secret-file", "Purchasely's client shared secret (its console, Settings > Webhooks)")
@click.option("--yes", is_flag=True, help="Write without a person at the terminal.")
@json_option
@on_account
def command(
    account: Account,
    app: str,
    clevertap_region: Region | None,
    project_id: str | None,
    passcode_file: str | None,
    sandbox_project_id: str | None,
    sandbox_passcode_file: str | None,
    sandbox_region: Region | None,
    purchasely_secret_file: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Set up APP, or change how it is set up.

    Asks for what no option says, and has CleverTap try the credentials (a dry run). Only then it writes them: two
    secrets, and the region into the settings, whose other keys stay. At last it sends a signed test webhook to the
    real ingest: the login of a made-up user, of which CleverTap gets nothing. A script writes only with --yes.

    An app that was set up before keeps what is left out; a new shared secret is accepted beside the former one. A
    further app needs no deployment: its APP, 1 to 40 of a-z, 0-9 and -, becomes the last part of its webhook URL.
    """
    given = Given(
        clevertap_region,
        project_id,
        passcode_file,
        sandbox_project_id,
        sandbox_passcode_file,
        sandbox_region,
        purchasely_secret_file,
    )

    def say(what: str) -> None:
        if not as_json:
            console().print(plain("✓", "green"), plain(what), soft_wrap=True)

    deployed = deployment(account)
    if not deployed.is_sound:
        raise CliError(f"stack {account.stack_name} is {deployed.status}: deploy it again first")
    configuration = Configuration(account, app)
    before = present_of(configuration)
    wanted = proven(wanted_of(given, before), new_client(), deployed, say)
    after = wanted.applied(before)
    if after != before:
        require_yes(yes=yes)
    written = write(configuration, before, after, say)
    clock = Stopwatch()
    outcome = prove(account, app, wanted.shared_secret, clock=clock)
    found = proof_of_deployment(account, app, deployed, outcome, clock=clock)
    if as_json:
        document = _document(app, wanted, written, account.webhook_url(app), outcome)
        write_json(document | {"deployment": [asdict(each) for each in found]})
    else:
        _tell(account, app, after, outcome)
        show_findings(console(), found)
    if not outcome.good or any(each.good is False for each in found):
        raise click.exceptions.Exit(1)


def region_of(text: str) -> Region:
    """The region in a code, or in the address of a dashboard. ValueError names the value and what is allowed."""
    address = _DASHBOARD.fullmatch(text.strip())
    return Region.parse(address[1] if address else text)


def present_of(configuration: Configuration) -> Present:
    """What the app has. CliError when it cannot be read, or when its settings are not valid."""
    stored = configuration.settings()
    if stored.problems:
        raise CliError(
            f"the settings of app {configuration.app} are not valid: {stored.problems[0]}; mend them first, with "
            f"`bridge settings put FILE {configuration.app}`",
            code=ErrorCode.INVALID,
        )
    settings = None if stored.text is None else json.loads(unpadded(stored.text))
    return Present(configuration.document("purchasely"), configuration.document("clevertap"), settings)


def wanted_of(given: Given, present: Present) -> Wanted:
    """What the options and a person's answers make of what is present. CliError when something is missing."""
    production, sandbox = present.keys(Project.PRODUCTION), present.keys(Project.SANDBOX)
    held = present.held
    if given.region is None and prompts.at_terminal():
        remark(
            "The region is the first part of the address at which you see CleverTap's dashboard: "
            f"https://eu1.dashboard.clevertap.com is eu1.\n({_REGIONS})\n"
        )
    region = given.region or _region(
        "CleverTap: region", "--clevertap-region", held.region, settled=production is not None
    )
    keys = _keys("CleverTap", given.project_id, given.passcode, production, "--project-id", "--passcode-file")
    # A project that was set up before is proven again too: without a region of its own it moves along.
    test_keys, test_region = sandbox, given.sandbox_region or held.sandbox_region
    if given.sandbox_project_id or given.sandbox_passcode or _has_test_project(sandbox):
        test_keys = _keys(
            "Test project",
            given.sandbox_project_id,
            given.sandbox_passcode,
            sandbox,
            "--sandbox-project-id",
            "--sandbox-passcode-file",
        )
        if given.sandbox_region is None:
            test_region = _region("Test project: region", "--sandbox-region", test_region or region, settled=True)
    shared = given.shared_secret or _shared_secret(shared_secrets(present.purchasely))
    return Wanted(region, keys, shared, test_keys, test_region)


def _has_test_project(present: Keys | None) -> bool:
    if not prompts.at_terminal():
        return False
    return click.confirm("Is there a CleverTap project for test purchases?", default=present is not None, err=True)


def _region(what: str, option: str, present: Region, *, settled: bool) -> Region:
    if settled and not prompts.at_terminal():
        return present
    return region_of(ask(what, option=option, default=present.value, problem=_region_problem))


def _region_problem(text: str) -> str | None:
    try:
        region_of(text)
    except ValueError as error:
        return f"is no region: {error}"
    return None


def _keys(
    what: str,
    project_id: str | None,
    passcode: str | None,
    present: Keys | None,
    id_option: str,
    passcode_option: str,
) -> Keys:
    """Keys as given, asked for, or as they are. A passcode is kept only with its own project."""
    if project_id is None:
        if present is not None and not prompts.at_terminal():
            project_id = present.project_id
        else:
            default = present.project_id if present else None
            project_id = ask(f"{what}: project id", option=id_option, default=default)
    if passcode is None:
        kept = present.passcode if present is not None and present.project_id == project_id else None
        if kept is not None and not prompts.at_terminal():
            passcode = kept
        else:
            passcode = ask_secret(f"{what}: passcode", option=passcode_option, kept=kept)
    return Keys(project_id, passcode)


def _shared_secret(present: tuple[str, ...]) -> str:
    if present and not prompts.at_terminal():
        return present[0]
    kept = present[0] if present else None
    return ask_secret("Purchasely: client shared secret", option="--purchasely-secret-file", kept=kept)


def proven(wanted: Wanted, client: Client, deployed: Deployment, say: Say) -> Wanted:
    """`wanted`, once CleverTap has accepted the credentials of each project in a dry run, with its region mended if a
    person agrees. CliError when CleverTap does not accept them: nothing has been written by then."""
    for project in tuple(wanted.projects):
        keys, region = wanted.projects[project]
        with working("CleverTap tries the credentials …"):
            result = client.check(Credentials(keys.project_id, keys.passcode, deployed.endpoint(region)))
            others = [other for other in Region if other is not region]
            misplaced = isinstance(result, SetupFault) and result.status and deployed.is_real_clevertap
            elsewhere = regions_that_accept(client, keys.project_id, keys.passcode, others) if misplaced else []
        if elsewhere:
            wanted, region = _moved(wanted, project, elsewhere[0])
        elif (wrong := problem(result)) is not None:
            raise CliError(
                f"{_called(project, keys, region)}: {wrong}. Nothing is written", code=ErrorCode.REFUSED_BY_CLEVERTAP
            )
        say(f"CleverTap accepts the {_called(project, keys, region)}")
    return wanted


def _moved(wanted: Wanted, project: Project, region: Region) -> tuple[Wanted, Region]:
    keys, typed = wanted.projects[project]
    option = "--clevertap-region" if project is Project.PRODUCTION else "--sandbox-region"
    found = f"CleverTap accepts the {_called(project, keys, region)}, not in {typed}"
    otherwise = f"{found}: give {option} {region}. Nothing is written"
    if not agreed(f"{found}. Is it {region}?", yes=False, otherwise=otherwise):
        raise CliError(otherwise, code=ErrorCode.DECLINED)
    if project is Project.PRODUCTION:
        return replace(wanted, region=region), region
    return replace(wanted, sandbox_region=region), region


def _called(project: Project, keys: Keys, region: Region) -> str:
    return f"{project} project {keys.project_id} in region {region}"


def write(configuration: Configuration, before: Present, after: Present, say: Say) -> list[str]:
    """Writes what differs, and gives the names of that.

    CliError, with nothing written, if the settings are too large. The shared secret comes last: from then on ingest
    lets webhooks in, and the forwarder has what it needs.
    """
    written: list[str] = []
    settings = fitting(json.dumps(after.settings, indent=2, ensure_ascii=False))
    if after.clevertap != before.clevertap:
        configuration.put_secret("clevertap", after.clevertap)
        written.append(configuration.secret_name("clevertap"))
    if after.settings != before.settings:
        configuration.put_settings(settings)
        written.append(configuration.settings_parameter)
    if after.purchasely != before.purchasely:
        configuration.put_secret("purchasely", after.purchasely)
        written.append(configuration.secret_name("purchasely"))
    for name in written:
        say(f"Written: {name}")
    if not written:
        say("Nothing to write: all of it is there already")
    return written


def _document(app: str, wanted: Wanted, written: list[str], url: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "app": app,
        "webhook_url": url,
        "projects": {
            project.value: {"project_id": keys.project_id, "region": region.value, "accepted": True}
            for project, (keys, region) in wanted.projects.items()
        },
        "written": written,
        "test_webhook": outcome.document,
    }


def _tell(account: Account, app: str, present: Present, outcome: Outcome) -> None:
    to = console()
    to.print(plain("✓", "green") if outcome.good else plain("✗", "red"), plain(outcome.words), soft_wrap=True)
    if len(accepted := shared_secrets(present.purchasely)) > 1:
        to.print(
            f"  {len(accepted)} shared secrets are accepted. Once Purchasely signs with the new one:"
            f" bridge rotate purchasely {app} --retire",
            soft_wrap=True,
        )
    if present.keys(Project.SANDBOX) is None and present.held.sandbox is Sandbox.SEPARATE:
        to.print("  Test purchases are skipped: the app has no CleverTap project for them.", soft_wrap=True)
    elif present.keys(Project.SANDBOX) is not None and present.held.sandbox is not Sandbox.SEPARATE:
        to.print(f"  The setting sandbox is {present.held.sandbox}: the project for test purchases gets none.")
    if outcome.good:
        to.print(
            "\nPaste this URL into Purchasely's console, Settings > Webhooks, and switch all events on:\n",
            soft_wrap=True,
        )
        to.print(plain(f"  {account.webhook_url(app)}", "bold"), soft_wrap=True)
        to.print()
        to.print(f"Then see that all is well: bridge check {app}", soft_wrap=True)
