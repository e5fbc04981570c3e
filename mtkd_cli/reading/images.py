"""Decode an image to the grid of inputs: EXIF orientation applied, white background, 8 bits per channel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mtkd_cli.files.regular_file import require_regular
from mtkd_cli.interfaces.placement import place, sides

FORMAT = 1
"""Version of the decoder; increase it when a file would decode to other bytes."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
"""Formats that are read; of an animation, the first picture."""

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
KINDS = "PNG, JPEG, WebP, BMP or GIF"
OTHER_ENDINGS = (".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".pgm", ".svg", ".jfif")
"""Endings of other image files, which are ignored, and named by the doctor."""

ORIENTATION = 0x0112
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
PADDING = 114
"""Gray level of the area that an image does not fill, as in the letterboxed inputs of YOLO."""


@contextmanager
def refuse_bombs() -> Iterator[None]:
    """Raise on decompression bombs within the block, in every thread (warning filters are per process)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(
    file: Path | BinaryIO,
    size: int | tuple[int, int],
    channels: int,
    fit: str = "crop",
    window: Sequence[float] | None = None,
) -> NDArray[np.uint8]:
    """Return an image on the grid, ``[C, H, W]``.

    Args:
        file: an image file, or its opened content.
        size: height and width of the grid in pixels; one number for a square.
        channels: number of channels C: 3 for RGB, 1 for gray.
        fit: how the image fills the grid, see `mtkd_cli.interfaces.placement.Fit`.
        window: left, top, right, bottom of a part of the image, relative to its sides; the part is stretched
            to the grid, and ``fit`` is not used.
    """
    height, width = sides(size)
    with open_image(file) as opened:
        _refuse_bomb(opened)
        upright = to_8_bit(ImageOps.exif_transpose(opened)).convert("RGB" if channels == 3 else "L")
        image = _fitted(upright, (height, width), fit) if window is None else _part(upright, size, window)
    # [H, W] or [H, W, C] -> [C, H, W]
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def open_image(file: Path | BinaryIO, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """Return an opened image, whose header is read.

    Args:
        file: an image file, or its opened content.
        formats: names of allowed formats.

    Raises:
        OSError: it is not an image, or is a pipe, a socket or a device.
    """
    if isinstance(file, Path):
        require_regular(file)
    return Image.open(file, formats=formats)


def crop_windows(pixels: NDArray[np.uint8], windows: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a part of each image, resized to the size of the image, ``[B, C, H, W]``.

    Args:
        pixels: ``[B, C, H, W]``.
        windows: ``[B, 4]``, left, top, right, bottom of each part, relative to the sides.
    """
    parts = np.empty_like(pixels)
    for part, image, window in zip(parts, pixels, windows.tolist(), strict=True):
        for channel, plane in zip(part, image, strict=True):
            channel[:] = np.asarray(_part(Image.fromarray(plane), plane.shape, window))
    return parts


def _refuse_bomb(image: Image.Image) -> None:
    """Raise on an image above PIL's limit, for which PIL itself only warns."""
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels, a decompression bomb")


def _fitted(upright: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """Return an image of (height, width) ``size``."""
    height, width = size
    if fit == "crop":
        return ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC)
    placement = place((upright.height, upright.width), size, fit)
    rows, columns = (int(side) for side in placement.resized)
    resized = upright.resize((columns, rows), Image.Resampling.BICUBIC)
    if placement.fills_grid:
        return resized
    padded = Image.new(upright.mode, (width, height), (PADDING,) * len(upright.getbands()))
    top, left = (int(edge) for edge in placement.offset)
    padded.paste(resized, (left, top))
    return padded


def _part(upright: Image.Image, size: int | tuple[int, int], window: Sequence[float]) -> Image.Image:
    height, width = sides(size)
    left, top, right, bottom = window
    box = (left * upright.width, top * upright.height, right * upright.width, bottom * upright.height)
    return upright.resize((width, height), Image.Resampling.BICUBIC, box)


def to_8_bit(image: Image.Image) -> Image.Image:
    """Return the image with 8 bits per channel, and with transparency replaced by white."""
    if image.mode.startswith("I"):  # 16-bit gray, which PIL's own conversion would clip to white
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def failure_reason(error: Exception, file: Path | str) -> str:
    """Return a short reason why a file cannot be decoded.

    Args:
        error: any exception of the decoder.
        file: the file, whose name is removed from the message.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).replace(f" {str(file)!r}", "").strip()
    return (text.splitlines() or [type(error).__name__])[0]


def upright_size(file: Path | BinaryIO) -> tuple[int, int]:
    """Return width and height in pixels after the EXIF rotation, read from the header only."""
    with open_image(file) as opened:
        is_rotated = opened.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        return (opened.height, opened.width) if is_rotated else opened.size
