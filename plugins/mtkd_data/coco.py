"""Boxes in COCO format: one JSON file with images, categories and annotations, and a folder of images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.image_folders import file_inside
from mtkd_cli.reading.text_file import parse_json, read_text
from mtkd_data.box_dataset import Box, BoxedImage, to_samples, unlabeled_images
from mtkd_data.decode_options import decode_options

HINT = "use a JSON file in COCO format, in UTF-8"
FILE_NAME_HINT = "file_name must be a path relative to the folder of images, data.images"
SECTIONS = ("images", "categories", "annotations")


class Coco:
    """COCO annotations of the training images, and optionally of validation and test images.

    An image without annotations counts as labeled: it has no boxes. Crowds (``iscrowd``) are left out.
    The classes are the categories of the training file, sorted by id.

    Args:
        annotations: JSON file with the training annotations.
        images: folder of the training images.
        val_annotations: JSON file with the validation annotations; None splits them off the training set.
        test_annotations: JSON file with the test annotations; None splits them off the training set.
        val_images: folder of the validation images; None: ``images``.
        test_images: folder of the test images; None: ``images``.
        unlabeled: folder of unlabeled images, or None.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self,
        annotations: str,
        images: str,
        val_annotations: str | None,
        test_annotations: str | None,
        val_images: str | None,
        test_images: str | None,
        unlabeled: str | None,
        **decoding: Any,
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
        self.unlabeled = Path(unlabeled) if unlabeled else None
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the training samples, and validation and test samples if they have files."""
        contents = {name: _read_json(file) for name, (file, _) in self.files.items()}
        classes = tuple(_category_names(contents["train"], self.files["train"][0]).values())
        for name in classes:
            if classes.count(name) > 1:
                raise DataError(
                    f"duplicate category name {name!r}", str(self.files["train"][0]), "rename one category"
                )
        images = {
            name: _parse_images(contents[name], file, folder, classes)
            for name, (file, folder) in self.files.items()
        }
        if _share_ids(images):  # folders with the same names: train/images and val/images
            images = {
                name: [replace(image, id=f"{name}/{image.id}") for image in split]
                for name, split in images.items()
            }
        images["train"] += unlabeled_images(self.unlabeled) if self.unlabeled else []
        splits = {name: to_samples(cache, split, self.options) for name, split in images.items()}
        return SourceData(
            classes, splits["train"], splits.get("val"), splits.get("test"), fit=self.options.fit
        )


def _share_ids(images: Mapping[str, Sequence[BoxedImage]]) -> bool:
    """Whether images of two splits have the same id, but are different files."""
    files = [{image.id: image.file for image in split} for split in images.values()]
    return any(
        one[shared] != other[shared]
        for one, other in itertools.combinations(files, 2)
        for shared in one.keys() & other.keys()
    )


def _read_json(file: Path) -> Mapping[str, Any]:
    content = parse_json(read_text(file, HINT), str(file), HINT)
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in SECTIONS):
        raise DataError(
            "not a COCO file: it needs the lists images, categories and annotations",
            where=str(file),
            hint="use an instances file",
        )
    return content


def _category_names(content: Mapping[str, Any], file: Path) -> dict[Any, str]:
    """Return the category names by id, sorted by id."""
    try:
        ordered = sorted(content["categories"], key=lambda category: int(category["id"]))
        names = {category["id"]: str(category["name"]) for category in ordered}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"a category has no valid id and name: {error}", str(file), "fix categories"
        ) from error
    for one, following in itertools.pairwise(ordered):
        if int(one["id"]) == int(following["id"]):
            raise DataError(
                f"the categories {one['name']!r} and {following['name']!r} have the same id {one['id']}",
                str(file),
                "give each category its own id",
            )
    return names


def _parse_images(
    content: Mapping[str, Any], file: Path, folder: Path, classes: tuple[str, ...]
) -> list[BoxedImage]:
    """Return the images of an annotation file with their boxes.

    Raises:
        DataError: an annotation with an unknown image, an unknown category or no box, or an image outside
            the folder.
    """
    names = _category_names(content, file)
    labels = {identity: classes.index(name) for identity, name in names.items() if name in classes}
    boxes: dict[Any, list[Box]] = {}
    entries: dict[Any, tuple[str, tuple[int, int] | None]] = {}
    try:
        for entry in content["images"]:
            size = (int(entry["width"]), int(entry["height"])) if "width" in entry else None
            if entry["id"] in entries:
                raise DataError(
                    f"two images have the same id {entry['id']}: {entries[entry['id']][0]!r} and "
                    f"{entry['file_name']!r}",
                    str(file),
                    "give each image its own id",
                )
            entries[entry["id"]] = (str(entry["file_name"]), size)
            boxes[entry["id"]] = []
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"an image has no valid {error}", str(file), "fix images") from error
    for number, annotation in enumerate(content["annotations"]):
        where = f"{file}: annotation {_scalar(annotation, 'id', number)}"
        image = _scalar(annotation, "image_id")
        if image not in entries:
            raise DataError(f"unknown image_id {image!r}", where, "fix or remove the annotation")
        where += f", image {entries[image][0]}"
        label = labels.get(_scalar(annotation, "category_id"))
        if label is None:
            raise DataError(
                f"category {_scalar(annotation, 'category_id')!r} is not one of the classes",
                where,
                f"the classes are the categories of the training file: {', '.join(classes[:5])}",
            )
        if not annotation.get("iscrowd"):
            boxes[image].append(Box(_corners(annotation, where), label, where))
    if not any(boxes.values()):
        raise DataError(
            "no image has a box", str(file), "use a file with annotations; each split needs at least one box"
        )
    parsed = []
    for identity, (name, size) in entries.items():
        image_file = file_inside(folder, name, f"{file}: image {identity}", FILE_NAME_HINT)
        parsed.append(BoxedImage(image_file, f"{folder.name}/{name}", size, tuple(boxes[identity])))
    return parsed


def _scalar(annotation: Any, key: str, default: Any = None) -> Any:
    """Return a text or number of an annotation; ``default`` if it has none."""
    value = annotation.get(key, default) if isinstance(annotation, dict) else default
    return value if isinstance(value, str | int) else default


def _corners(annotation: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 from COCO's x, y, width, height."""
    try:
        x, y, width, height = (float(number) for number in annotation["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            "bbox is not a list of x, y, width, height", where, "fix or remove the annotation"
        ) from error
    return x, y, x + width, y + height
