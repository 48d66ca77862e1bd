"""What the shell completes: apps, events, lifecycles. Never an error, and nothing that takes long."""

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from bridge_cli.sample import samples
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_sender import LIFECYCLES

_LIFECYCLE = "lifecycle"


def _beginning(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.lower().startswith(incomplete.lower())]


def app_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The apps of the stack that the command line names so far; `default` when AWS does not say."""
    from bridge_cli.account import account_of
    from bridge_cli.configuration import apps

    try:
        found = apps(account_of(context))
    except Exception:  # noqa: BLE001 - whatever keeps the names from being known, the shell only completes less
        found = []
    return _beginning(found or ["default"], incomplete)


def event_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The events that Purchasely documents."""
    return _beginning(CATALOGUE, incomplete)


def sample_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The sample events, and files."""
    return [*_beginning(samples(), incomplete), CompletionItem(incomplete, type="file")]


def words_to_send(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sample events and files, or lifecycles behind the word `lifecycle`."""
    given = context.params.get("words") or ()
    if _LIFECYCLE in given:
        return _beginning(LIFECYCLES, incomplete)
    return [*_beginning([*samples(), _LIFECYCLE], incomplete), CompletionItem(incomplete, type="file")]
