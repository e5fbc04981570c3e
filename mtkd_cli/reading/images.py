"""One image file as bytes: upright, on white, 8 bits a channel, brought to a square."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMAT = 1
"""Raised when the same file would be decoded to other bytes."""

FORMATS = ("PNG", "JPEG")
ENDINGS = (".png", ".jpg", ".jpeg")
ORIENTATION = 0x0112
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


@contextmanager
def refuse_bombs() -> Iterator[None]:
    """Make a decompression bomb an error in every thread; warnings are the process's, so set once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(file: Path, size: int, channels: int, fit: str = "crop") -> NDArray[np.uint8]:
    """Return one image ``[C, S, S]``.

    Args:
        file: a PNG or JPEG file.
        size: side, in pixels.
        channels: 3 RGB, 1 grey.
        fit: ``crop`` takes the middle square, ``stretch`` changes the shape of what is not square.
    """
    with Image.open(file, formats=FORMATS) as opened:
        upright = plain(ImageOps.exif_transpose(opened)).convert("RGB" if channels == 3 else "L")
        if fit == "crop":
            image = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
        else:
            image = upright.resize((size, size), Image.Resampling.BICUBIC)
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def plain(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits a channel without palette or transparency."""
    if image.mode.startswith("I"):  # 16-bit grey, which PIL's own conversion clips to white
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def failure_reason(error: Exception, file: Path) -> str:
    """Return in a few words why a file cannot be decoded; a damaged one raises almost anything."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).replace(f" {str(file)!r}", "").strip()
    return (text.splitlines() or [type(error).__name__])[0]


def upright_size(file: Path) -> tuple[int, int]:
    """Return width and height of an image as it is shown, in pixels, from its header."""
    with Image.open(file, formats=FORMATS) as opened:
        turned = opened.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (opened.height, opened.width) if turned else opened.size


def shown_part(size: tuple[int, int], fit: str) -> tuple[float, float, float, float]:
    """Return what `decode` shows of an image of this size: left, top, right, bottom, in pixels."""
    width, height = size
    if fit != "crop":
        return 0.0, 0.0, float(width), float(height)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
