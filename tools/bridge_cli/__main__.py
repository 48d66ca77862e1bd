"""The command line `bridge`: `bridge --help`."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from bridge_cli.stack_options import stack_options

COMMANDS: Final[Mapping[str, str]] = {
    "setup": "Set up APP, or change how it is set up.",
    "check": "Is all well? If not, what to do.",
    "settings": "The settings of an app: see, check, change them.",
    "preview": "What CleverTap would get of an event, or why nothing.",
    "send": "Send signed webhooks to an app's URL.",
    "status": "The last hours at a glance, for each app or APP.",
    "trace": "The whole story of one event, or of one subscriber.",
    "parked": "List, show, redrive, discard the events that wait for a person.",
    "redrive": "Send parked events back to the events queue.",
    "pause": "Stop the forwarder, as for maintenance at CleverTap.",
    "resume": "Let the forwarder go on after `bridge pause`.",
    "backfill": "Bring in what an old app knows of its subscribers.",
    "balance": "Is every webhook accounted for?",
    "archive": "What came and what became of it, as the archive keeps it.",
    "rotate": "Replace a secret without a gap.",
    "export": "Write what is kept about one person, as JSON.",
    "forget": "Remove what is kept about one person.",
}
"""The commands and the first line of their help, in the order in which a new user needs them: set up, try, look, act.

The lines stand here too because `bridge --help` and the shell's completion show them without loading any command.
"""


class LazyCommands(click.Group):
    """Loads the file of a command when the command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in their order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command in the file of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"bridge_cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands into the help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin with `incomplete`."""
        commands = [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, args: Sequence[str] | None = None, *more: Any, **named: Any) -> Any:
        """Runs one command and exits. With --json it writes an error as JSON on stdout."""
        given = list(sys.argv[1:] if args is None else args)
        if "--json" not in given:
            return super().main(given, *more, **named)
        try:
            code = super().main(given, *more, **{**named, "standalone_mode": False})
        except (click.ClickException, click.Abort) as error:
            from bridge_cli.cli_error import document, exit_code
            from bridge_cli.output import write_json

            write_json(document(error))
            sys.exit(exit_code(error))
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="purchasely-clevertap")
@stack_options(from_environment=True)
def bridge(**_stack: object) -> None:
    """Operates the bridge from Purchasely to CleverTap.

    A command works on the stack purchasely-clevertap-dev of the AWS account that you are signed in to. --stage,
    --stack-name, --region and --profile name another stack, --local names the stack of `make up` on this machine. These
    options may stand before the command or after it. BRIDGE_STAGE, BRIDGE_STACK_NAME and BRIDGE_LOCAL=1 do the same in
    the environment.

    With --json a command writes one JSON document on stdout, also for an error.

    \b
    Exit codes:
      0  all is well
      1  something is wrong, or was not done
      2  the command line is wrong
      3  AWS or the stack cannot be reached, or does not allow it
    """


def main() -> None:
    """Runs one command and exits."""
    bridge(prog_name="bridge")


if __name__ == "__main__":
    main()
