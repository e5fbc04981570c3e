"""Exit when the launcher process dies."""

from __future__ import annotations

import os
import threading
import time

from mtkd_cli.errors import EngineError

PARENT = "MTKD_PARENT"
"""Environment variable with the process id of the launcher, if the launcher is mtkd."""
WATCH_SECONDS = 0.5


def end_with_parent() -> None:
    """Start a thread that ends this process when its parent has died."""
    parent = int(os.environ.get(PARENT) or os.getppid())

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(EngineError.exit_code)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()
