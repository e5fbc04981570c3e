"""Of several processes that fail, one tells why: the first. The others fail because it did."""

from __future__ import annotations

import os
from pathlib import Path

from mtkd_cli.errors import EngineError

FILE = "MTKD_FIRST_FAILURE"
"""Names the file that takes the exit code of the first failure; whoever starts processes sets it."""


def is_told_here(code: int) -> bool:
    """Note that this process fails with an exit code; return whether it is the one to tell why.

    That another process is gone is never the first failure.
    """
    path = os.environ.get(FILE)
    if not path:
        return True
    if code == EngineError.exit_code:
        return False
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(str(code))
    except FileExistsError:
        return False
    except OSError:
        pass
    return True
