"""Boxes in YOLO format: ``data.yaml``, folders or lists of images, and one text file of boxes per image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mtkd_cli.errors import DataError, missing_path
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.image_folders import as_utf8, file_inside, list_images
from mtkd_cli.reading.images import KINDS
from mtkd_cli.reading.text_file import read_text
from mtkd_data.box_dataset import Box, BoxedImage, to_samples, unlabeled_images
from mtkd_data.decode_options import decode_options

SPLITS = ("train", "val", "test")
IMAGES, LABELS = "images", "labels"
LINE_HINT = (
    "a line has a class number and center x, center y, width and height as shares of the sides; "
    "a confidence may follow"
)
LIST_HINT = "each line must be the path of an image below the folder of the data set"
TOLERANCE = 1e-3
"""How far a value may be outside 0 to 1, by rounding."""


class Yolo:
    """A ``data.yaml`` with ``names``, ``train`` and optionally ``path``, ``val`` and ``test``.

    A split is a folder of images, a text file that lists images, or a list of these. The boxes of
    ``images/a.jpg`` are in ``labels/a.txt``; an empty file means that the image has no boxes. A line with
    more than six numbers is a polygon; its bounding box is used. A sixth number is the confidence of a
    predicted box, which is not used.

    Args:
        path: the file ``data.yaml``.
        missing: what an image without a label file is: ``background`` (no boxes, as in YOLO) or
            ``unlabeled``.
        unlabeled: folder of unlabeled images, or None.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(self, path: str, missing: str, unlabeled: str | None, **decoding: Any) -> None:
        self.file, self.has_background = Path(path), missing == "background"
        self.unlabeled = Path(unlabeled) if unlabeled else None
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the samples of each split."""
        content = read_description(self.file)
        classes = class_names(content, self.file)
        root = root_of(content, self.file)
        images = {
            name: [
                self._boxed(path, root, classes) for path in images_of(self.file, content[name], root, name)
            ]
            for name in SPLITS
            if content.get(name)
        }
        images["train"] += unlabeled_images(self.unlabeled) if self.unlabeled else []
        splits = {name: to_samples(cache, split, self.options) for name, split in images.items()}
        return SourceData(
            classes, splits["train"], splits.get("val"), splits.get("test"), fit=self.options.fit
        )

    def _boxed(self, image: Path, root: Path, classes: tuple[str, ...]) -> BoxedImage:
        name = as_utf8(image.relative_to(root) if image.is_relative_to(root) else image.name)
        labels = label_file(image)
        if not labels.is_file():
            return BoxedImage(image, name, None, () if self.has_background else None)
        return BoxedImage(image, name, None, tuple(_boxes(labels, classes)))


def root_of(content: Mapping[str, Any], file: Path) -> Path:
    """Return the folder that the paths in ``data.yaml`` are relative to."""
    return (file.parent / str(content.get("path") or ".")).resolve()


def images_of(file: Path, given: Any, root: Path, split: str) -> list[Path]:
    """Return the images of a split.

    Args:
        file: the file ``data.yaml``, used in messages.
        given: its folder, its list of images, or a list of these.
        root: folder of the data set.
        split: ``train``, ``val`` or ``test``.
    """
    found: list[Path] = []
    for part in given if isinstance(given, list) else [given]:
        place = root / str(part)
        if place.is_dir():
            found += list_images(place)
        elif place.is_file():
            lines = read_text(place, LIST_HINT).splitlines()
            found += [
                file_inside(root, _below(line.strip(), root), f"{place}, line {number}", LIST_HINT)
                for number, line in enumerate(lines, start=1)
                if line.strip()
            ]
        else:
            raise DataError(f"no folder or list {place}", f"{file}: {split}", "paths are relative to path:")
    if not found:
        raise DataError(f"no {KINDS} images", f"{file}: {split}", "fix the path")
    repeated = next((path for path, count in Counter(found).items() if count > 1), None)
    if repeated:
        raise DataError(f"{repeated.name} is listed twice", f"{file}: {split}", "remove one of them")
    return found


def read_description(file: Path) -> Mapping[str, Any]:
    """Return the content of ``data.yaml``; all scalars are texts, so that a class may be called ``no``."""
    if not file.is_file():
        raise missing_path(file, "data.path")
    try:
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError("not a YAML file", str(file), "fix it") from error
    if not isinstance(content, dict) or not content.get("names") or not content.get("train"):
        raise DataError(
            "the keys names and train are missing", str(file), "give the data.yaml of the data set"
        )
    return content


def class_names(content: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """Return the class names in ``data.yaml``."""
    names = content["names"]
    if isinstance(names, dict):
        numbers = {str(number) for number in range(len(names))}
        if set(names) != numbers:
            raise DataError(f"names must number the classes 0 to {len(names) - 1}", str(file), "fix names:")
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError("names must be a list, or a mapping from numbers to names", str(file), "fix names:")
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"duplicate class name {repeated!r}", f"{file}: names", "rename one class")
    if content.get("nc") not in (None, str(len(names))):
        raise DataError(
            f"nc is {content['nc']}, but there are {len(names)} names", str(file), "fix one of them"
        )
    return tuple(names)


def _below(line: str, root: Path) -> str:
    """Return a path of a list relative to the root."""
    path = Path(line)
    return path.relative_to(root).as_posix() if path.is_absolute() and path.is_relative_to(root) else line


def label_file(image: Path) -> Path:
    """Return ``.../labels/a.txt`` for ``.../images/a.jpg``: the last folder ``images`` counts."""
    parts = list(image.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == IMAGES]
    if folders:
        parts[folders[-1]] = LABELS
    return Path(*parts).with_suffix(".txt")


def _boxes(file: Path, classes: tuple[str, ...]) -> list[Box]:
    """Return the boxes in a label file.

    Raises:
        DataError: a line is invalid, or a box is there twice; names the line.
    """
    seen: dict[tuple[float, ...], int] = {}
    boxes = []
    for number, line in enumerate(read_text(file, LINE_HINT).splitlines(), start=1):
        where = f"{file}, line {number}"
        if not line.strip():
            continue
        try:
            label, *values = (float(part) for part in line.split())
        except ValueError as error:
            raise DataError(f"{line.strip()[:60]!r} is not a list of numbers", where, LINE_HINT) from error
        if len(values) not in (4, 5) and (len(values) < 6 or len(values) % 2):
            raise DataError(f"{1 + len(values)} numbers", where, LINE_HINT)
        if label % 1 or not 0 <= label < len(classes):
            raise DataError(
                f"class number {label:g}; the classes are 0 to {len(classes) - 1}",
                where,
                "fix names: or the line",
            )
        if not all(-TOLERANCE <= value <= 1 + TOLERANCE for value in values):
            raise DataError("a value is not from 0 to 1", where, LINE_HINT)
        values = values[:4] if len(values) == 5 else values  # without the confidence
        key = (label, *values)
        if key in seen:
            raise DataError(f"the same box as in line {seen[key]}", where, "remove one of the lines")
        seen[key] = number
        boxes.append(Box(_corners(values), int(label), where, relative=True))
    return boxes


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    """Return the corners of a box, or of the bounding box of a polygon."""
    if len(values) > 4:
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    x, y, width, height = values
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
