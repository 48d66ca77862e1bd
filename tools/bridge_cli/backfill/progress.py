"""How far a backfill has come, in a file: whoever goes on with it sends again only the one batch in doubt."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from bridge_cli.backfill.source import Source
from bridge_cli.cli_error import CliError, ErrorCode

_FOLDER: Final = "purchasely-clevertap"


@dataclass
class RunProgress:
    """The state of a run. `lines` are done with: they are sent, known before, skipped or invalid. `in_doubt` counts the
    lines that were being sent when the command died; `doubted` those of all such batches."""

    run: str
    lines: int = 0
    sent: int = 0
    known: int = 0
    skipped: int = 0
    invalid: int = 0
    in_doubt: int = 0
    doubted: int = 0
    is_done: bool = False
    by_reason: dict[str, int] = field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        """Whether every line that was gone through has its place."""
        return self.lines == self.sent + self.known + self.skipped + self.invalid

    def skip(self, reason: str) -> None:
        """Counts a line that is not sent."""
        self.skipped += 1
        self.by_reason[reason] = self.by_reason.get(reason, 0) + 1


class ProgressFile:
    """Keeps a run's progress: for its owner alone, and whole at any moment."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, run: str) -> RunProgress | None:
        """The progress of this run; None if there is none. CliError if the file is another run's."""
        try:
            found: Any = json.loads(self.path.read_text(encoding="utf-8"))
            progress = RunProgress(**found)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise CliError(f"{self.path} is no state of a backfill", code=ErrorCode.INVALID) from error
        if progress.run != run:
            raise CliError(
                f"{self.path} is the state of another backfill: of other files, of another app or stack, or --as",
                code=ErrorCode.INVALID,
            )
        return progress

    def write(self, progress: RunProgress) -> None:
        """Replaces what the file holds. CliError if it cannot be written."""
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(progress), file)
            beside.replace(self.path)
        except OSError as error:
            raise CliError(f"{self.path} cannot be written: {error.strerror}") from error


def run_id(stack: str, app: str, mode: str, files: Sequence[Source]) -> str:
    """What tells one run from another: the stack, the app, how much is sent, and the files' content."""
    told = json.dumps([stack, app, mode, [each.digest for each in files]])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def default_file(run: str) -> Path:
    """Where the state is kept unless --state says otherwise: below XDG_STATE_HOME, as the XDG Base Directory
    Specification has it."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / _FOLDER / f"backfill-{run}.json"
