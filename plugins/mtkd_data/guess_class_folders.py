"""Recognize folders of images per class, for ``mtkd init --data``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.errors import join_first
from mtkd_cli.interfaces import DataGuess
from mtkd_cli.reading.image_folders import as_utf8, list_folders, list_images
from mtkd_data.guess_images import decoding
from mtkd_data.image_folder import SPLITS, UNLABELED

NOT_CLASSES = re.compile(
    r"(train|val|valid|validation|test)[-_]?[0-9]*"
    r"|images|masks|labels|annotations|jpegimages|segmentation(class|object)",
    re.IGNORECASE,
)
"""Names of folders in the layouts of other sources."""


def guess(path: Path, task: str) -> list[DataGuess]:
    """Return the class folders of a folder, if it has at least two."""
    if not path.is_dir():
        return []
    folders = list_folders(path)
    roots = {split: path / n for split, names in SPLITS.items() for n in names if n in folders}
    root = roots.get("train", path)
    names = list_folders(root)
    more = [path / name for name in folders if name.lower() in UNLABELED]
    images = {name: list_images(root / name) for name in names if root / name not in more}
    classes = [name for name, files in images.items() if files and not NOT_CLASSES.fullmatch(name)]
    empty = [name for name, files in images.items() if not files]
    if len(classes) < 2 or len(classes) + len(empty) < len(images):
        return []
    files = [file for name in classes for file in images[name]]
    options, why = decoding(files)
    if len(more) == 1:
        options = {"unlabeled": str(more[0]), **options}
        why["unlabeled"] = "by the folder's name; its images are not a class"
    count = f"{len(files):,} images" + (f" in {root.name}" if root != path else "")
    return [
        DataGuess(
            {"path": str(path), **options},
            f"{len(classes)} class folders with {count}: {join_first(list(map(as_utf8, classes)))}",
            ("classification",),
            why={"task": "each image has the class of its folder", **why},
            splits=tuple(split for split in roots if split != "train" and "train" in roots),
            classes=tuple(map(as_utf8, classes)),
            checks=(
                *(f"{as_utf8(root / name)} contains no images: remove it" for name in empty),
                *_nested(root, images, classes),
            ),
        )
    ]


def _nested(root: Path, images: Mapping[str, Sequence[Path]], classes: Sequence[str]) -> list[str]:
    """Return what to check if a class folder has no images of its own, but several folders of them."""
    for name in classes:
        folders = sorted({file.relative_to(root / name).parts[0] for file in images[name]})
        if len(folders) > 1 and not any((root / name / folder).is_file() for folder in folders):
            path, inner = as_utf8(root / name), join_first(list(map(as_utf8, folders)))
            return [
                f"all images in {path} lie in folders of it ({inner}): if these are the classes, "
                f"use --data {path}"
            ]
    return []
