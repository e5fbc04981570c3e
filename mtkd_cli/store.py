"""What mtkd keeps between runs: folders named by their content's key, checked when read.

A key is a mapping of everything that decides the content. Same key, no work; any difference,
another folder, so nothing can be stale. Each folder has the key it stands for (``key.json``)
and, once complete, a ``manifest.json`` with the SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mtkd_cli import atomic

FORMAT = 1
"""Raised when files of the same key would be read differently."""


def root() -> Path:
    """Return the store's folder: ``MTKD_STORE``, or ``mtkd`` in the user's cache folder."""
    if chosen := os.environ.get("MTKD_STORE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtkd"


def digest(key: Mapping[str, Any]) -> str:
    """Return the name of the folder that ``key`` stands for."""
    text = json.dumps({"format": FORMAT, **key}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_sha256(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def find(kind: str, key: Mapping[str, Any]) -> Path | None:
    """Return the folder of ``key`` if it is complete and every file is what was written, else None."""
    folder = root() / kind / digest(key)
    return folder if _is_intact(folder) else None


def keep(kind: str, key: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
    """Return the folder of ``key``, filled by ``write`` if it is not there yet.

    Two processes that want the same key do not clash: the second waits and finds the first's.

    Args:
        kind: ``outputs``, ``fitted``, ``alone``, ``images``.
        key: everything that decides the content.
        write: fills an empty folder.
    """
    folder = root() / kind / digest(key)
    with locked(folder):
        if _is_intact(folder):
            return folder
        temporary = folder.with_name(f".{folder.name}.partial")
        for stale in (temporary, folder):
            shutil.rmtree(stale, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            write(temporary)
            _seal(temporary, key)
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        atomic.sync_folder(folder.parent)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of one folder of the store."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        yield


def _seal(folder: Path, key: Mapping[str, Any]) -> None:
    atomic.write_json(folder / "key.json", key)
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    atomic.write_json(folder / "manifest.json", files)


def _is_intact(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        return "key.json" in manifest and all(
            file_sha256(folder / name) == sha for name, sha in manifest.items()
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return False
