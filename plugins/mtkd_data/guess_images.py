"""Guess the size and the channels at which images should be decoded, from a sample of their headers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mtkd_cli.reading.images import open_image, upright_size

SAMPLED = 50
"""Maximum number of images whose header is read."""

LARGEST, SMALLEST = 224, 8
T = TypeVar("T")
GRAY = ("1", "L", "I", "I;16", "I;16B")


def decoding(
    files: Sequence[Path | BinaryIO], largest: int = LARGEST
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options ``size`` and ``channels`` and their reasons; both are empty if no image is readable.

    Args:
        files: image files, or their opened contents.
        largest: maximum size to suggest, in pixels.
    """
    sides, modes = [], set()
    for file in spread(files, SAMPLED):
        try:
            with open_image(file) as image:
                modes.add(image.mode)
            sides.append(min(upright_size(file)))
        except Exception:  # noqa: S112  (decoders raise anything; mtkd doctor reports damaged files)
            continue
    if not sides:
        return {}, {}
    median = round(statistics.median(sides))
    size = max(SMALLEST, min(largest, median))
    channels = 1 if modes <= set(GRAY) else 3
    why = {
        "size": f"side in pixels; the images' shorter sides have a median of {median}"
        + (f", and {largest} is the largest that is suggested" if median > largest else ""),
        "channels": "all images seen are gray" if channels == 1 else "the images have colors",
    }
    return {"size": size, "channels": channels}, why


def spread(files: Sequence[T], count: int) -> Sequence[T]:
    """Return up to ``count`` files, evenly spread over all."""
    return files if len(files) <= count else [files[i * len(files) // count] for i in range(count)]
