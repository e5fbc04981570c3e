"""Draw samples as blocks of large panels, one per model, with a legend of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

PANEL = 235
"""Width of a panel in pixels; four fill the width of a report."""

COLUMNS, GAP = 4, 4
FONT = 13
LINE = FONT + 4
MAX_LINES = 2
"""Maximum number of lines of a model's name."""
SWATCH = 12
INK, PAPER, RULE = "black", "white", "#bbbbbb"


def panels(
    names: Sequence[str], samples: Sequence[Sequence[Image.Image]], colors: Mapping[str, Color]
) -> Image.Image:
    """Return a picture with a block per sample: a panel for each model, at most four side by side.

    Args:
        names: name of each panel, written above it.
        samples: panels of each sample, one per name, all of the same size.
        colors: color of each class, for the legend below.
    """
    font = ImageFont.load_default(FONT)
    columns = min(COLUMNS, len(names))
    width = columns * (PANEL + GAP) + GAP
    titles = [wrap(name, PANEL, font) for name in names]
    title_height = max(map(len, titles)) * LINE
    height = max(panel.height for panel in samples[0])
    block = -(-len(names) // columns) * (title_height + height + GAP) + 2 * GAP
    legend = _place_legend(colors, width, font)
    below = (legend[-1][2] + LINE + GAP) if legend else 0
    picture = Image.new("RGB", (width, len(samples) * block + below), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, row in enumerate(samples):
        top = number * block + GAP
        if number:
            draw.line((GAP, top - GAP, width - GAP, top - GAP), RULE)
        for index, panel in enumerate(row):
            left = GAP + index % columns * (PANEL + GAP)
            y = top + index // columns * (title_height + height + GAP)
            for line, text in enumerate(titles[index]):
                draw.text((left, y + line * LINE), text, INK, font)
            picture.paste(panel.convert("RGB"), (left, y + title_height))
    for name, left, y in legend:
        y += len(samples) * block
        draw.rectangle((left, y + 2, left + SWATCH, y + 2 + SWATCH), colors[name], RULE)
        draw.text((left + SWATCH + GAP, y), name, INK, font)
    return picture


def enlarged(image: Image.Image) -> Image.Image:
    """Return an image as wide as a panel; enlarged pixels stay sharp."""
    height = max(1, round(image.height * PANEL / image.width))
    sharp = image.width <= PANEL
    return image.resize((PANEL, height), Image.Resampling.NEAREST if sharp else Image.Resampling.BILINEAR)


def wrap(text: str, width: int, font: Any) -> list[str]:
    """Return a text in at most `MAX_LINES` lines of a width in pixels; the last ends with ``...`` if cut."""
    lines: list[str] = []
    while text and len(lines) < MAX_LINES:
        count = len(text)
        while count > 1 and font.getlength(text[:count]) > width:
            count -= 1
        if len(lines) == MAX_LINES - 1 and count < len(text):
            while count > 1 and font.getlength(f"{text[:count]}...") > width:
                count -= 1
            return [*lines, f"{text[:count]}..."]
        if count < len(text) and " " in text[:count]:
            count = text[:count].rindex(" ") + 1
        lines.append(text[:count].rstrip())
        text = text[count:]
    return lines or [""]


def _place_legend(colors: Mapping[str, Color], width: int, font: Any) -> list[tuple[str, int, int]]:
    """Return the name and the left and top of each entry, in lines of at most ``width`` pixels."""
    placed, left, top = [], GAP, GAP
    for name in colors:
        needed = SWATCH + 4 * GAP + int(font.getlength(name))
        if left > GAP and left + needed > width:
            left, top = GAP, top + LINE
        placed.append((name, left, top))
        left += needed
    return placed
