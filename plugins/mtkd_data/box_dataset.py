"""Check images with boxes and convert them to samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, Samples
from mtkd_cli.reading.image_folders import list_images
from mtkd_cli.reading.images import FORMATS
from mtkd_data import unlabeled_ids
from mtkd_data.image_cache import cached_images

ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
"""EXIF tag of the orientation, and its values that swap width and height."""

MAX_OVERHANG = 0.01
"""How far a box may extend beyond its image, relative to the side; at least two pixels. It is clipped."""


@dataclass(frozen=True)
class Box:
    """One box.

    Attributes:
        corners: x1, y1, x2, y2 in pixels.
        label: class number.
        where: annotation that it comes from, used in messages.
    """

    corners: tuple[float, float, float, float]
    label: int
    where: str


@dataclass(frozen=True)
class BoxedImage:
    """One image file and its boxes.

    Attributes:
        file: image file.
        id: sample id.
        size: width and height in pixels according to the annotation; None if it has no size.
        boxes: the labeled boxes; None if the image is unlabeled.
    """

    file: Path
    id: str
    size: tuple[int, int] | None
    boxes: tuple[Box, ...] | None


@dataclass(frozen=True)
class DecodeOptions:
    """Side of the decoded images in pixels, number of channels, and number of decoding threads."""

    size: int
    channels: int
    workers: int


def unlabeled_images(folder: Path) -> list[BoxedImage]:
    """Return the images in a folder, at any depth, as unlabeled images.

    Raises:
        DataError: no such folder, or it contains no image.
    """
    if not folder.is_dir():
        raise DataError(
            f"no folder {folder}", "data.unlabeled", "paths are relative to the working directory"
        )
    found = list_images(folder)
    if not found:
        raise DataError("no PNG or JPEG images", where=str(folder), hint="fix data.unlabeled")
    return [
        BoxedImage(file, f"{unlabeled_ids.PREFIX}/{file.relative_to(folder).as_posix()}", None, None)
        for file in found
    ]


def to_samples(cache: DataCache, images: Sequence[BoxedImage], options: DecodeOptions) -> Samples:
    """Return the images as samples: stretched to a square, with boxes relative to the sides.

    Raises:
        DataError: there are no images, an image cannot be read, or a box is invalid.
    """
    if not images:
        raise DataError("no images", where="data", hint="fix the annotation file")
    # [N, M, 5] for the largest number of boxes M; NaN: unlabeled image
    max_boxes = max((len(image.boxes or ()) for image in images), default=0)
    targets = np.full((len(images), max(1, max_boxes), 5), np.nan, dtype=np.float32)
    for row, image in zip(targets, images, strict=True):
        size = _upright_size(image)
        if image.boxes is not None:
            row[:] = 0, 0, 0, 0, -1  # padding
            for index, box in enumerate(image.boxes):
                row[index] = *_relative_corners(box, size), box.label
    files = [image.file for image in images]
    pixels, _ = cached_images(
        cache, files, options.size, options.channels, options.workers, skip=False, fit="stretch"
    )
    return Samples(tuple(image.id for image in images), pixels, targets, files=tuple(files))


def _upright_size(image: BoxedImage) -> tuple[int, int]:
    """Return width and height of the upright image, which its boxes refer to."""
    try:
        with Image.open(image.file, formats=FORMATS) as opened:
            size = opened.size[::-1] if opened.getexif().get(ORIENTATION) in SIDEWAYS else opened.size
    except FileNotFoundError as error:
        raise DataError(
            f"image {image.file.name} not found",
            where=str(image.file),
            hint="check the folder of images",
        ) from error
    except OSError as error:
        raise DataError(
            f"the image cannot be read: {error}", where=str(image.file), hint="remove or replace it"
        ) from error
    if image.size is not None and image.size != size:
        actual, annotated = ("{} x {}".format(*sides) for sides in (size, image.size))
        raise DataError(
            f"the image has {actual} pixels, but its annotation says {annotated}",
            where=str(image.file),
            hint="fix the annotation; its boxes would be at the wrong position",
        )
    return size


def _relative_corners(box: Box, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return x1, y1, x2, y2 relative to the sides, clipped to the image.

    Raises:
        DataError: the box is not finite, has no area, or extends too far beyond the image.
    """
    x1, y1, x2, y2 = box.corners
    text = f"x1 {x1:g}, y1 {y1:g}, x2 {x2:g}, y2 {y2:g}"
    if not all(math.isfinite(corner) for corner in box.corners):
        raise DataError(f"a box has NaN or infinity: {text}", box.where, "fix or remove it")
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"a box has no area: {text}", box.where, "fix or remove it")
    sides = np.array([*size, *size], dtype=np.float64)
    tolerance = np.maximum(2, MAX_OVERHANG * sides)
    corners = np.array(box.corners)
    clipped = corners.clip(0, sides)
    if (np.abs(corners - clipped) > tolerance).any() or clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise DataError(
            f"a box extends outside its image of {size[0]} x {size[1]} pixels: {text}",
            box.where,
            "fix or remove it",
        )
    relative: NDArray[np.float64] = clipped / sides
    return relative
