"""Draw images with labeled boxes, and with the boxes of each teacher and student."""

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
MIN_SCORE = 0.3
"""Minimum score of the boxes to draw."""

COLORS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#42d4f4", "#f032e6", "#bfef45", "#fabed4")


def picture(
    inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor, classes: tuple[str, ...]
) -> Image.Image:
    """Return a grid with one row per image: its labeled boxes, then the predicted boxes of each model.

    Args:
        inputs: ``[B, C, H, W]`` uint8.
        answers: predicted boxes ``[B, M, 6]`` by model.
        target: labeled boxes ``[B, N, 5]``.
        classes: class names.
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
                color = COLORS[int(label) % len(COLORS)]
                corners = [corner[axis % 2] + position * (SIDE - 1) for axis, position in enumerate(box)]
                draw.rectangle(corners, outline=color)
                text = classes[int(label)] + (f" {score:.2f}" if name != "labels" else "")
                draw.text((corners[0] + 2, corners[1]), text, fill=color)
    return grid


def _image(pixels: NDArray[Any]) -> Image.Image:
    """Return ``[C, H, W]`` pixels as an image of `SIDE` pixels."""
    rgb = np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(rgb)).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def _boxes(rows: Tensor) -> list[list[float]]:
    """Return box, score and class of the rows to draw; labels have the score 1."""
    boxes = [row if len(row) == 6 else [*row[:4], 1.0, row[4]] for row in rows.nan_to_num(nan=-1).tolist()]
    return [row for row in boxes if row[4] >= MIN_SCORE and row[5] >= 0]
