"""The command line `bridge`: `bridge --help`."""

import importlib
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from botocore.exceptions import BotoCoreError, ClientError

from bridge_cli.account import in_words, stack_options
from bridge_cli.cli_error import document, unreachable
from bridge_cli.output import write_json

# In the order of their need: to set up, to try, to see, to act.
COMMANDS: Final = (
    "setup",
    "check",
    "settings",
    "preview",
    "send",
    "status",
    "trace",
    "parked",
    "redrive",
    "balance",
    "rotate",
    "forget",
)

# Some CleverTap ids begin with a dash; no option of a command is a dash and more than one letter.
_ID_WITH_DASH: Final = re.compile("-[^-].+").fullmatch


class Commands(click.Group):
    """Loads a command when it is asked for, and says in one line what AWS has against it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of need."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command in the file of its name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"bridge_cli.commands.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; what AWS refuses is a CliError, not a stack trace."""
        try:
            return super().invoke(ctx)
        except ClientError as error:
            raise unreachable(in_words(error), error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise unreachable(in_words(error), type(error).__name__) from error

    def main(self, args: Sequence[str] | None = None, *more: Any, **named: Any) -> Any:
        """Runs one command, and exits. With --json an error is a document too."""
        given = behind_dashes(sys.argv[1:] if args is None else args)
        if "--json" not in given:
            return super().main(given, *more, **named)
        try:
            code = super().main(given, *more, **{**named, "standalone_mode": False})
        except click.ClickException as error:
            write_json(document(error))
            sys.exit(error.exit_code)
        except click.Abort:
            write_json({"error": {"code": "aborted", "message": "aborted"}})
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


def behind_dashes(arguments: Sequence[str]) -> list[str]:
    """The arguments with ids that begin with a dash behind `--`, so that they are not taken for options."""
    if "--" in arguments:
        return list(arguments)
    ids = [each for each in arguments if _ID_WITH_DASH(each)]
    return [each for each in arguments if each not in ids] + (["--", *ids] if ids else [])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="purchasely-clevertap")
@stack_options(from_environment=True)
def bridge(**_stack: object) -> None:
    """Runs the bridge from Purchasely to CleverTap: set up, look, mend.

    Every command works on the stack purchasely-clevertap-dev of the AWS account that you are signed in to; --stage,
    --stack-name, --region and --profile name another one, --local the stack of `make up` on this machine. They stand
    before the command or behind it; BRIDGE_STAGE, BRIDGE_STACK_NAME and BRIDGE_LOCAL=1 do the same for a session.

    With --json a command writes one JSON document for scripts, its error too. The exit code is 0 when all is well, 1
    when something is wrong, 2 when the command line is, 3 when AWS or the stack cannot be reached or does not allow it.
    """


def main() -> None:
    """Runs one command, and exits."""
    bridge(prog_name="bridge")


if __name__ == "__main__":
    main()
