"""Find class folders and images: sorted, without hidden ones, in a tree that may have loops."""

from __future__ import annotations

import os
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.images import ENDINGS


def folders_in(root: Path) -> list[str]:
    """Return the names of the folders in ``root``; links to folders count, hidden ones do not."""
    try:
        return sorted(e.name for e in os.scandir(root) if not e.name.startswith(".") and e.is_dir())
    except OSError as error:
        raise _unreadable(error) from error


def images_in(root: Path) -> list[Path]:
    """Return the PNG and JPEG files in ``root`` at any depth.

    Links to folders are followed, each folder once, so a loop of links ends.

    Raises:
        DataError: a folder that cannot be read.

    """

    def stop(error: OSError) -> None:
        raise _unreadable(error) from error

    found: list[Path] = []
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, onerror=stop, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = (Path(folder, n) for n in files if n.lower().endswith(ENDINGS) and not n.startswith("."))
        found += [file for file in inside if file.is_file()]
    return sorted(found)


def _unreadable(error: OSError) -> DataError:
    return DataError(
        f"the folder cannot be read: {error.strerror}",
        where=str(error.filename),
        hint="check its permissions",
    )
