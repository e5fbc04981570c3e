"""Draw images with labeled boxes, and with the boxes of each teacher and student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mtkd_cli.reading.class_colors import class_color
from mtkd_tasks.grid import image_of
from mtkd_tasks.panels import enlarged, panels

MIN_SCORE = 0.3
"""Minimum score of the boxes to draw."""

FONT = 12
PAD = 2
BRIGHT = 140
"""Brightness of a color above which text on it is black."""


def picture(
    inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor, classes: tuple[str, ...]
) -> Image.Image:
    """Return a block per image: its labeled boxes, then the predicted boxes of each model.

    Args:
        inputs: ``[B, C, H, W]`` uint8.
        answers: predicted boxes ``[B, M, 6]`` by model.
        target: labeled boxes ``[B, N, 5]``.
        classes: class names.
    """
    by_model = {"label": target, **answers}
    images = [enlarged(image_of(pixels)).convert("RGB") for pixels in inputs]
    samples = [
        [_with_boxes(image, _boxes(rows[row]), classes, name != "label") for name, rows in by_model.items()]
        for row, image in enumerate(images)
    ]
    shown = {int(box[5]) for rows in by_model.values() for row in rows for box in _boxes(row)}
    colors = {name: class_color(number + 1) for number, name in enumerate(classes) if number in shown}
    return panels(list(by_model), samples, colors)


def _with_boxes(
    image: Image.Image, boxes: list[list[float]], classes: tuple[str, ...], scored: bool
) -> Image.Image:
    """Return a copy of an image with boxes in the colors of their classes, and their names outside."""
    drawn = image.copy()
    draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(FONT)
    sides = (image.width - 1, image.height - 1)
    placed = [(*(box[axis] * sides[axis % 2] for axis in range(4)), *box[4:]) for box in boxes]
    for x1, y1, x2, y2, _, label in placed:
        corners = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        draw.rectangle(corners, None, class_color(int(label) + 1))
    for x1, y1, _, y2, score, label in placed:  # over all boxes
        text = classes[int(label)] + (f" {score:.2f}" if scored else "")
        width, height = font.getlength(text) + 2 * PAD, FONT + 2 * PAD
        left = max(0, min(x1, image.width - width))
        top = y1 - height if y1 >= height else min(y2 + 1, image.height - height)
        color = class_color(int(label) + 1)
        draw.rectangle((left, top, left + width, top + height), color)
        dark = sum(part * share for part, share in zip(color, (0.3, 0.59, 0.11), strict=True)) > BRIGHT
        draw.text((left + PAD, top), text, "black" if dark else "white", font)
    return drawn


def _boxes(rows: Tensor) -> list[list[float]]:
    """Return box, score and class of the rows to draw; labels have the score 1."""
    boxes = [row if len(row) == 6 else [*row[:4], 1.0, row[4]] for row in rows.nan_to_num(nan=-1).tolist()]
    return [row for row in boxes if row[4] >= MIN_SCORE and row[5] >= 0]
