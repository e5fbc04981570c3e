"""Shards of an array that workers have recorded, one file each, until one of them puts the array together.

Workers on several machines must not write one file: network file systems may lose parts of it. So each shard
is a file in the array's ``.unfinished`` folder, beside the claims on shards, see `mtkd_cli.files.claims`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.files import atomic
from mtkd_cli.store import content_store, recorded_outputs
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.rounding import Rounding
from mtkd_cli.store.row_format import Layout

PIECE, CLAIM = ".piece", ".claim"


@dataclass(frozen=True)
class Listing:
    """The files in the folder of an array's pieces.

    Attributes:
        recorded: shards with a piece.
        claimed: shards with a claim, of a living or a lost worker.
    """

    recorded: frozenset[int] = frozenset()
    claimed: frozenset[int] = frozenset()


def folder_of(key: Mapping[str, Any]) -> Path:
    """Return the folder of the pieces of an array's content key."""
    return content_store.unfinished_folder("outputs", key)


def claim_path(key: Mapping[str, Any], shard: int) -> Path:
    """Return the path that is claimed for a shard."""
    return folder_of(key) / f"{shard}{CLAIM}"


def create_folder(key: Mapping[str, Any], layout: Layout, samples: int) -> None:
    """Create the folder of the pieces, with the key for ``mtkd store list``.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    folder = folder_of(key)
    with atomic.disk_errors(folder):
        if not (folder / content_store.KEY).exists():
            facts = {**key, "layout": layout.as_dict(), "samples": samples}
            atomic.write_json(folder / content_store.KEY, facts)


def list_files(key: Mapping[str, Any]) -> Listing:
    """Return the pieces and claims of an array; none if there is no folder."""
    try:
        names = [path.name for path in folder_of(key).iterdir()]
    except FileNotFoundError:
        return Listing()
    pieces = {int(name.removesuffix(PIECE)) for name in names if name.endswith(PIECE) and name[0].isdigit()}
    claims = {int(name.partition(".")[0]) for name in names if f"{CLAIM}." in name and name[0].isdigit()}
    return Listing(frozenset(pieces), frozenset(claims))


def has_piece(key: Mapping[str, Any], shard: int) -> bool:
    """Whether a shard has a piece."""
    return _path(key, shard).exists()


def write_piece(
    key: Mapping[str, Any], layout: Layout, shard: int, rows: NDArray[Any], rounding: Rounding
) -> None:
    """Write the piece of a shard, with its checksum. If two workers do, both write the same bytes.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    content = rows.tobytes()
    facts = {"sha256": recorded_outputs.shard_sha256(layout, content), "rounding": rounding.as_list()}
    path = _path(key, shard)
    with atomic.disk_errors(path, len(content)):
        atomic.write_bytes(path, json.dumps(facts).encode() + b"\n" + content)


def adopt_pieces(array: RecordedArray, key: Mapping[str, Any], samples: int) -> None:
    """Move all pieces into an array. Damaged ones are removed. The caller holds the lock of the array.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    pieces = list_files(key).recorded
    missing = set(recorded_outputs.missing_shards(array, samples)) if pieces else set()
    for shard in sorted(pieces):
        path = _path(key, shard)
        found = _read(path, array.layout, shard, samples) if shard in missing else None
        if found is not None:
            recorded_outputs.write_shard(array, shard, found[0], samples, found[1])
        with atomic.disk_errors(path):
            path.unlink(missing_ok=True)


def remove_folder(key: Mapping[str, Any]) -> None:
    """Remove the folder of the pieces of a complete array."""
    remove_leftovers(recorded_outputs.folder_of(key))


def remove_leftovers(array: Path) -> None:
    """Remove what a worker left beside a complete array, if it was killed while it removed the pieces."""
    shutil.rmtree(array.with_name(f".{array.name}.unfinished"), ignore_errors=True)


def _read(path: Path, layout: Layout, shard: int, samples: int) -> tuple[NDArray[Any], Rounding] | None:
    """Return rows and rounding of a piece; None if it is gone or damaged."""
    rows = layout.rows_of(shard, samples)
    try:
        line, _, content = path.read_bytes().partition(b"\n")
        facts = json.loads(line)
        if facts["sha256"] != recorded_outputs.shard_sha256(layout, content):
            return None
        dtype = layout.dtype
        shape = (rows.stop - rows.start, *dtype.shape)
        return np.frombuffer(content, dtype.base).reshape(shape), Rounding(*map(float, facts["rounding"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _path(key: Mapping[str, Any], shard: int) -> Path:
    return folder_of(key) / f"{shard}{PIECE}"
