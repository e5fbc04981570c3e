"""Images with boxes: what annotation files say, checked, as samples."""

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
from mtkd_cli.reading.image_folders import images_in
from mtkd_cli.reading.images import FORMATS
from mtkd_data.image_cache import kept

ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)
"""The EXIF tag of how an image is turned, and its values by which width and height change places."""

BEYOND = 0.01
"""How far a box may reach beyond its image, as a share of the side; it is cut off. Two pixels always may."""


@dataclass(frozen=True)
class Box:
    """One box in pixels: x1, y1, x2, y2; ``where`` names it in messages."""

    corners: tuple[float, float, float, float]
    label: int
    where: str


@dataclass(frozen=True)
class Boxed:
    """One image file, its size in pixels as its annotation has it, and its boxes; None: it has no labels."""

    file: Path
    id: str
    size: tuple[int, int] | None
    boxes: tuple[Box, ...] | None


@dataclass(frozen=True)
class Form:
    """What images are brought to: side in pixels, channels; and threads that decode."""

    size: int
    channels: int
    workers: int


def unlabelled(folder: Path) -> list[Boxed]:
    """Return the images of a folder, at any depth, as images without labels."""
    if not folder.is_dir():
        raise DataError(
            f"no folder {folder}", "data.unlabelled", "a path is relative to where mtkd is started"
        )
    found = images_in(folder)
    if not found:
        raise DataError("no PNG or JPEG images", where=str(folder), hint="mend data.unlabelled")
    return [Boxed(file, f"unlabelled/{file.relative_to(folder).as_posix()}", None, None) for file in found]


def samples_of(cache: DataCache, images: Sequence[Boxed], form: Form) -> Samples:
    """Return the images as samples: each stretched to a square, boxes as shares of its sides.

    Raises:
        DataError: an image or a box that is none; it is named.
    """
    if not images:
        raise DataError("there are no images", where="data", hint="mend the annotation file")
    most = max((len(image.boxes or ()) for image in images), default=0)
    targets = np.full((len(images), max(1, most), 5), np.nan, dtype=np.float32)
    for row, image in zip(targets, images, strict=True):
        size = _size(image)
        if image.boxes is not None:
            row[:] = 0, 0, 0, 0, -1
            for place, box in enumerate(image.boxes):
                row[place] = *_shares(box, size), box.label
    files = [image.file for image in images]
    pixels, _ = kept(cache, files, form.size, form.channels, form.workers, skip=False, fit="stretch")
    return Samples(tuple(image.id for image in images), pixels, targets)


def _size(image: Boxed) -> tuple[int, int]:
    """Return width and height of the image, upright; boxes are counted there."""
    try:
        with Image.open(image.file, formats=FORMATS) as opened:
            size = opened.size[::-1] if opened.getexif().get(ORIENTATION) in LYING else opened.size
    except FileNotFoundError as error:
        raise DataError(
            f"the image {image.file.name} is not there",
            where=str(image.file),
            hint="mend the folder of images",
        ) from error
    except OSError as error:
        raise DataError(
            f"the image cannot be read: {error}", where=str(image.file), hint="remove or replace it"
        ) from error
    if image.size is not None and image.size != size:
        own, said = ("{} x {}".format(*sides) for sides in (size, image.size))
        raise DataError(
            f"the image has {own} pixels, its annotation says {said}",
            where=str(image.file),
            hint="mend the annotation: its boxes would be in the wrong place",
        )
    return size


def _shares(box: Box, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the box as shares of the sides, cut off at the border."""
    x1, y1, x2, y2 = box.corners
    shown = f"x1 {x1:g}, y1 {y1:g}, x2 {x2:g}, y2 {y2:g}"
    if not all(math.isfinite(corner) for corner in box.corners):
        raise DataError(f"a box has NaN or infinity: {shown}", box.where, "mend or remove it")
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"a box has no area: {shown}", box.where, "mend or remove it")
    sides = np.array([*size, *size], dtype=np.float64)
    room = np.maximum(2, BEYOND * sides)
    corners = np.array(box.corners)
    cut = corners.clip(0, sides)
    if (np.abs(corners - cut) > room).any() or cut[2] <= cut[0] or cut[3] <= cut[1]:
        raise DataError(
            f"a box reaches outside its image of {size[0]} x {size[1]} pixels: {shown}",
            box.where,
            "mend or remove it",
        )
    shares: NDArray[np.float64] = cut / sides
    return shares
