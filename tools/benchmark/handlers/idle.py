"""A handler that does nothing: what the runtime itself takes."""


def handler(event: object, context: object) -> None:
    """Answers nothing."""
