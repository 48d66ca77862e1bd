"""The command line: `python -m purchasely_sender --help`."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import click

from . import samples
from .lifecycles import LIFECYCLES
from .payload import encode, milliseconds, moved
from .sender import Answer, Sender, resend
from .special import SPECIALS
from .webhook import Webhook, curl, signed


@dataclass(frozen=True, slots=True)
class _World:
    """What the commands reach: a sender of their own unless one is given, and the environment."""

    sender: Sender | None
    environ: Mapping[str, str]


def main(
    argv: Sequence[str] | None = None, *, sender: Sender | None = None, environ: Mapping[str, str] = os.environ
) -> int:
    """Runs one command: 0 when every answer was the right one, 1 when not; exits with 2 for wrong usage."""
    try:
        result = commands.main(
            argv,
            prog_name="python -m purchasely_sender",
            obj=_World(sender, environ),
            standalone_mode=False,
        )
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    return result if isinstance(result, int) else 0


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to send, and with which secret."""

    url: str
    secret: str


class _Sending:
    """Sends, and prints one line for each answer."""

    def __init__(self, sender: Sender, url: str, secret: str) -> None:
        self._sender, self._url, self._secret = sender, url, secret

    def event(self, file: Path, *, fresh: bool) -> int:
        body = file.read_bytes()
        if fresh:
            event = json.loads(body) | {"event_id": str(uuid4())}
            body = encode(moved(event, milliseconds(datetime.now(UTC)) - event["event_created_at_ms"]))
        answer = self._post(signed(body, self._secret, int(time.time())))
        return 0 if answer.acknowledged else 1

    def specials(self, names: Sequence[str]) -> int:
        wrong = 0
        for name in names or SPECIALS:
            special = SPECIALS[name]
            answer = self._post(special(self._secret, int(time.time())), f"{name}, right is {special.status}")
            wrong += answer.status != special.status
        return 1 if wrong else 0

    def lifecycles(
        self, names: Iterable[str], seed: int | None, end: datetime | None, currency: str, retries: int
    ) -> int:
        """Sends whole lifecycles that end at `end`; 1 if an event was held back."""
        seed = time.time_ns() if seed is None else seed
        told = [LIFECYCLES[name].ending(seed, end or datetime.now(UTC), currency) for name in names]
        result = resend(
            [event for lifecycle in told for event in lifecycle.events],
            self._post,
            secret=self._secret,
            clock=time.time,
            wait=time.sleep,
            retries=retries,
        )
        print(f"{len(result.acknowledged)} events acknowledged, {len(result.held_back)} held back (seed {seed})")
        return 1 if result.held_back else 0

    def _post(self, webhook: Webhook, what: str = "") -> Answer:
        answer = self._sender.send(self._url, webhook)
        print(f"{answer.status or answer.text}  {what or _named(webhook.body)}")
        return answer


def _named(body: bytes) -> str:
    try:
        event = json.loads(body)
        return f"{event['event_name']}  {event['event_id']}"
    except (ValueError, TypeError, KeyError):
        return f"{len(body)} bytes"


@click.group()
@click.option("--url", help="Where to send, for example https://…/webhooks/default")
@click.option("--secret-env", metavar="NAME", help="Environment variable that holds the shared secret.")
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), help="File that holds it.")
@click.pass_context
def commands(context: click.Context, url: str | None, secret_env: str | None, secret_file: Path | None) -> None:
    """Sends signed webhooks as Purchasely does."""
    world: _World = context.obj
    secret = ""
    if secret_env:
        secret = world.environ.get(secret_env, "")
    elif secret_file:
        secret = secret_file.read_text(encoding="utf-8").strip()
    context.meta["target"] = _Target(url, secret) if url and secret else None


def _target() -> _Target:
    target = click.get_current_context().meta["target"]
    if not isinstance(target, _Target):
        raise click.UsageError(
            "--url and a secret that is not empty (--secret-env NAME or --secret-file FILE) are needed"
        )
    return target


def _sending(send: "Callable[[_Sending], int]") -> int:
    target, world = _target(), click.get_current_context().obj
    with world.sender or Sender() as connection:
        return send(_Sending(connection, target.url, target.secret))


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no ISO time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lifecycle_options[Result](command: Callable[..., Result]) -> Callable[..., Result]:
    for option in (
        click.option("--retries", default=0, show_default=True, help="After 20, 26, 46, 116 … seconds."),
        click.option("--currency", type=click.Choice(["usd", "eur"]), default="usd", help="The console's.  [usd]"),
        click.option("--end", callback=_moment, help="ISO time of the last event.  [now]"),
        click.option("--seed", type=int, help="The same seed makes the same users and events."),
    ):
        command = option(command)
    return command


@commands.command("list")
def list_() -> int:
    """What can be sent."""
    for title, things in (("lifecycles", LIFECYCLES), ("special webhooks", SPECIALS)):
        print(f"{title}:")
        for thing in things.values():
            print(f"  {thing.name:32}{thing.meaning}")
    return 0


@commands.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice(list(LIFECYCLES)), metavar="NAME...")
@_lifecycle_options
def lifecycle(names: Sequence[str], seed: int | None, end: datetime | None, currency: str, retries: int) -> int:
    """Send lifecycles that end now."""
    return _sending(lambda session: session.lifecycles(names, seed, end, currency, retries))


@commands.command("all")
@_lifecycle_options
def all_(seed: int | None, end: datetime | None, currency: str, retries: int) -> int:
    """Send every lifecycle."""
    return _sending(lambda session: session.lifecycles(LIFECYCLES, seed, end, currency, retries))


@commands.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--fresh", is_flag=True, help="As a new event of this moment.")
def event(file: Path, fresh: bool) -> int:
    """Send a file, byte by byte."""
    return _sending(lambda session: session.event(file, fresh=fresh))


@commands.command("curl")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def curl_(file: Path) -> int:
    """Print a signed curl command."""
    target = _target()
    print(curl(target.url, signed(file.read_bytes(), target.secret, int(time.time())), str(file)))
    return 0


@commands.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SPECIALS)), metavar="[NAME...]")
def special(names: Sequence[str]) -> int:
    """Send webhooks that are wrong in one way; all when none is named."""
    return _sending(lambda session: session.specials(names))


@commands.command("samples")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def samples_(directory: Path) -> int:
    """Write the sample events."""
    print(f"{samples.write(directory)} files in {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
