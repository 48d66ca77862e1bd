"""`bridge send`: signed webhooks, as Purchasely sends them, to the app's real webhook URL."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console

from bridge_cli.account import Account, on_account
from bridge_cli.app_parameters import app_option
from bridge_cli.cli_error import CliError, ErrorCode, misused
from bridge_cli.completion import LIFECYCLE, words_to_send
from bridge_cli.configuration import Configuration
from bridge_cli.deployment import deployment
from bridge_cli.output import console, json_option, plain, table, write_json
from bridge_cli.prompts import agreed
from bridge_cli.sample import as_test_purchase, of_user, payload_of, renewed, sample_or_file, samples
from bridge_cli.secret_document import shared_secrets
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_sender import LIFECYCLES, Answer, Payload, Sender, Webhook, encode, signed

_HELD_BACK: Final = "held back"


@dataclass(frozen=True, slots=True)
class Selection:
    """How the events are sent that are meant."""

    fresh: bool = False
    sandbox: bool = False
    user_id: str | None = None

    def body(self, word: str, now: datetime) -> bytes:
        """The body of a sample event, as a new one, or of a file, as it is if nothing is to be changed."""
        body = sample_or_file(word)
        is_sample = word.upper() in samples()
        if not (is_sample or self.fresh or self.sandbox or self.user_id):
            return body
        payload = payload_of(body)
        if payload is None:
            raise CliError(f"{word} is no JSON object: it can only be sent as it is", code=ErrorCode.INVALID)
        if is_sample or self.fresh:
            if not isinstance(payload.get("event_created_at_ms"), int):
                raise CliError(
                    f"{word} has no event_created_at_ms: it can only be sent as it is", code=ErrorCode.INVALID
                )
            payload = renewed(payload, now)
        return encode(self._changed(payload, payload.get("user_id")))

    def lifecycle(self, name: str, now: datetime) -> list[bytes]:
        """The bodies of a lifecycle that ends now, of new users."""
        try:
            told = LIFECYCLES[name].ending(time.time_ns(), now)
        except KeyError:
            raise CliError(
                f"there is no lifecycle {name}: `bridge send --list` has all", code=ErrorCode.NOT_FOUND
            ) from None
        return [encode(self._changed(event, told.user.id)) for event in told.events]

    def _changed(self, payload: Payload, user_id: object) -> Payload:
        if self.user_id is not None:
            payload = of_user(payload, user_id, self.user_id)
        return as_test_purchase(payload) if self.sandbox else payload


@dataclass(frozen=True, slots=True)
class Sent:
    """A webhook and its answer; None if it was held back, because an earlier one of its user was not acknowledged."""

    event_name: str
    event_id: str | None
    answer: Answer | None

    @property
    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "event_name": self.event_name,
            "event_id": self.event_id,
            "status": self.answer.status if self.answer else None,
            "answer": self.answer.text if self.answer else _HELD_BACK,
        }


def _list(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    to = console()
    events = table("sample event", "what it tells")
    for name in samples():
        events.add_row(name, CATALOGUE[name].meaning if name in CATALOGUE else "An event that nobody knows yet.")
    to.print(events)
    to.print()
    lifecycles = table("lifecycle", "what it tells")
    for scenario in LIFECYCLES.values():
        lifecycles.add_row(scenario.name, scenario.meaning)
    to.print(lifecycles)
    context.exit()


@click.command("send", epilog="Example: bridge send --sandbox TRIAL_STARTED")
@click.argument(
    "words", nargs=-1, required=True, metavar="EVENT|FILE... | lifecycle NAME...", shell_complete=words_to_send
)
@app_option("The app that gets them.")
@click.option("--sandbox", is_flag=True, help="As test purchases: they go where the setting sandbox says.")
@click.option("--user-id", help="As events of this user, not of a made-up one.")
@click.option("--fresh", is_flag=True, help="A FILE as a new event of this moment, with an id of its own.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="What can be sent.")
@json_option
@on_account
def command(
    account: Account,
    words: tuple[str, ...],
    app: str,
    sandbox: bool,
    user_id: str | None,
    fresh: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send signed webhooks to an app's URL.

    They are signed with the app's shared secret; each answer is shown.

    EVENT is the name of a sample event, such as TRIAL_STARTED: it is sent as a new event of this moment. FILE holds
    the body of a webhook: it is sent byte by byte. `lifecycle NAME` tells the story of a made-up user, event by event.

    Events of production end up in CleverTap's production project, where revenue and campaigns count them. So that is
    asked about first, unless a test host stands in for CleverTap; --sandbox sends test purchases.
    """
    choice = Selection(fresh, sandbox, user_id)
    bodies = list(_bodies(words, choice, datetime.now(UTC)))
    secret = _secret(Configuration(account, app))
    url = account.webhook_url(app)
    made_up = sum((payload_of(body) or {}).get("environment") == "PRODUCTION" for body in bodies)
    if made_up and account.local is None and deployment(account).is_real_clevertap:
        what = f"{made_up} production {'event goes' if made_up == 1 else 'events go'} to CleverTap's production project"
        if not agreed(
            f"{what}: revenue and campaigns count them. Send?",
            yes=yes,
            otherwise=f"nothing is sent: {what}; give --yes, or --sandbox to send test purchases",
        ):
            raise CliError("nothing is sent", code=ErrorCode.DECLINED)
    sent: list[Sent] = []
    with Sender() as sender:
        for each in send(bodies, lambda webhook: sender.send(url, webhook), secret=secret):
            sent.append(each)
            if not as_json:
                _tell(console(), each)
    if as_json:
        write_json({"app": app, "url": url, "webhooks": [each.document for each in sent]})
    if not all(each.answer is not None and each.answer.acknowledged for each in sent):
        raise click.exceptions.Exit(1)


def _bodies(words: Sequence[str], choice: Selection, now: datetime) -> Iterable[bytes]:
    if words[0] != LIFECYCLE:
        for word in words:
            yield choice.body(word, now)
        return
    if len(words) == 1:
        raise misused("which lifecycle? `bridge send --list` has all")
    for name in words[1:]:
        yield from choice.lifecycle(name, now)


def _secret(configuration: Configuration) -> str:
    accepted = shared_secrets(configuration.document("purchasely"))
    if not accepted:
        raise CliError(
            f"app {configuration.app} has no shared secret to sign with: run `bridge setup {configuration.app}` first",
            code=ErrorCode.NOT_SET_UP,
        )
    return accepted[0]


def send(bodies: Iterable[bytes], post: Callable[[Webhook], Answer], *, secret: str) -> Iterable[Sent]:
    """Sends the bodies in their order. As Purchasely does, it holds back what comes after a webhook of the same user
    that was not acknowledged."""
    silenced: set[object] = set()
    for body in bodies:
        payload = payload_of(body) or {}
        name, event_id = payload.get("event_name"), payload.get("event_id")
        user = payload.get("user_id") or payload.get("anonymous_user_id")
        answer = None
        if user is None or user not in silenced:
            answer = post(signed(body, secret, int(time.time())))
            if not answer.acknowledged:
                silenced.add(user)
        yield Sent(str(name or f"{len(body)} bytes"), event_id if isinstance(event_id, str) else None, answer)


def _tell(to: Console, sent: Sent) -> None:
    if sent.answer is None:
        said = plain(_HELD_BACK, "yellow")
    else:
        said = plain(sent.answer.status or sent.answer.text, "green" if sent.answer.acknowledged else "red")
    to.print(said, plain(sent.event_name), plain(sent.event_id), soft_wrap=True)
