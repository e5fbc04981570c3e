"""Folders that are complete or absent: written to a partial folder, synced and renamed; verified when read.

A complete folder contains ``manifest.json`` with the SHA-256 of every other file. Until it is complete, it is
named ``.NAME.partial``. A killed process leaves at most this partial folder, which the next writer replaces.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mtkd_cli.files import atomic
from mtkd_cli.files.hashing import file_sha256, files_sha256

MANIFEST = "manifest.json"


def partial_of(folder: Path) -> Path:
    """Return the path of a folder while it is written."""
    return folder.with_name(f".{folder.name}.partial")


@contextmanager
def create(
    folder: Path,
    needed: int = 0,
    checksums: Callable[[Path, Sequence[str]], dict[str, str]] = files_sha256,
    part: Path | None = None,
) -> Iterator[Path]:
    """Yield an empty folder for files, which is renamed to ``folder`` at the end; on an error it is removed.

    Args:
        folder: path that does not exist, or an empty folder.
        needed: size of the files in bytes, if known.
        checksums: returns the SHA-256 of files in a folder, given their names; may add files of its own.
        part: path of the folder while it is written, next to ``folder``; default: see `partial_of`.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    part = part or partial_of(folder)
    try:
        with atomic.disk_errors(part, needed):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            yield part
            names = sorted(path.name for path in part.iterdir())
            for name in names:
                atomic.sync_file(part / name)
            atomic.write_json(part / MANIFEST, checksums(part, names))
            part.rename(folder)
            atomic.sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def check(folder: Path, *required: str) -> None:
    """Raise if a folder is not complete, or the checksum of a file does not match.

    Args:
        folder: a folder from `create`.
        required: names of required files.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file is damaged; names the file.
    """
    for name, checksum in read_manifest(folder, *required).items():
        if checksum != file_sha256(folder / name):
            raise damaged(name)


def read_manifest(folder: Path, *required: str) -> dict[str, str]:
    """Return the checksum of each file, as it was when the folder was written.

    Args:
        folder: a folder from `create`.
        required: names of required files.

    Raises:
        OSError: there is no manifest, or it cannot be read.
        ValueError: the manifest is damaged, or lacks a required file.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except RecursionError as error:
        raise ValueError(f"{MANIFEST} is nested too deeply") from error
    if not isinstance(manifest, dict):
        raise ValueError(f"{MANIFEST} is not a mapping")
    for name in (*required, *manifest):
        # A manifest from elsewhere must not make the caller read files outside the folder.
        if name not in manifest or Path(name).name != name:
            raise damaged(name)
    return manifest


def damaged(name: str) -> ValueError:
    """Return the error about a file that is not the one that was written."""
    return ValueError(f"{name} is damaged: its checksum does not match")
