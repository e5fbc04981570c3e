"""Locks between processes: flock on an open file, which ends with its process, however that ends.

Not `filelock`: it has no shared locks, opens the lock file truncated (the holder's name would be lost as soon
as a second process asks), and in place of missing locks it waits forever or leaves marker files behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import BinaryIO

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of a file system that has no locks."""

POLL_SECONDS = 0.05


def lock(file: int | BinaryIO, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or folder until it is closed; return False if its file system has no locks.

    Args:
        file: the open file, or its descriptor.
        shared: allow others that are shared too.
        wait: wait for another holder.

    Raises:
        BlockingIOError: another holder has it, and ``wait`` is False.
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
    """Return the file at ``path``, made if it is missing, locked until it is closed or the process ends.

    A file system without locks keeps no process out.

    Args:
        path: the lock file.
        seconds: how long to wait for another holder.

    Raises:
        BlockingIOError: another process holds it after that time.
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
    """Whether the file was not removed, with its folder, while it was being opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
