"""stdout and stderr: closed, on a full disk, or a terminal without a width or without some characters."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of a stream that leads to a file on a full or failing disk."""


WIDTHS = ("COLUMNS", "TERMINAL_WIDTH")
"""Environment variables with the width of the terminal, which Rich and Typer read."""
WIDEST = 100_000
"""Wider lines would fill the memory with spaces."""


def prepare() -> None:
    """Make both streams usable: print nowhere if one is closed, and escape what it cannot encode.

    A width of 0, and one that is not a number, count as unset.
    """
    for name in WIDTHS:
        if not _is_width(os.environ.get(name, "1")):
            del os.environ[name]
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (until the exit)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _is_width(text: str) -> bool:
    try:
        return text.isdigit() and 0 < int(text) <= WIDEST
    except ValueError:  # digits such as a superscript, or very many of them
        return False


def is_unwritable(error: BaseException) -> bool:
    """Whether an error comes from a stream on a full disk; that of a file would name the file."""
    return isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename is None


def discard_stdout() -> None:
    """Send what stdout still holds, and all later output, nowhere: Python flushes it at the exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file: in a test or a notebook
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
