"""An index of the encoded images in shards: tar archives, Arrow and Parquet files.

One pass over the bytes of a shard finds position, size, checksum and label of every image. The index is kept
in the cache, so later starts read no shard.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mtkd_cli.interfaces import DataCache, PackedIds
from mtkd_cli.reading.encoded_images import IMAGE_FACTS, describe_image
from mtkd_cli.reading.images import FORMAT

VERSION = 2
"""Version of the index; increase it when the same shard would give other entries."""

SAID_SECONDS = 30
"""Seconds between two lines about the progress."""

ENTRY = np.dtype(
    [("offset", "<i8"), ("size", "<i8"), ("name_end", "<i8"), ("label", "<i4"), ("facts", IMAGE_FACTS)]
)
"""Position of an image in its shard, end of its name in all names, number of its label in the list of labels
(-1: none), and its facts. The position ``-1 - P`` means P in the copies of the shard's images."""

ENTRIES, NAMES, COPIES, INFO = "entries.npy", "names.npy", "copies.npy", "index.json"


@dataclass(frozen=True)
class ImageRow:
    """An image found in a shard.

    Attributes:
        name: name of the sample, as valid UTF-8.
        label: its label as text, or ``''``.
        content: the encoded image; None: the sample has no image in a supported format.
        offset: position of ``content`` in the shard; None: it is not stored there as it is, and is copied.
    """

    name: str
    label: str
    content: bytes | None
    offset: int | None = None


@dataclass(frozen=True)
class ShardIndex:
    """The images of several shards, in order.

    Attributes:
        shards: S shards, as the user names them.
        files: their absolute paths.
        stamps: size and times of the S shards when they were indexed, see `stamp_of`.
        copies: for each shard, the file with copies of images, or None if all are read in place.
        starts: ``[S + 1]``, row of the first image of each shard, and the number of images N.
        entries: ``[N]``, see `ENTRY`.
        names: ``[B]``, all names in UTF-8, one after the other.
        labels: texts of the labels.
        new: number of shards that were read now.
        without_image: number of samples without an image.
        first_without: shard and name of the first of them.
    """

    shards: tuple[Path, ...]
    files: tuple[str, ...]
    stamps: tuple[tuple[int, ...], ...]
    copies: tuple[Path | None, ...]
    starts: NDArray[np.int64]
    entries: NDArray[Any]
    names: NDArray[np.uint8]
    labels: tuple[str, ...]
    new: int
    without_image: int
    first_without: str

    def __len__(self) -> int:
        return len(self.entries)

    def name(self, row: int) -> str:
        """Return the name of a sample in its shard."""
        start = self.entries[row - 1]["name_end"] if row else 0
        return self.names[start : self.entries[row]["name_end"]].tobytes().decode()

    def ids(self, prefixes: Sequence[str] | None = None) -> PackedIds:
        """Return the N names, with the prefix of their shard.

        Args:
            prefixes: S prefixes; None: names without one.
        """
        ends = np.array(self.entries["name_end"])
        starts = np.concatenate([[0], ends])[:-1].astype(np.int64)
        groups = np.repeat(np.arange(len(self.shards), dtype=np.int32), np.diff(self.starts))
        return PackedIds(self.names, starts, ends, tuple(prefixes or [""] * len(self.shards)), groups)

    def shard_of(self, row: int) -> int:
        """Return the number of the shard that contains a row."""
        return int(np.searchsorted(self.starts, row, "right")) - 1


def stamp_of(status: os.stat_result) -> tuple[int, ...]:
    """Return size, and times of modification and change in nanoseconds."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def index_shards(
    cache: DataCache,
    shards: Sequence[Path],
    read: Callable[[Path], Iterator[ImageRow]],
    settings: Mapping[str, Any],
    workers: int,
    generation: int = 0,
) -> tuple[ShardIndex, Path]:
    """Return the index of shards, and its folder in the cache. Shards that are not in the cache are read.

    Args:
        cache: cache of indexes, one for each shard and one for all.
        shards: the shards.
        read: yields the images of a shard.
        settings: JSON values that determine what ``read`` yields.
        workers: number of shards to read at once.
        generation: number of earlier indexes that turned out to be wrong.

    Raises:
        DataError: a shard is invalid.
    """
    files = tuple(str(path.absolute()) for path in shards)
    stamps = tuple(stamp_of(path.stat()) for path in shards)
    version = {"version": VERSION, "decoder": FORMAT, "generation": generation, **settings}
    keys = [
        {"shard": file.encode("utf-8", "backslashreplace").decode(), "stamp": stamp, **version}
        for file, stamp in zip(files, stamps, strict=True)
    ]

    def keep_part(number: int) -> Path:
        def write(folder: Path) -> None:
            is_new[number] = True
            _write_part(folder, read(shards[number]))

        return cache.keep(keys[number], write)

    def keep_parts() -> list[Path]:
        with ThreadPoolExecutor(workers) as pool:
            try:
                parts = pool.map(keep_part, range(len(shards)))
                return list(_say_progress(parts, len(shards), cache.say))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    is_new = [False] * len(shards)
    listed = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()
    folder = cache.keep(
        {"shards": listed, "count": len(keys), **version}, lambda folder: _merge(folder, shards, keep_parts())
    )
    info = json.loads((folder / INFO).read_text())
    copies: list[Path | None] = [None] * len(shards)
    if any(info["copied"]):
        parts = keep_parts()  # found again, so that they are not pruned, or made again
        copies = [
            part / COPIES if copied else None for part, copied in zip(parts, info["copied"], strict=True)
        ]
    return (
        ShardIndex(
            tuple(shards),
            files,
            stamps,
            tuple(copies),
            np.concatenate([[0], np.cumsum(info["counts"])]).astype(np.int64),
            cache.mapped(folder / ENTRIES),
            cache.mapped(folder / NAMES),
            tuple(info["labels"]),
            sum(is_new),
            info["without_image"],
            info["first_without"],
        ),
        folder,
    )


def _say_progress(parts: Iterator[Path], count: int, say: Callable[[str], None]) -> Iterator[Path]:
    started = said = time.monotonic()
    for done, part in enumerate(parts, 1):
        yield part
        if (now := time.monotonic()) - said > SAID_SECONDS:
            left = max(1, round((now - started) * (count - done) / done / 60))
            say(f"reading {count:,} shards once: {done:,} done, {left} min left")
            said = now


def _write_part(folder: Path, rows: Iterator[ImageRow]) -> None:
    """Write the index of one shard into an empty folder, and copies of images that need them."""
    entries, names, labels = bytearray(), bytearray(), dict[str, int]()
    without, first_without = 0, ""
    with (folder / COPIES).open("wb") as copies:
        start = _write_size(copies, 0)
        for row in rows:
            if row.content is None:
                without, first_without = without + 1, first_without or row.name
                continue
            offset = row.offset
            if offset is None:
                offset = -1 - (copies.tell() - start) if row.content else 0
                copies.write(row.content)
            names += row.name.encode()
            label = labels.setdefault(row.label, len(labels)) if row.label else -1
            entry = (offset, len(row.content), len(names), label, describe_image(row.content))
            entries += np.array(entry, ENTRY).tobytes()
        size = copies.tell() - start
        copies.seek(0)
        _write_size(copies, size)
    if not size:
        (folder / COPIES).unlink()
    np.save(folder / ENTRIES, np.frombuffer(bytes(entries), ENTRY))
    np.save(folder / NAMES, np.frombuffer(bytes(names), np.uint8))
    info = {
        "labels": list(labels),
        "without_image": without,
        "first_without": first_without,
        "copied": size > 0,
    }
    (folder / INFO).write_text(json.dumps(info))


def _write_size(file: BinaryIO, size: int) -> int:
    """Write the header of an array of bytes; return its length, which does not depend on ``size``."""
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (size,)})
    return file.tell()


def _merge(folder: Path, shards: Sequence[Path], parts: Sequence[Path]) -> None:
    """Write the index of all shards from those of each."""
    infos = [json.loads((part / INFO).read_text()) for part in parts]
    entries = [np.load(part / ENTRIES) for part in parts]
    names = [np.load(part / NAMES) for part in parts]
    labels: dict[str, int] = {}
    end = 0
    for info, part, text in zip(infos, entries, names, strict=True):
        numbers = [labels.setdefault(label, len(labels)) for label in info["labels"]]
        part["label"] = np.array([*numbers, -1], np.int32)[part["label"]]  # -1 stays -1
        part["name_end"] += end
        end += len(text)
    first = next((i for i, info in enumerate(infos) if info["without_image"]), None)
    np.save(folder / ENTRIES, np.concatenate(entries) if entries else np.empty(0, ENTRY))
    np.save(folder / NAMES, np.concatenate(names) if names else np.empty(0, np.uint8))
    info = {
        "counts": [len(part) for part in entries],
        "labels": list(labels),
        "without_image": sum(info["without_image"] for info in infos),
        "first_without": "" if first is None else f"{shards[first]}: {infos[first]['first_without']}",
        "copied": [info["copied"] for info in infos],
    }
    (folder / INFO).write_text(json.dumps(info))
