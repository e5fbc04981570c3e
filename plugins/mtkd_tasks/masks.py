"""Draw masks, with the same color for a class in every picture."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image
from torch import Tensor

GOLDEN = 0.618034
"""Hue step between consecutive classes (golden ratio), so that nearby classes differ clearly."""

NO_LABEL = (128, 128, 128)


def class_color(number: int) -> tuple[int, int, int]:
    """Return the RGB color of a class: black for class 0, gray for no label (-1)."""
    if number <= 0:
        return NO_LABEL if number else (0, 0, 0)
    brightness = 1.0 if number % 2 else 0.75
    red, green, blue = colorsys.hsv_to_rgb((number - 1) * GOLDEN % 1, 0.75, brightness)
    return round(red * 255), round(green * 255), round(blue * 255)


def color_masks(masks: Tensor) -> list[Image.Image]:
    """Return masks ``[B, H, W]`` of class numbers as color images."""
    numbers = masks.long().cpu().numpy()
    palette = np.array([class_color(number) for number in range(-1, int(numbers.max()) + 1)], dtype=np.uint8)
    # row 0 of the palette stands for unlabeled pixels (-1)
    return [Image.fromarray(palette[mask + 1]) for mask in numbers]
