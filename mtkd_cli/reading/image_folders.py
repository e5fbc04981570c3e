"""List class folders and images: sorted, without hidden files, and never outside the given folder."""

from __future__ import annotations

import os
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.reading.images import ENDINGS

LONGEST_NAME, LONGEST_PATH = 255, 4000
"""Maximum length of a file's name in bytes, and of a path; the system does not look for longer ones."""


def list_folders(root: Path) -> list[str]:
    """Return the names of the folders in ``root``, links included and hidden folders excluded.

    Raises:
        DataError: ``root`` cannot be read.
    """
    try:
        return sorted(e.name for e in os.scandir(root) if not e.name.startswith(".") and e.is_dir())
    except OSError as error:
        raise _unreadable(error) from error


def list_images(root: Path, anywhere: bool = False, endings: tuple[str, ...] = ENDINGS) -> list[Path]:
    """Return the image files in ``root`` at any depth, sorted.

    Links to files are followed, also to files elsewhere. Each linked folder is visited once, so a loop of
    links ends.

    Args:
        root: a folder, or a link to one.
        anywhere: whether to follow links to folders outside ``root``.
        endings: endings of the files, in lower case.

    Raises:
        DataError: a folder cannot be read, or a link leads to a folder outside ``root``.
    """

    def fail(error: OSError) -> None:
        raise _unreadable(error) from error

    found: list[Path] = []
    seen: set[str] = set()
    top = os.path.realpath(root)
    for folder, folders, files in os.walk(root, onerror=fail, followlinks=True):
        real = os.path.realpath(folder)
        if not anywhere and not _is_within(real, top):
            raise DataError(
                f"the link leads outside {root}, to {real}",
                where=str(folder),
                hint="remove the link, or copy the images; links to single files are allowed",
            )
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        images = (Path(folder, n) for n in files if n.lower().endswith(endings) and not n.startswith("."))
        found += [image for image in images if image.is_file()]
    return sorted(found)


def as_utf8(path: Path | str) -> str:
    """Return a path with ``/`` between its parts as valid UTF-8, with other bytes escaped."""
    return Path(path).as_posix().encode("utf-8", "backslashreplace").decode()


def file_inside(folder: Path, name: str, where: str, hint: str) -> Path:
    """Return the path of a file that an annotation or a table names, inside ``folder``.

    Links to single files are followed. The file does not have to exist.

    Args:
        folder: folder that names are relative to; may be a link.
        name: relative path from the annotation.
        where: file and entry of the annotation, for messages.
        hint: what to do about a name that leads outside, for messages.

    Raises:
        DataError: the name leads outside the folder: it is absolute, contains ``..``, or passes a link.
    """
    file = folder / name
    if not can_be_path(name):
        raise DataError(f"{name[:100]!r} is not a file name", where, hint)
    if file.parent == folder and file.name != "..":
        return file  # no folder in between that could be a link
    if not _is_within(os.path.realpath(file.parent), os.path.realpath(folder)):
        raise DataError(f"the file name {name!r} leads outside the folder {folder}", where, hint)
    return file


def can_be_path(name: str) -> bool:
    """Whether a file system may contain a file with this path."""
    try:
        parts = os.fsencode(name).split(b"/")
    except UnicodeEncodeError:
        return False
    return "\0" not in name and max(map(len, parts)) <= LONGEST_NAME and len(name) <= LONGEST_PATH


def _is_within(path: str, folder: str) -> bool:
    """Whether a resolved path equals the resolved folder or is below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _unreadable(error: OSError) -> DataError:
    return DataError(
        f"the folder cannot be read: {error.strerror}",
        where=str(error.filename),
        hint="check its permissions",
    )
