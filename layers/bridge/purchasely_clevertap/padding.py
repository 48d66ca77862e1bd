"""What an editor or a shell leaves around a pasted text, without a person seeing it."""

from typing import Final

_PADDING: Final = "\ufeff \t\r\n"


def unpadded(text: str) -> str:
    """The text without byte order marks, spaces and line breaks at its two ends."""
    return text.strip(_PADDING)
