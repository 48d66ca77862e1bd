"""What the functions use of Lambda's context object (AWS Lambda, Python context object)."""

from typing import Protocol


class Invocation(Protocol):
    """One invocation of a function."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is stopped."""
