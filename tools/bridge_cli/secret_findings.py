"""What a check finds of secrets beside what they hold: that they may not be read, or that two apps have the same."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

from bridge_cli.finding import Finding

_TITLES: Final = {"purchasely": "Purchasely secret", "clevertap": "CleverTap secret"}


def of_hidden(app: str, name: str) -> Finding:
    """That the person may not read the secret `purchasely` or `clevertap` of the app, which is no fault of the app."""
    return Finding(f"{app}: {_TITLES[name]}", None, "not looked at: you may not read it")


def of_shared(accepted: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """That two apps accept the same shared secret; `accepted` are those of each app. No secret is named.

    Whoever has a webhook of one of them can then send it to the URL of the other, and its events reach the users there.
    """
    for one, other in combinations(sorted(accepted), 2):
        if frozenset(accepted[one]) & frozenset(accepted[other]):
            found = f"{one} and {other} accept the same: a webhook of one passes at the other"
            todo = f"if they are two apps in Purchasely, each has its own: bridge rotate purchasely {other}"
            yield Finding("shared secrets", None, found, todo)
