"""Read masks, palette or gray PNG files of class numbers; crop and resize them like their images."""

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
from mtkd_data.image_cache import file_hashes

FORMAT = 1
"""Version of the decoder: increase it when the same file gives other numbers."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""

ORIENTATION = 0x0112


def cached_masks(
    cache: DataCache, pairs: Sequence[tuple[Path, Path]], size: int, workers: int
) -> tuple[NDArray[np.uint16], list[list[int]]]:
    """Return the masks ``[N, S, S]`` and the values that occur in each file; cached by file content.

    Args:
        cache: cache of decoded masks.
        pairs: mask and image file of each sample; masks are PNG files.
        size: side of the masks, in pixels; they are center-cropped like the images, with nearest neighbors.
        workers: number of decoding threads.

    Raises:
        DataError: a file is not a mask, or its size differs from its image.
    """
    if not pairs:
        return np.zeros((0, size, size), dtype=np.uint16), []
    masks, images = zip(*pairs, strict=True)
    key = {
        "masks": hashlib.sha256("".join(file_hashes([*masks, *images])).encode()).hexdigest(),
        "size": size,
        "decoder": FORMAT,
        "pillow": PIL.__version__,
    }

    def write(folder: Path) -> None:
        with ThreadPoolExecutor(workers) as pool:
            decoded = list(pool.map(partial(_read, size=size), masks, images))
        np.save(folder / "masks.npy", np.stack([fitted for fitted, _ in decoded]))
        (folder / "values.json").write_text(json.dumps([values for _, values in decoded]))

    folder = cache.keep(key, write)
    return np.load(folder / "masks.npy"), json.loads((folder / "values.json").read_text())


def _read(mask: Path, image: Path, size: int) -> tuple[NDArray[np.uint16], list[int]]:
    """Return a mask ``[S, S]`` and the values in the uncropped file."""
    numbers = read_mask(mask)
    width, height = _upright_size(image)
    if numbers.shape != (height, width):
        raise DataError(
            f"the mask has {numbers.shape[1]} x {numbers.shape[0]} pixels, its image {width} x {height}",
            where=str(mask),
            hint="a mask must have the size of its image",
        )
    fitted = ImageOps.fit(Image.fromarray(numbers), (size, size), Image.Resampling.NEAREST)
    return np.asarray(fitted).astype(np.uint16), [int(value) for value in np.unique(numbers)]


def read_mask(file: Path) -> NDArray[np.int32]:
    """Return the values of a mask ``[H, W]``: palette indices or gray values.

    Raises:
        DataError: the file cannot be read, or contains colors.
    """
    try:
        with Image.open(file, formats=("PNG",)) as opened:
            opened.load()
            if opened.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
                raise DataError(
                    f"the mask contains colors ({opened.mode}) instead of class numbers",
                    where=str(file),
                    hint="save it as a gray or palette PNG whose pixels are class numbers",
                )
            return np.asarray(opened).astype(np.int32)
    except DataError:
        raise
    except Exception as error:  # decoders raise all kinds of errors for damaged files
        raise DataError(
            f"the mask cannot be read: {first_line(error)}",
            where=str(file),
            hint="masks must be PNG files; replace it, or remove it and its image",
        ) from error


def _upright_size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(ORIENTATION) in SIDEWAYS else (width, height)
