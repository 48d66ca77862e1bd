"""The command line: `python -m purchasely_sender --help`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from . import samples
from .lifecycles import LIFECYCLES
from .payload import encode, milliseconds, moved
from .sender import Answer, Sender, resend
from .special import SPECIALS
from .webhook import Webhook, curl, signed


def main(
    argv: Sequence[str] | None = None, *, sender: Sender | None = None, environ: Mapping[str, str] = os.environ
) -> int:
    """Runs one command: 0 when every answer was the right one, 1 when not, 2 for wrong usage."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "list":
        return _list()
    if options.command == "samples":
        print(f"{samples.write(options.directory)} files in {options.directory}")
        return 0
    secret = _secret(options, environ)
    if not options.url or not secret:
        parser.error("--url and a secret that is not empty (--secret-env NAME or --secret-file FILE) are needed")
    if options.command == "curl":
        body = options.file.read_bytes()
        print(curl(options.url, signed(body, secret, int(time.time())), str(options.file)))
        return 0
    with sender or Sender() as connection:
        return _Session(connection, options.url, secret).run(options)


class _Session:
    """Sends, and prints one line for each answer."""

    def __init__(self, sender: Sender, url: str, secret: str) -> None:
        self._sender, self._url, self._secret = sender, url, secret

    def run(self, options: argparse.Namespace) -> int:
        if options.command == "event":
            return self._event(options.file, fresh=options.fresh)
        if options.command == "special":
            return self._specials(options.names)
        return self._lifecycles(options.names if options.command == "lifecycle" else list(LIFECYCLES), options)

    def _event(self, file: Path, *, fresh: bool) -> int:
        body = file.read_bytes()
        if fresh:
            event = json.loads(body) | {"event_id": str(uuid4())}
            body = encode(moved(event, milliseconds(datetime.now(UTC)) - event["event_created_at_ms"]))
        answer = self._post(signed(body, self._secret, int(time.time())))
        return 0 if answer.acknowledged else 1

    def _specials(self, names: Sequence[str]) -> int:
        wrong = 0
        for name in names or SPECIALS:
            special = SPECIALS[name]
            answer = self._post(special(self._secret, int(time.time())), f"{name}, right is {special.status}")
            wrong += answer.status != special.status
        return 1 if wrong else 0

    def _lifecycles(self, names: Sequence[str], options: argparse.Namespace) -> int:
        seed = time.time_ns() if options.seed is None else options.seed
        told = [LIFECYCLES[name].ending(seed, options.end or datetime.now(UTC), options.currency) for name in names]
        result = resend(
            [event for lifecycle in told for event in lifecycle.events],
            self._post,
            secret=self._secret,
            clock=time.time,
            wait=time.sleep,
            retries=options.retries,
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


def _list() -> int:
    for title, things in (("lifecycles", LIFECYCLES), ("special webhooks", SPECIALS)):
        print(f"{title}:")
        for thing in things.values():
            print(f"  {thing.name:32}{thing.meaning}")
    return 0


def _secret(options: argparse.Namespace, environ: Mapping[str, str]) -> str:
    if options.secret_env:
        return environ.get(options.secret_env, "")
    return options.secret_file.read_text(encoding="utf-8").strip() if options.secret_file else ""


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m purchasely_sender", description="Sends signed webhooks as Purchasely does."
    )
    parser.add_argument("--url", help="where to send, for example https://…/webhooks/default")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--secret-env", metavar="NAME", help="environment variable that holds the shared secret")
    secret.add_argument("--secret-file", metavar="FILE", type=Path, help="file that holds the shared secret")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("list", help="what can be sent")
    lifecycle = commands.add_parser("lifecycle", help="send lifecycles that end now")
    lifecycle.add_argument("names", nargs="+", metavar="NAME", choices=LIFECYCLES)
    for sending in (lifecycle, commands.add_parser("all", help="send every lifecycle")):
        sending.add_argument("--seed", type=int, help="the same seed makes the same users and events")
        sending.add_argument("--end", type=_moment, help="ISO time of the last event (now)")
        sending.add_argument("--currency", choices=("usd", "eur"), default="usd", help="the console's (usd)")
        sending.add_argument("--retries", type=int, default=0, help="after 20, 26, 46, 116 … seconds (0)")
    event = commands.add_parser("event", help="send a file, byte by byte")
    event.add_argument("file", type=Path)
    event.add_argument("--fresh", action="store_true", help="as a new event of this moment")
    commands.add_parser("curl", help="print a signed curl command").add_argument("file", type=Path)
    special = commands.add_parser("special", help="send webhooks that are wrong in one way; all when none is named")
    special.add_argument("names", nargs="*", metavar="NAME", choices=SPECIALS)
    commands.add_parser("samples", help="write the sample events").add_argument("directory", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
