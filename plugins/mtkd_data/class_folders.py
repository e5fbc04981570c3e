"""Class folders: a link must not give one class the images of another."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.reading.image_folders import images_in

HINT = "remove the link; each image belongs to one class"


def real_folders(root: Path, classes: Sequence[str]) -> dict[Path, str]:
    """Return the classes by their real folders; a class folder may be a link to a folder elsewhere.

    Args:
        root: the folder that holds the class folders.
        classes: class names; a class without a folder in ``root`` is left out.

    Raises:
        DataError: a link to another class's folder, into it, or to a folder that holds ``root``.
    """
    found: dict[Path, str] = {}
    for name in classes:
        if not (root / name).is_dir():
            continue
        real = Path(os.path.realpath(root / name))
        if real in found:
            raise _refused(root, name, found[real])
        found[real] = name
    top = Path(os.path.realpath(root))
    for real, name in found.items():
        if top.is_relative_to(real):
            raise DataError(f"the link leads to {real}, which holds every class", str(root / name), HINT)
        if other := _owner(real.parent, found):
            raise _refused(root, name, other)
    return found


def images_of(root: Path, name: str, folders: Mapping[Path, str]) -> list[Path]:
    """Return the images of one class.

    Args:
        root: the folder that holds the class folders.
        name: the class.
        folders: see `real_folders`.

    Raises:
        DataError: a link to a folder outside the class's, or to an image in another class's folder.
    """
    files = images_in(root / name)
    for file in files:
        if file.is_symlink() and _owner(Path(os.path.realpath(file)), folders) not in (None, name):
            raise DataError(
                f"the link leads to an image of another class: {os.path.realpath(file)}", str(file), HINT
            )
    return files


def _owner(path: Path, folders: Mapping[Path, str]) -> str | None:
    """Return the class whose folder holds a real path; None if none does."""
    return next((folders[folder] for folder in (path, *path.parents) if folder in folders), None)


def _refused(root: Path, name: str, other: str) -> DataError:
    one = name if (root / name).is_symlink() or not (root / other).is_symlink() else other
    holder = other if one == name else name
    return DataError(f"the link leads to the images of the class {holder!r}", str(root / one), HINT)
