"""A process that was started as one of several ends soon after the one that started it."""

from __future__ import annotations

import os
import threading
import time

from mtkd_cli.errors import EngineError

PARENT = "MTKD_PARENT"
"""Holds the number of the process that started this one, where that is mtkd."""
WATCH_SECONDS = 0.5


def end_with_parent() -> None:
    """Watch the parent from now on, on a thread; a parent that is gone can no longer end this process."""
    parent = int(os.environ.get(PARENT) or os.getppid())

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(EngineError.exit_code)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()
