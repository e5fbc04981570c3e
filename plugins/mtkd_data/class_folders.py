"""Check the links in class folders: no image may belong to two classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.reading.image_folders import list_images

HINT = "remove the link; each image belongs to one class"


def resolve_folders(root: Path, classes: Sequence[str]) -> dict[Path, str]:
    """Return the class of each resolved class folder; a class folder may be a link to another folder.

    Args:
        root: folder that contains the class folders.
        classes: names of the class folders; one that is not in ``root`` is skipped.

    Raises:
        DataError: a link to or into another class folder, or to a folder that contains ``root``.
    """
    class_of_folder: dict[Path, str] = {}
    for name in classes:
        if not (root / name).is_dir():
            continue
        real = Path(os.path.realpath(root / name))
        if real in class_of_folder:
            raise _link_error(root, name, class_of_folder[real])
        class_of_folder[real] = name
    top = Path(os.path.realpath(root))
    for real, name in class_of_folder.items():
        if top.is_relative_to(real):
            raise DataError(f"the link leads to {real}, which contains all classes", str(root / name), HINT)
        if other := _class_of(real.parent, class_of_folder):
            raise _link_error(root, name, other)
    return class_of_folder


def class_images(root: Path, name: str, folders: Mapping[Path, str]) -> list[Path]:
    """Return the images of one class.

    Args:
        root: folder that contains the class folders.
        name: class name.
        folders: class of each resolved folder, see `resolve_folders`.

    Raises:
        DataError: a link to a folder outside the class folder, or to an image in another class folder.
    """
    files = list_images(root / name)
    for file in files:
        if file.is_symlink() and _class_of(Path(os.path.realpath(file)), folders) not in (None, name):
            raise DataError(
                f"the link leads to an image of another class: {os.path.realpath(file)}", str(file), HINT
            )
    return files


def _class_of(path: Path, folders: Mapping[Path, str]) -> str | None:
    """Return the class whose folder contains a resolved path, or None."""
    return next((folders[folder] for folder in (path, *path.parents) if folder in folders), None)


def _link_error(root: Path, name: str, other: str) -> DataError:
    link = name if (root / name).is_symlink() or not (root / other).is_symlink() else other
    target = other if link == name else name
    return DataError(f"the link leads to the images of the class {target!r}", str(root / link), HINT)
