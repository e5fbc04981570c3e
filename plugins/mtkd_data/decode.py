"""Decode many images into one array file, with several threads, in the order of the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.reading import images


def decode_all(
    files: Sequence[Path],
    target: Path,
    size: int,
    channels: int,
    workers: int,
    max_bad: int,
    fit: str = "crop",
) -> dict[int, str]:
    """Write the readable images to ``target [M, C, S, S]``; return why the others cannot be read, by index.

    Args:
        files: image files.
        target: ``.npy`` file to write.
        size: side of the images, in pixels.
        channels: 3 for RGB, 1 for gray.
        workers: number of threads.
        max_bad: maximum number of unreadable images.
        fit: how to make images square, see `images.decode`.

    Raises:
        DataError: more than ``max_bad`` images cannot be read.

    """
    bad: dict[int, str] = {}
    unfinished = target.with_name("part.npy")
    shape = (len(files), channels, size, size)
    pixels = _allocate(unfinished, shape)
    decode = partial(_decode_or_reason, size=size, channels=channels, fit=fit)
    with images.refuse_bombs(), ThreadPoolExecutor(workers) as pool:
        for index, image in enumerate(pool.map(decode, files)):
            if not isinstance(image, str):
                pixels[index - len(bad)] = image
                continue
            bad[index] = image
            if len(bad) > max_bad:
                pool.shutdown(cancel_futures=True)
                raise _unreadable(files[index], bad, max_bad)
    pixels.flush()
    if not bad:
        unfinished.rename(target)
        return bad
    # drop the unused rows at the end: [N, C, S, S] -> [M, C, S, S]
    readable = _allocate(target, (len(files) - len(bad), *shape[1:]))
    readable[:] = pixels[: len(readable)]
    readable.flush()
    unfinished.unlink()
    return bad


def _allocate(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """Return a new memory-mapped array whose file is fully allocated.

    Otherwise a full disk would kill the process (SIGBUS) when the array is written to.
    """
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    with path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _decode_or_reason(file: Path, size: int, channels: int, fit: str) -> NDArray[np.uint8] | str:
    """Return the pixels ``[C, S, S]``, or why the image cannot be read."""
    try:
        return images.decode(file, size, channels, fit)
    except MemoryError:
        raise
    except Exception as error:
        return images.failure_reason(error, file)


def _unreadable(file: Path, bad: dict[int, str], max_bad: int) -> DataError:
    last = bad[max(bad)]
    if not max_bad:
        return DataError(
            f"the image cannot be read: {last}",
            where=str(file),
            hint="remove or replace it, or set data.on_bad_sample: skip",
        )
    return DataError(
        f"more than {max_bad} images of a split cannot be read; the last one: {last}",
        where=str(file),
        hint="at most 1 % are skipped; remove or replace the unreadable images",
    )
