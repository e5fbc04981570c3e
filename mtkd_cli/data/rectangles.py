"""Rectangles of pixels, one per image: for random erasing and for cutmix."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

ASPECT = math.log(10 / 3)
"""Largest logarithm of the aspect ratio of an erased rectangle (Zhong et al., AAAI 2020)."""


def fill(edges: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Return the masks ``[B, H, W]`` of rectangles.

    Args:
        edges: ``[B, 4]``, left, top, right, bottom in pixels; right and bottom are outside.
        height: H.
        width: W.
    """
    left, top, right, bottom = (edge[:, None] for edge in edges.T)
    x, y = np.arange(width)[None], np.arange(height)[None]
    columns, rows = (x >= left) & (x < right), (y >= top) & (y < bottom)  # [B, W] and [B, H]
    return np.asarray(rows[:, :, None] & columns[:, None, :])


def erased(draws: NDArray[np.float64], largest: float, height: int, width: int) -> NDArray[np.int64]:
    """Return the rectangles to erase, ``[B, 4]``, inside the image.

    The area is uniform between 0 and ``largest``, the logarithm of the aspect ratio uniform, the position
    uniform.

    Args:
        draws: ``[B, 4]``, uniform random numbers.
        largest: largest area, as a share of the image's.
        height: H.
        width: W.
    """
    area = largest * draws[:, 0] * height * width
    aspect = np.exp(ASPECT * (2 * draws[:, 1] - 1))
    tall = np.minimum(np.round(np.sqrt(area / aspect)), height)
    wide = np.minimum(np.round(np.sqrt(area * aspect)), width)
    left, top = np.floor(draws[:, 2] * (width - wide + 1)), np.floor(draws[:, 3] * (height - tall + 1))
    return np.stack([left, top, left + wide, top + tall], axis=1).astype(np.int64)


def cut(draws: NDArray[np.float64], share: NDArray[np.float64], height: int, width: int) -> NDArray[np.int64]:
    """Return the rectangles of cutmix (Yun et al., ICCV 2019), ``[B, 4]``: centered anywhere, then clipped.

    Args:
        draws: ``[B, 2]``, uniform random numbers for the center.
        share: ``[B]``, area of the rectangle before clipping, as a share of the image's.
        height: H.
        width: W.
    """
    side = np.sqrt(share)
    edges = []
    for column, length in enumerate((width, height)):
        half = (length * side).astype(np.int64) // 2
        center = (draws[:, column] * length).astype(np.int64)
        edges.append((np.clip(center - half, 0, length), np.clip(center + half, 0, length)))
    (left, right), (top, bottom) = edges
    return np.stack([left, top, right, bottom], axis=1)
