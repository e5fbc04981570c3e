"""Manifests: what is known about the content of many files, in one compact file for each folder of files.

A manifest has, for each file, its name below the folder, its size and times when it was read, and a record
about its content. Everything is in NumPy arrays, followed by their SHA-256, so that a million files load in
about a second.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mtkd_cli.files import atomic
from mtkd_cli.files.file_listing import name_hashes, split_names
from mtkd_cli.store import content_store

KIND = "files"
"""Folder of all manifests in the store."""

NAME = "manifest.bin"
DIGEST_BYTES = 32


@dataclass(frozen=True)
class Manifest:
    """Records about the content of M files.

    Attributes:
        names: names below the root, each followed by a zero byte.
        times: ``[M, 3]``, size, time of modification and time of change when the file was read.
        records: ``[M]``, records of the content.
    """

    names: bytes
    times: NDArray[np.int64]
    records: NDArray[Any]

    def __len__(self) -> int:
        return len(self.records)

    def hashes(self) -> NDArray[np.int64]:
        """Return the `name_hashes`, ``[M]``."""
        return np.concatenate([np.empty(0, np.int64), *map(name_hashes, split_names(self.names))])

    def find(self, hashes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each of N names, given their `name_hashes`, ``[N]``; -1: there is none."""
        own = self.hashes()
        if np.array_equal(own, hashes):
            return np.arange(len(own))
        if not len(own):
            return np.full(len(hashes), -1)
        order = np.argsort(own)
        rows = order[np.searchsorted(own, hashes, sorter=order).clip(max=len(own) - 1)]
        return np.where(own[rows] == hashes, rows, -1)

    def others(self, root: str, hashes: NDArray[np.int64]) -> Manifest:
        """Return the part about files below ``root`` that still exist and have none of the ``hashes``."""
        wanted = np.flatnonzero(~np.isin(self.hashes(), hashes))
        names = os.fsdecode(self.names).split("\0") if len(wanted) else []
        rows = [row for row in wanted.tolist() if Path(root, names[row]).exists()]
        kept = os.fsencode("".join(f"{names[row]}\0" for row in rows))
        return Manifest(kept, self.times[rows], self.records[rows])


def key_of(root: str, version: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the content key of a manifest.

    Args:
        root: folder above all files.
        version: name and version of the function that describes a file.
        dtype: structured type of a record.
    """
    return {"root": os.path.realpath(root or "."), "version": version, "fields": npy.dtype_to_descr(dtype)}


def load(folder: Path) -> Manifest | None:
    """Return the manifest in a folder of the store; None if there is none, or it is damaged."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            size = path.stat().st_size - DIGEST_BYTES
            digest = _sha256(file, size)
            if file.read() != digest:
                return None
            file.seek(0)
            names, times, records = (npy.read_array(file, allow_pickle=False) for _ in range(3))
    except (OSError, ValueError):
        return None
    return Manifest(names.tobytes(), times, records)


def save(key: dict[str, Any], manifest: Manifest, more: Manifest | None = None) -> None:
    """Write a manifest over the one before; of two writers at a time, the last one wins.

    Args:
        key: content key, see `key_of`.
        manifest: the manifest.
        more: records of other files.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    folder = content_store.folder_of(KIND, key)
    if more is not None and len(more):
        times, records = (
            np.concatenate(both) for both in ((manifest.times, more.times), (manifest.records, more.records))
        )
        manifest = Manifest(manifest.names + more.names, times, records)
    with atomic.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic.workplace(folder / NAME) as work:
            part = work / NAME
            with part.open("w+b") as file:
                for array in (np.frombuffer(manifest.names, np.uint8), manifest.times, manifest.records):
                    npy.write_array(file, array, allow_pickle=False)
                size = file.tell()
                file.seek(0)
                file.write(_sha256(file, size))
            atomic.publish(part, folder / NAME)
        text = json.dumps({**key, "files": len(manifest)}, indent=2)  # ASCII: a folder may have any name
        atomic.write_bytes(folder / content_store.KEY, text.encode())


def _sha256(file: BinaryIO, size: int) -> bytes:
    """Return the SHA-256 of the next ``size`` bytes of a file."""
    digest = hashlib.sha256()
    while size > 0 and (block := file.read(min(size, 2**20))):
        digest.update(block)
        size -= len(block)
    return digest.digest()
