"""Commands whose arguments are ids: some CleverTap ids begin with a dash."""

import re
from collections.abc import Iterable
from typing import Final

import click

# No option of a command is one dash and more than one letter.
_DASHED_ID: Final = re.compile("-[^-].+").fullmatch


class IdCommand(click.Command):
    """Takes an argument such as -2ce3f0 for an id, not for options. The value of an option stays with its option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the command line, with such ids moved behind `--`."""
        return super().parse_args(ctx, self._ids_last(args))

    def _ids_last(self, arguments: Iterable[str]) -> list[str]:
        given = list(arguments)
        if "--" in given:
            return given
        with_value = {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for name in parameter.opts
        }
        ids: list[str] = []
        others: list[str] = []
        before = ""
        for each in given:
            (ids if _DASHED_ID(each) and before not in with_value else others).append(each)
            before = each
        return [*others, "--", *ids] if ids else others
