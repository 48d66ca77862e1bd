"""An emulated CleverTap: its upload and delete APIs as the real one answers them, and as strict. See README.md."""

from clevertap_emulator.account import Profile, Stored, Violation
from clevertap_emulator.faults import (
    Cut,
    Delay,
    FailEmpty,
    Faults,
    Hang,
    Interim,
    LostAnswer,
    NotJson,
    Ok,
    Refuse,
    Status,
    Step,
    Truncated,
)
from clevertap_emulator.server import Emulator
from clevertap_emulator.service import Deletion, UploadRequest

__all__ = [
    "Cut",
    "Delay",
    "Deletion",
    "Emulator",
    "FailEmpty",
    "Faults",
    "Hang",
    "Interim",
    "LostAnswer",
    "NotJson",
    "Ok",
    "Profile",
    "Refuse",
    "Status",
    "Step",
    "Stored",
    "Truncated",
    "UploadRequest",
    "Violation",
]
