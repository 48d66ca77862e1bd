"""The options that name a stack. They load nothing of AWS, so that `bridge --help` stays quick."""

from collections.abc import Callable
from pathlib import Path

import click


def stack_options[Result](*, from_environment: bool) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """The options that name a stack. They can stand before a command and behind it, and the latter prevail; only those
    before it are looked for in the environment, lest that prevail over what was typed."""

    def named(variable: str) -> str | None:
        return variable if from_environment else None

    options = (
        click.option("--stage", envvar=named("BRIDGE_STAGE"), help="The stack's stage.  [default: dev]"),
        click.option(
            "--stack-name",
            envvar=named("BRIDGE_STACK_NAME"),
            help="Its name, if it is not purchasely-clevertap-STAGE.",
        ),
        click.option("--region", help="Its AWS region, if not that of the profile."),
        click.option("--profile", help="The AWS profile to sign in with."),
        click.option(
            "--local", is_flag=True, envvar=named("BRIDGE_LOCAL"), help="The local stack of `make up` instead."
        ),
        click.option(
            "--local-folder",
            type=click.Path(path_type=Path, file_okay=False),
            envvar=named("BRIDGE_LOCAL_FOLDER"),
            hidden=True,
            help="A local stack of another folder instead.",
        ),
    )

    def with_options(command: Callable[..., Result]) -> Callable[..., Result]:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options
