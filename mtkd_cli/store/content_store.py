"""Results kept between runs: folders named by the hash of their content key, verified when read.

A key contains everything that affects the content, so results are never stale: any difference gives another
folder. Each folder contains its key (``key.json``) and is written atomically, see
`mtkd_cli.files.whole_folder`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.files import atomic, sampled_check, whole_folder
from mtkd_cli.files.claims import Claim
from mtkd_cli.files.lock import open_locked
from mtkd_cli.store import worker_claims
from mtkd_cli.store.worker_claims import SILENT_SECONDS

KEY = "key.json"
FORMAT = 2
"""Version of the files; increase it when files of the same key would be read differently."""

PART = re.compile(r"\.(.+?)(?:\.\d+)?\.(?:partial|unfinished)")
"""Names of partial folders, which may have the number of a claim, and of unfinished ones."""


def root() -> Path:
    """Return the store's folder: ``MTKD_STORE``, or ``mtkd`` in the user's cache folder.

    Raises:
        UsageError: ``MTKD_STORE`` is an address, not a folder.
    """
    if chosen := os.environ.get("MTKD_STORE"):
        if "://" in chosen:
            raise UsageError(
                f"MTKD_STORE must be a folder, not {chosen}",
                "MTKD_STORE",
                "set MTKD_STORE_REMOTE to the address; the local store holds copies",
            )
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtkd"


def digest(key: Mapping[str, Any]) -> str:
    """Return the folder name of a content key: the first 32 hex digits of its SHA-256."""
    text = json.dumps({"format": FORMAT, **key}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def find(kind: str, key: Mapping[str, Any], read_all: bool = True) -> Path | None:
    """Return the folder of ``key`` if it `is_intact`, else None."""
    folder = folder_of(kind, key)
    if not is_intact(folder, read_all):
        return None
    touch(folder)
    return folder


def touch(folder: Path) -> None:
    """Update the time of last use, which pruning compares; does nothing in a read-only store."""
    with contextlib.suppress(OSError):
        os.utime(folder / KEY)


def keep(kind: str, key: Mapping[str, Any], write: Callable[[Path], None], read_all: bool = True) -> Path:
    """Return the folder of ``key``; if it is missing, create it and fill it with ``write``.

    Args:
        kind: kind of content, see `fill_once`.
        key: content key: everything that affects the content.
        write: function that fills an empty folder.
        read_all: whether an existing folder is read as a whole, see `is_intact`.

    Raises:
        DataError: the disk is full, read-only or otherwise unusable.
    """
    with fill_once(kind, key, read_all) as empty:
        if empty is not None:
            write(empty)
    return folder_of(kind, key)


@contextmanager
def fill_once(
    kind: str, key: Mapping[str, Any], read_all: bool = True, wait: bool = True
) -> Iterator[Path | None]:
    """Yield an empty folder that becomes the folder of ``key`` at the end; yield None if that already exists.

    If two processes need the same key, the second waits, and then reads the result of the first. A worker
    that was paused, and whose work another one has taken over, waits for the result of that one.

    Args:
        kind: kind of content: the name of a folder in the store, see `mtkd_cli.store.inventory.KINDS`.
        key: content key: everything that affects the content.
        read_all: whether an existing folder is read as a whole, see `is_intact`.
        wait: whether to wait for another process.

    Raises:
        BlockingIOError: another process fills the folder, and ``wait`` is False.
        DataError: the disk is full, read-only or otherwise unusable.
    """
    if find(kind, key, read_all):
        yield None
        return
    folder = folder_of(kind, key)
    with lock_folder(folder, wait) as claim:
        if is_intact(folder, read_all):
            yield None
            return
        shutil.rmtree(folder, ignore_errors=True)
        part = _own_part(folder, claim) if claim else None
        try:
            with whole_folder.create(folder, checksums=sampled_check.checksums, part=part) as empty:
                yield empty
                atomic.write_json(empty / KEY, key)
            shutil.rmtree(unfinished_folder(kind, key), ignore_errors=True)
            return
        except Exception:
            if claim is None or claim.is_held():
                raise
    with lock_folder(folder):  # held until the worker that has taken over is done
        if not is_intact(folder, read_all):
            raise worker_claims.lost_error(folder)


def folder_of(kind: str, key: Mapping[str, Any]) -> Path:
    """Return the path of the folder of ``key``; it may not exist."""
    return root() / kind / digest(key)


def unfinished_folder(kind: str, key: Mapping[str, Any]) -> Path:
    """Return the folder for checkpoints of unfinished work; `fill_once` removes it at the end."""
    return root() / kind / f".{digest(key)}.unfinished"


def _own_part(folder: Path, claim: Claim) -> Path:
    """Return the path of a worker's partial folder; those of lost workers are removed."""
    for left in folder.parent.glob(f".{folder.name}.*.partial"):
        shutil.rmtree(left, ignore_errors=True)
    return folder.with_name(f".{folder.name}.{claim.number}.partial")


def whole_of(folder: Path) -> Path:
    """Return the folder that a ``.partial`` or ``.unfinished`` folder belongs to."""
    if match := PART.fullmatch(folder.name):
        return folder.with_name(match[1])
    return folder


def lock_path(folder: Path) -> Path:
    """Return the lock file of a folder; its ``.partial`` and ``.unfinished`` folders have the same one."""
    return folder.with_name(f".{whole_of(folder).name}.lock")


def remove_unused_lock(path: Path) -> None:
    """Remove a lock file that no process holds, and whose folders do not exist.

    A process that has opened the file meanwhile notices that it is gone, see `open_locked`.
    """
    name = path.name.removeprefix(".").removesuffix(".lock")
    folders = [path.with_name(each) for each in (name, f".{name}.partial", f".{name}.unfinished")]
    with contextlib.suppress(OSError), open_locked(path):
        if not any(folder.exists() for folder in folders):
            path.unlink()


@contextmanager
def lock_folder(folder: Path, wait: bool = True) -> Iterator[Claim | None]:
    """Hold the lock of one folder of the store, and its claim if this process is a worker; yield the claim.

    Raises:
        BlockingIOError: another process holds it, and ``wait`` is False.
        DataError: the store is unusable.
    """
    with contextlib.ExitStack() as held:
        try:
            claim = held.enter_context(worker_claims.hold(whole_of(folder), wait))
            held.enter_context(_open_locked(folder, wait))
        except BlockingIOError:
            raise
        except OSError as error:
            raise atomic.disk_error(error, folder.parent) from error
        yield claim


def _open_locked(folder: Path, wait: bool) -> BinaryIO:
    path = lock_path(folder)
    try:
        return open_locked(path, SILENT_SECONDS if wait else 0)
    except BlockingIOError:
        if not wait:
            raise
        logging.getLogger("mtkd").warning("another process is making %s; waiting for it", folder)
        return open_locked(path, math.inf)


def unshared_store_error(folder: Path) -> DataError:
    """Return the error for a process that cannot see the store of the first process."""
    return DataError(
        "the results of the first process of this run are missing",
        where=str(folder),
        hint="set MTKD_STORE to a folder shared by all machines",
    )


def is_intact(folder: Path, read_all: bool = True) -> bool:
    """Whether a folder is complete and all checksums match.

    Args:
        folder: a folder of the store.
        read_all: False: of a large folder, compare sizes and times, and read a random sample, see
            `mtkd_cli.files.sampled_check`.
    """
    try:
        (whole_folder if read_all else sampled_check).check(folder, KEY)
    except (OSError, ValueError):
        return False
    return True
