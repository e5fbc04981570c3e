"""Colors of classes, the same in every picture."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

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


def mask_image(mask: NDArray[Any]) -> Image:
    """Return a mask ``[H, W]`` of class numbers as an image in the colors of the classes."""
    import numpy as np
    from PIL import Image

    numbers = mask.astype(np.int64)
    palette = np.array([class_color(number) for number in range(-1, int(numbers.max()) + 1)], dtype=np.uint8)
    # row 0 of the palette stands for unlabeled pixels (-1)
    return Image.fromarray(palette[numbers + 1])
