"""Locks between processes with flock: the lock is released when the process ends, even if it is killed.

`filelock` is not used: it has no shared locks, truncates the lock file (erasing the holder's name),
and on file systems without locks it waits forever or leaves marker files behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import BinaryIO

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of a file system without locks."""

POLL_SECONDS = 0.05


def lock(file: int | BinaryIO, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or folder until it is closed; return False if its file system has no locks.

    Args:
        file: the open file, or its descriptor.
        shared: whether to take a shared lock, which allows other shared locks.
        wait: whether to wait until the lock is free.

    Raises:
        BlockingIOError: another process holds the lock, and ``wait`` is False.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in WITHOUT_LOCKS:
            return False
        raise
    return True


def open_locked(path: Path, seconds: float = 0.0) -> BinaryIO:
    """Open the lock file at ``path``, creating it if needed, and lock it until it is closed.

    On a file system without locks the file is opened without a lock.

    Args:
        path: the lock file.
        seconds: maximum time to wait for another holder.

    Raises:
        BlockingIOError: another process still holds the lock after that time.
        OSError: the file cannot be opened for writing.
    """
    deadline = time.monotonic() + seconds
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        try:
            lock(file)
            if _is_at(path, file):
                return file
        except BlockingIOError:
            if time.monotonic() >= deadline:
                file.close()
                raise
            time.sleep(POLL_SECONDS)
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Whether ``path`` is still the opened file: it may have been removed in between."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
