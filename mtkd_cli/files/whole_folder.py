"""Folders that are whole or not there: written beside their place, synced, renamed; checked when read.

A whole folder holds ``manifest.json``, which has the SHA-256 of every other file in it. Until it is whole it
is ``.NAME.partial`` beside its place; a process that is killed leaves at most that, and the next one that
writes the folder starts anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtkd_cli.files import atomic
from mtkd_cli.files.hashing import file_sha256, files_sha256

MANIFEST = "manifest.json"


def partial_of(folder: Path) -> Path:
    """Return where a folder is while it is being written."""
    return folder.with_name(f".{folder.name}.partial")


@contextmanager
def create(folder: Path, needed: int = 0) -> Iterator[Path]:
    """Give an empty folder to write files in, which becomes ``folder`` at the end; on an error it is removed.

    Args:
        folder: what must not be there yet, or be empty.
        needed: bytes that the files take, if known.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    part = partial_of(folder)
    try:
        with atomic.disk_errors(part, needed):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            yield part
            names = sorted(path.name for path in part.iterdir())
            for name in names:
                atomic.sync_file(part / name)
            atomic.write_json(part / MANIFEST, files_sha256(part, names))
            part.rename(folder)
            atomic.sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def check(folder: Path, *required: str) -> None:
    """Raise if a folder is not whole, or a file in it is not what was written.

    Args:
        folder: one that `create` made.
        required: names of files that it must have.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: what is wrong with which file.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except RecursionError as error:
        raise ValueError(f"{MANIFEST} is nested too deeply") from error
    if not isinstance(manifest, dict):
        raise ValueError(f"{MANIFEST} is not a mapping")
    for name in dict.fromkeys((*required, *manifest)):
        # A manifest from elsewhere must not make this read files outside the folder.
        if name not in manifest or Path(name).name != name or manifest[name] != file_sha256(folder / name):
            raise ValueError(f"{name} is not what was written")
