"""Decode an image file to a square array: EXIF orientation applied, white background, 8 bits per channel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMAT = 1
"""Version of the decoder; increase it when a file would decode to other bytes."""

FORMATS = ("PNG", "JPEG")
ENDINGS = (".png", ".jpg", ".jpeg")
ORIENTATION = 0x0112
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


@contextmanager
def refuse_bombs() -> Iterator[None]:
    """Raise on decompression bombs within the block, in every thread (warning filters are per process)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(file: Path, size: int, channels: int, fit: str = "crop") -> NDArray[np.uint8]:
    """Return an image, ``[C, S, S]``.

    Args:
        file: a PNG or JPEG file.
        size: side S in pixels.
        channels: number of channels C: 3 for RGB, 1 for gray.
        fit: ``crop`` takes the center square, ``stretch`` ignores the aspect ratio.
    """
    with Image.open(file, formats=FORMATS) as opened:
        upright = to_8_bit(ImageOps.exif_transpose(opened)).convert("RGB" if channels == 3 else "L")
        if fit == "crop":
            image = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
        else:
            image = upright.resize((size, size), Image.Resampling.BICUBIC)
    # [S, S] or [S, S, C] -> [C, S, S]
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def to_8_bit(image: Image.Image) -> Image.Image:
    """Return the image with 8 bits per channel, and with transparency replaced by white."""
    if image.mode.startswith("I"):  # 16-bit gray, which PIL's own conversion would clip to white
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def failure_reason(error: Exception, file: Path) -> str:
    """Return a short reason why a file cannot be decoded.

    Args:
        error: any exception of the decoder.
        file: the file, whose name is removed from the message.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).replace(f" {str(file)!r}", "").strip()
    return (text.splitlines() or [type(error).__name__])[0]


def upright_size(file: Path) -> tuple[int, int]:
    """Return width and height in pixels after the EXIF rotation, read from the header only."""
    with Image.open(file, formats=FORMATS) as opened:
        is_rotated = opened.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (opened.height, opened.width) if is_rotated else opened.size


def visible_box(size: tuple[int, int], fit: str) -> tuple[float, float, float, float]:
    """Return the part of an image that `decode` keeps: left, top, right, bottom in pixels.

    Args:
        size: width and height of the image in pixels.
        fit: see `decode`.
    """
    width, height = size
    if fit != "crop":
        return 0.0, 0.0, float(width), float(height)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
