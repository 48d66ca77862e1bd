"""What the shell completes: apps, events, lifecycles. A completion never fails and never takes long."""

from collections.abc import Iterable
from typing import Final

import click
from click.shell_completion import CompletionItem

LIFECYCLE: Final = "lifecycle"
"""The word before the names of lifecycles in `bridge send lifecycle NAME`."""


def _beginning(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.lower().startswith(incomplete.lower())]


def app_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The apps of the stack that the command line names; `default` when AWS does not answer within seconds."""
    try:
        from bridge_cli.account import account_of
        from bridge_cli.configuration import apps

        found = apps(account_of(context))
    except Exception:  # noqa: BLE001 - without credentials, network or rights the shell only completes less
        found = []
    return _beginning(found or ["default"], incomplete)


def event_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The events that Purchasely documents."""
    from purchasely_clevertap.purchasely.catalogue import CATALOGUE

    return _beginning(CATALOGUE, incomplete)


def sample_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The sample events, and files."""
    from bridge_cli.sample import samples

    return [*_beginning(samples(), incomplete), CompletionItem(incomplete, type="file")]


def words_to_send(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What `bridge send` takes: sample events and files, or lifecycles behind the word `lifecycle`."""
    from purchasely_sender import LIFECYCLES

    if LIFECYCLE in (context.params.get("words") or ()):
        return _beginning(LIFECYCLES, incomplete)
    return [*_beginning([LIFECYCLE], incomplete), *sample_names(context, parameter, incomplete)]
