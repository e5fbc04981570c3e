"""A picture of a regression: answers against labels, and below them what is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE, MARGIN, GAP = 220, 46, 22
"""Of a panel, in pixels: its side, the room for numbers, the room between panels."""

MOST_TARGETS = 4
INK, LINE, DOT = (30, 30, 30), (200, 60, 40), (40, 90, 170)


def scatter(
    answers: Mapping[str, NDArray[Any]], labels: NDArray[Any], names: Sequence[str]
) -> Image.Image | None:
    """Return a column of panels for each who answered, two rows of them a target; None without labels.

    Args:
        answers: ``[B, T]`` by who gave them.
        labels: ``[B, T]``, NaN where there is none.
        names: of the targets.
    """
    shown = [t for t in range(min(len(names), MOST_TARGETS)) if np.isfinite(labels[:, t]).any()]
    if not shown or not answers:
        return None
    step = SIDE + MARGIN + GAP
    image = Image.new("RGB", (len(answers) * step + GAP, 2 * len(shown) * step + GAP), "white")
    draw = ImageDraw.Draw(image)
    for row, target in enumerate(shown):
        there = np.isfinite(labels[:, target])
        true = labels[there, target].astype(np.float64)
        given = {who: a[there, target].astype(np.float64) for who, a in answers.items()}
        values = _limits(np.concatenate([true, *given.values()]))
        left_over = _limits(np.concatenate([[0.0], *(a - true for a in given.values())]))
        for column, (who, answer) in enumerate(given.items()):
            x = column * step + MARGIN
            top = 2 * row * step + GAP
            title = f"{who}: {names[target]}"
            _panel(draw, (x, top), title, (true, answer), (values, values), line=values)
            below = (true, answer - true)
            _panel(draw, (x, top + step), "answer - label", below, (values, left_over), line=(0.0, 0.0))
    return image


def _panel(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    title: str,
    points: tuple[NDArray[np.float64], NDArray[np.float64]],
    limits: tuple[tuple[float, float], tuple[float, float]],
    line: tuple[float, float],
) -> None:
    """Draw points, a line from the left edge to the right one, and the limits of both axes."""
    (left, top), ((x0, x1), (y0, y1)) = corner, limits

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / (x1 - x0) * SIDE, top + SIDE - (y - y0) / (y1 - y0) * SIDE

    draw.rectangle((left, top, left + SIDE, top + SIDE), outline=INK)
    draw.line((*place(x0, line[0]), *place(x1, line[1])), fill=LINE)
    for x, y in zip(*points, strict=True):
        across, down = place(x, y)
        draw.ellipse((across - 2, down - 2, across + 2, down + 2), fill=DOT)
    draw.text((left, top - 14), title[:36], fill=INK)
    draw.text((left, top + SIDE + 3), f"{x0:.4g}", fill=INK)
    draw.text((left + SIDE, top + SIDE + 3), f"{x1:.4g}", fill=INK, anchor="ra")
    draw.text((left - 4, top + SIDE), f"{y0:.4g}", fill=INK, anchor="rs")
    draw.text((left - 4, top + 12), f"{y1:.4g}", fill=INK, anchor="rs")


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the smallest and the largest value with a little room; never the same."""
    low, high = float(values.min()), float(values.max())
    room = 0.04 * (high - low) or max(abs(low), 1.0) * 0.5
    return low - room, high + room
