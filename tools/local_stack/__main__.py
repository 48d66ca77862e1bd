"""The command line: `python -m local_stack --help`."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime

from purchasely_sender import LIFECYCLES, encode, signed
from purchasely_sender.webhook import curl

from . import demo
from .background import LocalStackError
from .stack import FOLDER, PRODUCTION, SANDBOX, SHARED_SECRET, LocalStack, Options, deploy, find, start, stop


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command: 0 when it was done, 1 with the reason on stderr when not."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except LocalStackError as error:
        print(f"local stack: {error}", file=sys.stderr)
        return 1


def _up(arguments: argparse.Namespace) -> int:
    options = Options(**{option.name: getattr(arguments, option.name) for option in fields(Options)})
    _describe(start(options=options))
    return 0


def _down(_arguments: argparse.Namespace) -> int:
    print("The local stack is stopped." if stop() else "The local stack was not running.")
    return 0


def _status(_arguments: argparse.Namespace) -> int:
    _describe(_running())
    return 0


def _deploy(_arguments: argparse.Namespace) -> int:
    _describe(deploy(_running()))
    return 0


def _demo(_arguments: argparse.Namespace) -> int:
    return demo.run()


def _running() -> LocalStack:
    stack = find()
    if stack is None:
        raise LocalStackError("it is not running: start it with `make up`")
    return stack


def _describe(stack: LocalStack) -> None:
    event = FOLDER / "event.json"
    story = LIFECYCLES["trial_converts"](time.time_ns(), datetime.now(UTC)).events
    event.write_bytes(encode(next(each for each in story if each["event_name"] == "TRIAL_STARTED")))
    webhook = signed(event.read_bytes(), SHARED_SECRET, int(time.time()))
    clevertap = "" if stack.options.clevertap_endpoint else f" (accounts {PRODUCTION.account_id}, {SANDBOX.account_id})"
    print(f"""
  webhook URL    {stack.webhook_url()}
  shared secret  {SHARED_SECRET}
  CleverTap      {stack.clevertap_url}{clevertap}
  AWS            {stack.aws_url}
  logs           {FOLDER}/*.log

Send an event:

{curl(stack.webhook_url(), webhook, str(event))}
""")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_stack", description="The project's stack on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    default = Options()

    up = commands.add_parser("up", help="start it, or bring it up to date")
    up.set_defaults(run=_up)
    up.add_argument(
        "--clevertap-endpoint", default="", metavar="URL", help="upload there, not to an emulated CleverTap"
    )
    up.add_argument("--retry-base-seconds", type=int, default=default.retry_base_seconds, metavar="N")
    up.add_argument("--retry-max-seconds", type=int, default=default.retry_max_seconds, metavar="N")
    up.add_argument("--batch-window-seconds", type=int, default=default.batch_window_seconds, metavar="N")
    up.add_argument("--max-concurrency", type=int, default=default.max_concurrency, metavar="N")
    up.add_argument("--port", type=int, default=0, metavar="N", help="where AWS answers (any free port)")

    commands.add_parser("deploy", help="build and deploy the code as it is now").set_defaults(run=_deploy)
    commands.add_parser("status", help="where everything is").set_defaults(run=_status)
    commands.add_parser("demo", help="send every kind of webhook and show what becomes of each").set_defaults(run=_demo)
    commands.add_parser("down", help="stop it").set_defaults(run=_down)
    return parser


if __name__ == "__main__":
    sys.exit(main())
