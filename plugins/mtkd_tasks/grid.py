"""Draw a grid of images and texts with column headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL = 96
"""Side of a cell, in pixels; images are resized to it."""

GAP = 4
FONT = 12
INK, PAPER, RIGHT, WRONG = "black", "white", "#1b7837", "#b2182b"


@dataclass(frozen=True)
class Words:
    """A text cell, green if ``right``, red if not; black for None."""

    text: str
    right: bool | None = None


def grid(
    headers: Sequence[str], rows: Sequence[Sequence[Image.Image | Words]], cell: int = CELL
) -> Image.Image:
    """Return a picture with one row of cells per sample; texts are truncated to the column width.

    Args:
        headers: column names; the part after the first space is on a second line.
        rows: cells of each row, one per header.
        cell: side of a cell, in pixels.
    """
    font = ImageFont.load_default(FONT)
    top = 2 * FONT + 3 * GAP
    size = (len(headers) * (cell + GAP) + GAP, top + len(rows) * (cell + GAP))
    picture = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(picture)
    for column, name in enumerate(headers):
        left = GAP + column * (cell + GAP)
        for line, words in enumerate(name.split(" ", 1)):
            draw.text((left + 1, GAP + line * (FONT + GAP)), _truncate(words, cell - 2, font), INK, font)
        for number, row in enumerate(rows):
            y, content = top + number * (cell + GAP), row[column]
            if isinstance(content, Words):
                color = {None: INK, True: RIGHT, False: WRONG}[content.right]
                draw.text(
                    (left + 1, y + cell // 2 - FONT), _truncate(content.text, cell - 2, font), color, font
                )
            else:
                picture.paste(content.convert("RGB").resize((cell, cell), _filter(content, cell)), (left, y))
    return picture


def image_of(pixels: NDArray[Any]) -> Image.Image:
    """Return ``[C, H, W]`` uint8 pixels, with 1 or 3 channels, as an image."""
    return Image.fromarray(
        np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels[:3].transpose(1, 2, 0))
    )


def _filter(image: Image.Image, cell: int) -> Image.Resampling:
    """Return the filter to resize an image: nearest for enlarging, bilinear for shrinking."""
    return Image.Resampling.NEAREST if image.width <= cell else Image.Resampling.BILINEAR


def _truncate(text: str, width: int, font: Any) -> str:
    """Truncate a text to a width in pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."
