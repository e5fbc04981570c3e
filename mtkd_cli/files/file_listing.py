"""A listing of many files: their common folder, names, sizes and times, in little memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.files.parallel_read import stat_each

NAMES_A_BLOCK = 10_000


@dataclass(frozen=True)
class Listing:
    """N files as they are now.

    Attributes:
        paths: the files.
        root: longest folder above all of them, as it is written in the paths, with a slash at the end.
        hashes: ``[N]``, `name_hashes` of their names below the root.
        times: ``[N, 3]``, size, time of modification and time of change, see `stat_each`.
    """

    paths: Sequence[Path]
    root: str
    hashes: NDArray[np.int64]
    times: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)

    def join_names(self, keep: NDArray[np.bool_]) -> bytes:
        """Return the names of some of the files below the root, each followed by a zero byte."""
        blocks, start = [], 0
        for names in _names(self.root, self.paths):
            kept = keep[start : start + len(names)].tolist()
            blocks += [name + b"\0" for name, is_kept in zip(names, kept, strict=True) if is_kept]
            start += len(names)
        return b"".join(blocks)


def list_files(paths: Sequence[Path]) -> Listing:
    """Return the listing of at least one file.

    Raises:
        DataError: a file does not exist or cannot be reached; names the file.
    """
    first, last = min(map(os.fspath, paths)), max(map(os.fspath, paths))
    prefix = os.path.commonprefix([first, last])  # noqa: RUF071  (the slash is found below)
    root = prefix[: prefix.rfind("/") + 1]
    hashes = np.concatenate([name_hashes(names) for names in _names(root, paths)])
    return Listing(paths, root, hashes, stat_each(paths))


def split_names(names: bytes) -> Iterator[list[bytes]]:
    """Yield the names of `Listing.join_names` again, in blocks that bound the memory."""
    ends = np.flatnonzero(np.frombuffer(names, np.uint8) == 0) + 1
    blocks = [0, *ends[NAMES_A_BLOCK - 1 :: NAMES_A_BLOCK].tolist(), len(names)]
    for start, end in itertools.pairwise(blocks):
        if start < end:
            yield names[start : end - 1].split(b"\0")


def name_hashes(names: Sequence[bytes]) -> NDArray[np.int64]:
    """Return a 64-bit hash of each name; every process has others.

    The chance of any collision among a million names is 1 in 10 million.
    """
    return np.fromiter(map(hash, names), np.int64, len(names))


def _names(root: str, paths: Sequence[Path]) -> Iterator[list[bytes]]:
    """Yield the names of files below their root, in blocks that bound the memory."""
    for start in range(0, len(paths), NAMES_A_BLOCK):
        yield [os.fsencode(os.fspath(path)[len(root) :]) for path in paths[start : start + NAMES_A_BLOCK]]
