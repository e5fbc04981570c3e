"""The lock of a run folder: one process at a time writes a run, and the lock file names it."""

from __future__ import annotations

import datetime
import os
import socket
from pathlib import Path
from typing import BinaryIO

from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic
from mtkd_cli.files.lock import open_locked

NAME = ".lock"


def take(folder: Path) -> BinaryIO:
    """Return the locked file of a run folder; the lock is held until it is closed or the process ends.

    A killed process releases the lock, a suspended process keeps it.

    Raises:
        UsageError: another process holds the lock; the message names it.
        DataError: the folder is not writable.
    """
    path = folder / NAME
    with atomic.disk_errors(path):
        try:
            file = open_locked(path)
        except BlockingIOError as error:
            holder = path.read_text(encoding="utf-8", errors="replace")[:200] or "another process"
            raise UsageError(
                f"the run {folder} is in use: {holder}",
                where=str(path),
                hint="wait until it is done, or stop it",
            ) from error
        file.truncate(0)
        started = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {started}".encode())
        file.flush()
    return file
