"""Explain the exceptions that no command expects, and a deleted working directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mtkd_cli.cli import streams
from mtkd_cli.errors import DataError, MtkdError, UsageError, short_repr, type_and_first_line
from mtkd_cli.training.out_of_memory import memory_error

PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
"""Errors of a path that the user gave, or of a folder without permissions."""


def explain(error: Exception) -> MtkdError:
    """Return what a user can do about an exception."""
    if isinstance(error, OSError) and streams.is_unwritable(error):
        return DataError(
            f"the output cannot be written: {os.strerror(error.errno or 0)}",
            where="stdout, stderr",
            hint="free space, or send the output elsewhere",
        )
    if isinstance(error, OSError) and error.filename is not None and error.errno in PATHS:
        return DataError(
            f"a path cannot be used: {os.strerror(error.errno)}",
            where=short_repr(os.fsdecode(error.filename)),
            hint="check the paths in the recipe, and their permissions",
        )
    if full := memory_error(error, "", "use a smaller batch, smaller inputs or smaller models"):
        return full
    return MtkdError(
        f"unexpected {type_and_first_line(error)}", hint="run mtkd --debug … to see the traceback"
    )


def require_working_directory() -> None:
    """Raise if the working directory was deleted: libraries end the process when they are loaded there.

    Raises:
        UsageError: it was.
    """
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the working directory does not exist", hint="change to a folder that exists"
        ) from error
