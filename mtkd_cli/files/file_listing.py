"""A listing of many files: their common folder, names, sizes and times, in little memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
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
        start = len(self.root)
        paths = itertools.compress(self.paths, keep.tolist())
        names = (f"{os.fspath(path)[start:]}\0" for path in paths)
        blocks = iter(lambda: "".join(itertools.islice(names, NAMES_A_BLOCK)), "")
        return b"".join(map(os.fsencode, blocks))


def list_files(paths: Sequence[Path]) -> Listing:
    """Return the listing of at least one file.

    Raises:
        DataError: a file does not exist or cannot be reached; names the file.
    """
    texts = list(map(os.fspath, paths))
    prefix = os.path.commonprefix([min(texts), max(texts)])  # noqa: RUF071  (the slash is found below)
    root = prefix[: prefix.rfind("/") + 1]
    return Listing(paths, root, name_hashes(text[len(root) :] for text in texts), stat_each(texts))


def split_names(names: bytes) -> Iterator[list[str]]:
    """Yield the names of `Listing.join_names` again, in blocks that bound the memory."""
    ends = np.flatnonzero(np.frombuffer(names, np.uint8) == 0) + 1
    blocks = [0, *ends[NAMES_A_BLOCK - 1 :: NAMES_A_BLOCK].tolist(), len(names)]
    for start, end in itertools.pairwise(blocks):
        if start < end:
            yield os.fsdecode(names[start : end - 1]).split("\0")


def name_hashes(names: Iterable[str]) -> NDArray[np.int64]:
    """Return a 64-bit hash of each name; every process has others.

    The chance of any collision among a million names is 1 in 10 million.
    """
    return np.fromiter(map(hash, names), np.int64)
