"""Random access to the encoded images in indexed shards."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import DataCache
from mtkd_data.shard_index import ImageRow, ShardIndex, index_shards, stamp_of

OPEN_FILES = 64
"""Maximum number of shards that are kept open."""

CHECKED = 16
"""Number of images that are read again at every start, to find shards that changed unnoticed."""

STALE = "stale"
"""Name of the empty file that marks an index as wrong."""

MOST_GENERATIONS = 3


@dataclass(frozen=True)
class IndexedImages:
    """The images of shards; implements `mtkd_cli.reading.encoded_images.EncodedImages`.

    Reading is thread-safe and works in forked processes, because no file position is shared.

    Attributes:
        index: positions and facts of the images.
        copies: for each shard, copies of images, or None if all are read in place.
    """

    index: ShardIndex
    copies: tuple[NDArray[np.uint8] | None, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.index)

    def read(self, row: int) -> bytes:
        """Return the encoded image of a row.

        Raises:
            OSError: the shard cannot be read, or changed since it was indexed.
        """
        entry, shard = self.index.entries[row], self.index.shard_of(row)
        offset, size = int(entry["offset"]), int(entry["size"])
        copies = self.copies[shard]
        if offset < 0 and copies is not None:
            return copies[-1 - offset :][:size].tobytes()
        opened = _open(self.index.files[shard], self.index.stamps[shard])
        content = os.pread(opened.descriptor, size, offset)
        while 0 < len(content) < size:
            more = os.pread(opened.descriptor, size - len(content), offset + len(content))
            content += more
            if not more:
                break
        if len(content) < size:
            raise OSError(f"the shard became shorter: {self.name(row)}")
        return content

    def name(self, row: int) -> str:
        """Return shard and entry of a row, for messages."""
        return f"{self.index.shards[self.index.shard_of(row)]}: {self.index.name(row)}"

    def facts(self) -> NDArray[Any]:
        """Return the `IMAGE_FACTS` of all rows, ``[N]``."""
        facts: NDArray[Any] = self.index.entries["facts"]
        return facts


def open_images(
    cache: DataCache,
    shards: Sequence[Path],
    read: Callable[[Path], Iterator[ImageRow]],
    settings: Mapping[str, Any],
    workers: int,
) -> IndexedImages:
    """Return the images of shards, after reading a random sample of them again.

    If one of them differs, the shards are indexed again. With `DataCache.verify_all`, all of them are read.

    Args:
        cache: cache of the index.
        shards: the shards.
        read: yields the images of a shard.
        settings: JSON values that determine what ``read`` yields.
        workers: number of shards to read at once.

    Raises:
        DataError: a shard is invalid, or changes all the time.
    """
    log = logging.getLogger("mtkd")
    for generation in range(MOST_GENERATIONS):
        index, folder = index_shards(cache, shards, read, settings, workers, generation)
        if (folder / STALE).exists():
            continue
        copies = tuple(None if copy is None else cache.mapped(copy) for copy in index.copies)
        images = IndexedImages(index, copies)
        rows = _rows_to_check(len(images), cache.verify_all)
        different = next((row for row in rows if not _is_unchanged(images, row)), None)
        if different is None:
            cache.say(
                f"{len(images):,} images in shards, of which {index.new:,} of {len(shards):,} are new or "
                f"changed; {len(rows):,} images read again to check them"
            )
            if count := index.without_image:
                what = "left out %d of %d samples, which have no image; the first is %s"
                log.warning(what, count, count + len(index), index.first_without)
            return images
        (folder / STALE).touch()
        log.warning("%s changed although its size and times did not; indexing again", images.name(different))
    raise DataError("the shards change while they are read", str(shards[0].parent), "check the disk")


def _rows_to_check(count: int, check_all: bool) -> Sequence[int]:
    """Return all rows, or a random sample, another one at every start: no result depends on it."""
    if check_all:
        return range(count)
    return random.SystemRandom().sample(range(count), min(CHECKED, count))


def _is_unchanged(images: IndexedImages, row: int) -> bool:
    expected: bytes = images.index.entries[row]["facts"]["sha256"].tobytes()
    return hashlib.sha256(images.read(row)).digest() == expected


class _OpenFile:
    """A file that is closed when nothing uses it any more."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


@functools.lru_cache(OPEN_FILES)
def _open(path: str, stamp: tuple[int, ...]) -> _OpenFile:
    """Return an opened shard.

    Raises:
        OSError: it cannot be opened, or it changed since it was indexed.
    """
    opened = _OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    if stamp_of(os.fstat(opened.descriptor)) != stamp:
        raise OSError(f"the shard changed since it was indexed: {path}; start again")
    return opened
