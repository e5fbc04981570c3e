"""Draw scatter plots of a regression: predictions and residuals against labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE, MARGIN, GAP = 220, 46, 22
"""Side of a panel, margin for numbers, and gap between panels, in pixels."""

MAX_TARGETS = 4
INK, LINE, DOT = (30, 30, 30), (200, 60, 40), (40, 90, 170)


def scatter(
    answers: Mapping[str, NDArray[Any]], labels: NDArray[Any], names: Sequence[str]
) -> Image.Image | None:
    """Return one column of panels per model and two rows per target; None without labels.

    Args:
        answers: predictions ``[B, T]`` by model.
        labels: ``[B, T]``, NaN where missing.
        names: names of the targets.
    """
    targets = [t for t in range(min(len(names), MAX_TARGETS)) if np.isfinite(labels[:, t]).any()]
    if not targets or not answers:
        return None
    step = SIDE + MARGIN + GAP
    image = Image.new("RGB", (len(answers) * step + GAP, 2 * len(targets) * step + GAP), "white")
    draw = ImageDraw.Draw(image)
    for row, target in enumerate(targets):
        has_label = np.isfinite(labels[:, target])
        true = labels[has_label, target].astype(np.float64)
        predicted = {model: a[has_label, target].astype(np.float64) for model, a in answers.items()}
        values = _limits(np.concatenate([true, *predicted.values()]))
        residuals = _limits(np.concatenate([[0.0], *(a - true for a in predicted.values())]))
        for column, (model, answer) in enumerate(predicted.items()):
            x = column * step + MARGIN
            top = 2 * row * step + GAP
            title = f"{model}: {names[target]}"
            _panel(draw, (x, top), title, (true, answer), (values, values), line=values)
            below = (true, answer - true)
            _panel(draw, (x, top + step), "answer - label", below, (values, residuals), line=(0.0, 0.0))
    return image


def _panel(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    title: str,
    points: tuple[NDArray[np.float64], NDArray[np.float64]],
    limits: tuple[tuple[float, float], tuple[float, float]],
    line: tuple[float, float],
) -> None:
    """Draw points, a line from the left to the right edge, and the limits of both axes."""
    (left, top), ((x0, x1), (y0, y1)) = corner, limits

    def to_pixels(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / (x1 - x0) * SIDE, top + SIDE - (y - y0) / (y1 - y0) * SIDE

    draw.rectangle((left, top, left + SIDE, top + SIDE), outline=INK)
    draw.line((*to_pixels(x0, line[0]), *to_pixels(x1, line[1])), fill=LINE)
    for x, y in zip(*points, strict=True):
        px, py = to_pixels(x, y)
        draw.ellipse((px - 2, py - 2, px + 2, py + 2), fill=DOT)
    draw.text((left, top - 14), title[:36], fill=INK)
    draw.text((left, top + SIDE + 3), f"{x0:.4g}", fill=INK)
    draw.text((left + SIDE, top + SIDE + 3), f"{x1:.4g}", fill=INK, anchor="ra")
    draw.text((left - 4, top + SIDE), f"{y0:.4g}", fill=INK, anchor="rs")
    draw.text((left - 4, top + 12), f"{y1:.4g}", fill=INK, anchor="rs")


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of the values with some padding; never empty."""
    low, high = float(values.min()), float(values.max())
    padding = 0.04 * (high - low) or max(abs(low), 1.0) * 0.5
    return low - padding, high + padding
