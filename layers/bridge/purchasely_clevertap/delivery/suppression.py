"""People who were forgotten and are to stay so: nothing is kept or sent of what still comes about them.

What is left of such a person is a mark for each of their ids: keyed hashes, which name nobody. The marks of an app
stand together in sixteen items of the subscribers table, by the first digit of their hash, so a batch reads at most
sixteen however many people it is about.
"""

import hmac
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final, NamedTuple, Self

from purchasely_clevertap.delivery.keys import suppressed_key

_DIGITS: Final = 24  # 96 bits: nobody else among a billion people has one of a million marks
_OWNER_DIGITS: Final = 12


class IdKind(StrEnum):
    """What an id is; the same text may be the user id of one person and the anonymous id of another."""

    USER = "user"
    ANONYMOUS = "anonymous"
    OBJECT = "object"


class NamedId(NamedTuple):
    """An id of a person of an app."""

    app: str
    kind: IdKind
    id: str

    def hash(self, secret: str) -> str:
        """What stands for the id: 24 hex digits of an HMAC-SHA256, keyed with `secret`, the key of the user hashes.

        The log has the same key's hash of other text, so a mark can't be looked up in it.
        """
        text = f"suppressed#{self.app}#{self.kind}#{self.id}".encode("utf-8", "surrogatepass")
        return hmac.digest(secret.encode(), text, "sha256").hex()[:_DIGITS]


class Mark(NamedTuple):
    """What says that the id with this hash is suppressed. `owner` begins the hash by which a person's marks are found
    again: that of their user id."""

    app: str
    hash: str
    owner: str

    @classmethod
    def of(cls, named: NamedId, owner: NamedId, secret: str) -> Self:
        """The mark of an id of the person who has the id `owner`."""
        return cls(named.app, named.hash(secret), owner.hash(secret)[:_OWNER_DIGITS])

    @classmethod
    def parse(cls, app: str, text: str) -> Self:
        """The mark as the table has it."""
        found, _, owner = text.partition(":")
        return cls(app, found, owner)

    @property
    def key(self) -> str:
        """The key of its item in the subscribers table."""
        return suppressed_key(self.app, self.hash)

    @property
    def text(self) -> str:
        """How the table has it."""
        return f"{self.hash}:{self.owner}"


class Suppressed(NamedTuple):
    """Who is suppressed, as far as it was asked for: the hashes of the marks that were found."""

    secret: str = ""
    hashes: frozenset[str] = frozenset()

    def keys(self, ids: Iterable[NamedId]) -> frozenset[str]:
        """The keys of the items that tell whether these ids are suppressed."""
        return frozenset(suppressed_key(each.app, each.hash(self.secret)) for each in ids)

    def found(self, marks: Iterable[Mark]) -> Self:
        """The same with the marks of these items."""
        return self._replace(hashes=frozenset(mark.hash for mark in marks))

    def has(self, named: NamedId | None) -> bool:
        """Whether the id is a suppressed person's."""
        return named is not None and bool(self.hashes) and named.hash(self.secret) in self.hashes


def owned(marks: Collection[Mark], hashes: Collection[str]) -> list[Mark]:
    """Every mark of the persons who have one of these hashes."""
    owners = {mark.owner for mark in marks if mark.hash in hashes} | {each[:_OWNER_DIGITS] for each in hashes}
    return [mark for mark in marks if mark.owner in owners or mark.hash in hashes]
