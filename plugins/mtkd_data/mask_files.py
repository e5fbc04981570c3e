"""Read masks: palette or grey PNG files whose pixels are numbers, cut and resized as their images are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.interfaces import DataCache
from mtkd_data.image_cache import hashes

FORMAT = 1
"""Raised when the same file would be read as other numbers."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""

ORIENTATION = 0x0112


def kept_masks(
    cache: DataCache, pairs: Sequence[tuple[Path, Path]], size: int, workers: int
) -> tuple[NDArray[np.uint16], list[list[int]]]:
    """Return the numbers in masks ``[N, S, S]``, and all that stand in each file; read once for each content.

    Args:
        cache: keeps them.
        pairs: masks, PNG files, each with its image.
        size: side, in pixels; of a mask as of its image the middle square is taken, by nearest pixels.
        workers: threads that decode.

    Raises:
        DataError: a file that is no mask, or of another size than its image; the file is named.
    """
    if not pairs:
        return np.zeros((0, size, size), dtype=np.uint16), []
    masks, images = zip(*pairs, strict=True)
    key = {
        "masks": hashlib.sha256("".join(hashes([*masks, *images])).encode()).hexdigest(),
        "size": size,
        "decoder": FORMAT,
        "pillow": PIL.__version__,
    }

    def write(folder: Path) -> None:
        with ThreadPoolExecutor(workers) as pool:
            read = list(pool.map(partial(_read, size=size), masks, images))
        np.save(folder / "masks.npy", np.stack([fitted for fitted, _ in read]))
        (folder / "values.json").write_text(json.dumps([values for _, values in read]))

    folder = cache.keep(key, write)
    return np.load(folder / "masks.npy"), json.loads((folder / "values.json").read_text())


def _read(mask: Path, image: Path, size: int) -> tuple[NDArray[np.uint16], list[int]]:
    """Return a mask ``[S, S]`` and the numbers in the whole file."""
    numbers = read_mask(mask)
    width, height = _upright_size(image)
    if numbers.shape != (height, width):
        raise DataError(
            f"the mask has {numbers.shape[1]} x {numbers.shape[0]} pixels, its image {width} x {height}",
            where=str(mask),
            hint="a mask has a pixel for each pixel of its image",
        )
    fitted = ImageOps.fit(Image.fromarray(numbers), (size, size), Image.Resampling.NEAREST)
    return np.asarray(fitted).astype(np.uint16), [int(value) for value in np.unique(numbers)]


def read_mask(file: Path) -> NDArray[np.int32]:
    """Return the numbers in a mask ``[H, W]``: palette places, or grey values.

    Raises:
        DataError: it cannot be read, or holds colours.
    """
    try:
        with Image.open(file, formats=("PNG",)) as opened:
            opened.load()
            if opened.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
                raise DataError(
                    f"the mask holds colours ({opened.mode}), not a number for each pixel",
                    where=str(file),
                    hint="save it as a grey or palette PNG whose pixels are class numbers",
                )
            return np.asarray(opened).astype(np.int32)
    except DataError:
        raise
    except Exception as error:  # a damaged file makes a decoder raise almost anything
        raise DataError(
            f"the mask cannot be read: {first_line(error)}",
            where=str(file),
            hint="masks are PNG files; replace it, or remove it and its image",
        ) from error


def _upright_size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(ORIENTATION) in SIDEWAYS else (width, height)
