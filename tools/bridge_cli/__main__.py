"""The command line `bridge`: `bridge --help`."""

import click
from botocore.exceptions import BotoCoreError, ClientError

from .account import in_words, stack_options
from .balance import command as balance
from .check import command as check
from .cli_error import CliError
from .forget import command as forget
from .parked import command as parked
from .parked import redrive
from .preview import command as preview
from .rotate import command as rotate
from .send import command as send
from .settings import command as settings
from .setup import command as setup
from .status import command as status
from .trace import command as trace

# In the order of their need: to set up, to try, to see, to act.
COMMANDS: tuple[click.Command, ...] = (
    setup,
    check,
    settings,
    preview,
    send,
    status,
    trace,
    parked,
    redrive,
    balance,
    rotate,
    forget,
)


class Commands(click.Group):
    """Lists its commands in the order given, and says in one line what AWS has against one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order given."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; what AWS refuses is a CliError, not a stack trace."""
        try:
            return super().invoke(ctx)
        except (ClientError, BotoCoreError) as error:
            raise CliError(in_words(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="purchasely-clevertap")
@stack_options(from_environment=True)
def bridge(**_stack: object) -> None:
    """The cli of the people who run the bridge from Purchasely to CleverTap.

    Every command works on the stack purchasely-clevertap-dev of the AWS account that you are signed in to; --stage,
    --stack-name, --region and --profile name another one, --local the stack of `make up` on this machine. They stand
    before the command or behind it; BRIDGE_STAGE, BRIDGE_STACK_NAME and BRIDGE_LOCAL=1 do the same for a session.

    With --json a command writes one JSON document for scripts. The exit code is 0 when all is well, 1 when
    something is wrong, 2 when the command line is.
    """


for _command in COMMANDS:
    bridge.add_command(_command)


def main() -> None:
    """Runs one command, and exits."""
    bridge(prog_name="bridge")


if __name__ == "__main__":
    main()
