"""Refuse decompression bombs: files of a few kilobytes that would take gigabytes in memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mtkd_cli.errors import DataError

MOST_TIMES = 100
"""Maximum ratio of the size in memory to the file size; model files compress little."""

ALWAYS_BYTES = 2**28
"""Size in memory, in bytes, that is always allowed."""


def refuse_bomb(path: Path) -> None:
    """Raise if a file is a zip archive that is far larger when unpacked. Reads only its headers.

    Raises:
        DataError: the unpacked size exceeds `MOST_TIMES` times the file size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return  # not an archive, or a damaged one, which reading it reports
    refuse_content(path, content)


def refuse_content(path: Path, content: int) -> None:
    """Raise if the content of a file is far larger than the file.

    Args:
        path: the file.
        content: size of the content in memory, in bytes.

    Raises:
        DataError: the size exceeds `MOST_TIMES` times the file size.
    """
    size = max(1, path.stat().st_size)
    if content > max(ALWAYS_BYTES, MOST_TIMES * size):
        raise DataError(
            f"reading the file would take {content:,} bytes, {content // size} times its size",
            where=str(path),
            hint="if you trust the file, save it without compression",
        )
