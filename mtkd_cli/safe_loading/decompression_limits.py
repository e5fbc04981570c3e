"""Refuse files that would fill the memory when they are read: a few kilobytes can hold gigabytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mtkd_cli.errors import DataError

MOST_TIMES = 100
"""How many times as large as its file the content may be; model files are hardly compressed."""

ALWAYS_BYTES = 2**28
"""Content that is never refused."""


def refuse_bomb(path: Path) -> None:
    """Raise if a file is a zip archive whose content is far larger than itself; its headers are read only.

    Raises:
        DataError: it is.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return  # no archive, or a damaged one: whoever reads it says so
    refuse_content(path, content)


def refuse_content(path: Path, content: int) -> None:
    """Raise if a file says that it holds far more bytes than it has.

    Raises:
        DataError: it does.
    """
    size = max(1, path.stat().st_size)
    if content > max(ALWAYS_BYTES, MOST_TIMES * size):
        raise DataError(
            f"its content would take {content:,} bytes, {content // size} times the file",
            where=str(path),
            hint="if it is what it should be, save it without compression",
        )
