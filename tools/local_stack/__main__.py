"""The command line: `python -m local_stack --help`."""

import sys
import time
from datetime import UTC, datetime

import click

from purchasely_sender import LIFECYCLES, encode, signed
from purchasely_sender.webhook import curl

from . import demo
from .background import LocalStackError
from .stack import FOLDER, PRODUCTION, SANDBOX, SHARED_SECRET, LocalStack, Options, deploy, find, start, stop

_DEFAULT = Options()


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LocalStackError as error:
            print(f"local stack: {error}", file=sys.stderr)
            ctx.exit(1)


@click.group(cls=_Commands)
def main() -> None:
    """The project's stack on this machine."""


@main.command()
@click.option("--clevertap-endpoint", default="", metavar="URL", help="Upload there, not to an emulated CleverTap.")
@click.option("--retry-base-seconds", default=_DEFAULT.retry_base_seconds, show_default=True)
@click.option("--retry-max-seconds", default=_DEFAULT.retry_max_seconds, show_default=True)
@click.option("--batch-window-seconds", default=_DEFAULT.batch_window_seconds, show_default=True)
@click.option("--max-concurrency", default=_DEFAULT.max_concurrency, show_default=True)
@click.option("--port", default=0, help="Where AWS answers; 0, the default, is any free port.")
def up(
    clevertap_endpoint: str,
    retry_base_seconds: int,
    retry_max_seconds: int,
    batch_window_seconds: int,
    max_concurrency: int,
    port: int,
) -> None:
    """Start it, or bring it up to date."""
    options = Options(
        clevertap_endpoint, retry_base_seconds, retry_max_seconds, batch_window_seconds, max_concurrency, port
    )
    _describe(start(options=options))


@main.command("deploy")
def deploy_() -> None:
    """Build and deploy the code as it is now."""
    _describe(deploy(_running()))


@main.command()
def status() -> None:
    """Where everything is."""
    _describe(_running())


@main.command("demo")
def demo_() -> None:
    """Send every kind of webhook and show what becomes of each."""
    sys.exit(demo.run())


@main.command()
def down() -> None:
    """Stop it."""
    print("The local stack is stopped." if stop() else "The local stack was not running.")


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


if __name__ == "__main__":
    main(prog_name="python -m local_stack")
