"""Read masks, palette or gray PNG files of class numbers, and fit them to the grid like their images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.interfaces import DataCache, place
from mtkd_cli.reading.image_reader import DecodeOptions
from mtkd_cli.reading.images import open_image

FORMAT = 1
"""Version of the decoder: increase it when the same file gives other numbers."""

DIGEST = np.dtype([("sha256", np.uint8, 32)])


def cached_masks(
    cache: DataCache, masks: Sequence[Path], sizes: NDArray[np.int32], options: DecodeOptions
) -> tuple[NDArray[np.uint16], list[list[int]]]:
    """Return the masks on the grid ``[N, H, W]``, a memory map, and the values that occur in each file.

    They are cached by file content. Values outside the image (``pad``) are 0.

    Args:
        cache: cache of decoded masks.
        masks: PNG file of each sample.
        sizes: ``[N, 2]``, height and width of the images.
        options: how the images are decoded; masks are resized with nearest neighbors.

    Raises:
        DataError: a file is not a mask, or its size differs from its image.
    """
    if not masks:
        return np.zeros((0, *options.grid), dtype=np.uint16), []
    digests = cache.describe_files(masks, _digest, DIGEST, "sha256")["sha256"]
    height, width = options.grid
    key = {
        "masks": hashlib.sha256(digests.tobytes() + sizes.astype("<i4").tobytes()).hexdigest(),
        "size": height if height == width else [height, width],
        "decoder": FORMAT,
        "pillow": PIL.__version__,
        **({} if options.fit == "crop" else {"fit": options.fit}),
    }

    def write(folder: Path) -> None:
        def read(mask: Path, size: NDArray[np.int32]) -> tuple[NDArray[np.uint16], list[int]]:
            return _read(mask, (int(size[0]), int(size[1])), options)

        fitted = np.lib.format.open_memmap(folder / "masks.npy", "w+", np.uint16, (len(masks), height, width))
        values = []
        with ThreadPoolExecutor(options.workers) as pool:
            for number, (mask, found) in enumerate(pool.map(read, masks, sizes)):
                fitted[number] = mask
                values.append(found)
        fitted.flush()
        (folder / "values.json").write_text(json.dumps(values))

    folder = cache.keep(key, write)
    return cache.mapped(folder / "masks.npy"), json.loads((folder / "values.json").read_text())


def _digest(content: bytes) -> tuple[Any, ...]:
    return (np.frombuffer(hashlib.sha256(content).digest(), np.uint8),)


def _read(mask: Path, size: tuple[int, int], options: DecodeOptions) -> tuple[NDArray[np.uint16], list[int]]:
    """Return a mask on the grid ``[H, W]``, and the values in the whole file."""
    numbers = read_mask(mask)
    if numbers.shape != size:
        raise DataError(
            f"the mask has {numbers.shape[1]} x {numbers.shape[0]} pixels, its image {size[1]} x {size[0]}",
            where=str(mask),
            hint="a mask must have the size of its image",
        )
    return fit_mask(numbers, options).astype(np.uint16), [int(value) for value in np.unique(numbers)]


def fit_mask(numbers: NDArray[np.int32], options: DecodeOptions) -> NDArray[np.int32]:
    """Return a mask on the grid ``[H, W]``, placed like its image; 0 outside the image."""
    whole, (height, width) = Image.fromarray(numbers), options.grid
    if options.fit == "crop":
        return np.asarray(ImageOps.fit(whole, (width, height), Image.Resampling.NEAREST))
    placement = place(numbers.shape, options.grid, options.fit)
    rows, columns = (int(side) for side in placement.resized)
    top, left = (int(edge) for edge in placement.offset)
    fitted = np.zeros(options.grid, dtype=np.int32)
    fitted[top : top + rows, left : left + columns] = np.asarray(
        whole.resize((columns, rows), Image.Resampling.NEAREST)
    )
    return fitted


def read_mask(file: Path) -> NDArray[np.int32]:
    """Return the values of a mask ``[H, W]``: palette indices or gray values.

    Raises:
        DataError: the file cannot be read, or contains colors.
    """
    try:
        with open_image(file, ("PNG",)) as opened:
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
