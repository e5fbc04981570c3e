"""Read all data files that manifests know, and find those whose bytes changed without a trace."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.files.file_listing import name_hashes
from mtkd_cli.files.parallel_read import read_each
from mtkd_cli.store import content_store, file_manifest
from mtkd_cli.store.file_manifest import Manifest

CHECKSUM = "sha256"
"""Field of a record with the SHA-256 of the file's content; records without it cannot be verified."""


@dataclass(frozen=True)
class VerifiedFiles:
    """What became of the files of one manifest.

    Attributes:
        root: folder above all of them.
        intact: number of files with the same bytes.
        changed: number of files with another size or time; the next run reads them again.
        missing: number of files that do not exist or cannot be reached.
        damaged: files with the same size and times, but other bytes.
    """

    root: str
    intact: int
    changed: int
    missing: int
    damaged: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {**asdict(self), "damaged": list(self.damaged)}


def verify_files(say: Callable[[str], None]) -> Iterator[VerifiedFiles]:
    """Read the files of all manifests in the store. Forget the damaged ones, so that the next run reads them.

    Args:
        say: shows a line before the files of a manifest are read.

    Raises:
        DataError: a file cannot be read.
    """
    for folder in sorted((content_store.root() / file_manifest.KIND).glob("*")):
        manifest = file_manifest.load(folder)
        try:
            key = json.loads((folder / content_store.KEY).read_bytes())
            root = Path(key["root"])
            del key["files"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if manifest is not None and CHECKSUM in (manifest.records.dtype.names or ()):
            say(f"reading {len(manifest):,} files in {root}")
            yield _verify(root, key, folder, manifest)


def _verify(root: Path, key: dict[str, Any], folder: Path, manifest: Manifest) -> VerifiedFiles:
    names = os.fsdecode(manifest.names).split("\0")[:-1]
    paths = [root / name for name in names]
    times = np.array([_times(path) for path in paths], np.int64).reshape(-1, 3)
    is_missing = (times < 0).all(axis=1)
    rows = np.flatnonzero((times == manifest.times).all(axis=1))
    differs = np.zeros(len(rows), bool)

    def compare(index: int, content: bytes) -> None:
        expected: NDArray[np.uint8] = manifest.records[CHECKSUM][rows[index]]
        differs[index] = hashlib.sha256(content).digest() != expected.tobytes()

    for _ in read_each(paths, rows, compare):
        pass
    damaged = [names[row] for row in rows[differs].tolist()]
    if damaged:
        with content_store.lock_folder(folder):
            now = file_manifest.load(folder) or manifest
            file_manifest.save(key, now.others(str(root), name_hashes(damaged)))
    missing = int(is_missing.sum())
    return VerifiedFiles(
        root=str(root),
        intact=len(rows) - len(damaged),
        changed=len(paths) - len(rows) - missing,
        missing=missing,
        damaged=tuple(str(root / name) for name in damaged),
    )


def _times(path: Path) -> tuple[int, int, int]:
    """Return size, time of modification and time of change; -1 if the file cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1, -1
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
