"""Masks as pictures: a colour for each class, the same in every picture."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image
from torch import Tensor

GOLDEN = 0.618034
"""Share of the colour circle between one class and the next: no two near ones look alike."""

NO_LABEL = (128, 128, 128)


def colour(number: int) -> tuple[int, int, int]:
    """Return the colour of a class; the first is black, what has no label (-1) grey."""
    if number <= 0:
        return NO_LABEL if number else (0, 0, 0)
    bright = 1.0 if number % 2 else 0.75
    red, green, blue = colorsys.hsv_to_rgb((number - 1) * GOLDEN % 1, 0.75, bright)
    return round(red * 255), round(green * 255), round(blue * 255)


def coloured(masks: Tensor) -> list[Image.Image]:
    """Return masks ``[B, H, W]`` of class numbers as images."""
    numbers = masks.long().cpu().numpy()
    palette = np.array([colour(number) for number in range(-1, int(numbers.max()) + 1)], dtype=np.uint8)
    return [Image.fromarray(palette[mask + 1]) for mask in numbers]
