"""Open files that a user names, but no pipes and devices: reading those waits, or never ends."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

SPECIAL = "it is a pipe, a socket or a device, not a file"


def open_regular(path: Path | str) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: it cannot be opened, or is neither a regular file nor a link to one.
    """
    return open(path, "rb", opener=refuse_special)


def read_regular(path: Path | str) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read, or is neither a regular file nor a link to one.
    """
    with open_regular(path) as file:
        return file.read()


def require_regular(path: Path | str) -> None:
    """Raise if a file is special; for libraries that open files by their names.

    Raises:
        OSError: there is no such file, or it is a pipe, a socket or a device.
    """
    if not _is_allowed(os.stat(path).st_mode):  # noqa: PTH116  (a str, too)
        raise _special(path)


def refuse_special(path: str, flags: int) -> int:
    """Open a file as `os.open` does; the ``opener`` of `open`.

    Raises:
        OSError: it cannot be opened, or is a pipe, a socket or a device.
    """
    handle = os.open(path, flags | os.O_NONBLOCK)  # opening a pipe waits otherwise
    if _is_allowed(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise _special(path)


def _is_allowed(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # the error about a folder is that of `open`


def _special(path: Path | str) -> OSError:
    return OSError(errno.EINVAL, SPECIAL, os.fsdecode(path))
