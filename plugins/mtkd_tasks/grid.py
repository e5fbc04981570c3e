"""A picture made of rows of cells: images and words, with a header over each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL = 96
"""Side of a cell, in pixels; larger images are shrunk to it."""

GAP = 4
FONT = 12
INK, PAPER, RIGHT, WRONG = "black", "white", "#1b7837", "#b2182b"


@dataclass(frozen=True)
class Words:
    """A cell of text; ``right`` colours it."""

    text: str
    right: bool | None = None


def grid(
    headers: Sequence[str], rows: Sequence[Sequence[Image.Image | Words]], cell: int = CELL
) -> Image.Image:
    """Return the picture: one row of cells a sample; words are cut to their column.

    Args:
        headers: a name for each column; what follows its first space stands below.
        rows: cells, as many a row as there are headers.
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
            draw.text((left + 1, GAP + line * (FONT + GAP)), _cut(words, cell - 2, font), INK, font)
        for number, row in enumerate(rows):
            y, content = top + number * (cell + GAP), row[column]
            if isinstance(content, Words):
                colour = {None: INK, True: RIGHT, False: WRONG}[content.right]
                draw.text((left + 1, y + cell // 2 - FONT), _cut(content.text, cell - 2, font), colour, font)
            else:
                picture.paste(content.convert("RGB").resize((cell, cell), _filter(content, cell)), (left, y))
    return picture


def image_of(pixels: NDArray[Any]) -> Image.Image:
    """Return one of the data's images, ``[C, H, W]`` uint8 with 1 or 3 channels."""
    return Image.fromarray(
        np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels[:3].transpose(1, 2, 0))
    )


def _filter(image: Image.Image, cell: int) -> Image.Resampling:
    return Image.Resampling.NEAREST if image.width <= cell else Image.Resampling.BILINEAR


def _cut(text: str, width: int, font: Any) -> str:
    """Return as much of a text as fits the width, in pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."
