"""Write files atomically, so that readers see the old or the new file, and report disk errors."""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.files.lock import lock

WORK = ".work"


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file, sync it, and rename it to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        set_default_permissions(Path(temporary))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def publish(part: Path, path: Path) -> None:
    """Sync a complete file and rename it to ``path``, with the permissions of a normal file."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    set_default_permissions(part)
    part.replace(path)
    sync_folder(path.parent)


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``path``; folders that killed processes left are removed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{WORK}"):
        with _locked(left) as is_locked:
            if is_locked:
                shutil.rmtree(left, ignore_errors=True)
    while True:
        made = tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f".{path.name}.", suffix=WORK, ignore_cleanup_errors=True
        )
        with made as folder, _locked(Path(folder), wait=True):
            # Another process may remove the folder before it is locked.
            if Path(folder).exists():
                yield Path(folder)
                return


@contextmanager
def _locked(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Lock a folder within the block; yield False if it is gone, held, or on a system without locks."""
    handle = None
    is_locked = False
    try:
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            is_locked = lock(handle, wait=wait)
        yield is_locked
    finally:
        if handle is not None:
            os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN raises `ValueError`."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def append_line(path: Path, line: str) -> None:
    """Append a line break and a line, so that the line is intact even if the last one is incomplete.

    An empty file gets the break too: two processes may both see it empty. Readers skip empty lines.
    """
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def disk_errors(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn errors of a full, read-only or failing disk into a `DataError`.

    Args:
        path: path that is written, for errors that do not name a file.
        needed: required bytes, if known.

    Raises:
        DataError: the disk failed; the message has the path and the free bytes.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise disk_error(error, path, needed) from error


def disk_error(error: Exception, path: Path, needed: int = 0) -> DataError:
    """Return the error for a disk failure, see `disk_errors`."""
    named = getattr(error, "filename", None)
    reason = getattr(error, "strerror", None) or first_line(error)
    room = f"{needed:,} bytes are needed, " if needed else ""
    return DataError(
        f"the disk failed: {reason} ({room}{_free_bytes(path)} bytes are free)",
        where=str(path if named is None or isinstance(named, int) else os.fsdecode(named)),
        hint="free space or make it writable (MTKD_STORE moves the store), then start again; "
        "complete files are kept",
    )


def _free_bytes(path: Path) -> str:
    for folder in (path, *path.absolute().parents):
        try:
            return f"{shutil.disk_usage(folder).free:,}"
        except OSError:
            continue
    return "unknown"


def sync_file(path: Path) -> None:
    """Sync a file to disk, so that its content survives a power failure."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that a rename in it survives a power failure."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_default_permissions(path: Path) -> None:
    """Give a file the permissions that ``open`` gives a new one; temporary files begin with 0600."""
    path.chmod(0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
