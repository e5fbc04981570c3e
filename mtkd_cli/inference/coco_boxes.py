"""Predicted boxes in COCO format: a file of images and annotations, or results for an annotation file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, missing_path
from mtkd_cli.inference.formats import boxes_in_pixels
from mtkd_cli.inference.predict import Answered

HINT = "give the annotation file that the results are evaluated with"


@dataclass(frozen=True)
class CocoIds:
    """The ids in an annotation file.

    Attributes:
        file: the annotation file.
        images: id of each image by its name: ``file_name``, and its last part if no other image has it.
        categories: id of each category by its name.
    """

    file: Path
    images: Mapping[str, int | str]
    categories: Mapping[str, int]


def coco(answers: Iterable[Answered], classes: Sequence[str], threshold: float) -> dict[str, Any]:
    """Return boxes in COCO format: images, categories, and annotations with scores."""
    found: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
    }
    numbers = {name: number for number, name in enumerate(classes, 1)}
    for image, answered in enumerate((a for a in answers if a.prediction), 1):
        width, height = answered.size
        found["images"].append({"id": image, "file_name": answered.file, "width": width, "height": height})
        for name, score, corners in boxes_in_pixels(answered, threshold):
            box = _to_xywh(corners)
            about = {"image_id": image, "category_id": numbers[name], "bbox": box, "score": score}
            found["annotations"].append(
                {"id": len(found["annotations"]) + 1, **about, "area": box[2] * box[3], "iscrowd": 0}
            )
    return found


def coco_results(answers: Iterable[Answered], ids: CocoIds, threshold: float) -> list[dict[str, Any]]:
    """Return boxes as COCO results, which ``COCO.loadRes`` reads; classes without a category are left out.

    Raises:
        DataError: an image is not in the annotation file.
    """
    found = []
    for answered in answers:
        path = Path(answered.file)
        # the longest part of the path that is an image's name: b/c.jpg before c.jpg
        names = ("/".join(path.parts[start:]) for start in range(len(path.parts)))
        name = next((name for name in names if name in ids.images), None)
        if name is None:
            raise DataError(
                f"no image {path.name}", f"{ids.file}: images", "each image needs an entry, or a unique name"
            )
        for category, score, corners in boxes_in_pixels(answered, threshold):
            if category in ids.categories:
                about = {"image_id": ids.images[name], "category_id": ids.categories[category]}
                found.append({**about, "bbox": _to_xywh(corners), "score": score})
    return found


def read_ids(file: Path) -> CocoIds:
    """Return the ids in an annotation file.

    Raises:
        DataError: there is no such file, or it is not an annotation file.
    """
    if not file.is_file():
        raise missing_path(file, "--annotations")
    try:
        content = json.loads(file.read_bytes())
        images = {str(image["file_name"]): image["id"] for image in content["images"]}
        categories = {str(category["name"]): int(category["id"]) for category in content["categories"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError("not a COCO annotation file", str(file), HINT) from error
    counts = Counter(Path(name).name for name in images)
    unique = {Path(name).name: identity for name, identity in images.items() if counts[Path(name).name] == 1}
    return CocoIds(file, unique | images, categories)


def _to_xywh(corners: Sequence[float]) -> list[float]:
    """Return the upper left corner, width and height."""
    x1, y1, x2, y2 = corners
    return [x1, y1, x2 - x1, y2 - y1]
