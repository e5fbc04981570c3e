"""Find class folders and images: sorted, without hidden ones, and never outside the folder that was named."""

from __future__ import annotations

import os
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.reading.images import ENDINGS


def folders_in(root: Path) -> list[str]:
    """Return the names of the folders in ``root``; links to folders count, hidden ones do not."""
    try:
        return sorted(e.name for e in os.scandir(root) if not e.name.startswith(".") and e.is_dir())
    except OSError as error:
        raise _unreadable(error) from error


def images_in(root: Path, anywhere: bool = False) -> list[Path]:
    """Return the PNG and JPEG files in ``root`` at any depth.

    Links to files are followed, also to files elsewhere. Links to folders inside ``root`` are followed,
    each folder once, so a loop of links ends.

    Args:
        root: a folder, or a link to one.
        anywhere: whether links to folders outside ``root`` are followed too.

    Raises:
        DataError: a folder that cannot be read, or a link to a folder that is not inside ``root``.

    """

    def stop(error: OSError) -> None:
        raise _unreadable(error) from error

    found: list[Path] = []
    seen: set[str] = set()
    top = os.path.realpath(root)
    for folder, folders, files in os.walk(root, onerror=stop, followlinks=True):
        real = os.path.realpath(folder)
        if not anywhere and not _is_within(real, top):
            raise DataError(
                f"the link leads outside {root}, to {real}",
                where=str(folder),
                hint="remove the link, or copy the images; a link to a single file may lead anywhere",
            )
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = (Path(folder, n) for n in files if n.lower().endswith(ENDINGS) and not n.startswith("."))
        found += [file for file in inside if file.is_file()]
    return sorted(found)


def file_inside(folder: Path, name: str, where: str, hint: str) -> Path:
    """Return the file that an annotation or a table calls ``name``, in ``folder`` or below it.

    Links to single files are followed. The file need not exist.

    Args:
        folder: where names start from; may be a link.
        name: a relative path, as the annotation gives it.
        where: file and entry, for the message.
        hint: what to do about a name that leads outside.

    Raises:
        DataError: the name leads outside the folder: absolute, by ``..``, or through a linked folder.
    """
    file = folder / name
    if "\0" in name:
        raise DataError(f"{name!r} is not a file name", where, hint)
    if file.parent == folder and file.name != "..":
        return file  # no folder on the way that could be a link
    if not _is_within(os.path.realpath(file.parent), os.path.realpath(folder)):
        raise DataError(f"the file name {name!r} leads outside the folder {folder}", where, hint)
    return file


def _is_within(path: str, folder: str) -> bool:
    """Whether a real path is a folder or is below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _unreadable(error: OSError) -> DataError:
    return DataError(
        f"the folder cannot be read: {error.strerror}",
        where=str(error.filename),
        hint="check its permissions",
    )
