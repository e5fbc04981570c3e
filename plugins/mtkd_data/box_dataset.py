"""Check images with boxes and convert them to samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache, Placement, Samples, place
from mtkd_cli.reading.encoded_images import ImageFiles
from mtkd_cli.reading.image_folders import as_utf8, list_images
from mtkd_cli.reading.image_reader import DecodeOptions
from mtkd_cli.reading.images import KINDS
from mtkd_data import unlabeled_ids
from mtkd_data.image_cache import read_images

VISIBLE = 0.3
"""Minimum fraction of a box that must be on the grid; otherwise the training does not use it."""

MAX_OVERHANG = 0.01
"""How far a box may extend beyond its image, relative to the side; at least two pixels. It is clipped."""


@dataclass(frozen=True)
class Box:
    """One box.

    Attributes:
        corners: x1, y1, x2, y2 in pixels, or relative to the sides.
        label: class number.
        where: annotation that it comes from, used in messages.
        relative: whether the corners are relative to the sides.
    """

    corners: tuple[float, float, float, float]
    label: int
    where: str
    relative: bool = False


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
        raise DataError(f"no {KINDS} images", where=str(folder), hint="fix data.unlabeled")
    return [
        BoxedImage(file, f"{unlabeled_ids.PREFIX}/{as_utf8(file.relative_to(folder))}", None, None)
        for file in found
    ]


def to_samples(cache: DataCache, images: Sequence[BoxedImage], options: DecodeOptions) -> Samples:
    """Return the images as samples; targets are on the grid, the labels of the frames untouched.

    Raises:
        DataError: there are no images, an image cannot be read, or a box is invalid.
    """
    if not images:
        raise DataError("no images", where="data", hint="fix the annotation file")
    for image in images:
        if not image.file.is_file():
            raise DataError(
                f"image {image.file.name} not found",
                where=str(image.file),
                hint="check the folder of images",
            )
    decoded = read_images(cache, ImageFiles([image.file for image in images], cache), options)
    readable = [images[row] for row in decoded.rows]
    # [N, M, 5] for the largest number of boxes M; NaN: unlabeled image
    max_boxes = max((len(image.boxes or ()) for image in readable), default=0)
    labels = np.full((len(readable), max(1, max_boxes), 5), np.nan, dtype=np.float32)
    targets = labels.copy()
    for index, image in enumerate(readable):
        size = int(decoded.sizes[index, 1]), int(decoded.sizes[index, 0])
        _check_size(image, size)
        if image.boxes is not None:
            labels[index] = targets[index] = 0, 0, 0, 0, -1  # padding
            for number, box in enumerate(image.boxes):
                labels[index, number] = *_relative_corners(box, size), box.label
            on_grid = boxes_on_grid(labels[index], place(size[::-1], options.grid, options.fit))
            targets[index, : len(on_grid)] = on_grid
    return decoded.to_samples(
        [image.id for image in readable], targets, [image.file for image in readable], labels=labels
    )


def boxes_on_grid(labels: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Return boxes ``[n, 5]`` relative to the grid, without those that it cuts to less than `VISIBLE`.

    Args:
        labels: ``[M, 5]``, boxes relative to the frame; a row with the class -1 is padding.
        placement: where the image lies on the grid.
    """
    import torch  # slow, and drafts of recipes read annotations without it

    boxes = labels[labels[:, 4] >= 0].astype(np.float64)
    if placement.fills_grid:
        return boxes.astype(np.float32)
    corners = placement.boxes_to_grid(torch.from_numpy(boxes[:, :4])).numpy()
    clipped = corners.clip(0, 1)
    shown, whole = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (clipped, corners))
    kept = shown >= VISIBLE * whole
    on_grid: NDArray[np.float32] = np.concatenate([clipped, boxes[:, 4:]], axis=1)[kept].astype(np.float32)
    return on_grid


def _check_size(image: BoxedImage, size: tuple[int, int]) -> None:
    """Raise if the annotation says another width and height than the upright image has."""
    if image.size is not None and image.size != size:
        actual, annotated = ("{} x {}".format(*each) for each in (size, image.size))
        raise DataError(
            f"the image has {actual} pixels, but its annotation says {annotated}",
            where=str(image.file),
            hint="fix the annotation; its boxes would be at the wrong position",
        )


def _relative_corners(box: Box, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return x1, y1, x2, y2 relative to the sides, clipped to the image.

    Raises:
        DataError: the box is not finite, has no area, or extends too far beyond the image.
    """
    width, height = size if box.relative else (1, 1)
    x1, y1, x2, y2 = (c * side for c, side in zip(box.corners, (width, height) * 2, strict=True))
    text = f"x1 {x1:g}, y1 {y1:g}, x2 {x2:g}, y2 {y2:g}"
    if not all(math.isfinite(corner) for corner in (x1, y1, x2, y2)):
        raise DataError(f"a box has NaN or infinity: {text}", box.where, "fix or remove it")
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"a box has no area: {text}", box.where, "fix or remove it")
    sides = np.array([*size, *size], dtype=np.float64)
    tolerance = np.maximum(2, MAX_OVERHANG * sides)
    corners = np.array([x1, y1, x2, y2])
    clipped = corners.clip(0, sides)
    if (np.abs(corners - clipped) > tolerance).any() or clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise DataError(
            f"a box extends outside its image of {size[0]} x {size[1]} pixels: {text}",
            box.where,
            "fix or remove it",
        )
    relative: NDArray[np.float64] = clipped / sides
    return relative
