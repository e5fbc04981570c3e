"""Draw images with labelled boxes, and beside them what each teacher and student answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

SIDE = 128
"""Side of one image in the picture, in pixels."""

TITLE = 14
SHOWN = 0.3
"""Score from which a box is drawn."""

COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#42d4f4", "#f032e6", "#bfef45", "#fabed4")


def picture(
    inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor, classes: tuple[str, ...]
) -> Image.Image:
    """Return a grid, a row for each image: its labelled boxes, then everyone's boxes of score 0.3 or more.

    Args:
        inputs: ``[B, C, H, W]`` uint8.
        answers: ``[B, M, 6]`` by who gave them.
        target: ``[B, N, 5]``.
        classes: their names.
    """
    columns = {"labels": target, **answers}
    grid = Image.new("RGB", (len(columns) * SIDE, TITLE + len(inputs) * SIDE), "white")
    draw = ImageDraw.Draw(grid)
    for column, (name, rows) in enumerate(columns.items()):
        draw.text((column * SIDE + 2, 1), name[: SIDE // 6], fill="black")
        for row, pixels in enumerate(inputs):
            corner = (column * SIDE, TITLE + row * SIDE)
            grid.paste(_image(pixels), corner)
            for *box, score, label in _boxes(rows[row]):
                colour = COLOURS[int(label) % len(COLOURS)]
                places = [corner[axis % 2] + share * (SIDE - 1) for axis, share in enumerate(box)]
                draw.rectangle(places, outline=colour)
                text = classes[int(label)] + (f" {score:.2f}" if name != "labels" else "")
                draw.text((places[0] + 2, places[1]), text, fill=colour)
    return grid


def _image(pixels: NDArray[Any]) -> Image.Image:
    shown = np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(shown)).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def _boxes(rows: Tensor) -> list[list[float]]:
    """Return box, score and class of what is drawn; a label has the score 1."""
    boxes = [row if len(row) == 6 else [*row[:4], 1.0, row[4]] for row in rows.nan_to_num(nan=-1).tolist()]
    return [row for row in boxes if row[4] >= SHOWN and row[5] >= 0]
