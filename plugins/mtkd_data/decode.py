"""Decode many images into one array, in threads, in the order of the files."""

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
    most_bad: int,
    fit: str = "crop",
) -> dict[int, str]:
    """Write the images that can be read to ``target`` ``[N, C, S, S]``; return why others cannot.

    Args:
        files: image files.
        target: the ``.npy`` file.
        size: side, in pixels.
        channels: 3 RGB, 1 grey.
        workers: threads.
        most_bad: how many images may be unreadable.
        fit: see `images.decode`.

    Raises:
        DataError: more images than that cannot be read; the last one is named.

    """
    bad: dict[int, str] = {}
    part = target.with_name("part.npy")
    shape = (len(files), channels, size, size)
    pixels = _allocated(part, shape)
    decode = partial(_decode_or_say_why, size=size, channels=channels, fit=fit)
    with images.refuse_bombs(), ThreadPoolExecutor(workers) as pool:
        for number, image in enumerate(pool.map(decode, files)):
            if not isinstance(image, str):
                pixels[number - len(bad)] = image
                continue
            bad[number] = image
            if len(bad) > most_bad:
                pool.shutdown(cancel_futures=True)
                raise _too_many(files[number], bad, most_bad)
    pixels.flush()
    if not bad:
        part.rename(target)
        return bad
    kept = _allocated(target, (len(files) - len(bad), *shape[1:]))
    kept[:] = pixels[: len(kept)]
    kept.flush()
    part.unlink()
    return bad


def _allocated(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """Return a new array in a file whose every byte is on the disk: writing to a map of a full disk kills."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    with path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _decode_or_say_why(file: Path, size: int, channels: int, fit: str) -> NDArray[np.uint8] | str:
    try:
        return images.decode(file, size, channels, fit)
    except MemoryError:
        raise
    except Exception as error:
        return images.failure_reason(error, file)


def _too_many(file: Path, bad: dict[int, str], most_bad: int) -> DataError:
    last = bad[max(bad)]
    if not most_bad:
        return DataError(
            f"the image cannot be read: {last}",
            where=str(file),
            hint="remove or replace it, or set data.on_bad_sample: skip",
        )
    return DataError(
        f"more than {most_bad} images of a split cannot be read, the last: {last}",
        where=str(file),
        hint="at most 1 % are skipped: remove or replace them",
    )
