"""Decode many images into one array, with several threads, in their order."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.reading import images
from mtkd_cli.reading.encoded_images import EncodedImages
from mtkd_cli.reading.image_reader import DecodeOptions


def decode_into(
    encoded: EncodedImages, options: DecodeOptions, max_bad: int
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return the readable images in memory, ``[M, C, H, W]``, and why the others cannot be read, by row.

    Raises:
        DataError: more than ``max_bad`` images cannot be read.
    """
    pixels = np.empty((len(encoded), options.channels, *options.grid), dtype=np.uint8)
    bad = _decode_all(encoded, pixels, options, max_bad)
    return pixels[: len(encoded) - len(bad)], bad


def decode_to_file(
    encoded: EncodedImages, target: Path, options: DecodeOptions, max_bad: int
) -> dict[int, str]:
    """Write the readable images to ``target [M, C, H, W]``; return why the others cannot be read, by row.

    Args:
        encoded: N encoded images.
        target: ``.npy`` file to write.
        options: how to decode them.
        max_bad: maximum number of unreadable images.

    Raises:
        DataError: more than ``max_bad`` images cannot be read.
    """
    unfinished = target.with_name("part.npy")
    shape = (len(encoded), options.channels, *options.grid)
    pixels = _allocate(unfinished, shape)
    bad = _decode_all(encoded, pixels, options, max_bad)
    pixels.flush()
    if not bad:
        unfinished.rename(target)
        return bad
    # drop the unused rows at the end: [N, C, H, W] -> [M, C, H, W]
    readable = _allocate(target, (len(encoded) - len(bad), *shape[1:]))
    readable[:] = pixels[: len(readable)]
    readable.flush()
    unfinished.unlink()
    return bad


def _decode_all(
    encoded: EncodedImages, pixels: NDArray[np.uint8], options: DecodeOptions, max_bad: int
) -> dict[int, str]:
    """Write the readable images to the first rows of ``pixels``; return why the others cannot be read."""
    bad: dict[int, str] = {}

    def decode(row: int) -> NDArray[np.uint8] | str:
        return _decode_or_reason(encoded, row, options)

    with ThreadPoolExecutor(options.workers) as pool:
        for row, image in enumerate(pool.map(decode, range(len(encoded)))):
            if not isinstance(image, str):
                pixels[row - len(bad)] = image
                continue
            bad[row] = image
            if len(bad) > max_bad:
                pool.shutdown(cancel_futures=True)
                raise unreadable(encoded.name(row), image, max_bad)
    return bad


def _allocate(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """Return a new memory-mapped array whose file is fully allocated.

    Otherwise a full disk would kill the process (SIGBUS) when the array is written to.
    """
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    with path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _decode_or_reason(encoded: EncodedImages, row: int, options: DecodeOptions) -> NDArray[np.uint8] | str:
    """Return the pixels ``[C, H, W]``, or why the image cannot be read."""
    try:
        content = io.BytesIO(encoded.read(row))
        return images.decode(content, options.grid, options.channels, options.fit)
    except MemoryError:
        raise
    except Exception as error:
        return images.failure_reason(error, encoded.name(row))


def unreadable(name: str, reason: str, max_bad: int) -> DataError:
    """Return the error for an unreadable image, the first one or one more than may be skipped.

    Args:
        name: name of the image.
        reason: why it cannot be read.
        max_bad: maximum number of unreadable images.
    """
    if not max_bad:
        return DataError(
            f"the image cannot be read: {reason}",
            where=name,
            hint="remove or replace it, or set data.on_bad_sample: skip",
        )
    return DataError(
        f"more than {max_bad} images of a split cannot be read; the last one: {reason}",
        where=name,
        hint="at most 1 % are skipped; remove or replace the unreadable images",
    )
