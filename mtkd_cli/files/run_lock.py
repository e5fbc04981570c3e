"""One process at a time writes a run: a lock that ends with its process, however that ends."""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import BinaryIO

from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic

NAME = ".lock"
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system says that has no locks: there, nobody is kept out."""


def take(folder: Path) -> BinaryIO:
    """Return the locked file of a run folder; the lock is held until it is closed or the process ends.

    A process that was killed holds nothing; one that is suspended still does.

    Raises:
        UsageError: another process holds it; the message says which.
        DataError: the folder cannot be written.
    """
    path = folder / NAME
    with atomic.disk_errors(path):
        while True:
            file = path.open("a+b")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = path.read_text(encoding="utf-8", errors="replace")[:200] or "another process"
                file.close()
                raise UsageError(
                    f"the run {folder} is in use: {holder}",
                    where=str(path),
                    hint="wait until it is done, or stop it",
                ) from error
            except OSError as error:
                if error.errno not in WITHOUT_LOCKS:
                    raise
            if _is_still(path, file):
                break
            file.close()
        file.truncate(0)
        started = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {started}".encode())
        file.flush()
    return file


def _is_still(path: Path, file: BinaryIO) -> bool:
    """Whether the file was not removed, with its run, while it was being opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return False
