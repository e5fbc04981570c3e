"""Of several processes that fail, one tells why: the first. The others fail because it did."""

from __future__ import annotations

import os
from pathlib import Path

from mtkd_cli.errors import EngineError, StoppedError

FILE = "MTKD_FIRST_FAILURE"
"""Names the file that takes the exit code of the first failure; whoever starts processes sets it."""

NEVER_FIRST = (EngineError.exit_code, StoppedError.exit_code, 130)


def is_told_here(code: int) -> bool:
    """Note that this process fails with an exit code; return whether it is the one to tell why.

    That another process is gone is never the first failure; nor is a signal, which whoever starts the
    processes sends to the others when one is lost.
    """
    path = os.environ.get(FILE)
    if not path:
        return True
    if code in NEVER_FIRST:
        return False
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(str(code))
    except FileExistsError:
        return False
    except OSError:
        pass
    return True


def begin() -> None:
    """Note that this process has begun, for whoever starts it."""
    if path := os.environ.get(FILE):
        mark_of(Path(path)).touch()


def mark_of(failure: Path) -> Path:
    """Return the file that is there once a process has begun, beside that of the first failure."""
    return failure.with_name("begun")


def code_in(failure: Path) -> int:
    """Return the exit code that the first failure left, 0 if none did."""
    try:
        return int(failure.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
