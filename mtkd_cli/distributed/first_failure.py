"""Let only the first process that fails report its error: the others fail as a consequence."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from mtkd_cli.errors import EngineError, StoppedError

FILE = "MTKD_FIRST_FAILURE"
"""Environment variable with the path of the file for the first exit code; the launcher sets it."""

CONSEQUENCES = (EngineError.exit_code, StoppedError.exit_code, 130)
"""Exit codes that never count as the first failure: a lost process, and the launcher's signals after it."""


def record(code: int) -> bool:
    """Record the exit code of this failing process; return whether this process should report its error.

    Args:
        code: exit code of this process.
    """
    path = os.environ.get(FILE)
    if not path:
        return True
    if code in CONSEQUENCES:
        return False
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(str(code))
    except FileExistsError:
        return False
    except OSError:
        pass
    return True


def mark_started() -> None:
    """Tell the launcher that a process has started."""
    _touch(started_file)


def started_file(failure: Path) -> Path:
    """Return the path of the file that exists once a process has started, next to ``failure``."""
    return failure.with_name("begun")


def mark_finished() -> None:
    """Tell the launcher that the first process has finished all work: a later signal stops nothing."""
    _touch(finished_file)


def finished_file(failure: Path) -> Path:
    """Return the path of the file that exists once all work is finished, next to ``failure``."""
    return failure.with_name("finished")


def _touch(place: Callable[[Path], Path]) -> None:
    """Create an empty file for the launcher, if there is one and it is alive."""
    if path := os.environ.get(FILE):
        with contextlib.suppress(OSError):
            place(Path(path)).touch()


def read_exit_code(failure: Path) -> int:
    """Return the recorded exit code of the first failure, or 0 if there was none."""
    try:
        return int(failure.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
