"""What may reach a terminal of what strangers wrote: text, and nothing that passes for an order or for another line."""

import unicodedata


def harmless(text: str, *, lines: bool = False) -> str:
    """The text as it may be shown: without controls, characters that have no width or turn the direction, and halves.

    A line break could make a line of its own that nobody wrote, so it stays only with `lines`, for what is several.
    """
    if text.isprintable():
        return text
    return "".join(each if _is_shown(each) or (lines and each in "\t\n") else "\ufffd" for each in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
