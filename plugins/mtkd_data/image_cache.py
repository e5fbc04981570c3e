"""Decode images once, cache the pixels by file content, and memory-map them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache
from mtkd_cli.reading.images import FORMAT
from mtkd_data.decode import decode_all

MOST_SKIPPED = 0.01
"""Maximum fraction of a split's images that may be skipped; one image may always be skipped."""


def cached_images(
    cache: DataCache,
    files: Sequence[Path],
    size: int,
    channels: int,
    workers: int,
    skip: bool,
    fit: str = "crop",
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the readable images ``[M, C, S, S]`` and their indices in ``files``, ``[M]``.

    Args:
        cache: cache of decoded images.
        files: PNG or JPEG files.
        size: side of the images, in pixels.
        channels: 3 for RGB, 1 for gray.
        workers: number of decoding threads.
        skip: whether to skip unreadable images instead of raising an error.
        fit: how to make images square, see `mtkd_cli.reading.images.decode`.

    Raises:
        DataError: an image cannot be read; with ``skip``, too many cannot.
    """
    key = {
        "images": hashlib.sha256("".join(file_hashes(files)).encode()).hexdigest(),
        "size": size,
        "channels": channels,
        "decoder": FORMAT,
        "pillow": PIL.__version__,
        **({} if fit == "crop" else {"fit": fit}),
    }
    max_bad = max(1, int(len(files) * MOST_SKIPPED)) if skip else 0

    def write(folder: Path) -> None:
        bad = decode_all(files, folder / "images.npy", size, channels, workers, max_bad, fit)
        (folder / "bad.json").write_text(json.dumps(bad))

    folder = cache.keep(key, write)
    images: NDArray[np.uint8] = cache.mapped(folder / "images.npy")
    bad = {int(number): why for number, why in json.loads((folder / "bad.json").read_text()).items()}
    if bad:
        _report_skipped(files, bad, skip)
    return images, np.array([number for number in range(len(files)) if number not in bad], dtype=np.int64)


def _report_skipped(files: Sequence[Path], bad: dict[int, str], skip: bool) -> None:
    """Log the skipped images, also if an earlier run decoded them.

    Raises:
        DataError: images must not be skipped.
    """
    first = min(bad)
    if not skip:
        raise DataError(
            f"the image cannot be read: {bad[first]}",
            where=str(files[first]),
            hint="remove or replace it, or set data.on_bad_sample: skip",
        )
    log = logging.getLogger("mtkd")
    log.warning("skipped %d of %d images that cannot be read:", len(bad), len(files))
    for number, why in sorted(bad.items()):
        log.warning("  %s: %s", files[number], why)


def file_hashes(files: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file.

    Raises:
        DataError: a file cannot be opened.
    """
    digests = []
    for file in files:
        try:
            with file.open("rb") as opened:
                digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
        except OSError as error:
            raise DataError(
                f"the image cannot be opened: {error.strerror}", where=str(file), hint="check its permissions"
            ) from error
    return digests
