"""Has CleverTap delete a person: the delete API of each project of an app.

Source: https://developer.clevertap.com/docs/delete-user-profile-api. A request names up to a hundred users, by
`identity` or by `guid` (the CleverTap id), never by both. What is said of an id that is nobody's is not documented;
CleverTap may take two days to delete what it has acknowledged.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final

from bridge_cli.account import Account
from bridge_cli.app_setup import region_by
from bridge_cli.clevertap_check import CONNECT_SECONDS, READ_SECONDS
from bridge_cli.cli_error import CliError, ErrorCode
from bridge_cli.configuration import Configuration
from bridge_cli.deployment import deployment
from bridge_cli.secret_document import account_keys
from bridge_cli.subscribers import Ids, Remembered
from purchasely_clevertap.aws.secrets import Absent, Unusable
from purchasely_clevertap.clevertap.account import Credentials, Environment
from purchasely_clevertap.clevertap.client import USER_AGENT
from purchasely_clevertap.clevertap.http import HttpConnector, HttpResponse
from purchasely_clevertap.clevertap.limits import OBJECT_ID
from purchasely_clevertap.clevertap.response import MESSAGE_CHARACTERS, NotTaken, SetupFault, Unknown
from purchasely_clevertap.mapping.settings import Anonymous

_TOGETHER: Final = 100  # ids a request
_OK: Final = 200
_PATH: Final = "/1/delete/profiles.json"


@dataclass(frozen=True, slots=True)
class Erasure:
    """What CleverTap is to delete of a person in one project. `problem` is what came in the way."""

    project: Environment
    credentials: Credentials
    identities: tuple[str, ...]
    guids: tuple[str, ...]
    problem: str | None = None
    is_done: bool = False

    @property
    def words(self) -> str:
        """The project and what is asked of it, without naming the person."""
        return f"{self.project} {self.credentials.account_id}"

    @property
    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "project_id": self.credentials.account_id,
            "identities": len(self.identities),
            "clevertap_ids": len(self.guids),
            "deleted": self.is_done,
        }


def erasures(
    account: Account, app: str, found: Sequence[Remembered], ids: Ids, *, users: Collection[str]
) -> list[Erasure]:
    """What is to be deleted of a person in the app's projects. `found` is what is kept of them; `users` are anonymous
    ids of theirs that are some user's id, too. CliError when the app has no project to ask.

    By the user id; by the CleverTap ids that are tied to the person in that project; and where the app makes users of
    anonymous ids, by those of which a state is kept.
    """
    configuration = Configuration(account, app)
    secret, settings = configuration.secret("clevertap"), configuration.settings().held
    if isinstance(secret, Absent):  # a right that is missing is no fault of the app's set-up: this tells of it
        configuration.document("clevertap")
    if isinstance(secret, Absent | Unusable) or settings is None:
        detail = secret.detail if isinstance(secret, Unusable) else "it lacks a secret or valid settings"
        raise CliError(
            f"app {app} can't ask CleverTap to delete anybody: {detail}; `bridge check --app {app}` says more",
            code=ErrorCode.NOT_SET_UP,
        )
    deployed = deployment(account)
    identities = set(ids.users)
    if settings.identity.anonymous is Anonymous.IDENTITY:
        identities |= {each.id for each in found if each.kind == "anonymous" and each.id not in users}
    projects: list[Erasure] = []
    for project in Environment:
        if keys := account_keys(secret, project):
            theirs = (each.ids.objects for each in found if each.account == project)
            guids = frozenset[str]().union(*theirs) & ids.objects
            projects.append(
                Erasure(
                    project,
                    Credentials(*keys, deployed.endpoint(region_by(settings, project))),
                    tuple(sorted(identities)),
                    tuple(sorted(filter(OBJECT_ID.fullmatch, guids))),
                )
            )
    if not projects:
        raise CliError(f"app {app} has no CleverTap project: run `bridge setup {app}`", code=ErrorCode.NOT_SET_UP)
    return projects


def erase(asked: Iterable[Erasure], *, app: str, hint: str) -> list[Erasure]:
    """Has every project delete the person. CliError when one of them does not, with what came of each; `hint` ends it.

    Deleting somebody again does no harm.
    """
    connection = HttpConnector(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
    done = [_erased(connection, each) for each in asked]
    if any(each.problem for each in done):
        told = "; ".join(f"{each.words}: {each.problem or 'deleted'}" for each in done)
        raise CliError(
            f"CleverTap did not delete the person of app {app} everywhere: {told}. {hint}",
            code=ErrorCode.REFUSED_BY_CLEVERTAP,
        )
    return done


def _erased(connection: HttpConnector, asked: Erasure) -> Erasure:
    for key, ids in (("identity", asked.identities), ("guid", asked.guids)):
        for together in batched(ids, _TOGETHER, strict=False):
            if problem := _problem(_post(connection, asked.credentials, {key: list(together)})):
                return Erasure(asked.project, asked.credentials, asked.identities, asked.guids, problem)
    return Erasure(asked.project, asked.credentials, asked.identities, asked.guids, is_done=True)


def _post(
    connection: HttpConnector, credentials: Credentials, body: dict[str, list[str]]
) -> HttpResponse | NotTaken | Unknown | SetupFault:
    return connection.post(
        f"{credentials.endpoint.strip().rstrip('/')}{_PATH}",
        {
            "X-CleverTap-Account-Id": credentials.account_id.strip().encode(errors="replace"),
            "X-CleverTap-Passcode": credentials.passcode.strip().encode(errors="replace"),
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": USER_AGENT,
        },
        json.dumps(body).encode(),
    )


def _problem(response: HttpResponse | NotTaken | Unknown | SetupFault) -> str | None:
    """What came in the way, with CleverTap's words, and what to do; None if CleverTap deletes the users."""
    match response:
        case HttpResponse(status, body):
            return _refusal(status, body)
        case SetupFault(_, message):
            return message
        case NotTaken():
            return "CleverTap cannot be reached from here: look at the connection and its firewall"
        case Unknown(reason):
            return f"CleverTap did not answer ({reason}); it may have deleted the person or not"


def _refusal(status: int, body: bytes) -> str | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    given = answer if isinstance(answer, dict) else {}
    if status == _OK and given.get("status") == "success":
        return None
    words = " ".join(str(given.get("error") or "no reason given").split())[:MESSAGE_CHARACTERS]
    return f"{status} ({words}): {_what_to_do(status, is_clevertaps=bool(given))}"


def _what_to_do(status: int, *, is_clevertaps: bool) -> str:
    if status in (401, 403) and is_clevertaps:
        return "project id, passcode and region do not fit together, or the passcode may not delete users"
    if status == 429 or status >= 500:
        return "CleverTap can't do it now"
    if not is_clevertaps:
        return "what answers is not CleverTap: look at the region, the endpoint and the firewall"
    return "delete the user in CleverTap's dashboard if it stays so"
