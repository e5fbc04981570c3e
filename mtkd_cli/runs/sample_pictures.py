"""Draw samples in rows: the image, and where answers are maps or boxes also the label and the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Dataset
from mtkd_cli.interfaces import Prediction
from mtkd_cli.reading.class_colors import class_color, mask_image
from mtkd_cli.runs.gallery_text import MIN_SCORE

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 128
"""Maximum side of a picture without boxes, in pixels; smaller images keep their size."""
BOX_SIDE = 160
"""Side of a picture with boxes, in pixels."""
DRAWN = ("student", "ensemble")
"""Models whose maps or boxes are drawn."""

MAX_COLORS = 40
"""Maximum number of classes whose colors are listed."""

Box = tuple[int, float, float, float, float]
"""Class number, and x1, y1, x2, y2 as shares of the sides."""


@dataclass(frozen=True)
class Sheet:
    """Pictures of samples.

    Attributes:
        image: square cells, one row for each sample.
        columns: names of the columns.
        colors: color of each class, ``#rrggbb``; empty if no classes are drawn.
    """

    image: Image
    columns: tuple[str, ...]
    colors: Mapping[str, str]


def sheet_of(
    data: Dataset, rows: NDArray[np.int64], predictions: Mapping[str, Sequence[Prediction]]
) -> Sheet | None:
    """Return pictures of samples; None if there are no samples, or if they are rows of a table.

    Args:
        data: the data.
        rows: rows of the test split, ``[B]``.
        predictions: predictions on these samples, by model.
    """
    from PIL import Image

    samples = data.test.samples
    inputs = samples.read(rows)
    if inputs.ndim != 4 or not len(rows):
        return None
    classes = dict(enumerate(data.classes[:MAX_COLORS]))
    colors: dict[str, str] = {}
    columns = {"image": [_image(pixels) for pixels in inputs]}
    targets = samples.targets[rows]
    if predictions["student"][0].boxes is not None and targets.ndim == 3:
        images = [image.resize((BOX_SIDE, BOX_SIDE), Image.Resampling.NEAREST) for image in columns["image"]]
        boxes = {"label": [_labeled_boxes(target) for target in targets]}
        boxes |= {who: [_boxes(p, data.classes) for p in predictions[who]] for who in DRAWN}
        columns = {who: list(map(_with_boxes, images, each)) for who, each in boxes.items()}
        colors = {name: _hex(number + 1) for number, name in classes.items()}
    elif predictions["student"][0].mask is not None and targets.ndim == 3:
        columns["label"] = [_mask(target) for target in targets]
        columns |= {who: [_mask(p.mask) for p in predictions[who]] for who in DRAWN}
        columns = {who: list(map(_shrink_to_fit, each)) for who, each in columns.items()}
        colors = {name: _hex(number) for number, name in classes.items()}
    else:
        columns["image"] = list(map(_shrink_to_fit, columns["image"]))
    side = max(columns[next(iter(columns))][0].size)
    sheet = Image.new("RGB", (len(columns) * side, len(rows) * side))
    for x, column in enumerate(columns.values()):
        for y, cell in enumerate(column):
            sheet.paste(cell.resize((side, side), Image.Resampling.NEAREST), (x * side, y * side))
    return Sheet(sheet, tuple(columns), colors)


def _hex(number: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*class_color(number))


def _image(pixels: NDArray[Any]) -> Image:
    """Return ``[C, H, W]`` uint8 pixels as a color image."""
    from PIL import Image

    three = pixels[:3] if len(pixels) >= 3 else np.repeat(pixels[:1], 3, axis=0)
    return Image.fromarray(np.ascontiguousarray(three.transpose(1, 2, 0)))


def _shrink_to_fit(image: Image) -> Image:
    """Return an image of at most `MAX_SIDE` pixels a side."""
    from PIL import Image

    if image.width <= MAX_SIDE:
        return image
    return image.resize((MAX_SIDE, MAX_SIDE), Image.Resampling.BILINEAR)


def _mask(mask: NDArray[Any] | None) -> Image:
    """Return a mask ``[H, W]`` in the colors of the classes, at most `MAX_SIDE` pixels a side."""
    from PIL import Image

    image = mask_image(np.zeros((1, 1)) if mask is None else mask)
    side = min(image.width, MAX_SIDE)
    return image.resize((side, side), Image.Resampling.NEAREST)


def _labeled_boxes(target: NDArray[Any]) -> list[Box]:
    return [(int(row[4]), *map(float, row[:4])) for row in target if row[4] >= 0]  # type: ignore[misc]


def _boxes(prediction: Prediction, classes: Sequence[str]) -> list[Box]:
    found = prediction.boxes or ()
    return [(classes.index(name), *corners) for name, score, *corners in found if score >= MIN_SCORE]  # type: ignore[misc]


def _with_boxes(image: Image, boxes: Sequence[Box]) -> Image:
    """Return a copy of an image with boxes in the colors of their classes, 2 pixels wide."""
    from PIL import ImageDraw

    drawn = image.copy()
    draw = ImageDraw.Draw(drawn)
    for number, *corners in boxes:
        ends = [round(corner * (image.width - 1)) for corner in corners]
        x, y = sorted(ends[::2]), sorted(ends[1::2])
        draw.rectangle((x[0], y[0], x[1], y[1]), outline=class_color(number + 1), width=2)
    return drawn
