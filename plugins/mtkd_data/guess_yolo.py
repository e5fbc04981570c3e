"""Recognize boxes in YOLO format, for ``mtkd init --data``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, join_first
from mtkd_cli.interfaces import DataGuess
from mtkd_data.guess_images import decoding
from mtkd_data.yolo import IMAGES, LABELS, class_names, images_of, label_file, read_description, root_of

LARGEST = 320
ENDINGS = (".yaml", ".yml")
FEW = 0.5
"""Share of images with a label file below which the others are more likely unlabeled than without objects."""


def guess(path: Path, task: str) -> list[DataGuess]:
    """Return the boxes of a ``data.yaml``, or of the only such file in a folder.

    Raises:
        DataError: a folder has images and labels, but no ``data.yaml``.
    """
    files = [path] if path.is_file() else sorted(p for p in path.glob("*.y*ml") if p.suffix in ENDINGS)
    found = {file: content for file in files if (content := _content(file)) is not None}
    if len(found) != 1:
        if path.is_dir() and not found and list((path / LABELS).rglob("*.txt")) and (path / IMAGES).is_dir():
            raise DataError(f"{path} has images/ and labels/, but no data.yaml with names: and train:")
        return []
    ((file, content),) = found.items()
    classes, root = class_names(content, file), root_of(content, file)
    splits = {
        name: images_of(file, content[name], root, name)
        for name in ("train", "val", "test")
        if content.get(name)
    }
    images = splits["train"]
    unlabeled = sum(not label_file(image).is_file() for image in images)
    options: dict[str, Any] = {"path": str(file)}
    why = {"task": "the labels are boxes"}
    checks: tuple[str, ...] = ()
    if unlabeled:
        missing = "background" if unlabeled <= FEW * len(images) else "unlabeled"
        meaning = "no objects, as in YOLO" if missing == "background" else "no labels, as most have none"
        other = "unlabeled" if missing == "background" else "background"
        options["missing"] = missing
        why["missing"] = f"images without a label file have {meaning}"
        checks = (
            f"{unlabeled:,} of {len(images):,} training images have no label file; missing: {missing} takes "
            f"them for images with {meaning.partition(',')[0]}; if that is wrong, set missing: {other}",
        )
    shape, reasons = decoding(images, LARGEST)
    return [
        DataGuess(
            {**options, **shape},
            f"{file.name} names {len(classes)} classes, and {len(images):,} training images: "
            f"{join_first(classes)}",
            ("detection",),
            why={**why, **reasons},
            splits=tuple(name for name in splits if name != "train"),
            checks=checks,
        )
    ]


def _content(file: Path) -> Any:
    """Return the content of a ``data.yaml``; None for other files."""
    if file.suffix not in ENDINGS:
        return None
    try:
        return read_description(file)
    except DataError:
        return None
