"""Looking at one thing in AWS, so that what can't be looked at stops nothing else."""

from collections.abc import Callable, Iterable

from botocore.exceptions import BotoCoreError, ClientError

from bridge_cli.account import Account, in_words
from bridge_cli.cli_error import CliError
from bridge_cli.finding import Finding


def looked(account: Account, subject: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `look` finds, or that it could not look. What emulated AWS does not know is nobody's fault."""
    try:
        return list(look())
    except CliError as fault:
        return [Finding(subject, False, fault.message)]
    except (ClientError, BotoCoreError) as error:
        if account.local is not None:
            return [Finding(subject, None, f"not looked at on this machine: {in_words(error)}")]
        return [Finding(subject, False, f"could not be looked at: {in_words(error)}")]


def looked_if_allowed(subject: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The same of what proves a deployment and is no part of it: a refusal speaks for nothing and against nothing."""
    try:
        return list(look())
    except CliError as fault:
        return [Finding(subject, None, f"not looked at: {fault.message}")]
    except (ClientError, BotoCoreError) as error:
        return [Finding(subject, None, f"not looked at: {in_words(error)}")]
