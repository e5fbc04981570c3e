"""Check a large complete folder without reading all of it at every start.

While all bytes of a folder are read anyway, when it is written or checked as a whole, the size and times of
each file and the checksums of its blocks are kept in ``verified.json``. Later, the sizes and times are
compared, and a random sample of `SAMPLE_BLOCKS` blocks is read. A damaged block among B blocks is found with
the probability `SAMPLE_BLOCKS` / B at each start; `mtkd_cli.files.whole_folder.check` always finds it.
"""

from __future__ import annotations

import contextlib
import os
import random
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.files import checksummed_json, whole_folder
from mtkd_cli.files.hashing import BLOCK_BYTES, file_and_block_checksums, file_sha256

VERIFIED = "verified.json"

WHOLE_BYTES = 64 * 2**20
"""Folders up to this size are always read as a whole."""

SMALL_BYTES = 64 * 2**10
"""Files up to this size are always read as a whole."""

SAMPLE_BLOCKS = 64


def check(folder: Path, *required: str) -> None:
    """Raise if a folder is not complete, or damage is found in small files or in a sample of the large ones.

    Args:
        folder: a folder from `mtkd_cli.files.whole_folder.create`.
        required: names of required files.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file is damaged; names the file.
    """
    manifest = whole_folder.read_manifest(folder, *required)
    if _size(folder, manifest) <= WHOLE_BYTES:
        whole_folder.check(folder, *required)
        return
    known = _read(folder)
    if known.keys() != manifest.keys() or any(
        _times(folder / name) != entry["times"] for name, entry in known.items() if not entry["small"]
    ):
        _check_whole(folder, manifest)
        return
    for name, entry in known.items():
        if entry["small"] and file_sha256(folder / name) != manifest[name]:
            raise whole_folder.damaged(name)
    blocks = [(name, number) for name, entry in known.items() for number in range(len(entry["blocks"]))]
    # Drawn anew at each start: no result depends on the sample.
    for name, number in random.SystemRandom().sample(blocks, min(SAMPLE_BLOCKS, len(blocks))):
        if _block_checksum(folder / name, number) != known[name]["blocks"][number]:
            raise whole_folder.damaged(name)


def checksums(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of files in a folder, and keep what `check` needs later if they are large."""
    found, known = _read_whole(folder, names)
    if _size(folder, names) > WHOLE_BYTES:
        _write(folder, known)
    return found


def forget(folder: Path) -> None:
    """Make the next `check` read all of a folder."""
    with contextlib.suppress(OSError):
        (folder / VERIFIED).unlink()


def _check_whole(folder: Path, manifest: Mapping[str, str]) -> None:
    found, known = _read_whole(folder, list(manifest))
    for name, checksum in manifest.items():
        if found[name] != checksum:
            raise whole_folder.damaged(name)
    _write(folder, known)


def _read_whole(folder: Path, names: Sequence[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the SHA-256 of each file, and what to keep about it."""
    found, known = {}, {}
    for name in names:
        times = _times(folder / name)
        found[name], blocks = file_and_block_checksums(folder / name)
        is_small = times[0] <= SMALL_BYTES
        known[name] = {"times": times, "small": is_small, "blocks": [] if is_small else blocks}
    return found, known


def _write(folder: Path, known: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):  # a read-only folder is read as a whole next time
        checksummed_json.write(folder / VERIFIED, {"files": known})


def _read(folder: Path) -> dict[str, Any]:
    """Return what was kept about each file; empty if there is nothing, or it is damaged."""
    try:
        return dict(checksummed_json.read(folder / VERIFIED)["files"])
    except DataError:
        return {}


def _size(folder: Path, names: Mapping[str, str] | Sequence[str]) -> int:
    return sum((folder / name).stat().st_size for name in names)


def _times(path: Path) -> list[int]:
    """Return size, time of modification and time of change."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _block_checksum(path: Path, number: int) -> int:
    with path.open("rb", buffering=0) as file:
        return zlib.crc32(os.pread(file.fileno(), BLOCK_BYTES, number * BLOCK_BYTES))
