"""RandAugment (Cubuk et al., NeurIPS 2020): a few of 14 operations for each view, drawn from counters.

Geometric operations are combined into one affine map, which views apply before all colors, so that labels
can follow it and pixels are interpolated once. Ranges are those of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data import colors
from mtkd_cli.recipe.augment import RandAugment

SHEAR, TRANSLATE, ROTATE, ENHANCE, POSTERIZE = 0.3, 150 / 331, math.pi / 6, 0.9, 4
"""Changes at magnitude 1: slope, share of the side, radians, change of a factor, bits."""

Change = Callable[[Tensor, Tensor, float], Tensor]
"""Function from pixels ``[B, C, H, W]``, signs ``[B]`` and the magnitude to the changed pixels."""

MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COLORS: dict[str, Change] = {
    "brightness": lambda pixels, sign, m: (pixels * colors.per_image(1 + ENHANCE * m * sign)).clamp(0, 1),
    "color": lambda pixels, sign, m: colors.saturate(pixels, 1 + ENHANCE * m * sign),
    "contrast": lambda pixels, sign, m: colors.blend(
        pixels, colors.mean_of_images(colors.gray(pixels)), 1 + ENHANCE * m * sign
    ),
    "sharpness": lambda pixels, sign, m: colors.sharpen(pixels, 1 + ENHANCE * m * sign),
    "posterize": lambda pixels, _, m: colors.posterize(pixels, 8 - round(POSTERIZE * m)),
    "solarize": lambda pixels, _, m: colors.solarize(pixels, 1 - m),
    "autocontrast": lambda pixels, _, m: colors.autocontrast(pixels),
    "equalize": lambda pixels, _, m: colors.equalize(pixels),
}
OPERATIONS = ("identity", *MOVES, *COLORS)


def affine(
    samples: NDArray[np.uint64], number: int, seed: int, settings: RandAugment, aspect: float
) -> Tensor:
    """Return the affine map from view to image of the geometric operations, ``[B, 2, 3]``.

    Args:
        samples: ``[B]``, id numbers.
        number: number of the view.
        seed: seed of the views.
        settings: the recipe's ``augment.randaugment``.
        aspect: height of the images divided by their width.
    """
    chosen, signs = _draw(samples, number, seed, settings)
    whole = np.tile(np.eye(3, dtype=np.float32), (len(samples), 1, 1))
    for slot in range(settings.operations):
        each = np.tile(np.eye(3, dtype=np.float32), (len(samples), 1, 1))
        for name in MOVES:
            rows = np.flatnonzero(chosen[:, slot] == OPERATIONS.index(name))
            each[rows, :2] = _move(name, settings.magnitude * signs[rows, slot], aspect)
        whole = whole @ each
    return torch.from_numpy(whole[:, :2])


def recolor(
    pixels: Tensor, samples: NDArray[np.uint64], number: int, seed: int, settings: RandAugment
) -> Tensor:
    """Return the pixels ``[B, C, H, W]`` after the color operations; see `affine` for the arguments."""
    chosen, signs = _draw(samples, number, seed, settings)
    pixels = pixels.clone()
    for slot in range(settings.operations):
        for name, change in COLORS.items():
            indices = np.flatnonzero(chosen[:, slot] == OPERATIONS.index(name))
            if len(indices):
                rows = torch.from_numpy(indices).to(pixels.device)
                sign = torch.from_numpy(signs[indices, slot]).to(pixels.device)
                pixels[rows] = change(pixels[rows], sign, settings.magnitude)
    return pixels


def _draw(
    samples: NDArray[np.uint64], number: int, seed: int, settings: RandAugment
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the index of each operation and its direction, -1 or 1, both ``[B, operations]``."""
    draws = counter_rng.uniform(samples, 2 * settings.operations, "randaugment", seed, number)
    chosen = (draws[:, 0::2] * len(OPERATIONS)).astype(np.int64)
    return chosen, np.where(draws[:, 1::2] < 0.5, -1, 1).astype(np.float32)


def _move(name: str, amount: NDArray[np.float32], aspect: float) -> NDArray[np.float32]:
    """Return affine maps ``[B, 2, 3]`` from view to image, in coordinates from -1 to 1.

    Args:
        name: one of `MOVES`.
        amount: ``[B]``, magnitudes with their sign.
        aspect: height of the images divided by their width; slopes and angles are in pixels.
    """
    maps = np.tile(np.eye(2, 3, dtype=np.float32), (len(amount), 1, 1))
    if name == "shear_x":
        maps[:, 0, 1] = SHEAR * amount * aspect
    elif name == "shear_y":
        maps[:, 1, 0] = SHEAR * amount / aspect
    elif name == "translate_x":
        maps[:, 0, 2] = 2 * TRANSLATE * amount
    elif name == "translate_y":
        maps[:, 1, 2] = 2 * TRANSLATE * amount
    else:
        cos, sin = np.cos(ROTATE * amount), np.sin(ROTATE * amount)
        maps[:, 0, 0], maps[:, 0, 1] = cos, -sin * aspect
        maps[:, 1, 0], maps[:, 1, 1] = sin / aspect, cos
    return maps
