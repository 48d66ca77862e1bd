"""A person in the log: always the same letters for the same person, and nobody can tell whose they are."""

import hmac
from typing import Final

_LETTERS: Final = 16


def user_hash(person: str, key: str) -> str:
    """What the log has in the place of a user id or anonymous user id.

    The first 16 hex digits of HMAC-SHA256, keyed with `key`, a secret of the stage. Without a key, whoever has the log
    could try all ids there are, as ids may be numbers or addresses; so who may read the log may not read the key.
    """
    return hmac.digest(key.encode(), person.encode("utf-8", "surrogatepass"), "sha256").hex()[:_LETTERS]
