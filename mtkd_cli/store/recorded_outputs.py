"""Recorded outputs on disk: one array per teacher, split and view, in shards with checksums.

A folder contains ``key.json`` (the content key and the layout), ``outputs.npy`` (one row per sample) and
``shards.jsonl`` (one line per complete shard, with its SHA-256 and its rounding error). Only missing and
damaged shards are recorded again. Arrays are read through memory maps, but written through the file: writing
to a map on a full disk would kill the process.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.files import atomic
from mtkd_cli.store import content_store, mapped_arrays
from mtkd_cli.store.rounding import Rounding, max_rounding
from mtkd_cli.store.row_format import Layout

ZEROS = bytes(2**20)
"""Block for allocating a file where the system cannot reserve space."""


@dataclass(frozen=True)
class RecordedArray:
    """The recorded outputs of one teacher for one view of a split.

    Attributes:
        folder: folder of the array.
        layout: storage layout of each row.
        rows: memory-mapped rows, ``[N]`` or ``[N, C, *]``, see `Layout.dtype`.
    """

    folder: Path
    layout: Layout
    rows: NDArray[Any]

    def __getitem__(self, indices: Any) -> Tensor:
        """Return the outputs of some samples, ``[B, C, *]``, see `Layout.decode`."""
        return self.layout.decode(self.rows[indices])

    @property
    def rounding(self) -> Rounding | None:
        """Largest rounding error of the outputs; None if it is unknown."""
        return read_rounding(self.folder)


def folder_of(key: Mapping[str, Any]) -> Path:
    """Return the folder of an array's content key."""
    return content_store.root() / "outputs" / content_store.digest(key)


def find(key: Mapping[str, Any], samples: int) -> RecordedArray | None:
    """Return the array of a key if all shards are complete and match their checksums."""
    folder = folder_of(key)
    found = open_array(folder, samples)
    if found is None or missing_shards(found, samples):
        return None
    content_store.touch(folder)
    return found


def is_complete(key: Mapping[str, Any], samples: int) -> bool:
    """Whether every shard of the array of a key was written. Reads no outputs, so damage is not noticed."""
    array = open_array(folder_of(key), samples)
    return array is not None and len(read_checksums(array.folder)) == array.layout.shard_count(samples)


def missing_shards(recorded: RecordedArray, samples: int) -> list[int]:
    """Return the indices of missing or damaged shards."""
    written = read_checksums(recorded.folder)

    def is_intact(shard: int) -> bool:
        rows = np.ascontiguousarray(recorded.rows[recorded.layout.rows_of(shard, samples)])
        return written.get(shard) == shard_sha256(recorded.layout, rows.view(np.uint8).data)

    return [shard for shard in range(recorded.layout.shard_count(samples)) if not is_intact(shard)]


def create(key: Mapping[str, Any], layout: Layout, samples: int) -> RecordedArray:
    """Return the array of a key for writing, with the shards that it already has.

    All bytes of a new array are allocated now. An unusable old array is unlinked; processes that still read
    it keep their mapping.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    folder = folder_of(key)
    present = open_array(folder, samples)
    if present and present.layout == layout:
        return present
    try:
        with atomic.disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for stale in folder.iterdir():
                stale.unlink()
            _allocate(folder / "outputs.npy", layout, samples)
            atomic.write_json(folder / "key.json", {**key, "layout": layout.as_dict(), "samples": samples})
            return RecordedArray(folder, layout, mapped_arrays.map_array(folder / "outputs.npy"))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def open_existing(key: Mapping[str, Any], layout: Layout, samples: int) -> RecordedArray:
    """Return an array that this or another process created, as it is on the disk now.

    Raises:
        DataError: it does not exist, because this process uses another store.
    """
    found = open_array(folder_of(key), samples)
    if found is None or found.layout != layout:
        raise content_store.unshared_store_error(folder_of(key))
    return found


def additional_bytes(key: Mapping[str, Any], layout: Layout, samples: int) -> int:
    """Return the additional disk space of an array in bytes; 0 if it is already allocated."""
    present = open_array(folder_of(key), samples)
    return 0 if present and present.layout == layout else samples * layout.dtype.itemsize


def write_shard(
    recorded: RecordedArray, shard: int, rows: NDArray[Any], samples: int, rounding: Rounding | None = None
) -> None:
    """Write one shard, then append the line with its checksum and how much it was rounded.

    Raises:
        ValueError: the rows do not have the shape or dtype of the shard.
        DataError: the disk is full, read-only or otherwise unusable.
    """
    layout = recorded.layout
    shard_rows = layout.rows_of(shard, samples)
    if rows.shape != recorded.rows[shard_rows].shape or rows.dtype != recorded.rows.dtype:
        raise ValueError(f"{rows.dtype} rows {rows.shape} in shard {shard} of {layout}")
    content = rows.tobytes()
    path = recorded.folder / "outputs.npy"
    with atomic.disk_errors(path):
        with path.open("r+b") as file:
            file.seek(len(_array_header(layout, samples)) + shard_rows.start * layout.dtype.itemsize)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        line = {"shard": shard, "sha256": shard_sha256(layout, content)}
        known = {} if rounding is None else {"rounding": rounding.as_list()}
        atomic.append_line(recorded.folder / "shards.jsonl", json.dumps({**line, **known}))


def open_array(folder: Path, samples: int) -> RecordedArray | None:
    """Return the array in a folder, complete or not; None if it has another size or cannot be read."""
    path = folder / "outputs.npy"
    try:
        known = json.loads((folder / "key.json").read_text())
        layout = Layout.from_dict(known["layout"])
        header = _array_header(layout, samples)
        with path.open("rb") as file:
            begins_right = file.read(len(header)) == header
        size = len(header) + samples * layout.dtype.itemsize
        if known["samples"] != samples or not begins_right or path.stat().st_size != size:
            return None
        return RecordedArray(folder, layout, mapped_arrays.map_array(path))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_checksums(folder: Path) -> dict[int, str]:
    """Return the checksum of each complete shard, from the last valid line about it."""
    return {shard: str(entry["sha256"]) for shard, entry in _read_ledger(folder).items()}


def read_rounding(folder: Path) -> Rounding | None:
    """Return the largest rounding error of the outputs in a folder; None if it is unknown."""
    try:
        return max_rounding(
            Rounding(*map(float, entry["rounding"])) for entry in _read_ledger(folder).values()
        )
    except (ValueError, KeyError, TypeError):
        return None


def _read_ledger(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the last valid line about each shard; a killed process may leave a truncated line."""
    written: dict[int, dict[str, Any]] = {}
    try:
        lines = (folder / "shards.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return written
    for line in lines:
        try:
            entry = json.loads(line)
            written[int(entry["shard"])] = {"sha256": entry["sha256"], **entry}
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
    return written


def _array_header(layout: Layout, samples: int) -> bytes:
    """Return the ``.npy`` header of an array, as NumPy writes it."""
    header = io.BytesIO()
    base, shape = layout.dtype.base, layout.dtype.shape
    facts = {
        "descr": np.lib.format.dtype_to_descr(base),
        "fortran_order": False,
        "shape": (samples, *shape),
    }
    np.lib.format.write_array_header_1_0(header, facts)
    return header.getvalue()


def _allocate(path: Path, layout: Layout, samples: int) -> None:
    """Create the file of an array of zeros, with all bytes allocated on the disk, not sparse."""
    header, size = _array_header(layout, samples), samples * layout.dtype.itemsize
    with path.open("wb") as file:
        file.write(header)
        file.flush()
        try:
            os.posix_fallocate(file.fileno(), len(header), size)
        except (AttributeError, OSError) as error:  # not supported by the system or file system
            if getattr(error, "errno", errno.ENOSYS) not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
                raise
            for start in range(0, size, len(ZEROS)):
                file.write(ZEROS[: size - start])
        file.flush()
        os.fsync(file.fileno())


def shard_sha256(layout: Layout, content: bytes | memoryview) -> str:
    """Return the checksum of a shard: SHA-256 of its layout and its bytes."""
    digest = hashlib.sha256(json.dumps(layout.as_dict(), sort_keys=True).encode())
    digest.update(content)
    return digest.hexdigest()
