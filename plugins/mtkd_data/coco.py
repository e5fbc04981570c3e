"""Boxes in COCO's format: one JSON file with images, categories and annotations, and a folder of images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.image_folders import file_inside
from mtkd_data.box_dataset import Box, Boxed, Form, samples_of, unlabelled

NAMES = "file_name is a path relative to the folder of images; data.images names that folder"
PARTS = ("images", "categories", "annotations")


class Coco:
    """COCO annotations of the training images, and of validation and test images where these are apart.

    An image without annotations is one on which there is nothing. Crowds (``iscrowd``) are left out.
    Classes are the categories of the training file, by their ids.

    Args:
        annotations: the JSON file.
        images: folder of its images.
        val_annotations: JSON file of the validation images; None: they are split off.
        test_annotations: the same for the test.
        val_images: folder of the validation images; None: that of the training images.
        test_images: the same for the test.
        unlabelled: folder of images without labels; None: none.
        size: side that images are stretched to, in pixels.
        channels: 3 RGB, 1 grey.
        workers: threads that decode; no effect on the result.
    """

    def __init__(
        self,
        annotations: str,
        images: str,
        val_annotations: str | None,
        test_annotations: str | None,
        val_images: str | None,
        test_images: str | None,
        unlabelled: str | None,
        size: int,
        channels: int,
        workers: int,
    ) -> None:
        self.files = {
            name: (Path(file), Path(folder or images))
            for name, file, folder in (
                ("train", annotations, images),
                ("val", val_annotations, val_images),
                ("test", test_annotations, test_images),
            )
            if file is not None
        }
        self.unlabelled = Path(unlabelled) if unlabelled else None
        self.form = Form(size, channels, workers)

    def load(self, cache: DataCache) -> SourceData:
        """Return the samples of each file."""
        contents = {name: _content(file) for name, (file, _) in self.files.items()}
        classes = tuple(_categories(contents["train"], self.files["train"][0]).values())
        for name in classes:
            if classes.count(name) > 1:
                raise DataError(
                    f"two categories are called {name!r}", str(self.files["train"][0]), "rename one"
                )
        found = {
            name: _images(contents[name], file, folder, classes)
            for name, (file, folder) in self.files.items()
        }
        found["train"] += unlabelled(self.unlabelled) if self.unlabelled else []
        splits = {name: samples_of(cache, images, self.form) for name, images in found.items()}
        return SourceData(classes, splits["train"], splits.get("val"), splits.get("test"), fit="stretch")


def _content(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"the annotations cannot be read: {error}",
            where=str(file),
            hint="give a JSON file in COCO's format",
        ) from error
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in PARTS):
        raise DataError(
            "this is no COCO file: it needs lists of images, categories and annotations",
            where=str(file),
            hint="give an instances file",
        )
    return content


def _categories(content: Mapping[str, Any], file: Path) -> dict[Any, str]:
    """Return the names of the categories by their ids, in the ids' order."""
    try:
        return {c["id"]: str(c["name"]) for c in sorted(content["categories"], key=lambda c: int(c["id"]))}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"a category has no id and name: {error}", str(file), "mend categories") from error


def _images(content: Mapping[str, Any], file: Path, folder: Path, classes: tuple[str, ...]) -> list[Boxed]:
    """Return the images of a file with their boxes.

    Raises:
        DataError: an annotation of no image or no known category, or without a box, or an image outside the
            folder; it is named.
    """
    names = _categories(content, file)
    labels = {identity: classes.index(name) for identity, name in names.items() if name in classes}
    boxes: dict[Any, list[Box]] = {}
    entries: dict[Any, tuple[str, tuple[int, int] | None]] = {}
    try:
        for entry in content["images"]:
            size = (int(entry["width"]), int(entry["height"])) if "width" in entry else None
            entries[entry["id"]] = (str(entry["file_name"]), size)
            boxes[entry["id"]] = []
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"an image has no {error}", str(file), "mend images") from error
    for number, annotation in enumerate(content["annotations"]):
        where = f"{file}: annotation {_given(annotation, 'id', number)}"
        image = _given(annotation, "image_id")
        if image not in entries:
            raise DataError(
                f"it names the image {image!r}, which is none of images", where, "mend or remove it"
            )
        where += f", image {entries[image][0]}"
        label = labels.get(_given(annotation, "category_id"))
        if label is None:
            raise DataError(
                f"it has the category {_given(annotation, 'category_id')!r}, which is none of the classes",
                where,
                f"the classes are the categories of the training file: {', '.join(classes[:5])}",
            )
        if not annotation.get("iscrowd"):
            boxes[image].append(Box(_corners(annotation, where), label, where))
    found = []
    for identity, (name, size) in entries.items():
        image_file = file_inside(folder, name, f"{file}: image {identity}", NAMES)
        found.append(Boxed(image_file, f"{folder.name}/{name}", size, tuple(boxes[identity])))
    return found


def _given(annotation: Any, key: str, default: Any = None) -> Any:
    value = annotation.get(key, default) if isinstance(annotation, dict) else default
    return value if isinstance(value, str | int) else default


def _corners(annotation: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of COCO's x, y, width, height."""
    try:
        x, y, width, height = (float(number) for number in annotation["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("it has no bbox of x, y, width, height", where, "mend or remove it") from error
    return x, y, x + width, y + height
