"""The parameters that name an app."""

from collections.abc import Callable
from typing import Any, Final

import click

from bridge_cli.completion import app_names
from purchasely_clevertap.delivery.keys import APP

DEFAULT_APP: Final = "default"
"""The app whose webhook URL is the stack's output WebhookUrl."""


def _checked(_context: click.Context, _parameter: click.Parameter, app: str | None) -> str | None:
    if app is not None and APP.fullmatch(app) is None:
        raise click.BadParameter(f"{app!r} can be no app: its name has 1 to 40 of a-z, 0-9 and -")
    return app


app_argument = click.argument("app", default=DEFAULT_APP, callback=_checked, shell_complete=app_names)
"""The argument of a command about one app, the last part of its webhook URL."""

any_app_argument = click.argument("app", required=False, callback=_checked, shell_complete=app_names)
"""The argument of a command about one app or all apps."""


def app_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --app of a command about one app, when its argument is something else."""
    return click.option(
        "--app", default=DEFAULT_APP, show_default=True, callback=_checked, shell_complete=app_names, help=what
    )


def any_app_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --app of a command that is about every app without it."""
    return click.option("--app", callback=_checked, shell_complete=app_names, help=what)
